//! A world in local mode, built as a user would: with boto3 and kubectl.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::backend::Backend;
use crate::clients;
use crate::process::LocalMode;

/// Namespace of everything that the tests make.
pub const NAMESPACE: &str = "default";
/// Host that the Cell's rule matches.
pub const HOST: &str = "web.example.com";

/// One cluster with its target group and application.
pub struct MemberCluster {
    /// Name of cluster, target group and binding.
    pub name: String,
    /// ARN of the target group.
    pub target_group: String,
    /// The application; ends with the value.
    pub backend: Backend,
}

/// A load balancer and what is behind it.
pub struct World {
    /// ARN of the listener.
    pub listener: String,
    /// Where it really listens.
    pub address: SocketAddr,
}

/// Who calls AWS: variables over those of local mode's administrator.
#[derive(Clone, Debug, Default)]
pub struct Principal(BTreeMap<String, String>);

impl Principal {
    /// A session of a role of the account.
    ///
    /// # Panics
    /// When STS refuses it.
    pub fn assume(local: &LocalMode, role: &str) -> Self {
        let arn = format!("arn:aws:iam::123456789012:role/{role}");
        let answer = aws(
            local,
            &Self::default(),
            &["sts", "assume-role", "--role-arn", &arn, "--role-session-name", "tests"],
        );
        let variable = |name: &str, key: &str| {
            (name.to_owned(), answer["Credentials"][key].as_str().expect("credentials").to_owned())
        };
        Self(BTreeMap::from([
            variable("AWS_ACCESS_KEY_ID", "AccessKeyId"),
            variable("AWS_SECRET_ACCESS_KEY", "SecretAccessKey"),
            variable("AWS_SESSION_TOKEN", "SessionToken"),
        ]))
    }
}

