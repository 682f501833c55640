//! The table of `spec/okra.md` 3.4.2: situations that the Go program got wrong.

use super::world::*;
use crate::cell::*;
use crate::{ConditionType, Phase, Reason, Weight};

/// One row that is reached with a single write.
fn row(
    stable: u64,
    replicas: u32,
    config: &[(&str, Weight)],
    known: &[&str],
    required: &[(&str, Weight)],
) -> Plan {
    let world = World::serving(replicas, table_steps(), stable, config, known);
    let plan = world.plan();
    assert_eq!(serving(&plan), required, "{config:?} with {known:?}");
    plan
}

#[test]
fn scale_in() {
    row(2, 1, &[("b1", 50), ("b2", 50)], &["b1"], &[("b1", 100)]);
}

#[test]
fn scale_in_with_an_old_one_at_0() {
    row(2, 1, &[("a1", 0), ("b1", 50), ("b2", 50)], &["a1", "b1"], &[("b1", 100)]);
}

#[test]
fn replaced_cluster() {
    row(2, 2, &[("b1", 50), ("b2", 50)], &["b1", "b3"], &[("b1", 50), ("b3", 50)]);
}

#[test]
fn new_ones_vanish_after_the_end() {
    let plan = row(2, 1, &[("a1", 0), ("b1", 100)], &["a1"], &[("a1", 100)]);
    assert_eq!(reasons(&plan)[0], Reason::FailedOver);
}

#[test]
fn new_ones_vanish_midway() {
    let plan = row(1, 1, &[("a1", 80), ("b1", 20)], &["a1"], &[("a1", 100)]);
    assert_eq!(plan.phase(), Phase::Progressing);
}

#[test]
fn new_ones_vanish_midway_with_a_recorded_rollout() {
    let world = World::serving(1, table_steps(), 1, &[("a1", 80), ("b1", 20)], &["a1"]).rolling(2, 1);
    assert_eq!(serving(&world.plan()), [("a1", 100)]);
}

#[test]
fn after_a_failed_version_the_next_takes_from_the_stable_one() {
    let mut world = World::serving(1, table_steps(), 1, &[("a1", 100), ("b1", 0)], &["a1", "b1", "c1"]);
    world.block(2);
    let attach = world.pass();
    assert_eq!(all(&attach), [("a1", 100), ("b1", 0), ("c1", 0)]);
    world.confirm();
    assert_eq!(serving(&world.plan()), [("a1", 80), ("c1", 20)]);
}

#[test]
fn superseded_midway() {
    let mut world =
        World::serving(1, table_steps(), 1, &[("a1", 80), ("b1", 20)], &["a1", "b1", "c1"]).rolling(2, 1);
    let attach = world.pass();
    assert_eq!(all(&attach), [("a1", 100), ("b1", 0), ("c1", 0)]);
    world.confirm();
    assert_eq!(serving(&world.plan()), [("a1", 80), ("c1", 20)]);
    assert_eq!(world.observed.status.history[0].outcome, Some(Outcome::Superseded));
}

#[test]
fn superseded_midway_with_the_finish_policy() {
    let world = World::serving(1, table_steps(), 1, &[("a1", 80), ("b1", 20)], &["a1", "b1", "c1"])
        .rolling(2, 1)
        .spec(|spec| spec.supersede = Supersede::Finish);
    let plan = world.plan();
    assert_eq!(serving(&plan), [("a1", 80), ("b1", 20)]);
    assert_eq!(plan.status.desired_version, served(2));
}

#[test]
fn failure_without_stable() {
    let mut world = World::serving(1, table_steps(), 1, &[("b1", 20)], &["b1"]).rolling(2, 1);
    let mut run = component(ComponentKind::AnalysisRun, "web-r1-1-analysis", StepReference::Index(1));
    run.phase = ComponentPhase::Failed;
    world.observed.components.push(run);
    let plan = world.pass();
    assert_eq!(serving(&plan), [("b1", 100)]);
    assert_eq!(plan.phase(), Phase::Degraded);
    assert!(holds(&plan, ConditionType::Degraded));
    assert_eq!(plan.block.len(), 1);
    world.confirm();
    let after = world.run();
    assert_eq!((serving(&after), after.phase()), (vec![("b1", 100)], Phase::Degraded));
}

#[test]
fn replicas_0_is_invalid() {
    let world = World::serving(1, table_steps(), 2, &[("a1", 0), ("b1", 100)], &["a1", "b1"]).spec(|spec| {
        spec.pin = Some(v(9));
        spec.errors = vec![SpecError { field: "spec.replicas".into(), message: "0 is below 1".into() }];
    });
    let plan = world.plan();
    assert_eq!(all(&plan), [("a1", 0), ("b1", 100)]);
    assert!(plan.config.is_none());
    assert_eq!((plan.phase(), reasons(&plan)[0]), (Phase::Error, Reason::InvalidSpec));
}

#[test]
fn scale_out() {
    row(2, 3, &[("b1", 50), ("b2", 50)], &["b1", "b2", "b3"], &[("b1", 33), ("b2", 33), ("b3", 34)]);
}

#[test]
fn pin_to_the_old_version() {
    let mut world = World::serving(1, table_steps(), 2, &[("a1", 0), ("b1", 100)], &["a1", "b1"])
        .spec(|spec| spec.pin = Some(v(1)));
    let plan = world.pass();
    assert_eq!(all(&plan), [("a1", 100), ("b1", 0)]);
    world.confirm();
    let after = world.run();
    assert_eq!(after.status.stable_version, served(1));
    assert_eq!(after.status.history[0].outcome, Some(Outcome::RolledBack));
    assert_eq!(after.phase(), Phase::Completed);
}
