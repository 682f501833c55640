//! The status that a plan gives a Cell.

use jiff::{Timestamp, Unit};
use okra_domain::cell::status::PassedStep;
use okra_domain::cell::{HistoryEntry, Role, RunningRollout, Status, StatusWeight};
use serde_json::{Map, Value, json};

use crate::cell::{
    AnalysisSummary, Cell, CellRollout, CellStatus, CellWeight, CommandOutcome,
    HistoryEntry as ApiHistoryEntry, PassedStep as ApiPassedStep,
};
use crate::common::{ClusterNames, Condition};

/// The status as the API writes it; times in whole milliseconds.
pub fn api_status(status: &Status) -> CellStatus {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    CellStatus {
        phase: status.phase.map(|phase| phase.to_string()),
        reason: status.reason.map(|reason| reason.to_string()),
        message: text(&status.message),
        last_sync_time: status.last_sync_time.map(milliseconds),
        observed_generation: status.observed_generation,
        desired_version: status.desired_version.as_ref().map(ToString::to_string),
        stable_version: status.stable_version.as_ref().map(ToString::to_string),
        clusters: (!status.clusters.is_empty()).then(|| ClusterNames { names: status.clusters.clone() }),
        current_step_index: status.current_step_index.map(signed),
        rollout_id: status.rollout_id.as_ref().map(ToString::to_string),
        steps_hash: status.steps_hash.clone(),
        rollout: status.rollout.as_ref().map(rollout),
        canary_weight: canary_weight(status),
        weights: status.weights.iter().map(weight).collect(),
        last_command: status.last_command.as_ref().map(|command| CommandOutcome {
            id: command.id.clone(),
            verb: text(&command.verb),
            outcome: Some(command.outcome_text().to_owned()),
            reason: text(&command.message),
            by: command.by.clone(),
            step: command.step.map(signed),
            at: command.at.map(milliseconds),
        }),
        command_ids: status.command_ids.clone(),
        history: status.history.iter().map(history).collect(),
        conditions: status
            .conditions
            .iter()
            .map(|condition| Condition {
                type_: condition.kind.to_string(),
                status: condition.status_text().to_owned(),
                reason: condition.reason.to_string(),
                message: condition.message.clone(),
                last_transition_time: Some(milliseconds(condition.last_transition_time)),
                observed_generation: Some(condition.observed_generation),
            })
            .collect(),
    }
}

