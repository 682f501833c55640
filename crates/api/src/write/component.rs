//! Pauses, AnalysisRuns and Experiments that a plan asks for
//! (`spec/okra.md` 3.4.3, 3.4.4, 3.4.7).

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use okra_domain::cell::{
    Component, ComponentPhase, Executor, NewComponent, NewComponentBody, Observed, Plan, Role, StepReference,
};
use serde_json::{Value, json};
use thiserror::Error;

use super::status::{api_status, milliseconds};
use super::{label_value, owner_reference};
use crate::analysis::{
    AnalysisRun, AnalysisRunSpec, Argument, ArgumentError, CheckError, CheckScope, Experiment,
    ExperimentAnalysisTemplate, ExperimentSpec, MergeError, PodTemplate, RunFacts, RunMetadata, SideFacts,
    Templates, built_in_arguments, check_metrics, extensions_of, merge_templates, resolve_arguments,
    target_group_of,
};
use crate::cell::{AnalysisBlock, Cell, ExperimentStep, ExperimentTemplate};
use crate::names::{
    ANNOTATION_CLUSTER, ANNOTATION_METRICS, CONTROLLER_INSTANCE_ID, LABEL_CELL, LABEL_CONTROLLER_INSTANCE_ID,
    LABEL_ROLLOUT_ID, LABEL_STEP_INDEX,
};
use crate::pause::{Pause, PauseSpec};

/// What a component is made from.
#[derive(Clone, Copy, Debug)]
pub struct ComponentContext<'a> {
    /// The Cell.
    pub cell: &'a Cell,
    /// What the plan was made from.
    pub observed: &'a Observed,
    /// The plan.
    pub plan: &'a Plan,
    /// The time of the plan.
    pub now: Timestamp,
    /// Analysis templates at hand.
    pub templates: &'a Templates,
    /// ReplicaSets of the Cell's namespace by name, at least those of
    /// [`replica_sets_needed`] that exist; raw, so that pod fields which
    /// okra does not know survive (H-43).
    pub replica_sets: &'a BTreeMap<String, Value>,
}

/// An object to create.
#[derive(Clone, Debug, PartialEq)]
pub enum NewObject {
    /// A wait.
    Pause(Box<Pause>),
    /// A judgement.
    AnalysisRun(Box<AnalysisRun>),
    /// A trial beside the traffic.
    Experiment(Box<Experiment>),
}

