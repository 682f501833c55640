//! From counters to the phase of a metric, and from metrics to the phase of a run
//! (`spec/analysis.md` 2.5, 2.6).

use super::status::{MetricResult, RunStatus, RunSummary};
use super::{Metric, Phase, Run};

/// A phase and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// How far the metric or run is.
    pub phase: Phase,
    /// What decided, in figures; empty if nothing did.
    pub reason: String,
}

impl Assessment {
    fn without_reason(phase: Phase) -> Self {
        Self { phase, reason: String::new() }
    }
}

/// The twelve rows of 2.5; the first that fits decides.
pub(super) fn assess_metric(metric: &Metric, result: &MetricResult, terminating: bool) -> Assessment {
    let decided = || verdict(metric, result);
    if result.phase.is_terminal() {
        let reason = decided().map(|verdict| verdict.reason).unwrap_or_default();
        return Assessment { phase: result.phase, reason };
    }
    match result.measurements.last() {
        None if terminating => Assessment::without_reason(Phase::Successful),
        None => Assessment::without_reason(Phase::Pending),
        Some(last) if last.is_unfinished() => Assessment::without_reason(Phase::Running),
        Some(_) => decided().unwrap_or_else(|| {
            Assessment::without_reason(if terminating { Phase::Successful } else { Phase::Running })
        }),
    }
}

/// Rows 4 to 10: what the counters alone decide.
fn verdict(metric: &Metric, result: &MetricResult) -> Option<Assessment> {
    let (spec, counters) = (&metric.spec, &result.counters);
    let over = |count: u32, limit: i64| i64::from(count) > limit;
    let decided = |phase, reason| Some(Assessment { phase, reason });
    if over(counters.consecutive_error, spec.consecutive_error_limit) {
        let (errors, limit) = (counters.consecutive_error, spec.consecutive_error_limit);
        return decided(
            Phase::Error,
            format!("consecutiveErrors ({errors}) > consecutiveErrorLimit ({limit})"),
        );
    }
    if over(counters.inconclusive, spec.inconclusive_limit) && !is_still_comparing(metric, result) {
        let (count, limit) = (counters.inconclusive, spec.inconclusive_limit);
        return decided(Phase::Inconclusive, format!("inconclusive ({count}) > inconclusiveLimit ({limit})"));
    }
    if spec.failure_limit >= 0 && over(counters.failed, spec.failure_limit) {
        let (failed, limit) = (counters.failed, spec.failure_limit);
        return decided(Phase::Failed, format!("failed ({failed}) > failureLimit ({limit})"));
    }
    let streak = trailing_failures(result);
    if let Some(limit) = spec.consecutive_failure_limit.filter(|limit| over(streak, *limit)) {
        return decided(
            Phase::Failed,
            format!("consecutiveFailures ({streak}) > consecutiveFailureLimit ({limit})"),
        );
    }
    let success_limit_holds = spec.consecutive_success_limit > 0;
    if success_limit_holds && i64::from(counters.consecutive_success) >= spec.consecutive_success_limit {
        return decided(Phase::Successful, String::new());
    }
    if metric.count.is_none_or(|count| counters.count < count) {
        return None;
    }
    let (successes, wanted) = (counters.consecutive_success, spec.consecutive_success_limit);
    let missed = format!(
        "count ({}) reached with consecutiveSuccesses ({successes}) < consecutiveSuccessLimit ({wanted})",
        counters.count
    );
    let failure_limit_holds = spec.failure_limit >= 0 || spec.consecutive_failure_limit.is_some();
    match (failure_limit_holds, success_limit_holds) {
        (true, true) => decided(Phase::Inconclusive, missed),
        (false, _) => decided(Phase::Failed, missed),
        (true, false) => decided(Phase::Successful, String::new()),
    }
}

impl Metric {
    /// Whether its measurements alone came to an end, not a stop from outside.
    pub(super) fn is_decided(&self, result: &MetricResult) -> bool {
        result.phase.is_terminal() && verdict(self, result).is_some()
    }
}

