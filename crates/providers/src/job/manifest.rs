//! The Job of one measurement.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};

use super::cluster::{JobPlace, MANAGEMENT_CLUSTER};
use crate::provider::{Place, ProviderError};
use crate::settings;

/// Label of a Job and its pods: the run's UID.
const LABEL_RUN_UID: &str = "analysisrun.argoproj.io/uid";
/// Annotations of a Job: what it measures.
const ANNOTATION_RUN_NAME: &str = "analysisrun.argoproj.io/name";
const ANNOTATION_RUN_NAMESPACE: &str = "analysisrun.argoproj.io/namespace";
const ANNOTATION_METRIC: &str = "analysisrun.argoproj.io/metric-name";

/// Characters of a metric's name that the name of its Jobs begins with. With number and hash the
/// name stays below the 63 that a label may have, and below 57, as pods append six to it.
const PREFIX_CHARS: usize = 32;

/// Bytes of the hash in the name: half of a million names collide with a chance of 1 in 100,000.
const HASH_BYTES: usize = 8;

/// The shortest time in seconds that a finished Job is kept, whatever its own rule says: one that
/// is gone before the next look has no outcome (argo-rollouts #747). Between two looks at a Job of
/// a day there are seven minutes.
const KEPT_SECONDS_MIN: i64 = 600;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Settings {
    #[serde(default)]
    metadata: Metadata,
    spec: Option<Map<String, Json>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

/// What a metric says about its Jobs.
pub(super) struct Manifest {
    metadata: Metadata,
    spec: Map<String, Json>,
}

impl Manifest {
    pub(super) fn read(settings: &Json) -> Result<Self, ProviderError> {
        let Settings { metadata, spec } = settings::read("job", settings)?;
        let spec = spec.ok_or_else(|| ProviderError::new("job.spec must be set"))?;
        let containers = spec.get("template").and_then(|template| template["spec"]["containers"].as_array());
        if containers.is_none_or(Vec::is_empty) {
            return Err(ProviderError::new("job.spec.template.spec.containers must have entries"));
        }
        Ok(Self { metadata, spec })
    }

    /// The object to be created.
    pub(super) fn of(self, measurement: &Place, place: &JobPlace, name: &str) -> Json {
        let Manifest { metadata, mut spec } = self;
        let mut labels = metadata.labels;
        labels.insert(LABEL_RUN_UID.to_owned(), measurement.run_uid.clone());
        let mut annotations = metadata.annotations;
        annotations.extend([
            (ANNOTATION_RUN_NAME.to_owned(), measurement.run.clone()),
            (ANNOTATION_RUN_NAMESPACE.to_owned(), measurement.namespace.clone()),
            (ANNOTATION_METRIC.to_owned(), measurement.metric.clone()),
        ]);
        let template = spec.entry("template").or_insert_with(|| json!({}));
        template["metadata"]["labels"][LABEL_RUN_UID] = Json::from(measurement.run_uid.clone());
        if let Some(kept) = spec.get_mut("ttlSecondsAfterFinished")
            && kept.as_i64().is_some_and(|seconds| seconds < KEPT_SECONDS_MIN)
        {
            *kept = Json::from(KEPT_SECONDS_MIN);
        }
        let mut object = json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": name, "namespace": place.namespace, "labels": labels, "annotations": annotations,
            },
            "spec": spec,
        });
        // An owner elsewhere would be taken for gone, and the Job deleted with it.
        if place.cluster == MANAGEMENT_CLUSTER && place.namespace == measurement.namespace {
            object["metadata"]["ownerReferences"] = json!([{
                "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun", "controller": true,
                "blockOwnerDeletion": true, "name": measurement.run, "uid": measurement.run_uid,
            }]);
        }
        object
    }
}

/// The name of the Job of a measurement: the metric for people, its number, and a hash of all that
/// tells it from others.
pub(super) fn name(measurement: &Place) -> String {
    let readable: String = measurement
        .metric
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .take(PREFIX_CHARS)
        .collect();
    let readable = readable.trim_matches('-');
    let readable = if readable.is_empty() { "metric" } else { readable };
    let Place { run_uid, metric, number, .. } = measurement;
    // No uid and no number holds a line feed.
    let hash = Sha256::digest(format!("{run_uid}\n{number}\n{metric}"));
    let mut name = format!("{readable}-{number}-");
    for byte in hash.iter().take(HASH_BYTES) {
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// What finds the Jobs of a run.
pub(super) fn selector(measurement: &Place) -> String {
    format!("{LABEL_RUN_UID}={}", measurement.run_uid)
}

/// Whether a Job was made for this metric of this run.
pub(super) fn belongs_to(job: &Json, measurement: &Place) -> bool {
    let metadata = &job["metadata"];
    metadata["labels"][LABEL_RUN_UID] == measurement.run_uid.as_str()
        && metadata["annotations"][ANNOTATION_METRIC] == measurement.metric.as_str()
}
