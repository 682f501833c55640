//! The controller of load balancer configs against a management API in this
//! process and load balancers in memory.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod fake;
#[path = "../support/nothing.rs"]
mod nothing;
mod world;

use fake::{ELB, Fault, listener};
use okra_aws::{Meaning, Tags};
use serde_json::json;
use world::{FastClock, World, entries, spec, to};

fn host(tags: &Tags) -> Option<&str> {
    tags.get("okra.mumo.co/name").map(String::as_str)
}

#[tokio::test]
async fn a_rule_is_made_with_its_tags_read_back_and_told() {
    let world = World::start().await;
    world.create_group("blue").await;
    world.create("cell1", spec(&[("blue", 90), ("green", 10)])).await;
    let status = world.until_updated("cell1", &[("blue", 90), ("green", 10)]).await;
    assert_eq!(world.aws.weights(10), [("blue".to_owned(), 90), ("green".to_owned(), 10)]);
    assert!(status.weights_since.is_some());
    assert_eq!(status.rule_arn.as_deref(), Some(world.aws.rule(10).unwrap().arn.as_str()));
    let healthy: Vec<_> = status.target_groups.iter().map(|group| group.healthy_targets).collect();
    assert_eq!(healthy, [Some(1), Some(1)]);
    let tags = world.aws.tags_at(10);
    assert_eq!((host(&tags), tags.len()), (Some("cell1"), 3));
    world.until_told("blue", 1).await;
    assert_eq!(world.aws.writes(), ["CreateRule"]);
    assert_eq!(world.events("cell1").await, ["Updated"]);
}

#[tokio::test]
async fn h_82_what_is_confirmed_is_not_written_again() {
    let world = World::start().await;
    world.create("cell1", spec(&[("blue", 100), ("green", 0)])).await;
    let first = world.until_updated("cell1", &[("blue", 100), ("green", 0)]).await;
    // The order of the list is no change; a change of health shows that passes went by.
    world.patch("cell1", to(&[("green", 0), ("blue", 100)])).await;
    world.aws.set_healthy("green", 2);
    let later = world.until("cell1", |status| status.target_groups[0].healthy_targets == Some(2)).await;
    assert_eq!(later.weights_since, first.weights_since);
    assert_eq!(world.aws.writes(), ["CreateRule"]);
}

#[tokio::test]
async fn a_new_weight_is_one_write() {
    let world = World::start().await;
    world.create("cell1", spec(&[("blue", 100), ("green", 0)])).await;
    let first = world.until_updated("cell1", &[("blue", 100), ("green", 0)]).await;
    world.patch("cell1", to(&[("blue", 50), ("green", 50)])).await;
    let second = world.until_updated("cell1", &[("blue", 50), ("green", 50)]).await;
    assert!(second.weights_since > first.weights_since);
    assert_eq!(world.aws.writes(), ["CreateRule", "ModifyRule"]);
    assert_eq!(world.events("cell1").await, ["Updated", "Updated"]);
}

#[tokio::test]
async fn a_write_of_unknown_outcome_is_read_back() {
    let world = World::start().await;
    world.aws.fail_next([Fault::LostAfter]);
    world.create("cell1", spec(&[("blue", 1), ("green", 0)])).await;
    world.until_updated("cell1", &[("blue", 1), ("green", 0)]).await;
    world.aws.fail_next([Fault::LostAfter]);
    world.patch("cell1", to(&[("blue", 1), ("green", 1)])).await;
    world.until_updated("cell1", &[("blue", 1), ("green", 1)]).await;
    assert_eq!(world.aws.writes(), ["CreateRule", "ModifyRule"], "what was done is not done again");
}

