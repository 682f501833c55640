//! The decision procedure of one Cell, from the top (`spec/okra.md` 3.4.2).

use jiff::Timestamp;

use super::commands::{self, Command, CommandObservation, Received, Verb};
use super::components;
use super::confirm::confirmation;
use super::desired::{Choice, Desired, PassedOver};
use super::draft::Draft;
use super::drift;
use super::fail;
use super::failure;
use super::observed::{Observed, Ownership};
use super::plan::Plan;
use super::rest;
use super::roll::{self, Roll};
use super::running::{self, Running};
use super::serve;
use super::sides::{Members, Side};
use super::slots::{Urgency, make_room};
use super::spec::DeletionPolicy;
use super::status::Outcome;
use super::view::View;
use super::walk::Stop;
use super::weights::{Off, Split, divide};
use crate::phase::Phase;
use crate::reason::Reason;
use crate::rollout_id::RolloutId;
use crate::version::{ServedVersion, Version};

/// A command that may be carried out.
pub(super) type Order<'a> = Option<(&'a Command, Verb)>;

/// Plans one Cell: what shall be written next, why, and when to look again.
///
/// The same observation and time give the same plan, whatever the order of
/// the lists; a plan that was carried out and confirmed is followed by one
/// that writes nothing.
pub fn plan(observed: &Observed, now: Timestamp) -> Plan {
    let view = View::new(observed, now);
    let mut draft = Draft::new(&view);
    if !observed.incomplete.is_empty() {
        incomplete_view(&mut draft);
    } else if observed.cell.deleting {
        deletion(&mut draft);
    } else if view.config().is_some_and(|config| config.ownership == Ownership::Foreign) {
        not_owned(&mut draft);
    } else {
        decide(&mut draft);
    }
    draft.finish()
}

/// A kind that cannot be listed is never an empty list (section 3).
fn incomplete_view(draft: &mut Draft<'_, '_>) {
    draft.hands_off = true;
    draft.status.phase = Some(draft.view.status.phase.unwrap_or(Phase::Pending));
    draft.explain(
        Reason::IncompleteView,
        format!("not everything is known: {}", draft.view.observed.incomplete.join("; ")),
        "nothing is decided until all kinds are listed",
    );
}

/// Rule 17: traffic stays, components go.
fn deletion(draft: &mut Draft<'_, '_>) {
    let view = draft.view;
    draft.sweep = components::sweep_all(view);
    draft.status.phase = Some(view.status.phase.unwrap_or(Phase::Pending));
    let owned = view.config().is_some_and(|config| config.ownership == Ownership::Owned);
    draft.hands_off = view.spec.deletion_policy == DeletionPolicy::Retain || !owned;
}

/// Rule 5, H-49: somebody else's config is not touched.
fn not_owned(draft: &mut Draft<'_, '_>) {
    draft.hands_off = true;
    draft.status.phase = Some(Phase::Error);
    let name = &draft.view.observed.cell.name;
    draft.explain(
        Reason::ConfigNotOwned,
        format!("a load balancer config {name} exists and does not belong to this Cell"),
        "annotate it okra.mumo.co/adopt: \"true\" to hand it over with its target groups",
    );
}

fn decide(draft: &mut Draft<'_, '_>) {
    let view = draft.view;
    if let Some(CommandObservation::Malformed(error)) = &view.observed.command {
        draft.warnings.push(format!("the command annotation is ignored: {error}"));
    }
    if view.status.stable_version.is_none() && view.serves() {
        return import(draft);
    }
    let order = match commands::receive(view.observed.command.as_ref(), view.status, view.now) {
        Received::Nothing => None,
        Received::Refused(command, message) => {
            draft.answer(command, false, message);
            None
        }
        Received::Order(command, verb) => Some((command, verb)),
    };
    report_steps(draft);
    decide_course(draft, order);
    if let Some((command, verb)) = order
        && !draft.is_answered()
    {
        let present =
            draft.reasons.first().map_or("nothing waits", |reason| reason.message.as_str()).to_owned();
        draft.answer(command, false, format!("{verb} has nothing to act on: {present}"));
    }
}

