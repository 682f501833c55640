//! AnalysisRun: measures, judges, and writes what it found
//! (`spec/analysis.md` 2). okra executes the runs that carry its instance id;
//! all others are left to Argo Rollouts.
//!
//! Measurements run beside the reconcile, so that one slow provider holds up
//! neither the other metrics nor the verdict; at most one of a metric is under
//! way. All that is needed to go on lies in status: a run that is killed
//! between measuring and writing is measured again.

mod compare;
mod figures;
mod jobs;
mod measure;
mod prepare;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use okra_api::names::{CONTROLLER_INSTANCE_ID, LABEL_CONTROLLER_INSTANCE_ID};
use okra_api::{AnalysisRun, Lenient};
use okra_domain::analysis::{
    AnalysisPlan, Measurement, Metric, MetricResult, Phase, Run, RunStatus, plan, record, record_terminated,
};
use okra_providers::Providers;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Context;
use crate::chain::chain;
use crate::events::{Occurrence, Severity};
use crate::failure::ReconcileError;
use crate::writer::{WriteError, merge_patch};
pub use figures::AnalysisMetrics;
use figures::MetricLabels;
pub use measure::READ_AT;
use measure::{Taken, Task, Tidying, take, tidy};
use prepare::{prepared, status};
pub use sources::MetricSources;
use sources::providers;

/// Wait before a refused write or read is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// How often a measurement is entered anew when the run has changed under it.
/// Two writers meet seldom; more means that something writes all the time.
const ENTER_ATTEMPTS: usize = 8;

/// Metrics of one run that are being measured; held while a run is planned
/// and while a measurement is entered, so that neither sees half of the other.
type InFlight = Arc<tokio::sync::Mutex<BTreeSet<String>>>;

/// A run as a measurement has left it: until its time there is nothing to do,
/// unless somebody else changes it. Most events tell of our own writes.
struct Rest {
    version: String,
    until: Option<Timestamp>,
}

struct Shell {
    context: Context,
    providers: Providers,
    /// Runs as the watch shows them.
    seen: Store<Lenient<AnalysisRun>>,
    /// By UID of the run.
    in_flight: Mutex<BTreeMap<String, InFlight>>,
    /// By UID of the run.
    rests: Mutex<BTreeMap<String, Rest>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Runs until `stop`.
pub async fn run(context: Context, stop: CancellationToken) {
    let providers = providers(&context);
    let own = format!("{LABEL_CONTROLLER_INSTANCE_ID}={CONTROLLER_INSTANCE_ID}");
    let own = watcher::Config::default().labels(&own);
    let controller = Controller::new(context.watched::<Lenient<AnalysisRun>>(), own);
    let shell = Arc::new(Shell {
        context: context.clone(),
        providers,
        seen: controller.store(),
        in_flight: Mutex::default(),
        rests: Mutex::default(),
        tasks: TaskTracker::new(),
        stop: stop.clone(),
    });
    controller
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile, on_error, shell.clone())
        .for_each(|_| std::future::ready(()))
        .await;
    shell.tasks.close();
    shell.tasks.wait().await;
}

fn on_error(run: Arc<Lenient<AnalysisRun>>, error: &ReconcileError, shell: Arc<Shell>) -> Action {
    tracing::debug!(run = run.name_any(), error = chain(error), "reconcile again");
    Action::requeue(shell.context.entropy.jitter(RETRY, 1.0))
}

