//! Weights on AWS that okra did not write (`spec/okra.md` 2.6.2b).

use super::commands::Verb;
use super::draft::Draft;
use super::observed::{Drift, Overwrite};
use super::planner::Order;
use super::spec::DriftPolicy;
use super::view::View;
use super::walk::Stop;
use crate::reason::Reason;

/// The drift that nobody has let okra overwrite yet.
pub(super) fn pending<'a>(view: &View<'a>) -> Option<&'a Drift> {
    let config = view.config()?;
    let drift = config.status.drift.as_ref()?;
    let released = match &config.overwrite {
        Some(Overwrite::Always) => true,
        Some(Overwrite::Drift(id)) => *id == drift.id,
        None => false,
    };
    (!released).then_some(drift)
}

/// Both sets of weights, for people.
pub(super) fn describe(view: &View<'_>, drift: &Drift) -> String {
    let list = |pairs: Vec<(&str, u32)>| {
        let mut texts: Vec<String> =
            pairs.into_iter().map(|(name, weight)| format!("{name} {weight}")).collect();
        texts.sort();
        texts.join(", ")
    };
    let named = |arn: &'_ str| view.entries.iter().find(|entry| entry.arn == arn).map(|entry| entry.name);
    let found =
        drift.target_groups.iter().map(|group| (named(&group.arn).unwrap_or(&group.arn), group.weight));
    let written = view.entries.iter().map(|entry| (entry.name, entry.weight));
    format!(
        "something else changed the weights: the load balancer has {}, okra wrote {}",
        list(found.collect()),
        list(written.collect())
    )
}

/// During a rollout: everything holds until `Continue` or `Abort`.
pub(super) fn hold_rollout(draft: &mut Draft<'_, '_>, order: Order<'_>) -> Option<Stop> {
    let drift = pending(draft.view)?;
    let message = describe(draft.view, drift);
    draft.findings.drift = Some(message.clone());
    if let Some((command, Verb::Continue)) = order {
        draft.overwrite = Some(drift.id.clone());
        draft.answer(command, true, format!("okra's weights are written over drift {}", drift.id));
        return None;
    }
    Some(Stop::paused(Reason::Drift, message, "send Continue to write okra's weights again, or Abort"))
}

/// At rest: the condition, and what the policy allows. `waiting` says that a
/// rollout would begin; `Continue` then lets it begin even under `Report`.
pub(super) fn at_rest(draft: &mut Draft<'_, '_>, order: Order<'_>, waiting: bool) {
    let Some(drift) = pending(draft.view) else { return };
    draft.findings.drift = Some(describe(draft.view, drift));
    let policy = draft.view.spec.drift_policy;
    if policy == DriftPolicy::RestoreAutomatically {
        draft.overwrite = Some(drift.id.clone());
        return;
    }
    let Some((command, Verb::Continue)) = order else { return };
    if policy == DriftPolicy::Restore || waiting {
        draft.overwrite = Some(drift.id.clone());
        draft.answer(command, true, format!("drift {} is written over", drift.id));
    } else {
        draft.answer(command, false, "no rollout waits, and driftPolicy Report leaves foreign weights");
    }
}