/// Runs the `aws` command and gives what it prints.
///
/// # Panics
/// When AWS refuses, with its answer.
pub fn aws(local: &LocalMode, who: &Principal, arguments: &[&str]) -> Value {
    let output = local
        .command(clients::aws())
        .envs(&who.0)
        .args(arguments)
        .args(["--output", "json"])
        .output()
        .expect("aws runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

/// Runs the boto3 script as the administrator.
///
/// # Panics
/// When AWS refuses, with its answer.
pub fn boto(local: &LocalMode, request: &Value) -> Value {
    boto_as(local, &Principal::default(), request)
}

fn boto_as(local: &LocalMode, who: &Principal, request: &Value) -> Value {
    let mut child = local
        .command(clients::python())
        .envs(&who.0)
        .args(["-c", include_str!("world.py")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python runs");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(request.to_string().as_bytes()).expect("the script reads its request");
    drop(stdin);
    let output = child.wait_with_output().expect("the script ends");
    assert!(output.status.success(), "{request}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}

impl World {
    /// A load balancer with one HTTP listener, and the namespace.
    pub fn build(local: &LocalMode) -> Self {
        let made = boto(local, &json!({"do": "load_balancer", "name": "web", "port": 80}));
        let address = made["address"].as_str().expect("an address").parse().expect("a socket address");
        Self { listener: made["listener"].as_str().expect("an ARN").to_owned(), address }
    }

    /// A cluster with one target, its cluster secret and its binding.
    pub fn add_cluster(&self, local: &LocalMode, name: &str, version: &str) -> MemberCluster {
        let backend = Backend::start(version);
        let administrator = Principal::default();
        let target_group = self.add_cluster_of(local, &administrator, name, version, &[backend.address()]);
        MemberCluster { name: name.to_owned(), target_group, backend }
    }

    /// A cluster with these targets, made by this principal; gives the ARN of
    /// its target group.
    pub fn add_cluster_of(
        &self,
        local: &LocalMode,
        who: &Principal,
        name: &str,
        version: &str,
        targets: &[SocketAddr],
    ) -> String {
        let targets: Vec<String> = targets.iter().map(SocketAddr::to_string).collect();
        let group = boto_as(local, who, &json!({"do": "target_group", "name": name, "targets": targets}));
        let group = group["arn"].as_str().expect("an ARN").to_owned();
        let cluster =
            boto_as(local, who, &json!({"do": "cluster", "name": name, "tags": {"service": "web"}}));
        local.apply(&[cluster_secret(name, &cluster)]);
        bind(local, who, name, version, &group);
        group
    }

    /// The rule that okra writes, as AWS has it now.
    pub fn rule(&self, local: &LocalMode) -> Option<Value> {
        let rules = boto(local, &json!({"do": "rules", "listener": self.listener}));
        rules.as_array().expect("a list").iter().find(|rule| rule["priority"] == "10").cloned()
    }
}

/// The Argo CD cluster secret of an EKS cluster.
fn cluster_secret(name: &str, cluster: &Value) -> Value {
    let config = json!({
        "awsAuthConfig": {"clusterName": name},
        "tlsClientConfig": {"insecure": false, "caData": cluster["ca"]},
    });
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": name, "namespace": NAMESPACE,
            "labels": {"argocd.argoproj.io/secret-type": "cluster", "service": "web"},
        },
        "stringData": {"name": name, "server": cluster["endpoint"], "config": config.to_string()},
    })
}

/// Makes the TargetGroupBinding in the member cluster, logging in as `aws eks get-token` does.
fn bind(local: &LocalMode, who: &Principal, cluster: &str, version: &str, group: &str) {
    let kubeconfig = local.home().join(format!("{cluster}.kubeconfig"));
    let path = kubeconfig.to_string_lossy().into_owned();
    aws(local, who, &["eks", "update-kubeconfig", "--name", cluster, "--kubeconfig", &path]);
    let binding = json!({
        "apiVersion": "elbv2.k8s.aws/v1beta1", "kind": "TargetGroupBinding",
        "metadata": {
            "name": "web", "namespace": "default", "labels": {"role": "web", "okra.mumo.co/version": version},
        },
        "spec": {
            "targetGroupARN": group, "targetType": "ip", "serviceRef": {"name": "web", "port": 80},
        },
    });
    let file = local.home().join(format!("{cluster}.json"));
    std::fs::write(&file, binding.to_string()).expect("a manifest can be written");
    let output = local
        .command(clients::kubectl())
        .envs(&who.0)
        .env("KUBECONFIG", &kubeconfig)
        .args(["apply", "-f"])
        .arg(&file)
        .output()
        .expect("kubectl runs");
    assert!(output.status.success(), "binding in {cluster}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What lets okra find target groups in the member clusters.
pub fn target_group_set() -> Value {
    json!({
        "apiVersion": "okra.mumo.co/v1alpha1", "kind": "AWSTargetGroupSet",
        "metadata": {"name": "web", "namespace": NAMESPACE},
        "spec": {
            "generators": [{"awseks": {
                "clusterSelector": {"matchLabels": {"service": "web"}},
                "bindingSelector": {"matchLabels": {"role": "web"}},
            }}],
            "template": {"metadata": {"labels": {"role": "web"}}},
        },
    })
}

/// A Cell on the world's listener with these canary steps.
pub fn cell(world: &World, replicas: u32, steps: &Value) -> Value {
    json!({
        "apiVersion": "okra.mumo.co/v1alpha1", "kind": "Cell",
        "metadata": {"name": "web", "namespace": NAMESPACE},
        "spec": {
            "replicas": replicas,
            "ingress": {
                "type": "AWSApplicationLoadBalancer",
                "awsApplicationLoadBalancer": {
                    "listenerARN": world.listener,
                    "listener": {"rule": {"priority": 10, "hosts": [HOST]}},
                    "targetGroupSelector": {"matchLabels": {"role": "web"}},
                },
            },
            "updateStrategy": {
                "type": "Canary", "settleSeconds": 1, "drainSeconds": 2,
                "canary": {"steps": steps},
            },
        },
    })
}