async fn reconcile(seen: Arc<Lenient<AnalysisRun>>, shell: Arc<Shell>) -> Result<Action, ReconcileError> {
    let Some(uid) = seen.uid() else { return Ok(Action::await_change()) };
    if let Some(rest) = shell.resting(&uid, &seen) {
        return Ok(rest);
    }
    let in_flight = shell.in_flight(&uid);
    let mut under_way = in_flight.clone().lock_owned().await;
    let Some(run) = shell.current(&uid, &seen).await? else {
        shell.forget(&uid);
        return Ok(Action::await_change());
    };
    if run.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let now = shell.context.clock.now();
    let before = status(&run);
    let (planned, next) = match prepared(&run, &shell.providers) {
        Ok(planned) => {
            let next = plan(&planned, &before, now);
            (Some(planned), next)
        }
        Err(unusable) => (None, AnalysisPlan::end_with_error(&before, unusable.to_string(), now)),
    };
    if next.delete {
        shell.context.writer().delete(&run).await?;
        return Ok(Action::await_change());
    }
    let after = planned.as_ref().map_or_else(|| next.status.clone(), |run| terminated(run, &next, now));
    shell.write(&run, &before, &after).await?;
    if let Some(planned) = &planned {
        shell.stop_measurements(&run, planned, &before, &next.terminate);
    }
    for (metric, task) in tasks(&next) {
        if under_way.insert(metric.clone()) {
            shell.measure(run.clone(), metric, task, in_flight.clone());
        }
    }
    if after.phase.is_terminal() && under_way.is_empty() {
        shell.forget(&uid);
    }
    Ok(next.wake_at.map_or_else(Action::await_change, |moment| Action::requeue(until(moment, now))))
}

/// What a plan asks providers for, a metric each.
fn tasks(next: &AnalysisPlan) -> Vec<(String, Task)> {
    let begin = next.measure.iter().map(|metric| {
        let counters = next.status.metric(metric).map(|result| result.counters).unwrap_or_default();
        (metric.clone(), Task::Begin(counters.count + counters.error + 1))
    });
    let resume = next.resume.iter().filter_map(|metric| {
        let begun = next.status.metric(metric)?.measurements.last()?;
        Some((metric.clone(), Task::Resume(begun.clone())))
    });
    begin.chain(resume).collect()
}

/// What is left unfinished ends without a verdict, at once: the provider is
/// told afterwards, so that no cluster that is slow to answer holds up an
/// abort.
fn terminated(run: &Run, next: &AnalysisPlan, now: Timestamp) -> RunStatus {
    next.terminate.iter().fold(next.status.clone(), |status, metric| {
        let measurement =
            Measurement { phase: Phase::Inconclusive, finished_at: Some(now), ..Measurement::default() };
        record_terminated(run, &status, metric, measurement)
    })
}

fn labels(run: &AnalysisRun, metric: &str) -> MetricLabels {
    let namespace = run.namespace().unwrap_or_default();
    MetricLabels { namespace, run: run.name_any(), metric: metric.to_owned() }
}

/// Metrics of which a provider still works on a measurement.
fn unfinished(status: &RunStatus) -> Vec<String> {
    let at_work = |result: &&MetricResult| result.measurements.last().is_some_and(Measurement::is_unfinished);
    status.metric_results.iter().filter(at_work).map(|result| result.name.clone()).collect()
}

/// The time from `now` to `moment`, rounded up so that the wake-up is not early.
fn until(moment: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(moment.duration_since(now)).unwrap_or_default() + Duration::from_millis(1)
}

impl Shell {
    fn in_flight(&self, uid: &str) -> InFlight {
        let mut runs = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        runs.entry(uid.to_owned()).or_default().clone()
    }

    fn forget(&self, uid: &str) {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
        self.disturb(uid);
    }

    fn rests(&self) -> MutexGuard<'_, BTreeMap<String, Rest>> {
        self.rests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next event of the run is looked into, whatever it says.
    fn disturb(&self, uid: &str) {
        self.rests().remove(uid);
    }

    /// What there is to wait for, if a run is as a measurement has left it.
    fn resting(&self, uid: &str, seen: &Lenient<AnalysisRun>) -> Option<Action> {
        let now = self.context.clock.now();
        let rests = self.rests();
        let rest = rests.get(uid).filter(|rest| seen.resource_version().as_ref() == Some(&rest.version))?;
        match rest.until {
            None => Some(Action::await_change()),
            Some(moment) if moment > now => Some(Action::requeue(until(moment, now))),
            Some(_) => None,
        }
    }

