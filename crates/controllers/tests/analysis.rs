//! The analysis controller against a management API and a member cluster in
//! this process, and small HTTP servers.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use okra_api::AnalysisRun;
use okra_api::foreign::cluster_secret::ClusterSecret;
use okra_apiserver::{Options, Server, Storage};
use okra_aws::Region;
use okra_aws::sdk::{AccessKey, Budget, Sdk, SdkSettings, StaticKeys, Unobserved};
use okra_clock::{SystemClock, SystemEntropy};
use okra_controllers::fence::Fence;
use okra_controllers::members::{MemberClients, MemberError};
use okra_controllers::{Context, Settings, analysis};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a test waits for a state before it fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a state.
const LOOK: Duration = Duration::from_millis(10);

/// The management API with the controller, and a member cluster; what was
/// started ends with it.
struct World {
    management: Client,
    member: Client,
    _servers: [Server; 2],
    _stop: DropGuard,
}

/// Every cluster secret leads to the one member.
struct OneMember(Client);

#[async_trait]
impl MemberClients for OneMember {
    async fn client(&self, _: &ClusterSecret) -> Result<Client, MemberError> {
        Ok(self.0.clone())
    }
}

async fn server() -> (Server, Client) {
    let server = Server::open(Options::new(Storage::Memory)).await.expect("a server in memory opens");
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

async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
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
    async fn start() -> Self {
        let ((home, management), (away, member)) = (server().await, server().await);
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
        tokio::spawn(analysis::run(context, stop.clone()));
        Self { management, member, _servers: [home, away], _stop: stop.drop_guard() }
    }

    fn runs(&self) -> Api<AnalysisRun> {
        Api::namespaced(self.management.clone(), "default")
    }

    async fn create(&self, annotations: Value, spec: Value) {
        let run = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
            "metadata": {
                "name": "run", "annotations": annotations,
                "labels": {"argo-rollouts.argoproj.io/controller-instance-id": "okra"},
            },
            "spec": spec,
        });
        let run = serde_json::from_value(run).expect("a run");
        self.runs().create(&PostParams::default(), &run).await.expect("created");
    }

    /// The run once it has ended, as JSON.
    async fn ended(&self) -> Value {
        eventually("the end of the run", async || {
            let run = serde_json::to_value(self.runs().get("run").await.ok()?).unwrap();
            let phase = run["status"]["phase"].as_str().unwrap_or_default();
            matches!(phase, "Successful" | "Failed" | "Error" | "Inconclusive").then_some(run)
        })
        .await
    }

    async fn add_secret(&self, name: &str, labels: Value, data: BTreeMap<&str, &str>) {
        let secret = json!({"metadata": {"name": name, "labels": labels}, "stringData": data});
        let secrets: Api<Secret> = Api::namespaced(self.management.clone(), "default");
        secrets.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
    }
}

async fn only_job(client: &Client) -> Job {
    let jobs: Api<Job> = Api::namespaced(client.clone(), "default");
    eventually("a job", async || jobs.list(&ListParams::default()).await.ok()?.items.pop()).await
}

