//! `okra why NAME`: what a Cell waits for, or why it failed. It asks the same
//! planner as the controller, so both know the same reasons.

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use okra_api::AnalysisRun;
use okra_api::analysis::Metric;
use okra_api::names::LABEL_CELL;
use okra_api::write::label_value;
use okra_clock::{SharedClock, SystemClock};
use okra_domain::cell::Plan;
use serde_json::{Value, json};

use super::connect::connect;
use super::get::metrics::{self, Standing};
use crate::cli::Target;
use crate::look::span;
use crate::manager::{self, ControllerFlags};
use crate::output::{self, Exit, Format};

/// Phases of a run that are worth a sentence.
const TELLING: [&str; 3] = ["Failed", "Error", "Inconclusive"];

/// Flags of `okra why`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra why web")]
pub struct WhyArgs {
    /// Name of the Cell
    name: String,
    #[command(flatten)]
    target: Target,
    /// How to print it
    #[arg(long, short = 'o', default_value = "table")]
    output: Format,
    #[command(flatten)]
    controllers: ControllerFlags,
}

/// Prints the reasons.
///
/// # Errors
/// When the API cannot be reached or has no such Cell.
pub async fn run(args: WhyArgs) -> anyhow::Result<Exit> {
    let connection = connect(&args.target).await?;
    let clock: SharedClock = SystemClock::shared();
    let sdk = args.controllers.aws().connect(clock.clone()).await;
    let settings = args.controllers.settings(manager::identity(), &[]);
    let context = manager::context(connection.client.clone(), &sdk, settings, clock, &args.controllers);
    let plan = okra_controllers::cell::preview(&context, &connection.namespace, &args.name)
        .await
        .with_context(|| format!("cannot read Cell {}", args.name))?
        .with_context(|| connection.absent(&args.name))?;
    let selector = ListParams::default().labels(&format!("{LABEL_CELL}={}", label_value(&args.name)));
    let runs: Api<AnalysisRun> = Api::namespaced(connection.client, &connection.namespace);
    let runs = runs.list(&selector).await.context("cannot list AnalysisRuns")?.items;
    let now = context.clock.now();
    match args.output {
        Format::Json => output::print(&output::json(&as_json(&plan, &runs, now))?)?,
        Format::Yaml => output::print(&serde_saphyr::to_string(&as_json(&plan, &runs, now))?)?,
        _ => output::print(&paragraph(&args.name, &plan, &runs, now))?,
    }
    Ok(Exit::Ok)
}

fn as_json(plan: &Plan, runs: &[AnalysisRun], now: Timestamp) -> serde_json::Value {
    let under_way = runs.iter().filter(|run| metrics::is_under_way(run));
    let analyses: Vec<Standing> = under_way.flat_map(|run| metrics::standings(run, now)).collect();
    let reasons: Vec<_> = plan
        .reasons
        .iter()
        .map(|one| json!({"reason": one.reason.to_string(), "message": one.message, "next": one.next}))
        .collect();
    json!({
        "phase": plan.phase().to_string(),
        "reasons": reasons,
        "warnings": plan.warnings,
        "wakeAt": plan.wake_at.map(|moment| moment.to_string()),
        "analyses": analyses,
    })
}

fn paragraph(name: &str, plan: &Plan, runs: &[AnalysisRun], now: Timestamp) -> String {
    let mut lines =
        vec![format!("Cell {name} is {}. {}", plan.phase(), plan.status.message).trim_end().to_owned()];
    for one in &plan.reasons {
        lines.push(format!("  {}: {}", one.reason, one.message));
        if !one.next.is_empty() {
            lines.push(format!("    next: {}", one.next));
        }
    }
    for run in runs.iter().filter(|run| metrics::is_under_way(run)) {
        lines.extend(progress(run, now));
    }
    lines.extend(runs.iter().flat_map(verdicts));
    lines.extend(plan.warnings.iter().map(|warning| format!("  warning: {warning}")));
    lines.join("\n") + "\n"
}

/// What a metric is held against and what it asks, as it is written: secrets
/// are named there, never spelt out.
fn asked(metric: &Value) -> Vec<(&'static str, String)> {
    let text = |value: &Value| value.as_str().map(str::to_owned).filter(|text| !text.is_empty());
    let conditions = [("successCondition", "succeeds when"), ("failureCondition", "fails when")];
    let conditions =
        conditions.into_iter().filter_map(|(field, word)| Some((word, text(metric.get(field)?)?)));
    let providers = metric.get("provider").and_then(Value::as_object).into_iter().flatten();
    let question = providers.filter_map(|(_, settings)| {
        let query = ["query", "url"].into_iter().find_map(|field| text(settings.get(field)?));
        Some(("asks", query?))
    });
    conditions.chain(question).collect()
}

