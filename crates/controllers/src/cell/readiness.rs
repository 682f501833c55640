//! What an object of a member cluster says about itself: whether a workload
//! is ready, whether a job is finished. Pure.

use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use okra_domain::cell::WorkloadReference;
use serde_json::Value;

/// Whether a workload is ready, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Whether it is.
    pub ready: bool,
    /// Why not.
    pub message: String,
}

impl Readiness {
    /// Not ready.
    pub fn missing(message: impl Into<String>) -> Self {
        Self { ready: false, message: message.into() }
    }
}

/// Kinds whose readiness okra can tell, with their API group and plural.
const KINDS: [(&str, &str, &str, &str); 7] = [
    ("Deployment", "apps", "v1", "deployments"),
    ("StatefulSet", "apps", "v1", "statefulsets"),
    ("DaemonSet", "apps", "v1", "daemonsets"),
    ("ReplicaSet", "apps", "v1", "replicasets"),
    ("Rollout", "argoproj.io", "v1alpha1", "rollouts"),
    ("Job", "batch", "v1", "jobs"),
    ("Pod", "", "v1", "pods"),
];

/// Where a workload is found.
///
/// # Errors
/// A message that names the kinds that can be judged.
pub fn resource_of(workload: &WorkloadReference) -> Result<ApiResource, String> {
    let found = KINDS.iter().find(|(kind, ..)| *kind == workload.kind);
    let (kind, group, version, plural) = found.ok_or_else(|| {
        let known: Vec<&str> = KINDS.iter().map(|(kind, ..)| *kind).collect();
        format!("okra cannot judge the kind {:?}, only {}", workload.kind, known.join(", "))
    })?;
    Ok(ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural))
}

/// Whether a workload is ready, by the fields its own controller reports
/// (`spec/okra.md` 2.6.1, `readinessGates.workloads`).
pub fn readiness(kind: &str, object: &DynamicObject) -> Readiness {
    if object.metadata.deletion_timestamp.is_some() {
        return Readiness::missing("it is being deleted");
    }
    let (spec, status) = (&object.data["spec"], &object.data["status"]);
    match kind {
        "Pod" => condition(status, "Ready"),
        "Job" => condition(status, "Complete"),
        "Rollout" => rollout(object, status),
        _ if observed(status) < object.metadata.generation => {
            Readiness::missing("its controller has not seen the newest spec")
        }
        "DaemonSet" => {
            let wanted = count(status, "desiredNumberScheduled");
            all_of(wanted, &[("updatedNumberScheduled", status), ("numberAvailable", status)])
        }
        "StatefulSet" => all_of(replicas(spec), &[("updatedReplicas", status), ("readyReplicas", status)]),
        "ReplicaSet" => all_of(replicas(spec), &[("readyReplicas", status)]),
        _ => all_of(replicas(spec), &[("updatedReplicas", status), ("availableReplicas", status)]),
    }
}

/// Whether a Job or Pod has ended, well or badly (`retirementGates.jobs`).
pub fn is_finished(kind: &str, object: &DynamicObject) -> bool {
    let status = &object.data["status"];
    match kind {
        "Job" => ["Complete", "Failed"].iter().any(|word| condition(status, word).ready),
        _ => matches!(status["phase"].as_str(), Some("Succeeded" | "Failed")),
    }
}

/// Whether a Job or Pod has ended badly.
pub fn is_failed(kind: &str, object: &DynamicObject) -> bool {
    let status = &object.data["status"];
    match kind {
        "Job" => condition(status, "Failed").ready,
        _ => status["phase"] == "Failed",
    }
}

/// Argo Rollouts writes the generation as text.
fn rollout(object: &DynamicObject, status: &Value) -> Readiness {
    let seen = status["observedGeneration"].as_str().and_then(|text| text.parse().ok());
    if seen < object.metadata.generation {
        return Readiness::missing("its controller has not seen the newest spec");
    }
    match status["phase"].as_str() {
        Some("Healthy") => Readiness { ready: true, message: String::new() },
        phase => Readiness::missing(format!("its phase is {}", phase.unwrap_or("unknown"))),
    }
}

