//! What must hold of every plan.

use std::collections::BTreeMap;

use super::super::world::*;
use crate::cell::*;
use crate::{Phase, Reason, RolloutId, ServedVersion, Weight};

/// What must hold between two plans.
#[derive(Default)]
pub(super) struct Watch {
    /// The greatest canary share that was written under an id.
    reached: BTreeMap<RolloutId, Weight>,
    /// The step at which an attempt was first seen, and the steps that it followed.
    begun: BTreeMap<RolloutId, (usize, String)>,
}

/// World and plan in a few lines.
pub(super) fn brief(world: &World, plan: &Plan) -> String {
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

fn weights_of(world: &World) -> BTreeMap<String, Weight> {
    let entries = world.observed.config.iter().flat_map(|config| &config.entries);
    entries.map(|entry| (entry.arn.clone(), entry.weight)).collect()
}

pub(super) fn check(world: &World, plan: &Plan, watch: &mut Watch) {
    independent_of_order(world, plan);
    if is_hands_off(world) {
        return hands_off(world, plan);
    }
    if let Some(write) = &plan.config {
        sums_up(world, write);
        nothing_foreign_gains(world, plan, write);
        nothing_unhealthy_gains(world, plan, write);
        only_the_sides_gain(world, plan, write);
        steps_raise_only_what_is_confirmed_and_healthy(world, plan, write);
        paused_moves_nothing(world, plan, write);
    }
    stable_changes_only_at_an_end(world, plan);
    canary_never_falls(world, plan, watch);
    no_analysis_is_skipped(world, plan, watch);
    failure_is_obeyed(world, plan);
    completed_means_stable(world, plan);
    wakes_in_time(world, plan);
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
    // Without a gate a canary may begin with nothing healthy.
    let rolling = plan.status.rollout.as_ref().filter(|_| world.observed.spec.readiness.healthy_targets == 0);
    let ungated = |name: &str| rolling.is_some_and(|rollout| rollout.version == version_of(name));
    let all_ill =
        write.entries.iter().filter(|entry| ungated(&entry.name)).all(|entry| says(&entry.name) == Some(0));
    for entry in &write.entries {
        let was = before.get(&entry.arn).copied().unwrap_or(0);
        let ill = says(&entry.name) == Some(0) && was == 0 && !(all_ill && ungated(&entry.name));
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
    // It failed; the pass that took its weight away died before it said so. If
    // it is unblocked again, it begins where that pass left it.
    if world.observed.blocklist.iter().any(|item| item.version == rollout.version) {
        watch.reached.remove(id);
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

/// Nothing may be decided or touched.
fn is_hands_off(world: &World) -> bool {
    let foreign = |config: &Config| config.ownership == Ownership::Foreign;
    !world.observed.incomplete.is_empty() || world.observed.config.as_ref().is_some_and(foreign)
}

fn hands_off(world: &World, plan: &Plan) {
    let quiet = plan.config.is_none() && plan.create.is_empty() && plan.terminate.is_empty();
    let still = plan.delete.is_empty() && plan.block.is_empty() && plan.unblock.is_empty();
    assert!(quiet && still, "hands off: {}", brief(world, plan));
    assert_eq!(plan.status.stable_version, world.observed.status.stable_version);
}

/// Whether an entry is described by a legal, selected AWSTargetGroup.
fn is_known(world: &World, entry: &ConfigEntry) -> bool {
    world.observed.target_groups.iter().any(|group| {
        let same = group.arn.as_ref().is_ok_and(|arn| arn.as_str() == entry.arn);
        same && group.selected && !group.deleting && group.version.is_ok()
    })
}

fn all_known(world: &World) -> bool {
    let mut entries = world.observed.config.iter().flat_map(|config| &config.entries);
    entries.all(|entry| entry.weight == 0 || is_known(world, entry))
}

fn gains<'p>(world: &World, write: &'p ConfigWrite) -> Vec<&'p PlannedEntry> {
    let before = weights_of(world);
    let sum: Weight = before.values().sum();
    let total = world.observed.spec.weight_total.get();
    if sum != total {
        return Vec::new();
    }
    let old = |entry: &PlannedEntry| before.get(&entry.arn).copied().unwrap_or(0);
    write.entries.iter().filter(|entry| entry.weight > old(entry)).collect()
}

/// Weight goes to what serves, to what is rolled out, and to nothing else.
fn only_the_sides_gain(world: &World, plan: &Plan, write: &ConfigWrite) {
    let status = &plan.status;
    let rolling = status.rollout.as_ref().map(|rollout| ServedVersion::Known(rollout.version.clone()));
    let sides = [&status.stable_version, &status.desired_version, &world.observed.status.stable_version];
    for entry in gains(world, write) {
        let version = Some(ServedVersion::Known(version_of(&entry.name)));
        let belongs = version == rolling || sides.into_iter().any(|side| *side == version);
        // During a takeover what serves may be of another version still.
        let serves = weights_of(world).get(&entry.arn).is_some_and(|weight| *weight > 0);
        let cares = status.rollout.as_ref().is_some_and(|rollout| rollout.kind != RolloutKind::Rollout);
        let config = world.observed.config.iter().flat_map(|config| &config.entries);
        let serving: Vec<_> =
            config.filter(|served| served.weight > 0).map(|served| version_of(&served.name)).collect();
        let same_served = serving.contains(&version_of(&entry.name));
        // A failed version that nothing can relieve shares what it has.
        let alone = same_served && serving.iter().all(|version| *version == version_of(&entry.name));
        assert!(
            belongs || serves || alone || (cares && same_served),
            "{} gains: {}",
            entry.name,
            brief(world, plan)
        );
    }
}

/// A raise by steps needs the present weights confirmed and the canary healthy.
fn steps_raise_only_what_is_confirmed_and_healthy(world: &World, plan: &Plan, write: &ConfigWrite) {
    let rollout = plan.status.rollout.as_ref().filter(|rollout| rollout.kind == RolloutKind::Rollout);
    let (Some(rollout), Some(config)) = (rollout, &world.observed.config) else { return };
    let is_canary = |name: &str| version_of(name) == rollout.version;
    let before: Weight =
        config.entries.iter().filter(|entry| is_canary(&entry.name)).map(|entry| entry.weight).sum();
    let after: Weight =
        write.entries.iter().filter(|entry| is_canary(&entry.name)).map(|entry| entry.weight).sum();
    let sum: Weight = config.entries.iter().map(|entry| entry.weight).sum();
    if sum != world.observed.spec.weight_total.get() || after <= before || !all_known(world) {
        return;
    }
    let stable_is_ill = config.entries.iter().filter(|entry| !is_canary(&entry.name)).all(|entry| {
        let group = world.observed.target_groups.iter().find(|group| group.name == entry.name);
        group.is_some_and(|group| group.healthy_targets == Some(0)) || entry.weight == 0
    });
    if stable_is_ill && before > 0 {
        return;
    }
    let status = &config.status;
    let confirmed = status.phase == Some(ConfigPhase::Updated)
        && status.observed_generation == Some(config.generation)
        && status.drift.is_none();
    assert!(confirmed, "raised unconfirmed: {}", brief(world, plan));
    let gate = world.observed.spec.readiness.healthy_targets;
    for entry in write.entries.iter().filter(|entry| is_canary(&entry.name) && entry.weight > 0) {
        let report = status.target_groups.iter().find(|report| report.arn == entry.arn);
        let healthy = report.and_then(|report| report.healthy_targets);
        assert!(healthy.is_none_or(|healthy| healthy >= gate), "raised ill: {}", brief(world, plan));
    }
}

/// `spec.paused`: only safety and what left moves weights.
fn paused_moves_nothing(world: &World, plan: &Plan, write: &ConfigWrite) {
    let recorded = &world.observed.status;
    let takes_over =
        |status: &Status| status.rollout.as_ref().is_some_and(|rollout| rollout.kind != RolloutKind::Rollout);
    let ordinary = plan.block.is_empty()
        && !takes_over(&plan.status)
        && !takes_over(recorded)
        && plan.status.stable_version == recorded.stable_version
        && plan.status.last_command == recorded.last_command;
    let before = weights_of(world);
    let sum: Weight = before.values().sum();
    let two_sides = {
        let rolling = recorded.rollout.as_ref().map(|rollout| ServedVersion::Known(rollout.version.clone()));
        let entries = world.observed.config.iter().flat_map(|config| &config.entries);
        entries.filter(|entry| entry.weight > 0).all(|entry| {
            let version = Some(ServedVersion::Known(version_of(&entry.name)));
            version == recorded.stable_version || version == rolling
        })
    };
    let total = world.observed.spec.weight_total.get();
    if !world.observed.spec.paused || !ordinary || !all_known(world) || sum != total || !two_sides {
        return;
    }
    let serving = |(arn, weight): (&String, &Weight)| (*weight > 0).then(|| (arn.clone(), *weight));
    let before: BTreeMap<String, Weight> = before.iter().filter_map(serving).collect();
    let after: BTreeMap<String, Weight> = write
        .entries
        .iter()
        .filter(|entry| entry.weight > 0)
        .map(|entry| (entry.arn.clone(), entry.weight))
        .collect();
    assert_eq!(before, after, "paused, and yet: {}", brief(world, plan));
}

fn has_completed(world: &World, plan: &Plan) -> bool {
    let newest = plan.status.history.first();
    newest != world.observed.status.history.first()
        && newest.is_some_and(|entry| entry.outcome == Some(Outcome::Completed))
}

/// Every analysis behind the present step was passed under this id.
fn no_analysis_is_skipped(world: &World, plan: &Plan, watch: &mut Watch) {
    let recorded = &world.observed.status;
    let Some(id) = &plan.status.rollout_id else { return };
    let steps = &world.observed.spec.steps;
    let completed = has_completed(world, plan);
    let rolling = plan.status.rollout.as_ref().filter(|rollout| rollout.kind == RolloutKind::Rollout);
    let (record, index) = match (rolling, &recorded.rollout) {
        (Some(rolling), _) => (rolling, plan.status.current_step_index.unwrap_or(0)),
        (None, Some(recorded)) if completed => (recorded, steps.len()),
        _ => return,
    };
    let first_seen = || (plan.status.current_step_index.unwrap_or(0), steps.hash());
    let (begun, followed) = watch.begun.entry(id.clone()).or_insert_with(first_seen).clone();
    let commanded = plan.status.last_command != recorded.last_command;
    // Edited steps are another attempt, once they may be followed and if it is
    // remembered what was followed before.
    if record.promoted_fully || (completed && commanded) || followed != steps.hash() {
        return;
    }
    for step in (begun..index).filter(|step| matches!(steps.get(*step), Some(Step::Analysis(_)))) {
        let passed = record.passed.iter().any(|passed| passed.step == step);
        let judged = world.observed.components.iter().any(|component| {
            component.rollout_id.as_ref() == Some(id)
                && component.step == Some(StepReference::Index(step))
                && component.phase == ComponentPhase::Successful
        });
        assert!(passed || judged, "the analysis of step {step} was skipped: {}", brief(world, plan));
    }
}

/// A failed run of the present rollout blocks its version, unless that would
/// leave only what is ill.
fn failure_is_obeyed(world: &World, plan: &Plan) {
    let observed = &world.observed;
    let rolling = observed.status.rollout.as_ref().filter(|rollout| rollout.kind == RolloutKind::Rollout);
    let (Some(rollout), Some(id)) = (rolling, &observed.status.rollout_id) else { return };
    let blocked = observed.blocklist.iter().any(|item| item.version == rollout.version);
    let failed = observed.components.iter().any(|component| {
        component.rollout_id.as_ref() == Some(id)
            && component.kind != ComponentKind::Pause
            && matches!(component.phase, ComponentPhase::Failed | ComponentPhase::Error)
            && !rollout.passed.iter().any(|passed| component.step == Some(StepReference::Index(passed.step)))
    });
    if !failed || blocked || observed.status.stable_version.is_none() {
        return;
    }
    let blocks = plan.block.iter().any(|block| block.version == rollout.version);
    let left_to_human = plan.phase() == Phase::Degraded && reasons(plan).contains(&Reason::StableUnhealthy);
    // A canary that lost weight before this plan is taken back all the same.
    let taken_back = plan.status.rollout.as_ref().is_none_or(|rollout| rollout.kind != RolloutKind::Rollout);
    assert!(blocks || left_to_human || taken_back, "a failure is ignored: {}", brief(world, plan));
}

/// `Completed` is said only when the stable version serves everything that
/// can be told apart.
fn completed_means_stable(world: &World, plan: &Plan) {
    let Some(ServedVersion::Known(stable)) = &plan.status.stable_version else { return };
    if plan.phase() != Phase::Completed {
        return;
    }
    for entry in plan.entries.iter().filter(|entry| entry.weight > 0) {
        let of_config =
            ConfigEntry { name: entry.name.clone(), arn: entry.arn.clone(), weight: entry.weight };
        let other = is_known(world, &of_config) && version_of(&entry.name) != *stable;
        assert!(!other, "completed: {}", brief(world, plan));
    }
}

/// Whoever plans only when something happens, and when a plan asks for it, misses nothing.
fn wakes_in_time(world: &World, plan: &Plan) {
    if !plan.is_idle(&world.observed.status) {
        return;
    }
    let mut later = world.clone();
    let waits = plan.wake_at.map_or(1_000, |at| at.duration_since(world.now).as_secs() - 1);
    for seconds in [waits / 2, waits] {
        later.now = world.now + jiff::SignedDuration::from_secs(seconds.max(0));
        let late = later.plan();
        let still = late.config.is_none() && late.create.is_empty() && late.block.is_empty();
        let quiet = late.delete.is_empty() && late.terminate.is_empty() && late.retire.is_empty();
        assert!(still && quiet, "nobody wakes for {}: {}", brief(&later, &late), brief(world, plan));
    }
}
