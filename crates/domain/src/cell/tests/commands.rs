//! A human's word (`spec/okra.md` 2.6.2b).

use super::world::*;
use crate::cell::*;
use crate::{Phase, Reason, RolloutId, Weight};

fn rolling(steps: Vec<Step>) -> World {
    World::serving(1, canary(steps), 1, &[("a1", 100)], &["a1", "b1"])
}

fn outcome(world: &World) -> (bool, String) {
    let last = world.observed.status.last_command.as_ref().expect("an answer");
    (last.done, last.message.clone())
}

fn served_by(world: &World) -> Vec<(String, Weight)> {
    world.weights()
}

#[test]
fn promote_ends_a_pause_and_only_one() {
    let mut world =
        rolling(vec![Step::SetWeight(20), Step::Pause(None), Step::SetWeight(50), Step::Pause(None)]);
    world.run();
    world.command("c1", Verb::Promote).step = Some(1);
    let plan = world.run();
    assert_eq!(outcome(&world), (true, "ended the pause (step 1)".to_owned()));
    assert_eq!((plan.phase(), plan.status.current_step_index), (Phase::Paused, Some(3)));
    assert_eq!(served_by(&world), [("a1".to_owned(), 50), ("b1".to_owned(), 50)]);
}

#[test]
fn a_command_is_carried_out_once() {
    let mut world = rolling(vec![Step::SetWeight(20), Step::Pause(None), Step::Pause(None)]);
    world.run();
    world.command("c1", Verb::Promote);
    world.run();
    let plan = world.run();
    assert_eq!(plan.status.current_step_index, Some(2));
    assert_eq!(plan.status.command_ids, ["c1"]);
}

#[test]
fn the_newest_twenty_ids_are_remembered() {
    let mut world = rolling(vec![]);
    world.run();
    for number in 0..25 {
        world.command(&format!("c{number}"), Verb::Abort);
        world.run();
    }
    let ids = &world.observed.status.command_ids;
    assert_eq!((ids.len(), ids[0].as_str()), (20, "c24"));
}

#[test]
fn what_was_not_meant_is_refused() {
    let mut world = rolling(vec![Step::SetWeight(20), Step::Pause(None)]);
    world.run();
    let before = served_by(&world);
    type Change = fn(&mut Command);
    let cases: [(&str, Change); 6] = [
        ("names rollout", |command| command.rollout_id = Some(RolloutId::recorded("other"))),
        ("names step", |command| command.step = Some(0)),
        ("does not say when", |command| command.at = None),
        ("away; the limit is 600", |command| {
            command.at = Some("2026-11-21T09:00:00Z".parse().expect("a time"));
        }),
        ("away; the limit is 600", |command| {
            command.at = Some("2026-11-21T11:00:00Z".parse().expect("a time"));
        }),
        ("is no verb", |command| command.verb = "Jump".parse::<Verb>()),
    ];
    for (index, (expected, change)) in cases.into_iter().enumerate() {
        change(world.command(&format!("c{index}"), Verb::Promote));
        let plan = world.run();
        let (done, message) = outcome(&world);
        assert!(!done && message.contains(expected), "{expected}: {message}");
        assert_eq!(plan.phase(), Phase::Paused);
    }
    assert_eq!(served_by(&world), before);
}

#[test]
fn with_nothing_to_act_on_every_verb_is_refused() {
    for verb in Verb::ALL {
        let mut world = rolling(vec![]);
        world.run();
        world.command("c1", *verb);
        world.run();
        assert!(!outcome(&world).0, "{verb}");
    }
}

#[test]
fn promote_at_an_analysis_terminates_the_run_and_the_history_says_so() {
    let mut world = rolling(vec![Step::SetWeight(20), analysis()]);
    world.run();
    world.command("c1", Verb::Promote);
    let end = world.run();
    assert_eq!(end.phase(), Phase::Completed);
    assert!(world.observed.components[0].terminating);
    let verdict = &end.status.history[0].analyses[0];
    assert!(verdict.phase.contains("passed by Promote of alice"), "{}", verdict.phase);
}

#[test]
fn promote_ends_settling_but_never_passes_an_unconfirmed_write_or_missing_health() {
    let mut world =
        rolling(vec![Step::SetWeight(20), Step::Pause(None)]).spec(|spec| spec.settle_seconds = 60);
    world.pass();
    world.command("c1", Verb::Promote);
    let plan = world.pass();
    assert_eq!(reasons(&plan)[0], Reason::WaitingForLoadBalancer);
    assert!(!outcome(&world).0);
    world.health.insert("b1".into(), 0);
    world.confirm();
    world.command("c2", Verb::Promote);
    assert_eq!(reasons(&world.pass())[0], Reason::WaitingForHealth);
    assert!(!outcome(&world).0);
    world.health.clear();
    world.confirm();
    assert_eq!(reasons(&world.run())[0], Reason::Settling);
    world.command("c3", Verb::Promote);
    assert_eq!(reasons(&world.run())[0], Reason::PauseRunning);
    assert!(outcome(&world).0);
}