/// Last value, limit and next measurement of an analysis that goes on.
fn progress(run: &AnalysisRun, now: Timestamp) -> Vec<String> {
    let mut lines = vec![format!("  analysis {} goes on", run.name_any())];
    for standing in metrics::standings(run, now) {
        let value = standing
            .last_value
            .map_or_else(|| "not measured yet".to_owned(), |value| format!("last value {value}"));
        let next = match standing.next_at {
            Some(at) if at > now => format!("; next in {}", span(at.duration_since(now).as_secs())),
            Some(_) => "; measuring".to_owned(),
            None if standing.phase.is_empty() => String::new(),
            None => format!("; {}", standing.phase),
        };
        lines.push(format!("    metric {}: {value}{next}", standing.metric));
        let conditions =
            [("succeeds when", standing.success_condition), ("fails when", standing.failure_condition)];
        let limits =
            conditions.into_iter().filter_map(|(word, text)| Some(format!("      {word}: {}", text?)));
        lines.extend(limits);
    }
    lines
}

/// Value and limit of what an analysis found wrong.
fn verdicts(run: &AnalysisRun) -> Vec<String> {
    let status = run.status.clone().unwrap_or_default();
    if !TELLING.contains(&status.phase.as_str()) {
        return Vec::new();
    }
    let name = run.metadata.name.as_deref().unwrap_or_default();
    let mut lines = vec![format!("  analysis {name}: {} {}", status.phase, status.message)];
    for metric in status.metric_results.iter().filter(|metric| TELLING.contains(&metric.phase.as_str())) {
        if let Some(last) = metric.measurements.last() {
            let said = if last.message.is_empty() { String::new() } else { format!("; {}", last.message) };
            lines.push(format!("    metric {}: last value {}{said}", metric.name, last.value));
        }
        let written = run.spec.metrics.iter().find(|one| Metric::name_of(one) == Some(&metric.name));
        for (word, text) in written.map(asked).unwrap_or_default() {
            lines.push(format!("      {word}: {text}"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_goes_on_is_told_with_value_limit_and_time() {
        let run = serde_json::from_value(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun", "metadata": {"name": "web-c0ffee-3"},
            "spec": {"args": [{"name": "every", "value": "30s"}], "metrics": [
                {"name": "errors", "interval": "{{args.every}}", "count": 5, "successCondition": "result < 0.05",
                    "provider": {"web": {"url": "http://h/"}}},
                {"name": "late", "initialDelay": "5m", "failureCondition": "result > 9",
                    "provider": {"web": {"url": "http://h/"}}},
                {"name": "done", "provider": {"web": {"url": "http://h/"}}},
            ]},
            "status": {"phase": "Running", "startedAt": "2026-11-20T10:00:00Z", "metricResults": [
                {"name": "errors", "phase": "Running", "count": 1, "successful": 1, "measurements": [
                    {"phase": "Successful", "value": "0.01", "finishedAt": "2026-11-20T10:00:01Z"}]},
                {"name": "done", "phase": "Successful", "count": 1, "successful": 1, "measurements": [
                    {"phase": "Successful", "value": "7", "finishedAt": "2026-11-20T10:00:01Z"}]},
            ]},
        }))
        .unwrap();
        let now = "2026-11-20T10:00:10Z".parse().unwrap();
        insta::assert_snapshot!(progress(&run, now).join("\n"));
        insta::assert_json_snapshot!(metrics::standings(&run, now));
    }

    #[test]
    fn a_failed_metric_is_told_with_value_condition_and_query() {
        let run = serde_json::from_value(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun", "metadata": {"name": "web-c0ffee-3"},
            "spec": {"metrics": [{
                "name": "error-share", "successCondition": "result < 0.05",
                "provider": {"prometheus": {"query": "sum(rate(errors[1m]))", "address": "http://prometheus"}},
            }]},
            "status": {"phase": "Failed", "message": "metric \"error-share\" assessed Failed", "metricResults": [
                {"name": "error-share", "phase": "Failed", "measurements": [{"phase": "Failed", "value": "0.2"}]},
                {"name": "latency", "phase": "Successful"},
            ]},
        }))
        .unwrap();
        insta::assert_snapshot!(verdicts(&run).join("\n"));
    }
}
