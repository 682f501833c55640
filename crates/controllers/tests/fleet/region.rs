//! The embedded region, with an embedded API server behind each EKS cluster
//! that judges tokens by asking the region's STS.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt as _};
use okra_api::foreign::target_group_binding::{TargetGroupBinding, crd};
use okra_apiserver::{Options, Server, Serving, Storage, TokenAuthenticator, User};
use okra_aws::sdk::{AccessKey, Budget, NewTargetGroup, Sdk, SdkSettings, StaticKeys, Unobserved};
use okra_aws::{Clusters as _, Region, Scope};
use okra_clock::{SystemClock, SystemEntropy};
use okra_controllers::secret_members::SecretMembers;
use okra_domain::TargetGroupArn;
use okra_region::{
    Authenticator, ClusterEndpoint, ClusterProvisioner, ClusterRequest, DEFAULT_ACCESS_KEY_ID,
    DEFAULT_SECRET_ACCESS_KEY, ProvisionError,
};
use serde_json::{Value, json};

use crate::world::{Ports, World, management, until};

pub(crate) const SUBNETS: [&str; 2] = ["subnet-0a1b2c3d", "subnet-1a2b3c4d"];

/// A region, its members, a management API and the controllers.
pub(crate) struct RegionWorld {
    pub(crate) world: World,
    pub(crate) sdk: Sdk,
    pub(crate) scope: Scope,
    pub(crate) region: okra_region::Region,
    members: Arc<Members>,
}

/// API servers of member clusters.
#[derive(Default)]
struct Members {
    running: Mutex<BTreeMap<String, (Server, Serving)>>,
    judge: Arc<OnceLock<Authenticator>>,
}

impl std::fmt::Debug for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Members")
    }
}

struct Tokens {
    cluster: String,
    judge: Arc<OnceLock<Authenticator>>,
}

#[async_trait]
impl TokenAuthenticator for Tokens {
    async fn authenticate(&self, token: &str) -> Option<User> {
        let access = self.judge.get()?.authenticate(&self.cluster, token).ok()?;
        Some(User { name: access.username, groups: access.groups, ..User::default() })
    }
}

#[async_trait]
impl ClusterProvisioner for Members {
    async fn create(&self, cluster: &ClusterRequest) -> Result<ClusterEndpoint, ProvisionError> {
        let tokens = Tokens { cluster: cluster.name.clone(), judge: self.judge.clone() };
        let options =
            Options { token_authenticator: Some(Arc::new(tokens)), ..Options::new(Storage::Memory) };
        let server = Server::open(options).await.expect("a server in memory opens");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let serving = server.serve(listener).await.expect("it serves");
        let endpoint = ClusterEndpoint {
            endpoint_url: format!("https://{}", serving.local_address()),
            certificate_authority_pem: server.certificate_authority_pem().to_owned(),
        };
        self.running.lock().unwrap().insert(cluster.name.clone(), (server, serving));
        Ok(endpoint)
    }

    async fn set_version(&self, _: &str, _: &str) -> Result<(), ProvisionError> {
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<(), ProvisionError> {
        let ended = self.running.lock().unwrap().remove(name);
        if let Some((server, serving)) = ended {
            serving.stop().await;
            server.shutdown().await;
        }
        Ok(())
    }
}

impl RegionWorld {
    pub(crate) async fn start() -> Self {
        let members = Arc::new(Members::default());
        let options = okra_region::Options::new(members.clone());
        let region = okra_region::Region::start(options).await.expect("a region");
        assert!(members.judge.set(region.authenticator()).is_ok());
        let settings = SdkSettings {
            endpoint_url: Some(region.endpoint()),
            region: Some(Region::new("us-east-1")),
            forced_profile: None,
            access_key: Some(AccessKey {
                id: DEFAULT_ACCESS_KEY_ID.to_owned(),
                secret: DEFAULT_SECRET_ACCESS_KEY.to_owned(),
            }),
            static_keys: StaticKeys::LoopbackOnly,
            budget: Budget::Off,
        };
        let entropy = Arc::new(SystemEntropy::default());
        let sdk = Sdk::load(settings, SystemClock::shared(), entropy, Arc::new(Unobserved)).await;
        let (server, client) = management().await;
        let load_balancers = Arc::new(sdk.load_balancers());
        let own = Some(Region::new("us-east-1"));
        let ports = Ports {
            clusters: Arc::new(sdk.clusters()),
            load_balancers: load_balancers.clone(),
            targets: load_balancers,
            members: Arc::new(SecretMembers::new(
                client.clone(),
                Arc::new(sdk.identity()),
                own.clone(),
                false,
            )),
            region: own,
        };
        let world = World::start_on(server, client, ports, Duration::from_millis(200)).await;
        Self { world, sdk, scope: Scope::own(Region::new("us-east-1")), region, members }
    }

