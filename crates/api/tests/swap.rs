//! Whole swaps on objects alone: what is listed becomes what the planner
//! sees, the plan becomes objects again, and a stand-in for the load balancer
//! controller confirms what was written. No API server and no clock.

mod world;

use serde_json::json;
use world::World;

const STEPS: &str = r#"[{"setWeight": 20}, {"analysis": {"templates": [{"templateName": "t"}]}},
    {"pause": {"duration": "10m"}}, {"setWeight": 40}]"#;

#[test]
fn a_swap_goes_from_the_first_target_group_to_the_last_clean_up() {
    let mut world = World::new(STEPS);
    world.target_group("a1", "1.0.0");
    world.settle();
    assert_eq!((world.weights(), world.phase()), (vec![("a1", 100)], "Completed"));
    assert_eq!(world.status("stableVersion"), json!("1.0.0"));

    world.target_group("b1", "2.0.0");
    world.step();
    assert_eq!(world.weights(), [("a1", 100), ("b1", 0)], "attached at 0 first");
    assert_eq!(world.phase(), "Progressing");
    world.settle();
    assert_eq!(world.weights(), [("a1", 80), ("b1", 20)]);
    assert_eq!(world.status("canaryWeight"), 20);
    let runs = world.names("AnalysisRun");
    assert_eq!(runs.len(), 1, "{runs:?}");

    world.end_run(&runs[0], "Successful");
    world.settle();
    let pauses = world.names("Pause");
    assert_eq!((pauses.len(), world.status("currentStepIndex")), (1, json!(2)));
    world.pass_seconds(601);
    world.settle();
    assert_eq!(world.weights(), [("a1", 0), ("b1", 100)]);
    assert_eq!((world.phase(), world.status("stableVersion")), ("Completed", json!("2.0.0")));
    assert_eq!(world.status("history")[0]["outcome"], "Completed");
    assert!(world.names("Pause").is_empty(), "pauses go with the end");
    assert_eq!(world.writes_of_an_idle_plan(), 0);
}

#[test]
fn a_failed_analysis_gives_everything_back_and_blocks_the_version() {
    let mut world = World::new(STEPS);
    world.target_group("a1", "1.0.0");
    world.settle();
    world.target_group("b1", "2.0.0");
    world.settle();
    let runs = world.names("AnalysisRun");
    world.end_run(&runs[0], "Failed");
    world.step();
    assert_eq!(world.weights(), [("a1", 100), ("b1", 0)], "in one plan");
    world.settle();
    assert_eq!(world.phase(), "Failed");
    let blocked = world.object("VersionBlocklist", "web");
    assert_eq!(blocked["spec"]["items"][0]["version"], "2.0.0");
    assert_eq!(blocked["spec"]["items"][0]["cause"], "AnalysisFailed");
    assert_eq!(blocked["spec"]["items"][0]["component"], runs[0].as_str());

    // Row "after failed 2.0.0": the failed version gets nothing of what 1.0.0 gives.
    world.target_group("c1", "3.0.0");
    world.settle();
    assert_eq!(world.positive_weights(), [("a1", 80), ("c1", 20)]);
}

#[test]
fn h_22_a_newer_version_midway_starts_again_from_the_stable_one() {
    let mut world = World::new(STEPS);
    world.target_group("a1", "1.0.0");
    world.settle();
    world.target_group("b1", "2.0.0");
    world.settle();
    let first = world.status("rolloutID");
    world.target_group("c1", "3.0.0");
    world.settle();
    assert_eq!(world.positive_weights(), [("a1", 80), ("c1", 20)]);
    assert_ne!(world.status("rolloutID"), first);
    assert_eq!(world.status("stableVersion"), "1.0.0");
}

#[test]
fn h_45_a_template_that_is_missing_fails_the_attempt_visibly() {
    let mut world =
        World::new(r#"[{"setWeight": 20}, {"analysis": {"templates": [{"templateName": "gone"}]}}]"#);
    world.target_group("a1", "1.0.0");
    world.settle();
    world.target_group("b1", "2.0.0");
    world.settle();
    assert_eq!((world.positive_weights(), world.phase()), (vec![("a1", 100)], "Failed"));
    let message = world.object("VersionBlocklist", "web")["spec"]["items"][0]["message"].to_string();
    assert!(message.contains("AnalysisTemplate 'gone' not found"), "{message}");
}
