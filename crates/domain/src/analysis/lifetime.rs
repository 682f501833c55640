//! When a completed run is deleted (`spec/analysis.md` 1.8).

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Phase, RunStatus};

/// Seconds that a completed run is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TtlStrategy {
    /// Where the others say nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_after_completion: Option<i64>,
    /// After a failed run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_after_failure: Option<i64>,
    /// After a successful run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_after_success: Option<i64>,
}

impl TtlStrategy {
    /// When a run may be deleted: once the whole seconds since its end exceed the limit. `None`
    /// while it has not ended, or if it is kept for ever.
    pub fn expiry(&self, status: &RunStatus) -> Option<Timestamp> {
        let specific = match status.phase {
            Phase::Successful => self.seconds_after_success,
            Phase::Failed => self.seconds_after_failure,
            Phase::Error | Phase::Inconclusive => None,
            Phase::New | Phase::Pending | Phase::Running => return None,
        };
        let limit = specific.or(self.seconds_after_completion)?.max(0);
        let beyond = SignedDuration::from_secs(limit.saturating_add(1));
        status.completed_at?.checked_add(beyond).ok()
    }
}
