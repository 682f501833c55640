//! Rollouts that are judged: by a real Prometheus that scrapes the load
//! balancer, and by servers that never answer.

use std::net::TcpListener;
use std::time::Duration;

use okra_tests::load::Load;
use okra_tests::process::LocalMode;
use okra_tests::prometheus::Prometheus;
use okra_tests::world::{HOST, MemberCluster, World, cell, target_group_set};
use serde_json::{Value, json};

const BOUND: Duration = Duration::from_secs(120);
const FLAGS: [&str; 2] = ["--health-poll=100ms", "--sync-period=1s"];

fn phase(cell: &Value) -> &str {
    cell["status"]["phase"].as_str().unwrap_or("")
}

fn completed(version: &'static str) -> impl Fn(&Value) -> bool {
    move |cell| phase(cell) == "Completed" && cell["status"]["stableVersion"] == version
}

fn template(name: &str, metrics: &Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"metrics": metrics},
    })
}

/// Weight of a cluster's group in okra's rule.
fn weight(world: &World, local: &LocalMode, cluster: &MemberCluster) -> Option<i64> {
    world.rule(local)?["weights"][&cluster.target_group].as_i64()
}

/// The only AnalysisRun of this rollout.
fn run(local: &LocalMode, rollout: &Value) -> Value {
    let label = format!("okra.mumo.co/rollout-id={}", rollout.as_str().expect("a rollout id"));
    let output = local.kubectl(&["get", "analysisruns", "-l", &label, "-o", "json"]);
    let list: Value = serde_json::from_slice(&output.stdout).expect("kubectl prints JSON");
    let items = list["items"].as_array().expect("a list");
    assert_eq!(items.len(), 1, "{list}");
    items[0].clone()
}

/// Answers of one side in the window of a look: 5xx, then all. Two series of one
/// vector need a label to be told apart; the order is that of the query.
fn errors_and_all(side: &str) -> String {
    let of = |series: &str, part: &str| {
        let group = format!("target_group=\"{{{{args.okra.{side}.targetGroup}}}}\"");
        let series = series.replace("GROUP", &group);
        format!(
            "label_replace(sum(increase({series}[{{{{args.okra.window}}}}])), \"part\", \"{part}\", \"\", \"\")"
        )
    };
    let errors = of("okra_region_target_group_responses_total{GROUP,class=\"5xx\"}", "errors");
    let all = of("okra_region_target_group_requests_total{GROUP}", "all");
    format!("{errors} or {all}")
}

#[test]
fn a_real_prometheus_drives_a_rollout_forward_and_a_bad_version_back() {
    let local = LocalMode::up(&FLAGS);
    let world = World::build(&local);
    let prometheus = Prometheus::of_region(&local);
    let ask = |query: String| json!({"prometheus": {"address": prometheus.url(), "query": query}});
    let group = "target_group=\"{{args.okra.canary.targetGroup}}\"";
    let p90 = format!(
        "histogram_quantile(0.9, sum by (le) (rate(okra_region_target_group_response_seconds_bucket{{{group}}}[2s])))"
    );
    let metrics = json!([
        {
            "name": "errors", "interval": "1s", "count": 30, "consecutiveSuccessLimit": 1,
            "consecutiveErrorLimit": 20, "provider": ask(errors_and_all("canary")),
            "baseline": {
                "provider": ask(errors_and_all("stable")), "kind": "Proportion", "worse": "Higher",
                "minEffect": 0.1, "minSamples": 50,
            },
        },
        {
            "name": "p90", "interval": "1s", "count": 3, "consecutiveErrorLimit": 20, "noData": "Error",
            "successCondition": "result[0] < 2.5", "provider": ask(p90),
        },
    ]);
    let steps = json!([{"setWeight": 50}, {"analysis": {"templates": [{"templateName": "judged"}]}}]);
    local.apply(&[template("judged", &metrics), target_group_set(), cell(&world, 1, &steps)]);
    let _first = world.add_cluster(&local, "web-1-v1", "1.0.0");
    local.wait_for("cell", "web", BOUND, completed("1.0.0"));
    let load = Load::start(world.address, HOST, 8);

    let second = world.add_cluster(&local, "web-1-v2", "2.0.0");
    let rolling = local.wait_for("cell", "web", BOUND, |cell| cell["status"]["canaryWeight"] == 50);
    local.wait_for("cell", "web", BOUND, completed("2.0.0"));
    let good = run(&local, &rolling["status"]["rolloutID"]);
    assert_eq!(good["status"]["phase"], "Successful", "{}", good["status"]);
    let errors = &good["status"]["metricResults"][0]["measurements"];
    let last = errors.as_array().and_then(|all| all.last()).expect("a measurement");
    assert!(last["metadata"]["interval"].as_str().is_some_and(|text| text.starts_with('[')), "{last}");

    let third = world.add_cluster(&local, "web-1-v3", "3.0.0");
    third.backend.fail(50);
    let failed = local.wait_for("cell", "web", BOUND, |cell| phase(cell) == "Failed");
    assert_eq!(failed["status"]["stableVersion"], "2.0.0");
    assert_eq!(weight(&world, &local, &second), Some(100));
    assert_eq!(weight(&world, &local, &third), Some(0));
    let told = failed["status"].to_string();
    assert!(told.contains("stable 0: higher by"), "the interval is told: {told}");
    let list = local.object("versionblocklist", "web").expect("a blocklist");
    assert_eq!(list["spec"]["items"][0]["version"], "3.0.0");
    let seen = load.finish();
    assert_eq!(seen.failed(), 0, "{:?}", seen.failures);
}

