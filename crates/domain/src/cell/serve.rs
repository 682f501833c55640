//! All to one version at once: creation, rollback, fail-over, and the care of
//! what serves (`spec/okra.md` 3.4.2, rules 5 and 7 to 9).

use super::commands::Verb;
use super::components;
use super::draft::Draft;
use super::drift;
use super::fail;
use super::history::{self, Ending};
use super::planner::{self, Order, is_confirmed, outcome_of_interruption};
use super::rest;
use super::running::Running;
use super::sides::{Backing, Members, Side};
use super::slots::{Room, SLOTS, Urgency, make_room};
use super::status::{Outcome, RolloutKind, RunningRollout};
use super::view::{View, seconds_between};
use super::walk::Stop;
use super::weights::{Off, Split, divide};
use crate::phase::Phase;
use crate::reason::Reason;
use crate::version::{ServedVersion, Version};

/// First creation: 100 on the desired set, without steps (rule 5).
pub(super) fn create(draft: &mut Draft<'_, '_>, version: &Version) {
    let view = draft.view;
    let stable = ServedVersion::Known(version.clone());
    draft.safety = true;
    draft.status.desired_version = Some(stable.clone());
    draft.status.clusters = rest::clusters(view, version);
    let members = Members::new(view, Some(&stable), None);
    let room = make_room(view, &members, &[Side::Stable], Urgency::Urgent);
    if say_too_many(draft, &room) {
        return;
    }
    let split = Split { canary: 0, off: Off::Zero, force: None, yields: true };
    let Some(weights) = divide(&members, view.total, split, &room) else { return };
    draft.set_weights(members, weights);
    draft.status.stable_version = Some(stable.clone());
    draft.status.phase = Some(Phase::Progressing);
    rest::find_degradation(draft, Some(&stable));
    draft.explain(
        Reason::WaitingForLoadBalancer,
        format!("version {version} is the first to serve and gets all traffic"),
        "done when AWS shows these weights",
    );
}

/// More members than slots: nothing is written but what safety asks (2.6.2).
pub(super) fn say_too_many(draft: &mut Draft<'_, '_>, room: &Room) -> bool {
    let Some(count) = room.too_many else { return false };
    draft.status.phase = Some(Phase::Error);
    draft.explain(
        Reason::TooManyTargetGroups,
        format!("{count} target groups are needed at once; one forward action holds {SLOTS}"),
        "nothing is written until there are fewer",
    );
    true
}

/// Everything to this version, at once; at rest, the care of it.
pub(super) fn serve(
    draft: &mut Draft<'_, '_>,
    version: &Version,
    running: Option<&Running>,
    order: Order<'_>,
) {
    let view = draft.view;
    let target = ServedVersion::Known(version.clone());
    let members = Members::new(view, Some(&target), None);
    let was_stable = view.status.stable_version.as_ref() == Some(&target);
    let moves = !was_stable || running.is_some() || members.weight(Side::Off) > 0;
    draft.status.desired_version = Some(target.clone());
    draft.status.clusters = rest::clusters(view, version);
    if moves {
        take_over(draft, version, members, running, order);
    } else {
        keep_serving(draft, &target, members, order);
    }
}

/// At rest: rules 7 and 8 within the one side.
fn keep_serving<'a>(
    draft: &mut Draft<'_, 'a>,
    target: &ServedVersion,
    members: Members<'a>,
    order: Order<'_>,
) {
    let view = draft.view;
    drift::at_rest(draft, order, false);
    if view.spec.paused {
        draft.findings.paused = Some((Reason::PausedByUser, "spec.paused holds all weights".to_owned()));
    }
    let urgency =
        if view.spec.paused || planner::drift_holds(draft) { Urgency::Still } else { Urgency::Patient };
    let room = make_room(view, &members, &[Side::Stable], urgency);
    if say_too_many(draft, &room) {
        return draft.keep_weights(members);
    }
    if let Some(super::sides::Drain::Until(Some(until))) = room.waits_for_drain {
        draft.wake(until);
    }
    planner::care(draft, members, urgency);
    rest::find_degradation(draft, Some(target));
    rest::settle(draft);
}

