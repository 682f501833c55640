//! What every write carries: how urgent it is, and who must still agree.

use std::fmt;

use crate::AwsError;

/// How urgent a write is (`spec/okra.md` 3.3.2-8).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Urgency {
    /// A step of a rollout: it can wait for the budget.
    Normal,
    /// Failure, abort, rollback or fail-over: it may use the write tokens
    /// that are kept back for this.
    Urgent,
}

/// Asked after all waiting and directly before the request is sent, so that a
/// leader that lost its lease while it waited for the budget does not write.
pub trait WriteGate: Send + Sync {
    /// # Errors
    /// [`Meaning::NotLeader`](crate::Meaning::NotLeader) when the write must not be sent any more.
    fn check(&self) -> Result<(), AwsError>;
}

/// A gate for programs of which only one runs, and for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysAllowed;

impl WriteGate for AlwaysAllowed {
    fn check(&self) -> Result<(), AwsError> {
        Ok(())
    }
}

/// Urgency and gate of one write.
#[derive(Clone, Copy)]
pub struct Write<'a> {
    /// Whether the tokens kept for urgent writes may be used.
    pub urgency: Urgency,
    /// Who must agree directly before the request is sent.
    pub gate: &'a dyn WriteGate,
}

impl<'a> Write<'a> {
    /// A write that waits for the budget.
    pub fn normal(gate: &'a dyn WriteGate) -> Self {
        Self { urgency: Urgency::Normal, gate }
    }

    /// A write that may use the tokens kept back.
    pub fn urgent(gate: &'a dyn WriteGate) -> Self {
        Self { urgency: Urgency::Urgent, gate }
    }
}

impl fmt::Debug for Write<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write").field("urgency", &self.urgency).finish_non_exhaustive()
    }
}
