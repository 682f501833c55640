//! One metric of a template or run (`spec/analysis.md` 1.3). Stored as raw JSON, because providers
//! and fields that okra does not know must survive being copied (H-43);
//! [`Metric`] is its shape in the schema.

#![allow(unreachable_pub, reason = "KubeSchema copies its type into a function, where pub says nothing")]

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What to measure, how often, and what counts as success.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
#[x_kube(
    validation = Rule::new("!has(self.baseline) || ((!has(self.successCondition) || self.successCondition == '') && (!has(self.failureCondition) || self.failureCondition == ''))")
        .message("baseline judges in place of conditions: both cannot be set")
        .reason(Reason::FieldValueInvalid)
)]
#[x_kube(
    validation = Rule::new("!has(self.consecutiveFailureLimit) || type(self.consecutiveFailureLimit) != int || (self.consecutiveFailureLimit >= 0 && self.consecutiveFailureLimit < 100)")
        .message("consecutiveFailureLimit must be >= 0 and < 100")
        .reason(Reason::FieldValueInvalid)
)]
#[x_kube(
    validation = Rule::new("!has(self.providerRetryLimit) || type(self.providerRetryLimit) != int || (self.providerRetryLimit >= 0 && self.providerRetryLimit <= 5)")
        .message("providerRetryLimit must be a whole number from 0 to 5")
        .reason(Reason::FieldValueInvalid)
)]
pub struct Metric {
    /// Unique in the run.
    pub name: String,
    /// Go duration between the end of one measurement and the start of the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// Go duration before the first measurement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_delay: Option<String>,
    /// How many counted measurements end the metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<IntOrString>,
    /// Condition of a successful measurement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_condition: Option<String>,
    /// Condition of a failed measurement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_condition: Option<String>,
    /// Failed measurements that are tolerated; -1 switches the check off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_limit: Option<IntOrString>,
    /// Inconclusive measurements that are tolerated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inconclusive_limit: Option<IntOrString>,
    /// Errors in a row that are tolerated; 4 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consecutive_error_limit: Option<IntOrString>,
    /// Successes in a row that end the metric; 0 is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consecutive_success_limit: Option<IntOrString>,
    /// Failures in a row that are tolerated; no limit when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consecutive_failure_limit: Option<IntOrString>,
    /// What an inconclusive metric does to the rollout; `pause` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["pause", "abort", "continue"]))]
    pub on_inconclusive: Option<String>,
    /// What a metric that cannot be measured does to the rollout; `abort` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["pause", "abort", "continue"]))]
    pub on_error: Option<String>,
    /// What a measurement without data comes to; left to the conditions when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["Fail", "Inconclusive", "Success", "Error"]))]
    pub no_data: Option<String>,
    /// Repetitions of a call that failed in passing, within one measurement: 0 to 5; 0 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_retry_limit: Option<IntOrString>,
    /// Compares the new version with the serving one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// Exactly one provider: its name to its settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "provider_schema")]
    pub provider: Option<Map<String, Value>>,
}

/// What a metric is compared with (`spec/analysis.md` 2.10-8).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
#[x_kube(
    validation = Rule::new("has(self.provider) && has(self.kind) && has(self.worse)")
        .message("a baseline needs provider, kind and worse")
        .reason(Reason::FieldValueInvalid)
)]
#[x_kube(
    validation = Rule::new("!has(self.minEffect) || !has(self.kind) || self.kind != 'Proportion' || self.minEffect <= 1.0")
        .message("minEffect of a Proportion is at most 1")
        .reason(Reason::FieldValueInvalid)
)]
pub struct Baseline {
    /// The query for the serving version: a provider's name to its settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "provider_schema")]
    pub provider: Option<Map<String, Value>>,
    /// `Proportion` compares `[events, total]`, `Mean` samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["Proportion", "Mean"]))]
    pub kind: Option<String>,
    /// Which way is worse.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["Higher", "Lower"]))]
    pub worse: Option<String>,
    /// Share of false alarms over the whole run; 0.05 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1e-9, max = 0.5))]
    pub alpha: Option<f64>,
    /// Difference that is tolerated; 0 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub min_effect: Option<f64>,
    /// Samples before anything is said; 100 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub min_samples: Option<i64>,
}

fn provider_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "description": "Exactly one provider: its name to its settings.",
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
    })
}

impl Metric {
    /// The name in a metric's JSON, if it has one.
    pub fn name_of(raw: &Value) -> Option<&str> {
        raw.get("name")?.as_str()
    }
}
