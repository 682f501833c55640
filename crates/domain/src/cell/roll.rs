//! A rollout: from its attaching write to its end (`spec/okra.md` 3.4.2,
//! rules 10 to 13).

use jiff::Timestamp;

use super::commands::Verb;
use super::components;
use super::confirm::confirmation;
use super::draft::Draft;
use super::drift;
use super::fail;
use super::failure::Failure;
use super::gates::{self, Gate};
use super::history::{self, Ending};
use super::planner::{self, Order};
use super::rest;
use super::running::Running;
use super::serve;
use super::sides::{Drain, Members, Side};
use super::slots::{Room, Urgency, make_room};
use super::spec::DeadlineAction;
use super::status::{Outcome, RolloutKind, RunningRollout};
use super::view::{View, seconds_between};
use super::walk::{Stop, Walk, Walked};
use super::weights::{Off, Split, divide};
use crate::phase::Phase;
use crate::reason::Reason;
use crate::rollout_id::RolloutId;
use crate::version::{ServedVersion, Version};

/// A rollout to carry on, or to begin.
pub(super) struct Roll<'r> {
    pub version: &'r Version,
    pub running: Option<&'r Running>,
    pub order: Order<'r>,
}

/// Where the rollout stands before this plan.
struct Position {
    id: RolloutId,
    record: RunningRollout,
    index: usize,
    /// A new attempt: its id must be known before anything bears it.
    begins: bool,
}

/// Carries a rollout on, or begins one.
pub(super) fn roll(draft: &mut Draft<'_, '_>, roll: &Roll<'_>) {
    let view = draft.view;
    let stable = view.status.stable_version.clone();
    let members = Members::new(view, stable.as_ref(), Some(roll.version));
    let present = roll.running.filter(|running| running.version() == roll.version && running.is_rollout());
    let hold = holds(draft, roll, &members, present.is_some());
    if present.is_none() {
        if let Some(hold) = hold {
            return do_not_begin(draft, roll, &hold);
        }
        if supersedes_too_early(draft, roll) || does_not_fit(draft, roll, &members) {
            return;
        }
    }
    let hold = hold.or_else(|| third_version_serves(roll, &members));
    let position = position(view, roll, &members, present);
    if position.begins {
        begin(draft, roll, &position);
    }
    advance(draft, roll, members, position, hold);
}

/// What holds all steps: drift, `spec.paused`, mistyped labels.
fn holds(draft: &mut Draft<'_, '_>, roll: &Roll<'_>, members: &Members<'_>, running: bool) -> Option<Stop> {
    let view = draft.view;
    if running {
        if let Some(stop) = drift::hold_rollout(draft, roll.order) {
            return Some(stop);
        }
    } else {
        drift::at_rest(draft, roll.order, true);
        if planner::drift_holds(draft) {
            let message = draft.findings.drift.clone().unwrap_or_default();
            let next = format!("the rollout of {} begins after Continue", roll.version);
            return Some(Stop::paused(Reason::Drift, message, next));
        }
    }
    if view.spec.paused {
        let message = format!("spec.paused holds the rollout of {}", roll.version);
        return Some(Stop::paused(Reason::PausedByUser, message, "it goes on when spec.paused is cleared"));
    }
    let frozen = members.is_frozen(Side::Stable) || members.is_frozen(Side::Canary);
    frozen.then(|| Stop {
        phase: Phase::Degraded,
        ..Stop::waiting(
            Reason::InvalidTargetGroup,
            format!(
                "target groups that serve are illegal or no longer selected: {}",
                view.illegal.join("; ")
            ),
            "the steps go on when their labels are legal again",
        )
    })
}

/// Whether a third version holds weight that stable cannot take back yet.
fn is_stuck(members: &Members<'_>) -> bool {
    members.weight(Side::Off) > 0 && !members.can_take_over(Side::Stable)
}

/// Then the steps hold.
fn third_version_serves(roll: &Roll<'_>, members: &Members<'_>) -> Option<Stop> {
    is_stuck(members).then(|| {
        Stop::waiting(
            Reason::WaitingForHealth,
            "no stable target group is healthy to take back what another version holds",
            format!("the rollout of {} goes on when one is", roll.version),
        )
    })
}

/// A rollout that may not begin: what serves is cared for.
fn do_not_begin(draft: &mut Draft<'_, '_>, roll: &Roll<'_>, hold: &Stop) {
    care_only(draft, roll, Urgency::Still);
    if hold.phase == Phase::Paused {
        draft.findings.paused = Some((hold.reason, hold.message.clone()));
    }
    if hold.reason == Reason::Drift && roll.running.is_none() {
        // At rest the condition alone (2.6.2b).
        draft.explain(hold.reason, hold.message.clone(), hold.next.clone());
        draft.findings.paused = None;
        return rest::settle(draft);
    }
    draft.stop(hold);
}