fn condition(status: &Value, kind: &str) -> Readiness {
    let conditions = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    match conditions.iter().find(|one| one["type"] == kind) {
        Some(found) if found["status"] == "True" => Readiness { ready: true, message: String::new() },
        Some(found) => Readiness::missing(
            found["message"].as_str().filter(|text| !text.is_empty()).unwrap_or("it says so itself"),
        ),
        None => Readiness::missing(format!("it has no condition {kind}")),
    }
}

/// Every count must reach what is wanted.
fn all_of(wanted: i64, counts: &[(&str, &Value)]) -> Readiness {
    let short = counts.iter().find(|(field, status)| count(status, field) < wanted);
    match short {
        Some((field, status)) => {
            Readiness::missing(format!("{field} is {} of {wanted}", count(status, field)))
        }
        None => Readiness { ready: true, message: String::new() },
    }
}

/// `spec.replicas`, which Kubernetes defaults to 1.
fn replicas(spec: &Value) -> i64 {
    spec["replicas"].as_i64().unwrap_or(1)
}

fn count(status: &Value, field: &str) -> i64 {
    status[field].as_i64().unwrap_or(0)
}

fn observed(status: &Value) -> Option<i64> {
    status["observedGeneration"].as_i64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(spec: Value, status: Value) -> DynamicObject {
        let metadata = json!({"name": "web", "namespace": "web", "generation": 2});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec, "status": status})).unwrap()
    }

    #[test]
    fn a_deployment_is_ready_when_the_newest_spec_is_everywhere() {
        let judged = |status| readiness("Deployment", &object(json!({"replicas": 3}), status));
        let full = json!({"observedGeneration": 2, "updatedReplicas": 3, "availableReplicas": 3});
        assert!(judged(full).ready);
        let old = json!({"observedGeneration": 1, "updatedReplicas": 3, "availableReplicas": 3});
        assert!(!judged(old).ready);
        let half = json!({"observedGeneration": 2, "updatedReplicas": 3, "availableReplicas": 1});
        assert_eq!(judged(half), Readiness::missing("availableReplicas is 1 of 3"));
        assert!(!judged(Value::Null).ready);
    }

    #[test]
    fn every_kind_is_judged_by_its_own_fields() {
        let ready = |kind, status| readiness(kind, &object(json!({"replicas": 1}), status)).ready;
        assert!(ready(
            "StatefulSet",
            json!({"observedGeneration": 2, "updatedReplicas": 1, "readyReplicas": 1})
        ));
        assert!(!ready("StatefulSet", json!({"observedGeneration": 2, "readyReplicas": 1})));
        let daemons = json!({
            "observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 1,
        });
        assert!(!ready("DaemonSet", daemons));
        assert!(ready("ReplicaSet", json!({"observedGeneration": 2, "readyReplicas": 1})));
        assert!(ready("Rollout", json!({"observedGeneration": "2", "phase": "Healthy"})));
        assert!(!ready("Rollout", json!({"observedGeneration": "2", "phase": "Progressing"})));
        assert!(ready("Pod", json!({"conditions": [{"type": "Ready", "status": "True"}]})));
        assert!(!ready("Job", json!({"conditions": [{"type": "Failed", "status": "True"}]})));
    }

    #[test]
    fn what_has_failed_is_finished_too() {
        let finished = |kind, status| is_finished(kind, &object(Value::Null, status));
        assert!(finished("Job", json!({"conditions": [{"type": "Failed", "status": "True"}]})));
        assert!(!finished("Job", json!({"active": 1})));
        assert!(finished("Pod", json!({"phase": "Succeeded"})));
        assert!(!finished("Pod", json!({"phase": "Running"})));
    }

    #[test]
    fn an_unknown_kind_is_named_with_those_that_can_be_judged() {
        let reference =
            WorkloadReference { kind: "Gadget".into(), namespace: "web".into(), name: "web".into() };
        let message = resource_of(&reference).unwrap_err();
        assert!(message.contains("Gadget") && message.contains("StatefulSet"), "{message}");
    }
}
