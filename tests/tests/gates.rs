//! Gates that look into the member clusters: workloads that must be ready
//! before traffic moves, jobs that must have ended before a cluster is let go
//! (SC-07 to SC-09 of `spec/aws.md` 8).

use std::process::Output;
use std::time::Duration;

use okra_tests::process::LocalMode;
use okra_tests::world::{World, cell, target_group_set};
use serde_json::{Value, json};

const BOUND: Duration = Duration::from_secs(90);
const FLAGS: [&str; 3] = ["--health-poll=100ms", "--sync-period=1s", "--metric-delay=0s"];

/// kubectl in a member cluster, whose kubeconfig [`World::add_cluster`] has left.
fn member(local: &LocalMode, cluster: &str, arguments: &[&str]) -> Output {
    let kubeconfig = local.home().join(format!("{cluster}.kubeconfig"));
    let mut command = local.command(okra_tests::clients::kubectl());
    let output = command.env("KUBECONFIG", kubeconfig).args(arguments).output().expect("kubectl runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn is_retired(secret: &Value) -> bool {
    secret["metadata"]["annotations"]["okra.mumo.co/retired"].is_string()
}

#[test]
fn traffic_waits_for_the_workloads_of_the_new_cluster() {
    let local = LocalMode::up(&FLAGS);
    let world = World::build(&local);
    let _first = world.add_cluster(&local, "web-1-v1", "1.0.0");
    let mut gated = cell(&world, 1, &json!([]));
    gated["spec"]["readinessGates"] =
        json!({"workloads": [{"kind": "Deployment", "namespace": "default", "name": "web"}]});
    member(&local, "web-1-v1", &["create", "deployment", "web", "--image=web:1.0.0"]);
    local.apply(&[target_group_set(), gated]);
    local.wait_for("cell", "web", BOUND, |cell| cell["status"]["phase"] == "Completed");

    let _second = world.add_cluster(&local, "web-1-v2", "2.0.0");
    let waiting = local.wait_for("cell", "web", BOUND, |cell| {
        cell["status"]["reason"] == "WaitingForWorkloads"
            && cell["status"]["message"].as_str().is_some_and(|message| message.contains("is not there"))
    });
    assert_eq!(waiting["status"]["stableVersion"], "1.0.0");
    let message = waiting["status"]["message"].as_str().expect("a message");
    assert!(message.contains("Deployment default/web in cluster web-1-v2"), "{message}");

    // The watch on the new cluster wakes the Cell: nothing else changes.
    member(&local, "web-1-v2", &["create", "deployment", "web", "--image=web:2.0.0"]);
    local.wait_for("cell", "web", BOUND, |cell| {
        cell["status"]["phase"] == "Completed" && cell["status"]["stableVersion"] == "2.0.0"
    });
}

#[test]
fn a_cluster_is_let_go_only_after_its_jobs() {
    let local = LocalMode::up(&FLAGS);
    let world = World::build(&local);
    let _first = world.add_cluster(&local, "web-1-v1", "1.0.0");
    let mut gated = cell(&world, 1, &json!([]));
    gated["spec"]["retirementGates"] = json!({
        "quietSeconds": 1,
        "jobs": [{"namespace": "default", "matchLabels": {"spark-role": "driver"}}],
    });
    local.apply(&[target_group_set(), gated]);
    local.wait_for("cell", "web", BOUND, |cell| cell["status"]["phase"] == "Completed");
    member(&local, "web-1-v1", &["run", "driver", "--image=spark:3", "--labels=spark-role=driver"]);
    member(&local, "web-1-v1", &["run", "executor", "--image=spark:3", "--labels=spark-role=executor"]);

    let _second = world.add_cluster(&local, "web-1-v2", "2.0.0");
    local.wait_for("cell", "web", BOUND, |cell| {
        cell["status"]["phase"] == "Completed" && cell["status"]["stableVersion"] == "2.0.0"
    });
    // The next swap comes and goes while the driver runs: had the first cluster
    // been let go without it, its mark would be there by then.
    let _third = world.add_cluster(&local, "web-1-v3", "3.0.0");
    local.wait_for("secret", "web-1-v2", BOUND, is_retired);
    let first = local.object("secret", "web-1-v1").expect("the secret stays");
    assert!(!is_retired(&first), "a driver still runs: {}", first["metadata"]);

    // The executor still runs, and holds nothing.
    let done = r#"{"status":{"phase":"Succeeded"}}"#;
    member(
        &local,
        "web-1-v1",
        &["patch", "pod", "driver", "--subresource=status", "--type=merge", "-p", done],
    );
    local.wait_for("secret", "web-1-v1", BOUND, is_retired);
    let newest = local.object("secret", "web-1-v3").expect("the secret stays");
    assert!(!is_retired(&newest), "what serves is not let go");
    // Only a mark: the cluster, its group and its place in the rule stay.
    assert!(local.object("awstargetgroup", "web-1-v1-default-web").is_some());
}

#[test]
fn sc_08_and_09_a_driver_that_failed_lets_its_cluster_go_and_is_named() {
    let local = LocalMode::up(&FLAGS);
    let world = World::build(&local);
    let _first = world.add_cluster(&local, "web-1-v1", "1.0.0");
    let mut gated = cell(&world, 1, &json!([]));
    gated["spec"]["retirementGates"] = json!({
        "quietSeconds": 1,
        "jobs": [{"namespace": "default", "matchLabels": {"spark-role": "driver"}}],
    });
    local.apply(&[target_group_set(), gated]);
    local.wait_for("cell", "web", BOUND, |cell| cell["status"]["phase"] == "Completed");
    let labels = "--labels=spark-role=driver,emr-containers.amazonaws.com/virtual-cluster-id=abc123";
    member(&local, "web-1-v1", &["run", "driver", "--image=spark:3", labels]);

    let _second = world.add_cluster(&local, "web-1-v2", "2.0.0");
    let says = |words: &'static [&'static str]| {
        move |cell: &Value| {
            let message = cell["status"]["message"].as_str().unwrap_or_default();
            cell["status"]["stableVersion"] == "2.0.0" && words.iter().all(|word| message.contains(word))
        }
    };
    // The gate holds, and says by whom; the warning of EMR stands beside it.
    const HELD: [&str; 3] =
        ["cluster web-1-v1: ", "Pod default/driver not finished", "EMR virtual cluster abc123"];
    local.wait_for("cell", "web", BOUND, says(&HELD));
    let first = local.object("secret", "web-1-v1").expect("the secret stays");
    assert!(!is_retired(&first), "a driver still runs: {}", first["metadata"]);

    let failed = r#"{"status":{"phase":"Failed"}}"#;
    let patch = ["patch", "pod", "driver", "--subresource=status", "--type=merge", "-p", failed];
    member(&local, "web-1-v1", &patch);
    local.wait_for("secret", "web-1-v1", BOUND, is_retired);
    local.wait_for("cell", "web", BOUND, says(&["Pod default/driver failed", "EMR virtual cluster abc123"]));
}
