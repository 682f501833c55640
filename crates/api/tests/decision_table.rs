//! The rows of `spec/okra.md` 3.4.2 that the Go program got wrong, as
//! objects: a* is 1.0.0, b* is 2.0.0, c* is 3.0.0, steps are 20, analysis, 40.

mod world;

use serde_json::{Value, json};
use world::World;

const STEPS: &str =
    r#"[{"setWeight": 20}, {"analysis": {"templates": [{"templateName": "t"}]}}, {"setWeight": 40}]"#;

/// A Cell that recorded `stable` and whose load balancer shows `config`.
fn world(stable: &str, config: &[(&str, i64)], known: &[&str]) -> World {
    let mut world = World::new(STEPS);
    for name in known {
        let version = match &name[..1] {
            "a" => "1.0.0",
            "b" => "2.0.0",
            _ => "3.0.0",
        };
        world.target_group(name, version);
    }
    world.config(config);
    world.patch_cell(
        &json!({"status": {"stableVersion": stable, "desiredVersion": stable, "phase": "Completed"}}),
    );
    world
}

fn replicas(world: &mut World, replicas: i64) {
    world.patch_cell(&json!({"spec": {"replicas": replicas}}));
}

/// Midway in a rollout to 2.0.0, at step 1.
fn midway() -> Value {
    json!({"status": {"desiredVersion": "2.0.0", "phase": "Progressing", "rolloutID": "r1", "currentStepIndex": 1}})
}

#[test]
fn h_23_scale_in_keeps_the_total_of_the_side() {
    let mut world = world("2.0.0", &[("b1", 50), ("b2", 50)], &["b1"]);
    world.step();
    assert_eq!(world.positive_weights(), [("b1", 100)]);
}

#[test]
fn h_23_scale_in_gives_nothing_to_what_is_retired() {
    let mut world = world("2.0.0", &[("a1", 0), ("b1", 50), ("b2", 50)], &["a1", "b1"]);
    world.step();
    assert_eq!(world.positive_weights(), [("b1", 100)]);
}

#[test]
fn h_23_a_replaced_cluster_takes_the_place_of_the_old_one() {
    let mut world = world("2.0.0", &[("b1", 50), ("b2", 50)], &["b1", "b3"]);
    replicas(&mut world, 2);
    world.step();
    assert_eq!(world.positive_weights(), [("b1", 50), ("b3", 50)]);
}

#[test]
fn h_23_the_old_version_takes_over_when_the_finished_one_vanishes() {
    let mut world = world("2.0.0", &[("a1", 0), ("b1", 100)], &["a1"]);
    world.step();
    assert_eq!(world.positive_weights(), [("a1", 100)]);
}

#[test]
fn h_23_the_stable_version_takes_all_when_the_canary_vanishes_midway() {
    let mut world = world("1.0.0", &[("a1", 80), ("b1", 20)], &["a1"]);
    world.patch_cell(&midway());
    world.step();
    assert_eq!(world.positive_weights(), [("a1", 100)]);
}

#[test]
fn h_21_after_a_failed_version_the_stable_one_gives_the_share() {
    let mut world = world("1.0.0", &[("a1", 100), ("b1", 0)], &["a1", "b1", "c1"]);
    world.block("2.0.0");
    world.settle();
    assert_eq!(world.positive_weights(), [("a1", 80), ("c1", 20)]);
}

#[test]
fn h_22_a_superseded_canary_is_not_promoted() {
    let mut world = world("1.0.0", &[("a1", 80), ("b1", 20)], &["a1", "b1", "c1"]);
    world.patch_cell(&midway());
    world.settle();
    assert_eq!(world.positive_weights(), [("a1", 80), ("c1", 20)]);
}

#[test]
fn h_25_a_failure_without_a_stable_group_leaves_the_canary_serving_all() {
    let mut world = world("1.0.0", &[("b1", 20)], &["b1"]);
    world.patch_cell(&midway());
    world.failed_run("r1", 1);
    world.step();
    assert_eq!((world.positive_weights(), world.phase()), (vec![("b1", 100)], "Degraded"));
}

#[test]
fn h_26_replicas_0_with_a_pin_to_an_absent_version_changes_nothing() {
    let mut world = world("2.0.0", &[("a1", 0), ("b1", 100)], &["a1", "b1"]);
    world.patch_cell(&json!({"spec": {"replicas": 0, "version": "9.9.9"}}));
    world.step();
    assert_eq!((world.weights(), world.phase()), (vec![("a1", 0), ("b1", 100)], "Error"));
    assert_eq!(world.status("reason"), "InvalidSpec");
}

#[test]
fn h_26_more_clusters_than_replicas_all_take_part() {
    let mut world = world("2.0.0", &[("b1", 50), ("b2", 50)], &["b1", "b2", "b3"]);
    replicas(&mut world, 3);
    world.step();
    assert_eq!(world.weights(), [("b1", 33), ("b2", 33), ("b3", 34)]);
}

#[test]
fn a_pin_to_the_old_version_swaps_back_at_once() {
    let mut world = world("2.0.0", &[("a1", 0), ("b1", 100)], &["a1", "b1"]);
    world.patch_cell(&json!({"spec": {"version": "1.0.0"}}));
    world.step();
    assert_eq!(world.weights(), [("a1", 100), ("b1", 0)]);
}
