//! A Cell at rest: one version serves, nothing is under way
//! (`spec/okra.md` 2.6.2, 3.4.2-7 and -13).

use super::components::{self, Sweep};
use super::draft::Draft;
use super::failure;
use super::planner::is_confirmed;
use super::retirement;
use super::sides::{Drain, Members, Side, drain};
use super::view::View;
use crate::phase::Phase;
use crate::reason::Reason;
use crate::version::ServedVersion;

/// Phase and clean-up of a Cell whose weights are planned.
pub(super) fn settle(draft: &mut Draft<'_, '_>) {
    let view = draft.view;
    let confirmed = is_confirmed(view) && draft.is_steady();
    let stable = draft.status.stable_version.clone();
    draft.status.phase = Some(phase(draft, confirmed));
    if confirmed {
        merge(&mut draft.sweep, components::sweep_at_rest(view));
        if let Some(stable) = &stable {
            let retirement = retirement::retire(view, &draft.members, stable);
            draft.retire = retirement.clusters;
            draft.notes.extend(retirement.notes);
            draft.notes_stay = retirement.some_marked;
            if let Some(next) = retirement.next {
                draft.wake(next);
            }
        }
        wake_for_orphans(draft);
    }
}

/// The phase at rest. A failed rollout stays `Failed` while its version is
/// blocked; a creation is `Progressing` until AWS shows it.
fn phase(draft: &mut Draft<'_, '_>, confirmed: bool) -> Phase {
    let view = draft.view;
    if let Some((reason, message)) = draft.findings.degraded.clone()
        && reason != Reason::StableUnhealthy
    {
        draft.explain(reason, message, "");
        return Phase::Degraded;
    }
    let failed = matches!(draft.status.phase, Some(Phase::Failed)) && blocked_above(draft);
    if failed {
        if let Some(last) = draft.status.history.first().filter(|last| last.reason.is_some()).cloned() {
            let next = "remove it from the VersionBlocklist, or send Retry, to try again";
            let reason = last.reason.unwrap_or(Reason::VersionBlocked);
            draft.explain(reason, last.message.clone(), next);
        } else if let Some(message) = draft.findings.version_blocked.clone() {
            draft.explain(
                Reason::VersionBlocked,
                message,
                "remove it from the VersionBlocklist to try again",
            );
        }
        return Phase::Failed;
    }
    let new = !matches!(view.status.phase, Some(Phase::Completed | Phase::Failed | Phase::Degraded));
    if new && !confirmed {
        let why = match super::confirm::confirmation(view.config()) {
            super::confirm::Confirmation::Waiting(why) => why,
            super::confirm::Confirmation::Confirmed => "new weights are written".to_owned(),
        };
        draft.explain(Reason::WaitingForLoadBalancer, why, "done when AWS shows these weights");
        return Phase::Progressing;
    }
    Phase::Completed
}

/// Whether a version that would come first is blocked.
fn blocked_above(draft: &Draft<'_, '_>) -> bool {
    let stable = draft.status.stable_version.as_ref();
    draft.view.observed.blocklist.iter().any(|item| {
        let free = draft.unblock.contains(&item.version);
        !free && stable.is_none_or(|stable| *stable < ServedVersion::Known(item.version.clone()))
    })
}

/// `Degraded`: the stable side lacks members, health or legal objects.
pub(super) fn find_degradation(draft: &mut Draft<'_, '_>, stable: Option<&ServedVersion>) {
    let view = draft.view;
    if let Some(next) = failure::next_unhealthy_stable(view, &draft.members) {
        draft.wake(next);
    }
    if let Some(message) = failure::unhealthy_stable(view, &draft.members) {
        draft.findings.degraded = Some((Reason::StableUnhealthy, message));
    }
    if draft.members.is_frozen(Side::Stable) || draft.members.is_frozen(Side::Canary) {
        let message = format!(
            "target groups that serve are illegal or no longer selected, and keep their weights: {}",
            frozen_names(draft)
        );
        draft.findings.degraded = Some((Reason::InvalidTargetGroup, message));
        return;
    }
    let Some(version) = stable.and_then(ServedVersion::known) else { return };
    let (count, replicas) = (view.count(version), view.replicas());
    if count < replicas {
        let message = format!("the stable version {version} has {count} of {replicas} target groups");
        draft.findings.degraded = Some((Reason::StableIncomplete, message));
    }
}

fn frozen_names(draft: &Draft<'_, '_>) -> String {
    let parked = draft.members.list.iter().filter(|member| member.backing == super::sides::Backing::Parked);
    parked.map(|member| member.name).collect::<Vec<_>>().join(", ")
}

/// Undescribed entries leave when they have drained.
fn wake_for_orphans(draft: &mut Draft<'_, '_>) {
    let view = draft.view;
    let draining: Vec<_> = draft
        .members
        .on(Side::Off)
        .filter(|member| member.backing == super::sides::Backing::Imported)
        .filter_map(|member| match drain(view, member) {
            Drain::Until(until) => until,
            Drain::Done => None,
        })
        .collect();
    for until in draining {
        draft.wake(until);
    }
}

/// Wakes when a target group without status has had time to get one. `waiting`
/// are those of whom something depends on it: not only what serves, but also
/// those who are to take over.
pub(super) fn wake_for_fresh(draft: &mut Draft<'_, '_>, waiting: &Members<'_>) {
    let now = draft.view.now;
    let fresh = waiting.list.iter().filter(|member| !member.ready && member.side != Side::Off);
    let until: Vec<_> = fresh
        .filter_map(|member| member.group)
        .filter(|group| group.healthy_targets.is_none())
        .filter_map(super::sides::fresh_until)
        .filter(|until| *until > now)
        .collect();
    for until in until {
        draft.wake(until);
    }
}

/// Clusters of the set that shall serve, for `status.clusters`.
pub(super) fn clusters(view: &View<'_>, version: &crate::version::Version) -> Vec<String> {
    let known = view.known.iter().filter(|known| known.version == version);
    let mut clusters: Vec<String> = known.filter_map(|known| known.group.cluster.clone()).collect();
    clusters.sort_unstable();
    clusters.dedup();
    clusters
}

/// Adds what else is to be ended and deleted.
pub(super) fn merge(sweep: &mut Sweep, more: Sweep) {
    sweep.terminate.extend(more.terminate);
    sweep.delete.extend(more.delete);
}
