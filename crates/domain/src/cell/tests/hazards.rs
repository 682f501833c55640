//! Hazards of the Go program (`spec/okra.md` 5.1, 5.2), by number. H-20, H-32
//! and H-39 also have tests beside the words they concern.

use super::world::*;
use crate::cell::*;
use crate::{ConditionType, Phase, Reason, RolloutId, ServedVersion};

#[test]
fn h_01_a_cell_without_target_groups_waits() {
    let plan = World::new(1, table_steps()).plan();
    assert_eq!((plan.phase(), reasons(&plan)[0]), (Phase::Pending, Reason::NothingToServe));
    assert!(plan.config.is_none() && plan.entries.is_empty());
}

#[test]
fn h_02_a_cell_without_an_alb_block_is_invalid() {
    let mut world = World::new(1, table_steps()).spec(|spec| {
        spec.listener = None;
        spec.errors.push(SpecError { field: "spec.ingress".into(), message: "missing".into() });
    });
    world.know(&["a1"]);
    let plan = world.plan();
    assert_eq!((plan.phase(), plan.config), (Phase::Error, None));
}

#[test]
fn h_03_no_steps_switch_once_the_new_side_is_attached_and_healthy() {
    let mut world = World::serving(1, canary(vec![]), 1, &[("a1", 100)], &["a1", "b1"]);
    assert_eq!(all(&world.pass()), [("a1", 100), ("b1", 0)]);
    world.confirm();
    assert_eq!(all(&world.pass()), [("a1", 0), ("b1", 100)]);
    world.confirm();
    assert_eq!(world.pass().phase(), Phase::Completed);
}

#[test]
fn h_03_blue_green_switches_in_one_write() {
    let steps = Steps::blue_green(vec![analysis(), Step::Promote, analysis()]);
    let mut world = World::serving(1, steps, 1, &[("a1", 100)], &["a1", "b1"]);
    world.run();
    assert_eq!(world.weights(), [("a1".to_owned(), 100)]);
    world.judge(StepReference::Index(0), ComponentPhase::Successful, "");
    let plan = world.run();
    assert_eq!(serving(&plan), [("b1", 100)]);
    assert_eq!(plan.status.current_step_index, Some(2));
    // A post-check that fails switches back.
    world.judge(StepReference::Index(2), ComponentPhase::Failed, "bad");
    assert_eq!(serving(&world.run()), [("a1", 100)]);
}

#[test]
fn h_20_a_list_like_argos_never_jumps_ahead() {
    let steps = canary([20, 40, 60, 80].map(Step::SetWeight).to_vec());
    let mut world = World::serving(1, steps, 1, &[("a1", 100)], &["a1", "b1"]);
    let mut seen = Vec::new();
    for _ in 0..10 {
        let plan = world.pass();
        let weight = plan.entries.iter().find(|entry| entry.name == "b1").map_or(0, |entry| entry.weight);
        if seen.last() != Some(&weight) {
            seen.push(weight);
        }
        world.confirm();
    }
    assert_eq!(seen, [0, 20, 40, 60, 80, 100]);
}

#[test]
fn h_21_the_stable_version_is_the_recorded_one() {
    let mut world = World::serving(1, canary(vec![]), 1, &[("a1", 100), ("b1", 0)], &["a1", "b1"]);
    world.block(2);
    world.add("c1");
    assert_eq!(all(&world.pass()), [("a1", 100), ("b1", 0), ("c1", 0)]);
    assert_eq!(world.observed.status.rollout.as_ref().map(|rollout| rollout.from.clone()), Some(served(1)));
}

#[test]
fn h_22_a_superseded_canary_does_not_become_stable() {
    let mut world =
        World::serving(1, table_steps(), 1, &[("a1", 80), ("b1", 20)], &["a1", "b1", "c1"]).rolling(2, 1);
    let plan = world.pass();
    assert_eq!(serving(&plan), [("a1", 100)]);
    assert_eq!(plan.status.stable_version, served(1));
    assert_ne!(plan.status.rollout_id, Some(RolloutId::recorded("r1")));
}

#[test]
fn h_23_a_vanished_target_group_never_receives() {
    let world = World::serving(2, table_steps(), 2, &[("b1", 50), ("b2", 50)], &["b1"]);
    let plan = world.plan();
    assert_eq!(all(&plan), [("b1", 100)]);
    assert!(holds(&plan, ConditionType::Degraded));
}

