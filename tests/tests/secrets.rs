//! No secret leaves its place: not in the most talkative log, not in an event,
//! not in an object that okra writes.

use std::fs;
use std::process::Command;
use std::time::Duration;

use okra_tests::process::{LocalMode, Running, okra_binary};
use okra_tests::world::{World, cell, target_group_set};
use serde_json::{Value, json};

const BOUND: Duration = Duration::from_secs(90);

/// What a metric logs in with.
const METRIC_TOKEN: &str = "correct-horse-battery";

/// A metric with a secret in header and address, and an answer that is an error.
fn template(local: &LocalMode) -> [Value; 2] {
    let endpoint = &local.environment()["AWS_ENDPOINT_URL"];
    let url = format!("{endpoint}/_okra/nothing?token={{{{args.token}}}}");
    let web = json!({"url": url, "headers": [{"key": "x-token", "value": "{{args.token}}"}]});
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "metrics", "namespace": "default"},
        "stringData": {"token": METRIC_TOKEN},
    });
    let template = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": "secretive", "namespace": "default"},
        "spec": {
            "args": [{"name": "token", "valueFrom": {"secretKeyRef": {"name": "metrics", "key": "token"}}}],
            "metrics": [{
                "name": "m", "consecutiveErrorLimit": 0, "onError": "continue", "provider": {"web": web},
            }],
        },
    });
    [secret, template]
}

/// What must be nowhere: keys, tokens, signatures.
fn secrets(local: &LocalMode) -> Vec<String> {
    let kubeconfig = fs::read_to_string(local.kubeconfig()).expect("the kubeconfig is there");
    let of_kubeconfig = kubeconfig
        .lines()
        .filter_map(|line| line.trim().split_once(": "))
        .filter(|(key, _)| ["token", "client-key-data", "password"].contains(&key.trim_start_matches("- ")));
    let mut secrets: Vec<String> =
        of_kubeconfig.map(|(_, value)| value.trim_matches('"').to_owned()).collect();
    assert!(!secrets.is_empty(), "the administrator logs in with something: {kubeconfig}");
    secrets.push(local.environment()["AWS_SECRET_ACCESS_KEY"].clone());
    // Begin of an EKS token, and of the signature in it and in a signed URL.
    secrets.extend(["k8s-aws-v1.", "X-Amz-Signature", "Signature="].map(str::to_owned));
    secrets.push(METRIC_TOKEN.to_owned());
    secrets
}

#[test]
fn a_swap_tells_no_secret() {
    let local = LocalMode::up(&["--no-controllers", "--log-level=debug"]);
    let world = World::build(&local);
    let mut command: Command = local.command(okra_binary());
    command.args(["controller-manager", "--health-poll=100ms", "--sync-period=1s", "--log-level=debug"]);
    let manager = Running::start(&mut command, &local.home().join("controller-manager.log"));
    let _first = world.add_cluster(&local, "web-1-v1", "1.0.0");
    let steps = json!([{"setWeight": 50}, {"analysis": {"templates": [{"templateName": "secretive"}]}}]);
    local.apply(&template(&local));
    local.apply(&[target_group_set(), cell(&world, 1, &steps)]);
    local.wait_for("cell", "web", BOUND, |cell| cell["status"]["phase"] == "Completed");
    let _second = world.add_cluster(&local, "web-1-v2", "2.0.0");
    local.wait_for("cell", "web", BOUND, |cell| {
        cell["status"]["phase"] == "Completed" && cell["status"]["stableVersion"] == "2.0.0"
    });

    let objects = "cells,analysisruns,analysistemplates,awstargetgroupsets,awstargetgroups,awsapplicationloadbalancerconfigs,events,leases";
    let listed = local.kubectl(&["get", objects, "-A", "-o", "json"]);
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let told = String::from_utf8_lossy(&listed.stdout);
    assert!(told.contains("token=*****"), "the metric has failed with its address: {told}");
    let shown: String = [["get", "web"], ["describe", "web"], ["why", "web"]]
        .iter()
        .map(|words| {
            let output = local.okra(words);
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
        })
        .collect();
    let local_log = fs::read_to_string(local.home().join("local.log")).expect("a log");
    let places = [
        ("the objects", String::from_utf8_lossy(&listed.stdout).into_owned()),
        ("the log of the controllers", manager.log()),
        ("what okra prints", shown),
        ("the log of local mode", local_log),
    ];
    for (place, text) in &places {
        assert!(text.len() > 100, "{place} say something");
        for secret in secrets(&local) {
            let found = text.lines().find(|line| line.contains(&secret));
            assert!(found.is_none(), "{place} tell a secret: {}", found.unwrap_or_default());
        }
    }
}