#[tokio::test]
async fn a_write_that_was_lost_is_written_again_when_it_does_not_show() {
    let world = World::start_on(FastClock::shared()).await;
    world.create("cell1", spec(&[("blue", 1), ("green", 0)])).await;
    world.until_updated("cell1", &[("blue", 1), ("green", 0)]).await;
    world.aws.fail_next([Fault::LostBefore]);
    world.patch("cell1", to(&[("blue", 1), ("green", 1)])).await;
    let status = world.until_updated("cell1", &[("blue", 1), ("green", 1)]).await;
    assert_eq!(status.drift, None);
    assert_eq!(world.aws.writes(), ["CreateRule", "ModifyRule", "ModifyRule"]);
}

#[tokio::test]
async fn a_throttled_or_colliding_write_is_tried_again() {
    let world = World::start().await;
    world.aws.fail_next([
        Fault::Refused(Meaning::Throttled, "Throttling"),
        Fault::Refused(Meaning::Unavailable, "ServiceUnavailable"),
    ]);
    world.create("cell1", spec(&[("blue", 1)])).await;
    world.until_updated("cell1", &[("blue", 1)]).await;
    assert_eq!(world.aws.writes(), ["CreateRule", "CreateRule", "CreateRule"]);
}

#[tokio::test]
async fn a_stale_read_after_a_write_is_waited_out() {
    let world = World::start().await;
    world.create("cell1", spec(&[("blue", 100), ("green", 0)])).await;
    world.until_updated("cell1", &[("blue", 100), ("green", 0)]).await;
    world.aws.fail_next([Fault::StaleReads(3)]);
    world.patch("cell1", to(&[("blue", 0), ("green", 100)])).await;
    let status = world.until_updated("cell1", &[("blue", 0), ("green", 100)]).await;
    assert_eq!(status.drift, None);
    assert_eq!(world.aws.writes(), ["CreateRule", "ModifyRule"]);
}

#[tokio::test]
async fn drift_is_held_until_somebody_says_to_overwrite_it() {
    let world = World::start().await;
    world.create("cell1", spec(&[("blue", 90), ("green", 10)])).await;
    world.until_updated("cell1", &[("blue", 90), ("green", 10)]).await;
    world.aws.by_hand(10, "example.com", &[("blue", 70), ("green", 30)]);
    let status = world.until("cell1", |status| status.drift.is_some()).await;
    let drift = status.drift.clone().unwrap();
    assert_eq!((drift.target_groups[1].name.as_str(), drift.target_groups[1].weight), ("green", Some(30)));
    assert_eq!(status.target_groups[1].weight, Some(10), "okra's own weights are still told");
    let condition = status.conditions.iter().find(|condition| condition.type_ == "DriftDetected");
    assert_eq!(condition.unwrap().status, "True");

    // A step that comes now is not written either.
    world.patch("cell1", to(&[("blue", 50), ("green", 50)])).await;
    world.aws.set_healthy("green", 2);
    world.until("cell1", |status| status.target_groups[1].healthy_targets == Some(2)).await;
    assert_eq!(world.aws.weights(10)[1].1, 30);
    assert_eq!(world.aws.writes(), ["CreateRule"]);

    world.patch("cell1", json!({"spec": {"overwrite": drift.id}})).await;
    let status = world.until_updated("cell1", &[("blue", 50), ("green", 50)]).await;
    assert_eq!(status.drift, None);
    assert_eq!(world.aws.weights(10)[1].1, 50);
    assert_eq!(world.events("cell1").await, ["Updated", "Drift", "Updated"]);
}

#[tokio::test]
async fn a_failure_overwrites_whatever_it_finds() {
    let world = World::start().await;
    world.create("cell1", spec(&[("blue", 90), ("green", 10)])).await;
    world.until_updated("cell1", &[("blue", 90), ("green", 10)]).await;
    world.aws.by_hand(10, "example.com", &[("blue", 0), ("green", 100)]);
    let mut rollback = to(&[("blue", 100), ("green", 0)]);
    rollback["spec"]["overwrite"] = json!("Always");
    world.patch("cell1", rollback).await;
    world.until_updated("cell1", &[("blue", 100), ("green", 0)]).await;
    assert_eq!(world.aws.weights(10), [("blue".to_owned(), 100), ("green".to_owned(), 0)]);
}

