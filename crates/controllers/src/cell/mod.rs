//! Cell: reads the whole state, asks the planner, carries the plan out
//! (`spec/okra.md` 3.4.2). What is decided is decided in
//! [`okra_domain::cell::plan`]; nothing here adds a choice.

mod act;
mod facts;
mod jobs;
mod lookout;
mod quiet;
mod readiness;
mod snapshot;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::channel::mpsc::unbounded;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use okra_api::cell::Cell;
use okra_api::names::{CLUSTER_SECRETS, LABEL_CELL};
use okra_api::observe::observe;
use okra_api::{
    AWSApplicationLoadBalancerConfig, AWSTargetGroup, AnalysisRun, Experiment, Lenient, Pause,
    VersionBlocklist,
};
use okra_domain::Phase;
use okra_domain::cell;
use okra_domain::cell::{Observed, Plan};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::Context;
use crate::chain::chain;
use crate::events::{Occurrence, Severity};
use crate::writer::WriteError;
use act::{Act, ActError, Outcome};
use lookout::Lookout;
use snapshot::Snapshot;

/// Wait after a write that met a newer object: it is read anew at once.
const RETRY_STALE: Duration = Duration::from_millis(20);
/// First wait after another failure, doubled up to [`RETRY_LONGEST`].
const RETRY: Duration = Duration::from_millis(500);
/// Longest wait after a failure (`spec/okra.md` 3).
const RETRY_LONGEST: Duration = Duration::from_secs(120);
/// A plan whose components cannot be made is made again with that knowledge;
/// the second one fails the rollout and creates nothing.
const PLANS_MAX: usize = 3;

/// How long a single pass waits for member clusters and CloudWatch.
const ONE_PASS_WAIT: Duration = Duration::from_secs(3);

/// What the reconciles of this controller share.
struct Shared {
    context: Context,
    lookout: Lookout,
}

