//! AnalysisRun: measures, judges, and writes what it found
//! (`spec/analysis.md` 2). okra executes the runs that carry its instance id;
//! all others are left to Argo Rollouts.
//!
//! Measurements run beside the reconcile, so that one slow provider holds up
//! neither the other metrics nor the verdict; at most one of a metric is under
//! way. All that is needed to go on lies in status: a run that is killed
//! between measuring and writing is measured again.

mod measure;
mod prepare;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::watcher;
use okra_api::names::{CONTROLLER_INSTANCE_ID, LABEL_CONTROLLER_INSTANCE_ID};
use okra_api::{AnalysisRun, Lenient};
use okra_domain::analysis::{
    AnalysisPlan, Measurement, Phase, Run, RunStatus, plan, record, record_terminated,
};
use okra_providers::{AddressPolicy, Client, CloudWatch, Network, Providers, Web};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Context;
use crate::chain::chain;
use crate::events::{Occurrence, Severity};
use crate::writer::{WriteError, merge_patch};
pub use measure::READ_AT;
use measure::{Taken, take};
use prepare::{prepare, status, stored};

/// Wait before a refused write or read is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// How often a measurement is entered anew when the run has changed under it.
/// Two writers meet seldom; more means that something writes all the time.
const ENTER_ATTEMPTS: usize = 8;

