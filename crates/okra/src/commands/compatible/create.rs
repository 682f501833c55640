//! `upsert awstargetgroupset`, `create awstargetgroup` and
//! `create awsapplicationloadbalancerconfig`.

use std::collections::BTreeMap;

use anyhow::Context as _;
use clap::Args;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject};
use okra_api::names::{ANNOTATION_ADOPT, FIELD_MANAGER};
use okra_api::{AWSApplicationLoadBalancerConfig, AWSTargetGroup, AWSTargetGroupSet};
use okra_aws::{Condition, LoadBalancers as _, RulePriority};
use okra_clock::SystemClock;
use okra_domain::ListenerArn;
use serde_json::{Value, json};

use crate::cli::Target;
use crate::commands::connect::connect;
use crate::commands::pairs::Pairs;
use crate::manager::AwsFlags;
use crate::output::{self, Exit};

/// Flags of `upsert awstargetgroupset`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  okra upsert awstargetgroupset web --cluster-selector service=web \\\n    \
    --targetgroupbinding-selector role=web --labels role=web"
)]
pub struct SetArgs {
    /// Name of the AWSTargetGroupSet
    #[arg(required_unless_present = "name_flag")]
    name: Option<String>,
    #[arg(long = "name", hide = true, conflicts_with = "name")]
    name_flag: Option<String>,
    #[command(flatten)]
    target: Target,
    /// Labels of the cluster secrets; all when empty
    #[arg(long, value_name = "KEY=VALUE,…", default_value = "", hide_default_value = true)]
    cluster_selector: Pairs,
    /// Labels of the TargetGroupBindings; all when empty
    #[arg(long, value_name = "KEY=VALUE,…", default_value = "", hide_default_value = true)]
    targetgroupbinding_selector: Pairs,
    /// Labels of the AWSTargetGroups
    #[arg(long, value_name = "KEY=VALUE,…", default_value = "", hide_default_value = true)]
    labels: Pairs,
    /// Print it as YAML, and write nothing
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", hide_default_value = true, hide_possible_values = true)]
    dry_run: bool,
}

/// Flags of `create awstargetgroup`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra create awstargetgroup web-v2 --arn $ARN --labels role=web")]
pub struct TargetGroupArgs {
    /// Name of the AWSTargetGroup
    name: String,
    #[command(flatten)]
    target: Target,
    /// ARN of the target group
    #[arg(long, value_name = "ARN")]
    arn: okra_domain::TargetGroupArn,
    /// Its labels
    #[arg(long, value_name = "KEY=VALUE,…", default_value = "", hide_default_value = true)]
    labels: Pairs,
    /// Print it as YAML, and write nothing
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", hide_default_value = true, hide_possible_values = true)]
    dry_run: bool,
}

/// Flags of `create awsapplicationloadbalancerconfig`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  okra create awsapplicationloadbalancerconfig web --listener-arn $ARN\n\n\
    Conditions and weights are those of the rule as it is now. Conditions that a config \
    cannot express are an error."
)]
pub struct ConfigArgs {
    /// Name of the config
    name: String,
    #[command(flatten)]
    target: Target,
    /// Listener of the rule
    #[arg(long, value_name = "ARN")]
    listener_arn: ListenerArn,
    /// Priority of the rule
    #[arg(long, alias = "listener-rule-priority", value_name = "N", default_value_t = 100)]
    priority: u32,
    /// Print it as YAML, and write nothing
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", hide_default_value = true, hide_possible_values = true)]
    dry_run: bool,
    #[command(flatten)]
    aws: AwsFlags,
}

/// Applies an object as the command line, or prints it.
pub async fn apply(
    target: &Target,
    resource: &ApiResource,
    object: &Value,
    dry_run: bool,
) -> anyhow::Result<Exit> {
    if dry_run {
        output::print(&serde_saphyr::to_string(object)?)?;
        return Ok(Exit::Ok);
    }
    let name = object["metadata"]["name"].as_str().context("an object has a name")?;
    let connection = connect(target).await?;
    let api: Api<DynamicObject> =
        Api::namespaced_with(connection.client.clone(), &connection.namespace, resource);
    let params = PatchParams::apply(&format!("{FIELD_MANAGER}-cli"));
    let written = api.patch(name, &params, &Patch::Apply(object)).await;
    written.with_context(|| format!("{} {name} cannot be written", resource.kind))?;
    output::print(&format!("{}/{name} applied\n", resource.kind.to_lowercase()))?;
    Ok(Exit::Ok)
}