#[tokio::test]
async fn a_rule_that_vanished_comes_back() {
    let world = World::start().await;
    world.create("cell1", spec(&[("blue", 90), ("green", 10)])).await;
    world.until_updated("cell1", &[("blue", 90), ("green", 10)]).await;
    world.aws.delete_by_hand(10);
    world.eventually("the rule is back", || world.aws.rule(10).is_some()).await;
    assert_eq!(world.aws.weights(10)[0].1, 90);
}

#[tokio::test]
async fn h_81_a_rule_of_somebody_else_is_left_alone_unless_adopted() {
    let world = World::start().await;
    world.aws.by_hand(10, "other.example.com", &[("blue", 1)]);
    world.create("cell1", spec(&[("green", 1)])).await;
    let message = world.until_error("cell1", "PriorityInUse").await;
    assert!(message.contains("priority 10"), "{message}");
    assert_eq!(world.aws.weights(10)[0].0, "blue");
    assert!(world.aws.writes().is_empty());

    world.patch("cell1", json!({"metadata": {"annotations": {"okra.mumo.co/adopt": "true"}}})).await;
    world.until_updated("cell1", &[("green", 1)]).await;
    assert_eq!(host(&world.aws.tags_at(10)), Some("cell1"));
    assert_eq!(world.aws.writes(), ["AddTags", "ModifyRule"]);
}

#[tokio::test]
async fn a_rule_of_another_okra_is_never_taken() {
    let world = World::start().await;
    world.aws.by_hand(10, "example.com", &[("blue", 1)]);
    let arn = world.aws.rule(10).unwrap().arn.to_string();
    world.aws.tag(&arn, Tags::from([("okra.mumo.co/cluster-id".to_owned(), "another".to_owned())]));
    let adopt = json!({"okra.mumo.co/adopt": "true"});
    world.create_with("cell1", adopt, spec(&[("green", 1)])).await;
    let message = world.until_error("cell1", "PriorityInUse").await;
    assert!(message.contains("another okra"), "{message}");
    assert!(world.aws.writes().is_empty());
}

#[tokio::test]
async fn a_load_balancer_of_another_controller_is_refused() {
    let world = World::start().await;
    let balancer = listener().load_balancer().to_string();
    world.aws.tag(&balancer, Tags::from([("elbv2.k8s.aws/cluster".to_owned(), "k1".to_owned())]));
    world.create("cell1", spec(&[("blue", 1)])).await;
    world.until_error("cell1", "ForeignController").await;
    assert!(world.aws.writes().is_empty());
}

#[tokio::test]
async fn h_89_of_two_objects_for_one_rule_the_older_wins() {
    let world = World::start().await;
    world.create("cell1", spec(&[("blue", 1)])).await;
    world.until_updated("cell1", &[("blue", 1)]).await;
    world.create("cell0", spec(&[("green", 1)])).await;
    // Both may have been made within one second, and then the name decides.
    let lost = async {
        tokio::select! {
            message = world.until_error("cell0", "Conflict") => ("cell1", message),
            message = world.until_error("cell1", "Conflict") => ("cell0", message),
        }
    };
    let (winner, message) = lost.await;
    assert!(message.contains(winner), "{message}");
}

#[tokio::test]
async fn h_85_a_moved_rule_serves_at_its_new_place_before_the_old_one_goes() {
    let world = World::start().await;
    world.create("cell1", spec(&[("blue", 90), ("green", 10)])).await;
    world.until_updated("cell1", &[("blue", 90), ("green", 10)]).await;
    world.patch("cell1", json!({"spec": {"listener": {"rule": {"priority": 20}}}})).await;
    let status = world.until_updated("cell1", &[("blue", 90), ("green", 10)]).await;
    let moved = world.aws.rule(20).unwrap();
    assert_eq!(status.rule_arn.as_deref(), Some(moved.arn.as_str()));
    assert_eq!(world.aws.rule(10), None);
    assert_eq!(world.aws.writes(), ["CreateRule", "CreateRule", "DeleteRule"]);
}

