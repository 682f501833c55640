//! Experiment: sets of pods and analyses that run together for a while, in
//! this cluster or in a member (`spec/analysis.md` 1.12). What is decided is
//! decided in [`okra_domain::experiment::plan`]. okra executes the experiments
//! that carry its instance id; all others are left to Argo Rollouts.
//!
//! Sets of pods in members have no owner there: a finalizer on the experiment
//! holds it until they are gone.

mod place;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::ListParams;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::watcher;
use okra_api::analysis::{AnalysisTemplate, ClusterAnalysisTemplate, Templates};
use okra_api::names::{CONTROLLER_INSTANCE_ID, LABEL_CONTROLLER_INSTANCE_ID, LABEL_EXPERIMENT};
use okra_api::observe::{experiment_spec, experiment_status, stored_experiment_status};
use okra_api::write::{
    experiment_run, experiment_run_name, experiment_service, experiment_set, experiment_set_name,
};
use okra_api::{AnalysisRun, Experiment, Lenient};
use okra_domain::analysis::{Phase, TerminatedBy};
use okra_domain::experiment::{ExperimentPlan, ExperimentSpec, ExperimentStatus, Observed, RunSeen, plan};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::Context;
use crate::chain::chain;
use crate::events::{Occurrence, Severity};
use crate::failure::ReconcileError;
use crate::finalizers;
use crate::writer::{WriteError, merge_patch};
use place::{Place, is_elsewhere};

/// Wait before a refused write or read is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// How often sets of pods are looked at: nothing is watched in a member, for
/// an experiment is there for minutes and only now and then.
const POLL: Duration = Duration::from_secs(2);

/// Runs until `stop`.
pub async fn run(context: Context, stop: CancellationToken) {
    let own = format!("{LABEL_CONTROLLER_INSTANCE_ID}={CONTROLLER_INSTANCE_ID}");
    let runs = watcher::Config::default().labels(LABEL_EXPERIMENT);
    Controller::new(context.watched::<Lenient<Experiment>>(), watcher::Config::default().labels(&own))
        .owns(context.watched::<Lenient<AnalysisRun>>(), runs)
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile, on_error, Arc::new(context))
        .for_each(|_| std::future::ready(()))
        .await;
}

fn on_error(experiment: Arc<Lenient<Experiment>>, error: &ReconcileError, context: Arc<Context>) -> Action {
    tracing::debug!(experiment = experiment.name_any(), error = chain(error), "reconcile again");
    Action::requeue(context.entropy.jitter(RETRY, 1.0))
}

async fn reconcile(seen: Arc<Lenient<Experiment>>, context: Arc<Context>) -> Result<Action, ReconcileError> {
    let Some(experiment) = seen.valid() else { return Ok(Action::await_change()) };
    let writer = context.writer();
    let place = Place::of(&context, experiment).await;
    if experiment.metadata.deletion_timestamp.is_some() {
        return leave(&context, experiment, place).await;
    }
    if finalizers::keep(&writer, experiment, is_elsewhere(experiment)).await? {
        return Ok(Action::await_change());
    }
    let (before, now) = (experiment_status(experiment), context.clock.now());
    let spec = match experiment_spec(experiment) {
        Ok(spec) => spec,
        Err(error) => {
            refuse(&context, experiment, &before, format!("Experiment spec invalid: {error}"), now).await?;
            return Ok(Action::await_change());
        }
    };
    let (observed, trouble) = observe(&context, experiment, &spec, place.as_ref()).await?;
    let planned = plan(&spec, &before, &observed, now);
    // First, so that runs and pods are never older than what is known of them.
    if write(&context, experiment, &planned.status, &observed).await? {
        return Ok(Action::await_change());
    }
    let act = Act { context: &context, experiment, planned: &planned, now };
    let trouble = trouble.or(act.on_sets(place).await.err());
    act.on_runs(&before).await?;
    if let Some(trouble) = &trouble {
        tracing::warn!(experiment = experiment.name_any(), trouble, "sets of pods are not as they should be");
    }
    Ok(next_look(&planned, trouble.is_some(), now))
}