/// More members than slots: the rollout cannot begin.
fn does_not_fit(draft: &mut Draft<'_, '_>, roll: &Roll<'_>, members: &Members<'_>) -> bool {
    let room = make_room(draft.view, members, &[Side::Stable, Side::Canary], Urgency::Patient);
    let full = serve::say_too_many(draft, &room);
    if full {
        care_only(draft, roll, Urgency::Patient);
    }
    full
}

/// Rules 7 and 8 within the sides that serve now.
fn care_only(draft: &mut Draft<'_, '_>, roll: &Roll<'_>, urgency: Urgency) {
    let view = draft.view;
    let stable = view.status.stable_version.clone();
    let canary = roll.running.filter(|running| running.is_rollout()).map(Running::version);
    planner::care(draft, planner::present_sides(view, canary), urgency);
    rest::find_degradation(draft, stable.as_ref());
}

/// Rule 11 by way of rule 9: the old canary's weight goes back to stable, so
/// the stable side must be able to take it.
fn supersedes_too_early(draft: &mut Draft<'_, '_>, roll: &Roll<'_>) -> bool {
    let view = draft.view;
    let stable = view.status.stable_version.clone();
    let Some(old) = roll.running.filter(|running| running.is_rollout()) else { return false };
    let members = Members::new(view, stable.as_ref(), Some(old.version()));
    if members.weight(Side::Canary) == 0 || members.can_take_over(Side::Stable) {
        return false;
    }
    planner::care(draft, members, Urgency::Patient);
    draft.stop(&Stop::waiting(
        Reason::WaitingForHealth,
        format!("version {} is newer, but no stable target group is healthy to go back to", roll.version),
        "the new rollout begins when one is",
    ));
    true
}

/// Carries the recorded position on, or makes a new attempt (rules 10, 11,
/// 15, and 5.7-4).
fn position(view: &View<'_>, roll: &Roll<'_>, members: &Members<'_>, present: Option<&Running>) -> Position {
    let steps = &view.spec.steps;
    let reached = view.spec.weight_total.to_percent(members.weight(Side::Canary));
    let same_steps = view.status.steps_hash.as_ref().is_none_or(|hash| *hash == steps.hash());
    if let Some(Running { id: Some(id), record }) = present.filter(|_| same_steps) {
        let index = view.status.current_step_index.unwrap_or_else(|| steps.index_reached(reached));
        return Position {
            id: id.clone(),
            record: record.clone(),
            index: index.min(steps.len()),
            begins: false,
        };
    }
    let id = planner::next_id(view, roll.version);
    let fresh = RunningRollout {
        started_at: Some(view.now),
        ..RunningRollout::new(RolloutKind::Rollout, roll.version.clone(), view.status.stable_version.clone())
    };
    let record = match present {
        // The same rollout with other steps, or one that the Go program began.
        Some(running) => RunningRollout {
            started_at: running.record.started_at.or(Some(view.now)),
            paused_seconds: running.record.paused_seconds,
            ..fresh
        },
        None => fresh,
    };
    let index = if reached == 0 { 0 } else { steps.index_reached(reached) };
    Position { id, record, index, begins: true }
}

/// The status of a new attempt is written before anything bears its id.
fn begin(draft: &mut Draft<'_, '_>, roll: &Roll<'_>, position: &Position) {
    let view = draft.view;
    match roll.running {
        Some(old) if !old.is_rollout() => serve::interrupt(draft, old),
        Some(old) if old.version() != roll.version => {
            let message = format!("version {} took its place", roll.version);
            history::close(
                view,
                &mut draft.status,
                old,
                Ending { message, ..Ending::of(Outcome::Superseded) },
            );
        }
        _ => {}
    }
    draft.status.rollout_id = Some(position.id.clone());
    draft.status.steps_hash = Some(view.spec.steps.hash());
    draft.status_first = true;
    draft.needs_fresh_view = true;
}

/// Walks the steps and plans what the walk found.
fn advance<'a>(
    draft: &mut Draft<'_, 'a>,
    roll: &Roll<'_>,
    members: Members<'a>,
    mut position: Position,
    hold: Option<Stop>,
) {
    let view = draft.view;
    draft.status.desired_version = Some(ServedVersion::Known(roll.version.clone()));
    draft.status.clusters = rest::clusters(view, roll.version);
    draft.status.steps_hash = Some(view.spec.steps.hash());
    rest::merge(&mut draft.sweep, components::sweep_strays(view, Some(&position.id)));
    promote_fully(draft, roll, &mut position, hold.is_some());
    let room = room_for(draft, roll, &members, position.index);
    let gate = stabilized_gate(view, &mut position.record, &members);
    let walk = Walk {
        view,
        id: &position.id,
        record: position.record.clone(),
        index: position.index,
        canary: members.weight(Side::Canary),
        confirmation: confirmation(view.config()),
        gate,
        attached: attached(&members, &room),
        hold: hold.or_else(|| incomplete(view, roll.version)),
        command: roll.order.filter(|_| !draft.is_answered()),
    };
    let walked = walk.run();
    apply(draft, roll, members, &position, walked, &room);
}