/// What people should know about their steps (2.6.4).
fn report_steps(draft: &mut Draft<'_, '_>) {
    let steps = &draft.view.spec.steps;
    if let Some(percent) = steps.overruled_weight() {
        draft
            .warnings
            .push(format!("the last step's weight {percent} is overruled at once: the list ends at 100"));
    }
}

/// Rule 5 and 5.7-3: the first pass changes no weight, it only infers and
/// records what is stable.
fn import(draft: &mut Draft<'_, '_>) {
    let view = draft.view;
    let mut sums: Vec<(u32, ServedVersion)> = Vec::new();
    for entry in &view.entries {
        let version = entry.version();
        match sums.iter_mut().find(|(_, other)| *other == version) {
            Some((sum, _)) => *sum += entry.weight,
            None => sums.push((entry.weight, version)),
        }
    }
    let stable = sums.into_iter().max().map(|(_, version)| version).expect("something serves");
    draft.keep_weights(Members::new(view, Some(&stable), None));
    draft.hands_off = true;
    draft.status.weights.clear();
    draft.status.desired_version = Some(stable.clone());
    draft.status.phase = Some(Phase::Progressing);
    draft.explain(
        Reason::WaitingForLoadBalancer,
        format!("found version {stable} serving and recorded it as stable"),
        "the next pass acts",
    );
    draft.status.stable_version = Some(stable);
    draft.wake(View::after(view.now, 1));
}

/// Failure first, then rule 3, then what follows from it.
fn decide_course(draft: &mut Draft<'_, '_>, order: Order<'_>) {
    let view = draft.view;
    let running = running::running(view);
    if let (Some(recorded), Some(running)) = (&mut draft.status.rollout, &running) {
        // What was inferred is recorded, before the traces are overwritten.
        recorded.kind = running.record.kind;
    }
    if let Some(running) = running.as_ref().filter(|running| running.moved_by_steps())
        && judge(draft, running, order)
    {
        return;
    }
    if !view.spec.errors.is_empty() {
        return invalid_spec(draft, running.as_ref());
    }
    let unblocked = retry(draft, running.as_ref(), order);
    let choice = Choice {
        view,
        stable: view.status.stable_version.as_ref(),
        running: running.as_ref(),
        unblocked: unblocked.as_ref(),
    };
    let desired = choice.desired();
    report_choice(draft, &desired);
    follow(draft, running.as_ref(), desired, order);
}

/// Rule 14. True when the rollout ended here, or a human must end it.
fn judge(draft: &mut Draft<'_, '_>, running: &Running, order: Order<'_>) -> bool {
    let view = draft.view;
    // Blocked already: a plan before this one was interrupted after the block.
    // What is left of the failure is rule 9.
    if view.blocked(running.version()).is_some() {
        return false;
    }
    let members = Members::new(view, view.status.stable_version.as_ref(), Some(running.version()));
    if let Some((command, Verb::Abort)) = order {
        draft.answer(command, true, format!("version {} goes back to 0 and is blocked", running.version()));
        fail::fail(draft, running, members, &fail::aborted(command));
        return true;
    }
    let (failure, next) = failure::detect(view, running, &members);
    if let Some(next) = next {
        draft.wake(next);
    }
    let Some(failure) = failure else { return false };
    if failure::stable_is_worse(&members) {
        fail::leave_to_human(draft, running, members, &failure);
    } else {
        fail::fail(draft, running, members, &failure);
    }
    true
}

/// 2.6.1: nothing moves; the judgement above went on.
fn invalid_spec(draft: &mut Draft<'_, '_>, running: Option<&Running>) {
    let view = draft.view;
    let canary = running.map(Running::version);
    draft.keep_weights(Members::new(view, view.status.stable_version.as_ref(), canary));
    if let Some(found) = drift::pending(view) {
        draft.findings.drift = Some(drift::describe(view, found));
    }
    draft.status.phase = Some(Phase::Error);
    let errors: Vec<String> = view.spec.errors.iter().map(ToString::to_string).collect();
    draft.explain(
        Reason::InvalidSpec,
        errors.join("; "),
        "weights stay as they are until the spec is corrected",
    );
}

