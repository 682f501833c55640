//! `okra cluster list|add|remove`, and `create cluster` and `delete cluster`
//! of the Go program: Argo CD cluster secrets (`spec/okra.md` 3.1, 4.2).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::config::{AuthInfo, Cluster, Kubeconfig};
use kube::core::ObjectMeta;
use kube::{Api, ResourceExt as _};
use okra_api::cell::Cell;
use okra_api::foreign::cluster_secret::{ClusterConfig, ClusterSecret, TlsClientConfig};
use okra_api::names::{FIELD_MANAGER, LABEL_SECRET_TYPE, LABEL_VERSION, SECRET_TYPE_CLUSTER};
use okra_aws::{Clusters as _, Role, Scope};
use okra_clock::SystemClock;
use okra_domain::Version;
use serde_json::json;

use super::connect::{Connection, connect};
use super::get::lists;
use super::pairs::Pairs;
use crate::cli::Target;
use crate::manager::AwsFlags;
use crate::output::{self, Exit};

/// Flags of `okra cluster`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  okra cluster list\n  \
    okra cluster add web-1-v2 --labels service=web --region eu-west-1\n  \
    okra cluster add lab --from-kubeconfig lab.yaml --version 2.0.0\n  okra cluster remove web-1-v1\n\n\
    A ClusterSet does this by itself for all EKS clusters with certain tags.")]
pub struct ClusterArgs {
    #[command(subcommand)]
    command: ClusterCommand,
}

#[derive(Debug, Subcommand)]
enum ClusterCommand {
    /// Show the clusters that okra knows
    List(lists::ClusterArgs),
    /// Make a cluster known, by an Argo CD cluster secret
    Add(Box<AddArgs>),
    /// Forget a cluster; the cluster itself stays
    Remove(RemoveArgs),
}

/// Flags of `okra cluster add`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  okra cluster add web-1-v2 --labels service=web --region eu-west-1\n  \
    okra cluster add web-1-v2 --endpoint https://1.2.3.4 --ca-data $CA\n  \
    okra cluster add lab --from-kubeconfig lab.yaml --from-context lab")]
pub struct AddArgs {
    /// Name of the EKS cluster, and of the secret
    #[arg(required_unless_present = "name_flag")]
    name: Option<String>,
    #[arg(long = "name", alias = "awseks-cluster-name", hide = true, conflicts_with = "name")]
    name_flag: Option<String>,
    #[command(flatten)]
    target: Target,
    /// Labels of the secret, by which AWSTargetGroupSets select it
    #[arg(long, value_name = "KEY=VALUE,…", default_value = "", hide_default_value = true)]
    labels: Pairs,
    /// Version of what the cluster runs, as its label
    #[arg(long, value_name = "VERSION")]
    version: Option<Version>,
    /// Take the version from this tag of the EKS cluster
    #[arg(long, value_name = "KEY", conflicts_with = "version")]
    version_from_tag: Option<String>,
    /// Address of the cluster's API [default: what EKS says]
    #[arg(long, value_name = "URL", requires = "ca_data")]
    endpoint: Option<String>,
    /// Certificate authority, base64 of PEM [default: what EKS says]
    #[arg(long, value_name = "BASE64", requires = "endpoint")]
    ca_data: Option<String>,
    /// Role to assume, for discovery and login
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,
    /// A cluster that is not AWS: address and login from this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["endpoint", "role_arn", "version_from_tag"])]
    from_kubeconfig: Option<PathBuf>,
    /// Context of that file [default: its current one]
    #[arg(long, value_name = "NAME", requires = "from_kubeconfig")]
    from_context: Option<String>,
    /// Print the secret as YAML, and write nothing
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", hide_default_value = true, hide_possible_values = true)]
    dry_run: bool,
    #[command(flatten)]
    aws: AwsFlags,
}

/// Flags of `okra cluster remove`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra cluster remove web-1-v1\n\n\
    Without its secret the target groups of a cluster leave the load balancers at once;\n\
    while one of them has weight this needs --force.")]