#[test]
fn promote_fully_skips_everything_but_confirmation_and_health() {
    let list =
        vec![Step::SetWeight(20), Step::Pause(None), analysis(), Step::SetWeight(50), Step::Pause(Some(600))];
    let mut world = rolling(list).spec(|spec| spec.settle_seconds = 60);
    world.pass();
    world.health.insert("b1".into(), 0);
    world.confirm();
    world.command("c1", Verb::PromoteFull);
    let plan = world.pass();
    assert_eq!((reasons(&plan)[0], serving(&plan)), (Reason::WaitingForHealth, vec![("a1", 100)]));
    assert!(outcome(&world).0);
    world.health.clear();
    world.confirm();
    let plan = world.pass();
    assert_eq!(serving(&plan), [("b1", 100)]);
    assert_eq!(plan.phase(), Phase::Progressing);
    world.confirm();
    assert_eq!(world.pass().phase(), Phase::Completed);
}

#[test]
fn abort_blocks_with_the_reason_and_is_recorded() {
    let mut world = rolling(vec![Step::SetWeight(20), Step::Pause(None)]);
    world.run();
    world.command("c1", Verb::Abort);
    let plan = world.pass();
    assert_eq!((serving(&plan), plan.phase()), (vec![("a1", 100)], Phase::Failed));
    assert_eq!(plan.block[0].message, "aborted by alice: because");
    let history = &plan.status.history[0];
    assert_eq!((history.outcome, history.by.as_deref()), (Some(Outcome::Aborted), Some("alice")));
    world.confirm();
    assert_eq!(world.run().phase(), Phase::Failed);
}

#[test]
fn retry_unblocks_and_begins_anew() {
    let mut world = rolling(vec![Step::SetWeight(20), analysis()]);
    world.run();
    world.judge(StepReference::Index(1), ComponentPhase::Failed, "bad");
    world.run();
    let failed = world.observed.status.rollout_id.clone();
    world.command("c1", Verb::Retry);
    let plan = world.pass();
    assert_eq!(plan.unblock, [v(2)]);
    assert!(plan.status_first && plan.status.rollout_id != failed);
    assert_eq!(plan.phase(), Phase::Progressing);
    world.confirm();
    let plan = world.run();
    assert_eq!((reasons(&plan)[0], plan.status.current_step_index), (Reason::AnalysisRunning, Some(1)));
    world.command("c2", Verb::Retry);
    world.run();
    assert!(!outcome(&world).0, "a rollout is under way");
}

#[test]
fn manual_approval_waits_before_each_raise() {
    let mut world =
        rolling(vec![Step::SetWeight(20), Step::SetWeight(50)]).spec(|spec| spec.approval = Approval::Manual);
    for (step, weight) in [(0, 20), (1, 50), (2, 100)] {
        let plan = world.run();
        assert_eq!((plan.phase(), reasons(&plan)[0]), (Phase::Paused, Reason::ApprovalNeeded), "step {step}");
        assert_eq!(plan.status.current_step_index, Some(step));
        world.command(&format!("unnamed-{step}"), Verb::Continue);
        world.run();
        assert!(!outcome(&world).0, "an approval names its step");
        world.command(&format!("named-{step}"), Verb::Continue).step = Some(step);
        let plan = world.pass();
        let canary = plan.entries.iter().find(|entry| entry.name == "b1").map(|entry| entry.weight);
        assert_eq!(canary, Some(weight));
        world.confirm();
    }
    assert_eq!(world.run().phase(), Phase::Completed);
}

#[test]
fn a_malformed_annotation_is_reported_and_ignored() {
    let mut world = rolling(vec![]);
    world.run();
    world.observed.command = Some(CommandObservation::Malformed("not JSON".into()));
    let plan = world.plan();
    assert!(plan.warnings[0].contains("not JSON"));
    assert!(plan.status.last_command.is_none());
}

#[test]
fn paused_holds_weights_but_not_safety() {
    let mut world = rolling(vec![Step::SetWeight(20), Step::Pause(Some(60)), analysis()]);
    world.run();
    world.observed.spec.paused = true;
    world.wait(120);
    let plan = world.run();
    assert_eq!((plan.phase(), reasons(&plan)[0]), (Phase::Paused, Reason::PausedByUser));
    world.add("b2");
    assert!(world.plan().config.is_none(), "nobody joins");
    world.remove("b2");
    world.wait(30);
    world.observed.spec.paused = false;
    let plan = world.run();
    assert_eq!(reasons(&plan)[0], Reason::AnalysisRunning);
    let record = world.observed.status.rollout.clone().expect("a rollout");
    assert_eq!((record.paused_seconds, record.paused_since), (30, None));
    world.observed.spec.paused = true;
    world.judge(StepReference::Index(2), ComponentPhase::Failed, "bad");
    assert_eq!(serving(&world.run()), [("a1", 100)]);
}

#[test]
fn paused_lets_what_left_go() {
    let config = [("a1", 50), ("a2", 50)];
    let mut world =
        World::serving(2, table_steps(), 1, &config, &["a1", "a2", "a3"]).spec(|spec| spec.paused = true);
    assert!(world.plan().config.is_none(), "nobody joins");
    world.remove("a2");
    assert_eq!(all(&world.plan()), [("a1", 100)]);
    world.know(&["b1", "b2"]);
    assert_eq!(serving(&world.plan()), [("b1", 50), ("b2", 50)], "fail-over goes on");
}

#[test]
fn paused_begins_no_rollout() {
    let mut world = rolling(vec![]).spec(|spec| spec.paused = true);
    let plan = world.run();
    assert_eq!((all(&plan), plan.phase()), (vec![("a1", 100)], Phase::Paused));
    assert_eq!(plan.status.rollout_id, None);
}
