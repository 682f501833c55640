//! Bad input gets a clear error on that one object, loses nothing, and every
//! other object goes on.

use std::time::Duration;

use okra_tests::backend::Backend;
use okra_tests::load::Load;
use okra_tests::process::{LocalMode, Running, okra_binary};
use okra_tests::world::{HOST, World, boto, cell, target_group_set};
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

/// A target group as its user would write it by hand.
fn target_group(role: &str, name: &str, version: &str, arn: &str) -> Value {
    json!({
        "apiVersion": "okra.mumo.co/v1alpha1", "kind": "AWSTargetGroup",
        "metadata": {"name": name, "labels": {"role": role, "okra.mumo.co/version": version}},
        "spec": {"arn": arn},
    })
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
    let arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/x/0123456789abcdef";
    local.apply(&[
        target_group("web", "no-version", "banana", arn),
        target_group("web", "other-service", "2.0.0", "arn:aws:iam::123456789012:role/web"),
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

#[test]
fn six_target_groups_do_not_fit_into_one_rule() {
    let local = LocalMode::up(&["--health-poll=100ms", "--sync-period=1s"]);
    let world = World::build(&local);
    let _first = world.add_cluster(&local, "web-1-v1", "1.0.0");
    let mut wide = named(cell(&world, 6, &json!([])), "wide", 20);
    wide["spec"]["ingress"]["awsApplicationLoadBalancer"]["targetGroupSelector"]["matchLabels"]["role"] =
        json!("wide");
    let groups: Vec<Value> = (1..=6)
        .map(|index| {
            let name = format!("wide-{index}");
            let made = boto(&local, &json!({"do": "target_group", "name": name, "targets": []}));
            target_group("wide", &name, "1.0.0", made["arn"].as_str().expect("an ARN"))
        })
        .collect();
    local.apply(&groups);
    local.apply(&[wide, target_group_set(), cell(&world, 1, &json!([]))]);
    let cell = local.wait_for("cell", "wide", BOUND, |cell| {
        reason(cell, "Ready").as_deref() == Some("TooManyTargetGroups")
    });
    let message = cell["status"]["message"].as_str().expect("a message");
    assert!(message.contains('6') && message.contains('5'), "the message names value and limit: {message}");
    local.wait_for("cell", "web", BOUND, |cell| cell["status"]["phase"] == "Completed");
    let rules = boto(&local, &json!({"do": "rules", "listener": world.listener}));
    let priorities: Vec<&str> = rules
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|rule| rule["priority"].as_str())
        .filter(|priority| *priority != "default")
        .collect();
    assert_eq!(priorities, ["10"], "nothing is written for the Cell that does not fit");
}

/// A controller-manager whose AWS keys are these; its lease is short, so that
/// the next one leads soon after it has ended.
fn controller_manager(local: &LocalMode, access_key: &str, secret_key: &str) -> Running {
    let mut command = local.command(okra_binary());
    command.env("AWS_ACCESS_KEY_ID", access_key).env("AWS_SECRET_ACCESS_KEY", secret_key);
    command.args(["controller-manager", "--health-poll=100ms", "--sync-period=1s"]);
    command.args(["--leader-elect-lease-duration=1200ms", "--leader-elect-renew-deadline=900ms"]);
    command.args(["--leader-elect-retry-period=200ms"]);
    Running::start(&mut command, &local.home().join("controller-manager.log"))
}

#[test]
fn denied_credentials_are_named_and_what_serves_goes_on() {
    let local = LocalMode::up(&["--no-controllers"]);
    let world = World::build(&local);
    let _first = world.add_cluster(&local, "web-1-v1", "1.0.0");
    local.apply(&[target_group_set(), cell(&world, 1, &json!([]))]);
    let keys = |name: &str| local.environment()[name].clone();
    let (access_key, secret_key) = (keys("AWS_ACCESS_KEY_ID"), keys("AWS_SECRET_ACCESS_KEY"));

    let mut allowed = controller_manager(&local, &access_key, &secret_key);
    local.wait_for("cell", "web", BOUND, |cell| cell["status"]["phase"] == "Completed");
    allowed.kill();
    let before = world.rule(&local).expect("a rule");
    let load = Load::start(world.address, HOST, 4);

    let wrong_secret = "0000000000000000000000000000000000000000";
    let mut denied = controller_manager(&local, &access_key, wrong_secret);
    let config = local.wait_for("awsapplicationloadbalancerconfig", "web", BOUND, |config| {
        config["status"]["reason"] == "AccessDenied"
    });
    let message = config["status"]["message"].as_str().expect("a message");
    assert!(message.contains("elasticloadbalancing:"), "the message names the call: {message}");
    // A swap waits, and says for what. Its group is written by hand: with these
    // keys no cluster lets okra in to find one.
    let backend = Backend::start("2.0.0");
    let request =
        json!({"do": "target_group", "name": "web-1-v2", "targets": [backend.address().to_string()]});
    let arn = boto(&local, &request)["arn"].clone();
    local.apply(&[target_group("web", "web-1-v2", "2.0.0", arn.as_str().expect("an ARN"))]);
    local.wait_for("cell", "web", BOUND, |cell| {
        cell["status"]["message"].as_str().is_some_and(|message| message.contains("AccessDenied"))
    });
    assert_eq!(world.rule(&local).expect("a rule"), before);
    let log = denied.log();
    assert!(!log.contains(wrong_secret) && !log.contains(&secret_key), "no secret in the log: {log}");
    denied.kill();

    let _allowed = controller_manager(&local, &access_key, &secret_key);
    local.wait_for("cell", "web", BOUND, |cell| {
        cell["status"]["phase"] == "Completed" && cell["status"]["stableVersion"] == "2.0.0"
    });
    assert_eq!(load.finish().failed(), 0);
}
