//! How a pass over an object ends badly, how that is counted, and when it is
//! tried again: the same for every controller.

use std::hash::Hash;
use std::time::Duration;

use kube::runtime::controller::Action;
use kube::runtime::reflector::{self, Lookup, Store};
use kube::runtime::watcher;
use okra_aws::AwsError;
use thiserror::Error;

use crate::Context;
use crate::writer::WriteError;

/// An object could not be reconciled.
#[derive(Debug, Error)]
pub(crate) enum ReconcileError {
    #[error("the management API cannot be read")]
    Read(#[source] Box<kube::Error>),
    #[error("an object was not written")]
    Write(#[from] WriteError),
    #[error("the rule cannot be deleted")]
    Delete(#[source] AwsError),
}

/// A pass that was asked for by hand has failed.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct SyncError(#[from] ReconcileError);

impl From<kube::Error> for SyncError {
    fn from(error: kube::Error) -> Self {
        Self(error.into())
    }
}

/// A store that holds these objects, for a pass without a watch.
pub(crate) fn filled<K>(objects: Vec<K>) -> Store<K>
where
    K: Lookup + Clone + 'static,
    K::DynamicType: Default + Eq + Hash + Clone,
{
    let (store, mut writer) = reflector::store();
    for object in objects {
        writer.apply_watcher_event(&watcher::Event::Apply(object));
    }
    store
}

impl From<kube::Error> for ReconcileError {
    fn from(error: kube::Error) -> Self {
        Self::Read(Box::new(error))
    }
}

impl ReconcileError {
    /// Whether the object was written by somebody else meanwhile: the next
    /// event brings it anyway.
    pub(crate) fn is_stale(&self) -> bool {
        matches!(self, Self::Write(WriteError::Stale))
    }

    /// How it is counted.
    fn word(&self) -> &'static str {
        match self {
            Self::Write(WriteError::Stale) => "stale",
            Self::Write(_) => "write_failed",
            Self::Read(_) => "read_failed",
            Self::Delete(_) => "delete_failed",
        }
    }
}

/// Counts a pass of the controller `name`, with its outcome and time.
pub(crate) async fn measured(
    context: &Context,
    name: &'static str,
    pass: impl Future<Output = Result<Action, ReconcileError>>,
) -> Result<Action, ReconcileError> {
    let begin = context.clock.monotonic();
    let outcome = pass.await;
    let seconds = (context.clock.monotonic() - begin).as_secs_f64();
    let word = outcome.as_ref().map_or_else(ReconcileError::word, |_| "ok");
    context.metrics.reconciled(name, word, seconds);
    outcome
}

/// `first`, doubled `times` times, up to `longest`.
pub(crate) fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(2u32.saturating_pow(times)).min(longest)
}

/// The waits between attempts at something that lasts until it fails.
#[derive(Debug)]
pub(crate) struct Retries {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Retries {
    /// Waits from `first`, doubled up to `longest`.
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// The wait after an attempt that lasted so long; one that lasted longer
    /// than the longest wait had succeeded, and counts as a new beginning.
    pub(crate) fn after(&mut self, lasted: Duration) -> Duration {
        if lasted > self.longest {
            self.failures = 0;
        }
        let wait = doubled(self.first, self.failures, self.longest);
        self.failures = self.failures.saturating_add(1);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_double_up_to_the_longest_and_never_overflow() {
        let waits = [0, 1, 2, 9, u32::MAX].map(|times| doubled(SECOND, times, SECOND * 120).as_secs());
        assert_eq!(waits, [1, 2, 4, 120, 120]);
        assert_eq!(doubled(Duration::MAX, 5, SECOND), SECOND);
    }

    #[test]
    fn an_attempt_that_lasted_begins_the_waits_anew() {
        let mut retries = Retries::new(SECOND, SECOND * 10);
        let waits = [0, 0, 0, 0, 0, 11, 0].map(|lasted| retries.after(SECOND * lasted).as_secs());
        assert_eq!(waits, [1, 2, 4, 8, 10, 1, 2]);
    }
}