/// Rollback, fail-over, or the way back out of a rollout.
fn take_over<'a>(
    draft: &mut Draft<'_, 'a>,
    version: &Version,
    members: Members<'a>,
    running: Option<&Running>,
    order: Order<'_>,
) {
    let view = draft.view;
    draft.safety = true;
    rest::wake_for_fresh(draft, &members);
    let waits = !members.can_take_over(Side::Stable);
    let forced = waits && forced_by(draft, order);
    let room = make_room(view, &members, &[Side::Stable], Urgency::Urgent);
    if say_too_many(draft, &room) {
        return draft.keep_weights(members);
    }
    if waits && !forced {
        return wait_for_health(draft, version, running, &room, &members);
    }
    let force = forced.then_some(Side::Stable);
    match divide(&members, view.total, Split { canary: 0, off: Off::Zero, force, yields: true }, &room) {
        Some(mut weights) => {
            let failed = running.map(Running::version).filter(|version| view.blocked(version).is_some());
            if let Some(failed) = failed.filter(|_| view.sticky_seconds().is_some()) {
                fail::leave_at_once(&members, &mut weights, failed);
            }
            draft.set_weights(members, weights);
        }
        None => draft.keep_weights(members),
    }
    let alone = draft.members.weight(Side::Off) == 0 && draft.serving_orphans().is_empty();
    let arrived = alone && draft.is_steady();
    if arrived && is_confirmed(view) {
        conclude(draft, version, running);
    } else {
        announce(draft, version, running);
    }
}

/// `Promote` passes missing health in a rollback (2.6.2b).
fn forced_by(draft: &mut Draft<'_, '_>, order: Order<'_>) -> bool {
    let Some((command, Verb::Promote)) = order else { return false };
    draft.answer(command, true, "the rollback does not wait for health");
    true
}

/// Rule 7 for rule 9: what is not seen healthy is attached at 0, and those
/// that serve keep theirs.
fn wait_for_health(
    draft: &mut Draft<'_, '_>,
    version: &Version,
    running: Option<&Running>,
    room: &Room,
    target: &Members<'_>,
) {
    let view = draft.view;
    let rolling = running
        .filter(|running| running.is_rollout() && running.version() != version)
        .map(Running::version)
        .filter(|canary| view.blocked(canary).is_none());
    planner::care(draft, planner::present_sides(view, rolling), Urgency::Still);
    attach_heirs(draft, room, target);
    announce(draft, version, running);
    draft.reasons.clear();
    draft.stop(&Stop::waiting(
        Reason::WaitingForHealth,
        format!("no target group of version {version} is seen healthy, and others serve"),
        "it takes over with its first healthy target, or at once after Promote",
    ));
}

/// Attaches at 0 those who are to take over, as far as there are slots: what
/// holds weight keeps its own while it is waited for.
fn attach_heirs(draft: &mut Draft<'_, '_>, room: &Room, target: &Members<'_>) {
    for (member, weight) in target.list.iter().zip(&mut draft.weights) {
        if *weight == Some(0) && room.drops(member) {
            *weight = None;
        }
    }
    let mut free = SLOTS.saturating_sub(draft.weights.iter().flatten().count());
    for (member, weight) in target.list.iter().zip(&mut draft.weights) {
        let joins = member.side == Side::Stable && member.backing == Backing::Known && room.admits(member);
        if joins && weight.is_none() && free > 0 {
            *weight = Some(0);
            free -= 1;
        }
    }
}

/// How this takeover is called.
fn kind(view: &View<'_>, version: &Version, running: Option<&Running>) -> RolloutKind {
    let target = ServedVersion::Known(version.clone());
    match running {
        Some(running) if running.version() == version && !running.moved_by_steps() => {
            return running.record.kind;
        }
        _ => {}
    }
    let older = view.status.stable_version.as_ref().is_some_and(|stable| target < *stable);
    let pinned = view.spec.pin.as_ref() == Some(version);
    if older && pinned { RolloutKind::Rollback } else { RolloutKind::FailOver }
}

/// Phase, reason and record of a takeover under way.
fn announce(draft: &mut Draft<'_, '_>, version: &Version, running: Option<&Running>) {
    let view = draft.view;
    let kind = kind(view, version, running);
    let was_stable = view.status.stable_version.as_ref().is_some_and(|stable| stable.is(version));
    if !was_stable {
        record(draft, version, running, kind);
    } else if let Some(running) = running {
        draft.status.rollout =
            Some(RunningRollout { kind: RolloutKind::Withdrawal, ..running.record.clone() });
    }
    draft.status.phase = Some(Phase::Progressing);
    note_deadline(draft);
    let next = "done when AWS shows these weights";
    match (was_stable, running, kind) {
        (true, Some(running), _) => {
            let (_, reason, why) = outcome_of_interruption(view, running);
            let message = format!("back to version {version}: {why}");
            draft.explain(reason.unwrap_or(Reason::WaitingForLoadBalancer), message, next);
        }
        (true, None, _) => {
            let message = format!("version {version} takes back what other versions held");
            draft.explain(Reason::WaitingForLoadBalancer, message, next);
        }
        (false, _, RolloutKind::FailOver) => {
            let message = format!("what served is gone; version {version} takes over");
            draft.explain(Reason::FailedOver, message, next);
        }
        (false, ..) => {
            let message = format!("rollback to version {version}, at once and without steps");
            draft.explain(Reason::WaitingForLoadBalancer, message, next);
        }
    }
}

