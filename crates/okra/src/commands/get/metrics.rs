//! One line for each metric of a run: the last value, the limit, and how the
//! values moved.

use jiff::Timestamp;
use kube::ResourceExt as _;
use okra_api::AnalysisRun;
use okra_api::analysis::{AnalysisRunSpec, MetricResult};
use okra_domain::analysis::{RunStatus, parse_duration, plan};
use serde_json::Value;

use crate::commands::analysis::template;
use crate::look::{Look, Mood, span};

/// Phases of a run that has ended.
const ENDED: [&str; 4] = ["Successful", "Failed", "Error", "Inconclusive"];
/// How many measurements a sparkline shows.
const BARS_MAX: usize = 12;
/// Longest condition that is shown; the rest is in `okra why`.
const CONDITION_CHARS_MAX: usize = 28;

/// The lines of a run's metrics, in the order of its spec.
pub fn lines(run: &AnalysisRun, now: Timestamp, look: Look) -> Vec<String> {
    run.spec.metrics.iter().map(|metric| line(run, metric, now, look)).collect()
}

fn text<'a>(metric: &'a Value, field: &str) -> Option<&'a str> {
    metric.get(field)?.as_str()
}

fn result<'a>(run: &'a AnalysisRun, metric: &Value) -> Option<&'a MetricResult> {
    let name = text(metric, "name")?;
    run.status.as_ref()?.metric_results.iter().find(|result| result.name == name)
}

fn line(run: &AnalysisRun, metric: &Value, now: Timestamp, look: Look) -> String {
    let name = text(metric, "name").unwrap_or("-");
    let next = next(due(run, metric, now), now);
    let Some(result) = result(run, metric) else {
        let parts =
            [format!("{} {name}", look.icon(Mood::Idle)), "not measured yet".to_owned(), limit(metric), next];
        return parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ");
    };
    let values = numbers(result);
    let shown = &values[values.len().saturating_sub(BARS_MAX)..];
    let parts = [
        format!("{} {name}", look.icon(Mood::of_phase(&result.phase))),
        last_value(result),
        limit(metric),
        if shown.len() > 1 { look.sparkline(shown) } else { String::new() },
        progress(metric, result),
        next,
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}

/// The last measured value, or why there is none.
pub fn last_value(result: &MetricResult) -> String {
    measured(result).unwrap_or("no value").to_owned()
}

fn measured(result: &MetricResult) -> Option<&str> {
    result.measurements.iter().rev().map(|one| one.value.as_str()).find(|value| !value.is_empty())
}

/// The condition that a value is held against.
pub fn limit(metric: &Value) -> String {
    let short = |text: &str| {
        let cut: String = text.chars().take(CONDITION_CHARS_MAX).collect();
        if cut == text { cut } else { format!("{cut}...") }
    };
    let success = text(metric, "successCondition").filter(|text| !text.is_empty());
    let failure = text(metric, "failureCondition").filter(|text| !text.is_empty());
    match (success, failure) {
        (Some(success), _) => format!("wants {}", short(success)),
        (None, Some(failure)) => format!("fails on {}", short(failure)),
        (None, None) => String::new(),
    }
}

/// What can be drawn: values that are one number, alone or in a list of one.
fn numbers(result: &MetricResult) -> Vec<f64> {
    let number =
        |text: &str| text.trim_matches(['[', ']']).parse::<f64>().ok().filter(|value| value.is_finite());
    result.measurements.iter().filter_map(|one| number(&one.value)).collect()
}

fn count(metric: &Value) -> Option<i64> {
    let count = metric.get("count")?;
    count.as_i64().or_else(|| count.as_str()?.parse().ok())
}

fn progress(metric: &Value, result: &MetricResult) -> String {
    let done = result.count.unwrap_or(0);
    match count(metric) {
        Some(wanted) => format!("{done} of {wanted}"),
        None => format!("{done} measured"),
    }
}

/// When it is measured next, in words.
fn next(due: Option<Timestamp>, now: Timestamp) -> String {
    match due {
        None => String::new(),
        Some(due) if due <= now => "measuring".to_owned(),
        Some(due) => format!("next in {}", span(due.duration_since(now).as_secs())),
    }
}

/// When a metric of a run is measured next, by the plan of its controller; in
/// the past while it is due. `None` when it is not measured any more.
fn due(run: &AnalysisRun, metric: &Value, now: Timestamp) -> Option<Timestamp> {
    let alone = AnalysisRunSpec {
        metrics: vec![metric.clone()],
        args: run.spec.args.clone(),
        terminate: run.spec.terminate,
        ..AnalysisRunSpec::default()
    };
    let stored = serde_json::to_value(run.status.clone().unwrap_or_default()).ok()?;
    let status: RunStatus = serde_json::from_value(stored).ok()?;
    if status.phase.is_terminal() {
        return None;
    }
    let plan = plan(&template::planned(&alone).ok()?, &status, now);
    if plan.measure.is_empty() && plan.resume.is_empty() { plan.wake_at } else { Some(now) }
}

/// How a metric of a run stands, for machines and for sentences.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// Name of the run.
    pub run: String,
    /// Name of the metric.
    pub metric: String,
    /// Its phase; empty before the first measurement.
    pub phase: String,
    /// The last measured value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_value: Option<String>,
    /// What success asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_condition: Option<String>,
    /// What failure is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_condition: Option<String>,
    /// When it is measured next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
}

/// How the metrics of a run stand, in the order of its spec.
pub fn standings(run: &AnalysisRun, now: Timestamp) -> Vec<Standing> {
    let standing = |metric: &Value| {
        let result = result(run, metric);
        let condition = |field: &str| text(metric, field).filter(|text| !text.is_empty()).map(str::to_owned);
        Standing {
            run: run.name_any(),
            metric: text(metric, "name").unwrap_or("-").to_owned(),
            phase: result.map(|result| result.phase.clone()).unwrap_or_default(),
            last_value: result.and_then(measured).map(str::to_owned),
            success_condition: condition("successCondition"),
            failure_condition: condition("failureCondition"),
            next_at: due(run, metric, now),
        }
    };
    run.spec.metrics.iter().map(standing).collect()
}

/// Whether a run goes on.
pub fn is_under_way(run: &AnalysisRun) -> bool {
    let phase = run.status.as_ref().map_or("", |status| status.phase.as_str());
    !ENDED.contains(&phase)
}

/// Seconds that the metrics of a template take, the longest of them; `None`
/// when one has no end.
pub fn seconds(metrics: &[Value]) -> Option<i64> {
    let seconds = |metric: &Value| {
        let part = |field: &str| text(metric, field).and_then(|text| parse_duration(text).ok());
        let delay = part("initialDelay").map_or(0, |delay| delay.as_secs());
        match (part("interval"), count(metric)) {
            (None, _) => Some(delay),
            (Some(interval), Some(count)) => Some(delay + interval.as_secs() * (count - 1).max(0)),
            (Some(_), None) => None,
        }
    };
    metrics.iter().map(seconds).try_fold(0, |longest, one| Some(longest.max(one?)))
}
