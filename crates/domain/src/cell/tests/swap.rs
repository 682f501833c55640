//! Whole swaps, as data.

use super::world::*;
use crate::cell::*;
use crate::{ConditionType, Phase, Reason, Weight};

const STEP_ANALYSIS: StepReference = StepReference::Index(4);

/// The demo: 10, pause, 50, pause, analysis, then 100.
fn demo_steps() -> Steps {
    let pause = || Step::Pause(Some(4));
    canary(vec![Step::SetWeight(10), pause(), Step::SetWeight(50), pause(), analysis()])
}

fn demo() -> World {
    let mut world = World::new(2, demo_steps()).spec(|spec| spec.settle_seconds = 2);
    world.reports_health = true;
    world.know(&["a1", "a2"]);
    world.run();
    world
}

fn named(weights: &[(String, Weight)]) -> Vec<(&str, Weight)> {
    weights.iter().map(|(name, weight)| (name.as_str(), *weight)).collect()
}

/// Brings the swap to its analysis.
fn to_analysis(world: &mut World) {
    world.add("b1");
    assert_eq!(reasons(&world.run()), [Reason::WaitingForReplicas]);
    world.add("b2");
    let attach = world.pass();
    assert_eq!(all(&attach), [("a1", 50), ("a2", 50), ("b1", 0), ("b2", 0)]);
    assert!(attach.status_first && attach.needs_fresh_view);
    assert_eq!((attach.phase(), reasons(&attach)[0]), (Phase::Progressing, Reason::Attaching));
    world.confirm();
    world.run();
    assert_eq!(named(&world.weights()), [("a1", 45), ("a2", 45), ("b1", 5), ("b2", 5)]);
    for expected in [Reason::Settling, Reason::PauseRunning] {
        let plan = world.run();
        assert_eq!(reasons(&plan)[0], expected);
        world.now = plan.wake_at.expect("a time to go on");
    }
    world.run();
    assert_eq!(named(&world.weights()), [("a1", 25), ("a2", 25), ("b1", 25), ("b2", 25)]);
    for expected in [Reason::Settling, Reason::PauseRunning] {
        let plan = world.run();
        assert_eq!(reasons(&plan)[0], expected);
        world.now = plan.wake_at.expect("a time to go on");
    }
    let plan = world.run();
    assert_eq!((reasons(&plan)[0], plan.status.current_step_index), (Reason::AnalysisRunning, Some(4)));
}

#[test]
fn a_swap_of_two_pairs_of_clusters() {
    let mut world = demo();
    assert_eq!(named(&world.weights()), [("a1", 50), ("a2", 50)]);
    to_analysis(&mut world);
    world.judge(STEP_ANALYSIS, ComponentPhase::Successful, "");
    let finish = world.pass();
    assert_eq!(all(&finish), [("a1", 0), ("a2", 0), ("b1", 50), ("b2", 50)]);
    assert_eq!(finish.phase(), Phase::Progressing);
    world.confirm();
    let end = world.pass();
    assert_eq!((end.phase(), &end.status.stable_version), (Phase::Completed, &served(2)));
    assert!(holds(&end, ConditionType::Ready) && !holds(&end, ConditionType::Degraded));
    assert_eq!(end.status.current_step_index, Some(5));
    assert_eq!(end.delete.iter().filter(|name| name.kind == ComponentKind::Pause).count(), 2);
    let history = &end.status.history[0];
    assert_eq!(
        (history.outcome, &history.from, &history.to),
        (Some(Outcome::Completed), &served(1), &served(2))
    );
    assert_eq!(history.analyses.len(), 1);
    let rest = world.run();
    assert!(rest.is_idle(&world.observed.status));
    assert!(
        world
            .observed
            .status
            .weights
            .iter()
            .filter(|entry| entry.weight == 0)
            .all(|entry| entry.since.is_some())
    );
}

#[test]
fn a_swap_that_fails_its_analysis() {
    let mut world = demo();
    to_analysis(&mut world);
    world.judge(STEP_ANALYSIS, ComponentPhase::Failed, "error share 0.2 above 0.05");
    let plan = world.pass();
    assert_eq!(all(&plan), [("a1", 50), ("a2", 50), ("b1", 0), ("b2", 0)]);
    assert_eq!((plan.phase(), reasons(&plan)[0]), (Phase::Failed, Reason::AnalysisFailed));
    assert_eq!(plan.config.as_ref().and_then(|write| write.overwrite.clone()), Some(Overwrite::Always));
    let block = &plan.block[0];
    assert_eq!((&block.version, block.cause), (&v(2), Reason::AnalysisFailed));
    assert!(block.message.contains("error share 0.2"), "{}", block.message);
    world.confirm();
    let rest = world.run();
    assert_eq!((rest.phase(), &rest.status.stable_version), (Phase::Failed, &served(1)));
    assert!(holds(&rest, ConditionType::VersionBlocked));
    assert_eq!(world.observed.status.history.len(), 1);
    assert!(world.config().overwrite.is_none(), "nothing may be overwritten at rest");
}

#[test]
fn the_next_version_after_a_failed_one_takes_from_the_stable_one() {
    let mut world = demo();
    to_analysis(&mut world);
    world.judge(STEP_ANALYSIS, ComponentPhase::Failed, "bad");
    world.run();
    // The failed pair still drains and holds two of the five slots.
    world.add("c1");
    world.add("c2");
    let waiting = world.run();
    assert_eq!(reasons(&waiting)[0], Reason::Draining);
    world.now = waiting.wake_at.expect("the end of the drain");
    world.run();
    assert_eq!(named(&world.weights()), [("a1", 45), ("a2", 45), ("c1", 5), ("c2", 5)]);
}

#[test]
fn unblocking_starts_a_new_attempt() {
    let mut world = demo();
    to_analysis(&mut world);
    world.judge(STEP_ANALYSIS, ComponentPhase::Failed, "bad");
    world.run();
    let first = world.observed.status.rollout_id.clone();
    world.observed.blocklist.clear();
    let plan = world.pass();
    assert_ne!(plan.status.rollout_id, first);
    assert_eq!((plan.phase(), plan.status.current_step_index), (Phase::Progressing, Some(0)));
    world.confirm();
    world.run();
    // Old runs do not count: the new attempt has its own pause and its own run.
    let plan = world.run();
    assert_eq!(reasons(&plan)[0], Reason::Settling);
}

#[test]
fn a_crash_at_any_write_changes_nothing_in_the_end() {
    for crash in 0..8 {
        let mut world = demo();
        to_analysis(&mut world);
        world.judge(STEP_ANALYSIS, ComponentPhase::Failed, "bad");
        let plan = world.plan();
        world.carry_out(&plan, crash);
        world.confirm();
        let rest = world.run();
        assert_eq!(serving(&rest), [("a1", 50), ("a2", 50)], "crash after {crash} writes");
        assert_eq!(rest.phase(), Phase::Failed, "crash after {crash} writes");
        assert_eq!(world.observed.blocklist.len(), 1);
        assert_eq!(world.observed.status.history.len(), 1);
    }
}