#[tokio::test]
async fn the_rule_outlives_its_object_unless_the_policy_says_otherwise() {
    let world = World::start().await;
    world.create("cell1", spec(&[("blue", 1)])).await;
    let mut going = spec(&[("green", 1)]);
    going["listener"]["rule"]["priority"] = json!(11);
    going["deletionPolicy"] = json!("Delete");
    world.create("cell2", going).await;
    world.until_updated("cell1", &[("blue", 1)]).await;
    world.until_updated("cell2", &[("green", 1)]).await;
    world.delete("cell1").await;
    world.delete("cell2").await;
    world.eventually("the second rule goes", || world.aws.rule(11).is_none()).await;
    assert!(world.aws.rule(10).is_some());
}

#[tokio::test]
async fn each_fault_is_a_reason_on_its_own_object_and_all_others_go_on() {
    let world = World::start().await;
    world
        .create(
            "no-condition",
            json!({
                "listenerARN": listener().as_str(),
                "listener": {"rule": {"forward": {"targetGroups": entries(&[("blue", 1)])}}},
            }),
        )
        .await;
    world.create_malformed("no-rule").await;
    let mut elsewhere = spec(&[("blue", 1)]);
    elsewhere["listenerARN"] = json!(format!("{ELB}:listener/app/web/50dc/gone"));
    world.create("no-listener", elsewhere).await;
    let mut unknown = spec(&[("unknown", 1)]);
    unknown["listener"]["rule"]["priority"] = json!(12);
    world.create("no-group", unknown).await;
    let message = world.until_error("no-condition", "InvalidSpec").await;
    assert!(message.contains("no condition"), "{message}");
    world.until_error("no-rule", "InvalidSpec").await;
    world.until_error("no-listener", "ListenerNotFound").await;
    world.until_error("no-group", "TargetGroupNotFound").await;
    world.create("cell1", spec(&[("blue", 1)])).await;
    world.until_updated("cell1", &[("blue", 1)]).await;
}

#[tokio::test]
async fn denied_credentials_name_the_missing_action() {
    let world = World::start().await;
    world.aws.fail_next([Fault::Refused(Meaning::Denied, "AccessDenied")]);
    world.create("cell1", spec(&[("blue", 1)])).await;
    let message = world.until_error("cell1", "AccessDenied").await;
    assert!(message.contains("elasticloadbalancing:CreateRule"), "{message}");
    world.until_updated("cell1", &[("blue", 1)]).await;
}

#[tokio::test]
async fn a_lost_listener_is_told_and_what_aws_showed_is_kept() {
    let world = World::start().await;
    world.create("cell1", spec(&[("blue", 1)])).await;
    world.until_updated("cell1", &[("blue", 1)]).await;
    world.aws.lose_listener();
    world.until_error("cell1", "ListenerNotFound").await;
    let status = world.until("cell1", |status| status.reason.is_some()).await;
    assert_eq!(status.target_groups.len(), 1);
}

#[tokio::test]
async fn a_group_without_healthy_targets_is_told_with_its_time() {
    let world = World::start().await;
    world.create_group("green").await;
    world.create("cell1", spec(&[("blue", 90), ("green", 10)])).await;
    world.until_updated("cell1", &[("blue", 90), ("green", 10)]).await;
    world.aws.set_healthy("green", 0);
    let down = world.until("cell1", |status| status.target_groups[1].healthy_targets == Some(0)).await;
    assert!(down.target_groups[1].unhealthy_since.is_some());
    world.until_told("green", 0).await;
    world.aws.set_healthy("green", 1);
    let up = world.until("cell1", |status| status.target_groups[1].healthy_targets == Some(1)).await;
    assert_eq!(up.target_groups[1].unhealthy_since, None);
}