#[test]
fn h_23_midway_the_side_keeps_its_total() {
    let config = [("a1", 40), ("a2", 40), ("b1", 10), ("b2", 10)];
    let world = World::serving(2, table_steps(), 1, &config, &["a1", "a2", "b2"]).rolling(2, 1);
    let plan = world.plan();
    assert_eq!(all(&plan), [("a1", 40), ("a2", 40), ("b2", 20)]);
    assert_eq!(reasons(&plan)[0], Reason::WaitingForReplicas);
    let config = [("a1", 40), ("a2", 40), ("b1", 10), ("b2", 10)];
    let world = World::serving(2, table_steps(), 1, &config, &["a1", "b1", "b2"]).rolling(2, 1);
    assert_eq!(all(&world.plan()), [("a1", 80), ("b1", 10), ("b2", 10)]);
}

#[test]
fn h_23_with_the_stable_side_gone_the_canary_takes_over() {
    let mut world = World::serving(1, table_steps(), 1, &[("a1", 80), ("b1", 20)], &["b1"]).rolling(2, 1);
    let plan = world.pass();
    assert_eq!((serving(&plan), reasons(&plan)[0]), (vec![("b1", 100)], Reason::FailedOver));
    world.confirm();
    let rest = world.run();
    assert_eq!((rest.phase(), &rest.status.stable_version), (Phase::Completed, &served(2)));
    assert_eq!(rest.status.history[0].outcome, Some(Outcome::FailedOver));
}

#[test]
fn h_23_without_any_refuge_everything_stays() {
    // A retired entry of an incomplete set is no refuge.
    let world = World::serving(2, table_steps(), 2, &[("a1", 0), ("b1", 50), ("b2", 50)], &["a1"]);
    let plan = world.plan();
    assert_eq!(all(&plan), [("a1", 0), ("b1", 50), ("b2", 50)]);
    assert_eq!((plan.phase(), reasons(&plan)[0]), (Phase::Degraded, Reason::NothingToServe));
}

#[test]
fn h_24_a_new_listener_part_keeps_target_groups_and_weights() {
    let mut world =
        World::serving(1, table_steps(), 1, &[("a1", 80), ("b1", 20)], &["a1", "b1"]).rolling(2, 1);
    world.observed.spec.listener = Some(listener(20));
    let write = world.plan().config.expect("a write");
    assert_eq!(write.listener, listener(20));
    let weights: Vec<_> = write.entries.iter().map(|entry| (entry.name.as_str(), entry.weight)).collect();
    assert_eq!(weights, [("a1", 80), ("b1", 20)]);
}

#[test]
fn h_25_a_failure_without_stable_never_writes_all_zeros() {
    let mut world = World::serving(1, table_steps(), 1, &[("b1", 100)], &["b1"]).rolling(2, 1);
    let mut run = component(ComponentKind::AnalysisRun, "run", StepReference::Index(1));
    run.phase = ComponentPhase::Error;
    world.observed.components.push(run);
    let plan = world.run();
    assert_eq!((serving(&plan), plan.phase()), (vec![("b1", 100)], Phase::Degraded));
}

#[test]
fn h_26_more_target_groups_than_replicas_are_complete() {
    let mut world = World::serving(2, table_steps(), 1, &[("a1", 50), ("a2", 50)], &["a1", "a2"]);
    for name in ["b1", "b2", "b3"] {
        world.add(name);
    }
    world.run();
    assert_eq!(
        world.weights(),
        [("a1", 40), ("a2", 40), ("b1", 6), ("b2", 7), ("b3", 7)].map(|(n, w)| (n.to_owned(), w))
    );
}

#[test]
fn h_27_order_of_lists_changes_nothing_and_nothing_is_written_twice() {
    let config = [("a1", 40), ("a2", 40), ("b1", 10), ("b2", 10)];
    let mut world = World::serving(2, table_steps(), 1, &config, &["a1", "a2", "b1", "b2"]).rolling(2, 1);
    let plan = world.plan();
    world.observed.target_groups.reverse();
    world.config().entries.reverse();
    assert_eq!(world.plan(), plan);
    assert!(plan.config.is_none());
}

