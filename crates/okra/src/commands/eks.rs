//! `okra eks get-token`: a login to an EKS cluster, for kubeconfig files
//! (`spec/okra.md` 4.4).

use anyhow::Context as _;
use clap::{Args, Subcommand};
use okra_aws::{ClusterTokens as _, Role, Scope};
use okra_clock::SystemClock;

use crate::manager::AwsFlags;
use crate::output::{self, Exit};

/// Version of the answer when the caller does not name one.
const DEFAULT_API_VERSION: &str = "client.authentication.k8s.io/v1beta1";

/// Flags of `okra eks`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra eks get-token --cluster-name web-1-v2 --region eu-west-1")]
pub struct EksArgs {
    #[command(subcommand)]
    command: EksCommand,
}

#[derive(Debug, Subcommand)]
enum EksCommand {
    /// Print a token as kubectl's exec plugins do
    GetToken(GetTokenArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra eks get-token --cluster-name web-1-v2 --region eu-west-1")]
struct GetTokenArgs {
    /// Name of the cluster; for clusters on Outposts its id
    #[arg(long, visible_alias = "cluster-id", value_name = "NAME")]
    cluster_name: String,
    /// Role to assume first
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,
    /// What `aws eks update-kubeconfig` writes; there is no other format
    #[arg(long, value_name = "FORMAT", value_parser = ["json"], hide = true)]
    output: Option<String>,
    #[command(flatten)]
    aws: AwsFlags,
}

/// Carries out `okra eks …`.
///
/// # Errors
/// When there are no credentials or the role cannot be assumed.
pub async fn run(args: EksArgs) -> anyhow::Result<Exit> {
    let EksCommand::GetToken(args) = args.command;
    let sdk = args.aws.connect(SystemClock::shared()).await;
    let region = args.aws.region().or_else(|| sdk.default_region());
    let region = region.context("no region: give --region or set AWS_REGION")?;
    let role = args.role_arn.map(Role::new);
    let token = sdk.identity().cluster_token(&Scope { region, role }, &args.cluster_name).await?;
    let credential = serde_json::json!({
        "kind": "ExecCredential",
        "apiVersion": api_version(std::env::var("KUBERNETES_EXEC_INFO").ok().as_deref()),
        "spec": {},
        "status": {"expirationTimestamp": token.expires.to_string(), "token": token.token},
    });
    output::print(&format!("{credential}\n"))?;
    Ok(Exit::Ok)
}

/// The version that the caller speaks, as `KUBERNETES_EXEC_INFO` says it.
fn api_version(info: Option<&str>) -> String {
    info.and_then(|info| serde_json::from_str::<serde_json::Value>(info).ok())
        .and_then(|info| Some(info.get("apiVersion")?.as_str()?.to_owned()))
        .unwrap_or_else(|| DEFAULT_API_VERSION.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_speaks_the_callers_version() {
        let asked = r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential"}"#;
        assert_eq!(api_version(Some(asked)), "client.authentication.k8s.io/v1");
        assert_eq!(api_version(Some("no json")), DEFAULT_API_VERSION);
        assert_eq!(api_version(None), DEFAULT_API_VERSION);
    }
}