pub struct RemoveArgs {
    /// Name of the secret
    #[arg(required_unless_present = "name_flag")]
    name: Option<String>,
    #[arg(long = "name", hide = true, conflicts_with = "name")]
    name_flag: Option<String>,
    #[command(flatten)]
    target: Target,
    /// Also while a Cell gives weight to its target groups
    #[arg(long)]
    force: bool,
    /// Let the API check it, and delete nothing
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", hide_default_value = true, hide_possible_values = true)]
    dry_run: bool,
}

/// Carries out `okra cluster …`.
///
/// # Errors
/// When the API or AWS refuses.
pub async fn run(args: ClusterArgs) -> anyhow::Result<Exit> {
    match args.command {
        ClusterCommand::List(args) => lists::clusters(args).await,
        ClusterCommand::Add(args) => add(*args).await,
        ClusterCommand::Remove(args) => remove(args).await,
    }
}

/// `okra cluster add`.
///
/// # Errors
/// When the cluster is not found or the API refuses the write.
pub async fn add(args: AddArgs) -> anyhow::Result<Exit> {
    let name = args.name.clone().or_else(|| args.name_flag.clone()).context("a cluster has a name")?;
    let mut labels = args.labels.clone().0;
    if let Some(version) = &args.version {
        labels.insert(LABEL_VERSION.to_owned(), version.to_string());
    }
    let cluster = match (&args.from_kubeconfig, &args.endpoint, &args.ca_data) {
        (Some(file), ..) => of_kubeconfig(&name, file, args.from_context.as_deref())?,
        (None, Some(endpoint), Some(ca)) => ClusterSecret::of_eks(&name, endpoint, ca, args.role_arn.clone()),
        _ => discovered(&args, &name, &mut labels).await?,
    };
    let metadata = ObjectMeta { name: Some(name.clone()), labels: Some(labels), ..ObjectMeta::default() };
    let secret = cluster.to_secret(metadata);
    if args.dry_run {
        output::print(&serde_saphyr::to_string(&secret)?)?;
        return Ok(Exit::Ok);
    }
    let connection = connect(&args.target).await?;
    let secrets: Api<Secret> = Api::namespaced(connection.client.clone(), &connection.namespace);
    refuse_other_cluster(&secrets, &name, &cluster).await?;
    let params = PatchParams::apply(&format!("{FIELD_MANAGER}-cli"));
    let applied = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": secret.metadata,
        "type": secret.type_, "data": secret.data,
    });
    secrets
        .patch(&name, &params, &Patch::Apply(&applied))
        .await
        .with_context(|| format!("cluster secret {name} cannot be written"))?;
    output::print(&format!("cluster/{name} added: {}\n", cluster.server))?;
    Ok(Exit::Ok)
}

/// A secret of that name that leads elsewhere is not taken over.
async fn refuse_other_cluster(
    secrets: &Api<Secret>,
    name: &str,
    cluster: &ClusterSecret,
) -> anyhow::Result<()> {
    let found = secrets.get_opt(name).await.with_context(|| format!("secret {name} cannot be read"))?;
    let Some(found) = found else { return Ok(()) };
    let other = ClusterSecret::from_secret(&found).ok().map(|other| other.server);
    anyhow::ensure!(
        other.as_deref() == Some(&cluster.server),
        "a secret {name} exists and leads to {}: remove it first",
        other.unwrap_or_else(|| "no cluster".to_owned())
    );
    Ok(())
}

