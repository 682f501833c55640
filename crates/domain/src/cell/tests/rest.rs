//! A Cell at rest, its beginning and its end (`spec/okra.md` 3.4.2, rules 1,
//! 5, 13, 17; 2.6.1).

use super::world::*;
use crate::cell::*;
use crate::{ArnError, ConditionType, Phase, Reason, ServedVersion, VersionError, WeightTotal};

#[test]
fn creation_gives_everything_to_the_greatest_complete_version() {
    let mut world = World::new(2, table_steps());
    world.know(&["a1", "a2", "b1"]);
    let plan = world.pass();
    assert_eq!(all(&plan), [("a1", 50), ("a2", 50)]);
    assert!(plan.config.as_ref().is_some_and(|write| write.create && write.take_ownership));
    assert_eq!((plan.phase(), &plan.status.stable_version), (Phase::Progressing, &served(1)));
    assert!(!holds(&plan, ConditionType::Ready));
    world.confirm();
    let rest = world.run();
    assert_eq!(rest.phase(), Phase::Completed);
    assert!(holds(&rest, ConditionType::Ready));
    assert!(holds(&rest, ConditionType::WaitingForReplicas), "2.0.0 has 1 of 2");
}

#[test]
fn a_lost_config_brings_back_what_served() {
    let mut world = World::serving(1, table_steps(), 1, &[("a1", 100)], &["a1", "b1"]);
    world.observed.config = None;
    assert_eq!(all(&world.plan()), [("a1", 100)]);
}

#[test]
fn h_60_illegal_target_groups_are_listed_and_block_nobody() {
    let mut world = World::new(1, table_steps());
    world.know(&["a1", "b1", "c1", "d1"]);
    world.group_mut("b1").version = Err(VersionIssue::Missing("okra.mumo.co/version".into()));
    let error: VersionError = "latest".parse::<crate::Version>().expect_err("no version");
    world.group_mut("c1").version =
        Err(VersionIssue::Unreadable { label: "okra.mumo.co/version".into(), source: error });
    world.group_mut("d1").arn = Err(ArnError::Shape("arn:nonsense".into()));
    let plan = world.plan();
    assert_eq!(all(&plan), [("a1", 100)]);
    let condition = plan.status.condition(ConditionType::TargetGroupsValid).expect("a condition");
    assert!(!condition.status);
    for text in ["b1: none of the version labels", "c1: label okra.mumo.co/version is no version", "d1:"] {
        assert!(condition.message.contains(text), "{text} in {}", condition.message);
    }
}

#[test]
fn a_mistyped_label_does_not_swap_clusters() {
    let mut world = World::serving(
        2,
        table_steps(),
        2,
        &[("a1", 0), ("a2", 0), ("b1", 50), ("b2", 50)],
        &["a1", "a2", "b1", "b2"],
    );
    world.run();
    for name in ["b1", "b2"] {
        world.group_mut(name).version = Err(VersionIssue::Missing("okra.mumo.co/version".into()));
    }
    let plan = world.run();
    assert_eq!(serving(&plan), [("b1", 50), ("b2", 50)]);
    assert_eq!(plan.phase(), Phase::Degraded);
    for name in ["b1", "b2"] {
        world.group_mut(name).version = Ok(v(2));
        world.group_mut(name).selected = false;
    }
    assert_eq!(serving(&world.run()), [("b1", 50), ("b2", 50)]);
    // Really gone is gone.
    world.know(&["a1", "a2"]);
    assert_eq!(serving(&world.run()), [("a1", 50), ("a2", 50)]);
}

#[test]
fn an_incomplete_stable_version_is_kept_and_degraded() {
    let mut world = World::serving(2, table_steps(), 1, &[("a1", 50), ("a2", 50)], &["a1"]);
    let plan = world.run();
    assert_eq!((serving(&plan), plan.phase()), (vec![("a1", 100)], Phase::Degraded));
    assert_eq!(reasons(&plan)[0], Reason::StableIncomplete);
    world.add("a3");
    let plan = world.run();
    assert_eq!((serving(&plan), plan.phase()), (vec![("a1", 50), ("a3", 50)], Phase::Completed));
}

#[test]
fn import_takes_the_version_with_the_greatest_weight() {
    let import = |config: &[(&str, u32)], known: &[&str]| {
        let mut world = World::serving(1, table_steps(), 1, config, known);
        world.observed.status = Status::default();
        let plan = world.pass();
        assert!(plan.config.is_none());
        plan.status.stable_version
    };
    assert_eq!(import(&[("a1", 60), ("b1", 40)], &["a1", "b1"]), served(1));
    assert_eq!(import(&[("a1", 30), ("a2", 30), ("b1", 40)], &["a1", "a2", "b1"]), served(1));
    assert_eq!(import(&[("a1", 50), ("b1", 50)], &["a1", "b1"]), served(2), "ties go to the greater");
    assert_eq!(import(&[("a1", 50), ("x1", 50)], &["a1"]), served(1), "unknown is below all");
    assert_eq!(import(&[("x1", 60), ("a1", 40)], &["a1"]), Some(ServedVersion::Unknown));
}

