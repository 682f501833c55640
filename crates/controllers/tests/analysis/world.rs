//! The management API with the controllers of runs and experiments, a member cluster in this
//! process, and small HTTP servers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use okra_api::AnalysisRun;
use okra_api::foreign::cluster_secret::ClusterSecret;
use okra_apiserver::{Options, Server, Storage};
use okra_aws::Region;
use okra_aws::sdk::{AccessKey, Budget, Sdk, SdkSettings, StaticKeys, Unobserved};
use okra_clock::{SystemClock, SystemEntropy};
use okra_controllers::fence::Fence;
use okra_controllers::members::{MemberClients, MemberError};
use okra_controllers::{Context, Settings, analysis, experiment};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a test waits for a state before it fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a state.
const LOOK: Duration = Duration::from_millis(10);

/// The management API with the controller, and a member cluster; what was
/// started ends with it.
pub(crate) struct World {
    pub(crate) management: Client,
    pub(crate) member: Client,
    context: Context,
    controller: Option<JoinHandle<()>>,
    stop: CancellationToken,
    _servers: [Server; 2],
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Every cluster secret leads to the one member.
struct OneMember(Client);

#[async_trait]
impl MemberClients for OneMember {
    async fn client(&self, _: &ClusterSecret) -> Result<Client, MemberError> {
        Ok(self.0.clone())
    }
}

/// With workloads that become ready by themselves, or as nobody makes them.
async fn server(simulate_workloads: bool) -> (Server, Client) {
    let options = Options { simulate_workloads, ..Options::new(Storage::Memory) };
    let server = Server::open(options).await.expect("a server in memory opens");
    let client = Client::new(server.in_process(), "default");
    (server, client)
}

/// AWS that is never asked.
async fn sdk() -> Sdk {
    let settings = SdkSettings {
        endpoint_url: Some("http://127.0.0.1:1".to_owned()),
        region: Some(Region::new("eu-west-1")),
        forced_profile: None,
        access_key: Some(AccessKey { id: "test".to_owned(), secret: "test".to_owned() }),
        static_keys: StaticKeys::LoopbackOnly,
        budget: Budget::Off,
    };
    let entropy = Arc::new(SystemEntropy::default());
    Sdk::load(settings, SystemClock::shared(), entropy, Arc::new(Unobserved)).await
}

pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("{what} did not come about"))
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with_workloads(false).await
    }

    /// With pods and jobs in both clusters that do what is wanted, or not.
    pub(crate) async fn with_workloads(simulated: bool) -> Self {
        let ((home, management), (away, member)) = (server(simulated).await, server(simulated).await);
        let definitions: Api<CustomResourceDefinition> = Api::all(management.clone());
        for definition in okra_api::analysis_crds() {
            definitions.create(&PostParams::default(), &definition).await.expect("a definition is accepted");
        }
        let runs: Api<AnalysisRun> = Api::all(management.clone());
        eventually("AnalysisRuns", async || runs.list(&ListParams::default()).await.ok()).await;
        let (aws, clock) = (sdk().await, SystemClock::shared());
        let mut settings = Settings::new("test");
        settings.metric_addresses = vec!["127.0.0.0/8".to_owned()];
        let context = Context {
            client: management.clone(),
            load_balancers: Arc::new(aws.load_balancers()),
            targets: Arc::new(aws.load_balancers()),
            clusters: Arc::new(aws.clusters()),
            cloudwatch: Arc::new(aws.metrics()),
            members: Arc::new(OneMember(member.clone())),
            fence: Fence::sole(clock.clone()),
            clock,
            entropy: Arc::new(SystemEntropy::default()),
            settings: Arc::new(settings),
            region: None,
            metrics: Arc::default(),
        };
        let stop = CancellationToken::new();
        let servers = [home, away];
        let mut world = Self { management, member, context, controller: None, stop, _servers: servers };
        world.start_controller();
        world
    }

    fn start_controller(&mut self) {
        self.stop = CancellationToken::new();
        let (context, stop) = (self.context.clone(), self.stop.clone());
        let both = async move {
            tokio::join!(analysis::run(context.clone(), stop.clone()), experiment::run(context, stop));
        };
        self.controller = Some(tokio::spawn(both));
    }

    /// Ends the controller, whatever it is doing, and starts another one.
    pub(crate) async fn restart_controller(&mut self) {
        self.stop.cancel();
        if let Some(controller) = self.controller.take() {
            controller.await.expect("the controller ends without a panic");
        }
        self.start_controller();
    }

    /// The controller's metrics.
    pub(crate) fn figures(&self) -> String {
        self.context.metrics.text()
    }

    pub(crate) fn runs(&self) -> Api<AnalysisRun> {
        Api::namespaced(self.management.clone(), "default")
    }

    pub(crate) async fn create(&self, annotations: Value, spec: Value) {
        self.create_named("run", annotations, spec).await;
    }

    pub(crate) async fn create_named(&self, name: &str, annotations: Value, spec: Value) {
        let run = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
            "metadata": {
                "name": name, "annotations": annotations,
                "labels": {"argo-rollouts.argoproj.io/controller-instance-id": "okra"},
            },
            "spec": spec,
        });
        let run = serde_json::from_value(run).expect("a run");
        self.runs().create(&PostParams::default(), &run).await.expect("created");
    }

    /// The run once it has ended, as JSON.
    pub(crate) async fn ended(&self) -> Value {
        self.ended_named("run").await
    }

    pub(crate) async fn ended_named(&self, name: &str) -> Value {
        eventually("the end of the run", async || {
            let run = serde_json::to_value(self.runs().get(name).await.ok()?).unwrap();
            let phase = run["status"]["phase"].as_str().unwrap_or_default();
            matches!(phase, "Successful" | "Failed" | "Error" | "Inconclusive").then_some(run)
        })
        .await
    }

    pub(crate) async fn add_secret(&self, name: &str, labels: Value, data: BTreeMap<&str, &str>) {
        let secret = json!({"metadata": {"name": name, "labels": labels}, "stringData": data});
        let secrets: Api<Secret> = Api::namespaced(self.management.clone(), "default");
        secrets.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
    }
}

pub(crate) fn measurement(run: &Value) -> &Value {
    &run["status"]["metricResults"][0]["measurements"][0]
}

/// A server that answers every request with a text made of it, until the test ends.
pub(crate) async fn http(answer: impl Fn(&str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = vec![0; 8192];
            let read = stream.read(&mut buffer).await.unwrap_or(0);
            let body = answer(&String::from_utf8_lossy(&buffer[..read]));
            let head =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    url
}