/// A comparison that has not come to a verdict needs more samples, not a human: that counts only
/// when `count` is reached and its last word is still open (2.10-8).
fn is_still_comparing(metric: &Metric, result: &MetricResult) -> bool {
    let ended = metric.count.is_some_and(|count| result.counters.count >= count);
    let open = result.measurements.last().is_some_and(|last| last.phase == Phase::Inconclusive);
    metric.spec.baseline.is_some() && !(ended && open)
}

/// Failures since the last measurement that was none. As many are kept as the limit needs.
fn trailing_failures(result: &MetricResult) -> u32 {
    let failed = result.measurements.iter().rev().take_while(|own| own.phase == Phase::Failed);
    u32::try_from(failed.count()).unwrap_or(u32::MAX)
}

/// Whether the run is to stop: it was asked to, or a metric that counts has ended badly.
pub(super) fn is_terminating(run: &Run, status: &RunStatus) -> bool {
    let decided_badly = |metric: &Metric| {
        let result = status.metric(&metric.spec.name);
        !metric.dry_run && result.is_some_and(|result| metric.consequence(result.phase).is_unsuccessful())
    };
    run.terminate || run.metrics.iter().any(decided_badly)
}

/// Brings the phase and message of a metric up to date.
pub(super) fn settle_metric(metric: &Metric, result: &mut MetricResult, terminating: bool) {
    let assessment = assess_metric(metric, result, terminating);
    result.dry_run = metric.dry_run;
    if result.phase == assessment.phase {
        return;
    }
    result.phase = assessment.phase;
    result.message = result.measurements.last().map(|last| last.message.clone()).unwrap_or_default();
    if metric.dry_run && assessment.phase.is_unsuccessful() {
        let detail = appended(&result.message);
        result.message = format!("Metric assessed {} due to {}{detail}", assessment.phase, assessment.reason);
    }
}

fn appended(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": \"Error Message: {message}\"") }
}

/// The phase and message of a run whose metrics are settled.
pub(super) fn assess_run(run: &Run, status: &RunStatus, terminating: bool) -> Assessment {
    let ended = |metric: &Metric| {
        status.metric(&metric.spec.name).filter(|result| result.phase.is_terminal()).is_some()
    };
    if !terminating && !run.metrics.iter().all(ended) {
        return Assessment::without_reason(Phase::Running);
    }
    let mut worst: Option<(Phase, &Metric, &MetricResult)> = None;
    for metric in run.metrics.iter().filter(|metric| !metric.dry_run && ended(metric)) {
        let Some(result) = status.metric(&metric.spec.name) else { continue };
        let consequence = metric.consequence(result.phase);
        if worst.as_ref().is_none_or(|(phase, _, _)| consequence > *phase) {
            worst = Some((consequence, metric, result));
        }
    }
    match worst {
        Some((phase, metric, result)) if phase.is_unsuccessful() => {
            let reason = assess_metric(metric, result, terminating).reason;
            let (name, detail) = (&metric.spec.name, appended(&result.message));
            let assessed = result.phase;
            let message = format!("Metric \"{name}\" assessed {assessed} due to {reason}{detail}");
            Assessment { phase, reason: message }
        }
        _ if run.terminate => Assessment { phase: Phase::Successful, reason: "Run Terminated".to_owned() },
        _ => Assessment::without_reason(Phase::Successful),
    }
}

/// Counts of the metrics that decide, and of those that run dry.
pub(super) fn summaries(run: &Run, status: &RunStatus) -> (RunSummary, RunSummary) {
    let mut deciding = RunSummary::default();
    let mut dry = RunSummary::default();
    for metric in &run.metrics {
        let phase = status.metric(&metric.spec.name).map_or(Phase::New, |result| result.phase);
        let summary = if metric.dry_run { &mut dry } else { &mut deciding };
        summary.add(phase);
    }
    (deciding, dry)
}
