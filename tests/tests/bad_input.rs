//! Bad input gets a clear error on that one object, loses nothing, and every
//! other object goes on.

use std::time::Duration;

use okra_tests::process::LocalMode;
use okra_tests::world::{World, boto, cell, target_group_set};
use serde_json::{Value, json};

const BOUND: Duration = Duration::from_secs(60);

fn named(mut cell: Value, name: &str, priority: u32) -> Value {
    cell["metadata"]["name"] = json!(name);
    cell["spec"]["ingress"]["awsApplicationLoadBalancer"]["listener"]["rule"]["priority"] = json!(priority);
    cell
}

fn reason(cell: &Value, condition: &str) -> Option<String> {
    let conditions = cell["status"]["conditions"].as_array()?;
    let found = conditions.iter().find(|one| one["type"] == condition)?;
    Some(found["reason"].as_str()?.to_owned())
}

#[test]
fn every_bad_cell_says_why_and_the_good_one_goes_on() {
    let local = LocalMode::up(&["--health-poll=100ms", "--sync-period=1s"]);
    let world = World::build(&local);
    let _first = world.add_cluster(&local, "web-1-v1", "1.0.0");
    let good = || cell(&world, 1, &json!([]));
    local.apply(&[target_group_set()]);

    let mut without_ingress = named(good(), "without-ingress", 20);
    without_ingress["spec"].as_object_mut().expect("a spec").remove("ingress");
    let mut zero = named(good(), "zero-replicas", 21);
    zero["spec"]["replicas"] = json!(0);
    let mut unknown = named(good(), "unknown-type", 22);
    unknown["spec"]["ingress"]["type"] = json!("Envoy");
    let mut two_actions = named(good(), "two-actions", 23);
    two_actions["spec"]["updateStrategy"]["canary"]["steps"] = json!([{"setWeight": 10, "pause": {}}]);
    let mut no_listener = named(good(), "no-listener", 24);
    let missing = world.listener.replace("/app/web/", "/app/nosuch/");
    no_listener["spec"]["ingress"]["awsApplicationLoadBalancer"]["listenerARN"] = json!(missing);
    let invalid = [without_ingress, zero, unknown, two_actions];
    for manifest in invalid.iter().chain([&no_listener]) {
        local.apply(std::slice::from_ref(manifest));
    }
    // The good one comes last: the bad ones before it must not hold it up.
    local.apply(&[good()]);
    local.wait_for("cell", "web", BOUND, |cell| cell["status"]["phase"] == "Completed");
    for manifest in &invalid {
        let name = manifest["metadata"]["name"].as_str().expect("a name");
        let cell = local.wait_for("cell", name, BOUND, |cell| cell["status"]["phase"] == "Error");
        assert_eq!(reason(&cell, "Ready").as_deref(), Some("InvalidSpec"), "{name}: {}", cell["status"]);
        assert!(
            cell["status"]["message"].as_str().is_some_and(|message| message.contains("spec.")),
            "{}",
            cell["status"]
        );
    }
    let config = local.wait_for("awsapplicationloadbalancerconfig", "no-listener", BOUND, |config| {
        config["status"]["phase"] == "Error"
    });
    assert_eq!(config["status"]["reason"], "ListenerNotFound", "{}", config["status"]);
}

#[test]
fn illegal_target_groups_are_named_and_left_out() {
    let local = LocalMode::up(&["--health-poll=100ms", "--sync-period=1s"]);
    let world = World::build(&local);
    let _first = world.add_cluster(&local, "web-1-v1", "1.0.0");
    local.apply(&[target_group_set(), cell(&world, 1, &json!([]))]);
    local.wait_for("cell", "web", BOUND, |cell| cell["status"]["phase"] == "Completed");
    let group = |name: &str, version: &str, arn: &str| {
        json!({
            "apiVersion": "okra.mumo.co/v1alpha1", "kind": "AWSTargetGroup",
            "metadata": {"name": name, "labels": {"role": "web", "okra.mumo.co/version": version}},
            "spec": {"arn": arn},
        })
    };
    let arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/x/0123456789abcdef";
    local.apply(&[
        group("no-version", "banana", arn),
        group("other-service", "2.0.0", "arn:aws:iam::123456789012:role/web"),
    ]);
    let valid = |cell: &Value| reason(cell, "TargetGroupsValid").as_deref() == Some("InvalidTargetGroup");
    let cell = local.wait_for("cell", "web", BOUND, valid);
    assert_eq!(cell["status"]["stableVersion"], "1.0.0");
    let conditions = cell["status"]["conditions"].as_array().expect("conditions");
    let message =
        conditions.iter().find(|one| one["type"] == "TargetGroupsValid").expect("found above")["message"]
            .clone();
    let message = message.as_str().expect("a message");
    assert!(message.contains("no-version") && message.contains("other-service"), "{message}");
}

#[test]
fn a_priority_of_somebody_else_stays_as_it_is() {
    let local = LocalMode::up(&["--health-poll=100ms", "--sync-period=1s"]);
    let world = World::build(&local);
    let _first = world.add_cluster(&local, "web-1-v1", "1.0.0");
    let foreign = local
        .command(okra_tests::clients::aws())
        .args(["elbv2", "create-rule", "--listener-arn", &world.listener, "--priority", "10"])
        .args(["--conditions", "Field=path-pattern,Values=/theirs/*"])
        .args(["--actions", "Type=fixed-response,FixedResponseConfig={StatusCode=418}"])
        .output()
        .expect("aws runs");
    assert!(foreign.status.success(), "{}", String::from_utf8_lossy(&foreign.stderr));
    let before = boto(&local, &json!({"do": "rules", "listener": world.listener}));
    local.apply(&[target_group_set(), cell(&world, 1, &json!([]))]);
    let config = local.wait_for("awsapplicationloadbalancerconfig", "web", BOUND, |config| {
        config["status"]["phase"] == "Error"
    });
    assert_eq!(config["status"]["reason"], "PriorityInUse", "{}", config["status"]);
    assert_eq!(boto(&local, &json!({"do": "rules", "listener": world.listener})), before);
}
