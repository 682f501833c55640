//! `okra install --print`: the manifests that run okra in a cluster.

mod permissions;
#[cfg(test)]
mod recorded;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use crate::output::{self, Exit, Format};

/// Name of everything that is installed.
const NAME: &str = "okra";
/// Port of metrics and probes.
const PORT: u16 = 8080;
/// The user that the container runs as; it is nobody's on the node.
const USER_ID: i64 = 65_532;
/// Time for the last reconciles and for letting go of the lease after SIGTERM.
const GRACE_SECONDS: i64 = 30;

/// Flags of `okra install`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  okra install --print | kubectl apply --server-side -f -\n  \
    okra install --print --region eu-west-1 --role-arn $ROLE_ARN\n  \
    okra install --print --watch-namespace argocd > okra.yaml\n\n\
    Printed are the namespace, the custom resource definitions, a service account with what \
    the controllers ask for and no more, two replicas of which one leads, and a disruption budget. \
    okra reads cluster secrets wherever it watches: --watch-namespace keeps it to one namespace, and its \
    rights too.")]
pub struct InstallArgs {
    /// Print the manifests; okra itself changes nothing
    #[arg(long, required = true)]
    print: bool,
    /// Namespace of the controllers
    #[arg(long, short = 'n', value_name = "NAME", default_value = "okra-system")]
    namespace: String,
    /// Image of okra
    #[arg(long, value_name = "IMAGE", default_value = concat!("ghcr.io/mumoshu/okra:", env!("CARGO_PKG_VERSION")))]
    image: String,
    /// How many controllers run; one leads, the others wait
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=9))]
    replicas: u16,
    /// AWS region [default: that of the instance or the pod's identity]
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
    /// IAM role of the service account (IRSA); not needed with EKS Pod Identity
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,
    /// Work in this namespace only
    #[arg(long, value_name = "NAME")]
    watch_namespace: Option<String>,
    /// Leave out the definitions of the analysis kinds, where Argo Rollouts has installed its own
    #[arg(long)]
    no_analysis_crds: bool,
    /// Further flag of the controller-manager, as --arg=--sync-period=20s
    #[arg(long = "arg", value_name = "FLAG", allow_hyphen_values = true)]
    arguments: Vec<String>,
    /// How to print it
    #[arg(long, short = 'o', default_value = "yaml")]
    output: Format,
}

/// Prints the manifests.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(args: &InstallArgs) -> anyhow::Result<Exit> {
    let objects = objects(args)?;
    let text = match args.output {
        Format::Json => output::json(&json!({"apiVersion": "v1", "kind": "List", "items": objects}))?,
        Format::Name => objects.iter().map(|object| super::convert::title(object) + "\n").collect(),
        Format::Table | Format::Wide | Format::Yaml => {
            let mut text = String::new();
            for object in &objects {
                let object =
                    serde_saphyr::to_string(object).context("an object cannot be written as YAML")?;
                text.push_str(&format!("---\n{}\n", object.trim_end()));
            }
            text
        }
    };
    output::print(&text)?;
    Ok(Exit::Ok)
}

/// Everything, in an order in which it can be applied.
fn objects(args: &InstallArgs) -> anyhow::Result<Vec<Value>> {
    let mut objects = vec![namespace(args)];
    let analysis = if args.no_analysis_crds { Vec::new() } else { okra_api::analysis_crds() };
    for definition in okra_api::crds().into_iter().chain(analysis) {
        objects.push(serde_json::to_value(definition).context("a definition cannot be written")?);
    }
    objects.push(service_account(args));
    objects.extend(roles(args));
    objects.push(disruption_budget(args));
    objects.push(deployment(args));
    Ok(objects)
}

fn labels() -> Value {
    json!({"app.kubernetes.io/name": NAME, "app.kubernetes.io/part-of": NAME})
}

fn selector() -> Value {
    json!({"app.kubernetes.io/name": NAME})
}

fn metadata(name: &str, namespace: Option<&str>) -> Value {
    let mut metadata = json!({"name": name, "labels": labels()});
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.into();
    }
    metadata
}

fn namespace(args: &InstallArgs) -> Value {
    let mut metadata = metadata(&args.namespace, None);
    // The pods ask for nothing that the strictest profile forbids.
    metadata["labels"]["pod-security.kubernetes.io/enforce"] = "restricted".into();
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
}

fn service_account(args: &InstallArgs) -> Value {
    let mut metadata = metadata(NAME, Some(&args.namespace));
    if let Some(role) = &args.role_arn {
        metadata["annotations"] = json!({"eks.amazonaws.com/role-arn": role});
    }
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
}

/// Roles and their bindings. With one watched namespace only what lies in no
/// namespace is allowed beyond it.
fn roles(args: &InstallArgs) -> Vec<Value> {
    let cluster_wide = permissions::rules(permissions::CLUSTER_WIDE);
    let watching = permissions::rules(permissions::WATCHING);
    let own = permissions::rules(permissions::OWN_NAMESPACE);
    let (cluster, watched) = match &args.watch_namespace {
        None => ([watching, cluster_wide].concat(), None),
        Some(namespace) => (cluster_wide, Some((namespace, watching))),
    };
    let mut roles = pair(args, "ClusterRole", NAME, None, cluster).to_vec();
    if let Some((namespace, rules)) = watched {
        roles.extend(pair(args, "Role", NAME, Some(namespace), rules));
    }
    roles.extend(pair(args, "Role", "okra-leader", Some(&args.namespace), own));
    roles
}