    /// Whether a run is seen as the last measurement has left it.
    fn is_newest(&self, uid: &str, seen: &Lenient<AnalysisRun>) -> bool {
        let version = seen.resource_version();
        self.rests().get(uid).is_some_and(|rest| version.as_ref() == Some(&rest.version))
    }

    /// The run as it is now. What was seen may be older than what a measurement
    /// has written since; only what was written last needs no question.
    async fn current(
        &self,
        uid: &str,
        seen: &Lenient<AnalysisRun>,
    ) -> Result<Option<AnalysisRun>, ReconcileError> {
        if self.is_newest(uid, seen)
            && let Some(run) = seen.valid()
        {
            return Ok(Some(run.clone()));
        }
        let api = self.context.namespaced::<AnalysisRun>(&seen.namespace().unwrap_or_default());
        let run = api.get_opt(&seen.name_any()).await?;
        Ok(run.filter(|run| run.metadata.uid.as_deref() == Some(uid)))
    }

    /// A run to enter a measurement into. Should somebody else have changed it
    /// unseen, the write is refused, and the next attempt asks.
    async fn to_enter(
        &self,
        run: &AnalysisRun,
        attempt: usize,
    ) -> Result<Option<AnalysisRun>, ReconcileError> {
        let uid = run.uid().unwrap_or_default();
        let (name, namespace) = (run.name_any(), run.namespace().unwrap_or_default());
        let seen = self.seen.get(&ObjectRef::new(&name).within(&namespace));
        if let Some(seen) = seen.filter(|seen| attempt == 1 && self.is_newest(&uid, seen)) {
            return self.current(&uid, &seen).await;
        }
        let now = self.context.namespaced::<AnalysisRun>(&namespace).get_opt(&name).await?;
        Ok(now.filter(|now| now.metadata.uid == run.metadata.uid))
    }

    /// Takes a measurement beside the reconcile and enters it. On a stop it is
    /// given up: it can be taken again.
    fn measure(self: &Arc<Self>, run: AnalysisRun, metric: String, task: Task, in_flight: InFlight) {
        let shell = self.clone();
        self.tasks.spawn(async move {
            let taking = take(&shell.context, &shell.providers, &run, &metric, &task);
            let Some(taken) = shell.stop.run_until_cancelled(taking).await else { return };
            let mut under_way = in_flight.lock().await;
            if let Err(error) = shell.enter(&run, &metric, &taken).await {
                shell.disturb(&run.uid().unwrap_or_default());
                tracing::warn!(run = run.name_any(), metric, error = chain(&error), "not entered");
            }
            under_way.remove(&metric);
        });
    }

    /// Tells providers that measurements have ended before their time. `before`
    /// is the status in which they had not.
    fn stop_measurements(
        self: &Arc<Self>,
        object: &AnalysisRun,
        run: &Run,
        before: &RunStatus,
        metrics: &[String],
    ) {
        for metric in metrics {
            let begun = before.metric(metric).and_then(|result| result.measurements.last());
            if let (Some(begun), Some(metric)) = (begun, run.metric(metric)) {
                self.tidy(object, metric, Tidying::Stop(begun.clone()));
            }
        }
    }

    /// Tidies up beside the reconcile.
    fn tidy(self: &Arc<Self>, run: &AnalysisRun, metric: &Metric, tidying: Tidying) {
        let (shell, run) = (self.clone(), run.clone());
        let (name, provider) = (metric.spec.name.clone(), metric.provider.0.clone());
        self.tasks.spawn(async move {
            tidy(&shell.context, &shell.providers, &run, (&name, &provider), tidying).await;
        });
    }

