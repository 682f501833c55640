//! The decision of one Cell: 5 target groups, 20 steps, midway.
//!
//! A plain loop, printed as one line; nothing is judged.

#![allow(clippy::print_stdout, reason = "printing is what a benchmark is for")]
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::hint::black_box;
use std::time::Instant;

use okra_api::folder::Folder;
use okra_api::observe::observe;
use okra_api::offline;
use serde_json::{Value, json};

/// Decisions that are timed: about a second of them.
const DECISIONS: u32 = 20_000;
const LISTENER: &str =
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/web/0123456789abcdef/0123456789abcdef";

fn arn(name: &str) -> String {
    format!("arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/{name}/0123456789abcdef")
}

fn target_group(name: &str, version: &str) -> Value {
    json!({
        "apiVersion": "okra.mumo.co/v1alpha1", "kind": "AWSTargetGroup",
        "metadata": {"name": name, "namespace": "default", "labels": {"okra.mumo.co/version": version}},
        "spec": {"arn": arn(name)}, "status": {"registeredTargets": 2, "healthyTargets": 2},
    })
}

fn cell(steps: &[Value]) -> Value {
    json!({
        "apiVersion": "okra.mumo.co/v1alpha1", "kind": "Cell",
        "metadata": {"name": "web", "namespace": "default", "uid": "u1", "generation": 1},
        "spec": {
            "replicas": 2,
            "ingress": {"awsApplicationLoadBalancer": {
                "listenerARN": LISTENER, "listener": {"rule": {"priority": 10, "hosts": ["a.example.com"]}},
                "targetGroupSelector": {},
            }},
            "updateStrategy": {"settleSeconds": 0, "canary": {"weightMode": "Absolute", "steps": steps}},
        },
        "status": {
            "phase": "Progressing", "stableVersion": "1.0.0", "desiredVersion": "2.0.0", "rolloutID": "r1",
            "currentStepIndex": 9,
        },
    })
}

fn config(weights: &[(&str, u32)]) -> Value {
    let groups: Vec<Value> = weights
        .iter()
        .map(|(name, weight)| json!({"name": name, "arn": arn(name), "weight": weight}))
        .collect();
    let reported: Vec<Value> = weights
        .iter()
        .map(|(name, weight)| json!({"name": name, "arn": arn(name), "weight": weight, "healthyTargets": 2}))
        .collect();
    json!({
        "apiVersion": "okra.mumo.co/v1alpha1", "kind": "AWSApplicationLoadBalancerConfig",
        "metadata": {
            "name": "web", "namespace": "default", "generation": 4,
            "ownerReferences": [{
                "apiVersion": "okra.mumo.co/v1alpha1", "kind": "Cell", "name": "web", "uid": "u1", "controller": true,
            }],
        },
        "spec": {"listenerARN": LISTENER, "listener": {"rule": {
            "priority": 10, "hosts": ["a.example.com"], "forward": {"targetGroups": groups},
        }}},
        "status": {"phase": "Updated", "observedGeneration": 4, "targetGroups": reported},
    })
}

fn main() {
    let steps: Vec<Value> = (1..=20).map(|step| json!({"setWeight": step * 5})).collect();
    let mut objects = vec![cell(&steps)];
    objects.push(config(&[("a1", 27), ("a2", 28), ("b1", 15), ("b2", 15), ("b3", 15)]));
    let groups = [("a1", "1.0.0"), ("a2", "1.0.0"), ("b1", "2.0.0"), ("b2", "2.0.0"), ("b3", "2.0.0")];
    objects.extend(groups.map(|(name, version)| target_group(name, version)));
    let folder = Folder::from_objects(objects);
    let observed = observe(&offline::view(&folder, &folder.cells[0]));
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let first = okra_domain::cell::plan(&observed, now);
    assert!(
        first.config.is_some(),
        "the benchmark's Cell must have something to decide: {:?}",
        first.reasons
    );
    let begin = Instant::now();
    for _ in 0..DECISIONS {
        black_box(okra_domain::cell::plan(black_box(&observed), now));
    }
    let each = begin.elapsed() / DECISIONS;
    println!("plan: {:.1} us a decision (5 target groups, 20 steps)", each.as_secs_f64() * 1e6);
}
