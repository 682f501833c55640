//! A management API in this process and the controllers.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::{DynamicObject, NamespaceResourceScope};
use kube::{Api, Client, Resource, ResourceExt as _};
use okra_api::{AWSTargetGroup, AWSTargetGroupBinding, AWSTargetGroupSet, ClusterSet};
use okra_apiserver::{Options, Server, Storage};
use okra_aws::{
    AwsError, Clusters, Listener, LoadBalancers, NewRule, Region, Rule, RuleChange, Tags, TargetGroup,
    TargetHealth, Targets, Write,
};
use okra_clock::{SystemClock, SystemEntropy};
use okra_controllers::fence::Fence;
use okra_controllers::members::MemberClients;
use okra_controllers::metrics::Metrics;
use okra_controllers::{Context, Settings, cluster_set, target_group_binding, target_group_set};
use okra_domain::{ListenerArn, RuleArn, TargetGroupArn};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::nothing::{Nothing, UNASKED};

/// How long a test waits for a state before it fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a state.
const LOOK: Duration = Duration::from_millis(10);

pub(crate) const NAMESPACE: &str = "default";

/// What is behind the controllers.
pub(crate) struct Ports {
    pub(crate) clusters: Arc<dyn Clusters>,
    pub(crate) load_balancers: Arc<dyn LoadBalancers>,
    pub(crate) targets: Arc<dyn Targets>,
    pub(crate) members: Arc<dyn MemberClients>,
    pub(crate) region: Option<Region>,
}

impl Ports {
    /// Clusters alone: who asks for anything else fails the test.
    pub(crate) fn of(clusters: Arc<dyn Clusters>) -> Self {
        Self {
            clusters,
            load_balancers: Arc::new(Nothing),
            targets: Arc::new(Nothing),
            members: Arc::new(Nothing),
            region: Some(Region::new("eu-west-1")),
        }
    }
}

/// All parts; what was started ends with it.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) metrics: Arc<Metrics>,
    _server: Server,
    _stop: DropGuard,
}

/// A management API with okra's kinds.
pub(crate) async fn management() -> (Server, Client) {
    let server = Server::open(Options::new(Storage::Memory)).await.expect("a server in memory opens");
    let client = Client::new(server.in_process(), NAMESPACE);
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in okra_api::crds() {
        api.create(&PostParams::default(), &definition).await.expect("a definition is accepted");
    }
    let all = ListParams::default();
    until("the kinds are served", || async {
        let sets = Api::<ClusterSet>::all(client.clone()).list(&all).await.is_ok();
        let groups = Api::<AWSTargetGroup>::all(client.clone()).list(&all).await.is_ok();
        let group_sets = Api::<AWSTargetGroupSet>::all(client.clone()).list(&all).await.is_ok();
        let bindings = Api::<AWSTargetGroupBinding>::all(client.clone()).list(&all).await.is_ok();
        (sets && groups && group_sets && bindings).then_some(())
    })
    .await;
    (server, client)
}

/// Looks until there is something.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    let waiting = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(found) => found,
        Err(_) => panic!("never: {what}"),
    }
}

impl World {
    /// Running controllers that look every 100 ms.
    pub(crate) async fn start(ports: Ports) -> Self {
        let (server, client) = management().await;
        Self::start_on(server, client, ports, Duration::from_millis(100)).await
    }

    /// The same on a management API that is there, with another period.
    pub(crate) async fn start_on(server: Server, client: Client, ports: Ports, period: Duration) -> Self {
        let mut settings = Settings::new("test");
        settings.sync_period = period;
        settings.health_poll = Duration::from_millis(20);
        let clock = SystemClock::shared();
        let metrics = Arc::new(Metrics::new());
        let context = Context {
            client: client.clone(),
            load_balancers: ports.load_balancers,
            targets: ports.targets,
            clusters: ports.clusters,
            cloudwatch: Arc::new(Nothing),
            region: ports.region,
            members: ports.members,
            fence: Fence::sole(clock.clone()),
            clock,
            entropy: Arc::new(SystemEntropy::default()),
            settings: Arc::new(settings),
            metrics: metrics.clone(),
        };
        let stop = CancellationToken::new();
        tokio::spawn(cluster_set::run(context.clone(), stop.clone()));
        tokio::spawn(target_group_set::run(context.clone(), stop.clone()));
        tokio::spawn(target_group_binding::run(context, stop.clone()));
        Self { client, metrics, _server: server, _stop: stop.drop_guard() }
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// Creates an object of one of okra's kinds.
    pub(crate) async fn create<K>(&self, name: &str, spec: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned
            + serde::Serialize,
    {
        self.create_with(json!({"name": name}), spec).await
    }

    pub(crate) async fn create_with<K>(&self, metadata: Value, spec: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned
            + serde::Serialize,
    {
        let object = json!({
            "apiVersion": K::api_version(&()), "kind": K::kind(&()), "metadata": metadata, "spec": spec,
        });
        let object = serde_json::from_value(object).expect("an object of the kind");
        self.api::<K>().create(&PostParams::default(), &object).await.expect("created")
    }

    pub(crate) async fn patch<K>(&self, name: &str, patch: Value)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        self.api::<K>().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.expect("patched");
    }

    pub(crate) async fn delete<K>(&self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        self.api::<K>().delete(name, &DeleteParams::default()).await.expect("deleted");
    }

    /// Waits until a status is as wanted, and gives it.
    pub(crate) async fn until_status<K>(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        let resource = kube::core::ApiResource::erase::<K>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), NAMESPACE, &resource);
        let last = std::sync::Mutex::new(Value::Null);
        let looking = until(name, || async {
            let object = api.get(name).await.expect("the object is there");
            let status = object.data["status"].clone();
            last.lock().unwrap().clone_from(&status);
            wanted(&status).then_some(status)
        });
        match tokio::time::timeout(PATIENCE - Duration::from_secs(1), looking).await {
            Ok(status) => status,
            Err(_) => panic!("{name} never became what was wanted; last: {:#}", last.lock().unwrap()),
        }
    }

