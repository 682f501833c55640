//! A whole swap on `okra local`, built with boto3, the aws command and
//! kubectl, and carried out by a separate `okra controller-manager`.

use std::process::Command;
use std::time::Duration;

use okra_tests::eventually;
use okra_tests::load::Load;
use okra_tests::process::{LocalMode, Running, okra_binary};
use okra_tests::world::{HOST, MemberCluster, World, boto, cell, target_group_set};
use serde_json::{Value, json};

/// Longest wait for a rollout of a few seconds on a loaded machine.
const ROLLOUT_BOUND: Duration = Duration::from_secs(90);

fn phase(cell: &Value) -> &str {
    cell["status"]["phase"].as_str().unwrap_or("")
}

fn stable(cell: &Value) -> &str {
    cell["status"]["stableVersion"].as_str().unwrap_or("")
}

fn completed(version: &'static str) -> impl Fn(&Value) -> bool {
    move |cell| phase(cell) == "Completed" && stable(cell) == version
}

/// A controller-manager with a short lease, so that the next one leads soon
/// after this one was killed.
fn controller_manager(local: &LocalMode) -> Running {
    let mut command: Command = local.command(okra_binary());
    command.args(["controller-manager", "--health-poll=100ms", "--sync-period=1s"]);
    command.args(["--leader-elect-lease-duration=1200ms", "--leader-elect-renew-deadline=900ms"]);
    command.args(["--leader-elect-retry-period=200ms", "--log-level=info"]);
    Running::start(&mut command, &local.home().join("controller-manager.log"))
}

struct Rig {
    local: LocalMode,
    world: World,
    clusters: Vec<MemberCluster>,
}

impl Rig {
    /// Local mode with version 1.0.0 serving from one cluster.
    fn serving(flags: &[&str], steps: &Value) -> Self {
        let local = LocalMode::up(flags);
        let world = World::build(&local);
        let first = world.add_cluster(&local, "web-1-v1", "1.0.0");
        local.apply(&[target_group_set(), cell(&world, 1, steps)]);
        Self { local, world, clusters: vec![first] }
    }

    fn add(&mut self, name: &str, version: &str) {
        let cluster = self.world.add_cluster(&self.local, name, version);
        self.clusters.push(cluster);
    }

    fn wait(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        self.local.wait_for("cell", "web", ROLLOUT_BOUND, wanted)
    }

    fn weights(&self) -> Vec<(String, i64)> {
        let Some(rule) = self.world.rule(&self.local) else { return Vec::new() };
        let weight = |cluster: &MemberCluster| rule["weights"][&cluster.target_group].as_i64().unwrap_or(0);
        self.clusters.iter().map(|cluster| (cluster.name.clone(), weight(cluster))).collect()
    }

    fn load(&self) -> Load {
        Load::start(self.world.address, HOST, 8)
    }
}

fn named(weights: &[(&str, i64)]) -> Vec<(String, i64)> {
    weights.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect()
}

const LOCAL_FLAGS: [&str; 2] = ["--health-poll=100ms", "--sync-period=1s"];

#[test]
fn a_rollout_survives_ten_kills_of_its_controller() {
    let steps = json!([
        {"setWeight": 10}, {"pause": {"duration": "2s"}}, {"setWeight": 30}, {"pause": {"duration": "2s"}},
        {"setWeight": 60}, {"pause": {"duration": "2s"}}, {"setWeight": 80},
    ]);
    let mut rig = Rig::serving(&["--no-controllers"], &steps);
    let mut manager = controller_manager(&rig.local);
    rig.wait(completed("1.0.0"));
    let load = rig.load();
    rig.add("web-1-v2", "2.0.0");
    // Ten moments that follow no plan of ours: a step of a generator decides
    // how far the rollout may go before the next kill.
    let mut state = 0x9e37_79b9_u32;
    let mut highest = 0;
    for _ in 0..10 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let looks = 5 + state % 30;
        for _ in 0..looks {
            let cell = rig.local.object("cell", "web").expect("the Cell stays");
            let weight = cell["status"]["canaryWeight"].as_i64().unwrap_or(0);
            assert!(
                weight >= highest || phase(&cell) == "Completed",
                "weight fell from {highest}: {}",
                cell["status"]
            );
            highest = highest.max(weight);
        }
        manager.kill();
        manager = controller_manager(&rig.local);
    }
    let ended = rig.wait(completed("2.0.0"));
    assert_eq!(rig.weights(), named(&[("web-1-v1", 0), ("web-1-v2", 100)]));
    // No step is done twice: each pause step has made exactly one Pause, and
    // the rollout has kept its id, so the history tells of one rollout.
    let history = ended["status"]["history"].as_array().expect("a history");
    let rollouts = history.iter().filter(|entry| entry["to"] == "2.0.0").count();
    assert_eq!(rollouts, 1, "{}", ended["status"]["history"]);
    let seen = load.finish();
    assert_eq!(seen.failed(), 0, "{:?}", seen.failures);
    assert!(
        seen.by_version.contains_key("1.0.0") && seen.by_version.contains_key("2.0.0"),
        "{:?}",
        seen.by_version
    );
}