/// Address and authority as EKS knows them, and the version from its tag.
async fn discovered(
    args: &AddArgs,
    name: &str,
    labels: &mut BTreeMap<String, String>,
) -> anyhow::Result<ClusterSecret> {
    let sdk = args.aws.connect(SystemClock::shared()).await;
    let region = args.aws.region().or_else(|| sdk.default_region());
    let region = region.context("no region: give --region or set AWS_REGION")?;
    let role = args.role_arn.clone().map(|arn| Role { arn, external_id: None, session_name: None });
    let (clusters, scope) = (sdk.clusters(), Scope { region, role });
    let found = match clusters.describe(&scope, name).await {
        Ok(found) => found,
        Err(error) => {
            if let Ok(names) = clusters.list(&scope).await {
                output::remark(&format!("EKS clusters in {}: {}", scope.region.as_str(), names.join(", ")));
            }
            return Err(error).with_context(|| format!("EKS cluster {name} cannot be described"));
        }
    };
    if let Some(key) = &args.version_from_tag {
        let text = found.tags.get(key).with_context(|| format!("EKS cluster {name} has no tag {key}"))?;
        let version: Version = text.parse().with_context(|| format!("tag {key} of {name}"))?;
        labels.insert(LABEL_VERSION.to_owned(), version.to_string());
    }
    let endpoint = found.endpoint.with_context(|| format!("EKS cluster {name} has no endpoint yet"))?;
    let authority =
        found.certificate_authority.with_context(|| format!("EKS cluster {name} has no CA yet"))?;
    Ok(ClusterSecret::of_eks(name, &endpoint, &authority, args.role_arn.clone()))
}

/// Address and login of a context. Only what is in the file itself is taken:
/// paths and commands mean nothing where the secret is read.
fn of_kubeconfig(name: &str, file: &Path, context: Option<&str>) -> anyhow::Result<ClusterSecret> {
    let config = Kubeconfig::read_from(file).with_context(|| format!("cannot read {}", file.display()))?;
    let context = context.or(config.current_context.as_deref());
    let context = context.with_context(|| format!("{} has no current context", file.display()))?;
    let found = config.contexts.iter().find(|one| one.name == context);
    let found = found.and_then(|one| one.context.clone());
    let found = found.with_context(|| format!("{} has no context {context}", file.display()))?;
    let cluster = config.clusters.iter().find(|one| one.name == found.cluster);
    let cluster = cluster.and_then(|one| one.cluster.clone()).unwrap_or_default();
    let user = config.auth_infos.iter().find(|one| Some(&one.name) == found.user.as_ref());
    let user = user.and_then(|one| one.auth_info.clone()).unwrap_or_default();
    secret_of(name, &cluster, &user).with_context(|| format!("context {context} of {}", file.display()))
}

fn secret_of(name: &str, cluster: &Cluster, user: &AuthInfo) -> anyhow::Result<ClusterSecret> {
    let server = cluster.server.clone().context("its cluster has no server")?;
    // Secrets are shown by kube only where they are written out.
    let written = serde_json::to_value(user).context("its user cannot be read")?;
    let text = |field: &str| written[field].as_str().map(str::to_owned);
    let paths =
        [&user.client_certificate, &user.client_key, &user.token_file, &cluster.certificate_authority];
    anyhow::ensure!(
        paths.iter().all(|path| path.is_none()),
        "certificates and tokens must lie in the file itself (kubectl config view --flatten --raw)"
    );
    anyhow::ensure!(user.exec.is_none(), "its login is a command; make a token for okra instead");
    Ok(ClusterSecret {
        name: name.to_owned(),
        server: server.trim_end_matches('/').to_owned(),
        config: ClusterConfig {
            username: text("username"),
            password: text("password"),
            bearer_token: text("token"),
            tls_client_config: TlsClientConfig {
                insecure: cluster.insecure_skip_tls_verify.unwrap_or(false),
                server_name: cluster.tls_server_name.clone(),
                ca_data: cluster.certificate_authority_data.clone(),
                cert_data: text("client-certificate-data"),
                key_data: text("client-key-data"),
            },
            ..ClusterConfig::default()
        },
        ..ClusterSecret::default()
    })
}

