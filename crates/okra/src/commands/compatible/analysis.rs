//! `create analysisrun`, `run analysis`, `update analysisrun`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::ObjectMeta;
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt as _};
use okra_api::analysis::{AnalysisRunSpec, AnalysisTemplateSpec, Argument};
use okra_api::names::{CONTROLLER_INSTANCE_ID, FIELD_MANAGER, LABEL_CONTROLLER_INSTANCE_ID};
use okra_api::{AnalysisRun, AnalysisTemplate};
use okra_clock::{Clock as _, Entropy as _, SystemClock, SystemEntropy};
use okra_domain::analysis::Phase;
use serde_json::json;

use crate::cli::Target;
use crate::commands::connect::{Connection, connect};
use crate::commands::manifests;
use crate::commands::pairs::Pairs;
use crate::output::{self, Exit, Format};

/// Label of the Go program with the second in which a run was made.
const LABEL_TIMESTAMP: &str = "okra.mumo.co/timestamp";
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
    let verdict = create_and_wait(args).await?;
    Ok(if matches!(verdict, None | Some(Phase::Successful)) { Exit::Ok } else { Exit::Usage })
}

/// Makes a run, and with `--wait` gives its verdict.
///
/// # Errors
/// When the template is missing, an argument is not declared, or the API refuses.
pub async fn create_and_wait(args: CreateArgs) -> anyhow::Result<Option<Phase>> {
    let connection = connect(&args.target).await?;
    let (template_name, template) = template(&args, &connection).await?;
    let spec = spec(&template, &args.args.0, &args.args_from_secrets.0)?;
    let end = format!("{:010x}", SystemEntropy::default().next_u64() & 0xff_ffff_ffff);
    let name = args.name.clone().unwrap_or_else(|| format!("{template_name}-{end}"));
    let second = SystemClock::new().now().strftime("%Y%m%d%H%M%S").to_string();
    let labels = BTreeMap::from([
        (LABEL_TIMESTAMP.to_owned(), second),
        (LABEL_CONTROLLER_INSTANCE_ID.to_owned(), CONTROLLER_INSTANCE_ID.to_owned()),
    ]);
    let metadata = ObjectMeta { name: Some(name), labels: Some(labels), ..ObjectMeta::default() };
    let run = AnalysisRun { metadata, spec, status: None };
    let runs: Api<AnalysisRun> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let params = PostParams { dry_run: args.dry_run, field_manager: Some(format!("{FIELD_MANAGER}-cli")) };
    // What was made is what is shown and waited for, whatever else is made
    // in the same second (H-93).
    let made = runs.create(&params, &run).await.context("the run cannot be created")?;
    show(&made, args.output)?;
    if !args.wait || args.dry_run {
        return Ok(None);
    }
    verdict(&connection, &made.name_any()).await.map(Some)
}

/// The template by its name, or out of a file.
async fn template(
    args: &CreateArgs,
    connection: &Connection,
) -> anyhow::Result<(String, AnalysisTemplateSpec)> {
    if let Some(path) = &args.filename {
        let objects = manifests::read(path)?.into_iter().flat_map(|file| file.objects);
        let mut found = objects.filter(|object| object["kind"] == "AnalysisTemplate");
        let object = found.next().with_context(|| format!("{} holds no AnalysisTemplate", path.display()))?;
        anyhow::ensure!(found.next().is_none(), "{} holds more than one AnalysisTemplate", path.display());
        let template: AnalysisTemplate =
            okra_api::decode(object).context("the template does not fit its kind")?;
        return Ok((template.name_any(), template.spec));
    }
    let name = args.template_name.clone().context("a template has a name")?;
    let templates: Api<AnalysisTemplate> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let found = templates.get_opt(&name).await.context("the template cannot be read")?;
    let found = found.with_context(|| {
        format!("there is no AnalysisTemplate {name} in namespace {}", connection.namespace)
    })?;
    Ok((name, found.spec))
}

