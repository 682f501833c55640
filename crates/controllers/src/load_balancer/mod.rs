//! AWSApplicationLoadBalancerConfig: one rule of an ALB listener, kept as its
//! object says (`spec/okra.md` 3.3.2).
//!
//! ```text
//!   object ──> desired ──> act: read ─> plan ─> write ─> read back ──┐
//!                             ▲           └─ drift, refusal ─────────┼──> status ──> object
//!   DescribeTargetHealth ─────┴─── health ───────────────────────────┘       └─────> AWSTargetGroup
//! ```
//!
//! The rule is read when the spec changes, after every write, and once a
//! verification interval; health is read every 2 seconds while somebody waits
//! for it, else every 5 minutes. [`plan`], [`compare`], [`desired`] and
//! [`status`] are pure.

mod act;
mod compare;
mod desired;
mod health;
mod listeners;
mod memory;
mod ownership;
mod pace;
mod plan;
mod reasons;
mod reconcile;
mod status;
mod target_groups;

use std::sync::Arc;

use futures::StreamExt as _;
use kube::api::ListParams;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher;
use kube::runtime::{WatchStreamExt as _, watcher::watcher as watch};
use kube::{Resource, ResourceExt as _};
use okra_api::{AWSApplicationLoadBalancerConfig, AWSTargetGroup, Cell, Lenient};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::Context;
use crate::failure::{SyncError, filled};
use listeners::Listeners;
use memory::Memories;

/// The name of this controller in metrics and events.
pub(crate) const NAME: &str = "load_balancer";

type Config = AWSApplicationLoadBalancerConfig;

/// What the reconciles of this controller share.
pub(crate) struct Shared {
    pub(crate) context: Context,
    /// All configs, to see two that want one rule.
    pub(crate) configs: Store<Lenient<Config>>,
    /// All Cells, to see whether a rollout runs.
    pub(crate) cells: Store<Lenient<Cell>>,
    /// All target groups, whose health this controller writes.
    pub(crate) groups: Store<Lenient<AWSTargetGroup>>,
    pub(crate) memories: Memories,
    /// What was read of listeners that several configs share.
    pub(crate) listeners: Listeners,
    /// UID of the management API's `kube-system` namespace.
    pub(crate) cluster_id: OnceCell<String>,
}

/// Runs until `stop`.
pub async fn run(context: Context, stop: CancellationToken) {
    let everything = watcher::Config::default;
    let configs = Controller::new(context.watched::<Lenient<Config>>(), everything());
    let groups = Controller::new(context.watched::<Lenient<AWSTargetGroup>>(), everything());
    let (cells, cells_writer) = reflector::store::<Lenient<Cell>>();
    let cells_seen = watch(context.watched::<Lenient<Cell>>(), everything())
        .default_backoff()
        .reflect(cells_writer)
        .take_until(stop.clone().cancelled_owned())
        .for_each(|_| std::future::ready(()));
    let shared = Arc::new(Shared {
        configs: configs.store(),
        groups: groups.store(),
        cells,
        memories: Memories::default(),
        listeners: Listeners::default(),
        cluster_id: OnceCell::new(),
        context,
    });
    let configs = configs
        .watches(shared.context.watched::<Lenient<Cell>>(), everything(), |cell| same_name(&cell))
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(reconcile::reconcile, reconcile::on_error, shared.clone())
        .for_each(|_| std::future::ready(()));
    let groups = groups
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(target_groups::reconcile, target_groups::on_error, shared)
        .for_each(|_| std::future::ready(()));
    futures::join!(configs, groups, cells_seen);
}

/// One pass over a config; whether there is such a config.
///
/// # Errors
/// When it cannot be read, or a write was refused.
pub async fn sync(context: &Context, namespace: &str, name: &str) -> Result<bool, SyncError> {
    let api = context.namespaced::<Lenient<Config>>(namespace);
    let Some(config) = api.get_opt(name).await? else { return Ok(false) };
    let all = ListParams::default();
    let configs = context.watched::<Lenient<Config>>().list(&all).await?;
    let cells = context.watched::<Lenient<Cell>>().list(&all).await?;
    let groups = context.watched::<Lenient<AWSTargetGroup>>().list(&all).await?;
    let shared = Arc::new(Shared {
        context: context.clone(),
        configs: filled(configs.items),
        cells: filled(cells.items),
        groups: filled(groups.items),
        memories: Memories::default(),
        listeners: Listeners::default(),
        cluster_id: OnceCell::new(),
    });
    let before = config.finalizers().to_vec();
    reconcile::reconcile(Arc::new(config), shared.clone()).await?;
    let newer = api.get_opt(name).await?.filter(|newer| newer.finalizers() != before);
    if let Some(newer) = newer {
        // The first pass wrote a finalizer, and no more.
        reconcile::reconcile(Arc::new(newer), shared).await?;
    }
    Ok(true)
}

/// A Cell and its config bear one name.
fn same_name<K: Resource>(object: &K) -> Option<ObjectRef<Lenient<Config>>> {
    let name = object.meta().name.as_deref()?;
    Some(ObjectRef::new(name).within(object.meta().namespace.as_deref()?))
}

/// An action after `wait` on the clock.
pub(crate) fn again(wait: std::time::Duration) -> Action {
    Action::requeue(wait)
}

/// Checks a spec as the controller would before it asks AWS (`spec/okra.md`
/// 3.3.2-1), for `okra lint`.
///
/// # Errors
/// With what is wrong, value and limit.
pub fn check(spec: &okra_api::alb_config::AWSApplicationLoadBalancerConfigSpec) -> Result<(), String> {
    desired::Desired::of(spec).map(|_| ()).map_err(|error| error.to_string())
}
