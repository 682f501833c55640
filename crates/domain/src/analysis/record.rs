//! Entering a measurement into the status of a run (`spec/analysis.md` 2.3, 2.8).

use std::collections::BTreeMap;

use super::assess::{is_terminating, settle_metric};
use super::status::{Measurement, MetricResult, RunStatus};
use super::{Metric, Phase, Run};

/// Bytes of text that the newest measurement of a metric may hold.
const NEWEST: TextLimits = TextLimits { value: 1024, message: 1024, metadata: 2048 };

/// Bytes of text that an older measurement keeps. With 20 metrics of 10 measurements, a status of
/// the longest texts stays below 200 KiB.
const OLDER: TextLimits = TextLimits { value: 160, message: 160, metadata: 64 };

struct TextLimits {
    value: usize,
    message: usize,
    metadata: usize,
}

/// The status with a measurement of a metric entered: a new one, or the next state of the one that
/// a provider works on. Counters and the metric's phase follow; the run's phase is for `plan`.
///
/// `facts` are about the metric as a whole, such as the resolved query. A measurement that comes
/// after the metric or the run has ended is not entered, unless it ends one that was under way.
pub fn record(
    run: &Run,
    status: &RunStatus,
    metric: &str,
    measurement: Measurement,
    facts: &BTreeMap<String, String>,
) -> RunStatus {
    let mut status = status.clone();
    let Some(metric) = run.metric(metric) else { return status };
    let terminating = is_terminating(run, &status);
    let run_ended = status.phase.is_terminal();
    let result = result_mut(run, &mut status, metric);
    let under_way = result.measurements.last().is_some_and(Measurement::is_unfinished);
    if (run_ended || result.phase.is_terminal()) && !under_way {
        return status;
    }
    if under_way {
        result.measurements.pop();
    }
    if !measurement.is_unfinished() {
        result.counters = result.counters.after(measurement.phase);
    }
    result.metadata.extend(facts.iter().map(|(key, value)| (key.clone(), clip(value, NEWEST.metadata))));
    result.measurements.push(measurement);
    trim(&mut result.measurements, metric.retention);
    settle_metric(metric, result, terminating);
    status
}

/// The same for a measurement that was told to stop.
pub fn record_terminated(
    run: &Run,
    status: &RunStatus,
    metric: &str,
    mut measurement: Measurement,
) -> RunStatus {
    if matches!(measurement.phase, Phase::Successful | Phase::Inconclusive) {
        measurement.message = "Metric Terminated".to_owned();
    }
    record(run, status, metric, measurement, &BTreeMap::new())
}

/// The entry of a metric, made if need be; entries are in the order of the metrics.
fn result_mut<'a>(run: &Run, status: &'a mut RunStatus, metric: &Metric) -> &'a mut MetricResult {
    let order = |name: &str| run.metrics.iter().position(|metric| metric.spec.name == name);
    let name = &metric.spec.name;
    let place = status.metric_results.iter().position(|result| result.name == *name).unwrap_or_else(|| {
        let later = |result: &MetricResult| order(&result.name) > order(name);
        let place = status.metric_results.iter().position(later).unwrap_or(status.metric_results.len());
        let fresh = MetricResult { name: name.clone(), ..MetricResult::default() };
        status.metric_results.insert(place, fresh);
        place
    });
    &mut status.metric_results[place]
}

/// Keeps the newest measurements, and of all but the last only the beginning of their texts.
fn trim(measurements: &mut Vec<Measurement>, keep: usize) {
    let surplus = measurements.len().saturating_sub(keep);
    measurements.drain(..surplus);
    if let Some((newest, older)) = measurements.split_last_mut() {
        older.iter_mut().for_each(|measurement| clip_texts(measurement, &OLDER));
        clip_texts(newest, &NEWEST);
    }
}

fn clip_texts(measurement: &mut Measurement, limits: &TextLimits) {
    measurement.value = clip(&measurement.value, limits.value);
    measurement.message = clip(&measurement.message, limits.message);
    let mut room = limits.metadata;
    measurement.metadata.retain(|key, value| {
        let fits = key.len() < room;
        if fits {
            *value = clip(value, room - key.len());
            room -= key.len() + value.len();
        }
        fits
    });
}

/// The beginning of a text, with a sign that there was more.
fn clip(text: &str, limit: usize) -> String {
    const MORE: &str = "…";
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit.saturating_sub(MORE.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if limit < MORE.len() { String::new() } else { format!("{}{MORE}", &text[..end]) }
}