fn show(run: &AnalysisRun, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => output::print(&output::json(run)?),
        Format::Yaml => output::print(&serde_saphyr::to_string(run)?),
        _ => output::print(&format!("analysisrun/{}\n", run.name_any())),
    }
}

/// The template with these arguments; one that it does not declare is a mistake.
fn spec(
    template: &AnalysisTemplateSpec,
    values: &BTreeMap<String, String>,
    secrets: &BTreeMap<String, String>,
) -> anyhow::Result<AnalysisRunSpec> {
    let declared = |name: &String| template.args.iter().any(|argument| argument.name == *name);
    if let Some(unknown) = values.keys().chain(secrets.keys()).find(|name| !declared(name)) {
        let known: Vec<&str> = template.args.iter().map(|argument| argument.name.as_str()).collect();
        anyhow::bail!("the template declares no argument {unknown}; it has: {}", known.join(", "));
    }
    let mut arguments = template.args.clone();
    for argument in &mut arguments {
        if let Some(value) = values.get(&argument.name) {
            *argument = Argument::literal(argument.name.clone(), value.clone());
        } else if let Some(place) = secrets.get(&argument.name) {
            let (name, key) =
                place.split_once('.').with_context(|| format!("{place:?} is not SECRET.KEY"))?;
            let source =
                json!({"name": argument.name, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}});
            *argument = serde_json::from_value(source).context("an argument from a secret")?;
        }
        anyhow::ensure!(
            argument.has_source(),
            "argument {} has no value: give it with --args",
            argument.name
        );
    }
    Ok(AnalysisRunSpec {
        metrics: template.metrics.clone(),
        args: arguments,
        dry_run: template.dry_run.clone(),
        measurement_retention: template.measurement_retention.clone(),
        ..AnalysisRunSpec::default()
    })
}

fn ended(run: Option<&AnalysisRun>) -> bool {
    run.is_none_or(|run| run.status.as_ref().is_some_and(|status| PHASES.contains(&status.phase.as_str())))
}

/// Waits for the end; what the last measurement said goes to stderr.
async fn verdict(connection: &Connection, name: &str) -> anyhow::Result<Phase> {
    let runs: Api<AnalysisRun> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let run = await_condition(runs, name, ended).await.context("the watch of the run failed")?;
    let status = run.with_context(|| format!("AnalysisRun {name} was deleted meanwhile"))?.status;
    let status = status.unwrap_or_default();
    let phase = match status.phase.as_str() {
        "Successful" => return Ok(Phase::Successful),
        "Inconclusive" => Phase::Inconclusive,
        "Failed" => Phase::Failed,
        _ => Phase::Error,
    };
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

    fn template() -> AnalysisTemplateSpec {
        serde_json::from_value(json!({
            "metrics": [{"name": "m"}], "args": [{"name": "service"}, {"name": "token"}, {"name": "limit", "value": "5"}],
        }))
        .unwrap()
    }

    fn pairs(text: &str) -> BTreeMap<String, String> {
        text.parse::<Pairs>().unwrap().0
    }

    #[test]
    fn arguments_are_those_that_the_template_declares() {
        let made = spec(&template(), &pairs("service=web"), &pairs("token=api.key")).unwrap();
        insta::assert_json_snapshot!(made.args);
        let unknown = spec(&template(), &pairs("servcie=web"), &BTreeMap::new()).unwrap_err().to_string();
        assert!(unknown.contains("no argument servcie"), "{unknown}");
        let missing = spec(&template(), &pairs("service=web"), &BTreeMap::new()).unwrap_err().to_string();
        assert!(missing.contains("token has no value"), "{missing}");
    }

    #[test]
    fn a_phase_is_read_in_any_case_and_others_are_refused() {
        assert_eq!(phase("FAILED"), Ok("Failed".to_owned()));
        assert!(phase("Passed").is_err());
    }
}
