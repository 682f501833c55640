//! `upsert cell` and `create cell`: a Cell from flags, with the spec that the
//! flags say (H-90).

use std::str::FromStr;

use clap::Args;
use kube::Api;
use kube::api::{Patch, PatchParams};
use okra_api::cell::Cell;
use okra_api::names::{FIELD_MANAGER, LABEL_VERSION};
use serde_json::{Value, json};

use anyhow::Context as _;

use crate::cli::Target;
use crate::commands::connect::connect;
use crate::commands::pairs::Pairs;
use crate::output::{self, Exit};

/// Flags of `upsert cell`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  okra upsert cell web --listener-arn $ARN --match-label role=web --replicas 2 \\\n    \
    --listener-rule-host web.example.com --canary-steps weight=20,pause=10m\n\n\
    Steps: weight=PERCENT, pause=DURATION, analysis=TEMPLATE:ARG=VALUE:…"
)]
pub struct UpsertArgs {
    /// Name of the Cell
    #[arg(required_unless_present = "name_flag")]
    name: Option<String>,
    #[arg(long = "name", hide = true, conflicts_with = "name")]
    name_flag: Option<String>,
    #[command(flatten)]
    target: Target,
    /// Listener of the load balancer
    #[arg(long, alias = "awsalb-listener-arn", value_name = "ARN")]
    listener_arn: String,
    /// Labels of the AWSTargetGroups
    #[arg(long, alias = "awstargetgroup-selector", value_name = "KEY=VALUE")]
    match_label: Vec<Pairs>,
    /// Label that holds the version
    #[arg(long, value_name = "KEY", default_value = LABEL_VERSION)]
    version_label: String,
    /// Host of the rule
    #[arg(long, value_name = "HOST")]
    listener_rule_host: Vec<String>,
    /// Priority of the rule
    #[arg(long, value_name = "N", default_value_t = 10)]
    listener_rule_priority: i64,
    /// How many target groups make a complete set
    #[arg(long, value_name = "N")]
    replicas: Option<i64>,
    /// Steps of a rollout
    #[arg(long, value_name = "STEP,…", default_value = "", hide_default_value = true)]
    canary_steps: Steps,
    /// Print the Cell as YAML, and write nothing
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", hide_default_value = true, hide_possible_values = true)]
    dry_run: bool,
}

/// Steps of the flag's grammar, as a Cell holds them.
#[derive(Debug, Clone, Default, PartialEq)]
struct Steps(Vec<Value>);

impl FromStr for Steps {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(step)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn step(text: &str) -> Result<Value, String> {
    match text.split_once('=') {
        Some(("weight", weight)) => {
            let weight: i64 = weight.parse().map_err(|_| format!("{weight:?} is not a percent"))?;
            Ok(json!({"setWeight": weight}))
        }
        Some(("pause", duration)) => Ok(json!({"pause": {"duration": duration}})),
        Some(("analysis", block)) => analysis(block),
        _ => Err(format!("{text:?} is neither weight=, pause= nor analysis=")),
    }
}

fn analysis(block: &str) -> Result<Value, String> {
    let mut parts = block.split(':');
    let template = parts.next().unwrap_or_default();
    let argument = |part: &str| {
        let (name, value) = part.split_once('=').ok_or_else(|| format!("{part:?} is not ARG=VALUE"))?;
        Ok(json!({"name": name, "value": value}))
    };
    let arguments: Vec<Value> = parts.map(argument).collect::<Result<_, String>>()?;
    let mut step = json!({"analysis": {"templates": [{"templateName": template}]}});
    if !arguments.is_empty() {
        step["analysis"]["args"] = arguments.into();
    }
    Ok(step)
}

/// Makes or changes the Cell: the fields of the flags, and no others.
///
/// # Errors
/// When the API refuses.
pub async fn upsert(args: UpsertArgs) -> anyhow::Result<Exit> {
    let name = args.name.clone().or_else(|| args.name_flag.clone()).context("a Cell has a name")?;
    let object = object(&args, &name);
    if args.dry_run {
        output::print(&serde_saphyr::to_string(&object)?)?;
        return Ok(Exit::Ok);
    }
    let connection = connect(&args.target).await?;
    let cells: Api<Cell> = connection.cells();
    let params = PatchParams::apply(&format!("{FIELD_MANAGER}-cli"));
    let written = cells.patch(&name, &params, &Patch::Apply(&object)).await;
    written.with_context(|| format!("Cell {name} cannot be written"))?;
    output::print(&format!("cell/{name} applied\n"))?;
    Ok(Exit::Ok)
}

fn object(args: &UpsertArgs, name: &str) -> Value {
    let labels: std::collections::BTreeMap<&String, &String> =
        args.match_label.iter().flat_map(|pairs| &pairs.0).collect();
    let mut spec = json!({
        "ingress": {
            "type": "AWSApplicationLoadBalancer",
            "awsApplicationLoadBalancer": {
                "listenerARN": args.listener_arn,
                "listener": {"rule": {"priority": args.listener_rule_priority, "hosts": args.listener_rule_host}},
                "targetGroupSelector": {"matchLabels": labels, "versionLabels": [args.version_label]},
            },
        },
    });
    if let Some(replicas) = args.replicas {
        spec["replicas"] = replicas.into();
    }
    if !args.canary_steps.0.is_empty() {
        spec["updateStrategy"] = json!({"type": "Canary", "canary": {"steps": args.canary_steps.0}});
    }
    json!({"apiVersion": "okra.mumo.co/v1alpha1", "kind": "Cell", "metadata": {"name": name}, "spec": spec})
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: UpsertArgs,
    }

    #[test]
    fn h_90_the_stored_cell_has_the_spec_of_the_flags() {
        let words = "okra --name web --listener-arn arn:x --match-label role=web --replicas 2 \
            --listener-rule-host web.example.com --canary-steps weight=20,pause=10m,analysis=ok:a=1:b=2";
        let args = Command::parse_from(words.split_whitespace()).args;
        insta::assert_yaml_snapshot!(object(&args, "web"));
        let cell: Cell = serde_json::from_value(object(&args, "web")).unwrap();
        assert_eq!(cell.spec.stated_replicas(), 2);
    }

    #[test]
    fn steps_that_are_none_are_refused() {
        for wrong in ["weight=many", "wait=10m", "analysis=t:novalue", "weight"] {
            assert!(wrong.parse::<Steps>().is_err(), "{wrong}");
        }
        assert_eq!("".parse(), Ok(Steps::default()));
    }
}