/// `PromoteFull` skips pauses, analyses and settling, never confirmation and
/// health (2.6.2b).
fn promote_fully(draft: &mut Draft<'_, '_>, roll: &Roll<'_>, position: &mut Position, held: bool) {
    let Some((command, Verb::PromoteFull)) = roll.order else { return };
    if held {
        return;
    }
    let running = components::of_rollout(draft.view, &position.id).into_iter().filter(|component| {
        component.kind != super::observed::ComponentKind::Pause
            && !component.phase.is_terminal()
            && !component.terminating
    });
    draft.sweep.terminate.extend(running.map(components::name_of));
    position.index = draft.view.spec.steps.len();
    position.record.promoted_fully = true;
    draft.answer(command, true, "the remaining pauses, analyses and settling are skipped");
}

/// Slots for the attaching write. `Promote` ends the wait for a drain.
fn room_for(draft: &mut Draft<'_, '_>, roll: &Roll<'_>, members: &Members<'_>, index: usize) -> Room {
    let view = draft.view;
    // A stable side that has given everything away needs no new members.
    let given = members.weight(Side::Canary) == view.total;
    let serving: &[Side] = if given { &[Side::Canary] } else { &[Side::Stable, Side::Canary] };
    if view.spec.paused || planner::drift_holds(draft) {
        return make_room(view, members, serving, Urgency::Still);
    }
    let room = make_room(view, members, serving, Urgency::Patient);
    let promoted = roll
        .order
        .filter(|(command, verb)| *verb == Verb::Promote && command.step.is_none_or(|step| step == index));
    match promoted {
        Some((command, _)) if room.waits_for_drain.is_some() => {
            draft.answer(command, true, "entries that still drain leave at once");
            make_room(view, members, serving, Urgency::Urgent)
        }
        _ => room,
    }
}

/// The readiness gates, held for `stabilizeSeconds`. The time counts from
/// when every canary target group was seen by AWS and all gates held.
fn stabilized_gate(view: &View<'_>, record: &mut RunningRollout, members: &Members<'_>) -> Gate {
    let gate = gates::gate(view, members);
    if view.spec.readiness.stabilize_seconds == 0 {
        record.healthy_since = None;
        return gate;
    }
    let seen = members
        .known(Side::Canary)
        .all(|member| view.report(member.arn).is_some_and(|report| report.healthy_targets.is_some()));
    record.healthy_since = match gate {
        Gate::Open if seen => record.healthy_since.or(Some(view.now)),
        _ => None,
    };
    match record.healthy_since {
        Some(since) => gate.stabilized(view, since),
        None => gate,
    }
}

/// Whether every canary member is registered; it is attached at 0 before any
/// step (rule 12).
fn attached(members: &Members<'_>, room: &Room) -> Result<(), Stop> {
    let missing: Vec<&str> =
        members.known(Side::Canary).filter(|member| !member.registered).map(|member| member.name).collect();
    if let Some(count) = room.too_many {
        let message = format!(
            "{count} target groups are needed at once; one forward action holds {}",
            super::slots::SLOTS
        );
        let stop =
            Stop::waiting(Reason::TooManyTargetGroups, message, "the steps hold until there are fewer");
        return Err(Stop { phase: Phase::Error, ..stop });
    }
    if missing.is_empty() {
        return Ok(());
    }
    let listed = missing.join(", ");
    match room.waits_for_drain {
        Some(drain) => {
            let message =
                format!("{listed} wait for a slot until entries that lost their weight have drained");
            let stop = Stop::waiting(Reason::Draining, message, "they are attached then, or after Promote");
            Err(match drain {
                Drain::Until(Some(until)) => stop.until(until),
                Drain::Until(None) | Drain::Done => stop,
            })
        }
        None => Err(Stop::waiting(
            Reason::Attaching,
            format!("{listed} enter at weight 0, so that their health is checked"),
            "the steps go on when AWS shows them healthy",
        )),
    }
}

/// With fewer target groups than `replicas` the steps hold (rule 3 b).
fn incomplete(view: &View<'_>, version: &Version) -> Option<Stop> {
    (!view.is_complete(version)).then(|| {
        let message =
            format!("version {version} has {} of {} target groups", view.count(version), view.replicas());
        Stop::waiting(Reason::WaitingForReplicas, message, "the steps go on when the set is complete")
    })
}