#[test]
fn h_28_first_creation_imports_the_live_rule() {
    let mut world = World::new(1, table_steps());
    world.know(&["a1", "b1"]);
    let entry = ConfigEntry { name: String::new(), arn: arn("a1"), weight: 1 };
    world.observed.live_rule = Some(LiveRule { entries: vec![entry] });
    let import = world.pass();
    assert!(import.config.is_none(), "the first pass only records");
    assert_eq!(import.status.stable_version, served(1));
    let attach = world.pass();
    assert_eq!(all(&attach), [("a1", 100), ("b1", 0)]);
    assert!(attach.config.is_some_and(|write| write.create));
}

#[test]
fn h_29_components_of_an_earlier_attempt_do_not_count() {
    let mut world =
        World::serving(1, table_steps(), 1, &[("a1", 80), ("b1", 20)], &["a1", "b1"]).rolling(2, 1);
    let mut old = component(ComponentKind::AnalysisRun, "old", StepReference::Index(1));
    old.rollout_id = Some(RolloutId::recorded("r0"));
    for phase in [ComponentPhase::Successful, ComponentPhase::Failed] {
        old.phase = phase;
        world.observed.components = vec![old.clone()];
        let plan = world.plan();
        assert_eq!(reasons(&plan)[0], Reason::AnalysisRunning);
        assert_eq!(plan.create.len(), 1);
        assert!(plan.create[0].name.contains("r1"), "{}", plan.create[0].name);
    }
}

#[test]
fn h_30_steps_after_a_weight_of_100_are_not_skipped() {
    let steps = canary(vec![Step::SetWeight(100), analysis()]);
    let mut world = World::serving(1, steps, 1, &[("a1", 100)], &["a1", "b1"]);
    let plan = world.run();
    assert_eq!(serving(&plan), [("b1", 100)]);
    assert_eq!((plan.phase(), reasons(&plan)[0]), (Phase::Progressing, Reason::AnalysisRunning));
    world.judge(StepReference::Index(1), ComponentPhase::Failed, "bad");
    assert_eq!(serving(&world.run()), [("a1", 100)]);
}

#[test]
fn h_31_a_run_starts_only_when_its_weight_is_confirmed_and_settled() {
    let mut world = World::serving(1, table_steps(), 1, &[("a1", 100)], &["a1", "b1"])
        .spec(|spec| spec.settle_seconds = 60);
    world.pass();
    world.confirm();
    let raise = world.pass();
    assert_eq!((serving(&raise), raise.create.len()), (vec![("a1", 80), ("b1", 20)], 0));
    // AWS does not answer: nothing starts, however long it takes.
    world.wait(300);
    let unconfirmed = world.pass();
    assert_eq!((reasons(&unconfirmed)[0], unconfirmed.create.len()), (Reason::WaitingForLoadBalancer, 0));
    world.confirm();
    let settling = world.pass();
    assert_eq!((reasons(&settling)[0], settling.create.len()), (Reason::Settling, 0));
    world.wait(59);
    assert_eq!(reasons(&world.pass())[0], Reason::Settling);
    world.wait(1);
    let run = world.pass();
    assert_eq!((reasons(&run)[0], run.create.len()), (Reason::AnalysisRunning, 1));
}

#[test]
fn h_33_more_than_five_target_groups_are_an_error_without_a_write() {
    let mut world = World::new(6, table_steps());
    world.know(&["a1", "a2", "a3", "a4", "a5", "a6"]);
    let plan = world.plan();
    assert_eq!((plan.phase(), reasons(&plan)[0]), (Phase::Error, Reason::TooManyTargetGroups));
    assert!(plan.config.is_none());
}

#[test]
fn h_33_one_arn_counts_once() {
    let mut world = World::new(1, table_steps());
    world.know(&["a1", "a2"]);
    world.group_mut("a2").arn = arn("a1").parse();
    assert_eq!(all(&world.plan()), [("a1", 100)]);
    // With another version the second one is illegal.
    world.group_mut("a2").version = Ok(v(2));
    let plan = world.plan();
    assert_eq!(all(&plan), [("a1", 100)]);
    assert!(!holds(&plan, ConditionType::TargetGroupsValid));
    // Duplicates in the config are merged by adding their weights.
    let mut world = World::serving(1, table_steps(), 1, &[("a1", 50), ("a1", 50)], &["a1"]);
    assert_eq!(all(&world.plan()), [("a1", 100)]);
    assert_eq!(world.pass().config.map(|write| write.entries.len()), Some(1));
}