/// Sum of the canary entries, for the printer column.
fn canary_weight(status: &Status) -> Option<i64> {
    let canary = |weight: &&StatusWeight| weight.role == Some(Role::Canary);
    (!status.weights.is_empty())
        .then(|| status.weights.iter().filter(canary).map(|weight| i64::from(weight.weight)).sum())
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn signed_seconds(seconds: u64) -> Option<i64> {
    (seconds > 0).then(|| i64::try_from(seconds).unwrap_or(i64::MAX))
}

/// Times are written in whole milliseconds: seconds would let a settle time
/// of one second end at once, nanoseconds say more than a clock knows.
pub(super) fn milliseconds(time: Timestamp) -> Timestamp {
    let mode = jiff::TimestampRound::new().smallest(Unit::Millisecond).mode(jiff::RoundMode::Trunc);
    time.round(mode).unwrap_or(time)
}

fn rollout(rollout: &RunningRollout) -> CellRollout {
    CellRollout {
        version: Some(rollout.version.to_string()),
        from: rollout.from.as_ref().map(ToString::to_string),
        started_at: rollout.started_at.map(milliseconds),
        kind: Some(rollout.kind.to_string()),
        waiting_since: rollout.waiting_since.map(milliseconds),
        healthy_since: rollout.healthy_since.map(milliseconds),
        paused_since: rollout.paused_since.map(milliseconds),
        paused_seconds: signed_seconds(rollout.paused_seconds),
        approved_step: rollout.approved_step.map(signed),
        background_passed: rollout.background_passed.then_some(true),
        promoted_fully: rollout.promoted_fully.then_some(true),
        passed: rollout.passed.iter().map(passed).collect(),
    }
}

fn passed(step: &PassedStep) -> ApiPassedStep {
    ApiPassedStep { step: signed(step.step), verb: step.verb.to_string(), by: step.by.clone() }
}

fn weight(weight: &StatusWeight) -> CellWeight {
    CellWeight {
        name: weight.name.clone(),
        arn: weight.arn.clone(),
        version: weight.version.as_ref().map(ToString::to_string),
        role: weight.role.map(|role| role.to_string()),
        weight: Some(weight.weight.into()),
        since: weight.since.map(milliseconds),
    }
}

fn history(entry: &HistoryEntry) -> ApiHistoryEntry {
    ApiHistoryEntry {
        rollout_id: entry.rollout_id.as_ref().map(ToString::to_string),
        from: entry.from.as_ref().map(ToString::to_string),
        to: entry.to.as_ref().map(ToString::to_string),
        started_at: entry.started_at.map(milliseconds),
        completed_at: entry.completed_at.map(milliseconds),
        outcome: entry.outcome.map(|outcome| outcome.to_string()),
        by: entry.by.clone(),
        reason: entry.reason.map(|reason| reason.to_string()),
        message: (!entry.message.is_empty()).then(|| entry.message.clone()),
        paused_seconds: signed_seconds(entry.paused_seconds),
        analyses: entry
            .analyses
            .iter()
            .map(|analysis| AnalysisSummary {
                name: analysis.name.clone(),
                phase: Some(analysis.phase.clone()),
                value: analysis.value.clone(),
            })
            .collect(),
    }
}

/// The merge patch that gives the Cell this status, or nothing when it has
/// it. It names the resource version, so that the API refuses it when the
/// Cell has changed since it was read.
pub fn status_patch(cell: &Cell, status: &Status) -> Option<Value> {
    let recorded = cell.status.as_ref().map_or_else(|| json!({}), as_json);
    let patch = merge_patch(&recorded, &as_json(&api_status(status)))?;
    let mut metadata = Map::new();
    if let Some(version) = &cell.metadata.resource_version {
        metadata.insert("resourceVersion".to_owned(), version.as_str().into());
    }
    Some(json!({"metadata": metadata, "status": patch}))
}

fn as_json(status: &CellStatus) -> Value {
    serde_json::to_value(status).expect("a status holds only text, numbers, times and lists of them")
}

/// The JSON merge patch (RFC 7396) from one object to another; nothing when
/// they are equal.
pub fn merge_patch(from: &Value, to: &Value) -> Option<Value> {
    if from == to {
        return None;
    }
    let (Value::Object(old), Value::Object(new)) = (from, to) else { return Some(to.clone()) };
    let mut patch = Map::new();
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in new {
        match old.get(key) {
            None => {
                patch.insert(key.clone(), value.clone());
            }
            Some(before) => {
                if let Some(change) = merge_patch(before, value) {
                    patch.insert(key.clone(), change);
                }
            }
        }
    }
    Some(patch.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::domain_status;

    fn full() -> Value {
        json!({
            "phase": "Progressing", "reason": "Settling", "message": "settles", "observedGeneration": 3,
            "lastSyncTime": "2026-11-21T15:00:00Z", "desiredVersion": "2.0.0", "stableVersion": "unknown",
            "clusters": {"names": ["c1"]}, "currentStepIndex": 2, "rolloutID": "r1", "stepsHash": "h",
            "rollout": {"version": "2.0.0", "from": "1.0.0", "startedAt": "2026-11-21T14:00:00Z",
                "kind": "Rollout", "pausedSeconds": 4, "approvedStep": 1, "promotedFully": true,
                "passed": [{"step": 1, "verb": "Promote", "by": "me"}]},
            "canaryWeight": 20,
            "weights": [
                {"name": "a1", "arn": "x", "version": "1.0.0", "role": "stable", "weight": 80},
                {"name": "b1", "arn": "y", "version": "2.0.0", "role": "canary", "weight": 20,
                 "since": "2026-11-21T13:00:00.123Z"},
            ],
            "lastCommand": {"id": "i", "verb": "Promote", "outcome": "Refused", "reason": "old", "step": 1},
            "commandIDs": ["i"],
            "history": [{"rolloutID": "r0", "from": "0.9.0", "to": "1.0.0", "outcome": "Completed",
                "pausedSeconds": 7, "analyses": [{"name": "n", "phase": "Successful", "value": "1"}]}],
            "conditions": [{"type": "Ready", "status": "False", "reason": "Progressing", "message": "m",
                "lastTransitionTime": "2026-11-21T15:00:00Z", "observedGeneration": 3}],
        })
    }

    #[test]
    fn a_status_survives_the_way_to_the_domain_and_back() {
        let status: CellStatus = serde_json::from_value(full()).unwrap();
        assert_eq!(as_json(&api_status(&domain_status(&status))), full());
    }

    #[test]
    fn h_70_an_old_or_odd_status_is_readable() {
        let odd = json!({
            "phase": "Dancing", "desiredVersion": "not one", "currentStepIndex": -1,
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "Mine", "status": "True"}],
            "weights": [{"name": "a", "weight": -5, "role": "lead"}],
        });
        let status: CellStatus = serde_json::from_value(odd).unwrap();
        let status = domain_status(&status);
        assert_eq!((status.phase, status.current_step_index, status.conditions.len()), (None, None, 0));
        assert_eq!((status.weights[0].weight, status.weights[0].role), (0, None));
        assert_eq!(domain_status(&CellStatus::default()), Status::default());
    }

    #[test]
    fn a_patch_says_what_changes_and_what_goes() {
        let mut cell =
            Cell { status: serde_json::from_value(full()).unwrap(), ..Cell::new("web", Default::default()) };
        cell.metadata.resource_version = Some("7".to_owned());
        let mut status = domain_status(cell.status.as_ref().unwrap());
        assert_eq!(status_patch(&cell, &status), None);
        status.rollout = None;
        status.current_step_index = Some(3);
        assert_eq!(
            status_patch(&cell, &status),
            Some(
                json!({"metadata": {"resourceVersion": "7"}, "status": {"currentStepIndex": 3, "rollout": null}})
            )
        );
    }

    #[test]
    fn times_are_cut_to_milliseconds() {
        let time: Timestamp = "2026-11-21T15:00:00.123987Z".parse().unwrap();
        assert_eq!(milliseconds(time).to_string(), "2026-11-21T15:00:00.123Z");
    }
}
