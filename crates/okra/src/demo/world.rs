//! The world of the demo: one load balancer, clusters with an application
//! each, and the objects that let okra swap them. All of it is made through
//! the same calls that a user has (`spec/okra.md` 8).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::core::{DynamicObject, ObjectMeta};
use okra_api::foreign::cluster_secret::ClusterSecret;
use okra_api::foreign::target_group_binding::TargetGroupBinding;
use okra_api::{AWSTargetGroupSet, AnalysisTemplate, Cell};
use okra_aws::sdk::{NewTargetGroup, Sdk, SdkProvisioning};
use okra_aws::{ClusterDescription, ClusterStatus, Clusters as _, Scope};
use okra_clock::SharedClock;
use serde_json::json;

use super::backend::{Backend, Behaviour, HEALTH_PATH};
use crate::local::Local;

/// Namespace of everything in the management API.
pub const NAMESPACE: &str = "default";
/// Name of the Cell.
pub const CELL: &str = "web";
/// Host of the Cell's rule.
pub const HOST: &str = "web.example.com";
/// Applications behind each target group.
const BACKENDS_EACH: usize = 2;
/// A new member cluster is active within 2 s; more means that something broke.
const ACTIVE_LOOKS_MAX: usize = 400;
const ACTIVE_LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(25);

const SUBNETS: [&str; 2] = ["subnet-0a1b2c3d4e5f60718", "subnet-18071f6e5d4c3b2a0"];
const VPC: &str = "vpc-0a1b2c3d4e5f60718";

/// A cluster with its target group.
pub struct DemoCluster {
    /// Name of cluster and target group.
    pub name: String,
    /// ARN of the target group.
    pub target_group_arn: String,
    /// Ends with the value.
    _backends: Vec<Backend>,
}

/// The world.
pub struct World {
    management: kube::Client,
    sdk: Sdk,
    provisioning: SdkProvisioning,
    scope: Scope,
    clock: SharedClock,
    listener: String,
    address: SocketAddr,
}

impl World {
    /// A load balancer with one listener; no rule yet.
    ///
    /// # Errors
    /// When the region refuses a call.
    pub async fn build(local: &Local, sdk: Sdk, clock: SharedClock) -> anyhow::Result<Self> {
        let scope = Scope::own(okra_aws::Region::new(local.region_name()));
        let provisioning = sdk.provisioning(scope.clone());
        let listener = provisioning.load_balancer("web", &SUBNETS, 80).await.context("no load balancer")?;
        let balancers = local.region().load_balancers();
        let address = balancers
            .iter()
            .flat_map(|balancer| &balancer.listeners)
            .find(|one| one.arn == listener)
            .context("the region does not know its listener")?
            .address
            .as_deref()
            .context("the listener has no address")?
            .parse()
            .context("the listener has no address")?;
        Ok(Self {
            management: local.management().client(),
            sdk,
            provisioning,
            scope,
            clock,
            listener,
            address,
        })
    }

    /// Where clients reach the load balancer.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes a cluster, its applications and target group, and the cluster
    /// secret that Argo CD and okra know it by; okra sees its target group
    /// only after [`World::bind`].
    ///
    /// # Errors
    /// When the region or the API refuses a call.
    pub async fn add_cluster(&self, name: &str, behaviour: &Behaviour) -> anyhow::Result<DemoCluster> {
        let mut backends = Vec::new();
        for _ in 0..BACKENDS_EACH {
            backends.push(Backend::start(behaviour.clone()).await.context("no backend")?);
        }
        let group = NewTargetGroup {
            name: name.to_owned(),
            vpc: VPC.to_owned(),
            health_check_path: HEALTH_PATH.to_owned(),
            health_check_interval_seconds: 5,
            health_check_timeout_seconds: 2,
            deregistration_delay_seconds: 5,
            targets: backends.iter().map(Backend::address).collect(),
        };
        let arn =
            self.provisioning.target_group(&group).await.with_context(|| format!("target group {name}"))?;
        let tags = BTreeMap::from([("service".to_owned(), "web".to_owned())]);
        let role = "arn:aws:iam::123456789012:role/eks";
        self.provisioning
            .cluster(name, role, &SUBNETS, &tags)
            .await
            .with_context(|| format!("cluster {name}"))?;
        let cluster = self.active(name).await?;
        self.write_secret(&cluster).await?;
        Ok(DemoCluster { name: name.to_owned(), target_group_arn: arn, _backends: backends })
    }

    async fn active(&self, name: &str) -> anyhow::Result<ClusterDescription> {
        let clusters = self.sdk.clusters();
        for _ in 0..ACTIVE_LOOKS_MAX {
            let cluster = clusters.describe(&self.scope, name).await?;
            if cluster.status == ClusterStatus::Active {
                return Ok(cluster);
            }
            self.clock.sleep(ACTIVE_LOOK_EVERY).await;
        }
        anyhow::bail!("cluster {name} did not become active")
    }

