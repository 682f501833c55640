//! Whose components are looked at, ended and deleted (`spec/okra.md` 3.4.2-10, 3.4.4).

use super::world::*;
use crate::cell::*;

fn rolling(steps: Vec<Step>) -> World {
    World::serving(1, canary(steps), 1, &[("a1", 80), ("b1", 20)], &["a1", "b1"]).rolling(2, 1)
}

#[test]
fn h_42_an_experiment_that_exists_is_never_made_or_changed_again() {
    let experiment = |replicas: u32| {
        Step::Experiment(serde_json::json!({"templates": [{"name": "x", "replicas": replicas}]}))
    };
    let mut world = rolling(vec![Step::SetWeight(20), experiment(1), Step::SetWeight(60)]);
    world.observed.status.steps_hash = Some(world.observed.spec.steps.hash());
    assert_eq!(world.pass().create.len(), 1);
    for _ in 0..3 {
        world.confirm();
        let plan = world.pass();
        assert!(plan.create.is_empty() && plan.delete.is_empty() && plan.terminate.is_empty());
    }
    assert_eq!(world.observed.components.len(), 1);
    // Other contents are another attempt, with an experiment of its own.
    world.observed.spec.steps = canary(vec![Step::SetWeight(20), experiment(2), Step::SetWeight(60)]);
    let plan = world.run();
    let names: Vec<&str> = world.observed.components.iter().map(|own| own.name.as_str()).collect();
    assert_eq!(names.len(), 2);
    assert_ne!(names[0], names[1]);
    assert!(world.observed.components[0].terminating, "the old one is ended, not changed");
    assert_eq!(plan.status.weights.iter().map(|entry| entry.weight).collect::<Vec<_>>(), [80, 20]);
}

#[test]
fn h_78_nothing_that_another_owns_is_ended_or_deleted() {
    let foreign = |owner: Option<&str>, name: &str| Component {
        owner_uid: owner.map(str::to_owned),
        ..component(ComponentKind::AnalysisRun, name, StepReference::Index(1))
    };
    let strangers = [foreign(None, "labelled-alike"), foreign(Some("uid-of-another-cell"), "of-a-neighbour")];
    let untouched = |plan: &Plan| {
        let named = |list: &[ComponentName]| {
            list.iter().any(|own| own.name == "labelled-alike" || own.name == "of-a-neighbour")
        };
        assert!(!named(&plan.terminate) && !named(&plan.delete), "{plan:?}");
    };
    // Rolling, at rest, after a failure, rolled back, deleted.
    let mut world = rolling(vec![Step::SetWeight(20), analysis()]);
    world.observed.components.extend(strangers);
    for _ in 0..4 {
        untouched(&world.pass());
        world.confirm();
    }
    world.command("c1", Verb::Abort);
    for _ in 0..4 {
        untouched(&world.pass());
        world.confirm();
    }
    world.observed.spec.pin = Some(v(2));
    world.observed.blocklist.clear();
    untouched(&world.run());
    world.observed.cell.deleting = true;
    untouched(&world.plan());
}