/// A role and what binds it to the service account.
fn pair(
    args: &InstallArgs,
    kind: &str,
    name: &str,
    namespace: Option<&str>,
    rules: Vec<Value>,
) -> [Value; 2] {
    const API: &str = "rbac.authorization.k8s.io";
    let role = json!({
        "apiVersion": format!("{API}/v1"), "kind": kind, "metadata": metadata(name, namespace), "rules": rules,
    });
    let binding = json!({
        "apiVersion": format!("{API}/v1"), "kind": format!("{kind}Binding"), "metadata": metadata(name, namespace),
        "roleRef": {"apiGroup": API, "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": args.namespace}],
    });
    [role, binding]
}

/// One replica may be missing for maintenance, never the last.
fn disruption_budget(args: &InstallArgs) -> Value {
    json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata(NAME, Some(&args.namespace)),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector()}},
    })
}

fn deployment(args: &InstallArgs) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata(NAME, Some(&args.namespace)),
        "spec": {
            "replicas": args.replicas,
            "selector": {"matchLabels": selector()},
            // The new leader is ready before the old one goes.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {
                "metadata": {
                    "labels": labels(),
                    "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": PORT.to_string()},
                },
                "spec": {
                    "serviceAccountName": NAME,
                    "terminationGracePeriodSeconds": GRACE_SECONDS,
                    "securityContext": {
                        "runAsNonRoot": true, "runAsUser": USER_ID, "runAsGroup": USER_ID, "fsGroup": USER_ID,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "topologySpreadConstraints": [{
                        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname",
                        "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": selector()},
                    }],
                    "containers": [container(args)],
                },
            },
        },
    })
}

fn container(args: &InstallArgs) -> Value {
    let mut arguments = vec![
        "controller-manager".to_owned(),
        "--log-json".to_owned(),
        "--log-level=info".to_owned(),
        format!("--metrics-bind-address=0.0.0.0:{PORT}"),
    ];
    arguments.extend(args.region.iter().map(|region| format!("--region={region}")));
    arguments.extend(args.watch_namespace.iter().map(|name| format!("--watch-namespace={name}")));
    arguments.extend(args.arguments.iter().cloned());
    let probe = |path: &str| json!({"httpGet": {"path": path, "port": "metrics"}, "timeoutSeconds": 3});
    json!({
        "name": NAME,
        "image": args.image,
        "args": arguments,
        "ports": [{"name": "metrics", "containerPort": PORT}],
        "livenessProbe": probe("/healthz"),
        "readinessProbe": probe("/readyz"),
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
        },
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: InstallArgs,
    }

    pub fn args(flags: &[&str]) -> InstallArgs {
        let words = ["okra", "--print", "--image=example.com/okra:test"].iter().chain(flags);
        Command::parse_from(words).args
    }

    fn printed(flags: &[&str]) -> Vec<Value> {
        let objects = objects(&args(flags)).unwrap();
        objects.into_iter().filter(|object| object["kind"] != "CustomResourceDefinition").collect()
    }

    #[test]
    fn everything_but_the_definitions() {
        insta::assert_yaml_snapshot!("install", printed(&["--region=eu-west-1"]));
    }

    #[test]
    fn one_watched_namespace_needs_no_rights_beyond_it() {
        let flags = ["--watch-namespace=argocd", "--role-arn=arn:aws:iam::111122223333:role/okra"];
        let objects = printed(&flags);
        let cluster = objects.iter().find(|object| object["kind"] == "ClusterRole").unwrap();
        let resources: Vec<&str> = cluster["rules"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|rule| rule["resources"].as_array().unwrap())
            .filter_map(Value::as_str)
            .collect();
        assert_eq!(resources, ["clusteranalysistemplates", "namespaces"]);
        let role = objects.iter().find(|object| object["kind"] == "Role").unwrap();
        assert_eq!(role["metadata"]["namespace"], "argocd");
        let account = objects.iter().find(|object| object["kind"] == "ServiceAccount").unwrap();
        assert_eq!(
            account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"],
            "arn:aws:iam::111122223333:role/okra"
        );
    }

    #[test]
    fn no_rule_is_wider_than_what_it_names() {
        for object in printed(&[]) {
            assert!(!object["rules"].to_string().contains('*'), "{object}");
        }
        let all = okra_api::crds().len() + okra_api::analysis_crds().len();
        let definitions = |flags: &[&str]| {
            let objects = objects(&args(flags)).unwrap();
            objects.iter().filter(|object| object["kind"] == "CustomResourceDefinition").count()
        };
        assert_eq!((definitions(&[]), definitions(&["--no-analysis-crds"])), (all, okra_api::crds().len()));
    }
}
