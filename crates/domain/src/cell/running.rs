//! Which rollout is under way, as far as it was recorded
//! (`spec/okra.md` 2.6.2: the absence of a field never restarts one).

use super::sides::{Members, Side};
use super::status::{Role, RolloutKind, RunningRollout, Status, StatusWeight};
use super::view::View;
use crate::phase::Phase;
use crate::rollout_id::RolloutId;
use crate::version::{ServedVersion, Version};
use crate::weight::Weight;

/// The rollout that was under way when the status was written.
#[derive(Clone, Debug)]
pub(super) struct Running {
    /// Absent where nobody recorded one, as under the Go program (5.7-4).
    pub id: Option<RolloutId>,
    pub record: RunningRollout,
}

impl Running {
    pub(super) fn version(&self) -> &Version {
        &self.record.version
    }

    /// Whether it moves by steps, to a newer version, and is not taken back.
    pub(super) fn is_rollout(&self) -> bool {
        self.record.kind == RolloutKind::Rollout
    }

    /// Whether it moved by steps, taken back or not.
    pub(super) fn moved_by_steps(&self) -> bool {
        matches!(self.record.kind, RolloutKind::Rollout | RolloutKind::Withdrawal)
    }
}

/// Reads it from the record, else from what serves.
pub(super) fn running(view: &View<'_>) -> Option<Running> {
    let status = view.status;
    if let Some(record) = &status.rollout {
        let fallen = record.kind == RolloutKind::Rollout && has_fallen(view, &record.version);
        let kind = if fallen { RolloutKind::Withdrawal } else { record.kind };
        let record = RunningRollout { kind, ..record.clone() };
        return Some(Running { id: status.rollout_id.clone(), record });
    }
    if matches!(status.phase, Some(Phase::Completed | Phase::Failed)) {
        return None;
    }
    let stable = status.stable_version.clone()?;
    let version = recorded_target(status, &stable).or_else(|| serving_above(view, &stable))?;
    let record = RunningRollout::new(RolloutKind::Rollout, version, Some(stable));
    Some(Running { id: status.rollout_id.clone(), record })
}

/// Whether the canary holds less than was recorded: a plan before this one
/// took it back and was interrupted, or the version was gone for a while. A
/// canary that fell is never raised again under the same id.
fn has_fallen(view: &View<'_>, version: &Version) -> bool {
    let recorded = &view.status.weights;
    let is_canary = |entry: &&StatusWeight| {
        entry.role == Some(Role::Canary) && entry.version.as_ref().is_some_and(|served| served.is(version))
    };
    let held: Weight = recorded.iter().filter(is_canary).map(|entry| entry.weight).sum();
    let of: Weight = recorded.iter().map(|entry| entry.weight).sum();
    let members = Members::new(view, view.status.stable_version.as_ref(), Some(version));
    // Shares, since `weightTotal` may have changed in between.
    u64::from(held) * u64::from(view.total) > u64::from(members.weight(Side::Canary)) * u64::from(of)
}

/// A desired version above stable, while a rollout id is recorded.
fn recorded_target(status: &Status, stable: &ServedVersion) -> Option<Version> {
    status.rollout_id.as_ref()?;
    let desired = status.desired_version.as_ref()?;
    (desired > stable).then(|| desired.known().cloned()).flatten()
}

/// The greatest version above stable that holds weight.
fn serving_above(view: &View<'_>, stable: &ServedVersion) -> Option<Version> {
    let serving = view.entries.iter().filter(|entry| entry.weight > 0).map(super::view::Entry::version);
    serving.filter(|version| version > stable).max().and_then(|version| version.known().cloned())
}