    /// Waits until a status has this reason.
    pub(crate) async fn until_reason<K>(&self, name: &str, reason: &str) -> Value
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        self.until_status::<K>(name, |status| status["reason"] == reason).await
    }

    /// All cluster secrets by name.
    pub(crate) async fn secrets(&self) -> Vec<Secret> {
        self.secrets_in(NAMESPACE).await
    }

    pub(crate) async fn secrets_in(&self, namespace: &str) -> Vec<Secret> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let list = ListParams::default().labels("argocd.argoproj.io/secret-type=cluster");
        let mut secrets = api.list(&list).await.expect("listed").items;
        secrets.sort_by_key(kube::ResourceExt::name_any);
        secrets
    }

    pub(crate) async fn secret_names(&self) -> Vec<String> {
        self.secrets().await.iter().map(kube::ResourceExt::name_any).collect()
    }

    pub(crate) async fn until_secrets(&self, names: &[&str]) {
        until(&format!("secrets {names:?}"), || async { (self.secret_names().await == names).then_some(()) })
            .await;
    }

    pub(crate) async fn secret(&self, name: &str) -> Secret {
        self.api::<Secret>().get(name).await.expect("the secret is there")
    }

    /// A secret of somebody else's.
    pub(crate) async fn put_secret(&self, name: &str, labels: Value, data: Value) -> Secret {
        let secret = json!({"metadata": {"name": name, "labels": labels}, "data": encoded(&data)});
        let secret = serde_json::from_value(secret).expect("a secret");
        self.api::<Secret>().create(&PostParams::default(), &secret).await.expect("created")
    }

    /// Reasons of all events about an object, oldest first.
    pub(crate) async fn events(&self, name: &str) -> Vec<String> {
        let api: Api<k8s_openapi::api::events::v1::Event> = Api::namespaced(self.client.clone(), NAMESPACE);
        let mut events = api.list(&ListParams::default()).await.expect("events").items;
        events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        let about = |event: &k8s_openapi::api::events::v1::Event| {
            event.regarding.as_ref().and_then(|object| object.name.clone()).as_deref() == Some(name)
        };
        events.into_iter().filter(about).filter_map(|event| event.reason).collect()
    }

    /// Waits until something was told in events, in this order.
    pub(crate) async fn until_events(&self, name: &str, reasons: &[&str]) {
        until(&format!("events {reasons:?}"), || async {
            (self.events(name).await == reasons).then_some(())
        })
        .await;
    }

    /// Waits until something was told in an event.
    pub(crate) async fn until_event(&self, name: &str, reason: &str) {
        until(reason, || async { self.events(name).await.iter().any(|told| told == reason).then_some(()) })
            .await;
    }

    /// The AWSTargetGroups by name.
    pub(crate) async fn groups(&self) -> Vec<AWSTargetGroup> {
        let mut groups =
            self.api::<AWSTargetGroup>().list(&ListParams::default()).await.expect("listed").items;
        groups.sort_by_key(kube::ResourceExt::name_any);
        groups
    }

    pub(crate) async fn until_groups(&self, names: &[&str]) {
        until(&format!("target groups {names:?}"), || async {
            let found: Vec<String> = self.groups().await.iter().map(|group| group.name_any()).collect();
            (found == names).then_some(())
        })
        .await;
    }
}

/// Texts as the `data` of a secret holds them.
pub(crate) fn encoded(texts: &Value) -> Value {
    let one = |(key, text): (&String, &Value)| {
        let bytes = text.as_str().expect("a text").as_bytes().to_vec();
        (key.clone(), json!(k8s_openapi::ByteString(bytes)))
    };
    texts.as_object().expect("texts by key").iter().map(one).collect()
}

#[async_trait]
impl LoadBalancers for Nothing {
    async fn listener(&self, _: &ListenerArn) -> Result<Listener, AwsError> {
        unreachable!("{UNASKED}")
    }

    async fn rules(&self, _: &ListenerArn) -> Result<Vec<Rule>, AwsError> {
        unreachable!("{UNASKED}")
    }

    async fn rules_by_arn(&self, _: &[RuleArn]) -> Result<Vec<Rule>, AwsError> {
        unreachable!("{UNASKED}")
    }

    async fn create_rule(&self, _: Write<'_>, _: &NewRule) -> Result<Rule, AwsError> {
        unreachable!("{UNASKED}")
    }

    async fn modify_rule(&self, _: Write<'_>, _: &RuleArn, _: &RuleChange) -> Result<Rule, AwsError> {
        unreachable!("{UNASKED}")
    }

    async fn delete_rule(&self, _: Write<'_>, _: &RuleArn) -> Result<(), AwsError> {
        unreachable!("{UNASKED}")
    }

    async fn tags(&self, _: &[String]) -> Result<std::collections::BTreeMap<String, Tags>, AwsError> {
        unreachable!("{UNASKED}")
    }

    async fn add_tags(&self, _: Write<'_>, _: &str, _: &Tags) -> Result<(), AwsError> {
        unreachable!("{UNASKED}")
    }

    async fn target_health(&self, _: &TargetGroupArn) -> Result<Vec<TargetHealth>, AwsError> {
        unreachable!("{UNASKED}")
    }

    async fn target_groups(&self, _: &[TargetGroupArn]) -> Result<Vec<TargetGroup>, AwsError> {
        unreachable!("{UNASKED}")
    }
}
