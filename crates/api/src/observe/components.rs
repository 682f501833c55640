//! Pauses, AnalysisRuns and Experiments as the planner sees them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource as _;
use okra_domain::RolloutId;
use okra_domain::cell::{CellIdentity, Component, ComponentKind, ComponentPhase};
use serde_json::Value;

use super::{CellView, labels_of, owned_by, unreadable};
use crate::analysis::AnalysisRunStatus;
use crate::lenient::Lenient;
use crate::names::{ANNOTATION_TERMINATED_BY, LABEL_ROLLOUT_ID, LABEL_STEP_INDEX};
use crate::{AnalysisRun, Experiment, Pause, analysis, pause};

/// The components that the Cell owns.
pub(super) fn observe_components(
    view: &CellView<'_>,
    cell: &CellIdentity,
    incomplete: &mut Vec<String>,
) -> Vec<Component> {
    let mut components = vec![];
    collect(&view.pauses, "Pause", cell, incomplete, &mut components, observe_pause);
    collect(&view.runs, "AnalysisRun", cell, incomplete, &mut components, observe_run);
    collect(&view.experiments, "Experiment", cell, incomplete, &mut components, observe_experiment);
    components
}

fn collect<K: kube::Resource>(
    objects: &[&Lenient<K>],
    kind: &str,
    cell: &CellIdentity,
    incomplete: &mut Vec<String>,
    components: &mut Vec<Component>,
    observe: fn(&K, &CellIdentity) -> Component,
) {
    for object in objects.iter().filter(|object| owned_by(object.meta(), cell).is_some()) {
        match object {
            Lenient::Valid(object) => components.push(observe(object, cell)),
            Lenient::Malformed(malformed) => incomplete.push(unreadable(kind, malformed)),
        }
    }
}

/// What all kinds have in common; the object is owned by the Cell.
fn component(kind: ComponentKind, object: &impl kube::Resource, cell: &CellIdentity) -> Component {
    let metadata: &ObjectMeta = object.meta();
    let labels = labels_of(object);
    Component {
        kind,
        name: metadata.name.clone().unwrap_or_default(),
        owner_uid: Some(cell.uid.clone()),
        rollout_id: labels.get(LABEL_ROLLOUT_ID).map(RolloutId::recorded),
        step: labels.get(LABEL_STEP_INDEX).and_then(|step| step.parse().ok()),
        deleting: metadata.deletion_timestamp.is_some(),
        phase: ComponentPhase::Pending,
        message: String::new(),
        value: None,
        created_at: metadata.creation_timestamp.as_ref().map(|time| time.0),
        expires_at: None,
        indefinite: false,
        endless: false,
        terminating: false,
    }
}

fn observe_pause(object: &Pause, cell: &CellIdentity) -> Component {
    let phase = object.status.as_ref().and_then(|status| status.phase.as_deref());
    Component {
        phase: match phase {
            Some(pause::PHASE_STARTED) => ComponentPhase::Running,
            Some(pause::PHASE_EXPIRED) => ComponentPhase::Expired,
            Some(pause::PHASE_CANCELLED) => ComponentPhase::Cancelled,
            _ => ComponentPhase::Pending,
        },
        expires_at: object.spec.expire_time,
        indefinite: object.spec.indefinite.unwrap_or(false),
        ..component(ComponentKind::Pause, object, cell)
    }
}

fn judged(phase: &str) -> ComponentPhase {
    match phase {
        analysis::PHASE_RUNNING => ComponentPhase::Running,
        analysis::PHASE_SUCCESSFUL => ComponentPhase::Successful,
        analysis::PHASE_FAILED => ComponentPhase::Failed,
        analysis::PHASE_ERROR => ComponentPhase::Error,
        analysis::PHASE_INCONCLUSIVE => ComponentPhase::Inconclusive,
        _ => ComponentPhase::Pending,
    }
}

/// Whether somebody has stopped a run that had found nothing bad: that is no
/// evidence of health (`spec/analysis.md` 2.8). A stop by the rollout itself
/// says so, and asks for no judgement any more.
fn is_stopped_unjudged(object: &AnalysisRun, status: &AnalysisRunStatus) -> bool {
    let by_rollout = object
        .metadata
        .annotations
        .as_ref()
        .is_some_and(|annotations| annotations.contains_key(ANNOTATION_TERMINATED_BY));
    status.phase == analysis::PHASE_SUCCESSFUL && status.terminated_by.is_some() && !by_rollout
}

fn observe_run(object: &AnalysisRun, cell: &CellIdentity) -> Component {
    let status = object.status.clone().unwrap_or_default();
    let stopped = is_stopped_unjudged(object, &status);
    Component {
        phase: if stopped { ComponentPhase::Inconclusive } else { judged(&status.phase) },
        message: if stopped { "it was stopped by a user".to_owned() } else { run_message(&status) },
        value: deciding_value(&status),
        endless: object.spec.metrics.iter().any(is_endless),
        terminating: object.spec.terminate.unwrap_or(false),
        ..component(ComponentKind::AnalysisRun, object, cell)
    }
}

fn observe_experiment(object: &Experiment, cell: &CellIdentity) -> Component {
    let status = object.status.clone().unwrap_or_default();
    Component {
        phase: judged(&status.phase),
        message: status.message,
        terminating: object.spec.terminate.unwrap_or(false),
        ..component(ComponentKind::Experiment, object, cell)
    }
}

/// Whether a metric goes on until somebody ends it (`spec/analysis.md` 1.3).
pub(crate) fn is_endless(metric: &Value) -> bool {
    let text = |name: &str| metric.get(name).and_then(Value::as_str).unwrap_or_default();
    let unset = |name: &str| match metric.get(name) {
        None | Some(Value::Null) => true,
        Some(Value::Number(number)) => number.as_i64() == Some(0),
        Some(value) => matches!(value.as_str(), Some("" | "0")),
    };
    !text("interval").is_empty() && unset("count") && unset("consecutiveSuccessLimit")
}

/// What the run says, or else what its deciding metric says.
fn run_message(status: &AnalysisRunStatus) -> String {
    if !status.message.is_empty() {
        return status.message.clone();
    }
    let deciding = status.metric_results.iter().find(|metric| metric.phase == status.phase);
    deciding
        .filter(|metric| !metric.message.is_empty() && status.phase != analysis::PHASE_SUCCESSFUL)
        .map(|metric| format!("metric {:?}: {}", metric.name, metric.message))
        .unwrap_or_default()
}

/// The newest value of the first metric with the phase of the run, or of the last metric.
fn deciding_value(status: &AnalysisRunStatus) -> Option<String> {
    let same_phase = status.metric_results.iter().find(|metric| metric.phase == status.phase);
    let metric = same_phase.or(status.metric_results.last())?;
    let value = &metric.measurements.last()?.value;
    (!value.is_empty()).then(|| value.clone())
}