/// A server that takes connections and never says a word.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    let address = listener.local_addr().expect("a bound listener has an address");
    (listener, format!("http://{address}"))
}

/// Nothing that judges ever answers, and nothing waits for it.
#[test]
fn abort_and_a_pin_go_back_while_every_provider_hangs() {
    let local = LocalMode::up(&FLAGS);
    let world = World::build(&local);
    let (_open, url) = silent();
    let metric = |name: &str, provider: Value| json!({"name": name, "interval": "1s", "successCondition": "result[0] < 1", "provider": provider});
    let metrics = json!([
        metric("web", json!({"web": {"url": url, "timeoutSeconds": 300}})),
        metric("prometheus", json!({"prometheus": {"address": url, "query": "up", "timeout": 300}})),
        metric("graphite", json!({"graphite": {"address": url, "query": "target=a"}})),
    ]);
    let mut judged = cell(&world, 1, &json!([{"setWeight": 40}, {"pause": {}}]));
    judged["spec"]["updateStrategy"]["canary"]["analysis"] =
        json!({"templates": [{"templateName": "hangs"}]});
    local.apply(&[template("hangs", &metrics), target_group_set(), judged]);
    let first = world.add_cluster(&local, "web-1-v1", "1.0.0");
    local.wait_for("cell", "web", BOUND, completed("1.0.0"));

    for (cluster, version, back) in [("web-1-v2", "2.0.0", "abort"), ("web-1-v3", "3.0.0", "pin")] {
        let canary = world.add_cluster(&local, cluster, version);
        let held = local.wait_for("cell", "web", BOUND, |cell| {
            phase(cell) == "Paused" && cell["status"]["desiredVersion"] == version
        });
        let rollout = held["status"]["rolloutID"].clone();
        let judging = run(&local, &rollout)["metadata"]["name"].as_str().expect("a name").to_owned();
        local.wait_for("analysisrun", &judging, BOUND, |run| run["status"]["phase"] == "Running");
        assert_eq!(weight(&world, &local, &canary), Some(40));
        if back == "abort" {
            let output = local.okra(&["abort", "web", "--reason", "nothing answers"]);
            assert!(output.status.success(), "{output:?}");
        } else {
            let pin = r#"{"spec":{"version":"1.0.0"}}"#;
            let output = local.kubectl(&["patch", "cell", "web", "--type=merge", "-p", pin]);
            assert!(output.status.success(), "{output:?}");
        }
        okra_tests::eventually("everything back", BOUND, || {
            let weights = (weight(&world, &local, &first), weight(&world, &local, &canary));
            if matches!(weights, (Some(100), Some(0) | None)) { Ok(()) } else { Err(format!("{weights:?}")) }
        });
        // No measurement has ended: what came back did not wait for one.
        if back == "abort" {
            let stopped =
                local.wait_for("analysisrun", &judging, BOUND, |run| run["status"]["phase"] == "Successful");
            assert_eq!(stopped["status"]["terminatedBy"], "Abort", "{}", stopped["status"]);
            assert!(stopped["status"].get("metricResults").is_none(), "{}", stopped["status"]);
        }
    }
}
