//! Scenarios of `spec/aws.md` 8 by their numbers; each asserts its column
//! "works means". SC-07 to SC-09 are in `gates`, SC-23, SC-25 and SC-32 in `swap`.

use std::time::Duration;

use okra_tests::backend::Backend;
use okra_tests::eventually;
use okra_tests::process::LocalMode;
use okra_tests::session::{Application, Redis, ask};
use okra_tests::world::{HOST, Principal, World, aws, boto, cell, target_group_set};
use serde_json::{Value, json};

const BOUND: Duration = Duration::from_secs(90);
const FLAGS: [&str; 2] = ["--health-poll=100ms", "--sync-period=1s"];

fn phase(cell: &Value) -> &str {
    cell["status"]["phase"].as_str().unwrap_or("")
}

fn completed(version: &'static str) -> impl Fn(&Value) -> bool {
    move |cell| phase(cell) == "Completed" && cell["status"]["stableVersion"] == version
}

fn paused_for(reason: &'static str) -> impl Fn(&Value) -> bool {
    move |cell| phase(cell) == "Paused" && cell["status"]["reason"] == reason
}

fn okra(local: &LocalMode, arguments: &[&str]) {
    let output = local.okra(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The weights of okra's rule, in order of ARN.
fn weights(world: &World, local: &LocalMode) -> Vec<(String, i64)> {
    let rule = world.rule(local).expect("a rule");
    let weights = rule["weights"].as_object().expect("weights");
    weights.iter().map(|(arn, weight)| (arn.clone(), weight.as_i64().expect("a number"))).collect()
}

#[test]
fn sc_01_sessions_in_redis_are_whole_at_every_step() {
    let redis = Redis::start();
    let start =
        |version| -> Vec<Application> { (0..3).map(|_| Application::start(&redis, version)).collect() };
    let addresses =
        |applications: &[Application]| -> Vec<_> { applications.iter().map(Application::address).collect() };
    let (old, new) = (start("1.0.0"), start("2.0.0"));
    let local = LocalMode::up(&FLAGS);
    let world = World::build(&local);
    let administrator = Principal::default();
    world.add_cluster_of(&local, &administrator, "web-1-v1", "1.0.0", &addresses(&old));
    let steps = json!([{"setWeight": 10}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]);
    local.apply(&[target_group_set(), cell(&world, 1, &steps)]);
    local.wait_for("cell", "web", BOUND, completed("1.0.0"));

    let request = |method: &str, path: &str, session: &str, body: &str| json!({"method": method, "path": path, "session": session, "body": body});
    let read = |session: &str| request("GET", "/messages", session, "");
    let write = |session: &str, text: &str| request("POST", "/messages", session, text);
    // Writes one more message in each session, and reads all of them from whatever answers.
    let mut written = Vec::new();
    let mut converse = |text: &str| -> Vec<String> {
        written.push(text.to_owned());
        let mut requests = vec![write("ada", text), write("bob", text)];
        requests.extend((0..30).map(|turn| read(if turn % 2 == 0 { "ada" } else { "bob" })));
        let answers = ask(world.address, HOST, &json!(requests));
        for answer in &answers {
            assert!([200, 201].contains(&answer["status"].as_i64().unwrap_or(0)), "{answer}");
        }
        for answer in &answers[2..] {
            assert_eq!(answer["body"], json!(written), "a session is the same on both sides");
        }
        answers.iter().filter_map(|answer| Some(answer["version"].as_str()?.to_owned())).collect()
    };
    let serving = converse("before the swap");
    assert!(serving.iter().all(|version| version == "1.0.0"), "{serving:?}");
    world.add_cluster_of(&local, &administrator, "web-1-v2", "2.0.0", &addresses(&new));
    for (text, weight) in [("at 10", 10), ("at 50", 50)] {
        local.wait_for("cell", "web", BOUND, |cell| {
            phase(cell) == "Paused" && cell["status"]["canaryWeight"] == weight
        });
        converse(text);
        okra(&local, &["promote", "web"]);
    }
    local.wait_for("cell", "web", BOUND, completed("2.0.0"));
    let serving = converse("after the swap");
    assert!(serving.iter().all(|version| version == "2.0.0"), "{serving:?}");

    // What is deleted through one side is gone on the other: back to 1.0.0 by a pin.
    ask(world.address, HOST, &json!([request("DELETE", "/session", "ada", "")]));
    let pin =
        local.kubectl(&["patch", "cell", "web", "--type=merge", "-p", r#"{"spec":{"version":"1.0.0"}}"#]);
    assert!(pin.status.success(), "{pin:?}");
    local.wait_for("cell", "web", BOUND, completed("1.0.0"));
    let answers = ask(world.address, HOST, &json!([read("ada"), read("bob")]));
    assert_eq!(answers[0]["version"], "1.0.0", "{answers:?}");
    assert_eq!((&answers[0]["body"], &answers[1]["body"]), (&json!([]), &json!(written)));
}

/// Tasks without nodes: three `ip` targets a version, one table outside. That
/// nodes of Fargate are no targets is asserted where nodes are selected.
#[test]
fn sc_18_what_was_written_is_read_on_both_sides_through_the_whole_swap() {
    let table = Redis::start();
    let tasks =
        |version| -> Vec<Application> { (0..3).map(|_| Application::start(&table, version)).collect() };
    let addresses = |tasks: &[Application]| -> Vec<_> { tasks.iter().map(Application::address).collect() };
    let (old, new) = (tasks("1.0.0"), tasks("2.0.0"));
    let local = LocalMode::up(&FLAGS);
    let world = World::build(&local);
    let administrator = Principal::default();
    world.add_cluster_of(&local, &administrator, "web-1-v1", "1.0.0", &addresses(&old));
    let pause = json!({"pause": {"duration": "2s"}});
    let steps = json!([{"setWeight": 30}, pause, {"setWeight": 70}, pause]);
    local.apply(&[target_group_set(), cell(&world, 1, &steps)]);
    local.wait_for("cell", "web", BOUND, completed("1.0.0"));
    world.add_cluster_of(&local, &administrator, "web-1-v2", "2.0.0", &addresses(&new));

    let request = |method: &str, body: &str| json!({"method": method, "path": "/items", "session": "items", "body": body});
    let mut written: Vec<String> = Vec::new();
    let mut served = std::collections::BTreeMap::<String, usize>::new();
    eventually("the end of the swap", BOUND, || {
        written.push(format!("item {}", written.len()));
        let mut requests = vec![request("POST", &written[written.len() - 1])];
        requests.extend((0..6).map(|_| request("GET", "")));
        let answers = ask(world.address, HOST, &json!(requests));
        assert_eq!(answers[0]["status"], 201, "{answers:?}");
        for answer in &answers[1..] {
            assert_eq!((&answer["status"], &answer["body"]), (&json!(200), &json!(written)));
            *served.entry(answer["version"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
        let cell = local.object("cell", "web").ok_or("no Cell")?;
        if completed("2.0.0")(&cell) { Ok(()) } else { Err(cell["status"]["message"].to_string()) }
    });
    assert_eq!(served.keys().collect::<Vec<_>>(), ["1.0.0", "2.0.0"], "both sides were read: {served:?}");
}

#[test]
fn sc_11_each_raise_waits_for_a_human() {
    let local = LocalMode::up(&FLAGS);
    let world = World::build(&local);
    let _first = world.add_cluster(&local, "web-1-v1", "1.0.0");
    let mut careful = cell(&world, 1, &json!([{"setWeight": 20}, {"setWeight": 60}]));
    careful["spec"]["updateStrategy"]["canary"]["approval"] = json!("Manual");
    local.apply(&[target_group_set(), careful]);
    local.wait_for("cell", "web", BOUND, completed("1.0.0"));
    let second = world.add_cluster(&local, "web-1-v2", "2.0.0");
    for next in [20, 60, 100] {
        let held = local.wait_for("cell", "web", BOUND, paused_for("ApprovalNeeded"));
        let weight = held["status"]["canaryWeight"].as_i64().unwrap_or(0);
        assert!(weight < next, "nothing moves before the word: {}", held["status"]);
        let now = weights(&world, &local);
        let canary = now.iter().find(|(arn, _)| *arn == second.target_group).map(|(_, weight)| *weight);
        assert_eq!(canary, Some(weight), "{now:?}");
        let status = local.okra(&["status", "web"]);
        assert_eq!(status.status.code(), Some(4), "a human is waited for: {status:?}");
        okra(&local, &["resume", "web", "--reason", "the change was approved"]);
        local.wait_for("cell", "web", BOUND, |cell| {
            cell["status"]["canaryWeight"].as_i64() == Some(next) || completed("2.0.0")(cell)
        });
    }
    local.wait_for("cell", "web", BOUND, completed("2.0.0"));
}

#[test]
fn sc_12_a_cluster_that_lets_nobody_in_says_how_to_open_it() {
    let local = LocalMode::up(&FLAGS);
    let world = World::build(&local);
    let _first = world.add_cluster(&local, "web-1-v1", "1.0.0");
    local.apply(&[target_group_set(), cell(&world, 1, &json!([]))]);
    local.wait_for("cell", "web", BOUND, completed("1.0.0"));

    let creator = Principal::assume(&local, "cdk");
    let backend = Backend::start("2.0.0");
    world.add_cluster_of(&local, &creator, "web-1-v2", "2.0.0", &[backend.address()]);
    let set = local.wait_for("awstargetgroupset", "web", BOUND, |set| {
        set["status"].to_string().contains("aws eks create-access-entry")
    });
    assert!(set["status"].to_string().contains("--cluster-name web-1-v2"), "{}", set["status"]);
    assert!(local.object("awstargetgroup", "web-1-v2-default-web").is_none());
    // What it could reach goes on as before.
    local.wait_for("cell", "web", BOUND, completed("1.0.0"));

    let caller = aws(&local, &Principal::default(), &["sts", "get-caller-identity"]);
    let okra = caller["Arn"].as_str().expect("an ARN");
    let entry = ["--cluster-name", "web-1-v2", "--principal-arn", okra];
    aws(&local, &creator, &[&["eks", "create-access-entry"], &entry[..]].concat());
    let policy = [
        "--policy-arn",
        "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
        "--access-scope",
        "type=cluster",
    ];
    aws(&local, &creator, &[&["eks", "associate-access-policy"], &entry[..], &policy[..]].concat());
    local.wait_for("cell", "web", BOUND, completed("2.0.0"));
}

/// What the AWS Load Balancer Controller defines, in short; a cluster that is
/// not of AWS has nothing of it.
fn target_group_bindings() -> Value {
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "targetgroupbindings.elbv2.k8s.aws"},
        "spec": {
            "group": "elbv2.k8s.aws", "scope": "Namespaced",
            "names": {"kind": "TargetGroupBinding", "plural": "targetgroupbindings"},
            "versions": [{"name": "v1beta1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    })
}

#[test]
fn sc_13_a_cluster_that_is_not_of_aws_takes_part() {
    let local = LocalMode::up(&FLAGS);
    let world = World::build(&local);
    let _first = world.add_cluster(&local, "web-1-v1", "1.0.0");
    local.apply(&[target_group_set(), cell(&world, 1, &json!([]))]);
    local.wait_for("cell", "web", BOUND, completed("1.0.0"));

    // Another API server, which AWS does not know, logged in to with a certificate.
    let elsewhere = LocalMode::up(&["--no-controllers"]);
    elsewhere.apply(&[target_group_bindings()]);
    let view = elsewhere.kubectl(&["config", "view", "--raw", "-o", "json"]);
    let view: Value = serde_json::from_slice(&view.stdout).expect("kubectl prints JSON");
    let (cluster, user) = (&view["clusters"][0]["cluster"], &view["users"][0]["user"]);
    let config = json!({"tlsClientConfig": {
        "caData": cluster["certificate-authority-data"],
        "certData": user["client-certificate-data"], "keyData": user["client-key-data"],
    }});
    let backend = Backend::start("2.0.0");
    let request =
        json!({"do": "target_group", "name": "metal-v2", "targets": [backend.address().to_string()]});
    let group = boto(&local, &request)["arn"].clone();
    elsewhere.apply(&[json!({
        "apiVersion": "elbv2.k8s.aws/v1beta1", "kind": "TargetGroupBinding",
        "metadata": {"name": "web", "labels": {"role": "web", "okra.mumo.co/version": "2.0.0"}},
        "spec": {"targetGroupARN": group, "targetType": "ip", "serviceRef": {"name": "web", "port": 80}},
    })]);
    local.apply(&[json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": "metal-v2",
            "labels": {"argocd.argoproj.io/secret-type": "cluster", "service": "web"},
        },
        "stringData": {"name": "metal-v2", "server": cluster["server"], "config": config.to_string()},
    })]);
    local.wait_for("cell", "web", BOUND, completed("2.0.0"));
    let now = weights(&world, &local);
    assert!(now.contains(&(group.as_str().expect("an ARN").to_owned(), 100)), "{now:?}");
}

#[test]
fn sc_21_and_22_a_set_of_two_starts_whole_and_moves_as_one() {
    let local = LocalMode::up(&FLAGS);
    let world = World::build(&local);
    let _old =
        [world.add_cluster(&local, "web-1-v1", "1.0.0"), world.add_cluster(&local, "web-2-v1", "1.0.0")];
    let mut pair =
        cell(&world, 2, &json!([{"setWeight": 1}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]));
    pair["spec"]["updateStrategy"]["weightTotal"] = json!(1000);
    local.apply(&[target_group_set(), pair]);
    local.wait_for("cell", "web", BOUND, completed("1.0.0"));

    // One of two: nothing happens, and it is said what is missing.
    let one = world.add_cluster(&local, "web-1-v2", "2.0.0");
    local.wait_for("awstargetgroup", "web-1-v2-default-web", BOUND, |group| group["spec"]["arn"].is_string());
    let before = weights(&world, &local);
    assert_eq!(before.len(), 2, "{before:?}");
    let two = world.add_cluster(&local, "web-2-v2", "2.0.0");
    let is_new = |arn: &str| arn == one.target_group || arn == two.target_group;
    let at = |wanted: i64| {
        let mut looks = 0;
        eventually("the step on AWS", BOUND, || {
            let now = weights(&world, &local);
            looks += 1;
            assert!(now.len() <= 5 && now.iter().any(|(_, weight)| *weight > 0), "{now:?}");
            let new: Vec<i64> =
                now.iter().filter(|(arn, _)| is_new(arn)).map(|(_, weight)| *weight).collect();
            assert!(new.windows(2).all(|pair| pair[0] == pair[1]), "the new ones move as one: {now:?}");
            if new == [wanted, wanted] { Ok(now) } else { Err(format!("{now:?}")) }
        })
    };
    let mut step: Vec<i64> = at(5).into_iter().map(|(_, weight)| weight).collect();
    step.sort_unstable();
    assert_eq!(step, [5, 5, 495, 495]);
    local.wait_for("cell", "web", BOUND, |cell| phase(cell) == "Paused");

    // A third version in the middle is not mixed in.
    let _third = world.add_cluster(&local, "web-1-v3", "3.0.0");
    local.wait_for("awstargetgroup", "web-1-v3-default-web", BOUND, |group| group["spec"]["arn"].is_string());
    okra(&local, &["promote", "web"]);
    let half = at(250);
    assert_eq!(half.len(), 4, "{half:?}");
    local.wait_for("cell", "web", BOUND, |cell| phase(cell) == "Paused");
    okra(&local, &["promote", "web"]);
    let ended = local.wait_for("cell", "web", BOUND, completed("2.0.0"));
    assert_eq!(ended["status"]["history"][0]["from"], "1.0.0", "{}", ended["status"]["history"]);
    at(500);
}

#[test]
fn sc_33_a_cluster_that_vanishes_loses_its_weight_at_once() {
    let local = LocalMode::up(&FLAGS);
    let world = World::build(&local);
    let old = world.add_cluster(&local, "web-1-v1", "1.0.0");
    local.apply(&[target_group_set(), cell(&world, 1, &json!([{"setWeight": 50}, {"pause": {}}]))]);
    local.wait_for("cell", "web", BOUND, completed("1.0.0"));
    let new = world.add_cluster(&local, "web-1-v2", "2.0.0");
    local.wait_for("cell", "web", BOUND, |cell| phase(cell) == "Paused");
    // What discovery writes when EKS says DELETING (3.1.5-4).
    let mark = "okra.mumo.co/cluster-status=DELETING";
    let marked = local.kubectl(&["annotate", "secret", "web-1-v2", mark]);
    assert!(marked.status.success(), "{marked:?}");
    eventually("all weight on what is left", BOUND, || {
        let now = weights(&world, &local);
        let of = |arn: &str| now.iter().find(|(own, _)| own == arn).map_or(0, |(_, weight)| *weight);
        if (of(&old.target_group), of(&new.target_group)) == (100, 0) {
            Ok(())
        } else {
            Err(format!("{now:?}"))
        }
    });
    let deleted = boto(&local, &json!({"do": "delete_cluster", "name": "web-1-v2"}));
    assert_eq!(deleted, "DELETING");
    let cell = local.object("cell", "web").expect("the Cell stays");
    assert_eq!(cell["status"]["stableVersion"], "1.0.0", "{}", cell["status"]);
}
