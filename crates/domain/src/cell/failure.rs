//! What ends a rollout for safety (`spec/okra.md` 3.4.2-14).

use super::components;
use super::observed::{Component, ComponentKind, ComponentPhase, StepReference};
use super::running::Running;
use super::sides::{Backing, Health, Members, Side};
use super::status::Outcome;
use super::view::{View, seconds_between};
use crate::reason::Reason;
use jiff::Timestamp;

/// Why a rollout ends.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub outcome: Outcome,
    pub reason: Reason,
    pub component: Option<String>,
    pub message: String,
    pub by: Option<String>,
}

/// The first failure of a running rollout, and when the next would become one.
pub(super) fn detect(
    view: &View<'_>,
    running: &Running,
    members: &Members<'_>,
) -> (Option<Failure>, Option<Timestamp>) {
    if let Some(component) = failed_component(view, running) {
        return (Some(of_component(component)), None);
    }
    unhealthy_canary(view, members)
}

/// A failed run or experiment of this rollout. One that a human passed over
/// no longer counts; its step is done.
fn failed_component<'a>(view: &View<'a>, running: &Running) -> Option<&'a Component> {
    let id = running.id.as_ref()?;
    components::of_rollout(view, id).into_iter().find(|component| {
        let judged = component.kind != ComponentKind::Pause;
        let failed = matches!(component.phase, ComponentPhase::Failed | ComponentPhase::Error);
        let passed = running
            .record
            .passed
            .iter()
            .any(|passed| component.step == Some(StepReference::Index(passed.step)));
        judged && failed && !passed
    })
}

fn of_component(component: &Component) -> Failure {
    let said = if component.message.is_empty() { "no message" } else { &component.message };
    Failure {
        outcome: Outcome::Failed,
        reason: Reason::AnalysisFailed,
        component: Some(component.name.clone()),
        message: format!("{} {} ended {}: {said}", component.kind, component.name, component.phase),
        by: None,
    }
}

/// A canary target group that has held weight in this rollout and shows no
/// healthy target for `unhealthySeconds`: the load balancer sends it its
/// share all the same.
fn unhealthy_canary(view: &View<'_>, members: &Members<'_>) -> (Option<Failure>, Option<Timestamp>) {
    let limit = view.spec.readiness.unhealthy_seconds;
    let mut next: Option<Timestamp> = None;
    for member in members.on(Side::Canary) {
        let shown = view.report(member.arn).map_or(0, |report| report.weight);
        let recorded = view.status.weight_of(member.arn).map_or(0, |recorded| recorded.weight);
        let held_weight = member.weight > 0 || shown > 0 || recorded > 0;
        let Some(since) = member.unhealthy_since.filter(|_| held_weight && member.backing != Backing::Gone)
        else {
            continue;
        };
        let due = View::after(since, limit);
        if due <= view.now {
            let message = format!(
                "target group {} has weight {} and no healthy target for {} s; unhealthySeconds is {limit}",
                member.name,
                member.weight,
                seconds_between(since, view.now)
            );
            let failure = Failure {
                outcome: Outcome::Failed,
                reason: Reason::CanaryUnhealthy,
                component: None,
                message,
                by: None,
            };
            return (Some(failure), None);
        }
        next = next.min(Some(due)).or(Some(due));
    }
    (None, next)
}

/// Stable target groups with weight and without a healthy target for
/// `unhealthySeconds`: said, never acted on.
pub(super) fn unhealthy_stable(view: &View<'_>, members: &Members<'_>) -> Option<String> {
    let limit = view.spec.readiness.unhealthy_seconds;
    let ill: Vec<&str> = members
        .on(Side::Stable)
        .filter(|member| member.weight > 0)
        .filter(|member| member.unhealthy_since.is_some_and(|since| View::after(since, limit) <= view.now))
        .map(|member| member.name)
        .collect();
    (!ill.is_empty())
        .then(|| format!("{} hold weight and show no healthy target for {limit} s or more", ill.join(", ")))
}

/// When the next stable target group becomes one of [`unhealthy_stable`].
pub(super) fn next_unhealthy_stable(view: &View<'_>, members: &Members<'_>) -> Option<Timestamp> {
    let limit = view.spec.readiness.unhealthy_seconds;
    let serving = members.on(Side::Stable).filter(|member| member.weight > 0);
    serving
        .filter_map(|member| member.unhealthy_since)
        .map(|since| View::after(since, limit))
        .filter(|due| *due > view.now)
        .min()
}

/// With nothing healthy on the stable side and a healthy canary, going back
/// would be worse than staying: a human decides (3.4.2-14).
pub(super) fn stable_is_worse(members: &Members<'_>) -> bool {
    let mut stable = members.on(Side::Stable).filter(|member| member.backing != Backing::Gone).peekable();
    stable.peek().is_some()
        && stable.all(|member| member.health == Health::Unhealthy)
        && members.known(Side::Canary).any(|member| member.health == Health::Healthy)
}