#[test]
fn h_33_retired_entries_make_room() {
    let config = [("a1", 0), ("a2", 0), ("b1", 50), ("b2", 50)];
    let mut world = World::serving(2, table_steps(), 2, &config, &["a1", "a2", "b1", "b2", "c1", "c2"]);
    // Five slots for six: the lowest version leaves, by name.
    assert_eq!(all(&world.pass()), [("a2", 0), ("b1", 50), ("b2", 50), ("c1", 0), ("c2", 0)]);
}

#[test]
fn h_34_identity_is_the_arn() {
    let mut world = World::serving(1, table_steps(), 1, &[("a1", 100)], &["a1"]);
    world.config().entries[0].name = "someone-elses-name".into();
    let plan = world.plan();
    assert_eq!(all(&plan), [("a1", 100)]);
    assert!(plan.config.is_none(), "a name alone is no reason to write");
    // The same name with another ARN is another target group.
    world.group_mut("a1").arn = arn("a9").parse();
    assert_eq!(world.plan().entries[0].arn, arn("a9"));
    // An entry without ARN is matched by its name, and gets the ARN.
    let mut world = World::serving(1, table_steps(), 1, &[("a1", 100)], &["a1"]);
    world.config().entries[0].arn.clear();
    assert_eq!(world.plan().config.map(|write| write.entries[0].arn.clone()), Some(arn("a1")));
}

#[test]
fn h_35_touching_a_target_group_changes_nothing() {
    let mut world =
        World::serving(1, table_steps(), 1, &[("a1", 80), ("b1", 20)], &["a1", "b1"]).rolling(2, 1);
    world.run();
    let before = world.observed.status.clone();
    world.group_mut("b1").registered_targets = Some(7);
    world.group_mut("b1").created_at = Some(world.now);
    let plan = world.plan();
    assert!(plan.create.is_empty() && plan.delete.is_empty() && plan.config.is_none());
    assert_eq!(plan.status.rollout_id, before.rollout_id);
    assert_eq!(plan.status.current_step_index, before.current_step_index);
}

#[test]
fn h_36_runs_of_other_cells_are_not_seen() {
    let mut world =
        World::serving(1, table_steps(), 1, &[("a1", 80), ("b1", 20)], &["a1", "b1"]).rolling(2, 1);
    let mut foreign = component(ComponentKind::AnalysisRun, "foreign", StepReference::Index(1));
    foreign.owner_uid = Some("uid-of-another-cell".into());
    foreign.phase = ComponentPhase::Failed;
    let mut orphaned = foreign.clone();
    orphaned.owner_uid = None;
    world.observed.components = vec![foreign, orphaned];
    let plan = world.plan();
    assert_eq!(reasons(&plan)[0], Reason::AnalysisRunning);
    assert!(plan.block.is_empty() && plan.delete.is_empty() && plan.terminate.is_empty());
}

#[test]
fn h_37_what_is_being_deleted_counts_as_gone() {
    let mut world =
        World::serving(1, table_steps(), 1, &[("a1", 80), ("b1", 20)], &["a1", "b1"]).rolling(2, 1);
    let mut run = component(ComponentKind::AnalysisRun, "run", StepReference::Index(1));
    run.deleting = true;
    run.phase = ComponentPhase::Failed;
    world.observed.components = vec![run];
    assert_eq!(world.plan().create.len(), 1);
    world.group_mut("b1").deleting = true;
    assert_eq!(serving(&world.plan()), [("a1", 100)]);
}

fn with_background(steps: Steps, starting_step: usize) -> World {
    World::serving(1, steps, 1, &[("a1", 100)], &["a1", "b1"])
        .spec(|spec| spec.background = Some(BackgroundAnalysis { starting_step, bake_seconds: 300 }))
}

#[test]
fn h_38_the_background_run_starts_with_weight_and_ends_with_the_rollout() {
    let mut world = with_background(table_steps(), 0);
    world.pass();
    world.confirm();
    let raise = world.pass();
    assert!(raise.create.is_empty(), "at 0 there is nothing to measure");
    world.confirm();
    world.run();
    assert!(world.observed.components.iter().any(|run| run.step == Some(StepReference::Background)));
    world.judge(StepReference::Index(1), ComponentPhase::Successful, "");
    let end = world.run();
    assert_eq!(end.phase(), Phase::Completed);
    let background = world.observed.components.iter().find(|run| run.step == Some(StepReference::Background));
    assert!(background.is_some_and(|run| run.terminating));
}

