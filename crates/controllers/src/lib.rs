//! Observe, plan, act: one module a kind.
//!
//! ```text
//!   watches ──> controller of a kind ──> plan (pure) ──> writer ──> Kubernetes API
//!      ▲              │                                    │ fence: the epoch of the leader
//!      └── health polls, wake-ups of plans                 └──────> AWS, through the ports
//! ```
//!
//! The only place where kube runs loops. A reconcile takes no input but the
//! name of an object: it reads the whole state again, plans, and carries the
//! plan out; the same path serves the first pass, the retry and the restart.
//!
//! What it never does:
//! - decide in the shell: plans are made by pure functions, here or in the
//!   domain, and leave no choice open;
//! - write without asking the fence ([`fence::Fence`]) directly before;
//! - take an empty or failed list for "nothing there";
//! - let one malformed object stop a watch ([`okra_api::Lenient`]).

pub mod analysis;
pub mod applied;
pub mod cell;
pub mod chain;
pub mod cluster_set;
pub mod context;
pub mod events;
pub mod experiment;
mod failure;
pub mod fence;
pub mod finalizers;
pub mod health;
pub mod leader;
pub mod load_balancer;
pub mod malformed;
pub mod members;
pub mod metrics;
pub mod naming;
pub mod pause;
pub mod secret_members;
pub mod settings;
pub mod target_group_binding;
pub mod target_group_set;
pub mod writer;

pub use context::Context;
pub use failure::SyncError;
pub use settings::Settings;

use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Time for the reconciles that run when the stop comes. It is also what ends a
/// controller that has not listed its kind by then: kube waits for that list
/// although its watch has been cut. Far below the 30 s that Kubernetes gives a pod.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Runs every controller until `stop` is cancelled, and returns when the last
/// reconcile has ended. `context.fence` is that of the present term.
pub async fn run(context: Context, stop: CancellationToken) {
    let clock = context.clock.clone();
    let mut controllers = JoinSet::new();
    controllers.spawn(analysis::run(context.clone(), stop.clone()));
    controllers.spawn(cell::run(context.clone(), stop.clone()));
    controllers.spawn(cluster_set::run(context.clone(), stop.clone()));
    controllers.spawn(experiment::run(context.clone(), stop.clone()));
    controllers.spawn(load_balancer::run(context.clone(), stop.clone()));
    controllers.spawn(pause::run(context.clone(), stop.clone()));
    controllers.spawn(target_group_binding::run(context.clone(), stop.clone()));
    controllers.spawn(target_group_set::run(context, stop.clone()));
    let mut overdue = std::pin::pin!(async {
        stop.cancelled().await;
        clock.sleep(STOP_GRACE).await;
    });
    let mut given_up = false;
    loop {
        tokio::select! {
            ended = controllers.join_next() => match ended {
                None => return,
                Some(Err(error)) if error.is_panic() => {
                    // A panic is our bug. The others stop too: half of okra is worse
                    // than none, and whoever started us starts us again.
                    tracing::error!(%error, "a controller ended by a panic");
                    stop.cancel();
                }
                Some(_) => {}
            },
            () = &mut overdue, if !given_up => {
                given_up = true;
                tracing::debug!("what has not ended by now is given up");
                controllers.abort_all();
            }
        }
    }
}
