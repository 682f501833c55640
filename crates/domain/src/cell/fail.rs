//! Carrying a failure out: stable 100, canary 0, the version blocked
//! (`spec/okra.md` 3.4.2-14).

use super::commands::Command;
use super::draft::Draft;
use super::failure::Failure;
use super::history::{self, Ending};
use super::plan::Block;
use super::running::Running;
use super::sides::{Members, Side};
use super::slots::{Urgency, make_room};
use super::status::Outcome;
use super::weights::{Off, Split, Weights, divide};
use crate::phase::Phase;
use crate::reason::Reason;
use crate::version::Version;

/// What `Abort` means.
pub(super) fn aborted(command: &Command) -> Failure {
    let said = command.reason.as_deref().filter(|reason| !reason.is_empty()).unwrap_or("no reason given");
    let by = command.by.as_deref().unwrap_or("an unnamed user");
    Failure {
        outcome: Outcome::Aborted,
        reason: Reason::Aborted,
        component: None,
        message: format!("aborted by {by}: {said}"),
        by: command.by.clone(),
    }
}

/// Ends the rollout. With no stable target group the canary goes on serving
/// all; never is an all-zero action written.
pub(super) fn fail<'a>(
    draft: &mut Draft<'_, 'a>,
    running: &Running,
    members: Members<'a>,
    failure: &Failure,
) {
    let view = draft.view;
    draft.safety = true;
    let stable_manned = members.is_manned(Side::Stable);
    let room = make_room(view, &members, &[Side::Stable], Urgency::Urgent);
    let canary = if stable_manned { 0 } else { view.total };
    let split = Split { canary, off: Off::Zero, force: None, yields: false };
    match divide(&members, view.total, split, &room) {
        Some(mut weights) => {
            if stable_manned && view.sticky_seconds().is_some() {
                leave_at_once(&members, &mut weights, running.version());
            }
            draft.set_weights(members, weights);
        }
        None => draft.keep_weights(members),
    }
    record(draft, running, failure);
    let next = if stable_manned {
        format!("version {} is blocked and gets no weight", running.version())
    } else {
        format!("version {} is blocked but goes on serving: nothing else can", running.version())
    };
    draft.explain(failure.reason, failure.message.clone(), next);
    draft.status.phase = Some(if stable_manned { Phase::Failed } else { Phase::Degraded });
    if !view.spec.errors.is_empty() {
        draft.status.phase = Some(Phase::Error);
        let errors: Vec<String> = view.spec.errors.iter().map(ToString::to_string).collect();
        draft.explain(
            Reason::InvalidSpec,
            errors.join("; "),
            "no rollout begins until the spec is corrected",
        );
    }
}

/// Blocklist and history.
fn record(draft: &mut Draft<'_, '_>, running: &Running, failure: &Failure) {
    let view = draft.view;
    draft.block.push(Block {
        version: running.version().clone(),
        cause: failure.reason,
        component: failure.component.clone(),
        message: failure.message.clone(),
    });
    let ending = Ending {
        outcome: failure.outcome,
        by: failure.by.clone(),
        reason: Some(failure.reason),
        message: failure.message.clone(),
    };
    history::close(view, &mut draft.status, running, ending);
    draft.status.desired_version.clone_from(&view.status.stable_version);
    draft.findings.version_blocked =
        Some(format!("version {} is blocked: {}", running.version(), failure.message));
}

/// With stickiness, cookies would keep clients on a failed version: its
/// entries leave the action at once (3.4.2-9).
pub(super) fn leave_at_once(members: &Members<'_>, weights: &mut Weights, failed: &Version) {
    for (member, weight) in members.list.iter().zip(weights.iter_mut()) {
        if member.version.is(failed) && *weight == Some(0) {
            *weight = None;
        }
    }
}

/// Nothing stable is healthy but the canary is: the weights stay, and only
/// `Abort` is obeyed.
pub(super) fn leave_to_human<'a>(
    draft: &mut Draft<'_, 'a>,
    running: &Running,
    members: Members<'a>,
    failure: &Failure,
) {
    draft.keep_weights(members);
    draft.status.phase = Some(Phase::Degraded);
    let message = format!(
        "version {} failed ({}), but no target group of the stable version is healthy",
        running.version(),
        failure.message
    );
    draft.findings.degraded = Some((Reason::StableUnhealthy, message.clone()));
    draft.explain(
        Reason::StableUnhealthy,
        message,
        "weights stay until the stable version is healthy or a human sends Abort",
    );
    draft.explain(failure.reason, failure.message.clone(), "");
}
