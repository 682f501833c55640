//! The five slots of a forward action (`spec/okra.md` 3.4.2, invariants).

use super::world::*;
use crate::cell::*;
use crate::{Phase, Reason};

fn draining(world: &mut World, name: &str, seconds_ago: i64) {
    let since = world.now - jiff::SignedDuration::from_secs(seconds_ago);
    world.observed.status.weights.push(StatusWeight {
        name: name.into(),
        arn: arn(name),
        version: Some(version_of(name).into()),
        role: Some(Role::Draining),
        weight: 0,
        since: Some(since),
    });
}

/// Two of 1.0.0 retired, two of 2.0.0 serving, two of 3.0.0 new.
fn crowded(ages: [i64; 2]) -> World {
    let config = [("a1", 0), ("a2", 0), ("b1", 50), ("b2", 50)];
    let mut world = World::serving(2, table_steps(), 2, &config, &["a1", "a2", "b1", "b2", "c1", "c2"]);
    draining(&mut world, "a1", ages[0]);
    draining(&mut world, "a2", ages[1]);
    world
}

#[test]
fn a_drained_entry_leaves_before_one_that_drains() {
    let plan = crowded([100, 300]).plan();
    assert_eq!(all(&plan), [("a1", 0), ("b1", 50), ("b2", 50), ("c1", 0), ("c2", 0)]);
}

#[test]
fn attaching_waits_while_entries_drain() {
    let mut world = crowded([100, 200]);
    let plan = world.pass();
    assert_eq!(all(&plan), [("a1", 0), ("a2", 0), ("b1", 50), ("b2", 50)]);
    assert_eq!(reasons(&plan)[0], Reason::Draining);
    let until = plan.wake_at.expect("the end of a drain");
    assert_eq!(until, world.now + jiff::SignedDuration::from_secs(100));
    let mut promoted = world.clone();
    promoted.command("p1", Verb::Promote);
    assert_eq!(promoted.pass().entries.len(), 5);
    world.now = until;
    assert_eq!(all(&world.pass()), [("a1", 0), ("b1", 50), ("b2", 50), ("c1", 0), ("c2", 0)]);
}

#[test]
fn a_rollback_never_waits_for_a_slot() {
    let mut world = crowded([0, 0]).spec(|spec| spec.pin = Some(v(3)));
    world.observed.status.stable_version = served(4);
    let plan = world.plan();
    let new: Vec<_> = serving(&plan);
    assert_eq!(new, [("c1", 50), ("c2", 50)]);
    assert_eq!(plan.entries.len(), SLOTS);
}

#[test]
fn sticky_cookies_lengthen_the_drain() {
    let world = crowded([100, 400])
        .spec(|spec| spec.listener = Some(ListenerPart { stickiness_seconds: Some(3600), ..listener(10) }));
    let plan = world.plan();
    assert_eq!(reasons(&plan)[0], Reason::Draining);
    assert_eq!(plan.wake_at, Some(world.now + jiff::SignedDuration::from_secs(3200)));
}

#[test]
fn until_quiet_waits_for_the_last_request() {
    let mut world = crowded([4000, 4000]).spec(|spec| {
        spec.listener = Some(ListenerPart { stickiness_seconds: Some(3600), ..listener(10) });
        spec.sticky = StickyPolicy::UntilQuiet;
    });
    assert_eq!(reasons(&world.plan())[0], Reason::Draining);
    let quiet = RetirementObservation {
        quiet_since: Some(world.now - jiff::SignedDuration::from_secs(300)),
        unfinished_jobs: None,
        notes: vec![],
        weight_elsewhere: false,
        marked: false,
    };
    world.group_mut("a2").retirement = Some(quiet);
    assert_eq!(world.plan().entries.len(), 5);
}

#[test]
fn sticky_remove_takes_entries_at_0_out() {
    let mut world = World::serving(1, canary(vec![]), 1, &[("a1", 100)], &["a1", "b1"]).spec(|spec| {
        spec.listener = Some(ListenerPart { stickiness_seconds: Some(600), ..listener(10) });
        spec.sticky = StickyPolicy::Remove;
    });
    let end = world.run();
    assert_eq!((all(&end), end.phase()), (vec![("b1", 100)], Phase::Completed));
}

#[test]
fn a_rollout_that_cannot_fit_does_not_begin() {
    let names = ["a1", "a2", "a3"];
    let config = [("a1", 33), ("a2", 33), ("a3", 34)];
    let mut world = World::serving(3, table_steps(), 1, &config, &names);
    for name in ["b1", "b2", "b3", "b4"] {
        world.add(name);
    }
    let plan = world.plan();
    assert_eq!((plan.phase(), reasons(&plan)[0]), (Phase::Error, Reason::TooManyTargetGroups));
    assert!(plan.config.is_none());
    assert_eq!(plan.status.rollout_id, None);
    // What serves is cared for all the same.
    world.remove("a3");
    assert_eq!(all(&world.plan()), [("a1", 50), ("a2", 50)]);
}

#[test]
fn a_sixth_member_of_what_serves_is_an_error_that_leaves_the_five() {
    let names = ["a1", "a2", "a3", "a4", "a5"];
    let config = names.map(|name| (name, 20));
    let mut world = World::serving(5, table_steps(), 1, &config, &names);
    world.add("a6");
    let plan = world.plan();
    assert_eq!((plan.phase(), reasons(&plan)[0]), (Phase::Error, Reason::TooManyTargetGroups));
    assert_eq!(plan.entries.len(), 5);
}

#[test]
fn heirs_that_are_waited_for_take_the_slots_there_are() {
    let config = [("b1", 45), ("b2", 45), ("c1", 5), ("c2", 5)];
    let names = ["a1", "a2", "b1", "b2", "c1", "c2"];
    let mut world =
        World::serving(2, table_steps(), 2, &config, &names).rolling(3, 0).spec(|spec| spec.pin = Some(v(1)));
    for name in ["a1", "a2"] {
        world.group_mut(name).healthy_targets = Some(0);
    }
    let plan = world.pass();
    assert_eq!(all(&plan), [("a1", 0), ("b1", 45), ("b2", 45), ("c1", 5), ("c2", 5)]);
    world.group_mut("a1").healthy_targets = Some(1);
    assert_eq!(serving(&world.pass()), [("a1", 100)]);
}