fn apply<'a>(
    draft: &mut Draft<'_, 'a>,
    roll: &Roll<'_>,
    members: Members<'a>,
    position: &Position,
    walked: Walked,
    room: &Room,
) {
    let view = draft.view;
    let raises = walked.canary > members.weight(Side::Canary);
    let off = if is_stuck(&members) { Off::Keep } else { Off::Zero };
    // Its gates were judged. Without a gate, those that are not seen healthy
    // still wait for their share while another of them can take it.
    let gated = view.spec.readiness.healthy_targets > 0;
    let forced = raises && (gated || !members.known(Side::Canary).any(|member| member.ready));
    let force = forced.then_some(Side::Canary);
    let split = Split { canary: walked.canary, off, force, yields: true };
    match divide(&members, view.total, split, room) {
        Some(weights) => draft.set_weights(members.clone(), weights),
        None => draft.keep_weights(members.clone()),
    }
    if view.spec.paused || planner::drift_holds(draft) {
        draft.hold_still();
    }
    draft.needs_fresh_view |= raises;
    draft.status.rollout_id = Some(position.id.clone());
    draft.status.current_step_index = Some(walked.index);
    if let (Some(message), Some((command, _))) = (&walked.answered, roll.order) {
        draft.answer(command, true, message.clone());
    }
    let moved = walked.index != position.index || !draft.is_steady();
    let mut running = Running { id: Some(position.id.clone()), record: walked.record };
    let Some(stop) = walked.stop else {
        return finish(draft, roll.version, running);
    };
    draft.create = walked.create;
    draft.sweep.terminate.extend(walked.terminate);
    draft.sweep.delete.extend(walked.delete);
    rest::find_degradation(draft, view.status.stable_version.as_ref());
    rest::wake_for_fresh(draft, &members);
    note_wait(draft, &mut running, &stop, moved);
    if let Some(failure) = overdue(draft, &running, &stop) {
        draft.create.clear();
        return fail::fail(draft, &running, members, &failure);
    }
    draft.status.rollout = Some(running.record);
    draft.stop(&stop);
    if let Some(message) = draft.findings.deadline_exceeded.clone() {
        draft.explain(Reason::ProgressDeadlineExceeded, message, "");
    }
}

/// Keeps account of waits that have a deadline, and of holds for a human.
fn note_wait(draft: &Draft<'_, '_>, running: &mut Running, stop: &Stop, moved: bool) {
    let now = draft.view.now;
    let record = &mut running.record;
    record.waiting_since = match (stop.has_deadline(), moved) {
        (false, _) => None,
        (true, true) => Some(now),
        (true, false) => record.waiting_since.or(Some(now)),
    };
    match (stop.phase, record.paused_since) {
        (Phase::Paused, since) => record.paused_since = since.or(Some(now)),
        (_, Some(since)) => {
            record.paused_seconds = record.paused_seconds.saturating_add(seconds_between(since, now));
            record.paused_since = None;
        }
        (_, None) => {}
    }
}

/// `progressDeadlineSeconds`: said, or a failure (2.6.1).
fn overdue(draft: &mut Draft<'_, '_>, running: &Running, stop: &Stop) -> Option<Failure> {
    let view = draft.view;
    let limit = view.spec.progress_deadline_seconds;
    let since = running.record.waiting_since?;
    let due: Timestamp = View::after(since, limit);
    if due > view.now {
        draft.wake(due);
        return None;
    }
    let waited = seconds_between(since, view.now);
    let message = format!("waited {waited} s; progressDeadlineSeconds is {limit}: {}", stop.message);
    if view.spec.progress_deadline_action == DeadlineAction::Report {
        draft.findings.deadline_exceeded = Some(message);
        return None;
    }
    Some(Failure {
        outcome: Outcome::Failed,
        reason: Reason::ProgressDeadlineExceeded,
        component: None,
        message,
        by: None,
    })
}

/// Rule 13: canary 100, stable 0 is confirmed.
fn finish(draft: &mut Draft<'_, '_>, version: &Version, running: Running) {
    let view = draft.view;
    let target = ServedVersion::Known(version.clone());
    if !draft.is_steady() {
        draft.status.rollout = Some(running.record);
        let message = format!("version {version} has all traffic, and its target groups changed");
        return draft.stop(&Stop::waiting(
            Reason::WaitingForLoadBalancer,
            message,
            "done when AWS shows these weights",
        ));
    }
    history::close(view, &mut draft.status, &running, Ending::of(Outcome::Completed));
    draft.status.stable_version = Some(target.clone());
    draft.status.phase = Some(Phase::Completed);
    draft.keep_weights(Members::new(view, Some(&target), None));
    rest::find_degradation(draft, Some(&target));
    rest::settle(draft);
}