/// A Cell could not be reconciled.
#[derive(Debug, Error)]
enum ReconcileError {
    #[error("the Cell cannot be read")]
    Read(#[source] Box<kube::Error>),
    #[error(transparent)]
    Act(#[from] ActError),
}

impl From<kube::Error> for ReconcileError {
    fn from(error: kube::Error) -> Self {
        Self::Read(Box::new(error))
    }
}

/// Runs until `stop`.
pub async fn run(context: Context, stop: CancellationToken) {
    let everything = watcher::Config::default;
    let components = || watcher::Config::default().labels(LABEL_CELL);
    let clusters = watcher::Config::default().labels(CLUSTER_SECRETS);
    let controller = Controller::new(context.watched::<Lenient<Cell>>(), everything());
    let (selecting, near) = (controller.store(), controller.store());
    let (wake, woken) = unbounded();
    let lookout = Lookout::new(context.clone(), wake);
    controller
        .watches(context.watched::<Lenient<AWSApplicationLoadBalancerConfig>>(), everything(), |config| {
            same_name(&config)
        })
        .watches(context.watched::<Lenient<VersionBlocklist>>(), everything(), |list| same_name(&list))
        .watches(context.watched::<Lenient<AWSTargetGroup>>(), everything(), move |group| {
            cells_of(&selecting, &group)
        })
        .watches(context.watched::<Secret>(), clusters, move |secret| {
            let namespace = secret.namespace();
            references(&near, |cell| cell.namespace() == namespace)
        })
        .owns(context.watched::<Lenient<Pause>>(), components())
        .owns(context.watched::<Lenient<AnalysisRun>>(), components())
        .owns(context.watched::<Lenient<Experiment>>(), components())
        .reconcile_on(woken)
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile, on_error, Arc::new(Shared { context, lookout }))
        .for_each(|_| std::future::ready(()))
        .await;
}

fn same_name<K: kube::Resource>(object: &K) -> Option<ObjectRef<Lenient<Cell>>> {
    let name = object.meta().name.as_deref()?;
    Some(ObjectRef::new(name).within(object.meta().namespace.as_deref()?))
}

/// Cells that select a target group, or hold it although they do not any more.
fn cells_of(store: &Store<Lenient<Cell>>, group: &Lenient<AWSTargetGroup>) -> Vec<ObjectRef<Lenient<Cell>>> {
    let (namespace, name) = (group.namespace(), group.name_any());
    references(store, |cell| {
        let Some(cell) = cell.valid().filter(|cell| cell.namespace() == namespace) else { return false };
        let held = cell.status.iter().flat_map(|status| &status.weights).any(|weight| weight.name == name);
        let selects = cell.spec.entry_point().is_ok_and(|entry| {
            entry.selector().match_labels.iter().all(|(key, value)| group.labels().get(key) == Some(value))
        });
        held || selects
    })
}

fn references(
    store: &Store<Lenient<Cell>>,
    wanted: impl Fn(&Lenient<Cell>) -> bool,
) -> Vec<ObjectRef<Lenient<Cell>>> {
    let mut found: Vec<_> = store
        .state()
        .iter()
        .filter(|cell| wanted(cell))
        .map(|cell| ObjectRef::from_obj(cell.as_ref()))
        .collect();
    found.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    found
}

fn on_error(cell: Arc<Lenient<Cell>>, error: &ReconcileError, shared: Arc<Shared>) -> Action {
    let entropy = &shared.context.entropy;
    let stale = matches!(error, ReconcileError::Act(ActError::Write(WriteError::Stale | WriteError::Exists)));
    if stale {
        return Action::requeue(entropy.jitter(RETRY_STALE, 1.0));
    }
    tracing::warn!(cell = cell.name_any(), error = chain(error), "the Cell is tried again");
    Action::requeue(entropy.jitter(RETRY, 1.0).min(RETRY_LONGEST))
}

async fn reconcile(seen: Arc<Lenient<Cell>>, shared: Arc<Shared>) -> Result<Action, ReconcileError> {
    let (namespace, name) = (seen.namespace().unwrap_or_default(), seen.name_any());
    let Shared { context, lookout } = shared.as_ref();
    let Some(mut snapshot) = Snapshot::read(context, lookout, &namespace, &name).await? else {
        lookout.forget(&(namespace, name));
        return Ok(Action::await_change());
    };
    for _ in 0..PLANS_MAX {
        let now = context.clock.now();
        let observed = observe(&snapshot.view());
        let plan = cell::plan(&observed, now);
        let Some(cell) = snapshot.cell.valid() else {
            // It cannot be written in its own kind; the API server's schema keeps such objects out.
            tracing::warn!(cell = name, message = plan.status.message, "the Cell does not fit its kind");
            return Ok(Action::await_change());
        };
        log(&name, &plan, &observed);
        let act = Act { context, snapshot: &snapshot, cell, observed: &observed, plan: &plan, now };
        match act.carry_out().await? {
            Outcome::Done => {
                tell(context, cell, &observed, &plan).await;
                return Ok(plan
                    .wake_at
                    .map_or_else(Action::await_change, |moment| Action::requeue(until(moment, now))));
            }
            Outcome::Failed(components) => snapshot.facts.failed_components.extend(components),
        }
    }
    tracing::error!(cell = name, "plans go on asking for components that cannot be made");
    Ok(Action::requeue(RETRY_LONGEST))
}

/// The time from `now` to `moment`, rounded up so that the wake-up is not early.
fn until(moment: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(moment.duration_since(now)).unwrap_or_default() + Duration::from_millis(1)
}

fn log(name: &str, plan: &Plan, observed: &Observed) {
    if plan.is_idle(&observed.status) {
        return;
    }
    let reasons: Vec<String> =
        plan.reasons.iter().map(|one| format!("{}: {}", one.reason, one.message)).collect();
    tracing::info!(cell = name, phase = %plan.phase(), writes = plan.config.is_some(), reasons = reasons.join("; "), "plan");
}

/// Events tell of transitions only (H-74).
async fn tell(context: &Context, cell: &Cell, observed: &Observed, plan: &Plan) {
    let (before, after) = (&observed.status, &plan.status);
    if (before.phase, before.reason) == (after.phase, after.reason) {
        return;
    }
    let trouble = matches!(plan.phase(), Phase::Failed | Phase::Degraded | Phase::Error | Phase::Paused);
    let reason = after.reason.map_or_else(|| plan.phase().to_string(), |reason| reason.to_string());
    let occurrence = Occurrence {
        severity: if trouble { Severity::Warning } else { Severity::Normal },
        reason,
        action: if plan.config.is_some() { "WriteWeights" } else { "Plan" },
        note: format!("{}: {}", plan.phase(), after.message),
    };
    context.events("cell").publish(cell, &occurrence).await;
}

/// What the controller would do next with a Cell, without doing it; `None`
/// when there is no such Cell.
///
/// # Errors
/// When the Cell cannot be read.
pub async fn preview(context: &Context, namespace: &str, name: &str) -> Result<Option<Plan>, kube::Error> {
    let (snapshot, _) = informed(context, namespace, name).await?;
    Ok(snapshot.map(|snapshot| cell::plan(&observe(&snapshot.view()), context.clock.now())))
}

/// A snapshot that has waited for member clusters and CloudWatch.
async fn informed(
    context: &Context,
    namespace: &str,
    name: &str,
) -> Result<(Option<Snapshot>, Lookout), kube::Error> {
    let (wake, mut woken) = unbounded();
    let lookout = Lookout::new(context.clone(), wake);
    let mut snapshot = Snapshot::read(context, &lookout, namespace, name).await?;
    if lookout.is_waiting() {
        let answered = async { while lookout.is_waiting() && woken.next().await.is_some() {} };
        // What has not been said by then counts as unknown, as for the controller.
        let _ = tokio::time::timeout(ONE_PASS_WAIT, answered).await;
        snapshot = Snapshot::read(context, &lookout, namespace, name).await?;
    }
    Ok((snapshot, lookout))
}

/// A pass that was asked for by hand has failed.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct SyncError(#[from] ReconcileError);

/// One pass over a Cell; whether there is such a Cell.
///
/// # Errors
/// When it cannot be read, or a write was refused.
pub async fn sync(context: &Context, namespace: &str, name: &str) -> Result<bool, SyncError> {
    let informed = informed(context, namespace, name).await.map_err(ReconcileError::from)?;
    let (Some(snapshot), lookout) = informed else { return Ok(false) };
    let shared = Shared { context: context.clone(), lookout };
    reconcile(Arc::new(snapshot.cell), Arc::new(shared)).await?;
    Ok(true)
}
