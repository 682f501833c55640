//! Passes asked for by hand (`okra sync`), and dry runs: what was written is
//! told, and a dry run writes nothing anywhere.

use std::process::Output;
use std::time::Duration;

use okra_tests::eventually;
use okra_tests::process::{LocalMode, Running, okra_binary};
use okra_tests::world::{HOST, NAMESPACE, World, boto, cell, target_group_set};
use serde_json::{Value, json};

const BOUND: Duration = Duration::from_secs(90);

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs okra, wants success, and gives what it printed.
fn okra(local: &LocalMode, words: &[&str]) -> String {
    let output = local.okra(words);
    assert!(output.status.success(), "okra {}: {output:?}", words.join(" "));
    stdout(&output)
}

/// Names of all objects of these kinds.
fn there(local: &LocalMode, kinds: &str) -> String {
    stdout(&local.kubectl(&["get", kinds, "-A", "-o", "name"]))
}

#[test]
fn a_cluster_set_is_synced_by_hand_and_told() {
    let local = LocalMode::up(&["--no-controllers"]);
    boto(&local, &json!({"do": "cluster", "name": "web-1", "tags": {"service": "web"}}));
    local.apply(&[json!({
        "apiVersion": "okra.mumo.co/v1alpha1", "kind": "ClusterSet",
        "metadata": {"name": "web", "namespace": NAMESPACE},
        "spec": {
            "generators": [{"awseks": {"clusterSelector": {"matchTags": {"service": "web"}}}}],
            "template": {"metadata": {"labels": {"service": "web"}}},
        },
    })]);
    let tried = okra(&local, &["sync", "clusterset", "--name", "web", "--dry-run"]);
    assert!(tried.contains("secrets/web-1 would be created"), "{tried}");
    assert!(tried.ends_with("clusterset/web dry run: nothing was written\n"), "{tried}");
    assert!(local.object("secret", "web-1").is_none(), "a dry run makes nothing");
    let done = okra(&local, &["sync", "clusterset", "web"]);
    assert!(
        done.contains("secrets/web-1 created") && done.contains("clusterset/web synced: Synced"),
        "{done}"
    );
    let secret = local.object("secret", "web-1").expect("the cluster secret is there");
    assert_eq!(secret["metadata"]["labels"]["service"], "web");
    let gone = local.okra(&["sync", "clusterset", "nosuch"]);
    assert_eq!(gone.status.code(), Some(1), "{gone:?}");
}

#[test]
fn h_96_a_pass_over_a_target_group_set_reports_what_it_creates_also_in_a_dry_run() {
    let local = LocalMode::up(&["--no-controllers"]);
    let world = World::build(&local);
    let _first = world.add_cluster(&local, "web-1", "1.0.0");
    // A member that nobody can reach holds up neither pass nor report.
    let config = json!({"tlsClientConfig": {"insecure": true}, "bearerToken": "x"}).to_string();
    local.apply(&[
        target_group_set(),
        json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "dead", "namespace": NAMESPACE,
                "labels": {"argocd.argoproj.io/secret-type": "cluster", "service": "web"}},
            "stringData": {"name": "dead", "server": "https://127.0.0.1:1", "config": config},
        }),
    ]);
    let tried = okra(&local, &["sync", "awstargetgroupset", "--name", "web", "--dry-run"]);
    assert!(tried.contains("awstargetgroups/web-1-default-web would be created"), "{tried}");
    assert_eq!(there(&local, "awstargetgroups,events"), "", "a dry run makes nothing");
    let done = okra(&local, &["sync-awstargetgroupset", "--name", "web"]);
    assert!(done.contains("awstargetgroups/web-1-default-web created"), "{done}");
    assert!(done.contains("dead cannot be read"), "{done}");
    assert!(local.object("awstargetgroup", "web-1-default-web").is_some());
    let again = okra(&local, &["sync", "awstargetgroupset", "web"]);
    assert!(!again.contains("created"), "what is as it should be is not written again: {again}");
}

#[test]
fn h_92_a_config_is_synced_by_its_name_with_all_its_conditions() {
    let local = LocalMode::up(&["--no-controllers"]);
    let world = World::build(&local);
    let groups: Vec<Value> = ["a", "b", "c"]
        .iter()
        .zip([50, 30, 20])
        .map(|(name, weight)| {
            let made = boto(&local, &json!({"do": "target_group", "name": name, "targets": []}));
            json!({"name": name, "arn": made["arn"], "weight": weight})
        })
        .collect();
    local.apply(&[json!({
        "apiVersion": "okra.mumo.co/v1alpha1", "kind": "AWSApplicationLoadBalancerConfig",
        "metadata": {"name": "web", "namespace": NAMESPACE},
        "spec": {"listenerARN": world.listener, "listener": {"rule": {
            "priority": 10, "hosts": [HOST], "pathPatterns": ["/api/*"],
            "forward": {"targetGroups": groups},
        }}},
    })]);
    let words = ["sync", "awsapplicationloadbalancerconfig", "web"];
    okra(&local, &[&words[..], &["--dry-run"]].concat());
    assert_eq!(world.rule(&local), None, "AWS is only read in a dry run");
    let done = okra(&local, &words);
    assert!(done.contains("awsapplicationloadbalancerconfig/web synced: Updated"), "{done}");
    let rule = world.rule(&local).expect("the rule is there");
    let text = rule.to_string();
    assert!(text.contains(HOST) && text.contains("/api/*"), "{text}");
    let mut weights: Vec<i64> =
        rule["weights"].as_object().expect("weights").values().filter_map(Value::as_i64).collect();
    weights.sort_unstable();
    assert_eq!(weights, [20, 30, 50], "all three groups, not two: {text}");
}

#[test]
fn h_75_a_dry_run_of_the_controllers_plans_and_writes_nothing() {
    let local = LocalMode::up(&["--no-controllers"]);
    let world = World::build(&local);
    let _first = world.add_cluster(&local, "web-1", "1.0.0");
    local.apply(&[target_group_set(), cell(&world, 1, &json!([]))]);
    let run = |name: &str, flags: &[&str]| {
        let mut command = local.command(okra_binary());
        command
            .args(["controller-manager", "--metrics-bind-address=127.0.0.1:0", "--log-level=info"])
            .args(flags);
        Running::start(&mut command, &local.home().join(name))
    };
    let mut tried = run("dry.log", &["--dry-run", "--sync-period=1s"]);
    eventually("what would be written", BOUND, || {
        let log = tried.log();
        let wanted = [
            "dry run: awstargetgroups/web-1-default-web would be created",
            "dry run: cells/web (status) would be patched",
        ];
        if wanted.iter().all(|line| log.contains(line)) { Ok(()) } else { Err(log) }
    });
    assert_eq!(there(&local, "awstargetgroups,awsapplicationloadbalancerconfigs,leases,events"), "");
    let seen = local.object("cell", "web").expect("the Cell is there");
    assert_eq!(seen["status"], Value::Null, "{seen}");
    tried.interrupt();
    // The same without the flag does it.
    let _real = run("real.log", &[]);
    local.wait_for("cell", "web", BOUND, |cell| cell["status"]["phase"] == "Completed");
}