/// `Retry`: the version that failed leaves the blocklist (2.6.2b).
fn retry(draft: &mut Draft<'_, '_>, running: Option<&Running>, order: Order<'_>) -> Option<Version> {
    let view = draft.view;
    let (command, _) = order.filter(|(_, verb)| *verb == Verb::Retry)?;
    if running.is_some_and(Running::is_rollout) {
        draft.answer(command, false, "a rollout is under way");
        return None;
    }
    let last = view.status.history.first().and_then(|entry| entry.to.as_ref()).and_then(ServedVersion::known);
    let blocked = |version: &&Version| view.blocked(version).is_some();
    let newest = view.versions().into_iter().find(blocked);
    let version =
        command.version.as_ref().or_else(|| last.filter(blocked)).or(newest).filter(blocked).cloned();
    match &version {
        Some(version) => {
            draft.unblock.push(version.clone());
            draft.answer(command, true, format!("version {version} is unblocked"));
        }
        None => draft.answer(command, false, "no blocked version to try again"),
    }
    version
}

/// Rule 3, last sentences: what would come first is said, and holds nobody up.
fn report_choice(draft: &mut Draft<'_, '_>, desired: &Desired) {
    for passed_over in &desired.passed_over {
        let finding = match passed_over.reason {
            Reason::VersionBlocked => &mut draft.findings.version_blocked,
            _ => &mut draft.findings.waiting_for_replicas,
        };
        match finding {
            Some(text) => *text = format!("{text}; {}", passed_over.message),
            None => *finding = Some(passed_over.message.clone()),
        }
    }
    draft.warnings.extend(desired.warning.clone());
}

fn follow(draft: &mut Draft<'_, '_>, running: Option<&Running>, desired: Desired, order: Order<'_>) {
    let view = draft.view;
    let stable = view.status.stable_version.as_ref();
    let Some(version) = desired.version else { return idle(draft, running, order) };
    if !view.serves() {
        // What served last comes first, so that nothing jumps to a new version
        // because a config was lost.
        let again = stable.and_then(ServedVersion::known).filter(|stable| view.count(stable) > 0);
        let version = again.cloned().unwrap_or(version);
        return serve::create(draft, &version);
    }
    if desired.held_by_pin {
        return hold_for_pin(draft, running, &version, &desired.passed_over, order);
    }
    let newer = stable.is_none_or(|stable| *stable < ServedVersion::Known(version.clone()));
    let members = Members::new(view, stable, Some(&version));
    if !newer || !members.is_manned(Side::Stable) {
        return serve::serve(draft, &version, running, order);
    }
    // A rollout takes from stable. Where a third version serves, a takeover was
    // interrupted: stable takes back first. (A superseded canary is no third.)
    let superseded = running.is_some_and(Running::is_rollout);
    match stable.and_then(ServedVersion::known) {
        Some(stable) if members.weight(Side::Off) > 0 && !superseded => {
            serve::serve(draft, stable, running, order)
        }
        _ => roll::roll(draft, &Roll { version: &version, running, order }),
    }
}

/// Rule 3, nothing matches: the load balancer stays as it is.
fn idle(draft: &mut Draft<'_, '_>, running: Option<&Running>, order: Order<'_>) {
    let view = draft.view;
    drift::at_rest(draft, order, false);
    let canary = running.map(Running::version);
    draft.keep_weights(Members::new(view, view.status.stable_version.as_ref(), canary));
    let missing =
        draft.findings.waiting_for_replicas.clone().or_else(|| draft.findings.version_blocked.clone());
    let missing = missing.unwrap_or_else(|| format!("{} target groups are known", view.known.len()));
    if view.serves() {
        draft.status.phase = Some(Phase::Degraded);
        draft.explain(
            Reason::NothingToServe,
            format!("no version can be served: {missing}"),
            "the load balancer stays as it is",
        );
    } else {
        draft.status.phase = Some(Phase::Pending);
        let reason = match (&draft.findings.waiting_for_replicas, &draft.findings.version_blocked) {
            (Some(_), _) => Reason::WaitingForReplicas,
            (None, Some(_)) => Reason::VersionBlocked,
            (None, None) => Reason::NothingToServe,
        };
        let next = format!("{} target groups of one version are needed", view.replicas());
        draft.explain(reason, format!("nothing can be served yet: {missing}"), next);
    }
}

