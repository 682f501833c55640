//! A management API in this process, the controller, and load balancers in memory.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use kube::{Api, Client, ResourceExt as _};
use okra_api::aws_target_group::AWSTargetGroupStatus;
use okra_api::load_balancer::LoadBalancerConfigStatus;
use okra_api::{AWSApplicationLoadBalancerConfig, AWSTargetGroup};
use okra_apiserver::{Options, Server, Storage};
use okra_clock::{Clock, SharedClock, SystemClock, SystemEntropy};
use okra_controllers::fence::Fence;
use okra_controllers::{Context, Settings, load_balancer};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::fake::{Fake, group, listener};
use super::nothing::Nothing;

/// How long a test waits for a state before it fails.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at a state.
const LOOK: Duration = Duration::from_millis(5);

pub(crate) type Config = AWSApplicationLoadBalancerConfig;

/// All parts; what was started ends with it.
pub(crate) struct World {
    pub(crate) aws: Arc<Fake>,
    pub(crate) client: Client,
    pub(crate) fence: Fence,
    _server: Server,
    _stop: DropGuard,
}

/// A clock on which time flies, for limits that are waited out.
#[derive(Debug)]
pub(crate) struct FastClock(SystemClock);

/// How many times faster.
const FASTER: u32 = 40;

impl FastClock {
    pub(crate) fn shared() -> SharedClock {
        Arc::new(Self(SystemClock::new()))
    }
}

#[async_trait]
impl Clock for FastClock {
    fn now(&self) -> jiff::Timestamp {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic() * FASTER
    }

    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration / FASTER).await;
    }
}

impl World {
    /// A running controller that verifies and polls quickly; `blue` and
    /// `green` have a healthy target each.
    pub(crate) async fn start() -> Self {
        Self::start_on(SystemClock::shared()).await
    }

    /// The same on a clock of the test's own.
    pub(crate) async fn start_on(clock: SharedClock) -> Self {
        let server = Server::open(Options::new(Storage::Memory)).await.expect("a server in memory opens");
        let client = Client::new(server.in_process(), "default");
        install(&client).await;
        let aws = Arc::new(Fake::default());
        aws.set_healthy("blue", 1);
        aws.set_healthy("green", 1);
        let fence = Fence::sole(clock.clone());
        let mut settings = Settings::new("test");
        settings.sync_period = Duration::from_millis(100);
        settings.health_poll = Duration::from_millis(20);
        settings.health_poll_idle = Duration::from_millis(100);
        let context = Context {
            client: client.clone(),
            load_balancers: aws.clone(),
            targets: Arc::new(Nothing),
            clusters: Arc::new(Nothing),
            cloudwatch: Arc::new(Nothing),
            members: Arc::new(Nothing),
            clock,
            entropy: Arc::new(SystemEntropy::default()),
            settings: Arc::new(settings),
            region: None,
            fence: fence.clone(),
            metrics: Arc::default(),
        };
        let stop = CancellationToken::new();
        tokio::spawn(load_balancer::run(context, stop.clone()));
        Self { aws, client, fence, _server: server, _stop: stop.drop_guard() }
    }

    fn configs(&self) -> Api<Config> {
        Api::namespaced(self.client.clone(), "default")
    }

    pub(crate) async fn create(&self, name: &str, spec: Value) -> Config {
        self.create_with(name, json!({}), spec).await
    }

    pub(crate) async fn create_with(&self, name: &str, annotations: Value, spec: Value) -> Config {
        let config = json!({
            "apiVersion": "okra.mumo.co/v1alpha1", "kind": "AWSApplicationLoadBalancerConfig",
            "metadata": {"name": name, "annotations": annotations}, "spec": spec,
        });
        let config = serde_json::from_value(config).expect("a config");
        self.configs().create(&PostParams::default(), &config).await.expect("created")
    }

    pub(crate) async fn patch(&self, name: &str, patch: Value) -> Config {
        let params = PatchParams::default();
        self.configs().patch(name, &params, &Patch::Merge(patch)).await.expect("patched")
    }

    pub(crate) async fn delete(&self, name: &str) {
        self.configs().delete(name, &Default::default()).await.expect("deleted");
    }