    /// An EKS cluster that serves TargetGroupBindings.
    pub(crate) async fn cluster(&self, name: &str, tags: &[(&str, &str)]) {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let provisioning = self.sdk.provisioning(self.scope.clone());
        let role = "arn:aws:iam::123456789012:role/eks";
        provisioning.cluster(name, role, &SUBNETS, &tags).await.expect("a cluster");
        until("the cluster is active", || async {
            let cluster = self.sdk.clusters().describe(&self.scope, name).await.expect("described");
            (cluster.status == okra_aws::ClusterStatus::Active).then_some(())
        })
        .await;
        let member = self.member(name);
        let api: Api<CustomResourceDefinition> = Api::all(member.clone());
        api.create(&PostParams::default(), &crd()).await.expect("accepted");
        let bindings: Api<TargetGroupBinding> = Api::all(member);
        until("the kind is served", || async { bindings.list(&ListParams::default()).await.ok() }).await;
    }

    /// An administrator's client of a member, without a network.
    pub(crate) fn member(&self, name: &str) -> Client {
        let running = self.members.running.lock().unwrap();
        Client::new(running[name].0.in_process(), "default")
    }

    /// Lets a group of a member read TargetGroupBindings, and nothing else.
    pub(crate) async fn let_read(&self, cluster: &str, group: &str) {
        let role: ClusterRole = serde_json::from_value(json!({
            "metadata": {"name": "okra-reader"},
            "rules": [{
                "apiGroups": ["elbv2.k8s.aws"], "resources": ["targetgroupbindings"],
                "verbs": ["get", "list", "watch"],
            }],
        }))
        .expect("a role");
        let binding: ClusterRoleBinding = serde_json::from_value(json!({
            "metadata": {"name": "okra-reader"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "okra-reader"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}],
        }))
        .expect("a binding");
        let params = PostParams::default();
        Api::<ClusterRole>::all(self.member(cluster)).create(&params, &role).await.expect("created");
        Api::<ClusterRoleBinding>::all(self.member(cluster))
            .create(&params, &binding)
            .await
            .expect("created");
    }

    /// Cuts a member off: nobody listens at its address any more.
    pub(crate) async fn cut_off(&self, name: &str) {
        let (server, serving) = self.members.running.lock().unwrap().remove(name).expect("it runs");
        serving.stop().await;
        server.shutdown().await;
    }

    /// A TargetGroupBinding in a member.
    pub(crate) async fn bind(&self, cluster: &str, name: &str, labels: Value, group: &TargetGroupArn) {
        let binding = json!({
            "apiVersion": "elbv2.k8s.aws/v1beta1", "kind": "TargetGroupBinding",
            "metadata": {"name": name, "labels": labels},
            "spec": {"targetGroupARN": group.as_str(), "targetType": "ip", "serviceRef": {"name": "web", "port": 80}},
        });
        let api: Api<TargetGroupBinding> = Api::namespaced(self.member(cluster), "default");
        let binding: TargetGroupBinding = serde_json::from_value(binding).expect("a binding");
        api.patch(&binding.name_any(), &PatchParams::apply("test").force(), &Patch::Apply(&binding))
            .await
            .expect("bound");
    }

    pub(crate) async fn unbind(&self, cluster: &str, name: &str) {
        let api: Api<TargetGroupBinding> = Api::namespaced(self.member(cluster), "default");
        api.delete(name, &Default::default()).await.expect("deleted");
    }

    /// A target group of addresses without targets.
    pub(crate) async fn group(&self, name: &str) -> TargetGroupArn {
        let group = NewTargetGroup {
            name: name.to_owned(),
            vpc: "vpc-0a1b2c3d".to_owned(),
            health_check_path: "/".to_owned(),
            health_check_interval_seconds: 5,
            health_check_timeout_seconds: 2,
            deregistration_delay_seconds: 0,
            targets: Vec::new(),
        };
        self.sdk
            .provisioning(self.scope.clone())
            .target_group(&group)
            .await
            .expect("made")
            .parse()
            .expect("an ARN")
    }
}
