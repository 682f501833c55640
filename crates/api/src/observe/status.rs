//! The status of a Cell in words of the domain. A word that is not known
//! counts as absent: absence of any field never fails or restarts a rollout.

use okra_domain::cell::status::PassedStep;
use okra_domain::cell::{
    AnalysisVerdict, CommandOutcome, HistoryEntry, RolloutKind, RunningRollout, Status, StatusWeight,
};
use okra_domain::{Condition, RolloutId};

use super::count;
use crate::cell::{
    CellRollout, CellStatus, CellWeight, HistoryEntry as ApiHistoryEntry, PassedStep as ApiPassedStep,
};
use crate::common::Condition as ApiCondition;

/// The status in words of the domain.
pub fn domain_status(status: &CellStatus) -> Status {
    Status {
        phase: word(status.phase.as_ref()),
        reason: word(status.reason.as_ref()),
        message: status.message.clone().unwrap_or_default(),
        last_sync_time: status.last_sync_time,
        observed_generation: status.observed_generation,
        desired_version: word(status.desired_version.as_ref()),
        stable_version: word(status.stable_version.as_ref()),
        clusters: status.clusters.clone().unwrap_or_default().names,
        current_step_index: status.current_step_index.and_then(|index| usize::try_from(index).ok()),
        rollout_id: status.rollout_id.as_ref().map(RolloutId::recorded),
        steps_hash: status.steps_hash.clone(),
        rollout: status.rollout.as_ref().and_then(rollout),
        weights: status.weights.iter().map(weight).collect(),
        last_command: status.last_command.as_ref().map(|command| CommandOutcome {
            id: command.id.clone(),
            verb: command.verb.clone().unwrap_or_default(),
            done: command.outcome.as_deref() == Some("Done"),
            message: command.reason.clone().unwrap_or_default(),
            by: command.by.clone(),
            step: command.step.and_then(|step| usize::try_from(step).ok()),
            at: command.at,
        }),
        command_ids: status.command_ids.clone(),
        conditions: status.conditions.iter().filter_map(condition).collect(),
        history: status.history.iter().map(history).collect(),
    }
}

fn word<T: std::str::FromStr>(text: Option<&String>) -> Option<T> {
    text?.parse().ok()
}

fn rollout(rollout: &CellRollout) -> Option<RunningRollout> {
    let version = word(rollout.version.as_ref())?;
    Some(RunningRollout {
        from: word(rollout.from.as_ref()),
        started_at: rollout.started_at,
        kind: word(rollout.kind.as_ref()).unwrap_or(RolloutKind::Rollout),
        waiting_since: rollout.waiting_since,
        healthy_since: rollout.healthy_since,
        paused_since: rollout.paused_since,
        paused_seconds: seconds(rollout.paused_seconds),
        approved_step: rollout.approved_step.and_then(|step| usize::try_from(step).ok()),
        background_passed: rollout.background_passed.unwrap_or(false),
        promoted_fully: rollout.promoted_fully.unwrap_or(false),
        passed: rollout.passed.iter().filter_map(passed).collect(),
        version,
    })
}

fn passed(step: &ApiPassedStep) -> Option<PassedStep> {
    let verb = step.verb.parse().ok()?;
    Some(PassedStep { step: usize::try_from(step.step).ok()?, verb, by: step.by.clone() })
}

fn seconds(seconds: Option<i64>) -> u64 {
    u64::try_from(seconds.unwrap_or_default()).unwrap_or_default()
}

fn weight(weight: &CellWeight) -> StatusWeight {
    StatusWeight {
        name: weight.name.clone(),
        arn: weight.arn.clone(),
        version: word(weight.version.as_ref()),
        role: word(weight.role.as_ref()),
        weight: count(weight.weight.unwrap_or_default()),
        since: weight.since,
    }
}

/// A condition without a time is one that okra did not write: the next plan
/// sets it anew.
fn condition(condition: &ApiCondition) -> Option<Condition> {
    Some(Condition {
        kind: condition.type_.parse().ok()?,
        status: condition.status == "True",
        reason: condition.reason.parse().ok()?,
        message: condition.message.clone(),
        last_transition_time: condition.last_transition_time?,
        observed_generation: condition.observed_generation.unwrap_or_default(),
    })
}

fn history(entry: &ApiHistoryEntry) -> HistoryEntry {
    HistoryEntry {
        rollout_id: entry.rollout_id.as_ref().map(RolloutId::recorded),
        from: word(entry.from.as_ref()),
        to: word(entry.to.as_ref()),
        started_at: entry.started_at,
        completed_at: entry.completed_at,
        outcome: word(entry.outcome.as_ref()),
        by: entry.by.clone(),
        reason: word(entry.reason.as_ref()),
        message: entry.message.clone().unwrap_or_default(),
        paused_seconds: seconds(entry.paused_seconds),
        analyses: entry
            .analyses
            .iter()
            .map(|analysis| AnalysisVerdict {
                name: analysis.name.clone(),
                phase: analysis.phase.clone().unwrap_or_default(),
                value: analysis.value.clone(),
            })
            .collect(),
    }
}
