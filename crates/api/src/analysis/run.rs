//! `AnalysisRun`: one execution of templates (`spec/analysis.md` 1.4). It has
//! no status subresource, as upstream: status is patched on the object itself.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::extensions::{ExtensionError, with_extensions};
use super::metric::Metric;
use super::template::{Argument, DryRun, MeasurementRetention};

/// One execution of analysis templates; all state lives in its status.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "argoproj.io",
    version = "v1alpha1",
    kind = "AnalysisRun",
    plural = "analysisruns",
    shortname = "ar",
    namespaced,
    status = "AnalysisRunStatus",
    derive = "PartialEq",
    doc = "One execution of analysis templates; all state lives in its status.",
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.phase",
        description = "AnalysisRun status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRunSpec {
    /// What to measure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Metric>")]
    pub metrics: Vec<Value>,
    /// Arguments; each has a value or a secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Argument>,
    /// Metrics that never influence the verdict.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<DryRun>,
    /// How many measurements to keep.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measurement_retention: Vec<MeasurementRetention>,
    /// Asks the run to stop; anyone may set it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminate: Option<bool>,
    /// When a completed run is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_strategy: Option<TtlStrategy>,
}

impl AnalysisRun {
    /// The spec with the metric fields that an annotation of the object adds.
    ///
    /// # Errors
    /// When the annotation cannot be read.
    pub fn effective_spec(&self) -> Result<AnalysisRunSpec, ExtensionError> {
        let metrics = with_extensions(&self.spec.metrics, self.metadata.annotations.as_ref())?;
        Ok(AnalysisRunSpec { metrics, ..self.spec.clone() })
    }
}

/// When a completed run is deleted, in seconds after its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TtlStrategy {
    /// Where the other two say nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_after_completion: Option<i64>,
    /// After `Failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_after_failure: Option<i64>,
    /// After `Successful`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_after_success: Option<i64>,
}

/// How far the run is and what it found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRunStatus {
    /// Absent, `Pending`, `Running`, `Successful`, `Failed`, `Error` or `Inconclusive`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub phase: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When measuring began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the phase became final.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// What stopped the run before all its metrics had ended by themselves: `User`,
    /// `RolloutFinished`, `Abort` or `SiblingFailed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminated_by: Option<String>,
    /// Counts of metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_summary: Option<RunSummary>,
    /// Counts of metrics that run dry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run_summary: Option<RunSummary>,
    /// One entry per metric.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metric_results: Vec<MetricResult>,
}

/// Counts of metrics, not of measurements.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    /// All.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
    /// Those that passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successful: Option<i64>,
    /// Those that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<i64>,
    /// Those that did neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inconclusive: Option<i64>,
    /// Those that could not be measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<i64>,
}

/// What one metric found so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricResult {
    /// Name of the metric.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Phase of the metric.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub phase: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Whether the metric runs dry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// What the provider noted, such as the resolved query.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Measurements that counted, errors excluded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
    /// Measurements that passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successful: Option<i64>,
    /// Measurements that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<i64>,
    /// Measurements that did neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inconclusive: Option<i64>,
    /// Measurements that could not be taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<i64>,
    /// Errors in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consecutive_error: Option<i64>,
    /// Successes in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consecutive_success: Option<i64>,
    /// The newest measurements, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measurements: Vec<Measurement>,
}

/// One measurement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    /// Phase of the measurement.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub phase: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// When to ask again, for providers that work in the background.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume_at: Option<Timestamp>,
    /// The measured value, as text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// What the provider noted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}