    async fn write_secret(&self, cluster: &ClusterDescription) -> anyhow::Result<()> {
        let endpoint = cluster.endpoint.as_deref().context("an active cluster has an endpoint")?;
        let authority = cluster.certificate_authority.as_deref().context("an active cluster has a CA")?;
        let secret = ClusterSecret::of_eks(&cluster.name, endpoint, authority, None);
        let labels = BTreeMap::from([("service".to_owned(), "web".to_owned())]);
        let metadata =
            ObjectMeta { name: Some(cluster.name.clone()), labels: Some(labels), ..ObjectMeta::default() };
        let secrets: Api<Secret> = Api::namespaced(self.management.clone(), NAMESPACE);
        secrets
            .create(&PostParams::default(), &secret.to_secret(metadata))
            .await
            .context("cluster secret")?;
        Ok(())
    }

    /// Makes the TargetGroupBinding in the member cluster: from here on it is
    /// okra's turn.
    ///
    /// # Errors
    /// When the member refuses it.
    pub async fn bind(&self, local: &Local, cluster: &DemoCluster, version: &str) -> anyhow::Result<()> {
        let binding = json!({
            "apiVersion": "elbv2.k8s.aws/v1beta1", "kind": "TargetGroupBinding",
            "metadata": {"name": CELL, "labels": {"role": "web", okra_api::names::LABEL_VERSION: version}},
            "spec": {
                "targetGroupARN": cluster.target_group_arn, "targetType": "ip",
                "serviceRef": {"name": "web", "port": 80},
            },
        });
        let binding: TargetGroupBinding =
            serde_json::from_value(binding).context("the demo's own binding")?;
        let bindings: Api<TargetGroupBinding> =
            Api::namespaced(local.members().client(&cluster.name).await?, NAMESPACE);
        bindings.create(&PostParams::default(), &binding).await.context("TargetGroupBinding")?;
        Ok(())
    }

    /// The objects that a user would apply with kubectl.
    ///
    /// # Errors
    /// When the API refuses one.
    pub async fn apply_manifests(&self, endpoint: &str) -> anyhow::Result<()> {
        for manifest in manifests(&self.listener, endpoint) {
            let object: DynamicObject =
                serde_json::from_value(manifest).context("the demo's own manifest")?;
            let name = object.metadata.name.clone().context("a manifest has a name")?;
            let kind = object.types.as_ref().map(|types| types.kind.clone()).unwrap_or_default();
            let api: Api<DynamicObject> =
                Api::namespaced_with(self.management.clone(), NAMESPACE, &resource_of(&kind));
            api.patch(&name, &PatchParams::apply("okra-demo"), &Patch::Apply(&object))
                .await
                .with_context(|| format!("{kind} {name}"))?;
        }
        Ok(())
    }

    /// The Cells of the demo's namespace.
    pub fn cells(&self) -> Api<Cell> {
        Api::namespaced(self.management.clone(), NAMESPACE)
    }

    /// The management API.
    pub fn management(&self) -> kube::Client {
        self.management.clone()
    }
}

fn resource_of(kind: &str) -> kube::core::ApiResource {
    match kind {
        "Cell" => kube::core::ApiResource::erase::<Cell>(&()),
        "AWSTargetGroupSet" => kube::core::ApiResource::erase::<AWSTargetGroupSet>(&()),
        _ => kube::core::ApiResource::erase::<AnalysisTemplate>(&()),
    }
}

/// What a user would apply; the values of the demo are those of `spec/okra.md` 8.
fn manifests(listener: &str, endpoint: &str) -> [serde_json::Value; 3] {
    let statistics =
        format!("{endpoint}/_okra/statistics/targetgroups/{{{{args.okra.canary.targetGroups}}}}?seconds=1");
    let template = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": "error-share"},
        "spec": {"metrics": [{
            "name": "error-share", "interval": "1s", "count": 5, "failureLimit": 1,
            "successCondition": "result < 0.05",
            "provider": {"web": {"url": statistics, "jsonPath": "{$.error_share}", "timeoutSeconds": 2}},
        }]},
    });
    let set = json!({
        "apiVersion": "okra.mumo.co/v1alpha1", "kind": "AWSTargetGroupSet",
        "metadata": {"name": "web"},
        "spec": {
            "generators": [{"awseks": {
                "clusterSelector": {"matchLabels": {"service": "web"}},
                "bindingSelector": {"matchLabels": {"role": "web"}},
            }}],
            "template": {"metadata": {"labels": {"role": "web"}}},
        },
    });
    let cell = json!({
        "apiVersion": "okra.mumo.co/v1alpha1", "kind": "Cell",
        "metadata": {"name": CELL},
        "spec": {
            "replicas": 2,
            "ingress": {
                "type": "AWSApplicationLoadBalancer",
                "awsApplicationLoadBalancer": {
                    "listenerARN": listener,
                    "listener": {"rule": {"priority": 10, "hosts": [HOST]}},
                    "targetGroupSelector": {"matchLabels": {"role": "web"}},
                },
            },
            "updateStrategy": {
                "type": "Canary", "settleSeconds": 2, "drainSeconds": 5,
                "canary": {"weightMode": "Absolute", "steps": [
                    {"setWeight": 10}, {"pause": {"duration": "4s"}},
                    {"setWeight": 50}, {"pause": {"duration": "4s"}},
                    {"analysis": {"templates": [{"templateName": "error-share"}]}},
                ]},
            },
            "retirementGates": {"quietSeconds": 5},
        },
    });
    [template, set, cell]
}
