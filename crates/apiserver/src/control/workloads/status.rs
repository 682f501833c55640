//! The status that each workload has once its work is done. Pure.

use serde_json::{Map, Value, json};

use crate::object::Object;

/// Counts that are left out when they are zero, as upstream does.
fn counts(entries: &[(&str, i64)]) -> Map<String, Value> {
    let counted = entries.iter().filter(|(_, count)| *count > 0);
    counted.map(|(name, count)| ((*name).to_owned(), json!(count))).collect()
}

pub(super) fn replicas(object: &Value) -> i64 {
    object["spec"]["replicas"].as_i64().unwrap_or(1)
}

/// A condition that is true; the times of an equal one stay.
fn condition(object: &Value, name: &str, reason: &str, message: &str, time: &str) -> Value {
    let conditions = object["status"]["conditions"].as_array();
    let known = conditions.into_iter().flatten().find(|condition| condition["type"] == name);
    if let Some(known) = known.filter(|condition| condition["status"] == "True") {
        return known.clone();
    }
    json!({
        "type": name,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastUpdateTime": time,
        "lastTransitionTime": time,
    })
}

pub(super) fn deployment(object: &Value, time: &str) -> Option<Value> {
    let wanted = replicas(object);
    let mut status = counts(&[
        ("observedGeneration", object["metadata"]["generation"].as_i64().unwrap_or(0)),
        ("replicas", wanted),
        ("updatedReplicas", wanted),
        ("readyReplicas", wanted),
        ("availableReplicas", wanted),
    ]);
    let available = ("Available", "MinimumReplicasAvailable", "Deployment has minimum availability.");
    let progressing = ("Progressing", "NewReplicaSetAvailable", "The deployment is complete.");
    let conditions: Vec<Value> = [available, progressing]
        .iter()
        .map(|(name, reason, message)| condition(object, name, reason, message, time))
        .collect();
    status.insert("conditions".to_owned(), json!(conditions));
    Some(Value::Object(status))
}

pub(super) fn replica_set(object: &Value, _time: &str) -> Option<Value> {
    let wanted = replicas(object);
    let mut status = counts(&[
        ("observedGeneration", object["metadata"]["generation"].as_i64().unwrap_or(0)),
        ("fullyLabeledReplicas", wanted),
        ("readyReplicas", wanted),
        ("availableReplicas", wanted),
    ]);
    status.insert("replicas".to_owned(), json!(wanted));
    Some(Value::Object(status))
}

pub(super) fn stateful_set(object: &Value, _time: &str) -> Option<Value> {
    let wanted = replicas(object);
    let mut status = counts(&[
        ("observedGeneration", object["metadata"]["generation"].as_i64().unwrap_or(0)),
        ("readyReplicas", wanted),
        ("currentReplicas", wanted),
        ("updatedReplicas", wanted),
    ]);
    status.insert("replicas".to_owned(), json!(wanted));
    status.insert("availableReplicas".to_owned(), json!(wanted));
    // One revision for each generation: what clients compare after an update.
    let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
    let revision = format!("{}-{generation}", object.name());
    status.insert("currentRevision".to_owned(), json!(revision));
    status.insert("updateRevision".to_owned(), json!(revision));
    Some(Value::Object(status))
}

/// There are no nodes, so no Pod is wanted.
pub(super) fn daemon_set(object: &Value, _time: &str) -> Option<Value> {
    let mut status =
        counts(&[("observedGeneration", object["metadata"]["generation"].as_i64().unwrap_or(0))]);
    for count in ["currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady"] {
        status.insert(count.to_owned(), json!(0));
    }
    Some(Value::Object(status))
}

pub(super) fn job(object: &Value, time: &str) -> Option<Value> {
    let conditions = object["status"]["conditions"].as_array();
    let finished = conditions.into_iter().flatten().any(|condition| {
        (condition["type"] == "Complete" || condition["type"] == "Failed") && condition["status"] == "True"
    });
    if finished || object["spec"]["suspend"] == true {
        return None;
    }
    let completions = object["spec"]["completions"].as_i64().unwrap_or(1);
    let complete = |name: &str| {
        let reason = "CompletionsReached";
        let message = "Reached expected number of succeeded pods";
        json!({
            "type": name,
            "status": "True",
            "reason": reason,
            "message": message,
            "lastProbeTime": time,
            "lastTransitionTime": time,
        })
    };
    let mut status = counts(&[("succeeded", completions)]);
    status.insert("startTime".to_owned(), json!(time));
    status.insert("completionTime".to_owned(), json!(time));
    status.insert("ready".to_owned(), json!(0));
    status.insert("terminating".to_owned(), json!(0));
    status.insert("uncountedTerminatedPods".to_owned(), json!({}));
    status.insert("conditions".to_owned(), json!([complete("SuccessCriteriaMet"), complete("Complete")]));
    Some(Value::Object(status))
}

pub(super) fn pod(object: &Value, time: &str) -> Option<Value> {
    if object["status"]["phase"].as_str().is_some_and(|phase| phase != "Pending") {
        return None;
    }
    let containers = object["spec"]["containers"].as_array().into_iter().flatten();
    let statuses: Vec<Value> = containers
        .map(|container| {
            json!({
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": true,
                "started": true,
                "restartCount": 0,
                "state": {"running": {"startedAt": time}},
            })
        })
        .collect();
    let conditions: Vec<Value> = ["PodScheduled", "Initialized", "ContainersReady", "Ready"]
        .iter()
        .map(|name| json!({"type": name, "status": "True", "lastTransitionTime": time}))
        .collect();
    Some(json!({
        "phase": "Running",
        "startTime": time,
        "conditions": conditions,
        "containerStatuses": statuses,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-01-02T03:04:05Z";

    #[test]
    fn a_deployment_becomes_what_a_rollout_waits_for_and_then_rests() {
        let mut object = json!({"metadata": {"generation": 3}, "spec": {"replicas": 2}});
        let status = deployment(&object, NOW).unwrap();
        assert_eq!((&status["observedGeneration"], &status["availableReplicas"]), (&json!(3), &json!(2)));
        object["status"] = status;
        assert_eq!(deployment(&object, "2026-01-02T04:00:00Z").unwrap(), object["status"]);
    }

    #[test]
    fn a_job_completes_once_unless_it_is_suspended() {
        let mut object = json!({"spec": {"completions": 1}});
        object["status"] = job(&object, NOW).unwrap();
        assert_eq!(object["status"]["succeeded"], 1);
        assert_eq!(job(&object, NOW), None);
        assert_eq!(job(&json!({"spec": {"suspend": true}}), NOW), None);
    }
}
