//! Pause: a wait that ends at a moment, or when somebody cancels it
//! (`spec/okra.md` 3.5). Final phases never change; a status is written on a
//! transition only (H-39).

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::watcher;
use okra_api::pause::{PHASE_CANCELLED, PHASE_EXPIRED, PHASE_STARTED, PauseSpec, PauseStatus};
use okra_api::{Lenient, Pause};
use tokio_util::sync::CancellationToken;

use crate::Context;
use crate::writer::WriteError;

/// Wait before a refused write is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Runs until `stop`.
pub async fn run(context: Context, stop: CancellationToken) {
    Controller::new(context.watched::<Lenient<Pause>>(), watcher::Config::default())
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(
            reconcile,
            |_, _, context| Action::requeue(context.entropy.jitter(RETRY, 0.5)),
            Arc::new(context),
        )
        .for_each(|_| std::future::ready(()))
        .await;
}

/// What a pause shall become and when to look again.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    /// The phase to write, if it changes.
    phase: Option<&'static str>,
    /// When its time comes.
    wake_at: Option<Timestamp>,
}

/// An expired pause that never started goes directly to `Expired`; without a
/// moment it is over at once, unless it is indefinite.
fn step(spec: &PauseSpec, phase: &str, now: Timestamp) -> Step {
    if matches!(phase, PHASE_EXPIRED | PHASE_CANCELLED) {
        return Step { phase: None, wake_at: None };
    }
    let ends_at = match (spec.expire_time, spec.indefinite) {
        (Some(moment), _) => Some(moment),
        (None, Some(true)) => None,
        (None, _) => Some(now),
    };
    if ends_at.is_some_and(|moment| moment <= now) {
        return Step { phase: Some(PHASE_EXPIRED), wake_at: None };
    }
    Step { phase: (phase != PHASE_STARTED).then_some(PHASE_STARTED), wake_at: ends_at }
}

async fn reconcile(pause: Arc<Lenient<Pause>>, context: Arc<Context>) -> Result<Action, WriteError> {
    let Some(pause) = pause.valid() else { return Ok(Action::await_change()) };
    if pause.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let now = context.clock.now();
    let before = pause.status.as_ref();
    let step = step(&pause.spec, before.and_then(|status| status.phase.as_deref()).unwrap_or_default(), now);
    if let Some(phase) = step.phase {
        let after = PauseStatus {
            phase: Some(phase.to_owned()),
            last_sync_time: Some(now),
            observed_generation: pause.metadata.generation,
            ..before.cloned().unwrap_or_default()
        };
        context.writer().patch_status(pause, before, &after).await?;
        tracing::debug!(pause = pause.name_any(), phase, "pause");
    }
    Ok(step.wake_at.map_or_else(Action::await_change, |moment| Action::requeue(until(moment, now))))
}

/// The time from `now` to `moment`, rounded up so that the wake-up is not early.
fn until(moment: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(moment.duration_since(now)).unwrap_or_default() + Duration::from_millis(1)
}

/// A pass that was asked for by hand has failed.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The Pause cannot be read.
    #[error("it cannot be read")]
    Read(#[source] Box<kube::Error>),
    /// Its status cannot be written.
    #[error("it cannot be written")]
    Write(#[from] WriteError),
}

/// One pass over a Pause, and its phase after that; `None` when there is none.
///
/// # Errors
/// When it cannot be read, or a write was refused.
pub async fn sync(context: &Context, namespace: &str, name: &str) -> Result<Option<String>, SyncError> {
    let read = async || {
        let found = context.namespaced::<Lenient<Pause>>(namespace).get_opt(name).await;
        found.map_err(|error| SyncError::Read(Box::new(error)))
    };
    let Some(pause) = read().await? else { return Ok(None) };
    reconcile(Arc::new(pause), Arc::new(context.clone())).await?;
    let after = read().await?.and_then(|pause| pause.valid()?.status.as_ref()?.phase.clone());
    Ok(Some(after.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn until_second(seconds: i64) -> PauseSpec {
        PauseSpec { expire_time: Some(at(seconds)), indefinite: None }
    }

    #[test]
    fn a_pause_starts_and_expires_at_its_moment() {
        let spec = until_second(100);
        assert_eq!(step(&spec, "", at(10)), Step { phase: Some("Started"), wake_at: Some(at(100)) });
        assert_eq!(step(&spec, "Started", at(99)), Step { phase: None, wake_at: Some(at(100)) });
        assert_eq!(step(&spec, "Started", at(100)), Step { phase: Some("Expired"), wake_at: None });
        assert_eq!(step(&spec, "", at(101)), Step { phase: Some("Expired"), wake_at: None });
    }

    #[test]
    fn h_39_final_phases_never_change() {
        for phase in ["Expired", "Cancelled"] {
            assert_eq!(step(&until_second(1), phase, at(100)), Step { phase: None, wake_at: None });
        }
    }

    #[test]
    fn an_indefinite_pause_waits_for_a_human() {
        let spec = PauseSpec { expire_time: None, indefinite: Some(true) };
        assert_eq!(step(&spec, "", at(10)), Step { phase: Some("Started"), wake_at: None });
        assert_eq!(step(&spec, "Started", at(1_000_000)), Step { phase: None, wake_at: None });
        let legacy = PauseSpec::default();
        assert_eq!(step(&legacy, "", at(10)), Step { phase: Some("Expired"), wake_at: None });
    }
}