/// A takeover that takes longer than `progressDeadlineSeconds` is reported;
/// there is nothing to abort.
fn note_deadline(draft: &mut Draft<'_, '_>) {
    let view = draft.view;
    let takes_over = |kind| matches!(kind, RolloutKind::Rollback | RolloutKind::FailOver);
    let takeover = draft.status.rollout.as_ref().filter(|rollout| takes_over(rollout.kind));
    let Some(started_at) = takeover.and_then(|rollout| rollout.started_at) else { return };
    let limit = view.spec.progress_deadline_seconds;
    let due = View::after(started_at, limit);
    if due > view.now {
        return draft.wake(due);
    }
    let waited = seconds_between(started_at, view.now);
    draft.findings.deadline_exceeded =
        Some(format!("the takeover has lasted {waited} s; progressDeadlineSeconds is {limit}"));
}

/// Remembers the takeover, once.
fn record(draft: &mut Draft<'_, '_>, version: &Version, running: Option<&Running>, kind: RolloutKind) {
    let view = draft.view;
    match running {
        Some(running) if running.version() == version => {
            draft.status.rollout = Some(RunningRollout { kind, ..running.record.clone() });
            return;
        }
        Some(running) => interrupt(draft, running),
        None => {}
    }
    let from = view.status.stable_version.clone();
    let id = planner::next_id(view, version);
    draft.status.rollout_id = Some(id);
    draft.status.current_step_index = None;
    draft.status.steps_hash = None;
    draft.status.rollout = Some(RunningRollout {
        started_at: Some(view.now),
        ..RunningRollout::new(kind, version.clone(), from)
    });
    draft.status_first = true;
}

/// Ends a rollout that another version interrupts.
pub(super) fn interrupt(draft: &mut Draft<'_, '_>, running: &Running) {
    let (outcome, reason, message) = outcome_of_interruption(draft.view, running);
    let ending = Ending { outcome, by: None, reason, message };
    history::close(draft.view, &mut draft.status, running, ending);
}

/// The takeover is confirmed: history, stable version, clean-up (rule 9).
fn conclude(draft: &mut Draft<'_, '_>, version: &Version, running: Option<&Running>) {
    let view = draft.view;
    let kind = kind(view, version, running);
    let target = ServedVersion::Known(version.clone());
    let was_stable = view.status.stable_version.as_ref() == Some(&target);
    let mut failed = false;
    match running {
        Some(running) if running.version() != version => {
            failed = outcome_of_interruption(view, running).0 == Outcome::Failed;
            interrupt(draft, running);
            if !was_stable {
                close_unrecorded(draft, version, kind);
            }
        }
        Some(running) => close_takeover(draft, running, kind),
        None if !was_stable => close_unrecorded(draft, version, kind),
        None => {}
    }
    draft.status.stable_version = Some(target.clone());
    draft.status.rollout = None;
    draft.status.current_step_index = None;
    draft.status.phase = Some(if failed { Phase::Failed } else { Phase::Completed });
    rest::find_degradation(draft, Some(&target));
    rest::settle(draft);
    draft.sweep = if failed { components::sweep_at_rest(view) } else { components::sweep_all(view) };
}

/// What took over was found in place already, so nothing of it was recorded.
fn close_unrecorded(draft: &mut Draft<'_, '_>, version: &Version, kind: RolloutKind) {
    let from = draft.view.status.stable_version.clone();
    let unrecorded = Running { id: None, record: RunningRollout::new(kind, version.clone(), from) };
    close_takeover(draft, &unrecorded, kind);
}

fn close_takeover(draft: &mut Draft<'_, '_>, running: &Running, kind: RolloutKind) {
    let (outcome, reason) = match kind {
        RolloutKind::Rollback => (Outcome::RolledBack, None),
        RolloutKind::FailOver | RolloutKind::Rollout | RolloutKind::Withdrawal => {
            (Outcome::FailedOver, Some(Reason::FailedOver))
        }
    };
    let word = draft.view.spec.pin_word.clone().filter(|_| kind == RolloutKind::Rollback).unwrap_or_default();
    let message = match kind {
        RolloutKind::Rollback => {
            let why = word.why.map(|why| format!(": {why}")).unwrap_or_default();
            format!("spec.version asked for {}{why}", running.version())
        }
        RolloutKind::FailOver | RolloutKind::Rollout | RolloutKind::Withdrawal => {
            "what served was gone".to_owned()
        }
    };
    let ending = Ending { outcome, by: word.by, reason, message };
    history::close(draft.view, &mut draft.status, running, ending);
}