#[test]
fn h_38_a_background_failure_counts_until_the_end() {
    let mut world = with_background(canary(vec![Step::SetWeight(50), Step::Pause(None)]), 0);
    world.run();
    world.judge(StepReference::Background, ComponentPhase::Failed, "latency");
    let plan = world.run();
    assert_eq!((serving(&plan), plan.phase()), (vec![("a1", 100)], Phase::Failed));
}

#[test]
fn h_38_without_steps_the_background_run_starts_at_100_and_is_waited_for() {
    let mut world = with_background(canary(vec![]), 0);
    let plan = world.run();
    assert_eq!((serving(&plan), reasons(&plan)[0]), (vec![("b1", 100)], Reason::AnalysisRunning));
    let mut endless = world.clone();
    endless.observed.components[0].endless = true;
    let baking = endless.run();
    endless.now = baking.wake_at.expect("the end of the bake");
    assert_eq!(endless.run().phase(), Phase::Completed);
    world.judge(StepReference::Background, ComponentPhase::Failed, "bad");
    assert_eq!(serving(&world.run()), [("a1", 100)]);
}

#[test]
fn h_39_a_pause_without_duration_waits_for_a_human() {
    let mut world = World::serving(
        1,
        canary(vec![Step::SetWeight(20), Step::Pause(None)]),
        1,
        &[("a1", 100)],
        &["a1", "b1"],
    );
    let plan = world.run();
    assert_eq!((plan.phase(), reasons(&plan)[0], plan.wake_at), (Phase::Paused, Reason::PauseRunning, None));
    assert_eq!(world.observed.components[0].expires_at, None);
    world.wait(1_000_000);
    assert_eq!(world.run().phase(), Phase::Paused);
    world.observed.components[0].phase = ComponentPhase::Cancelled;
    assert_eq!(world.run().phase(), Phase::Completed);
}

#[test]
fn h_39_a_pause_ends_exactly_at_its_time() {
    let steps = canary(vec![Step::SetWeight(20), Step::Pause(Some(60))]);
    let mut world = World::serving(1, steps, 1, &[("a1", 100)], &["a1", "b1"]);
    let plan = world.run();
    let end = plan.wake_at.expect("the end of the pause");
    assert_eq!(Some(end), world.observed.components[0].expires_at);
    world.wait(59);
    assert_eq!(reasons(&world.run())[0], Reason::PauseRunning);
    world.now = end;
    assert_eq!(world.run().phase(), Phase::Completed);
}

#[test]
fn h_41_equal_steps_have_one_hash() {
    assert_eq!(table_steps().hash(), table_steps().hash());
}

#[test]
fn h_45_what_cannot_be_created_ends_the_attempt() {
    let mut world =
        World::serving(1, table_steps(), 1, &[("a1", 80), ("b1", 20)], &["a1", "b1"]).rolling(2, 1);
    let name = world.plan().create[0].name.clone();
    let mut failed = component(ComponentKind::AnalysisRun, &name, StepReference::Index(1));
    failed.phase = ComponentPhase::Error;
    failed.message = "AnalysisTemplate errors does not exist".into();
    world.observed.components.push(failed);
    let plan = world.plan();
    assert_eq!((plan.phase(), serving(&plan)), (Phase::Failed, vec![("a1", 100)]));
    assert!(plan.block[0].message.contains("does not exist"), "{}", plan.block[0].message);
    assert_eq!(plan.block[0].component.as_deref(), Some(name.as_str()));
}

#[test]
fn h_46_inconclusive_holds_and_says_so() {
    let mut world =
        World::serving(1, table_steps(), 1, &[("a1", 80), ("b1", 20)], &["a1", "b1"]).rolling(2, 1);
    world.run();
    world.judge(StepReference::Index(1), ComponentPhase::Inconclusive, "too few samples");
    let plan = world.run();
    assert_eq!((plan.phase(), reasons(&plan)[0]), (Phase::Paused, Reason::Inconclusive));
    assert!(holds(&plan, ConditionType::Paused));
    world.command("c1", Verb::Continue);
    assert_eq!(world.run().phase(), Phase::Completed);
}