    /// Enters a measurement into the run as it is now; the verdict follows in
    /// the same write.
    async fn enter(
        self: &Arc<Self>,
        run: &AnalysisRun,
        metric: &str,
        taken: &Result<Taken, String>,
    ) -> Result<(), ReconcileError> {
        for attempt in 1.. {
            let Some(run) = self.to_enter(run, attempt).await? else { return Ok(()) };
            let Ok(prepared) = prepared(&run, &self.providers) else { return Ok(()) };
            let before = status(&run);
            let now = self.context.clock.now();
            let next = match taken {
                Ok(taken) => {
                    let entered = record(&prepared, &before, metric, taken.measurement.clone(), &taken.facts);
                    plan(&prepared, &entered, now)
                }
                Err(message) => AnalysisPlan {
                    terminate: unfinished(&before),
                    ..AnalysisPlan::end_with_error(&before, message.clone(), now)
                },
            };
            let after = terminated(&prepared, &next, now);
            match self.write(&run, &before, &after).await {
                Err(WriteError::Stale) if attempt < ENTER_ATTEMPTS => {}
                written => {
                    self.lay_to_rest(&run, &next, written?);
                    if taken.is_ok() && !before.phase.is_terminal() {
                        let labels = labels(&run, metric);
                        self.context.metrics.analysis.measured(&prepared, &after, &labels);
                    }
                    self.stop_measurements(&run, &prepared, &next.status, &next.terminate);
                    self.stop_late(&run, &prepared, &before, metric, taken);
                    self.clean_up(&run, &prepared, metric, &after);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Ends a measurement that has begun only after its run has ended, and is
    /// therefore not entered.
    fn stop_late(
        self: &Arc<Self>,
        object: &AnalysisRun,
        run: &Run,
        before: &RunStatus,
        metric: &str,
        taken: &Result<Taken, String>,
    ) {
        let Ok(Taken { measurement, .. }) = taken else { return };
        let late = measurement.is_unfinished() && before.phase.is_terminal();
        if let Some(metric) = run.metric(metric).filter(|_| late) {
            self.tidy(object, metric, Tidying::Stop(measurement.clone()));
        }
    }

    /// Removes what older measurements of a metric left behind, once one has ended.
    fn clean_up(self: &Arc<Self>, object: &AnalysisRun, run: &Run, metric: &str, after: &RunStatus) {
        let Some(metric) = run.metric(metric) else { return };
        let last = after.metric(&metric.spec.name).and_then(|result| result.measurements.last());
        if last.is_some_and(|last| !last.is_unfinished()) && self.providers.is_background(&metric.provider.0)
        {
            self.tidy(object, metric, Tidying::Keep(metric.retention));
        }
    }

    /// Remembers how a measurement has left the run, if nothing else is due.
    fn lay_to_rest(&self, run: &AnalysisRun, next: &AnalysisPlan, version: Option<String>) {
        let uid = run.uid().unwrap_or_default();
        let idle = next.measure.is_empty() && next.resume.is_empty() && next.terminate.is_empty();
        match version.filter(|_| idle && !next.status.phase.is_terminal()) {
            Some(version) => drop(self.rests().insert(uid, Rest { version, until: next.wake_at })),
            None => self.disturb(&uid),
        }
    }

    /// Patches the status on the object itself: the kind has no subresource.
    /// Gives the version of the run after that.
    async fn write(
        &self,
        run: &AnalysisRun,
        before: &RunStatus,
        after: &RunStatus,
    ) -> Result<Option<String>, WriteError> {
        let [from, to] = [before, after].map(|status| serde_json::to_value(status).map_err(WriteError::Json));
        let Some(change) = merge_patch(&from?, &to?) else { return Ok(run.resource_version()) };
        let written = self.context.writer().patch(run, serde_json::json!({ "status": change })).await?;
        if before.phase != after.phase && after.phase.is_terminal() {
            let severity =
                if after.phase == Phase::Successful { Severity::Normal } else { Severity::Warning };
            let note = if after.message.is_empty() {
                "all metrics passed".to_owned()
            } else {
                after.message.clone()
            };
            let metrics = after.metric_results.iter().map(|result| labels(run, &result.name));
            self.context.metrics.analysis.ended(after.phase, metrics);
            let reason = format!("AnalysisRun{}", after.phase.as_str());
            self.context
                .events("analysisrun")
                .publish(run, &Occurrence { severity, reason, action: "Judge", note })
                .await;
        }
        Ok(written.resource_version())
    }
}
