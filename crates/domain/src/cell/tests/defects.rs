//! Defects seen upstream that a planner could have (`spec/analysis.md` 7.4).

use super::world::*;
use crate::cell::*;
use crate::{ConditionType, Phase, Reason, WeightTotal};

/// Upstream, an error of the verification reads "not verified yet" for ever.
#[test]
fn defect_02_a_write_that_cannot_be_verified_is_said_and_has_a_deadline() {
    let mut world = World::serving(1, table_steps(), 1, &[("a1", 100), ("b1", 0)], &["a1", "b1"]);
    world.pass();
    world.config().status.phase = Some(ConfigPhase::Error);
    world.config().status.message = "ModifyRule: AccessDenied".into();
    let plan = world.pass();
    assert_eq!(reasons(&plan)[0], Reason::WaitingForLoadBalancer);
    assert!(plan.reasons[0].message.contains("AccessDenied"), "{}", plan.reasons[0].message);
    let due = plan.wake_at.expect("the deadline");
    world.now = due;
    let plan = world.pass();
    let progressing = plan.status.condition(ConditionType::Progressing).expect("a condition");
    assert!(!progressing.status);
    assert_eq!(progressing.reason, Reason::ProgressDeadlineExceeded.into());
}

/// Upstream, stable is 100 minus the canary, whatever the total.
#[test]
fn defect_06_stable_gets_what_the_canary_leaves_of_the_total() {
    for (total, config, expected) in [
        (WeightTotal::Hundred, 100, [("a1", 80), ("b1", 20)]),
        (WeightTotal::Thousand, 1000, [("a1", 800), ("b1", 200)]),
    ] {
        let mut world = World::serving(1, table_steps(), 1, &[("a1", config)], &["a1", "b1"])
            .spec(|spec| spec.weight_total = total);
        assert_eq!(all(&world.run()), expected);
    }
}

/// Upstream, `promote --full` right after `undo` reads an old object and does nothing.
#[test]
fn defect_13_promote_fully_right_after_a_rollback_acts_on_what_is_there_now() {
    let mut world = World::serving(
        1,
        canary(vec![Step::SetWeight(20), Step::Pause(None)]),
        1,
        &[("a1", 100)],
        &["a1", "b1"],
    );
    world.run();
    let first = world.observed.status.rollout_id.clone();
    world.observed.spec.pin = Some(v(1));
    assert_eq!(serving(&world.run()), [("a1", 100)]);
    world.observed.spec.pin = None;
    // It names no rollout, so that nothing old is meant.
    world.command("c1", Verb::PromoteFull);
    world.pass();
    assert_ne!(world.observed.status.rollout_id, first, "a new attempt");
    assert!(world.observed.status.last_command.as_ref().is_some_and(|answer| answer.done));
    world.confirm();
    let plan = world.run();
    assert_eq!((serving(&plan), plan.phase()), (vec![("b1", 100)], Phase::Completed));
    // One that names the old rollout is refused and says why.
    let mut world = World::serving(
        1,
        canary(vec![Step::SetWeight(20), Step::Pause(None)]),
        1,
        &[("a1", 100)],
        &["a1", "b1"],
    );
    world.run();
    world.command("c2", Verb::PromoteFull).rollout_id = first.map(|_| crate::RolloutId::recorded("older"));
    world.pass();
    let answer = world.observed.status.last_command.clone().expect("an answer");
    assert!(!answer.done && answer.message.contains("it names rollout older"), "{}", answer.message);
}

/// A stored config may hold anything that its schema lets through.
#[test]
fn weights_beyond_reason_are_brought_to_the_total() {
    let huge = u32::MAX;
    let mut world = World::serving(1, table_steps(), 1, &[("a1", huge), ("b1", huge)], &["a1", "b1"]);
    world.observed.status.stable_version = None;
    world.pass();
    let plan = world.pass();
    let sum: crate::Weight = plan.entries.iter().map(|entry| entry.weight).sum();
    assert_eq!(sum, 100);
}
