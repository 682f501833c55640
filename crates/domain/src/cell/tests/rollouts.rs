//! Rollouts: gates, deadlines, edits, supersession (`spec/okra.md` 3.4.2,
//! rules 10 to 14).

use super::world::*;
use crate::cell::*;
use crate::{ConditionType, Phase, Reason, RolloutId};

fn rolling(steps: Vec<Step>) -> World {
    World::serving(1, canary(steps), 1, &[("a1", 100)], &["a1", "b1"])
}

#[test]
fn the_gate_holds_every_raise_until_every_canary_is_healthy() {
    let mut world = rolling(vec![Step::SetWeight(20)]);
    world.health.insert("b1".into(), 0);
    let plan = world.run();
    assert_eq!((serving(&plan), reasons(&plan)[0]), (vec![("a1", 100)], Reason::WaitingForHealth));
    assert!(
        plan.reasons[0].message.contains("has 0 healthy targets of the 1"),
        "{}",
        plan.reasons[0].message
    );
    world.health.insert("b1".into(), 1);
    world.confirm();
    assert_eq!(serving(&world.pass()), [("a1", 80), ("b1", 20)]);
}

#[test]
fn absent_health_does_not_hold_and_a_gate_of_0_is_none() {
    let mut world = rolling(vec![Step::SetWeight(20)]);
    world.pass();
    world.confirm();
    for report in &mut world.config().status.target_groups {
        report.healthy_targets = None;
    }
    world.group_mut("b1").healthy_targets = None;
    assert_eq!(serving(&world.plan()), [("a1", 80), ("b1", 20)]);
    let mut world = rolling(vec![Step::SetWeight(20)]).spec(|spec| spec.readiness.healthy_targets = 0);
    world.health.insert("b1".into(), 0);
    world.pass();
    world.confirm();
    assert_eq!(serving(&world.plan()), [("a1", 80), ("b1", 20)]);
}

#[test]
fn healthy_percent_compares_with_the_stable_mean() {
    let mut world = rolling(vec![Step::SetWeight(20)]).spec(|spec| spec.readiness.healthy_percent = 50);
    world.health.extend([("a1".into(), 10), ("b1".into(), 4)]);
    let plan = world.run();
    assert_eq!(reasons(&plan)[0], Reason::WaitingForHealth);
    assert!(plan.reasons[0].message.contains("40 %"), "{}", plan.reasons[0].message);
    world.health.insert("b1".into(), 5);
    world.confirm();
    assert_eq!(serving(&world.pass()), [("a1", 80), ("b1", 20)]);
}

#[test]
fn health_must_hold_for_stabilize_seconds() {
    let mut world = rolling(vec![Step::SetWeight(20)]).spec(|spec| spec.readiness.stabilize_seconds = 60);
    world.run();
    world.wait(30);
    world.health.insert("b1".into(), 0);
    world.confirm();
    world.run();
    world.health.clear();
    world.confirm();
    let plan = world.run();
    assert_eq!(reasons(&plan)[0], Reason::WaitingForHealth);
    assert_eq!(plan.wake_at, Some(View::later(world.now, 60)), "the time begins anew");
    world.wait(60);
    assert_eq!(serving(&world.pass()), [("a1", 80), ("b1", 20)]);
}

/// Times in tests.
struct View;
impl View {
    fn later(at: jiff::Timestamp, seconds: i64) -> jiff::Timestamp {
        at + jiff::SignedDuration::from_secs(seconds)
    }
}

#[test]
fn workloads_must_be_ready_in_each_canary_cluster() {
    let workload =
        WorkloadReference { kind: "Deployment".into(), namespace: "shop".into(), name: "web".into() };
    let mut world =
        rolling(vec![Step::SetWeight(20)]).spec(|spec| spec.readiness.workloads = vec![workload.clone()]);
    assert_eq!(reasons(&world.run())[0], Reason::WaitingForWorkloads);
    let cluster = "cluster-b1".to_owned();
    world.observed.workloads =
        vec![Workload { cluster, workload, ready: false, message: "1 of 3 ready".into() }];
    let plan = world.run();
    assert!(plan.reasons[0].message.contains("1 of 3 ready"), "{}", plan.reasons[0].message);
    world.observed.workloads[0].ready = true;
    assert_eq!(serving(&world.pass()), [("a1", 80), ("b1", 20)]);
}

