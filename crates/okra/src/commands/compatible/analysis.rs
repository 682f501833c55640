//! `create analysisrun`, `run analysis`, `update analysisrun`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use kube::api::{Patch, PatchParams};
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt as _};
use okra_api::AnalysisRun;
use okra_api::names::FIELD_MANAGER;
use okra_domain::analysis::Phase;
use serde_json::json;

use crate::cli::Target;
use crate::commands::analysis::run;
use crate::commands::analysis::template::Chosen;
use crate::commands::connect::{Connection, connect};
use crate::commands::pairs::Pairs;
use crate::output::{self, Exit, Format};

/// Phases that a human may force, as they are stored.
const PHASES: [&str; 4] = ["Successful", "Error", "Failed", "Inconclusive"];

/// Flags of `create analysisrun` and `run analysis`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  okra create analysisrun --template-name success-rate --args service=web\n  \
    okra run analysis --template-name t --args-from-secrets token=api.key --wait"
)]
pub struct CreateArgs {
    /// Name of the run [default: the template and a random end]
    name: Option<String>,
    #[command(flatten)]
    target: Target,
    /// AnalysisTemplate to run
    #[arg(long, value_name = "NAME", required_unless_present = "filename")]
    template_name: Option<String>,
    /// Take the template from a file, or - for stdin
    #[arg(long = "filename", short = 'f', value_name = "FILE", conflicts_with = "template_name")]
    filename: Option<PathBuf>,
    /// Values of arguments that the template declares
    #[arg(long, short = 'a', value_name = "KEY=VALUE,…", default_value = "", hide_default_value = true)]
    args: Pairs,
    /// Arguments that come from secrets
    #[arg(long, value_name = "ARG=SECRET.KEY,…", default_value = "", hide_default_value = true)]
    args_from_secrets: Pairs,
    /// Wait for the verdict: 0 successful, 1 otherwise
    #[arg(long)]
    wait: bool,
    /// Print the run, let the API check it, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// How to print it
    #[arg(long, short = 'o', default_value = "yaml")]
    output: Format,
}

/// Flags of `update analysisrun`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra update analysisrun --name web-2-errors --phase Failed")]
pub struct UpdateArgs {
    /// Name of the run
    #[arg(long, value_name = "NAME")]
    name: String,
    #[command(flatten)]
    target: Target,
    /// Verdict: successful, error, failed or inconclusive
    #[arg(long, default_value = "Successful", value_parser = phase)]
    phase: String,
}

/// A phase in any case.
fn phase(text: &str) -> Result<String, String> {
    let found = PHASES.iter().find(|phase| phase.eq_ignore_ascii_case(text));
    found.map(|phase| (*phase).to_owned()).ok_or_else(|| format!("use one of {}", PHASES.join(", ")))
}

/// Makes a run: `create analysisrun`, and with `--wait` `run analysis`.
///
/// # Errors
/// When the template is missing, an argument is not declared, or the API refuses.
pub async fn create(args: CreateArgs) -> anyhow::Result<Exit> {
    let connection = connect(&args.target).await?;
    let chosen = chosen(&args, &connection).await?;
    let spec = chosen.run_spec(&args.args.0, &args.args_from_secrets.0)?;
    let runs: Api<AnalysisRun> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let template = &chosen.reference.template_name;
    // What was made is what is shown and waited for, whatever else is made
    // in the same second (H-93).
    let made = run::create(&runs, template, args.name.clone(), spec, args.dry_run).await?;
    show(&made, args.output)?;
    if !args.wait || args.dry_run {
        return Ok(Exit::Ok);
    }
    let phase = verdict(runs, &made.name_any()).await?;
    Ok(if phase == Phase::Successful { Exit::Ok } else { Exit::Usage })
}

/// The template by its name, or out of a file.
async fn chosen(args: &CreateArgs, connection: &Connection) -> anyhow::Result<Chosen> {
    let Some(path) = &args.filename else {
        let name = args.template_name.as_deref().context("a template has a name")?;
        return Chosen::of_cluster(connection, name).await;
    };
    let mut chosen = Chosen::of_files(std::slice::from_ref(path), None)?;
    if chosen.is_incomplete() {
        chosen.complete(connection).await?;
    }
    Ok(chosen)
}

fn show(run: &AnalysisRun, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => output::print(&output::json(run)?),
        Format::Yaml => output::print(&serde_saphyr::to_string(run)?),
        _ => output::print(&format!("analysisrun/{}\n", run.name_any())),
    }
}

/// Waits for the end; what the last measurement said goes to stderr.
async fn verdict(runs: Api<AnalysisRun>, name: &str) -> anyhow::Result<Phase> {
    let ended = |run: Option<&AnalysisRun>| run.is_none_or(|run| run::verdict(run).is_some());
    let run = await_condition(runs, name, ended).await.context("the watch of the run failed")?;
    let run = run.with_context(|| format!("AnalysisRun {name} was deleted meanwhile"))?;
    let phase = run::verdict(&run).unwrap_or(Phase::Error);
    if phase == Phase::Successful {
        return Ok(phase);
    }
    let status = run.status.unwrap_or_default();
    let last = status.metric_results.iter().flat_map(|metric| &metric.measurements);
    let said = last.filter(|one| !one.message.is_empty()).max_by_key(|one| one.finished_at);
    let message = said.map_or(status.message, |one| one.message.clone());
    output::remark(&format!("AnalysisRun {name} is {}: {message}", phase.as_str()));
    Ok(phase)
}

/// Forces a phase, and touches nothing else (H-94).
///
/// # Errors
/// When the run is not there or the API refuses.
pub async fn update(args: UpdateArgs) -> anyhow::Result<Exit> {
    let connection = connect(&args.target).await?;
    let runs: Api<AnalysisRun> = Api::namespaced(connection.client, &connection.namespace);
    let patch = Patch::Merge(json!({"status": {"phase": args.phase}}));
    let params =
        PatchParams { field_manager: Some(format!("{FIELD_MANAGER}-cli")), ..PatchParams::default() };
    runs.patch(&args.name, &params, &patch)
        .await
        .with_context(|| format!("AnalysisRun {} cannot be written", args.name))?;
    output::print(&format!("analysisrun/{} {}\n", args.name, args.phase))?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_is_read_in_any_case_and_others_are_refused() {
        assert_eq!(phase("FAILED"), Ok("Failed".to_owned()));
        assert!(phase("Passed").is_err());
    }
}