/// A run could not be reconciled.
#[derive(Debug, Error)]
enum ReconcileError {
    #[error("the run cannot be read")]
    Read(#[source] Box<kube::Error>),
    #[error("the run was not written")]
    Write(#[from] WriteError),
}

impl From<kube::Error> for ReconcileError {
    fn from(error: kube::Error) -> Self {
        Self::Read(Box::new(error))
    }
}

/// Metrics of one run that are being measured; held while a run is planned
/// and while a measurement is entered, so that neither sees half of the other.
type InFlight = Arc<tokio::sync::Mutex<BTreeSet<String>>>;

struct Shell {
    context: Context,
    providers: Providers,
    /// By UID of the run.
    in_flight: Mutex<BTreeMap<String, InFlight>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Runs until `stop`.
pub async fn run(context: Context, stop: CancellationToken) {
    let providers = providers(&context);
    let shell = Arc::new(Shell {
        context: context.clone(),
        providers,
        in_flight: Mutex::default(),
        tasks: TaskTracker::new(),
        stop: stop.clone(),
    });
    let own = format!("{LABEL_CONTROLLER_INSTANCE_ID}={CONTROLLER_INSTANCE_ID}");
    Controller::new(context.watched::<Lenient<AnalysisRun>>(), watcher::Config::default().labels(&own))
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile, on_error, shell.clone())
        .for_each(|_| std::future::ready(()))
        .await;
    shell.tasks.close();
    shell.tasks.wait().await;
}

/// A network that cannot be read allows nothing.
fn providers(context: &Context) -> Providers {
    let allowed = context.settings.metric_addresses.iter().filter_map(|text| {
        let parsed: Result<Network, _> = text.parse();
        parsed.inspect_err(|error| tracing::warn!(text, %error, "not a network; it is not allowed")).ok()
    });
    let client = Client::new(AddressPolicy::allowing(allowed));
    Providers::new()
        .with("web", Arc::new(Web::new(client)))
        .with("cloudWatch", Arc::new(CloudWatch::new(context.cloudwatch.clone(), context.region.clone())))
}

fn on_error(run: Arc<Lenient<AnalysisRun>>, error: &ReconcileError, shell: Arc<Shell>) -> Action {
    tracing::debug!(run = run.name_any(), error = chain(error), "reconcile again");
    Action::requeue(shell.context.entropy.jitter(RETRY, 1.0))
}

async fn reconcile(seen: Arc<Lenient<AnalysisRun>>, shell: Arc<Shell>) -> Result<Action, ReconcileError> {
    let Some(uid) = seen.uid() else { return Ok(Action::await_change()) };
    let in_flight = shell.in_flight(&uid);
    let mut under_way = in_flight.clone().lock_owned().await;
    let api = shell.context.namespaced::<AnalysisRun>(&seen.namespace().unwrap_or_default());
    // What was seen may be older than what a measurement has written since.
    let Some(run) =
        api.get_opt(&seen.name_any()).await?.filter(|run| run.metadata.uid.as_ref() == Some(&uid))
    else {
        shell.forget(&uid);
        return Ok(Action::await_change());
    };
    if run.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let now = shell.context.clock.now();
    let before = status(&run);
    let (planned, next) = match prepare(&run.spec, &shell.providers) {
        Ok(prepared) => {
            let next = plan(&prepared, &before, now);
            (Some(prepared), next)
        }
        Err(unusable) => (None, AnalysisPlan::end_with_error(&before, unusable.to_string(), now)),
    };
    if next.delete {
        shell.context.writer().delete(&run).await?;
        return Ok(Action::await_change());
    }
    let after = planned.as_ref().map_or_else(|| next.status.clone(), |run| terminated(run, &next, now));
    shell.write(&run, &before, &after).await?;
    for metric in next.measure.iter().chain(&next.resume) {
        if under_way.insert(metric.clone()) {
            shell.measure(run.clone(), metric.clone(), in_flight.clone());
        }
    }
    if after.phase.is_terminal() && under_way.is_empty() {
        shell.forget(&uid);
    }
    Ok(next.wake_at.map_or_else(Action::await_change, |moment| Action::requeue(until(moment, now))))
}

/// No provider of today works in the background, so what is left unfinished
/// was begun by another program and ends here without a verdict.
fn terminated(run: &Run, next: &AnalysisPlan, now: Timestamp) -> RunStatus {
    next.terminate.iter().fold(next.status.clone(), |status, metric| {
        let measurement =
            Measurement { phase: Phase::Inconclusive, finished_at: Some(now), ..Measurement::default() };
        record_terminated(run, &status, metric, measurement)
    })
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
    }

    /// Takes a measurement beside the reconcile and enters it. On a stop it is
    /// given up: it can be taken again.
    fn measure(self: &Arc<Self>, run: AnalysisRun, metric: String, in_flight: InFlight) {
        let shell = self.clone();
        self.tasks.spawn(async move {
            let Some(taken) =
                shell.stop.run_until_cancelled(take(&shell.context, &shell.providers, &run, &metric)).await
            else {
                return;
            };
            let mut under_way = in_flight.lock().await;
            if let Err(error) = shell.enter(&run, &metric, &taken).await {
                tracing::warn!(run = run.name_any(), metric, error = chain(&error), "not entered");
            }
            under_way.remove(&metric);
        });
    }

    /// Enters a measurement into the run as it is now; the verdict follows in
    /// the same write.
    async fn enter(
        &self,
        run: &AnalysisRun,
        metric: &str,
        taken: &Result<Taken, String>,
    ) -> Result<(), ReconcileError> {
        let api = self.context.namespaced::<AnalysisRun>(&run.namespace().unwrap_or_default());
        for attempt in 1.. {
            let Some(run) =
                api.get_opt(&run.name_any()).await?.filter(|now| now.metadata.uid == run.metadata.uid)
            else {
                return Ok(());
            };
            let Ok(prepared) = prepare(&run.spec, &self.providers) else { return Ok(()) };
            let before = status(&run);
            let now = self.context.clock.now();
            let after = match taken {
                Ok(taken) => {
                    let entered = record(&prepared, &before, metric, taken.measurement.clone(), &taken.facts);
                    plan(&prepared, &entered, now).status
                }
                Err(message) => AnalysisPlan::end_with_error(&before, message.clone(), now).status,
            };
            match self.write(&run, &before, &after).await {
                Err(WriteError::Stale) if attempt < ENTER_ATTEMPTS => {}
                written => return Ok(written?),
            }
        }
        Ok(())
    }

    /// Patches the status on the object itself: the kind has no subresource.
    async fn write(
        &self,
        run: &AnalysisRun,
        before: &RunStatus,
        after: &RunStatus,
    ) -> Result<(), WriteError> {
        let [from, to] =
            [before, after].map(|status| serde_json::to_value(stored(status)).map_err(WriteError::Json));
        let Some(change) = merge_patch(&from?, &to?) else { return Ok(()) };
        self.context.writer().patch(run, serde_json::json!({ "status": change })).await?;
        if before.phase != after.phase && after.phase.is_terminal() {
            let severity =
                if after.phase == Phase::Successful { Severity::Normal } else { Severity::Warning };
            let note = if after.message.is_empty() {
                "all metrics passed".to_owned()
            } else {
                after.message.clone()
            };
            let reason = format!("AnalysisRun{}", after.phase.as_str());
            self.context
                .events("analysisrun")
                .publish(run, &Occurrence { severity, reason, action: "Judge", note })
                .await;
        }
        Ok(())
    }
}