/// When to look again: pods are looked at as long as any are wanted.
fn next_look(planned: &ExperimentPlan, trouble: bool, now: Timestamp) -> Action {
    let wake = planned.wake_at.map(|moment| {
        Duration::try_from(moment.duration_since(now)).unwrap_or_default() + Duration::from_millis(1)
    });
    let at_work = !planned.status.phase.is_terminal() || trouble || !planned.scale.is_empty();
    match (wake, at_work) {
        (Some(wake), true) => Action::requeue(wake.min(POLL)),
        (None, true) => Action::requeue(POLL),
        (Some(wake), false) => Action::requeue(wake),
        (None, false) => Action::await_change(),
    }
}

/// What is there. Sets of pods that cannot be seen count as absent, so that
/// their deadline ends the experiment; why is told.
async fn observe(
    context: &Context,
    experiment: &Experiment,
    spec: &ExperimentSpec,
    place: Result<&Place, &String>,
) -> Result<(Observed, Option<String>), ReconcileError> {
    let (mut observed, mut trouble) = (Observed::default(), None);
    match place {
        Ok(place) => {
            for template in &spec.templates {
                match place.set(&experiment_set_name(experiment, &template.name)).await {
                    Ok(Some(set)) => drop(observed.sets.insert(template.name.clone(), set)),
                    Ok(None) => {}
                    Err(error) => trouble = Some(error),
                }
            }
        }
        Err(error) => trouble = Some(error.clone()),
    }
    let runs = context.namespaced::<AnalysisRun>(&experiment.namespace().unwrap_or_default());
    for analysis in &spec.analyses {
        let run = runs.get_opt(&experiment_run_name(experiment, &analysis.name)).await?;
        let is_own = |run: &AnalysisRun| {
            run.owner_references().iter().any(|owner| Some(&owner.uid) == experiment.uid().as_ref())
        };
        if let Some(run) = run.filter(is_own) {
            let status = run.status.unwrap_or_default();
            let phase = serde_json::from_value(status.phase.into()).unwrap_or_default();
            let terminating = run.spec.terminate.unwrap_or(false);
            observed
                .runs
                .insert(analysis.name.clone(), RunSeen { phase, message: status.message, terminating });
        }
    }
    Ok((observed, trouble))
}

/// Writes the status if it has changed; whether it has. The kind has no
/// subresource.
async fn write(
    context: &Context,
    experiment: &Experiment,
    status: &ExperimentStatus,
    observed: &Observed,
) -> Result<bool, WriteError> {
    let before =
        serde_json::to_value(experiment.status.clone().unwrap_or_default()).map_err(WriteError::Json)?;
    let after = stored_experiment_status(experiment, status, observed);
    let was_terminal = experiment_status(experiment).phase.is_terminal();
    let after = serde_json::to_value(after).map_err(WriteError::Json)?;
    let Some(change) = merge_patch(&before, &after) else { return Ok(false) };
    context.writer().patch(experiment, json!({"status": change})).await?;
    if status.phase.is_terminal() && !was_terminal {
        let severity = if status.phase == Phase::Successful { Severity::Normal } else { Severity::Warning };
        let note = if status.message.is_empty() { "its time is over" } else { &status.message }.to_owned();
        let reason = format!("Experiment{}", status.phase.as_str());
        let occurrence = Occurrence { severity, reason, action: "Judge", note };
        context.events("experiment").publish(experiment, &occurrence).await;
    }
    Ok(true)
}

/// Ends an experiment that cannot be run.
async fn refuse(
    context: &Context,
    experiment: &Experiment,
    before: &ExperimentStatus,
    message: String,
    now: Timestamp,
) -> Result<(), WriteError> {
    if before.phase.is_terminal() {
        return Ok(());
    }
    let status = ExperimentStatus { phase: Phase::Error, message, completed_at: Some(now), ..before.clone() };
    write(context, experiment, &status, &Observed::default()).await.map(drop)
}

