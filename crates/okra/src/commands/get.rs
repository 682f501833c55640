//! `okra get`: Cells as a tree of versions, target groups and what judges them.

use std::collections::BTreeMap;

use anyhow::Context as _;
use clap::Args;
use comfy_table::{Table, presets};
use kube::Api;
use kube::api::ListParams;
use okra_api::AWSApplicationLoadBalancerConfig;
use okra_api::AnalysisRun;
use okra_api::cell::{Cell, CellWeight};
use okra_api::names::LABEL_CELL;

use super::connect::{Connection, connect};
use crate::cli::Target;
use crate::output::{self, Exit, Format};

/// Flags of `okra get`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  okra get              all Cells of the namespace\n  \
    okra get web          one Cell with its target groups\n  okra get web -o yaml")]
pub struct GetArgs {
    /// Name of a Cell; all Cells when absent
    name: Option<String>,
    #[command(flatten)]
    target: Target,
    /// How to print it
    #[arg(long, short = 'o', default_value = "table")]
    output: Format,
}

/// Prints Cells.
///
/// # Errors
/// When the API cannot be reached or has no such Cell.
pub async fn run(args: GetArgs) -> anyhow::Result<Exit> {
    let connection = connect(&args.target).await?;
    let cells: Api<Cell> = Api::namespaced(connection.client.clone(), &connection.namespace);
    match &args.name {
        None => {
            let list = cells.list(&ListParams::default()).await.context("cannot list Cells")?;
            print_list(&list.items, args.output, &connection.namespace)?;
        }
        Some(name) => {
            let cell = cells.get(name).await.with_context(|| format!("cannot read Cell {name}"))?;
            print_one(&cell, args.output, &connection).await?;
        }
    }
    Ok(Exit::Ok)
}

fn print_list(cells: &[Cell], format: Format, namespace: &str) -> anyhow::Result<()> {
    match format {
        Format::Json => output::print(&output::json(&cells)?),
        Format::Yaml => output::print(&serde_saphyr::to_string(&cells)?),
        Format::Name => {
            output::print(&cells.iter().map(|cell| format!("cell/{}\n", name(cell))).collect::<String>())
        }
        Format::Table | Format::Wide if cells.is_empty() => {
            output::remark(&format!("No Cells in namespace {namespace}."));
            Ok(())
        }
        Format::Table | Format::Wide => output::print(&list_table(cells, format == Format::Wide)),
    }
}

fn name(cell: &Cell) -> &str {
    cell.metadata.name.as_deref().unwrap_or_default()
}

fn list_table(cells: &[Cell], wide: bool) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let mut header = vec!["NAME", "PHASE", "STABLE", "DESIRED", "STEP", "WEIGHT"];
    if wide {
        header.push("MESSAGE");
    }
    table.set_header(header);
    for cell in cells {
        let status = cell.status.clone().unwrap_or_default();
        let number = |value: Option<i64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let mut row = vec![
            name(cell).to_owned(),
            text(status.phase),
            text(status.stable_version),
            text(status.desired_version),
            number(status.current_step_index),
            number(status.canary_weight),
        ];
        if wide {
            row.push(text(status.message));
        }
        table.add_row(row);
    }
    trimmed(&table.to_string())
}

/// Without the blanks that pad the last column.
fn trimmed(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", line.trim())).collect()
}

async fn print_one(cell: &Cell, format: Format, connection: &Connection) -> anyhow::Result<()> {
    match format {
        Format::Json => output::print(&output::json(cell)?),
        Format::Yaml => output::print(&serde_saphyr::to_string(cell)?),
        Format::Name => output::print(&format!("cell/{}\n", name(cell))),
        Format::Table | Format::Wide => {
            let configs: Api<AWSApplicationLoadBalancerConfig> =
                Api::namespaced(connection.client.clone(), &connection.namespace);
            let config = configs.get_opt(name(cell)).await.context("cannot read the load balancer config")?;
            let runs: Api<AnalysisRun> = Api::namespaced(connection.client.clone(), &connection.namespace);
            let selector = ListParams::default().labels(&format!("{LABEL_CELL}={}", name(cell)));
            let runs = runs.list(&selector).await.context("cannot list AnalysisRuns")?;
            output::print(&tree(cell, config.as_ref(), &runs.items))
        }
    }
}

/// What AWS reported of one target group: weight and healthy targets.
type Reported = BTreeMap<String, (Option<i64>, Option<i64>)>;

fn reported(config: Option<&AWSApplicationLoadBalancerConfig>) -> Reported {
    let groups =
        config.and_then(|config| config.status.as_ref()).map(|status| status.target_groups.as_slice());
    groups
        .unwrap_or_default()
        .iter()
        .map(|group| (group.arn.clone(), (group.weight, group.healthy_targets)))
        .collect()
}

fn tree(cell: &Cell, config: Option<&AWSApplicationLoadBalancerConfig>, runs: &[AnalysisRun]) -> String {
    let status = cell.status.clone().unwrap_or_default();
    let mut lines = vec![format!("Cell {}   {}", name(cell), super::status::line(cell.status.as_ref()))];
    if let Some(index) = status.current_step_index {
        let desired = status.desired_version.as_deref().unwrap_or("-");
        let stable = status.stable_version.as_deref().unwrap_or("-");
        lines.push(format!("  stable {stable}   desired {desired}   step {index}"));
    }
    let reported = reported(config);
    let mut by_version: BTreeMap<&str, Vec<&CellWeight>> = BTreeMap::new();
    for weight in &status.weights {
        by_version.entry(weight.version.as_deref().unwrap_or("unknown")).or_default().push(weight);
    }
    for (version, weights) in by_version {
        let role = weights.first().and_then(|weight| weight.role.as_deref()).unwrap_or("-");
        lines.push(format!("+- {version}   {role}"));
        lines.extend(weights.iter().map(|weight| group_line(weight, &reported)));
    }
    lines.extend(runs.iter().map(run_line));
    lines.join("\n") + "\n"
}

fn group_line(weight: &CellWeight, reported: &Reported) -> String {
    let (actual, healthy) = reported.get(&weight.arn).copied().unwrap_or_default();
    let number = |value: Option<i64>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
    format!(
        "|  +- {}   weight {}/{}   healthy {}",
        weight.name,
        number(weight.weight),
        number(actual),
        number(healthy)
    )
}

fn run_line(run: &AnalysisRun) -> String {
    let status = run.status.clone().unwrap_or_default();
    let metrics: Vec<String> = status
        .metric_results
        .iter()
        .map(|metric| {
            let last = metric
                .measurements
                .last()
                .map(|measurement| measurement.value.clone())
                .filter(|value| !value.is_empty());
            format!("{} {} (last {})", metric.name, metric.phase, last.unwrap_or_else(|| "-".into()))
        })
        .collect();
    let phase = if status.phase.is_empty() { "Pending" } else { status.phase.as_str() };
    format!(
        "+- AnalysisRun {}   {phase}   {}",
        run.metadata.name.as_deref().unwrap_or_default(),
        metrics.join(", ")
    )
    .trim_end()
    .to_owned()
}