#[test]
fn a_canary_that_turns_unhealthy_with_weight_fails_after_unhealthy_seconds() {
    let mut world = rolling(vec![Step::SetWeight(20), Step::Pause(None)]);
    world.run();
    world.health.insert("b1".into(), 0);
    world.confirm();
    let plan = world.run();
    assert_eq!(plan.wake_at, Some(View::later(world.now, 30)));
    world.wait(30);
    let plan = world.pass();
    assert_eq!((plan.phase(), reasons(&plan)[0]), (Phase::Failed, Reason::CanaryUnhealthy));
    assert_eq!((serving(&plan), plan.block.len()), (vec![("a1", 100)], 1));
}

#[test]
fn an_interrupted_failure_is_finished_although_the_canary_lost_its_weight() {
    let mut world = rolling(vec![Step::SetWeight(20), Step::Pause(None)]);
    world.run();
    world.health.insert("b1".into(), 0);
    world.confirm();
    world.wait(30);
    let plan = world.plan();
    world.carry_out(&plan, 1);
    world.confirm();
    world.run();
    assert_eq!(world.observed.blocklist.len(), 1);
    assert_eq!(world.observed.status.phase, Some(Phase::Failed));
}

#[test]
fn an_unhealthy_stable_side_is_said_and_not_acted_on() {
    let mut world = rolling(vec![Step::SetWeight(20), analysis()]);
    world.run();
    world.health.insert("a1".into(), 0);
    world.group_mut("a1").healthy_targets = Some(0);
    world.confirm();
    world.wait(30);
    let plan = world.run();
    assert!(holds(&plan, ConditionType::Degraded));
    assert_eq!(serving(&plan), [("a1", 80), ("b1", 20)]);
    // Going back to it would be worse: a failure leaves the weights to a human.
    world.judge(StepReference::Index(1), ComponentPhase::Failed, "bad");
    let plan = world.run();
    assert_eq!((plan.phase(), reasons(&plan)[0]), (Phase::Degraded, Reason::StableUnhealthy));
    assert_eq!((serving(&plan), plan.block.len()), (vec![("a1", 80), ("b1", 20)], 0));
    world.command("c1", Verb::Abort);
    assert_eq!(serving(&world.pass()), [("a1", 100)]);
}

#[test]
fn the_progress_deadline_reports_or_aborts() {
    let mut world = rolling(vec![Step::SetWeight(20)]);
    world.health.insert("b1".into(), 0);
    let plan = world.run();
    assert_eq!(plan.wake_at, Some(View::later(world.now, 600)));
    world.wait(600);
    let plan = world.run();
    assert_eq!(plan.phase(), Phase::Progressing);
    let progressing = plan.status.condition(ConditionType::Progressing).expect("a condition");
    assert!(!progressing.status);
    assert_eq!(progressing.reason, Reason::ProgressDeadlineExceeded.into());
    world.observed.spec.progress_deadline_action = DeadlineAction::Abort;
    let plan = world.pass();
    assert_eq!((plan.phase(), plan.block[0].cause), (Phase::Failed, Reason::ProgressDeadlineExceeded));
}

#[test]
fn edited_steps_keep_the_weight_and_go_on_behind_it() {
    let mut world =
        rolling(vec![Step::SetWeight(20), Step::Pause(None), Step::SetWeight(50), Step::Pause(None)]);
    world.run();
    let first = world.observed.status.rollout_id.clone();
    world.observed.spec.steps =
        canary(vec![Step::SetWeight(10), Step::SetWeight(20), analysis(), Step::SetWeight(70)]);
    let plan = world.pass();
    assert_ne!(plan.status.rollout_id, first);
    assert_eq!(serving(&plan), [("a1", 80), ("b1", 20)]);
    assert_eq!(plan.status.current_step_index, Some(2));
    assert_eq!(plan.create.len(), 1);
    assert_eq!(plan.delete.len(), 1, "the pause of the old steps");
}