/// Rule 4: a pin that cannot be followed moves no weight between versions and
/// holds the steps; rules 7 and 8 go on.
fn hold_for_pin(
    draft: &mut Draft<'_, '_>,
    running: Option<&Running>,
    present: &Version,
    passed_over: &[PassedOver],
    order: Order<'_>,
) {
    let view = draft.view;
    let stable = view.status.stable_version.as_ref();
    let rolling = running.filter(|running| running.is_rollout());
    drift::at_rest(draft, order, false);
    let reason = passed_over.first().map_or(Reason::WaitingForReplicas, |passed_over| passed_over.reason);
    let message = passed_over.first().map(|passed_over| passed_over.message.clone()).unwrap_or_default();
    draft.status.desired_version = Some(ServedVersion::Known(present.clone()));
    care(draft, present_sides(view, rolling.map(Running::version)), Urgency::Patient);
    rest::find_degradation(draft, stable);
    let at_rest = rolling.is_none() && stable.is_some_and(|stable| view.serves_alone(stable));
    if reason == Reason::VersionBlocked && at_rest {
        return rest::settle(draft);
    }
    draft.stop(&Stop::waiting(reason, message, "weights stay until the pin can be followed or is removed"));
}

/// The sides as they serve now. While a takeover is under way that may be a
/// version that is not stable yet: its members care for each other too.
pub(super) fn present_sides<'a>(view: &View<'a>, canary: Option<&Version>) -> Members<'a> {
    let members = Members::new(view, view.status.stable_version.as_ref(), canary);
    let serving = members.on(Side::Off).filter(|member| member.weight > 0);
    let heaviest = serving.max_by_key(|member| member.weight).map(|member| member.version.clone());
    match heaviest.filter(|_| members.weight(Side::Stable) == 0) {
        Some(version) => Members::new(view, Some(&version), canary),
        None => members,
    }
}

/// Rules 7 and 8 within the present sides, and nothing else.
pub(super) fn care<'a>(draft: &mut Draft<'_, 'a>, members: Members<'a>, urgency: Urgency) {
    let view = draft.view;
    rest::wake_for_fresh(draft, &members);
    let room = make_room(view, &members, &[Side::Stable], urgency);
    let split = Split { canary: members.weight(Side::Canary), off: Off::Keep, force: None, yields: true };
    match divide(&members, view.total, split, &room) {
        Some(weights) => draft.set_weights(members, weights),
        None => draft.keep_weights(members),
    }
    if view.spec.paused || drift_holds(draft) {
        draft.hold_still();
    }
}

/// Whether a drift that nobody let go is in the way of ordinary writes.
pub(super) fn drift_holds(draft: &Draft<'_, '_>) -> bool {
    draft.overwrite.is_none() && drift::pending(draft.view).is_some()
}

/// Whether the config is confirmed as it stands.
pub(super) fn is_confirmed(view: &View<'_>) -> bool {
    confirmation(view.config()).is_confirmed()
}

/// Ends the rollout that was under way because another version takes over.
pub(super) fn outcome_of_interruption(
    view: &View<'_>,
    running: &Running,
) -> (Outcome, Option<Reason>, String) {
    match view.blocked(running.version()) {
        Some(cause) => (Outcome::Failed, Some(Reason::VersionBlocked), cause.to_owned()),
        None => (Outcome::RolledBack, None, format!("version {} is no longer wanted", running.version())),
    }
}

/// The id of an attempt that begins now.
pub(super) fn next_id(view: &View<'_>, version: &Version) -> RolloutId {
    RolloutId::of_attempt(&view.observed.cell.uid, version, view.now, view.status.rollout_id.as_ref())
}
