//! The objects that an Experiment asks for (`spec/analysis.md` 1.12): sets of
//! pods, services, runs. They bear a label of their own, so that no pod of the
//! ReplicaSet that a template was taken from is ever among them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource as _;
use kube::ResourceExt as _;
use okra_domain::analysis::parse_duration;
use okra_domain::analysis::substitute::{SubstitutionError, Values};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::label_value;
use crate::analysis::{
    AnalysisRun, AnalysisRunSpec, Argument, ArgumentError, Experiment, ExperimentAnalysisTemplate,
    MergeError, PodTemplate, Templates, extensions_of, merge_templates, resolve_arguments,
};
use crate::cell::{AnalysisArgument, AnalysisArgumentSource, TemplateReference};
use crate::names::{
    ANNOTATION_CLUSTER, ANNOTATION_METRICS, LABEL_CONTROLLER_INSTANCE_ID, LABEL_EXPERIMENT,
    LABEL_EXPERIMENT_SET,
};

/// Longest name that is made: events and pods add to it.
const NAME_BYTES_MAX: usize = 200;
/// Hexadecimal digits of a hash of pods.
const HASH_DIGITS: usize = 10;

/// A run of an experiment cannot be made.
#[derive(Debug, Error)]
pub enum ExperimentRunError {
    /// Templates are missing or contradict each other.
    #[error("the analysis templates cannot be merged: {0}")]
    Merge(#[from] MergeError),
    /// An argument has no value.
    #[error("{0}")]
    Argument(#[from] ArgumentError),
    /// A placeholder means nothing here.
    #[error("args.{name}: {error}")]
    Placeholder {
        /// Name of the argument.
        name: String,
        /// What is wrong.
        error: SubstitutionError,
    },
    /// The experiment cannot be shown to field references.
    #[error("the experiment cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

/// Name of the set of a template, and of its Service.
pub fn experiment_set_name(experiment: &Experiment, template: &str) -> String {
    bounded(&format!("{}-{template}", experiment.name_any()))
}

/// Name of the run of an analysis.
pub fn experiment_run_name(experiment: &Experiment, analysis: &str) -> String {
    bounded(&format!("{}-{analysis}", experiment.name_any()))
}

fn bounded(name: &str) -> String {
    if name.len() <= NAME_BYTES_MAX {
        return name.to_owned();
    }
    let kept: String = name.chars().take(NAME_BYTES_MAX - HASH_DIGITS - 1).collect();
    format!("{}-{}", kept.trim_end_matches(['-', '.']), hash(name))
}

fn hash(text: &str) -> String {
    let digest: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    digest[..HASH_DIGITS].to_owned()
}

/// Tells the pods of one template from those of another.
pub fn pod_template_hash(template: &PodTemplate) -> String {
    hash(&template.template.clone().unwrap_or_default().to_string())
}

fn labels(experiment: &Experiment, template: &str) -> Value {
    json!({
        LABEL_EXPERIMENT: label_value(&experiment.name_any()),
        LABEL_EXPERIMENT_SET: label_value(&experiment_set_name(experiment, template)),
    })
}

/// The set of pods of a template, without pods yet. `owned` where the set is in
/// the cluster of the experiment; nothing in another cluster can be owned.
pub fn experiment_set(experiment: &Experiment, template: &PodTemplate, owned: bool) -> Value {
    let own = labels(experiment, &template.name);
    let mut pods = template.template.clone().unwrap_or_else(|| json!({}));
    let mut selector = template.selector.clone().unwrap_or_else(|| json!({}));
    for (key, value) in own.as_object().into_iter().flatten() {
        pods["metadata"]["labels"][key] = value.clone();
        selector["matchLabels"][key] = value.clone();
    }
    let mut set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": metadata(experiment, &experiment_set_name(experiment, &template.name), own, owned),
        "spec": {"replicas": 0, "selector": selector, "template": pods},
    });
    if let Some(seconds) = template.min_ready_seconds {
        set["spec"]["minReadySeconds"] = seconds.into();
    }
    set
}

/// The Service of a template that asks for one: it leads to the ports that the
/// pods name.
pub fn experiment_service(experiment: &Experiment, template: &PodTemplate, owned: bool) -> Option<Value> {
    template.service.as_ref()?;
    let own = labels(experiment, &template.name);
    let pods = template.template.as_ref()?;
    let containers = pods["spec"]["containers"].as_array().into_iter().flatten();
    let ports: Vec<Value> = containers
        .flat_map(|container| container["ports"].as_array().into_iter().flatten())
        .filter_map(|port| {
            let number = port["containerPort"].as_i64()?;
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            let name = port["name"].as_str().map_or_else(|| format!("port-{number}"), str::to_owned);
            Some(json!({"name": name, "port": number, "targetPort": number, "protocol": protocol}))
        })
        .collect();
    if ports.is_empty() {
        return None;
    }
    Some(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": metadata(experiment, &experiment_set_name(experiment, &template.name), own.clone(), owned),
        "spec": {"selector": own, "ports": ports},
    }))
}

