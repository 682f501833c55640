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
pub use settings::Settings;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Runs every controller until `stop` is cancelled, and returns when the last
/// reconcile has ended. `context.fence` is that of the present term.
pub async fn run(context: Context, stop: CancellationToken) {
    let mut controllers = JoinSet::new();
    controllers.spawn(analysis::run(context.clone(), stop.clone()));
    controllers.spawn(cell::run(context.clone(), stop.clone()));
    controllers.spawn(cluster_set::run(context.clone(), stop.clone()));
    controllers.spawn(load_balancer::run(context.clone(), stop.clone()));
    controllers.spawn(pause::run(context.clone(), stop.clone()));
    controllers.spawn(target_group_binding::run(context.clone(), stop.clone()));
    controllers.spawn(target_group_set::run(context, stop.clone()));
    while let Some(ended) = controllers.join_next().await {
        if let Err(error) = ended {
            // A panic is our bug. The others stop too: half of okra is worse
            // than none, and whoever started us starts us again.
            tracing::error!(%error, "a controller ended by a panic");
            stop.cancel();
        }
    }
}
