//! The tree and the table, on objects as the controllers write them.

use jiff::Timestamp;
use okra_api::cell::Cell;
use okra_api::{AWSApplicationLoadBalancerConfig, AWSTargetGroup, AnalysisRun, AnalysisTemplate};
use serde_json::{Value, json};

use super::picture::Picture;
use super::{list_table, steps, tree};
use crate::look::{Look, WIDTH};

const NOW: &str = "2026-11-21T15:10:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn read<K: serde::de::DeserializeOwned>(object: Value) -> K {
    serde_json::from_value(object).unwrap()
}

fn arn(name: &str) -> String {
    format!("arn:aws:elasticloadbalancing:us-east-2:111122223333:targetgroup/{name}/0123456789abcdef")
}

/// A rollout from 1.0.0 to 2.0.0 that is measured at its fourth step.
fn cell() -> Cell {
    let weight = |name: &str, version: &str, role: &str, weight: i64| json!({"name": name, "arn": arn(name), "version": version, "role": role, "weight": weight});
    read(json!({
        "apiVersion": "okra.mumo.co/v1alpha1", "kind": "Cell", "metadata": {"name": "web", "namespace": "prod"},
        "spec": {
            "replicas": 2,
            "ingress": {"awsApplicationLoadBalancer": {"listenerARN": "l"}},
            "updateStrategy": {"settleSeconds": 20, "canary": {"weightMode": "Absolute", "steps": [
                {"setWeight": 10}, {"pause": {"duration": "4m"}}, {"setWeight": 50},
                {"analysis": {"templates": [{"templateName": "error-share"}]}}, {"pause": {}},
            ]}},
        },
        "status": {
            "phase": "Progressing", "reason": "AnalysisRunning", "rolloutID": "c0ffee",
            "message": "step 3: AnalysisRun web-c0ffee-3 is Running; it ends after five measurements, one a second, or with the second failure",
            "stableVersion": "1.0.0", "desiredVersion": "2.0.0", "currentStepIndex": 3, "canaryWeight": 50,
            "rollout": {"version": "2.0.0", "from": "1.0.0", "startedAt": "2026-11-21T15:00:00Z"},
            "weights": [
                weight("web-1-v1", "1.0.0", "stable", 25), weight("web-2-v1", "1.0.0", "stable", 25),
                weight("web-1-v2", "2.0.0", "canary", 25), weight("web-2-v2", "2.0.0", "canary", 25),
                weight("web-1-v10", "0.10.0", "draining", 0), weight("legacy", "unknown", "draining", 0),
            ],
        },
    }))
}

fn picture() -> Picture {
    let group = |name: &str, cluster: &str, healthy: i64| -> AWSTargetGroup {
        read(json!({
            "apiVersion": "okra.mumo.co/v1alpha1", "kind": "AWSTargetGroup",
            "metadata": {"name": name, "labels": {"okra.mumo.co/target-group-binding-cluster": cluster}},
            "spec": {"arn": arn(name)}, "status": {"registeredTargets": 2, "healthyTargets": healthy},
        }))
    };
    let reported = |name: &str, weight: i64, healthy: i64| json!({"name": name, "arn": arn(name), "weight": weight, "healthyTargets": healthy});
    let config: AWSApplicationLoadBalancerConfig = read(json!({
        "apiVersion": "okra.mumo.co/v1alpha1", "kind": "AWSApplicationLoadBalancerConfig",
        "metadata": {"name": "web"}, "spec": {},
        "status": {"targetGroups": [
            reported("web-1-v1", 25, 2), reported("web-2-v1", 25, 1), reported("web-1-v2", 25, 2),
            reported("web-2-v2", 20, 0),
        ]},
    }));
    let measured = |value: &str, at: &str| json!({"phase": "Successful", "value": value, "finishedAt": at});
    let run: AnalysisRun = read(json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
        "metadata": {"name": "web-c0ffee-3", "labels": {"okra.mumo.co/rollout-id": "c0ffee"}},
        "spec": {"metrics": [
            {"name": "error-share", "interval": "20s", "count": 5, "successCondition": "result < 0.05",
                "provider": {"web": {"url": "http://h/"}}},
            {"name": "latency", "failureCondition": "result.p99 > 0.5 && result.p50 > 0.1 || isNaN(result.p99)",
                "initialDelay": "11m", "provider": {"web": {"url": "http://h/"}}},
        ]},
        "status": {"phase": "Running", "metricResults": [{
            "name": "error-share", "phase": "Running", "count": 3,
            "measurements": [
                measured("0.01", "2026-11-21T15:09:10Z"), measured("0.04", "2026-11-21T15:09:30Z"),
                measured("[0.02]", "2026-11-21T15:09:50Z"),
            ],
        }]},
    }));
    let other: AnalysisRun = read(json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
        "metadata": {"name": "web-beef-3", "labels": {"okra.mumo.co/rollout-id": "beef"}}, "spec": {},
    }));
    let template: AnalysisTemplate = read(json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate", "metadata": {"name": "error-share"},
        "spec": {"metrics": [{"name": "error-share", "interval": "20s", "count": 5}]},
    }));
    Picture {
        config: Some(config),
        groups: vec![
            group("web-1-v1", "web-1-v1", 2),
            group("web-2-v1", "web-2-v1", 1),
            group("web-1-v2", "web-1-v2", 2),
            group("web-2-v2", "web-2-v2", 0),
            group("web-1-v10", "web-1-v10", 2),
        ],
        runs: vec![run, other],
        templates: vec![template],
        blocklist: Some(read(json!({
            "apiVersion": "okra.mumo.co/v1alpha1", "kind": "VersionBlocklist", "metadata": {"name": "web"},
            "spec": {"items": [{"version": "v0.10", "cause": "AnalysisFailed"}]},
        }))),
        ..Picture::default()
    }
}

#[test]
fn the_tree_of_a_rollout() {
    insta::assert_snapshot!(tree::tree(&cell(), &picture(), now(), Look::default()));
}

#[test]
fn the_tree_in_ascii() {
    let drawn = tree::tree(&cell(), &picture(), now(), Look { ascii: true, colour: false });
    assert!(drawn.is_ascii(), "{drawn}");
    insta::assert_snapshot!(drawn);
}

#[test]
fn the_tree_keeps_within_eighty_columns() {
    for line in tree::tree(&cell(), &picture(), now(), Look::default()).lines() {
        assert!(line.chars().count() <= WIDTH + 30, "{line}");
    }
}

#[test]
fn a_cell_that_nobody_has_seen() {
    let mut cell = cell();
    cell.status = None;
    insta::assert_snapshot!(tree::tree(&cell, &Picture::default(), now(), Look::default()));
}

#[test]
fn what_is_left_is_told_with_its_open_ends() {
    let steps = steps::steps(&cell(), &picture(), now());
    let states: Vec<&str> = steps.iter().map(|step| step.state).collect();
    assert_eq!(states, ["done", "done", "done", "now", "next"]);
    // Four intervals of 20 s are left of an analysis that begins now; the pause ends by a human.
    assert_eq!(steps[3].seconds, Some(80));
    assert_eq!(steps[4].seconds, None);
}

#[test]
fn the_table_of_cells() {
    let mut idle = cell();
    idle.metadata.name = Some("api".into());
    idle.status = None;
    insta::assert_snapshot!(list_table(&[idle.clone(), cell()], false, false));
    insta::assert_snapshot!(list_table(&[idle, cell()], true, true));
}