fn metadata(experiment: &Experiment, name: &str, labels: Value, owned: bool) -> Value {
    let namespace = experiment.namespace().unwrap_or_default();
    let mut metadata = json!({"name": name, "namespace": namespace, "labels": labels});
    if owned {
        metadata["ownerReferences"] = json!([owner(experiment)]);
    }
    metadata
}

fn owner(experiment: &Experiment) -> OwnerReference {
    OwnerReference {
        api_version: Experiment::api_version(&()).into_owned(),
        kind: Experiment::kind(&()).into_owned(),
        name: experiment.name_any(),
        uid: experiment.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// The run of an analysis, whose sets are available since `available_at`.
///
/// # Errors
/// When templates or arguments do not allow it; names them.
pub fn experiment_run(
    experiment: &Experiment,
    analysis: &ExperimentAnalysisTemplate,
    templates: &Templates,
    available_at: Timestamp,
) -> Result<AnalysisRun, ExperimentRunError> {
    let reference = TemplateReference {
        template_name: analysis.template_name.clone(),
        cluster_scope: analysis.cluster_scope,
    };
    let (dry_run, retention) = (&experiment.spec.dry_run, &experiment.spec.measurement_retention);
    let mut merged = merge_templates(&[reference], templates, &[], dry_run, retention)?;
    let known = placeholders(experiment, available_at);
    let mut given = Vec::new();
    for argument in &analysis.args {
        let from = argument.value_from.clone().unwrap_or_default();
        if from.secret_key_ref.is_some() {
            // A caller of a rollout cannot name a secret; one of an experiment can.
            merged.args.retain(|declared| declared.name != argument.name);
            merged.args.push(argument.clone());
            continue;
        }
        let value = argument.value.as_ref().map(|value| resolved(value, &known));
        let value = value
            .transpose()
            .map_err(|error| ExperimentRunError::Placeholder { name: argument.name.clone(), error })?;
        let field = from
            .field_ref
            .map(|field| AnalysisArgumentSource { field_ref: Some(field), pod_template_hash_value: None });
        given.push(AnalysisArgument { name: argument.name.clone(), value, value_from: field });
    }
    let caller = serde_json::to_value(experiment)?;
    let arguments = resolve_arguments(&merged.args, &given, &caller, &BTreeMap::new(), &merged.metrics)?;
    let metadata = run_metadata(experiment, &analysis.name, extensions_of(&merged.metrics));
    let spec = AnalysisRunSpec {
        metrics: merged.metrics,
        args: arguments.args.into_iter().collect::<Vec<Argument>>(),
        dry_run: merged.dry_run,
        measurement_retention: merged.measurement_retention,
        terminate: None,
        ttl_strategy: None,
    };
    Ok(AnalysisRun { metadata, spec, status: None })
}

fn run_metadata(experiment: &Experiment, analysis: &str, extensions: Option<String>) -> ObjectMeta {
    let added = experiment.spec.analysis_run_metadata.clone().unwrap_or_default();
    let mut labels = added.labels;
    labels.insert(LABEL_EXPERIMENT.to_owned(), label_value(&experiment.name_any()));
    if let Some(instance) = experiment.labels().get(LABEL_CONTROLLER_INSTANCE_ID) {
        labels.insert(LABEL_CONTROLLER_INSTANCE_ID.to_owned(), instance.clone());
    }
    let mut annotations = added.annotations;
    if let Some(cluster) = experiment.annotations().get(ANNOTATION_CLUSTER) {
        annotations.entry(ANNOTATION_CLUSTER.to_owned()).or_insert_with(|| cluster.clone());
    }
    if let Some(extensions) = extensions {
        annotations.entry(ANNOTATION_METRICS.to_owned()).or_insert(extensions);
    }
    ObjectMeta {
        name: Some(experiment_run_name(experiment, analysis)),
        namespace: experiment.namespace(),
        labels: Some(labels),
        annotations: (!annotations.is_empty()).then_some(annotations),
        owner_references: Some(vec![owner(experiment)]),
        ..ObjectMeta::default()
    }
}

/// What arguments of an experiment's analyses may mention besides.
fn placeholders(experiment: &Experiment, available_at: Timestamp) -> Values {
    let seconds = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut known = BTreeMap::from([("experiment.availableAt".to_owned(), seconds(available_at))]);
    let duration = experiment.spec.duration.as_deref().and_then(|text| parse_duration(text).ok());
    if let Some(finish) = duration.and_then(|duration| available_at.checked_add(duration).ok()) {
        known.insert("experiment.finishedAt".to_owned(), seconds(finish));
    }
    for template in &experiment.spec.templates {
        let name = &template.name;
        known.insert(format!("templates.{name}.podTemplateHash"), pod_template_hash(template));
        known.insert(format!("templates.{name}.replicaset.name"), experiment_set_name(experiment, name));
    }
    Values::of(known)
}

fn resolved(text: &str, known: &Values) -> Result<String, SubstitutionError> {
    let value = known.substitute(&Value::from(text))?;
    Ok(value.as_str().unwrap_or_default().to_owned())
}