#[test]
fn an_incomplete_view_decides_nothing() {
    let mut world = World::serving(1, table_steps(), 1, &[("a1", 100)], &[]);
    world.observed.incomplete = vec!["AWSTargetGroup: forbidden".into()];
    let plan = world.plan();
    assert!(plan.config.is_none() && plan.delete.is_empty());
    assert_eq!(reasons(&plan), [Reason::IncompleteView]);
}

#[test]
fn an_invalid_spec_moves_nothing_but_safety_goes_on() {
    let mut world =
        World::serving(1, table_steps(), 1, &[("a1", 80), ("b1", 20)], &["a1", "b1"]).rolling(2, 1);
    world.run();
    world.observed.spec = Spec {
        errors: vec![SpecError { field: "spec.ingress".into(), message: "block missing".into() }],
        ..Spec::default()
    };
    for group in &mut world.observed.target_groups {
        group.selected = false;
    }
    let plan = world.run();
    assert_eq!((plan.phase(), serving(&plan)), (Phase::Error, vec![("a1", 80), ("b1", 20)]));
    world.judge(StepReference::Index(1), ComponentPhase::Failed, "bad");
    let plan = world.pass();
    assert_eq!((plan.phase(), serving(&plan)), (Phase::Error, vec![("a1", 100)]));
    assert_eq!(plan.block[0].version, v(2));
    assert_eq!(plan.config.expect("a write").listener, listener(10), "the listener part stays");
}

#[test]
fn a_deleted_cell_leaves_traffic_and_takes_its_components() {
    let mut world =
        World::serving(1, table_steps(), 1, &[("a1", 80), ("b1", 20)], &["a1", "b1"]).rolling(2, 1);
    world.run();
    world.observed.cell.deleting = true;
    let plan = world.plan();
    assert_eq!(serving(&plan), [("a1", 80), ("b1", 20)]);
    assert!(plan.config.is_none());
    assert_eq!(plan.delete.len(), world.observed.components.len());
    world.observed.spec.deletion_policy = DeletionPolicy::Delete;
    let write = world.plan().config.expect("the policy goes to the config");
    assert_eq!(write.deletion_policy, DeletionPolicy::Delete);
}

#[test]
fn only_the_newest_runs_are_kept() {
    let mut world =
        World::serving(1, table_steps(), 1, &[("a1", 100)], &["a1"]).spec(|spec| spec.history_limit = 2);
    for age in 0..4 {
        let mut run = component(ComponentKind::AnalysisRun, &format!("run-{age}"), StepReference::Index(1));
        run.phase = ComponentPhase::Successful;
        run.created_at = Some(start() - jiff::SignedDuration::from_hours(age));
        world.observed.components.push(run);
    }
    let mut pause = component(ComponentKind::Pause, "old-pause", StepReference::Index(0));
    pause.phase = ComponentPhase::Expired;
    world.observed.components.push(pause);
    let plan = world.plan();
    let names: Vec<&str> = plan.delete.iter().map(|name| name.name.as_str()).collect();
    assert_eq!(names, ["old-pause", "run-2", "run-3"]);
}

#[test]
fn old_clusters_are_marked_when_all_their_gates_hold() {
    let mut world = World::serving(1, table_steps(), 2, &[("a1", 0), ("b1", 100)], &["a1", "b1"])
        .spec(|spec| spec.retirement.watches_jobs = true);
    assert!(world.plan().retire.is_empty(), "nothing is known about it");
    let quiet = RetirementObservation {
        quiet_since: Some(world.now),
        unfinished_jobs: Some(0),
        notes: vec![],
        weight_elsewhere: false,
        marked: false,
    };
    world.group_mut("a1").retirement = Some(quiet.clone());
    world.group_mut("b1").retirement = Some(quiet.clone());
    let plan = world.plan();
    assert!(plan.retire.is_empty());
    world.now = plan.wake_at.expect("the end of the quiet time");
    assert_eq!(world.plan().retire, ["cluster-a1"]);
    for change in [
        RetirementObservation { unfinished_jobs: Some(1), ..quiet.clone() },
        RetirementObservation { unfinished_jobs: None, ..quiet.clone() },
        RetirementObservation { weight_elsewhere: true, ..quiet.clone() },
        RetirementObservation { quiet_since: None, ..quiet.clone() },
        RetirementObservation { marked: true, ..quiet },
    ] {
        world.group_mut("a1").retirement = Some(change);
        assert!(world.plan().retire.is_empty());
    }
}

