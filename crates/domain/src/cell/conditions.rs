//! Conditions: the phase and the findings of a plan, one by one
//! (`spec/okra.md` 2.6.2).

use super::status::Status;
use super::view::View;
use crate::condition::{Condition, ConditionReason, ConditionType};
use crate::phase::Phase;
use crate::reason::Reason;

/// What a plan found besides its phase.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    pub degraded: Option<(Reason, String)>,
    pub waiting_for_replicas: Option<String>,
    pub version_blocked: Option<String>,
    pub drift: Option<String>,
    pub deadline_exceeded: Option<String>,
    pub paused: Option<(Reason, String)>,
}

/// One condition before it is compared with what was recorded.
struct Draft {
    kind: ConditionType,
    status: bool,
    reason: ConditionReason,
    message: String,
}

/// The conditions of a plan. Those that report trouble appear when they are
/// true, and stay as `False` after that.
pub(super) fn conditions(view: &View<'_>, findings: &Findings, status: &Status) -> Vec<Condition> {
    let phase = status.phase.unwrap_or(Phase::Pending);
    let mut drafts = vec![ready(phase, findings, status), progressing(phase, findings, status)];
    let (degraded, paused) = (findings.degraded.as_ref(), findings.paused.as_ref());
    drafts.push(found_or_phase(ConditionType::Degraded, degraded, Phase::Degraded, status));
    drafts.push(found_or_phase(ConditionType::Paused, paused, Phase::Paused, status));
    drafts.push(target_groups_valid(view));
    let trouble = |kind, reason: Reason, found: &Option<String>| Draft {
        kind,
        status: found.is_some(),
        reason: if found.is_some() { reason.into() } else { ConditionReason::AsExpected },
        message: found.clone().unwrap_or_default(),
    };
    drafts.push(trouble(
        ConditionType::WaitingForReplicas,
        Reason::WaitingForReplicas,
        &findings.waiting_for_replicas,
    ));
    drafts.push(trouble(ConditionType::VersionBlocked, Reason::VersionBlocked, &findings.version_blocked));
    drafts.push(trouble(ConditionType::DriftDetected, Reason::Drift, &findings.drift));
    drafts.push(weight_mode(view));
    drafts.retain(|draft| {
        let always = matches!(
            draft.kind,
            ConditionType::Ready
                | ConditionType::Progressing
                | ConditionType::Degraded
                | ConditionType::Paused
                | ConditionType::TargetGroupsValid
        );
        always || draft.status || view.status.condition(draft.kind).is_some()
    });
    drafts.into_iter().map(|draft| dated(view, draft)).collect()
}

/// `Ready` ends a swap for `kubectl wait`: only at rest without degradation.
fn ready(phase: Phase, findings: &Findings, status: &Status) -> Draft {
    let ready = phase == Phase::Completed && findings.degraded.is_none();
    let degraded = findings.degraded.as_ref().filter(|_| phase == Phase::Completed);
    Draft {
        kind: ConditionType::Ready,
        status: ready,
        reason: match (degraded, status.reason) {
            (Some((reason, _)), _) => (*reason).into(),
            (None, Some(reason)) if !ready => reason.into(),
            _ => ConditionReason::Phase(phase),
        },
        message: degraded.map_or_else(|| status.message.clone(), |(_, message)| message.clone()),
    }
}

fn progressing(phase: Phase, findings: &Findings, status: &Status) -> Draft {
    let (progressing, reason, message) = match &findings.deadline_exceeded {
        Some(message) => (false, Reason::ProgressDeadlineExceeded.into(), message.clone()),
        None => {
            let reason = status.reason.filter(|_| phase == Phase::Progressing).map(ConditionReason::from);
            (
                phase == Phase::Progressing,
                reason.unwrap_or(ConditionReason::Phase(phase)),
                status.message.clone(),
            )
        }
    };
    Draft { kind: ConditionType::Progressing, status: progressing, reason, message }
}

/// A condition that a finding makes true, or else the phase of that name.
fn found_or_phase(
    kind: ConditionType,
    found: Option<&(Reason, String)>,
    named_by: Phase,
    status: &Status,
) -> Draft {
    let phase = status.phase.unwrap_or(Phase::Pending);
    let (status, reason, message) = match found {
        Some((reason, message)) => (true, (*reason).into(), message.clone()),
        None if phase == named_by => {
            let reason = status.reason.map_or(ConditionReason::Phase(phase), ConditionReason::from);
            (true, reason, status.message.clone())
        }
        None => (false, ConditionReason::AsExpected, String::new()),
    };
    Draft { kind, status, reason, message }
}

fn target_groups_valid(view: &View<'_>) -> Draft {
    let valid = view.illegal.is_empty();
    Draft {
        kind: ConditionType::TargetGroupsValid,
        status: valid,
        reason: if valid { ConditionReason::AsExpected } else { Reason::InvalidTargetGroup.into() },
        message: view.illegal.join("; "),
    }
}

fn weight_mode(view: &View<'_>) -> Draft {
    let ambiguous = view.spec.steps.is_ambiguous();
    let message = if ambiguous {
        let [absolute, incremental] = view
            .spec
            .steps
            .readings()
            .map(|reading| reading.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
        format!(
            "setWeight steps mean {absolute} as totals (Absolute) or {incremental} as increments (Incremental); set weightMode"
        )
    } else {
        String::new()
    };
    let reason = if ambiguous { ConditionReason::WeightModeAmbiguous } else { ConditionReason::AsExpected };
    Draft { kind: ConditionType::WeightModeAmbiguous, status: ambiguous, reason, message }
}

/// Keeps the time of the last transition.
fn dated(view: &View<'_>, draft: Draft) -> Condition {
    let before = view.status.condition(draft.kind).filter(|before| before.status == draft.status);
    Condition {
        kind: draft.kind,
        status: draft.status,
        reason: draft.reason,
        message: draft.message,
        last_transition_time: before.map_or(view.now, |before| before.last_transition_time),
        observed_generation: view.observed.cell.generation,
    }
}
