//! `AnalysisTemplate` and `ClusterAnalysisTemplate` (`spec/analysis.md` 1.2).

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::extensions::{ExtensionError, with_extensions};
use super::metric::Metric;
use crate::cell::{FieldReference, TemplateReference};

/// What to measure, to be used by many runs.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "argoproj.io",
    version = "v1alpha1",
    kind = "AnalysisTemplate",
    plural = "analysistemplates",
    shortname = "at",
    namespaced,
    derive = "PartialEq",
    doc = "What to measure, to be used by many runs.",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisTemplateSpec {
    /// What to measure; may be empty only if `templates` supplies some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Metric>")]
    pub metrics: Vec<Value>,
    /// Declared arguments; one without a value must come from the caller.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Argument>,
    /// Metrics that never influence the verdict.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<DryRun>,
    /// How many measurements to keep.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measurement_retention: Vec<MeasurementRetention>,
    /// Nested templates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<TemplateReference>,
}

impl AnalysisTemplate {
    /// The spec with the metric fields that an annotation of the object adds.
    ///
    /// # Errors
    /// When the annotation cannot be read.
    pub fn effective_spec(&self) -> Result<AnalysisTemplateSpec, ExtensionError> {
        self.spec.extended(&self.metadata)
    }
}

impl ClusterAnalysisTemplate {
    /// As [`AnalysisTemplate::effective_spec`].
    ///
    /// # Errors
    /// When the annotation cannot be read.
    pub fn effective_spec(&self) -> Result<AnalysisTemplateSpec, ExtensionError> {
        self.spec.0.extended(&self.metadata)
    }
}

impl AnalysisTemplateSpec {
    fn extended(&self, metadata: &ObjectMeta) -> Result<Self, ExtensionError> {
        let metrics = with_extensions(&self.metrics, metadata.annotations.as_ref())?;
        Ok(Self { metrics, ..self.clone() })
    }
}

/// The same, for all namespaces.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "argoproj.io",
    version = "v1alpha1",
    kind = "ClusterAnalysisTemplate",
    plural = "clusteranalysistemplates",
    shortname = "cat",
    derive = "PartialEq",
    doc = "What to measure, to be used by many runs of all namespaces.",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(transparent)]
pub struct ClusterAnalysisTemplateSpec(pub AnalysisTemplateSpec);

/// A declared argument.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Argument {
    /// Name of the argument.
    pub name: String,
    /// Literal value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where the value comes from instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ArgumentSource>,
}

impl Argument {
    /// An argument with a literal value.
    pub fn literal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: Some(value.into()), value_from: None }
    }

    /// Whether the argument has a value or a place where it comes from.
    pub fn has_source(&self) -> bool {
        self.value.is_some()
            || self.value_from.as_ref().is_some_and(|source| *source != ArgumentSource::default())
    }
}

/// Where a declared argument's value comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArgumentSource {
    /// A key of a Secret in the namespace of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyReference>,
    /// A field of the calling object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_ref: Option<FieldReference>,
}

/// Names a key of a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyReference {
    /// Name of the Secret.
    pub name: String,
    /// Key in its data.
    pub key: String,
}

/// Metrics that are measured without influence on the verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DryRun {
    /// Unanchored regular expression over metric names.
    pub metric_name: String,
}

/// How many measurements of a metric to keep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeasurementRetention {
    /// Unanchored regular expression over metric names.
    pub metric_name: String,
    /// The newest so many are kept; 10 when 0 or less.
    pub limit: i64,
}

/// Labels and annotations that a caller adds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunMetadata {
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}
