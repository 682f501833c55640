//! Finished rollouts (`spec/okra.md` 2.6.2).

use super::components;
use super::observed::{Component, ComponentKind, StepReference};
use super::running::Running;
use super::status::{AnalysisVerdict, HistoryEntry, Outcome, PassedStep, RunningRollout, Status};
use super::view::{View, seconds_between};
use crate::reason::Reason;
use crate::version::ServedVersion;

/// How a rollout ended.
pub(super) struct Ending {
    pub outcome: Outcome,
    pub by: Option<String>,
    pub reason: Option<Reason>,
    pub message: String,
}

impl Ending {
    pub(super) fn of(outcome: Outcome) -> Self {
        Self { outcome, by: None, reason: None, message: String::new() }
    }
}

/// Puts the rollout at the head of the history and forgets what ran.
pub(super) fn close(view: &View<'_>, status: &mut Status, running: &Running, ending: Ending) {
    let record = &running.record;
    let entry = HistoryEntry {
        rollout_id: running.id.clone(),
        from: record.from.clone().or_else(|| status.stable_version.clone()),
        to: Some(ServedVersion::Known(record.version.clone())),
        started_at: record.started_at,
        completed_at: Some(view.now),
        outcome: Some(ending.outcome),
        by: ending.by,
        reason: ending.reason,
        message: ending.message,
        paused_seconds: paused_seconds(view, record),
        analyses: verdicts(view, running),
    };
    status.history.insert(0, entry);
    status.history.truncate(view.spec.history_limit);
    status.rollout = None;
}

/// Seconds that it was held for a human, the present hold included.
fn paused_seconds(view: &View<'_>, record: &RunningRollout) -> u64 {
    let present = record.paused_since.map_or(0, |since| seconds_between(since, view.now));
    record.paused_seconds.saturating_add(present)
}

fn verdicts(view: &View<'_>, running: &Running) -> Vec<AnalysisVerdict> {
    let Some(id) = &running.id else { return Vec::new() };
    let mut judged = components::of_rollout(view, id);
    judged.retain(|component| component.kind != ComponentKind::Pause);
    judged.sort_by_key(|component| component.step);
    judged.into_iter().map(|component| verdict(component, &running.record.passed)).collect()
}

/// A run that a human passed over is no evidence of health, and says so.
fn verdict(component: &Component, passed: &[PassedStep]) -> AnalysisVerdict {
    let passed = passed.iter().find(|passed| component.step == Some(StepReference::Index(passed.step)));
    let phase = match passed {
        Some(passed) => {
            let by = passed.by.as_deref().unwrap_or("an unnamed user");
            format!("{}, passed by {} of {by}", component.phase, passed.verb)
        }
        None => component.phase.to_string(),
    };
    AnalysisVerdict { name: component.name.clone(), phase, value: component.value.clone() }
}