#[test]
fn a_rollout_of_the_go_program_goes_on_at_its_weight() {
    let mut world = World::serving(1, table_steps(), 1, &[("a1", 80), ("b1", 20)], &["a1", "b1"]);
    world.observed.status = Status::default();
    let mut old = component(ComponentKind::AnalysisRun, "web-1-errors", StepReference::Index(1));
    old.rollout_id = None;
    old.phase = ComponentPhase::Failed;
    world.observed.components.push(old);
    let import = world.pass();
    assert!(import.config.is_none() && import.delete.is_empty());
    let plan = world.pass();
    assert_eq!(serving(&plan), [("a1", 80), ("b1", 20)]);
    assert_eq!((plan.status.current_step_index, plan.phase()), (Some(1), Phase::Progressing));
    assert_eq!(plan.delete[0].name, "web-1-errors");
    assert_eq!(plan.create.len(), 1);
}

#[test]
fn a_missing_status_field_restarts_nothing() {
    let mut world =
        World::serving(1, table_steps(), 1, &[("a1", 80), ("b1", 20)], &["a1", "b1"]).rolling(2, 1);
    world.run();
    let id = Some(RolloutId::recorded("r1"));
    let cases: [fn(&mut Status); 6] = [
        |status| status.rollout = None,
        |status| status.phase = None,
        |status| status.steps_hash = None,
        |status| status.weights.clear(),
        |status| status.current_step_index = None,
        |status| {
            status.desired_version = None;
            status.rollout = None;
        },
    ];
    for (index, forget) in cases.into_iter().enumerate() {
        let mut forgetful = world.clone();
        forget(&mut forgetful.observed.status);
        let plan = forgetful.run();
        assert_eq!(plan.status.rollout_id, id, "case {index}");
        assert_eq!(plan.status.current_step_index, Some(1), "case {index}");
        assert_eq!(serving(&plan), [("a1", 80), ("b1", 20)], "case {index}");
        assert_eq!(forgetful.observed.components.len(), 1, "case {index}");
    }
}

#[test]
fn a_member_that_joins_a_serving_side_waits_for_its_health() {
    let mut world = World::serving(2, table_steps(), 1, &[("a1", 50), ("a2", 50)], &["a1", "a2", "a3"]);
    world.group_mut("a3").healthy_targets = Some(0);
    assert_eq!(all(&world.pass()), [("a1", 50), ("a2", 50), ("a3", 0)]);
    world.group_mut("a3").healthy_targets = Some(1);
    assert_eq!(all(&world.pass()), [("a1", 33), ("a2", 33), ("a3", 34)]);
    // An absent status holds for 30 s after creation, and no longer.
    world.remove("a3");
    world.pass();
    world.add("a3");
    let now = world.now;
    let fresh = world.group_mut("a3");
    (fresh.healthy_targets, fresh.created_at) = (None, Some(now));
    let plan = world.pass();
    assert_eq!(all(&plan), [("a1", 50), ("a2", 50), ("a3", 0)]);
    assert_eq!(plan.wake_at, Some(View::later(now, 30)));
    world.wait(30);
    assert_eq!(all(&world.pass()), [("a1", 33), ("a2", 33), ("a3", 34)]);
}

#[test]
fn a_rollback_waits_for_health_while_others_serve() {
    let mut world =
        World::serving(1, table_steps(), 2, &[("b1", 100)], &["a1", "b1"]).spec(|spec| spec.pin = Some(v(1)));
    world.group_mut("a1").healthy_targets = Some(0);
    let plan = world.pass();
    assert_eq!(all(&plan), [("a1", 0), ("b1", 100)]);
    assert_eq!(reasons(&plan)[0], Reason::WaitingForHealth);
    let mut promoted = world.clone();
    promoted.command("c1", Verb::Promote);
    assert_eq!(serving(&promoted.pass()), [("a1", 100)]);
    world.group_mut("a1").healthy_targets = Some(1);
    assert_eq!(serving(&world.pass()), [("a1", 100)]);
    // With nothing healthy left there is no waiting.
    let mut world =
        World::serving(1, table_steps(), 2, &[("b1", 100)], &["a1", "b1"]).spec(|spec| spec.pin = Some(v(1)));
    for name in ["a1", "b1"] {
        world.group_mut(name).healthy_targets = Some(0);
    }
    assert_eq!(serving(&world.pass()), [("a1", 100)]);
}

