//! Weights that okra did not write (`spec/okra.md` 2.6.2b).

use super::world::*;
use crate::cell::*;
use crate::{ConditionType, Phase, Reason};

fn rolling() -> World {
    let mut world = World::serving(
        1,
        canary(vec![Step::SetWeight(20), Step::Pause(Some(60))]),
        1,
        &[("a1", 100)],
        &["a1", "b1"],
    );
    world.run();
    world.drift("d1", &[("a1", 30), ("b1", 70)]);
    world
}

#[test]
fn during_a_rollout_everything_holds_until_continue() {
    let mut world = rolling();
    world.wait(120);
    let plan = world.run();
    assert_eq!((plan.phase(), reasons(&plan)[0]), (Phase::Paused, Reason::Drift));
    assert!(holds(&plan, ConditionType::DriftDetected));
    assert!(
        plan.reasons[0].message.contains("a1 30, b1 70") && plan.reasons[0].message.contains("a1 80, b1 20")
    );
    assert!(plan.config.is_none());
    world.command("c1", Verb::Continue);
    let plan = world.pass();
    let write = plan.config.expect("okra's weights again");
    assert_eq!(write.overwrite, Some(Overwrite::Drift("d1".into())));
    world.confirm();
    assert_eq!(world.run().phase(), Phase::Completed);
    assert!(!holds(&world.plan(), ConditionType::DriftDetected));
}

#[test]
fn during_a_rollout_abort_overwrites() {
    let mut world = rolling();
    world.command("c1", Verb::Abort);
    let write = world.pass().config.expect("a write");
    assert_eq!(write.overwrite, Some(Overwrite::Always));
    world.confirm();
    assert_eq!(serving(&world.run()), [("a1", 100)]);
    assert_eq!(world.config().overwrite, None);
}

#[test]
fn entries_that_left_may_be_written_over_a_drift() {
    let mut world = World::serving(2, table_steps(), 1, &[("a1", 50), ("a2", 50)], &["a1"]);
    world.drift("d1", &[("a1", 10), ("a2", 90)]);
    let write = world.pass().config.expect("a write");
    assert_eq!(write.overwrite, Some(Overwrite::Always));
}

fn at_rest(policy: DriftPolicy) -> World {
    let mut world = World::serving(1, table_steps(), 1, &[("a1", 100), ("b1", 0)], &["a1", "b1"])
        .spec(|spec| spec.drift_policy = policy);
    world.block(2);
    world.run();
    world.drift("d1", &[("a1", 50), ("b1", 50)]);
    world
}

#[test]
fn at_rest_report_leaves_the_weights() {
    let mut world = at_rest(DriftPolicy::Report);
    let plan = world.run();
    assert_eq!(plan.phase(), Phase::Completed);
    assert!(holds(&plan, ConditionType::DriftDetected) && plan.config.is_none());
    world.command("c1", Verb::Continue);
    let plan = world.pass();
    assert!(plan.config.is_none());
    assert!(!plan.status.last_command.expect("an answer").done);
}

#[test]
fn at_rest_restore_waits_for_continue() {
    let mut world = at_rest(DriftPolicy::Restore);
    assert!(world.run().config.is_none());
    world.command("c1", Verb::Continue);
    let write = world.pass().config.expect("a write");
    assert_eq!(write.overwrite, Some(Overwrite::Drift("d1".into())));
}

#[test]
fn at_rest_restore_automatically_does_not_wait() {
    let mut world = at_rest(DriftPolicy::RestoreAutomatically);
    let write = world.pass().config.expect("a write");
    assert_eq!(write.overwrite, Some(Overwrite::Drift("d1".into())));
}

#[test]
fn at_rest_no_rollout_begins_before_continue() {
    let mut world = at_rest(DriftPolicy::Report);
    world.add("c1");
    let plan = world.run();
    assert_eq!((all(&plan), plan.phase()), (vec![("a1", 100), ("b1", 0)], Phase::Completed));
    world.command("k1", Verb::Continue);
    let plan = world.pass();
    assert_eq!(all(&plan), [("a1", 100), ("b1", 0), ("c1", 0)]);
    assert_eq!(plan.config.and_then(|write| write.overwrite), Some(Overwrite::Drift("d1".into())));
    assert!(plan.status.last_command.expect("an answer").done);
}

#[test]
fn a_rollback_overwrites_a_drift_although_its_weights_were_written() {
    let mut world = World::serving(1, table_steps(), 2, &[("a1", 0), ("b1", 100)], &["a1", "b1"])
        .spec(|spec| spec.pin = Some(v(1)));
    world.pass();
    world.confirm();
    world.config().overwrite = None;
    world.drift("d1", &[("a1", 50), ("b1", 50)]);
    assert_eq!(world.pass().config.and_then(|write| write.overwrite), Some(Overwrite::Always));
    world.confirm();
    assert_eq!(world.run().status.stable_version, served(1));
}
