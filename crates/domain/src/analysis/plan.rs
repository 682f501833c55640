//! What to do next with a run (`spec/analysis.md` 2.1, 2.2).

use jiff::{SignedDuration, Timestamp};

use super::assess::{assess_run, is_terminating, settle_metric, summaries};
use super::status::{Measurement, MetricResult, RunStatus};
use super::{InvalidRun, Metric, Phase, Run, TerminatedBy};

/// The next actions on a run. Nothing is left to decide.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AnalysisPlan {
    /// Metrics of which a measurement is to be taken now, all at once.
    pub measure: Vec<String>,
    /// Metrics whose last measurement a provider works on: ask how far it is.
    pub resume: Vec<String>,
    /// Metrics whose last measurement a provider works on: tell it to stop. To be done before the
    /// status is written, since a finished run is not looked at again.
    pub terminate: Vec<String>,
    /// The status as it is now to be written.
    pub status: RunStatus,
    /// When to plan again at the latest, if nothing happens before.
    pub wake_at: Option<Timestamp>,
    /// Whether the run has outlived its end for as long as it was to be kept.
    pub delete: bool,
}

impl AnalysisPlan {
    /// The plan for a run that cannot be run: it ends at once, with the time of its end, so that
    /// it is deleted like any other.
    pub fn refuse(status: &RunStatus, reason: &InvalidRun, now: Timestamp) -> Self {
        Self::end_with_error(status, reason.to_string(), now)
    }

    /// The same for an error that concerns the whole run, such as an argument without a value.
    pub fn end_with_error(status: &RunStatus, message: String, now: Timestamp) -> Self {
        let mut status = status.clone();
        if !status.phase.is_terminal() {
            status.phase = Phase::Error;
            status.message = message;
            status.started_at.get_or_insert(whole_second(now));
            status.completed_at = Some(whole_second(now));
        }
        Self { status, ..Self::default() }
    }
}

/// After an error the next try comes this soon, or after the interval if that is sooner.
const ERROR_RETRY: SignedDuration = SignedDuration::from_secs(10);

/// Retries are spread over this share of their delay, so that runs that failed together do not
/// ask the provider together again.
const RETRY_JITTER_PERCENT: i32 = 10;

/// A measurement is due after its time, not at it: waking comes this much later.
const JUST_AFTER: SignedDuration = SignedDuration::from_millis(1);

enum Next {
    Nothing,
    Measure,
    Resume,
    Terminate,
    /// Not before this time.
    Wait(Timestamp),
}

/// Decides what to do now with a run in this state. To be called on every change of the run, after
/// every recorded measurement, and at `wake_at`.
pub fn plan(run: &Run, status: &RunStatus, now: Timestamp) -> AnalysisPlan {
    if status.phase.is_terminal() {
        return finished(run, status, now);
    }
    let mut plan = AnalysisPlan { status: status.clone(), ..AnalysisPlan::default() };
    let first_look = status.started_at.is_none();
    let started_at = *plan.status.started_at.get_or_insert(whole_second(now));
    let terminating = is_terminating(run, status);
    for metric in &run.metrics {
        let name = &metric.spec.name;
        if let Some(result) = plan.status.metric_results.iter_mut().find(|result| result.name == *name) {
            settle_metric(metric, result, terminating);
        }
        let moment = Moment { now, started_at, first_look, terminating };
        match next(metric, plan.status.metric(name), &moment) {
            Next::Nothing => {}
            Next::Measure => plan.measure.push(name.clone()),
            Next::Resume => plan.resume.push(name.clone()),
            Next::Terminate => plan.terminate.push(name.clone()),
            Next::Wait(until) => {
                let wake_at = until.saturating_add(JUST_AFTER).unwrap_or(Timestamp::MAX);
                plan.wake_at = Some(plan.wake_at.map_or(wake_at, |earliest| earliest.min(wake_at)));
            }
        }
    }
    let assessment = assess_run(run, &plan.status, terminating);
    plan.status.phase = assessment.phase;
    plan.status.message = assessment.reason;
    (plan.status.run_summary, plan.status.dry_run_summary) = summaries(run, &plan.status);
    if assessment.phase.is_terminal() {
        plan.status.completed_at = Some(whole_second(now));
        plan.status.terminated_by = terminated_by(run, &plan.status);
        plan.wake_at = run.ttl.expiry(&plan.status);
    }
    plan
}