#[test]
fn a_version_blocked_midway_goes_back_and_counts_as_failed() {
    let mut world = rolling(vec![Step::SetWeight(20), Step::Pause(None)]);
    world.run();
    world.block(2);
    assert_eq!(serving(&world.pass()), [("a1", 100)]);
    world.confirm();
    let rest = world.run();
    assert_eq!(rest.phase(), Phase::Failed);
    assert_eq!(rest.status.history[0].outcome, Some(Outcome::Failed));
}

#[test]
fn a_pin_that_cannot_be_followed_holds_the_steps() {
    let mut world = rolling(vec![Step::SetWeight(20), Step::Pause(Some(60))]);
    world.run();
    world.observed.spec.pin = Some(v(9));
    world.wait(120);
    let plan = world.run();
    assert_eq!((plan.phase(), reasons(&plan)[0]), (Phase::Progressing, Reason::WaitingForReplicas));
    assert_eq!(serving(&plan), [("a1", 80), ("b1", 20)]);
    world.observed.spec.pin = None;
    assert_eq!(world.run().phase(), Phase::Completed);
    assert_eq!(world.observed.status.history.len(), 1);
}

#[test]
fn without_a_gate_the_healthy_ones_of_a_canary_begin() {
    let steps = canary(vec![Step::SetWeight(20), Step::Pause(None)]);
    let mut world = World::serving(2, steps, 1, &[("a1", 100)], &["a1", "b1", "b2"])
        .spec(|spec| spec.readiness.healthy_targets = 0);
    world.pass();
    world.confirm();
    world.group_mut("b1").healthy_targets = Some(0);
    assert_eq!(serving(&world.pass()), [("a1", 80), ("b2", 20)]);
    let mut none =
        World::serving(2, canary(vec![Step::SetWeight(20)]), 1, &[("a1", 100)], &["a1", "b1", "b2"])
            .spec(|spec| spec.readiness.healthy_targets = 0);
    none.pass();
    none.confirm();
    for name in ["b1", "b2"] {
        none.group_mut(name).healthy_targets = Some(0);
    }
    assert_eq!(serving(&none.pass()), [("a1", 80), ("b1", 10), ("b2", 10)], "there is no gate");
}

#[test]
fn a_rollback_does_not_oversleep_a_target_group_that_says_nothing() {
    let mut world =
        World::serving(1, table_steps(), 2, &[("b1", 100)], &["a1", "b1"]).spec(|spec| spec.pin = Some(v(1)));
    let now = world.now;
    let heir = world.group_mut("a1");
    (heir.created_at, heir.healthy_targets) = (Some(now), None);
    let plan = world.pass();
    assert_eq!((reasons(&plan)[0], serving(&plan)), (Reason::WaitingForHealth, vec![("b1", 100)]));
    assert_eq!(plan.wake_at, Some(now + jiff::SignedDuration::from_secs(30)));
    world.now = plan.wake_at.expect("just seen");
    assert_eq!(serving(&world.pass()), [("a1", 100)]);
}

#[test]
fn a_pin_to_a_blocked_version_does_not_keep_its_weight_alive() {
    // Blocked midway, while stable was not healthy: it goes back when it can.
    let mut world =
        World::serving(1, table_steps(), 1, &[("a1", 80), ("b1", 20)], &["a1", "b1"]).rolling(2, 1);
    world.run();
    world.block(2);
    world.group_mut("a1").healthy_targets = Some(0);
    assert_eq!(serving(&world.pass()), [("a1", 80), ("b1", 20)]);
    world.observed.spec.pin = Some(v(2));
    let plan = world.pass();
    assert_ne!(plan.phase(), Phase::Completed, "{:?}", plan.reasons);
    world.group_mut("a1").healthy_targets = Some(2);
    assert_eq!(serving(&world.pass()), [("a1", 100)]);
    world.confirm();
    assert_eq!(world.run().phase(), Phase::Failed);
}

