//! An Experiment in the words of the planner, and its status back.

use jiff::SignedDuration;
use okra_domain::analysis::{InvalidDuration, Phase, parse_duration};
use okra_domain::experiment::{Analysis, ExperimentSpec, ExperimentStatus, Observed, SetStatus, Template};
use thiserror::Error;

use crate::analysis::{
    Experiment, ExperimentAnalysisRunStatus, ExperimentStatus as Stored, ExperimentTemplateStatus,
};
use crate::common::Condition;
use crate::write::{experiment_run_name, experiment_set_name, pod_template_hash};

/// Seconds for the sets to become available, when the spec names none.
const PROGRESS_DEADLINE_SECONDS: i64 = 600;
/// Seconds after the end before the pods go, when the spec names none.
const SCALE_DOWN_DELAY_SECONDS: i64 = 30;
/// Templates and analyses of one experiment: each is a set of pods or a run.
const ENTRIES_MAX: usize = 20;
/// The condition that tells when an experiment ended.
const COMPLETED: &str = "Completed";

/// An experiment that cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExperimentError {
    /// Nothing to do.
    #[error("an experiment needs templates or analyses")]
    Empty,
    /// More than [`ENTRIES_MAX`] of a kind.
    #[error("more than {ENTRIES_MAX} {0}")]
    TooMany(&'static str),
    /// Two entries of one name, or one without.
    #[error("{0} need names, each once: {1:?}")]
    Name(&'static str, String),
    /// No duration.
    #[error("duration: {0}")]
    Duration(#[from] InvalidDuration),
    /// Too many or too few.
    #[error("template {0:?}: replicas must be between 0 and 1000")]
    Replicas(String),
    /// Pods without a description.
    #[error("template {0:?} has no pod template")]
    NoPods(String),
}

/// Pods of one set.
const REPLICAS_MAX: i64 = 1_000;

/// The experiment as it is planned.
///
/// # Errors
/// When it cannot be run; says what is wrong.
pub fn experiment_spec(experiment: &Experiment) -> Result<ExperimentSpec, ExperimentError> {
    let spec = &experiment.spec;
    if spec.templates.is_empty() && spec.analyses.is_empty() {
        return Err(ExperimentError::Empty);
    }
    check_names("templates", spec.templates.iter().map(|template| template.name.as_str()))?;
    check_names("analyses", spec.analyses.iter().map(|analysis| analysis.name.as_str()))?;
    let templates = spec.templates.iter().map(|template| {
        let name = template.name.clone();
        let replicas = template.replicas.unwrap_or(1);
        if !(0..=REPLICAS_MAX).contains(&replicas) {
            return Err(ExperimentError::Replicas(name));
        }
        if template.template.is_none() {
            return Err(ExperimentError::NoPods(name));
        }
        Ok(Template { name, replicas: u32::try_from(replicas).unwrap_or_default() })
    });
    let analyses = spec.analyses.iter().map(|analysis| Analysis {
        name: analysis.name.clone(),
        required: analysis.required_for_completion.unwrap_or(false),
    });
    let duration = spec.duration.as_deref().filter(|text| !text.is_empty()).map(parse_duration);
    let seconds =
        |seconds: Option<i64>, default| SignedDuration::from_secs(seconds.unwrap_or(default).max(0));
    Ok(ExperimentSpec {
        templates: templates.collect::<Result<_, _>>()?,
        analyses: analyses.collect(),
        duration: duration.transpose()?,
        progress_deadline: seconds(spec.progress_deadline_seconds, PROGRESS_DEADLINE_SECONDS),
        scale_down_delay: seconds(spec.scale_down_delay_seconds, SCALE_DOWN_DELAY_SECONDS),
        terminate: spec.terminate.unwrap_or(false),
    })
}

fn check_names<'a>(
    what: &'static str,
    names: impl Iterator<Item = &'a str> + Clone,
) -> Result<(), ExperimentError> {
    if names.clone().count() > ENTRIES_MAX {
        return Err(ExperimentError::TooMany(what));
    }
    let mut seen = std::collections::BTreeSet::new();
    match names.into_iter().find(|name| name.is_empty() || !seen.insert(*name)) {
        Some(name) => Err(ExperimentError::Name(what, name.to_owned())),
        None => Ok(()),
    }
}

/// The recorded state.
pub fn experiment_status(experiment: &Experiment) -> ExperimentStatus {
    let stored = experiment.status.clone().unwrap_or_default();
    let completed = stored.conditions.iter().find(|condition| condition.type_ == COMPLETED);
    let sets = stored.template_statuses.iter().filter_map(|set| {
        let status = SetStatus {
            phase: set.status.parse().ok()?,
            message: set.message.clone(),
            since: set.last_transition_time?,
        };
        Some((set.name.clone(), status))
    });
    ExperimentStatus {
        phase: serde_json::from_value(stored.phase.clone().into()).unwrap_or_default(),
        message: stored.message.clone(),
        available_at: stored.available_at,
        completed_at: completed.and_then(|condition| condition.last_transition_time),
        sets: sets.collect(),
    }
}

/// The same in the words of the API, with what was seen.
pub fn stored_experiment_status(
    experiment: &Experiment,
    status: &ExperimentStatus,
    seen: &Observed,
) -> Stored {
    let templates = experiment.spec.templates.iter().filter_map(|template| {
        let known = status.sets.get(&template.name)?;
        let set = seen.sets.get(&template.name).copied().unwrap_or_default();
        let count = |count: u32| Some(i64::from(count));
        Some(ExperimentTemplateStatus {
            name: template.name.clone(),
            replicas: count(set.current),
            updated_replicas: count(set.current),
            ready_replicas: count(set.ready),
            available_replicas: count(set.available),
            collision_count: None,
            status: known.phase.as_str().to_owned(),
            message: known.message.clone(),
            last_transition_time: Some(known.since),
            service_name: if template.service.is_some() {
                experiment_set_name(experiment, &template.name)
            } else {
                String::new()
            },
            pod_template_hash: pod_template_hash(template),
        })
    });
    let runs = experiment.spec.analyses.iter().filter_map(|analysis| {
        let run = seen.runs.get(&analysis.name)?;
        Some(ExperimentAnalysisRunStatus {
            name: analysis.name.clone(),
            analysis_run: experiment_run_name(experiment, &analysis.name),
            phase: run.phase.as_str().to_owned(),
            message: run.message.clone(),
        })
    });
    Stored {
        phase: status.phase.as_str().to_owned(),
        message: status.message.clone(),
        available_at: status.available_at,
        conditions: conditions(status),
        template_statuses: templates.collect(),
        analysis_runs: runs.collect(),
    }
}

/// `Running` while it runs, `Completed` from its end on, each since its time.
fn conditions(status: &ExperimentStatus) -> Vec<Condition> {
    let of = |type_: &str, holds: bool, since, reason: &str, message: &str| Condition {
        type_: type_.to_owned(),
        status: if holds { "True" } else { "False" }.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: since,
        // Without a subresource each write of status is a generation of its own.
        observed_generation: None,
    };
    let running = status.available_at.map(|since| {
        let holds = status.phase == Phase::Running;
        let since = if holds { Some(since) } else { status.completed_at.or(Some(since)) };
        of("Running", holds, since, if holds { "Available" } else { "Ended" }, "")
    });
    let completed = status.completed_at.map(|since| {
        let reason = format!("Experiment{}", status.phase.as_str());
        of(COMPLETED, true, Some(since), &reason, &status.message)
    });
    running.into_iter().chain(completed).collect()
}