/// What the job controller of a cluster would say.
async fn end_job(client: &Client, job: &Job, condition: &str) {
    let jobs: Api<Job> = Api::namespaced(client.clone(), "default");
    let status = json!({"status": {"conditions": [
        {"type": condition, "status": "True", "reason": "Told", "message": "by the test"}]}});
    jobs.patch_status(&job.name_any(), &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
}

fn job_metric() -> Value {
    json!({"name": "smoke", "provider": {"job": {"spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "test", "image": "smoke:1"}]}}}}}})
}

fn measurement(run: &Value) -> &Value {
    &run["status"]["metricResults"][0]["measurements"][0]
}

/// A server that answers every request with a text made of it, until the test ends.
async fn http(answer: impl Fn(&str) -> String + Send + 'static) -> String {
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

#[tokio::test]
async fn a_job_is_begun_once_and_its_end_is_the_verdict() {
    let world = World::start().await;
    world.create(json!({}), json!({"metrics": [job_metric()]})).await;
    let job = only_job(&world.management).await;
    let owner = &job.owner_references()[0];
    assert_eq!((owner.kind.as_str(), owner.name.as_str()), ("AnalysisRun", "run"));
    assert_eq!(job.labels()["analysisrun.argoproj.io/uid"], owner.uid);
    end_job(&world.management, &job, "Complete").await;
    let run = world.ended().await;
    assert_eq!(run["status"]["phase"], "Successful", "{run}");
    let measured = measurement(&run);
    assert_eq!(measured["metadata"]["job-name"], job.name_any());
    assert!(measured["finishedAt"].is_string() && measured["startedAt"].is_string());
    let jobs: Api<Job> = Api::namespaced(world.management.clone(), "default");
    assert_eq!(jobs.list(&ListParams::default()).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_job_runs_in_the_cluster_that_the_run_names() {
    let world = World::start().await;
    let cluster = BTreeMap::from([("name", "edge"), ("server", "https://edge.example")]);
    world.add_secret("edge", json!({"argocd.argoproj.io/secret-type": "cluster"}), cluster).await;
    world.create(json!({"okra.mumo.co/cluster": "edge"}), json!({"metrics": [job_metric()]})).await;
    let job = only_job(&world.member).await;
    assert!(job.owner_references().is_empty());
    end_job(&world.member, &job, "Failed").await;
    let run = world.ended().await;
    assert_eq!(run["status"]["phase"], "Failed", "{run}");
    assert_eq!(measurement(&run)["metadata"]["job-cluster"], "edge");
    let expected = format!("job {} failed: Told by the test", job.name_any());
    assert_eq!(measurement(&run)["message"], expected);
}

#[tokio::test]
async fn a_cluster_that_the_namespace_does_not_know_is_an_error() {
    let world = World::start().await;
    let plain = BTreeMap::from([("server", "https://edge.example")]);
    world.add_secret("plain", json!({}), plain).await;
    let mut metric = job_metric();
    metric["consecutiveErrorLimit"] = json!(0);
    world.create(json!({"okra.mumo.co/cluster": "plain"}), json!({"metrics": [metric]})).await;
    let run = world.ended().await;
    assert_eq!(run["status"]["phase"], "Error", "{run}");
    let message = measurement(&run)["message"].as_str().unwrap();
    assert!(message.contains("has no cluster secret of that name"), "{message}");
}

#[tokio::test]
async fn a_run_that_is_stopped_takes_its_job_with_it() {
    let world = World::start().await;
    world.create(json!({}), json!({"metrics": [job_metric()]})).await;
    let job = only_job(&world.management).await;
    let begun = async || {
        let run = serde_json::to_value(world.runs().get("run").await.ok()?).unwrap();
        measurement(&run)["metadata"]["job-name"].is_string().then_some(())
    };
    eventually("a measurement at work", begun).await;
    let stop = Patch::Merge(json!({"spec": {"terminate": true}}));
    world.runs().patch("run", &PatchParams::default(), &stop).await.unwrap();
    let run = world.ended().await;
    assert_eq!(measurement(&run)["message"], "Metric Terminated", "{run}");
    let jobs: Api<Job> = Api::namespaced(world.management.clone(), "default");
    eventually("the end of the job", async || match jobs.get_opt(&job.name_any()).await {
        // Foreground deletion leaves the rest to a controller that this API has not.
        Ok(None) => Some(()),
        Ok(Some(job)) => job.metadata.deletion_timestamp.map(|_| ()),
        Err(_) => None,
    })
    .await;
}

#[tokio::test]
async fn defect_07_a_run_that_cannot_begin_has_an_end_all_the_same() {
    let world = World::start().await;
    let metric = json!({"name": "m", "provider": {"web": {"url": "{{args.url}}"}}});
    world.create(json!({}), json!({"metrics": [metric], "args": [{"name": "url"}]})).await;
    let run = world.ended().await;
    assert_eq!(run["status"]["phase"], "Error");
    let message = "Unable to resolve metric arguments: argument \"url\" was not supplied";
    assert_eq!(run["status"]["message"], message);
    assert!(run["status"]["completedAt"].is_string(), "{run}");
}

#[tokio::test]
async fn defect_10_a_value_is_kept_when_its_condition_cannot_be_evaluated() {
    let world = World::start().await;
    let url = http(|_| "[5, 7]".to_owned()).await;
    let metric = json!({"name": "m", "consecutiveErrorLimit": 0, "successCondition": "result[9] > 1",
        "provider": {"web": {"url": url}}});
    world.create(json!({}), json!({"metrics": [metric]})).await;
    let run = world.ended().await;
    assert_eq!(
        (&measurement(&run)["phase"], &measurement(&run)["value"]),
        (&json!("Error"), &json!("[5,7]"))
    );
}

#[tokio::test]
async fn defect_14_no_secret_is_in_status_events_or_value() {
    let world = World::start().await;
    world.add_secret("token", json!({}), BTreeMap::from([("key", "hunter2-s3cret")])).await;
    // A server that repeats what it was told, as value and in an error.
    let echo = http(|request| {
        format!("\"{}\"", request.lines().find(|line| line.contains("hunter2")).unwrap_or(""))
    });
    let web = json!({"url": echo.await, "headers": [{"key": "x-token", "value": "{{args.token}}"}]});
    let graphite = json!({"address": "http://127.0.0.1:1", "query": "target={{args.token}}"});
    let spec = json!({
        "args": [{"name": "token", "valueFrom": {"secretKeyRef": {"name": "token", "key": "key"}}}],
        "metrics": [
            {"name": "echo", "successCondition": "result contains \"hunter2\"", "provider": {"web": web}},
            // Later, so that its error does not end the run before the other has spoken.
            {"name": "gone", "consecutiveErrorLimit": 0, "initialDelay": "1s", "provider": {"graphite": graphite}},
        ],
    });
    world.create(json!({}), spec).await;
    let run = world.ended().await;
    // The condition saw it; nobody else does.
    assert_eq!(run["status"]["metricResults"][0]["phase"], "Successful", "{run}");
    assert_eq!(measurement(&run)["value"], "\"x-token: *****\"");
    let events: Api<Event> = Api::namespaced(world.management.clone(), "default");
    let told =
        async || Some(events.list(&ListParams::default()).await.ok()?.items).filter(|told| !told.is_empty());
    let told = eventually("an event", told).await;
    let everything = format!("{run} {}", serde_json::to_string(&told).unwrap());
    // The condition in the spec names its first half.
    assert!(!everything.contains("s3cret"), "{everything}");
}

#[tokio::test]
async fn a_template_for_argo_rollouts_with_fields_of_okra_in_an_annotation_is_run() {
    let world = World::start().await;
    let url = http(|_| "1".to_owned()).await;
    let metric = json!({"name": "m", "successCondition": "result == 1", "provider": {"web": {"url": url}}});
    let annotation = |text: &str| json!({"okra.mumo.co/metrics": text});
    world.create(annotation(r#"{"m": {"providerRetryLimit": 9}}"#), json!({"metrics": [metric]})).await;
    let run = world.ended().await;
    let message = run["status"]["message"].as_str().unwrap();
    assert!(message.contains("providerRetryLimit must be a whole number from 0 to 5"), "{message}");
}