#[test]
fn a_failed_version_is_left_behind_a_pin_goes_back_and_a_lost_cluster_loses_its_weight() {
    let steps = json!([{"setWeight": 50}, {"pause": {"duration": "1s"}}, {"analysis": {"templates": [
        {"templateName": "error-share"}]}}]);
    let mut rig = Rig::serving(&LOCAL_FLAGS, &steps);
    let endpoint = rig.local.environment()["AWS_ENDPOINT_URL"].clone();
    let url =
        format!("{endpoint}/_okra/statistics/targetgroups/{{{{args.okra.canary.targetGroups}}}}?seconds=2");
    rig.local.apply(&[json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": "error-share", "namespace": "default"},
        "spec": {"metrics": [{
            "name": "error-share", "interval": "500ms", "count": 3, "failureLimit": 0,
            "successCondition": "result < 0.05",
            "provider": {"web": {"url": url, "jsonPath": "{$.error_share}"}},
        }]},
    })]);
    rig.wait(completed("1.0.0"));
    let load = rig.load();

    // 2.0.0 fails: everything back, and it is blocked with the reason.
    rig.add("web-1-v2", "2.0.0");
    rig.clusters[1].backend.fail(50);
    let failed = rig.wait(|cell| phase(cell) == "Failed");
    assert_eq!(stable(&failed), "1.0.0");
    assert_eq!(rig.weights(), named(&[("web-1-v1", 100), ("web-1-v2", 0)]));
    let list = rig.local.object("versionblocklist", "web").expect("a blocklist");
    assert_eq!(list["spec"]["items"][0]["version"], "2.0.0");
    assert!(list["spec"]["items"][0]["cause"].as_str().is_some_and(|cause| !cause.is_empty()), "{list}");
    let status = rig.local.okra(&["status", "web"]);
    assert_eq!(status.status.code(), Some(2), "{status:?}");

    // 3.0.0 takes from 1.0.0, never from 2.0.0.
    rig.add("web-1-v3", "3.0.0");
    rig.wait(|cell| cell["status"]["desiredVersion"] == "3.0.0" && cell["status"]["canaryWeight"] == 50);
    eventually("50 / 0 / 50 on AWS", ROLLOUT_BOUND, || {
        let weights = rig.weights();
        let wanted = named(&[("web-1-v1", 50), ("web-1-v2", 0), ("web-1-v3", 50)]);
        if weights == wanted { Ok(()) } else { Err(format!("{weights:?}")) }
    });
    rig.wait(completed("3.0.0"));
    let status = rig.local.okra(&["status", "web", "-w", "-t", "30s"]);
    assert_eq!(status.status.code(), Some(0), "{status:?}");

    // A pin to an older version swaps back at once, without steps.
    let pin =
        rig.local.kubectl(&["patch", "cell", "web", "--type=merge", "-p", r#"{"spec":{"version":"1.0.0"}}"#]);
    assert!(pin.status.success(), "{pin:?}");
    rig.wait(completed("1.0.0"));
    assert_eq!(
        rig.weights().iter().find(|(name, _)| name == "web-1-v1").map(|(_, weight)| *weight),
        Some(100)
    );

    // A second cluster of 1.0.0 joins and shares; when it is deleted its weight goes at once.
    rig.add("web-2-v1", "1.0.0");
    let share = |rig: &Rig, name: &str| {
        rig.weights().into_iter().find(|(own, _)| own == name).map(|(_, weight)| weight)
    };
    eventually("the new cluster has its share", ROLLOUT_BOUND, || match share(&rig, "web-2-v1") {
        Some(50) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let gone = rig.local.kubectl(&["delete", "secret", "web-2-v1"]);
    assert!(gone.status.success(), "{gone:?}");
    eventually("the lost cluster has no weight", ROLLOUT_BOUND, || match share(&rig, "web-2-v1") {
        Some(0) | None => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let seen = load.finish();
    assert_eq!(seen.failed(), 0, "{:?}", seen.failures);
}

#[test]
fn drift_is_found_the_rollout_holds_and_resume_goes_on() {
    let steps = json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}]);
    let mut rig = Rig::serving(&LOCAL_FLAGS, &steps);
    rig.wait(completed("1.0.0"));
    rig.add("web-1-v2", "2.0.0");
    rig.wait(|cell| phase(cell) == "Paused" && cell["status"]["canaryWeight"] == 20);

    // Somebody else, with another client, sets 50/50.
    let rule = rig.world.rule(&rig.local).expect("okra's rule");
    let weights =
        json!({(rig.clusters[0].target_group.as_str()): 50, (rig.clusters[1].target_group.as_str()): 50});
    boto(&rig.local, &json!({"do": "set_weights", "rule": rule["arn"], "weights": weights}));
    let drifted = |cell: &Value| {
        let conditions = cell["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|one| one["type"] == "DriftDetected" && one["status"] == "True")
    };
    let held = rig.wait(drifted);
    assert_eq!(phase(&held), "Paused", "{}", held["status"]);
    assert_eq!(rig.weights(), named(&[("web-1-v1", 50), ("web-1-v2", 50)]), "nothing is overwritten unasked");

    let resumed = rig.local.okra(&["resume", "web", "--reason", "the change was a mistake"]);
    assert!(resumed.status.success(), "{resumed:?}");
    eventually("okra's own weights", ROLLOUT_BOUND, || {
        let weights = rig.weights();
        if weights == named(&[("web-1-v1", 80), ("web-1-v2", 20)]) {
            Ok(())
        } else {
            Err(format!("{weights:?}"))
        }
    });
    rig.wait(|cell| !drifted(cell) && phase(cell) == "Paused");
    let promoted = rig.local.okra(&["promote", "web"]);
    assert!(promoted.status.success(), "{promoted:?}");
    rig.wait(completed("2.0.0"));
}