/// `upsert awstargetgroupset`; an empty selector selects everything.
///
/// # Errors
/// When the API refuses.
pub async fn set(args: SetArgs) -> anyhow::Result<Exit> {
    let name = args.name.clone().or(args.name_flag.clone()).context("an AWSTargetGroupSet has a name")?;
    let object = json!({
        "apiVersion": "okra.mumo.co/v1alpha1", "kind": "AWSTargetGroupSet", "metadata": {"name": name},
        "spec": {
            "generators": [{"awseks": {
                "clusterSelector": {"matchLabels": args.cluster_selector.0},
                "bindingSelector": {"matchLabels": args.targetgroupbinding_selector.0},
            }}],
            "template": {"metadata": {"labels": args.labels.0}},
        },
    });
    apply(&args.target, &ApiResource::erase::<AWSTargetGroupSet>(&()), &object, args.dry_run).await
}

/// `create awstargetgroup`.
///
/// # Errors
/// When the API refuses.
pub async fn target_group(args: TargetGroupArgs) -> anyhow::Result<Exit> {
    let object = json!({
        "apiVersion": "okra.mumo.co/v1alpha1", "kind": "AWSTargetGroup",
        "metadata": {"name": args.name, "labels": args.labels.0},
        "spec": {"arn": args.arn.to_string()},
    });
    apply(&args.target, &ApiResource::erase::<AWSTargetGroup>(&()), &object, args.dry_run).await
}

/// `create awsapplicationloadbalancerconfig`.
///
/// # Errors
/// When there is no such rule, it cannot be expressed, or somebody refuses.
pub async fn config(args: ConfigArgs) -> anyhow::Result<Exit> {
    let sdk = args.aws.connect(SystemClock::shared()).await;
    let rules = sdk.load_balancers().rules(&args.listener_arn).await?;
    let rule = rules.iter().find(|rule| rule.priority == RulePriority::Number(args.priority));
    let rule = rule.with_context(|| {
        format!("listener {} has no rule of priority {}", args.listener_arn, args.priority)
    })?;
    let forward = rule.forward().context("the rule forwards to no target groups")?;
    let groups: Vec<Value> = forward
        .target_groups
        .iter()
        .map(|group| {
            let arn = group.arn.to_string();
            json!({"name": okra_api::analysis::target_group_of(&arn), "arn": arn, "weight": group.weight.unwrap_or(1)})
        })
        .collect();
    let mut described = conditions(&rule.conditions)?;
    described["priority"] = args.priority.into();
    described["forward"] = json!({"targetGroups": groups});
    let object = json!({
        "apiVersion": "okra.mumo.co/v1alpha1", "kind": "AWSApplicationLoadBalancerConfig",
        // The rule is there, and whoever asks for this wants it kept by okra.
        "metadata": {"name": args.name, "annotations": {ANNOTATION_ADOPT: "true"}},
        "spec": {"listenerARN": args.listener_arn.to_string(), "listener": {"rule": described}},
    });
    apply(&args.target, &ApiResource::erase::<AWSApplicationLoadBalancerConfig>(&()), &object, args.dry_run)
        .await
}

/// The conditions of a live rule as a config writes them.
fn conditions(conditions: &[Condition]) -> anyhow::Result<Value> {
    let mut rule = json!({});
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for condition in conditions {
        match condition {
            Condition::HostHeader(values) => rule["hosts"] = json!(values),
            Condition::PathPattern(values) => rule["pathPatterns"] = json!(values),
            Condition::HttpRequestMethod(values) => rule["methods"] = json!(values),
            Condition::SourceIp(values) => rule["sourceIPs"] = json!(values),
            Condition::HttpHeader { name, values } => {
                headers.insert(name.clone(), values.clone());
            }
            other => anyhow::bail!("a condition cannot be expressed in a config: {other:?}"),
        }
    }
    if !headers.is_empty() {
        rule["headers"] = json!(headers);
    }
    Ok(rule)
}
