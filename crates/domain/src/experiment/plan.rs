//! What to do next with an experiment.

use jiff::Timestamp;

use super::spec::{ExperimentSpec, ExperimentStatus, Observed, SetPhase, SetStatus, Template};
use crate::analysis::Phase;

/// The next actions on an experiment. Nothing is left to decide.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExperimentPlan {
    /// Templates of which the set is to be made, without pods.
    pub create: Vec<String>,
    /// Sets and the pods that they shall have.
    pub scale: Vec<(String, u32)>,
    /// Analyses of which the run is to be made.
    pub start: Vec<String>,
    /// Analyses of which the run is to be stopped.
    pub terminate: Vec<String>,
    /// The status as it is now to be written.
    pub status: ExperimentStatus,
    /// When to plan again at the latest.
    pub wake_at: Option<Timestamp>,
}

/// Decides what to do now. To be called on every change of what is seen, and at `wake_at`.
pub fn plan(
    spec: &ExperimentSpec,
    status: &ExperimentStatus,
    seen: &Observed,
    now: Timestamp,
) -> ExperimentPlan {
    let mut plan = ExperimentPlan { status: status.clone(), ..ExperimentPlan::default() };
    if !status.phase.is_terminal() {
        settle_sets(spec, seen, now, &mut plan);
        match ending(spec, &plan.status, seen, now) {
            Some((phase, message)) => end(&mut plan.status, phase, message, now),
            None => go_on(spec, seen, &mut plan),
        }
    }
    if plan.status.phase.is_terminal() {
        wind_up(spec, seen, now, &mut plan);
    }
    plan
}

/// Brings the status of every set up to date, and that of the experiment with them.
fn settle_sets(spec: &ExperimentSpec, seen: &Observed, now: Timestamp, plan: &mut ExperimentPlan) {
    for template in &spec.templates {
        let phase = if is_available(template, seen) { SetPhase::Running } else { SetPhase::Progressing };
        let fresh = SetStatus { phase, message: String::new(), since: now };
        let known = plan.status.sets.entry(template.name.clone()).or_insert_with(|| fresh.clone());
        // A set that was available once has kept its deadline; that pods come and go is life.
        let rises = known.phase == SetPhase::Progressing && phase == SetPhase::Running;
        if rises {
            *known = fresh;
        }
    }
    let all = spec.templates.iter().all(|template| {
        plan.status.sets.get(&template.name).is_some_and(|set| set.phase == SetPhase::Running)
    });
    if all {
        plan.status.available_at.get_or_insert(now);
    }
    let running = plan.status.available_at.is_some();
    plan.status.phase = if running { Phase::Running } else { Phase::Pending };
    for template in &spec.templates {
        let late = plan.status.sets.get_mut(&template.name).filter(|set| {
            set.phase == SetPhase::Progressing && deadline(spec, set).is_some_and(|deadline| deadline <= now)
        });
        if let Some(set) = late {
            let seconds = spec.progress_deadline.as_secs();
            let available = seen.sets.get(&template.name).map_or(0, |set| set.available);
            let (phase, since) = (SetPhase::Failed, now);
            let message = format!("{available} of {} pods available after {seconds} s", template.replicas);
            *set = SetStatus { phase, message, since };
        }
    }
}

fn is_available(template: &Template, seen: &Observed) -> bool {
    let set = seen.sets.get(&template.name);
    set.is_some_and(|set| set.replicas == template.replicas && set.available >= template.replicas)
}

fn deadline(spec: &ExperimentSpec, set: &SetStatus) -> Option<Timestamp> {
    set.since.checked_add(spec.progress_deadline).ok()
}

/// When its time is over.
fn finish(spec: &ExperimentSpec, status: &ExperimentStatus) -> Option<Timestamp> {
    status.available_at?.checked_add(spec.duration?).ok()
}

/// How it ends, if it ends now.
fn ending(
    spec: &ExperimentSpec,
    status: &ExperimentStatus,
    seen: &Observed,
    now: Timestamp,
) -> Option<(Phase, String)> {
    let failed = status.sets.iter().find(|(_, set)| set.phase == SetPhase::Failed);
    if let Some((name, set)) = failed {
        return Some((Phase::Failed, format!("template {name:?}: {}", set.message)));
    }
    let runs = || spec.analyses.iter().filter_map(|own| Some((own, seen.runs.get(&own.name)?)));
    let worst = runs().filter(|(_, run)| run.phase.is_unsuccessful()).max_by_key(|(_, run)| run.phase);
    if let Some((analysis, run)) = worst {
        let why = if run.message.is_empty() { String::new() } else { format!(": {}", run.message) };
        return Some((run.phase, format!("analysis {:?} is {}{why}", analysis.name, run.phase.as_str())));
    }
    if spec.terminate {
        return Some((Phase::Successful, "Experiment Terminated".to_owned()));
    }
    let required = || spec.analyses.iter().filter(|analysis| analysis.required);
    let done = required().all(|own| seen.runs.get(&own.name).is_some_and(|run| run.phase.is_terminal()));
    if required().next().is_some() && done {
        return Some((Phase::Successful, "Required AnalysisRuns completed".to_owned()));
    }
    let over = finish(spec, status).is_some_and(|finish| finish <= now);
    (over && done).then(|| (Phase::Successful, String::new()))
}

fn end(status: &mut ExperimentStatus, phase: Phase, message: String, now: Timestamp) {
    status.phase = phase;
    status.message = message;
    status.completed_at = Some(now);
    for set in status.sets.values_mut().filter(|set| set.phase != SetPhase::Failed) {
        *set = SetStatus { phase: SetPhase::Successful, message: String::new(), since: now };
    }
}

/// Sets first, without pods, then their pods; analyses once all are available.
fn go_on(spec: &ExperimentSpec, seen: &Observed, plan: &mut ExperimentPlan) {
    for template in &spec.templates {
        match seen.sets.get(&template.name) {
            None => plan.create.push(template.name.clone()),
            Some(set) if set.replicas != template.replicas => {
                plan.scale.push((template.name.clone(), template.replicas));
            }
            Some(_) => {}
        }
    }
    if plan.status.available_at.is_some() {
        let missing = spec.analyses.iter().filter(|analysis| !seen.runs.contains_key(&analysis.name));
        plan.start.extend(missing.map(|analysis| analysis.name.clone()));
    }
    let sets = plan.status.sets.values().filter(|set| set.phase == SetPhase::Progressing);
    let deadlines = sets.filter_map(|set| deadline(spec, set));
    plan.wake_at = deadlines.chain(finish(spec, &plan.status)).min();
}

/// After the end: runs stop at once, pods go after the delay.
fn wind_up(spec: &ExperimentSpec, seen: &Observed, now: Timestamp, plan: &mut ExperimentPlan) {
    let running = seen.runs.iter().filter(|(_, run)| !run.phase.is_terminal() && !run.terminating);
    plan.terminate.extend(running.map(|(name, _)| name.clone()));
    let mut scaled = seen.sets.iter().filter(|(_, set)| set.replicas > 0).peekable();
    if scaled.peek().is_none() {
        return;
    }
    let ended = plan.status.completed_at.unwrap_or(now);
    let due = ended.saturating_add(spec.scale_down_delay).unwrap_or(Timestamp::MAX);
    if due <= now {
        plan.scale.extend(scaled.map(|(name, _)| (name.clone(), 0)));
    } else {
        plan.wake_at = Some(due);
    }
}