#[tokio::test]
async fn a_target_group_that_no_config_holds_is_read_once_it_appears() {
    let world = World::start().await;
    world.aws.set_healthy("spare", 0);
    world.create_group("spare").await;
    world.until_told("spare", 0).await;
}

#[tokio::test]
async fn nothing_is_written_once_the_term_is_over() {
    let world = World::start().await;
    world.create("cell1", spec(&[("blue", 1), ("green", 1)])).await;
    world.until_updated("cell1", &[("blue", 1), ("green", 1)]).await;
    world.fence.end();
    let writes = world.aws.writes().len();
    world.patch("cell1", to(&[("blue", 1), ("green", 3)])).await;
    let reads = world.aws.reads();
    world.eventually("the rule is read again", || world.aws.reads() > reads + 1).await;
    assert_eq!(world.aws.writes().len(), writes);
    assert_eq!(world.aws.weights(10)[1].1, 1);
}

#[tokio::test]
async fn a_target_group_tells_what_aws_says_of_it() {
    let world = World::start().await;
    world.aws.set_healthy("blue", 2);
    world.create_group("blue").await;
    world.create_group("nobody").await;
    let status = world.until_group("blue", |status| status.healthy_targets == Some(2)).await;
    assert_eq!((status.phase.as_deref(), status.registered_targets), (Some("Healthy"), Some(2)));
    assert_eq!(status.conditions[0].type_, "Ready");
    world.aws.set_healthy("blue", 0);
    world.until_group("blue", |status| status.phase.as_deref() == Some("Unhealthy")).await;
    // One that AWS does not have is told so, and counts nobody healthy.
    let status = world.until_group("nobody", |status| status.reason.is_some()).await;
    assert_eq!((status.reason.as_deref(), status.healthy_targets), (Some("TargetGroupNotFound"), Some(0)));
}

/// Upstream's loop over rules returned after the first that needed no change.
#[tokio::test]
async fn defect_01_rules_behind_one_that_needs_no_change_are_written_too() {
    let world = World::start().await;
    let rules = [("cell1", 10), ("cell2", 20), ("cell3", 30)];
    for (name, priority) in rules {
        let mut spec = spec(&[("blue", 100), ("green", 0)]);
        spec["listener"]["rule"]["priority"] = json!(priority);
        spec["listener"]["rule"]["hosts"] = json!([format!("{name}.example.com")]);
        world.create(name, spec).await;
        world.until_updated(name, &[("blue", 100), ("green", 0)]).await;
    }
    for (name, priority) in [("cell2", 20), ("cell3", 30)] {
        world.patch(name, to(&[("blue", 40), ("green", 60)])).await;
        world.until_updated(name, &[("blue", 40), ("green", 60)]).await;
        assert_eq!(world.aws.weights(priority), [("blue".to_owned(), 40), ("green".to_owned(), 60)]);
    }
    assert_eq!(world.aws.weights(10), [("blue".to_owned(), 100), ("green".to_owned(), 0)]);
}

/// Upstream took the weight of the last rule that names the target group.
#[tokio::test]
async fn defect_03_the_weight_told_is_that_of_the_own_rule_and_of_no_other() {
    let world = World::start().await;
    world.create("cell1", spec(&[("blue", 90), ("green", 10)])).await;
    world.until_updated("cell1", &[("blue", 90), ("green", 10)]).await;
    for priority in [5, 99] {
        world.aws.by_hand(priority, "other.example.com", &[("blue", 3), ("green", 97)]);
    }
    // A change of health shows that passes went by since.
    world.aws.set_healthy("green", 2);
    let passed = |healthy: Option<i64>| healthy == Some(2);
    let status = world
        .until("cell1", |status| status.target_groups.iter().any(|group| passed(group.healthy_targets)))
        .await;
    let weights: Vec<_> = status.target_groups.iter().map(|group| group.weight).collect();
    assert_eq!((weights, status.drift), (vec![Some(90), Some(10)], None));
}
