//! Worlds of a driven sequence and what happens in them.

use super::super::world::*;
use crate::cell::*;
use crate::{Phase, Weight};

/// Names of target groups that come and go: up to three of three versions.
const NAMES: [&str; 7] = ["a1", "a2", "a3", "b1", "b2", "c1", "c2"];

/// Chooses by numbers that come from a seed or from proptest.
pub(super) struct Choices<I> {
    pub numbers: I,
}

impl<I: Iterator<Item = u32>> Choices<I> {
    pub(super) fn below(&mut self, limit: usize) -> Option<usize> {
        self.numbers.next().map(|number| number as usize % limit)
    }

    /// True once in `limit` times.
    fn once_in(&mut self, limit: usize) -> Option<bool> {
        self.below(limit).map(|number| number == 0)
    }
}

fn steps_of(choice: usize) -> Steps {
    match choice {
        0 => canary(vec![]),
        1 => table_steps(),
        2 => canary(vec![Step::SetWeight(10), Step::Pause(Some(30)), Step::SetWeight(50), analysis()]),
        3 => Steps::blue_green(vec![analysis(), Step::Promote, Step::Pause(Some(30))]),
        _ => canary(vec![Step::SetWeight(1), Step::Pause(None), Step::StepWeight(60)]),
    }
}

pub(super) fn world_of(choices: &mut Choices<impl Iterator<Item = u32>>) -> Option<World> {
    let replicas = u32::try_from(choices.below(2)? + 1).expect("1 or 2");
    let mut world = World::new(replicas, steps_of(choices.below(5)?));
    world.reports_health = choices.below(2)? == 0;
    world.observed.spec.settle_seconds = 10;
    if choices.below(3)? == 0 {
        world.observed.spec.supersede = Supersede::Finish;
    }
    if choices.below(4)? == 0 {
        world.observed.spec.weight_total = crate::WeightTotal::Thousand;
    }
    if choices.below(4)? == 0 {
        world.observed.spec.listener = Some(ListenerPart { stickiness_seconds: Some(60), ..listener(10) });
        world.observed.spec.sticky = StickyPolicy::ALL[choices.below(3)?];
    }
    Some(world)
}

/// Something happens. `None` when the choices are used up.
pub(super) fn happen(world: &mut World, choices: &mut Choices<impl Iterator<Item = u32>>) -> Option<()> {
    let name = NAMES[choices.below(NAMES.len())?];
    match choices.below(25)? {
        0..=3 if !world.observed.target_groups.iter().any(|group| group.name == name) => {
            world.add(name);
            let now = world.now;
            let group = world.group_mut(name);
            group.created_at = Some(now);
            group.healthy_targets = None;
        }
        4 => world.remove(name),
        5 => {
            let healthy = u32::try_from(choices.below(2)?).expect("0 or 1");
            world.health.insert(name.to_owned(), healthy);
        }
        6 => world.wait(5),
        7 => world.wait(100),
        8 | 9 => judge_any(world, choices)?,
        10 => world.block(u64::try_from(choices.below(3)? + 1).expect("a small number")),
        11 => world.observed.blocklist.clear(),
        12 => {
            let pin = u64::try_from(choices.below(4)?).expect("a small number");
            world.observed.spec.pin = (pin > 0).then(|| v(pin));
        }
        13 => world.observed.spec.paused = choices.below(3)? == 0,
        14 => {
            let verb = Verb::ALL[choices.below(Verb::ALL.len())?];
            let id = format!("c{}", world.observed.status.command_ids.len() + 1000 * choices.below(1000)?);
            let step = world.observed.status.current_step_index;
            world.command(&id, verb).step = step;
        }
        15 => {
            let mistyped = Err(VersionIssue::Missing("okra.mumo.co/version".into()));
            if let Some(group) = world.observed.target_groups.iter_mut().find(|group| group.name == name) {
                let legal = group.version.is_ok();
                group.version = if legal { mistyped } else { Ok(version_of(name)) };
            }
        }
        16 => world.observed.spec.steps = steps_of(choices.below(5)?),
        17 => {
            if let Some(config) = &world.observed.config {
                let names: Vec<String> = config.entries.iter().map(|entry| entry.name.clone()).collect();
                let found: Vec<(&str, Weight)> = names.iter().map(|name| (name.as_str(), 20)).collect();
                world.drift(&format!("d{}", choices.below(5)?), &found);
            }
        }
        18 => change_gates(world, choices)?,
        19 => change_policies(world, choices)?,
        20 => mislay(world, choices, name)?,
        21 => trouble_with_the_config(world, choices)?,
        22 => forget(world, choices)?,
        23 => world.observed.spec.replicas = u32::try_from(choices.below(3)? + 1).expect("1 to 3"),
        24 => disturb(world, choices)?,
        _ => {}
    }
    Some(())
}

/// Readiness gates and the background analysis.
fn change_gates(world: &mut World, choices: &mut Choices<impl Iterator<Item = u32>>) -> Option<()> {
    let small = |number: usize| u32::try_from(number).expect("a small number");
    let spec = &mut world.observed.spec;
    match choices.below(5)? {
        0 => spec.readiness.healthy_targets = small(choices.below(3)?),
        1 => spec.readiness.healthy_percent = small(choices.below(2)? * 60),
        2 => spec.readiness.stabilize_seconds = u64::from(small(choices.below(2)? * 20)),
        3 => spec.readiness.unhealthy_seconds = u64::from(small(choices.below(2)? * 30)),
        _ => {
            let analysis = BackgroundAnalysis { starting_step: choices.below(5)?, bake_seconds: 50 };
            spec.background = (!choices.once_in(3)?).then_some(analysis);
        }
    }
    Some(())
}