/// A component cannot be made. That ends the rollout attempt (3.4.3): hand
/// [`failed_component`] to the next plan.
#[derive(Debug, Error)]
pub enum ComponentError {
    /// The spec has no such step any more.
    #[error("step {0} of the Cell does not say what to create")]
    NoSuchStep(StepReference),
    /// Templates are missing or contradict each other.
    #[error("the analysis templates cannot be merged")]
    Merge(#[from] MergeError),
    /// An argument has no value.
    #[error("the analysis arguments cannot be resolved")]
    Argument(#[from] ArgumentError),
    /// A check says nothing that can be measured.
    #[error("the checks cannot be measured")]
    Check(#[from] CheckError),
    /// A step would never end.
    #[error("metric '{0}' has an interval and no count: a step that waits for it would never end")]
    Endless(String),
    /// The ReplicaSet of a template does not exist.
    #[error("ReplicaSet '{0}' not found")]
    NoReplicaSet(String),
    /// The Cell cannot be shown to field references.
    #[error("the Cell cannot be written as JSON")]
    Json(#[source] serde_json::Error),
}

/// The object for a component of the plan.
///
/// # Errors
/// When templates, arguments or ReplicaSets do not allow it; names them.
pub fn new_object(
    context: &ComponentContext<'_>,
    component: &NewComponent,
) -> Result<NewObject, ComponentError> {
    match &component.body {
        NewComponentBody::Pause { expires_at } => {
            let spec = PauseSpec {
                expire_time: expires_at.map(milliseconds),
                indefinite: expires_at.is_none().then_some(true),
            };
            let metadata = metadata(context, component);
            Ok(NewObject::Pause(Box::new(Pause { metadata, spec, status: None })))
        }
        NewComponentBody::AnalysisRun => analysis_run(context, component),
        NewComponentBody::Experiment => experiment(context, component),
    }
}

/// What the next plan must see instead of a component that cannot be made.
pub fn failed_component(
    component: &NewComponent,
    cell_uid: &str,
    error: &ComponentError,
    now: Timestamp,
) -> Component {
    let cause = std::error::Error::source(error).map(|cause| format!(": {}", chain(cause)));
    Component {
        kind: component.kind(),
        name: component.name.clone(),
        owner_uid: Some(cell_uid.to_owned()),
        rollout_id: Some(component.rollout_id.clone()),
        step: Some(component.step),
        deleting: false,
        phase: ComponentPhase::Error,
        message: format!("{error}{}", cause.unwrap_or_default()),
        value: None,
        created_at: Some(now),
        expires_at: None,
        indefinite: false,
        endless: false,
        terminating: false,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        None => error.to_string(),
        Some(cause) => format!("{error}: {}", chain(cause)),
    }
}

/// Names of the ReplicaSets that a component needs.
pub fn replica_sets_needed(cell: &Cell, component: &NewComponent) -> Vec<String> {
    let templates = experiment_step(cell, component.step).map(|step| step.templates).unwrap_or_default();
    templates.into_iter().map(|template| template.spec_ref).collect()
}

fn metadata(context: &ComponentContext<'_>, component: &NewComponent) -> ObjectMeta {
    let cell = &context.observed.cell;
    let labels = BTreeMap::from([
        (LABEL_CELL.to_owned(), label_value(&cell.name)),
        (LABEL_ROLLOUT_ID.to_owned(), label_value(component.rollout_id.as_str())),
        (LABEL_STEP_INDEX.to_owned(), component.step.to_string()),
    ]);
    ObjectMeta {
        name: Some(component.name.clone()),
        namespace: Some(cell.namespace.clone()),
        labels: Some(labels),
        owner_references: Some(vec![owner_reference(context.cell)]),
        ..ObjectMeta::default()
    }
}

/// Labels and annotations of what is judged: the caller's, and above them
/// those by which okra finds its own.
fn judged_metadata(
    context: &ComponentContext<'_>,
    component: &NewComponent,
    added: Option<&RunMetadata>,
    cluster: Option<&String>,
) -> ObjectMeta {
    let mut metadata = metadata(context, component);
    let labels = metadata.labels.get_or_insert_default();
    if context.observed.spec.executor == Executor::Okra {
        labels.insert(LABEL_CONTROLLER_INSTANCE_ID.to_owned(), CONTROLLER_INSTANCE_ID.to_owned());
    }
    let added = added.cloned().unwrap_or_default();
    for (key, value) in added.labels {
        labels.entry(key).or_insert(value);
    }
    let mut annotations = added.annotations;
    if let Some(cluster) = cluster {
        annotations.insert(ANNOTATION_CLUSTER.to_owned(), cluster.clone());
    }
    if !annotations.is_empty() {
        metadata.annotations = Some(annotations);
    }
    metadata
}

/// The analysis block of a step or of the background.
fn analysis_block(cell: &Cell, step: StepReference) -> Option<AnalysisBlock> {
    let strategy = cell.spec.update_strategy.as_ref()?;
    match step {
        StepReference::Background => Some(strategy.canary.as_ref()?.analysis.as_ref()?.block()),
        StepReference::Index(index) => {
            let canary =
                strategy.canary.as_ref().and_then(|canary| canary.steps.get(index)?.analysis.clone());
            let blue_green = || strategy.blue_green.as_ref()?.steps.get(index)?.analysis.clone();
            if is_blue_green(cell) { blue_green() } else { canary }
        }
    }
}

fn experiment_step(cell: &Cell, step: StepReference) -> Option<ExperimentStep> {
    let StepReference::Index(index) = step else { return None };
    let strategy = cell.spec.update_strategy.as_ref()?;
    if is_blue_green(cell) {
        strategy.blue_green.as_ref()?.steps.get(index)?.experiment.clone()
    } else {
        strategy.canary.as_ref()?.steps.get(index)?.experiment.clone()
    }
}

fn is_blue_green(cell: &Cell) -> bool {
    cell.spec.update_strategy.as_ref().is_some_and(crate::cell::UpdateStrategy::is_blue_green)
}

fn analysis_run(
    context: &ComponentContext<'_>,
    component: &NewComponent,
) -> Result<NewObject, ComponentError> {
    let block = analysis_block(context.cell, component.step);
    let block = block.ok_or(ComponentError::NoSuchStep(component.step))?;
    let facts = run_facts(context, component);
    let scope = CheckScope {
        load_balancer: facts.load_balancer.clone(),
        target_groups: facts.canary.target_group_arns.iter().map(|arn| target_group_of(arn)).collect(),
        background: component.step == StepReference::Background,
    };
    let checks = check_metrics(&block.checks, &scope)?;
    let merged = merge_templates(
        &block.templates,
        context.templates,
        &checks,
        &block.dry_run,
        &block.measurement_retention,
    )?;
    if !scope.background
        && let Some(endless) = merged.metrics.iter().find(|metric| crate::observe::is_endless(metric))
    {
        let name = crate::analysis::Metric::name_of(endless).unwrap_or_default();
        return Err(ComponentError::Endless(name.to_owned()));
    }
    let built_in = built_in_arguments(&facts);
    let cell = cell_with_status(context)?;
    let resolved = resolve_arguments(&merged.args, &block.args, &cell, &built_in, &merged.metrics)?;
    let extensions = extensions_of(&merged.metrics);
    let spec = AnalysisRunSpec {
        metrics: merged.metrics,
        args: resolved.args,
        dry_run: merged.dry_run,
        measurement_retention: merged.measurement_retention,
        terminate: None,
        ttl_strategy: None,
    };
    let cluster = block.cluster.as_deref().map(|cluster| named_cluster(cluster, &facts));
    let mut metadata =
        judged_metadata(context, component, block.analysis_run_metadata.as_ref(), cluster.as_ref());
    if let Some(extensions) = extensions {
        metadata
            .annotations
            .get_or_insert_default()
            .entry(ANNOTATION_METRICS.to_owned())
            .or_insert(extensions);
    }
    Ok(NewObject::AnalysisRun(Box::new(AnalysisRun { metadata, spec, status: None })))
}

/// The cluster that `canary` or `stable` means for this rollout: the first by
/// name. A side without a known cluster keeps its word, and the run says that
/// nothing of that name is there.
fn named_cluster(cluster: &str, facts: &RunFacts) -> String {
    let first = match cluster {
        "canary" => facts.canary.clusters.first(),
        "stable" => facts.stable.clusters.first(),
        _ => None,
    };
    first.cloned().unwrap_or_else(|| cluster.to_owned())
}

/// The Cell as JSON, with the status that the plan is about to write, for
/// field references (3.4.6).
fn cell_with_status(context: &ComponentContext<'_>) -> Result<Value, ComponentError> {
    let cell = Cell { status: Some(api_status(&context.plan.status)), ..context.cell.clone() };
    serde_json::to_value(cell).map_err(ComponentError::Json)
}

fn run_facts(context: &ComponentContext<'_>, component: &NewComponent) -> RunFacts {
    let side = |role: Role| {
        let entries = || context.plan.entries.iter().filter(move |entry| entry.role == role);
        let mut clusters: Vec<String> = entries()
            .filter_map(|entry| {
                let named = |group: &&okra_domain::cell::TargetGroup| group.name == entry.name;
                context.observed.target_groups.iter().find(named)?.cluster.clone()
            })
            .collect();
        clusters.sort();
        clusters.dedup();
        SideFacts {
            version: entries().next().map(|entry| entry.version.to_string()).unwrap_or_default(),
            clusters,
            target_group_arns: entries().map(|entry| entry.arn.clone()).collect(),
        }
    };
    let total = context.observed.spec.weight_total;
    let canary = context.plan.entries.iter().filter(|entry| entry.role == Role::Canary);
    let entry = context.cell.spec.entry_point().ok();
    RunFacts {
        cell: context.observed.cell.name.clone(),
        namespace: context.observed.cell.namespace.clone(),
        rollout_id: component.rollout_id.to_string(),
        step: component.step.to_string(),
        weight: total.to_percent(canary.map(|entry| entry.weight).sum()).into(),
        started_at: context.now,
        listener_arn: entry.as_ref().map(|entry| entry.listener_arn().to_owned()).unwrap_or_default(),
        load_balancer: entry.as_ref().and_then(crate::cell::EntryPoint::load_balancer).unwrap_or_default(),
        stable: side(Role::Stable),
        canary: side(Role::Canary),
    }
}

fn experiment(context: &ComponentContext<'_>, component: &NewComponent) -> Result<NewObject, ComponentError> {
    let step = experiment_step(context.cell, component.step);
    let step = step.ok_or(ComponentError::NoSuchStep(component.step))?;
    let cell = cell_with_status(context)?;
    let templates = step.templates.iter().map(|template| pod_template(context, template));
    let analyses = step.analyses.iter().map(|analysis| {
        let resolved = resolve_arguments(&[], &analysis.args, &cell, &BTreeMap::new(), &[])?;
        Ok::<_, ComponentError>(ExperimentAnalysisTemplate {
            name: analysis.name.clone(),
            template_name: analysis.template_name.clone(),
            cluster_scope: analysis.cluster_scope,
            args: resolved.args.into_iter().collect::<Vec<Argument>>(),
            required_for_completion: analysis.required_for_completion,
        })
    });
    let spec = ExperimentSpec {
        templates: templates.collect::<Result<_, _>>()?,
        analyses: analyses.collect::<Result<_, _>>()?,
        duration: step.duration.clone(),
        progress_deadline_seconds: step.progress_deadline_seconds,
        ..ExperimentSpec::default()
    };
    let facts = run_facts(context, component);
    let cluster = step.cluster.as_deref().map(|cluster| named_cluster(cluster, &facts));
    let metadata = judged_metadata(context, component, None, cluster.as_ref());
    Ok(NewObject::Experiment(Box::new(Experiment { metadata, spec, status: None })))
}

fn pod_template(
    context: &ComponentContext<'_>,
    template: &ExperimentTemplate,
) -> Result<PodTemplate, ComponentError> {
    let name = &template.spec_ref;
    let set = context.replica_sets.get(name).ok_or_else(|| ComponentError::NoReplicaSet(name.clone()))?;
    let own = |field: &str| set.pointer(&format!("/spec/{field}")).cloned();
    let mut pods = own("template").unwrap_or_else(|| json!({}));
    if let Some(added) = &template.metadata {
        merge(&mut pods, json!({"metadata": added}));
    }
    Ok(PodTemplate {
        name: template.name.clone(),
        // Argo's own default was seen not to work, so the number is stated.
        replicas: Some(template.replicas.unwrap_or(1)),
        min_ready_seconds: template.min_ready_seconds,
        selector: template.selector.clone().or_else(|| own("selector")),
        template: Some(pods),
        service: None,
    })
}

fn merge(into: &mut Value, added: Value) {
    match (into, added) {
        (Value::Object(into), Value::Object(added)) => {
            for (key, value) in added {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, added) => *into = added,
    }
}

#[cfg(test)]
#[path = "component_tests.rs"]
mod tests;
