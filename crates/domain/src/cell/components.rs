//! Components: Pauses, AnalysisRuns and Experiments of this Cell and of no
//! other (`spec/okra.md` 3.4.2-10, 3.4.3 to 3.4.7).

use std::cmp::Reverse;

use sha2::{Digest, Sha256};

use super::observed::{Component, ComponentKind, ComponentPhase, StepReference};
use super::plan::ComponentName;
use super::view::View;
use crate::rollout_id::RolloutId;

/// Longest name of a component. Kubernetes allows 253; a run's Jobs and a
/// Pause's events add to it.
const NAME_BYTES_MAX: usize = 200;

/// Components that this Cell owns and nobody is deleting, in order of name.
pub(super) fn owned<'a>(view: &View<'a>) -> Vec<&'a Component> {
    let uid = &view.observed.cell.uid;
    let mut owned: Vec<&Component> = view
        .observed
        .components
        .iter()
        .filter(|component| component.owner_uid.as_ref() == Some(uid) && !component.deleting)
        .collect();
    owned.sort_by(|one, other| (one.kind, &one.name).cmp(&(other.kind, &other.name)));
    owned
}

/// Components of one rollout.
pub(super) fn of_rollout<'a>(view: &View<'a>, id: &RolloutId) -> Vec<&'a Component> {
    let mut components = owned(view);
    components.retain(|component| component.rollout_id.as_ref() == Some(id));
    components
}

/// The component of one step.
pub(super) fn find<'a>(
    view: &View<'a>,
    id: &RolloutId,
    kind: ComponentKind,
    step: StepReference,
) -> Option<&'a Component> {
    of_rollout(view, id).into_iter().find(|component| component.kind == kind && component.step == Some(step))
}

/// Whether a pause is over (3.4.7).
pub(super) fn pause_is_over(view: &View<'_>, pause: &Component) -> bool {
    let ended = matches!(pause.phase, ComponentPhase::Cancelled | ComponentPhase::Expired);
    let expired = match pause.expires_at {
        Some(expires_at) => expires_at <= view.now,
        None => !pause.indefinite,
    };
    ended || expired
}

/// `<cell>-<rollout>-<step>-<kind>`; a long Cell name is cut and made unique
/// by a hash.
pub(super) fn name(cell: &str, id: &RolloutId, step: StepReference, kind: ComponentKind) -> String {
    let suffix = match kind {
        ComponentKind::Pause => "pause",
        ComponentKind::AnalysisRun => "analysis",
        ComponentKind::Experiment => "experiment",
    };
    let tail = format!("-{id}-{step}-{suffix}");
    if cell.len() + tail.len() <= NAME_BYTES_MAX {
        return format!("{cell}{tail}");
    }
    let hash: String =
        Sha256::digest(cell.as_bytes()).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let room = NAME_BYTES_MAX.saturating_sub(tail.len() + hash.len() + 1);
    let cut: String = cell.chars().take(room).collect();
    format!("{}-{hash}{tail}", cut.trim_end_matches(['-', '.']))
}

pub(super) fn name_of(component: &Component) -> ComponentName {
    ComponentName { kind: component.kind, name: component.name.clone() }
}

/// What becomes of components.
#[derive(Clone, Debug, Default)]
pub(super) struct Sweep {
    pub terminate: Vec<ComponentName>,
    pub delete: Vec<ComponentName>,
}

/// Ends and deletes what belongs to no running rollout: pauses, and what the
/// Go program left, go; runs are ended and kept. `current` is spared.
pub(super) fn sweep_strays(view: &View<'_>, current: Option<&RolloutId>) -> Sweep {
    let mut sweep = Sweep::default();
    for component in owned(view) {
        if current.is_some() && component.rollout_id.as_ref() == current {
            continue;
        }
        if component.kind == ComponentKind::Pause || component.rollout_id.is_none() {
            sweep.delete.push(name_of(component));
        } else if !component.phase.is_terminal() && !component.terminating {
            sweep.terminate.push(name_of(component));
        }
    }
    sweep
}

/// [`sweep_strays`] for a Cell at rest; runs beyond `historyLimit` go too,
/// the oldest first (3.4.2-13).
pub(super) fn sweep_at_rest(view: &View<'_>) -> Sweep {
    let mut sweep = sweep_strays(view, None);
    let mut finished = owned(view);
    finished.retain(|component| component.kind != ComponentKind::Pause && component.rollout_id.is_some());
    finished.retain(|component| component.phase.is_terminal());
    finished.sort_by_key(|component| Reverse((component.created_at, component.name.clone())));
    sweep.delete.extend(finished.into_iter().skip(view.spec.history_limit).map(name_of));
    sweep
}

/// Everything goes: a rollback or fail-over is confirmed (3.4.2-9), or the
/// Cell is deleted (3.4.2-17).
pub(super) fn sweep_all(view: &View<'_>) -> Sweep {
    Sweep { terminate: Vec::new(), delete: owned(view).into_iter().map(name_of).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_rollout_and_stay_short() {
        let id = RolloutId::recorded("r1");
        let named = name("web", &id, StepReference::Index(2), ComponentKind::AnalysisRun);
        assert_eq!(named, "web-r1-2-analysis");
        let long = "c".repeat(253);
        let named = name(&long, &id, StepReference::Background, ComponentKind::AnalysisRun);
        assert_eq!(named.len(), NAME_BYTES_MAX);
        assert!(named.ends_with("-r1-bg-analysis"));
    }
}