fn change_policies(world: &mut World, choices: &mut Choices<impl Iterator<Item = u32>>) -> Option<()> {
    let spec = &mut world.observed.spec;
    match choices.below(6)? {
        0 => spec.approval = Approval::ALL[choices.below(2)?],
        1 => {
            spec.progress_deadline_action = DeadlineAction::ALL[choices.below(2)?];
            spec.progress_deadline_seconds = 50;
        }
        2 => spec.drift_policy = DriftPolicy::ALL[choices.below(3)?],
        3 => {
            let stickiness_seconds = spec.listener.as_ref().and_then(|listener| listener.stickiness_seconds);
            let priority = u32::try_from(choices.below(3)? + 10).expect("a small number");
            spec.listener = Some(ListenerPart { stickiness_seconds, ..listener(priority) });
        }
        4 => {
            let thousand = choices.once_in(2)?;
            spec.weight_total =
                if thousand { crate::WeightTotal::Thousand } else { crate::WeightTotal::Hundred };
        }
        _ => {
            let error = SpecError { field: "spec.replicas".into(), message: "0 is below 1".into() };
            spec.errors = if choices.once_in(2)? { vec![error] } else { Vec::new() };
        }
    }
    Some(())
}

/// An AWSTargetGroup is deleted slowly, loses its label, or gets a twin.
fn mislay(world: &mut World, choices: &mut Choices<impl Iterator<Item = u32>>, name: &str) -> Option<()> {
    let twin = format!("{name}-twin");
    let choice = choices.below(3)?;
    let has_twin = world.observed.target_groups.iter().any(|group| group.name == twin);
    let Some(group) = world.observed.target_groups.iter_mut().find(|group| group.name == name) else {
        return Some(());
    };
    match choice {
        0 => group.deleting = !group.deleting,
        1 => group.selected = !group.selected,
        _ if has_twin => world.remove(&twin),
        _ => {
            let group = TargetGroup { name: twin, ..group.clone() };
            world.observed.target_groups.push(group);
        }
    }
    Some(())
}

/// Its controller fails, it changes hands, or it is lost while the rule stays.
fn trouble_with_the_config(
    world: &mut World,
    choices: &mut Choices<impl Iterator<Item = u32>>,
) -> Option<()> {
    let choice = choices.below(4)?;
    let Some(config) = world.observed.config.as_mut() else { return Some(()) };
    match choice {
        0 => config.status.phase = Some(ConfigPhase::Error),
        1 => config.status.phase = Some(ConfigPhase::Updating),
        2 => config.ownership = Ownership::ALL[choices.below(3)?],
        _ => {
            let entries = config.entries.clone();
            world.observed.live_rule = choices.once_in(2)?.then_some(LiveRule { entries });
            world.observed.config = None;
        }
    }
    Some(())
}

/// Status fields go missing, as after a restore from an older backup.
fn forget(world: &mut World, choices: &mut Choices<impl Iterator<Item = u32>>) -> Option<()> {
    let choice = choices.below(5)?;
    let status = &mut world.observed.status;
    // What a human said lives there alone.
    let said = status.rollout.as_ref().is_some_and(|rollout| {
        rollout.promoted_fully || !rollout.passed.is_empty() || rollout.kind != RolloutKind::Rollout
    });
    match choice {
        0 if !said => status.rollout = None,
        1 => status.weights.clear(),
        2 => status.steps_hash = None,
        3 => status.current_step_index = None,
        4 if !matches!(status.phase, Some(Phase::Completed | Phase::Failed)) => status.phase = None,
        _ => {}
    }
    Some(())
}

/// Views that are incomplete, clocks that go back, runs without end.
fn disturb(world: &mut World, choices: &mut Choices<impl Iterator<Item = u32>>) -> Option<()> {
    match choices.below(4)? {
        0 => world.observed.incomplete = vec!["AnalysisRun: forbidden".into()],
        1 => world.observed.incomplete.clear(),
        2 => world.wait(-40),
        _ => {
            for component in &mut world.observed.components {
                component.endless = component.step == Some(StepReference::Background);
            }
        }
    }
    Some(())
}

/// Everything that was wrong is put right; what a human must say is said.
pub(super) fn set_right(world: &mut World) {
    world.health.clear();
    world.observed.incomplete.clear();
    let spec = &mut world.observed.spec;
    spec.pin = None;
    spec.paused = false;
    spec.errors.clear();
    spec.approval = Approval::Automatic;
    spec.readiness = ReadinessGates::default();
    spec.progress_deadline_action = DeadlineAction::Report;
    // Nobody says here that requests have ceased.
    spec.sticky = StickyPolicy::Wait;
    for group in &mut world.observed.target_groups {
        group.version = Ok(version_of(&group.name));
        group.selected = true;
        group.deleting = false;
    }
    if let Some(config) = &mut world.observed.config {
        config.ownership = Ownership::Owned;
    }
}

fn judge_any(world: &mut World, choices: &mut Choices<impl Iterator<Item = u32>>) -> Option<()> {
    let phases = [
        ComponentPhase::Successful,
        ComponentPhase::Successful,
        ComponentPhase::Failed,
        ComponentPhase::Inconclusive,
        ComponentPhase::Cancelled,
    ];
    let phase = phases[choices.below(phases.len())?];
    for component in world.observed.components.iter_mut().filter(|component| !component.phase.is_terminal()) {
        let is_pause = component.kind == ComponentKind::Pause;
        if is_pause == (phase == ComponentPhase::Cancelled) {
            component.phase = phase;
        }
    }
    Some(())
}