    /// Waits until a config's status is as wanted at its present generation.
    pub(crate) async fn until(
        &self,
        name: &str,
        wanted: impl Fn(&LoadBalancerConfigStatus) -> bool,
    ) -> LoadBalancerConfigStatus {
        let mut last = None;
        let waiting = async {
            loop {
                let config = self.configs().get(name).await.expect("the config is there");
                if let Some(status) = &config.status
                    && wanted(status)
                {
                    return status.clone();
                }
                last = config.status;
                tokio::time::sleep(LOOK).await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(status) => status,
            Err(_) => panic!("{name} never became what was wanted; last: {last:#?}"),
        }
    }

    /// Waits until a config is confirmed with these weights.
    pub(crate) async fn until_updated(
        &self,
        name: &str,
        weights: &[(&str, i64)],
    ) -> LoadBalancerConfigStatus {
        let generation = self.configs().get(name).await.expect("the config is there").metadata.generation;
        self.until(name, |status| {
            status.phase.as_deref() == Some("Updated")
                && status.observed_generation == generation
                && status
                    .target_groups
                    .iter()
                    .map(|group| (group.name.as_str(), group.weight))
                    .eq(weights.iter().map(|(name, weight)| (*name, Some(*weight))))
        })
        .await
    }

    /// Waits until a config is in error for a reason.
    pub(crate) async fn until_error(&self, name: &str, reason: &str) -> String {
        let status = self
            .until(name, |status| {
                status.phase.as_deref() == Some("Error") && status.reason.as_deref() == Some(reason)
            })
            .await;
        status.message.unwrap_or_default()
    }

    /// Waits until something outside of the API is so.
    pub(crate) async fn eventually(&self, what: &str, wanted: impl Fn() -> bool) {
        let waiting = async {
            while !wanted() {
                tokio::time::sleep(LOOK).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "never: {what}");
    }

    /// Creates an AWSTargetGroup of this name.
    pub(crate) async fn create_group(&self, name: &str) {
        let object = json!({
            "apiVersion": "okra.mumo.co/v1alpha1", "kind": "AWSTargetGroup",
            "metadata": {"name": name}, "spec": {"arn": group(name).to_string()},
        });
        let api: Api<AWSTargetGroup> = Api::namespaced(self.client.clone(), "default");
        let object = serde_json::from_value(object).expect("a target group");
        api.create(&PostParams::default(), &object).await.expect("created");
    }

    /// Waits until an AWSTargetGroup is told this health.
    pub(crate) async fn until_told(&self, name: &str, healthy: i64) {
        let api: Api<AWSTargetGroup> = Api::namespaced(self.client.clone(), "default");
        let waiting = async {
            loop {
                let group = api.get(name).await.expect("the group is there");
                if group.status.and_then(|status| status.healthy_targets) == Some(healthy) {
                    return;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{name} was never told {healthy}");
    }

    /// Waits until an AWSTargetGroup's status is as wanted.
    pub(crate) async fn until_group(
        &self,
        name: &str,
        wanted: impl Fn(&AWSTargetGroupStatus) -> bool,
    ) -> AWSTargetGroupStatus {
        let api: Api<AWSTargetGroup> = Api::namespaced(self.client.clone(), "default");
        let waiting = async {
            loop {
                let status = api.get(name).await.expect("the group is there").status.unwrap_or_default();
                if wanted(&status) {
                    return status;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the group never became what was wanted")
    }

    /// Stores a config that does not fit its kind.
    pub(crate) async fn create_malformed(&self, name: &str) {
        let resource = kube::core::ApiResource::erase::<Config>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), "default", &resource);
        let object =
            DynamicObject::new(name, &resource).data(json!({"spec": {"listenerARN": listener().as_str()}}));
        let made = api.create(&PostParams::default(), &object).await.expect("created");
        assert!(made.uid().is_some());
    }

    /// Reasons of all events about an object, oldest first.
    pub(crate) async fn events(&self, name: &str) -> Vec<String> {
        let api: Api<k8s_openapi::api::events::v1::Event> = Api::namespaced(self.client.clone(), "default");
        let mut events = api.list(&ListParams::default()).await.expect("events").items;
        events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        let about = |event: &k8s_openapi::api::events::v1::Event| {
            event.regarding.as_ref().and_then(|object| object.name.clone()).as_deref() == Some(name)
        };
        events.into_iter().filter(about).filter_map(|event| event.reason).collect()
    }
}

/// A spec with these weights at priority 10 for example.com.
pub(crate) fn spec(weights: &[(&str, i64)]) -> Value {
    json!({
        "listenerARN": listener().as_str(),
        "listener": {"rule": {
            "priority": 10, "hosts": ["example.com"], "forward": {"targetGroups": entries(weights)},
        }},
    })
}

pub(crate) fn entries(weights: &[(&str, i64)]) -> Value {
    let entry =
        |(name, weight): &(&str, i64)| json!({"name": name, "arn": group(name).as_str(), "weight": weight});
    weights.iter().map(entry).collect()
}

/// A patch to these weights.
pub(crate) fn to(weights: &[(&str, i64)]) -> Value {
    json!({"spec": {"listener": {"rule": {"forward": {"targetGroups": entries(weights)}}}}})
}

async fn install(client: &Client) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in okra_api::crds() {
        api.create(&PostParams::default(), &definition).await.expect("a definition is accepted");
    }
    let served = async {
        let configs: Api<Config> = Api::all(client.clone());
        let groups: Api<AWSTargetGroup> = Api::all(client.clone());
        let cells: Api<okra_api::Cell> = Api::all(client.clone());
        let all = ListParams::default();
        while configs.list(&all).await.is_err()
            || groups.list(&all).await.is_err()
            || cells.list(&all).await.is_err()
        {
            tokio::time::sleep(LOOK).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, served).await.is_ok(), "the kinds are never served");
}
