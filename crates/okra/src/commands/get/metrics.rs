//! One line for each metric of a run: the last value, the limit, and how the
//! values moved.

use jiff::Timestamp;
use okra_api::AnalysisRun;
use okra_api::analysis::MetricResult;
use okra_domain::analysis::parse_duration;
use serde_json::Value;

use crate::look::{Look, Mood, span};

/// How many measurements a sparkline shows.
const BARS_MAX: usize = 12;
/// Longest condition that is shown; the rest is in `okra why`.
const CONDITION_CHARS_MAX: usize = 28;

/// The lines of a run's metrics, in the order of its spec.
pub fn lines(run: &AnalysisRun, now: Timestamp, look: Look) -> Vec<String> {
    run.spec.metrics.iter().map(|metric| line(metric, result(run, metric), now, look)).collect()
}

fn text<'a>(metric: &'a Value, field: &str) -> Option<&'a str> {
    metric.get(field)?.as_str()
}

fn result<'a>(run: &'a AnalysisRun, metric: &Value) -> Option<&'a MetricResult> {
    let name = text(metric, "name")?;
    run.status.as_ref()?.metric_results.iter().find(|result| result.name == name)
}

fn line(metric: &Value, result: Option<&MetricResult>, now: Timestamp, look: Look) -> String {
    let name = text(metric, "name").unwrap_or("-");
    let Some(result) = result else {
        return format!("{} {name}  not measured yet  {}", look.icon(Mood::Idle), limit(metric));
    };
    let values = numbers(result);
    let shown = &values[values.len().saturating_sub(BARS_MAX)..];
    let parts = [
        format!("{} {name}", look.icon(Mood::of_phase(&result.phase))),
        last_value(result),
        limit(metric),
        if shown.len() > 1 { look.sparkline(shown) } else { String::new() },
        progress(metric, result),
        next(metric, result, now),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}

/// The last measured value, or why there is none.
pub fn last_value(result: &MetricResult) -> String {
    let last = result.measurements.iter().rev().find(|one| !one.value.is_empty());
    last.map_or_else(|| "no value".to_owned(), |one| one.value.clone())
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

/// When it is measured next.
fn next(metric: &Value, result: &MetricResult, now: Timestamp) -> String {
    let finished = result.measurements.last().and_then(|one| one.finished_at);
    let interval = text(metric, "interval").and_then(|text| parse_duration(text).ok());
    let (Some(finished), Some(interval), "Running") = (finished, interval, result.phase.as_str()) else {
        return String::new();
    };
    let wait = finished.checked_add(interval).map_or(0, |due| due.duration_since(now).as_secs());
    format!("next in {}", span(wait))
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
