//! `upsert targetgroupbinding`: a TargetGroupBinding in a member cluster.

use anyhow::Context as _;
use clap::Args;
use kube::Api;
use kube::api::{Patch, PatchParams};
use okra_api::foreign::target_group_binding::TargetGroupBinding;
use okra_api::names::FIELD_MANAGER;
use serde_json::json;

use crate::cli::Target;
use crate::commands::connect::connect;
use crate::commands::members::member_client;
use crate::commands::pairs::Pairs;
use crate::manager::AwsFlags;
use crate::output::{self, Exit};

/// Flags of `upsert targetgroupbinding`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  okra upsert targetgroupbinding --cluster-name web-1-v2 --name web \\\n    \
    --target-group-arn $ARN --labels role=web,okra.mumo.co/version=2.0.0"
)]
pub struct BindingArgs {
    /// Name of the cluster secret
    #[arg(long, value_name = "NAME")]
    cluster_name: String,
    /// Namespace of the cluster secret [default: --namespace]
    #[arg(long, value_name = "NAME")]
    cluster_namespace: Option<String>,
    /// Name of the binding
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Namespace of the binding in the member cluster
    #[arg(long, value_name = "NAME", default_value = "default")]
    binding_namespace: String,
    /// ARN of the target group
    #[arg(long, value_name = "ARN")]
    target_group_arn: okra_domain::TargetGroupArn,
    /// Labels of the binding
    #[arg(long, value_name = "KEY=VALUE,…", default_value = "", hide_default_value = true)]
    labels: Pairs,
    /// Let the member's API check it, and write nothing
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", hide_default_value = true, hide_possible_values = true)]
    dry_run: bool,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    aws: AwsFlags,
}

/// Makes or changes the binding; a dry run is one for both.
///
/// # Errors
/// When the cluster is not known, does not answer or refuses.
pub async fn upsert(args: BindingArgs) -> anyhow::Result<Exit> {
    let mut connection = connect(&args.target).await?;
    if let Some(namespace) = &args.cluster_namespace {
        connection.namespace.clone_from(namespace);
    }
    let client = member_client(&connection, &args.cluster_name, &args.aws).await?;
    let bindings: Api<TargetGroupBinding> = Api::namespaced(client, &args.binding_namespace);
    let object = json!({
        "apiVersion": "elbv2.k8s.aws/v1beta1", "kind": "TargetGroupBinding",
        "metadata": {"name": args.name, "labels": args.labels.0},
        "spec": {"targetGroupARN": args.target_group_arn.to_string()},
    });
    let params = PatchParams { dry_run: args.dry_run, ..PatchParams::apply(&format!("{FIELD_MANAGER}-cli")) };
    let written = bindings.patch(&args.name, &params, &Patch::Apply(&object)).await;
    written.with_context(|| format!("TargetGroupBinding {} in {}", args.name, args.cluster_name))?;
    let dry = if args.dry_run { " (dry run: nothing was written)" } else { "" };
    output::print(&format!("targetgroupbinding/{} applied in {}{dry}\n", args.name, args.cluster_name))?;
    Ok(Exit::Ok)
}