/// Removes what an experiment made elsewhere, and lets it go.
async fn leave(
    context: &Context,
    experiment: &Experiment,
    place: Result<Place, String>,
) -> Result<Action, ReconcileError> {
    match place {
        Ok(place) if place.owned => {}
        Ok(place) => {
            for template in &experiment.spec.templates {
                let removed = place.remove(&experiment_set_name(experiment, &template.name)).await;
                if let Err(trouble) = removed {
                    tracing::warn!(
                        experiment = experiment.name_any(),
                        trouble,
                        "its pods are not removed yet"
                    );
                    return Ok(Action::requeue(POLL));
                }
            }
        }
        // A cluster that is known no more cannot be tidied up.
        Err(trouble) => {
            tracing::warn!(experiment = experiment.name_any(), trouble, "what it made there stays");
        }
    }
    finalizers::release(&context.writer(), experiment).await?;
    Ok(Action::await_change())
}

/// A plan and what it is about.
struct Act<'a> {
    context: &'a Context,
    experiment: &'a Experiment,
    planned: &'a ExperimentPlan,
    now: Timestamp,
}

impl Act<'_> {
    /// Makes and scales sets of pods.
    async fn on_sets(&self, place: Result<Place, String>) -> Result<(), String> {
        if self.planned.create.is_empty() && self.planned.scale.is_empty() {
            return Ok(());
        }
        let place = place?;
        let templates = &self.experiment.spec.templates;
        for name in &self.planned.create {
            let Some(template) = templates.iter().find(|template| template.name == *name) else { continue };
            place.create(&experiment_set(self.experiment, template, place.owned)).await?;
            if let Some(service) = experiment_service(self.experiment, template, place.owned) {
                place.create(&service).await?;
            }
        }
        for (name, replicas) in &self.planned.scale {
            place.scale(&experiment_set_name(self.experiment, name), *replicas).await?;
        }
        Ok(())
    }

    /// Starts and stops runs.
    async fn on_runs(&self, before: &ExperimentStatus) -> Result<(), ReconcileError> {
        let namespace = self.experiment.namespace().unwrap_or_default();
        if !self.planned.start.is_empty() {
            let templates = self.templates(&namespace).await?;
            for name in &self.planned.start {
                self.start(name, &templates, before).await?;
            }
        }
        let runs = self.context.namespaced::<AnalysisRun>(&namespace);
        for name in &self.planned.terminate {
            let Some(run) = runs.get_opt(&experiment_run_name(self.experiment, name)).await? else {
                continue;
            };
            let by = TerminatedBy::RolloutFinished;
            let word = json!({
                "metadata": {"annotations": {okra_api::names::ANNOTATION_TERMINATED_BY: by}},
                "spec": {"terminate": true},
            });
            self.context.writer().patch(&run, word).await?;
        }
        Ok(())
    }

    async fn start(
        &self,
        name: &str,
        templates: &Templates,
        before: &ExperimentStatus,
    ) -> Result<(), ReconcileError> {
        let analyses = &self.experiment.spec.analyses;
        let Some(analysis) = analyses.iter().find(|analysis| analysis.name == *name) else { return Ok(()) };
        let available_at = self.planned.status.available_at.unwrap_or(self.now);
        match experiment_run(self.experiment, analysis, templates, available_at) {
            Ok(run) => match self.context.writer().create(&run).await {
                // Made by a pass that could not say so, or somebody else's: the next look tells.
                Ok(_) | Err(WriteError::Exists) => Ok(()),
                Err(error) => Err(error.into()),
            },
            Err(error) => {
                let message = format!("analysis {name:?}: {error}");
                Ok(refuse(self.context, self.experiment, before, message, self.now).await?)
            }
        }
    }

    async fn templates(&self, namespace: &str) -> Result<Templates, ReconcileError> {
        let all = ListParams::default();
        let namespaced =
            self.context.namespaced::<Lenient<AnalysisTemplate>>(namespace).list(&all).await?.items;
        let cluster: kube::Api<Lenient<ClusterAnalysisTemplate>> =
            kube::Api::all(self.context.client.clone());
        let cluster = cluster.list(&all).await?.items;
        Ok(Templates::of(
            namespaced.iter().filter_map(Lenient::valid),
            cluster.iter().filter_map(Lenient::valid),
        ))
    }
}