/// Why a run ends with metrics that had not ended by themselves.
fn terminated_by(run: &Run, status: &RunStatus) -> Option<TerminatedBy> {
    let decided = |metric: &Metric| {
        let result = status.metric(&metric.spec.name);
        result.is_some_and(|result| metric.is_decided(result))
    };
    if run.metrics.iter().all(decided) {
        return None;
    }
    let asked = run.terminate.then(|| run.terminated_by.unwrap_or(TerminatedBy::User));
    Some(asked.unwrap_or(TerminatedBy::SiblingFailed))
}

fn finished(run: &Run, status: &RunStatus, now: Timestamp) -> AnalysisPlan {
    let expiry = run.ttl.expiry(status);
    AnalysisPlan {
        status: status.clone(),
        wake_at: expiry,
        delete: expiry.is_some_and(|expiry| expiry <= now),
        ..AnalysisPlan::default()
    }
}

/// Status holds whole seconds, as the kind's other readers expect.
fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// The circumstances of a look at a run.
struct Moment {
    now: Timestamp,
    started_at: Timestamp,
    first_look: bool,
    terminating: bool,
}

impl Moment {
    fn due_after(&self, from: Timestamp, delay: SignedDuration) -> Next {
        let due = from.saturating_add(delay).unwrap_or(Timestamp::MAX);
        if self.now > due { Next::Measure } else { Next::Wait(due) }
    }
}

/// The table of 2.2.
fn next(metric: &Metric, result: Option<&MetricResult>, moment: &Moment) -> Next {
    if result.is_some_and(|result| result.phase.is_terminal()) {
        return Next::Nothing;
    }
    let last = result.and_then(|result| result.measurements.last().map(|last| (result, last)));
    match last {
        Some((_, last)) if last.is_unfinished() => unfinished(last, moment),
        _ if moment.terminating => Next::Nothing,
        None => match metric.initial_delay {
            Some(delay) if moment.first_look => {
                let due = moment.started_at.saturating_add(delay).unwrap_or(Timestamp::MAX);
                Next::Wait(due.max(moment.now))
            }
            Some(delay) => moment.due_after(moment.started_at, delay),
            None => Next::Measure,
        },
        Some((result, _)) if metric.count.is_some_and(|count| result.counters.count >= count) => {
            Next::Nothing
        }
        Some((result, last)) => {
            let finished_at = last.finished_at.unwrap_or(moment.now);
            let delay = if last.phase == Phase::Error {
                error_retry(metric, result)
            } else {
                metric.interval.unwrap_or(SignedDuration::ZERO)
            };
            moment.due_after(finished_at, delay)
        }
    }
}

fn unfinished(last: &Measurement, moment: &Moment) -> Next {
    match last.resume_at {
        _ if moment.terminating => Next::Terminate,
        Some(resume_at) if resume_at > moment.now => Next::Wait(resume_at),
        _ => Next::Resume,
    }
}

/// The delay after an error. Chance is taken from the metric's own state: a plan is a function.
fn error_retry(metric: &Metric, result: &MetricResult) -> SignedDuration {
    let base = metric.interval.map_or(ERROR_RETRY, |interval| interval.min(ERROR_RETRY));
    let finished = result.measurements.last().and_then(|last| last.finished_at);
    let seed = finished.map_or(0, |finished| finished.as_nanosecond() as u64);
    let mixed = metric.spec.name.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let permille = i32::try_from(mixed >> 32 & 0x3ff).unwrap_or_default();
    base.saturating_add(base / 100 * RETRY_JITTER_PERCENT / 1024 * permille)
}