#[test]
fn sc_08_a_failed_job_holds_nothing_and_is_named_until_its_cluster_is_marked() {
    let mut world = World::serving(1, table_steps(), 2, &[("a1", 0), ("b1", 100)], &["a1", "b1"])
        .spec(|spec| spec.retirement.watches_jobs = true);
    let seen = |unfinished, note: &str| RetirementObservation {
        quiet_since: Some(jiff::Timestamp::UNIX_EPOCH),
        unfinished_jobs: Some(unfinished),
        notes: vec![note.to_owned()],
        weight_elsewhere: false,
        marked: false,
    };
    world.group_mut("a1").retirement = Some(seen(1, "Pod spark/driver not finished"));
    let held = world.run();
    assert!(held.retire.is_empty());
    assert!(
        held.status.message.ends_with("; cluster cluster-a1: Pod spark/driver not finished"),
        "{}",
        held.status.message
    );
    world.group_mut("a1").retirement = Some(seen(0, "Pod spark/driver failed"));
    let released = world.plan();
    assert_eq!((&*released.retire, released.phase()), (&["cluster-a1".to_owned()][..], Phase::Completed));
    assert!(released.status.message.ends_with("Pod spark/driver failed"), "{}", released.status.message);
    world.observed.status = released.status.clone();
    let marked = RetirementObservation { marked: true, notes: vec![], ..seen(0, "") };
    world.group_mut("a1").retirement = Some(marked);
    assert_eq!(world.plan().status.message, released.status.message, "what failed is still worth knowing");
}

#[test]
fn a_thousand_divides_one_percent_over_two_clusters() {
    let steps = canary(vec![Step::SetWeight(1), Step::Pause(None)]);
    let config = [("a1", 500), ("a2", 500)];
    let mut world = World::serving(2, steps, 1, &config, &["a1", "a2", "b1", "b2"])
        .spec(|spec| spec.weight_total = WeightTotal::Thousand);
    world.run();
    assert_eq!(all(&world.plan()), [("a1", 495), ("a2", 495), ("b1", 5), ("b2", 5)]);
}

#[test]
fn warnings_tell_of_ambiguous_and_overruled_steps() {
    let list = vec![Step::SetWeight(20), Step::Pause(None), Step::SetWeight(40)];
    let mut world = World::new(1, Steps::canary(list, None, WeightMode::Absolute));
    world.know(&["a1"]);
    let plan = world.plan();
    assert!(holds(&plan, ConditionType::WeightModeAmbiguous));
    assert!(plan.warnings.iter().any(|warning| warning.contains("weight 40")), "{:?}", plan.warnings);
}

#[test]
fn the_sync_time_moves_only_with_another_field() {
    let mut world = World::serving(1, table_steps(), 1, &[("a1", 100)], &["a1"]);
    world.run();
    let before = world.observed.status.last_sync_time;
    world.wait(100);
    let plan = world.plan();
    assert!(plan.is_idle(&world.observed.status));
    assert_eq!(plan.status.last_sync_time, before);
}

#[test]
fn explanations_name_values_limits_and_what_comes_next() {
    let mut world = World::serving(1, table_steps(), 1, &[("a1", 100)], &["a1", "b1"])
        .spec(|spec| spec.settle_seconds = 60);
    world.pass();
    world.confirm();
    world.pass();
    world.confirm();
    world.wait(5);
    let lines = explain(&world.plan());
    assert!(
        lines[0].starts_with("Settling: the weights of step 0 are confirmed for 5 s of settleSeconds 60"),
        "{lines:?}"
    );
    assert!(lines[0].contains("counts as done at 2026-11-21T10:01:00Z"), "{lines:?}");
}

#[test]
fn a_pin_that_waits_does_not_keep_a_fresh_target_group_from_its_share() {
    let mut world =
        World::serving(1, table_steps(), 1, &[("a1", 100)], &["a1", "a2"]).spec(|spec| spec.pin = Some(v(3)));
    let now = world.now;
    let fresh = world.group_mut("a2");
    (fresh.created_at, fresh.healthy_targets) = (Some(now), None);
    let plan = world.pass();
    assert_eq!((all(&plan), reasons(&plan)[0]), (vec![("a1", 100), ("a2", 0)], Reason::WaitingForReplicas));
    world.now = plan.wake_at.expect("the time from which silence no longer holds it back");
    assert_eq!(all(&world.pass()), [("a1", 50), ("a2", 50)]);
}

/// Found by a search: the history lacked the version that served in the end.
#[test]
fn the_history_names_what_took_over_although_another_takeover_had_begun() {
    let mut world = World::serving(1, table_steps(), 1, &[("b1", 100)], &["b1"]);
    let from = world.observed.status.stable_version.clone();
    world.observed.status.rollout_id = Some(crate::RolloutId::recorded("older"));
    world.observed.status.rollout = Some(RunningRollout::new(RolloutKind::FailOver, v(3), from));
    world.run();
    let status = &world.observed.status;
    let named: Vec<_> = status.history.iter().map(|entry| entry.to.clone()).collect();
    assert_eq!(named, [2, 3].map(|version| Some(ServedVersion::Known(v(version)))));
    assert_eq!(status.stable_version, named[0]);
}
