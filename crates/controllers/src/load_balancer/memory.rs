//! What a process remembers of a config between passes. Nothing here is
//! needed: a process that has forgotten it asks AWS again.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use okra_domain::{ListenerArn, RuleArn};

use super::plan::State;

/// A write of this process.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// When it was answered, on the monotonic clock.
    pub(crate) at: Duration,
    pub(crate) before: Option<State>,
    pub(crate) after: State,
}

/// A wait after a pass that did not come to an end. Another word on the
/// object ends it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Held {
    pub(crate) generation: Option<i64>,
    /// Whether the object consented to adoption.
    pub(crate) adopt: bool,
    /// On the monotonic clock.
    pub(crate) until: Duration,
}

/// What is remembered of one config.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    /// The rule whose tags were found to be those of the config, at which
    /// generation.
    pub(crate) owned: Option<(RuleArn, i64)>,
    /// The mark of another controller on a listener's load balancer, if any.
    pub(crate) listener: Option<(ListenerArn, Option<String>)>,
    /// When the rule was last read, on the monotonic clock.
    pub(crate) verified_at: Option<Duration>,
    /// When health was last read, on the monotonic clock.
    pub(crate) health_at: Option<Duration>,
    pub(crate) written: Option<Written>,
    /// Passes in a row that did not come to an end.
    pub(crate) failures: u32,
    /// The failed pass that is waited after, and until when.
    pub(crate) held: Option<Held>,
}

/// Memories by UID. One entry an object that exists.
#[derive(Debug, Default)]
pub(crate) struct Memories(Mutex<BTreeMap<String, Memory>>);

impl Memories {
    pub(crate) fn take(&self, uid: &str) -> Memory {
        self.map().remove(uid).unwrap_or_default()
    }

    pub(crate) fn put(&self, uid: &str, memory: Memory) {
        self.map().insert(uid.to_owned(), memory);
    }

    pub(crate) fn forget(&self, uid: &str) {
        self.map().remove(uid);
    }

    fn map(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Memory>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
