//! Steps of a rollout and what they start (`spec/okra.md` 2.6.3).

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::analysis::{DryRun, MeasurementRetention, RunMetadata};

/// One step; exactly one field is expected.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStep {
    /// Total percent of the new version (`weightMode: Absolute`) or an increment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_weight: Option<i64>,
    /// Percent added to what the new version has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_weight: Option<i64>,
    /// Waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<PauseStep>,
    /// Runs an analysis and waits for its verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis: Option<AnalysisBlock>,
    /// Runs an experiment and waits for its verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experiment: Option<ExperimentStep>,
    /// Known from Argo Rollouts, without meaning here: such a step is invalid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_canary_scale: Option<SetCanaryScale>,
}

/// Waits for a time, or for a human.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PauseStep {
    /// Seconds as a number or digits, or a Go duration (`1h30m`); absent waits for a human.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<IntOrString>,
}

/// An analysis of templates or checks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisBlock {
    /// Templates, merged into one run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<TemplateReference>,
    /// Arguments for the templates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<AnalysisArgument>,
    /// Metrics that need no template.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<AnalysisCheck>,
    /// Metrics that are measured without influence on the verdict.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<DryRun>,
    /// How many measurements to keep.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measurement_retention: Vec<MeasurementRetention>,
    /// Labels and annotations of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis_run_metadata: Option<RunMetadata>,
    /// The cluster in which jobs of the run work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
}

/// The analysis that runs beside the steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackgroundAnalysis {
    /// Templates, merged into one run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<TemplateReference>,
    /// Arguments for the templates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<AnalysisArgument>,
    /// Metrics that need no template.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<AnalysisCheck>,
    /// Metrics that are measured without influence on the verdict.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<DryRun>,
    /// How many measurements to keep.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measurement_retention: Vec<MeasurementRetention>,
    /// Labels and annotations of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis_run_metadata: Option<RunMetadata>,
    /// The cluster in which jobs of the run work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Index of the step with which the run starts; 0 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starting_step: Option<i64>,
    /// Without steps: how long an endless run is watched after 100, in seconds; 300 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub bake_seconds: Option<i64>,
}

impl BackgroundAnalysis {
    /// The part that a step analysis has too.
    pub fn block(&self) -> AnalysisBlock {
        AnalysisBlock {
            templates: self.templates.clone(),
            args: self.args.clone(),
            checks: self.checks.clone(),
            dry_run: self.dry_run.clone(),
            measurement_retention: self.measurement_retention.clone(),
            analysis_run_metadata: self.analysis_run_metadata.clone(),
            cluster: self.cluster.clone(),
        }
    }
}

/// Names an AnalysisTemplate or a ClusterAnalysisTemplate.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateReference {
    /// Name of the template.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub template_name: String,
    /// True for a ClusterAnalysisTemplate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_scope: Option<bool>,
}

/// An argument as a caller gives it: no secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisArgument {
    /// Name of the argument.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Literal value; the empty text is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where the value comes from instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<AnalysisArgumentSource>,
}

/// Where a caller's argument comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisArgumentSource {
    /// A field of the Cell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_ref: Option<FieldReference>,
    /// Known from Argo Rollouts, without meaning here: invalid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_template_hash_value: Option<String>,
}

/// A path into an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldReference {
    /// Such as `status.desiredVersion` (`spec/okra.md` 3.4.6).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field_path: String,
}

/// A metric that needs no template (`spec/analysis.md` 6): successful while
/// the value lies within `min` and `max`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisCheck {
    /// Name of the metric.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Any provider of an analysis metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub provider: Option<Value>,
    /// Percent of answers of the new version that are not 5xx.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub success_rate: Option<Value>,
    /// 99th percentile of the response time of the new version, in milliseconds.
    #[serde(rename = "latencyP99", default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub latency_p99: Option<Value>,
    /// Least value that passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Greatest value that passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Go duration between measurements; `60s` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// Measurements; 5 when absent in a step, endless in the background.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
    /// Failed measurements that are tolerated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_limit: Option<i64>,
    /// Errors in a row that are tolerated; 4 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consecutive_error_limit: Option<i64>,
    /// What no data means.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["Fail", "Inconclusive", "Success", "Error"]))]
    pub no_data: Option<String>,
}

/// Runs ReplicaSets and analyses together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentStep {
    /// Go duration that the experiment lives after all is available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Seconds for the ReplicaSets to become available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress_deadline_seconds: Option<i64>,
    /// One ReplicaSet each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<ExperimentTemplate>,
    /// One AnalysisRun each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub analyses: Vec<ExperimentAnalysis>,
    /// The cluster in which the ReplicaSets run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
}

/// One ReplicaSet of an experiment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentTemplate {
    /// Name of the template.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Name of a ReplicaSet in the namespace of the Cell, whose pod template is used.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub spec_ref: String,
    /// Pods to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i64>,
    /// Seconds that a pod must be ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_ready_seconds: Option<i64>,
    /// Pod selector; that of the ReplicaSet when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub selector: Option<Value>,
    /// Labels and annotations added to the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<RunMetadata>,
    /// Known from Argo Rollouts; ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i64>,
}

/// One analysis of an experiment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentAnalysis {
    /// Name of the analysis.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Name of the template.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub template_name: String,
    /// True for a ClusterAnalysisTemplate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_scope: Option<bool>,
    /// Arguments for the template.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<AnalysisArgument>,
    /// The experiment ends with this analysis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required_for_completion: Option<bool>,
}

/// Known from Argo Rollouts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SetCanaryScale {
    /// Percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i64>,
    /// Pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i64>,
    /// Follow the traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub match_traffic_weight: Option<bool>,
}

fn free_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
    })
}
