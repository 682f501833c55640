//! The invariants of `spec/okra.md` 3.4.2, held over driven sequences: random
//! events, plans carried out whole or up to a crash, an AWS that confirms or lags.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::world::*;
use crate::cell::*;
use crate::{Phase, Reason, RolloutId, ServedVersion, Weight};

/// Names of target groups that come and go: up to three of three versions.
const NAMES: [&str; 7] = ["a1", "a2", "a3", "b1", "b2", "c1", "c2"];

/// Steps of a driven sequence.
const EVENTS_MAX: usize = 60;

/// Seeds of the bounded search; `OKRA_DOMAIN_SEEDS` asks for more.
const SEEDS: u64 = 200;

/// Chooses by numbers that come from a seed or from proptest.
struct Choices<I> {
    numbers: I,
}

impl<I: Iterator<Item = u32>> Choices<I> {
    fn below(&mut self, limit: usize) -> Option<usize> {
        self.numbers.next().map(|number| number as usize % limit)
    }
}

/// What must hold between two plans.
struct Watch {
    reached: BTreeMap<RolloutId, Weight>,
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

fn world_of(choices: &mut Choices<impl Iterator<Item = u32>>) -> Option<World> {
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
fn happen(world: &mut World, choices: &mut Choices<impl Iterator<Item = u32>>) -> Option<()> {
    let name = NAMES[choices.below(NAMES.len())?];
    match choices.below(18)? {
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
        _ => {}
    }
    Some(())
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

/// Drives a world and checks every plan.
fn drive(numbers: impl Iterator<Item = u32>) {
    let mut choices = Choices { numbers };
    let Some(mut world) = world_of(&mut choices) else { return };
    let mut watch = Watch { reached: BTreeMap::new() };
    for _ in 0..EVENTS_MAX {
        if happen(&mut world, &mut choices).is_none() {
            break;
        }
        for _ in 0..choices.below(4).unwrap_or(1) {
            let plan = planned(&world);
            check(&world, &plan, &mut watch);
            // One pass in five dies after a few writes.
            let crashes = choices.below(5).unwrap_or(1) == 0;
            let limit = if crashes { choices.below(5).unwrap_or(0) } else { usize::MAX };
            let whole = world.carry_out(&plan, limit);
            if whole {
                settles(&world);
            }
            if choices.below(3).unwrap_or(1) > 0 {
                world.confirm();
            }
        }
    }
    comes_to_rest(world);
}

/// World and plan in a few lines.
fn brief(world: &World, plan: &Plan) -> String {
    use std::fmt::Write as _;
    let observed = &world.observed;
    let mut text = String::new();
    for group in &observed.target_groups {
        let legal = if group.version.is_ok() { "" } else { " illegal" };
        let _ = writeln!(text, "  group {} healthy {:?}{legal}", group.name, group.healthy_targets);
    }
    for entry in observed.config.iter().flat_map(|config| &config.entries) {
        let _ = writeln!(text, "  config {} {}", entry.name, entry.weight);
    }
    for component in &observed.components {
        let _ = writeln!(text, "  {} {} {}", component.kind, component.name, component.phase);
    }
    let blocked: Vec<String> = observed.blocklist.iter().map(|item| item.version.to_string()).collect();
    let _ =
        writeln!(text, "  blocked {blocked:?} pin {:?} paused {}", observed.spec.pin, observed.spec.paused);
    for (label, status) in [("recorded", &observed.status), ("planned", &plan.status)] {
        let rollout = status.rollout.as_ref().map(|rollout| format!("{} {}", rollout.kind, rollout.version));
        let served = |version: &Option<ServedVersion>| version.as_ref().map(ToString::to_string);
        let _ = writeln!(
            text,
            "  {label}: {:?} stable {:?} desired {:?} id {:?} index {:?} {rollout:?} {:?}",
            status.phase,
            served(&status.stable_version),
            served(&status.desired_version),
            status.rollout_id,
            status.current_step_index,
            status.message,
        );
    }
    let entries: Vec<String> =
        plan.entries.iter().map(|entry| format!("{} {} {}", entry.name, entry.role, entry.weight)).collect();
    let _ = writeln!(text, "  plan writes {} {entries:?} wake {:?}", plan.config.is_some(), plan.wake_at);
    format!("\n{text}")
}

/// The plan; a panic inside the planner tells the world it met.
fn planned(world: &World) -> Plan {
    std::panic::catch_unwind(|| world.plan()).unwrap_or_else(|panic| {
        println!("the planner panics at {world:#?}");
        std::panic::resume_unwind(panic)
    })
}

fn weights_of(world: &World) -> BTreeMap<String, Weight> {
    let entries = world.observed.config.iter().flat_map(|config| &config.entries);
    entries.map(|entry| (entry.arn.clone(), entry.weight)).collect()
}

fn check(world: &World, plan: &Plan, watch: &mut Watch) {
    independent_of_order(world, plan);
    if let Some(write) = &plan.config {
        sums_up(world, write);
        nothing_foreign_gains(world, plan, write);
        nothing_unhealthy_gains(world, plan, write);
    }
    stable_changes_only_at_an_end(world, plan);
    canary_never_falls(world, plan, watch);
}

fn sums_up(world: &World, write: &ConfigWrite) {
    let sum: Weight = write.entries.iter().map(|entry| entry.weight).sum();
    assert_eq!(sum, world.observed.spec.weight_total.get());
    assert!(write.entries.len() <= SLOTS);
    let mut arns: Vec<&str> = write.entries.iter().map(|entry| entry.arn.as_str()).collect();
    arns.sort_unstable();
    arns.dedup();
    assert_eq!(arns.len(), write.entries.len(), "an ARN twice");
}

/// Never a greater share to an orphan, a blocked or a failed version.
fn nothing_foreign_gains(world: &World, plan: &Plan, write: &ConfigWrite) {
    let before = weights_of(world);
    if before.is_empty() {
        return;
    }
    let total = world.observed.spec.weight_total.get();
    let sum: Weight = before.values().sum();
    let old = |arn: &str| before.get(arn).copied().unwrap_or(0) * total / sum.max(1);
    for entry in &write.entries {
        let alive = world.observed.target_groups.iter().any(|group| group.name == entry.name);
        assert!(
            alive || entry.weight <= old(&entry.arn),
            "orphan {} gains: {}",
            entry.name,
            brief(world, plan)
        );
    }
    let stable = &world.observed.status.stable_version;
    let blocked: Vec<ServedVersion> = world
        .observed
        .blocklist
        .iter()
        .map(|item| item.version.clone())
        .chain(plan.block.iter().map(|block| block.version.clone()))
        .filter(|version| {
            world.observed.spec.pin.as_ref() != Some(version) && !plan.unblock.contains(version)
        })
        .map(ServedVersion::Known)
        .filter(|version| stable.as_ref() != Some(version))
        .collect();
    // With no stable target group the canary goes on serving all (rule 14).
    if plan.phase() == Phase::Degraded && !plan.block.is_empty() {
        return;
    }
    for version in blocked {
        let of_version = |name: &str| ServedVersion::Known(version_of(name)) == version;
        let after: Weight =
            write.entries.iter().filter(|entry| of_version(&entry.name)).map(|entry| entry.weight).sum();
        let config = world.observed.config.as_ref().expect("it had entries");
        let was: Weight =
            config.entries.iter().filter(|entry| of_version(&entry.name)).map(|entry| old(&entry.arn)).sum();
        assert!(after <= was, "blocked {version} gains {was} -> {after}: {}", brief(world, plan));
    }
}

/// No weight goes to what is not seen healthy while something healthy serves.
fn nothing_unhealthy_gains(world: &World, plan: &Plan, write: &ConfigWrite) {
    let before = weights_of(world);
    let total = world.observed.spec.weight_total.get();
    let sum: Weight = before.values().sum();
    let by_command = plan.status.last_command != world.observed.status.last_command;
    if sum == 0 || sum != total || by_command {
        return;
    }
    let says = |name: &str| {
        let group = world.observed.target_groups.iter().find(|group| group.name == name);
        group.and_then(|group| group.healthy_targets)
    };
    let config = world.observed.config.as_ref().expect("it had entries");
    let healthy_serves = config
        .entries
        .iter()
        .any(|entry| entry.weight > 0 && says(&entry.name).is_some_and(|healthy| healthy > 0));
    if !healthy_serves {
        return;
    }
    // The side that must take over what a failure leaves has no choice.
    if !plan.block.is_empty() {
        return;
    }
    for entry in &write.entries {
        let was = before.get(&entry.arn).copied().unwrap_or(0);
        let ill = says(&entry.name) == Some(0) && was == 0;
        assert!(!ill || entry.weight == 0, "{} is ill and gains: {}", entry.name, brief(world, plan));
    }
}

fn stable_changes_only_at_an_end(world: &World, plan: &Plan) {
    let (before, after) = (&world.observed.status.stable_version, &plan.status.stable_version);
    if before == after || before.is_none() {
        return;
    }
    let serves = world.observed.config.as_ref().is_some_and(|config| !config.entries.is_empty());
    let ending = plan.status.history.first();
    let ended = ending.is_some_and(|entry| {
        entry.to == *after
            && matches!(entry.outcome, Some(Outcome::Completed | Outcome::RolledBack | Outcome::FailedOver))
            && entry.completed_at == Some(world.now)
    });
    assert!(ended || !serves, "stable {before:?} -> {after:?}: {}", brief(world, plan));
}

/// Within one rollout id the canary total never decreases but by failure:
/// whatever was written for it is the least that a plan may hold.
fn canary_never_falls(world: &World, plan: &Plan, watch: &mut Watch) {
    let rollout = plan.status.rollout.as_ref().filter(|rollout| rollout.kind == RolloutKind::Rollout);
    let (Some(rollout), Some(id)) = (rollout, &plan.status.rollout_id) else { return };
    if plan.status.desired_version != Some(ServedVersion::Known(rollout.version.clone())) {
        return;
    }
    let share = |weights: &[(&str, Weight)]| {
        let canary = weights.iter().filter(|(name, _)| version_of(name) == rollout.version);
        let total: Weight = weights.iter().map(|(_, weight)| weight).sum();
        canary.map(|(_, weight)| weight).sum::<Weight>() * 1000 / total.max(1)
    };
    let reached = watch.reached.entry(id.clone()).or_insert(0);
    if world.observed.status.rollout_id.as_ref() == Some(id) {
        let config = world.observed.config.iter().flat_map(|config| &config.entries);
        let written: Vec<(&str, Weight)> = config.map(|entry| (entry.name.as_str(), entry.weight)).collect();
        *reached = share(&written).max(*reached);
    }
    let planned = share(&all(plan));
    assert!(planned >= *reached, "canary of {id} falls from {reached} to {planned}: {}", brief(world, plan));
}

fn independent_of_order(world: &World, plan: &Plan) {
    let mut shuffled = world.clone();
    let observed = &mut shuffled.observed;
    observed.target_groups.reverse();
    observed.components.reverse();
    observed.blocklist.reverse();
    if let Some(config) = &mut observed.config {
        config.entries.reverse();
        config.status.target_groups.reverse();
    }
    assert_eq!(&shuffled.plan(), plan, "the order of lists matters");
}

/// Without a change from outside, a few passes lead to one that writes nothing.
fn settles(world: &World) {
    let mut world = world.clone();
    for _ in 0..8 {
        let plan = world.plan();
        if plan.is_idle(&world.observed.status) {
            return;
        }
        world.carry_out(&plan, usize::MAX);
    }
    panic!("never idle: {}", brief(&world, &world.plan()));
}

/// When nothing goes wrong any more, the Cell comes to rest.
fn comes_to_rest(mut world: World) {
    world.health.clear();
    world.observed.spec.pin = None;
    world.observed.spec.paused = false;
    // Nobody says here that requests have ceased.
    world.observed.spec.sticky = StickyPolicy::Wait;
    for group in &mut world.observed.target_groups {
        group.version = Ok(version_of(&group.name));
    }
    for round in 0..400 {
        let plan = world.plan();
        let writes = world.carry_out(&plan, usize::MAX);
        assert!(writes);
        if world.observed.config.as_ref().is_some_and(|config| config.status.drift.is_some()) {
            let verb = if round % 2 == 0 { Verb::Continue } else { Verb::Promote };
            world.command(&format!("end-{round}"), verb);
            world.observed.spec.drift_policy = DriftPolicy::RestoreAutomatically;
        }
        world.confirm();
        for component in
            world.observed.components.iter_mut().filter(|component| !component.phase.is_terminal())
        {
            let is_pause = component.kind == ComponentKind::Pause;
            component.phase = if is_pause { ComponentPhase::Cancelled } else { ComponentPhase::Successful };
        }
        for component in &mut world.observed.components {
            if component.phase == ComponentPhase::Inconclusive {
                component.phase = ComponentPhase::Successful;
            }
        }
        let done = world.plan();
        // A rollout that lost a cluster waits for another one.
        let waits = done.reasons.first().is_some_and(|reason| reason.reason == Reason::WaitingForReplicas);
        let over = waits || done.phase() != Phase::Progressing;
        if done.is_idle(&world.observed.status) && done.wake_at.is_none() && over {
            assert_ne!(done.phase(), Phase::Paused, "{}", brief(&world, &done));
            return;
        }
        world.wait(61);
    }
    panic!("no rest: {}", brief(&world, &world.plan()));
}

/// SplitMix64: enough chance for a search, the same on every machine.
fn numbers_of(seed: u64) -> impl Iterator<Item = u32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((mixed ^ (mixed >> 31)) >> 32).expect("32 bits are left")
    })
}

#[test]
fn invariants_hold_over_many_seeds() {
    let seeds = std::env::var("OKRA_DOMAIN_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    for seed in 0..seeds {
        let outcome = std::panic::catch_unwind(|| drive(numbers_of(seed)));
        if let Err(panic) = outcome {
            println!("seed {seed} fails");
            std::panic::resume_unwind(panic);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold(numbers in proptest::collection::vec(any::<u32>(), 20..600)) {
        drive(numbers.into_iter());
    }
}