/// `okra cluster remove`.
///
/// # Errors
/// When there is no such cluster secret, it carries traffic, or the API refuses.
pub async fn remove(args: RemoveArgs) -> anyhow::Result<Exit> {
    let name = args.name.clone().or_else(|| args.name_flag.clone()).context("a cluster has a name")?;
    let connection = connect(&args.target).await?;
    let secrets: Api<Secret> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let found = secrets.get_opt(&name).await.with_context(|| format!("secret {name} cannot be read"))?;
    let found =
        found.with_context(|| format!("there is no cluster secret {name}; see `okra cluster list`"))?;
    let kind = found.labels().get(LABEL_SECRET_TYPE).map(String::as_str);
    anyhow::ensure!(kind == Some(SECRET_TYPE_CLUSTER), "secret {name} is no cluster secret; it stays");
    let carrying = carrying(&connection, &name).await?;
    anyhow::ensure!(
        args.force || carrying.is_empty(),
        "cluster {name} has weight in {}: move the traffic first, or give --force",
        carrying.join(", ")
    );
    // Only the object that was looked at, not one that took its name since.
    let preconditions = kube::api::Preconditions {
        uid: found.metadata.uid.clone(),
        resource_version: found.metadata.resource_version.clone(),
    };
    let params =
        DeleteParams { dry_run: args.dry_run, preconditions: Some(preconditions), ..DeleteParams::default() };
    secrets.delete(&name, &params).await.with_context(|| format!("secret {name} cannot be deleted"))?;
    let dry = if args.dry_run { " (dry run: nothing was written)" } else { "" };
    output::print(&format!("cluster/{name} removed{dry}\n"))?;
    Ok(Exit::Ok)
}

/// Cells that give weight to a target group of the cluster.
async fn carrying(connection: &Connection, cluster: &str) -> anyhow::Result<Vec<String>> {
    use okra_api::AWSTargetGroup;
    use okra_api::names::LABEL_BINDING_CLUSTER;
    let groups: Api<AWSTargetGroup> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let own = ListParams::default()
        .labels(&format!("{LABEL_BINDING_CLUSTER}={}", okra_api::write::label_value(cluster)));
    let groups = groups.list(&own).await.context("cannot list AWSTargetGroups")?.items;
    let cells = connection.cells().list(&ListParams::default()).await.context("cannot list Cells")?.items;
    let carries = |cell: &Cell| {
        let weights = cell.status.iter().flat_map(|status| &status.weights);
        weights
            .filter(|weight| weight.weight.unwrap_or(0) > 0)
            .any(|weight| groups.iter().any(|group| group.spec.arn == weight.arn))
    };
    Ok(cells.iter().filter(|cell| carries(cell)).map(|cell| format!("cell/{}", cell.name_any())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    const FLAT: &str = "
apiVersion: v1
kind: Config
current-context: lab
contexts:
- {name: lab, context: {cluster: lab, user: me}}
clusters:
- {name: lab, cluster: {server: 'https://10.0.0.1:6443/', certificate-authority-data: Q0E=}}
users:
- {name: me, user: {token: t0ken}}
";

    #[test]
    fn a_cluster_that_is_not_aws_comes_from_a_kubeconfig() {
        let flat = file(FLAT);
        let cluster = of_kubeconfig("lab", flat.path(), None).unwrap();
        assert_eq!(cluster.server, "https://10.0.0.1:6443");
        assert_eq!(cluster.config.bearer_token.as_deref(), Some("t0ken"));
        assert_eq!(cluster.config.tls_client_config.ca_data.as_deref(), Some("Q0E="));
        assert!(of_kubeconfig("lab", flat.path(), Some("other")).is_err());
    }

    #[test]
    fn a_login_by_path_or_command_is_refused() {
        for login in ["tokenFile: /var/run/token", "exec: {command: aws, apiVersion: v1}"] {
            let changed = file(&FLAT.replace("token: t0ken", login));
            assert!(of_kubeconfig("lab", changed.path(), None).is_err(), "{login}");
        }
    }
}