#[test]
fn the_history_says_who_pinned_and_why() {
    let mut world =
        World::serving(1, table_steps(), 2, &[("a1", 0), ("b1", 100)], &["a1", "b1"]).spec(|spec| {
            spec.pin = Some(v(1));
            spec.pin_word = Some(PinWord { by: Some("ann".into()), why: Some("checkout is slow".into()) });
        });
    world.pass();
    world.confirm();
    let entry = world.run().status.history[0].clone();
    assert_eq!((entry.outcome, entry.by.as_deref()), (Some(Outcome::RolledBack), Some("ann")));
    assert_eq!(entry.message, "spec.version asked for 1.0.0: checkout is slow");
}

#[test]
fn a_takeover_ends_although_a_pin_that_cannot_be_followed_came_between() {
    let mut world = World::serving(1, table_steps(), 2, &[("a1", 0), ("b1", 100)], &["a1", "b1"])
        .spec(|spec| spec.pin = Some(v(1)));
    assert_eq!(serving(&world.pass()), [("a1", 100)]);
    world.observed.spec.pin = Some(v(3));
    world.confirm();
    let plan = world.run();
    assert_eq!((serving(&plan), &plan.status.stable_version), (vec![("a1", 100)], &served(1)));
    assert_eq!(plan.status.history[0].outcome, Some(Outcome::RolledBack));
    assert_eq!(reasons(&plan)[0], Reason::WaitingForReplicas);
}

#[test]
fn sticky_rules_let_a_failed_version_leave_at_once() {
    let mut world = rolling(vec![Step::SetWeight(20), Step::Pause(None)])
        .spec(|spec| spec.listener = Some(ListenerPart { stickiness_seconds: Some(600), ..listener(10) }));
    world.run();
    world.command("c1", Verb::Abort);
    assert_eq!(all(&world.pass()), [("a1", 100)]);
}

#[test]
fn a_healthy_orphan_serves_until_its_heir_is_ready() {
    let mut world = World::serving(1, table_steps(), 1, &[("a1", 100)], &["a2"]);
    world.group_mut("a2").healthy_targets = Some(0);
    let plan = world.pass();
    assert_eq!(all(&plan), [("a1", 100), ("a2", 0)]);
    assert!(reasons(&plan).contains(&Reason::WaitingForHealth));
    let mut dead = world.clone();
    dead.health.insert("a1".into(), 0);
    dead.confirm();
    assert_eq!(all(&dead.pass()), [("a2", 100)], "a dead orphan is not waited for");
    world.group_mut("a2").healthy_targets = Some(1);
    assert_eq!(all(&world.pass()), [("a2", 100)]);
}

#[test]
fn a_takeover_has_not_arrived_while_an_orphan_serves_for_it() {
    // What b1 was is not recorded, so it counts for the side that lacks its own.
    let mut world = World::serving(1, table_steps(), 2, &[("a1", 0), ("b1", 100)], &["a1"]);
    world.group_mut("a1").healthy_targets = Some(0);
    let plan = world.run();
    assert_eq!((serving(&plan), plan.phase()), (vec![("b1", 100)], Phase::Progressing));
    assert_eq!(plan.status.stable_version, served(2));
    world.group_mut("a1").healthy_targets = Some(2);
    let plan = world.run();
    assert_eq!((serving(&plan), &plan.status.stable_version), (vec![("a1", 100)], &served(1)));
}

#[test]
fn a_side_that_cannot_take_its_share_yields_it() {
    let config = [("a1", 80), ("b1", 20)];
    let mut world = World::serving(1, table_steps(), 1, &config, &["a1", "b2"]).rolling(2, 1);
    world.group_mut("b2").healthy_targets = Some(0);
    world.health.insert("b1".into(), 0);
    world.confirm();
    let plan = world.pass();
    assert_eq!(all(&plan), [("a1", 100), ("b2", 0)]);
    // The canary lost its weight: with a healthy target the version begins anew.
    world.group_mut("b2").healthy_targets = Some(1);
    world.confirm();
    let plan = world.pass();
    assert_ne!(plan.status.rollout_id, Some(RolloutId::recorded("r1")));
    assert_eq!(plan.status.current_step_index, Some(0));
}