#[test]
fn h_47_a_blocked_newest_version_freezes_nothing() {
    let mut world = World::serving(2, table_steps(), 1, &[("a1", 50), ("a2", 50)], &["a1", "a2", "c1", "c2"]);
    world.block(3);
    let plan = world.run();
    assert_eq!(plan.phase(), Phase::Completed);
    assert!(holds(&plan, ConditionType::VersionBlocked));
    world.add("a3");
    assert_eq!(serving(&world.run()), [("a1", 33), ("a2", 33), ("a3", 34)]);
    world.remove("a3");
    world.remove("c1");
    world.remove("c2");
    world.add("b1");
    world.add("b2");
    world.run();
    assert!(world.weights().iter().any(|(name, _)| name == "b1"), "the next best version rolls out");
}

#[test]
fn h_47_first_creation_and_rollback_respect_the_blocklist() {
    let mut world = World::new(1, table_steps());
    world.know(&["a1", "b1"]);
    world.block(2);
    assert_eq!(all(&world.plan()), [("a1", 100)]);
    // A pin back to a blocked version is allowed with a warning.
    let mut world = World::serving(1, table_steps(), 2, &[("a1", 0), ("b1", 100)], &["a1", "b1"])
        .spec(|spec| spec.pin = Some(v(1)));
    world.block(1);
    let plan = world.plan();
    assert_eq!(serving(&plan), [("a1", 100)]);
    assert!(plan.warnings.iter().any(|warning| warning.contains("blocked")), "{:?}", plan.warnings);
    // A pin forward is refused.
    let mut world =
        World::serving(1, table_steps(), 1, &[("a1", 100)], &["a1", "b1"]).spec(|spec| spec.pin = Some(v(2)));
    world.block(2);
    let plan = world.run();
    assert_eq!(all(&plan), [("a1", 100)]);
    assert!(holds(&plan, ConditionType::VersionBlocked));
}

#[test]
fn h_48_the_cell_goes_by_what_the_config_reports() {
    let mut world = World::serving(1, table_steps(), 1, &[("a1", 100), ("b1", 0)], &["a1", "b1"]);
    world.config().status.phase = Some(ConfigPhase::Error);
    world.config().status.reason = "AccessDenied".into();
    let plan = world.plan();
    assert_eq!(reasons(&plan)[0], Reason::WaitingForLoadBalancer);
    assert!(plan.reasons[0].message.contains("AccessDenied"), "{}", plan.reasons[0].message);
    assert_eq!(serving(&plan), [("a1", 100)]);
    // Other weights than were asked for are no confirmation.
    world.confirm();
    world.config().status.target_groups[1].weight = 1;
    assert_eq!(reasons(&world.plan())[0], Reason::WaitingForLoadBalancer);
}

#[test]
fn h_49_a_foreign_config_is_not_touched() {
    let mut world = World::serving(1, table_steps(), 1, &[("x1", 100)], &["a1"]);
    world.config().ownership = Ownership::Foreign;
    let plan = world.plan();
    assert_eq!((plan.phase(), reasons(&plan)[0]), (Phase::Error, Reason::ConfigNotOwned));
    assert!(plan.config.is_none());
}

#[test]
fn h_49_an_annotated_config_is_adopted_with_its_target_groups() {
    let mut world = World::serving(1, table_steps(), 1, &[("x1", 70), ("x2", 30)], &["a1"]);
    world.observed.status = Status::default();
    world.config().ownership = Ownership::Adoptable;
    let import = world.pass();
    assert!(import.config.is_none());
    assert_eq!(import.status.stable_version, Some(ServedVersion::Unknown));
    let write = world.pass().config.expect("taken over");
    assert!(write.take_ownership);
    let weights: Vec<_> = write.entries.iter().map(|entry| (entry.name.as_str(), entry.weight)).collect();
    assert_eq!(weights, [("a1", 0), ("x1", 70), ("x2", 30)]);
    world.confirm();
    // What nobody describes gives way in proportion, as the stable side.
    world.run();
    assert_eq!(world.weights(), [("a1", 20), ("x1", 56), ("x2", 24)].map(|(n, w)| (n.to_owned(), w)));
    world.judge(StepReference::Index(1), ComponentPhase::Successful, "");
    let end = world.run();
    assert_eq!((serving(&end), &end.status.stable_version), (vec![("a1", 100)], &served(1)));
    world.wait(301);
    assert_eq!(all(&world.run()), [("a1", 100)], "they leave when they have drained");
}
