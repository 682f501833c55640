//! How traffic moves from one version to the next, and what must hold before.

#![allow(unreachable_pub, reason = "KubeSchema copies its type into a function, where pub says nothing")]

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::steps::{AnalysisBlock, BackgroundAnalysis, CanaryStep, ExperimentStep, PauseStep};

/// How traffic moves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateStrategy {
    /// `Canary` or `BlueGreen`; absent follows the block that is there.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// Step by step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryStrategy>,
    /// One switch, with steps before and after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blue_green: Option<BlueGreenStrategy>,
    /// Least seconds that an entry which lost its weight stays registered; 300 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub drain_seconds: Option<i64>,
    /// A newer complete version during a rollout: `Restart` with it (default), or `Finish` the running one first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["Restart", "Finish"]))]
    pub supersede: Option<String>,
    /// Seconds after a confirmed weight before its step counts; 60 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub settle_seconds: Option<i64>,
    /// What the weights of one action add up to: 100 (default) or 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = [100, 1000]))]
    pub weight_total: Option<i64>,
    /// What to do with an entry at 0 of a sticky rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["Wait", "Remove", "UntilQuiet"]))]
    pub sticky: Option<String>,
    /// Longest wait for confirmation or health in seconds; 600 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub progress_deadline_seconds: Option<i64>,
    /// What happens when that wait is over: `Report` (default) or `Abort`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["Report", "Abort"]))]
    pub progress_deadline_action: Option<String>,
}

impl UpdateStrategy {
    /// Whether the blue/green block counts: because the type says so, or
    /// because no type is given and it is the only block.
    pub fn is_blue_green(&self) -> bool {
        match self.type_.as_deref() {
            None | Some("") => self.canary.is_none() && self.blue_green.is_some(),
            Some(other) => other == TYPE_BLUE_GREEN,
        }
    }
}

/// `updateStrategy.type`: step by step.
pub const TYPE_CANARY: &str = "Canary";
/// `updateStrategy.type`: one switch.
pub const TYPE_BLUE_GREEN: &str = "BlueGreen";

/// Step by step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.ramp) || !has(self.steps) || self.steps.size() == 0")
        .message("ramp stands for weight and pause steps: set either ramp or steps")
        .reason(Reason::FieldValueInvalid)
)]
pub struct CanaryStrategy {
    /// Absent goes to 100 at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<CanaryStep>,
    /// Runs beside the steps; its failure at any time fails the rollout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis: Option<BackgroundAnalysis>,
    /// What `setWeight` means: the total (`Absolute`, default) or an addition (`Incremental`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["Absolute", "Incremental"]))]
    pub weight_mode: Option<String>,
    /// Weight and pause steps up to 100, in place of `steps`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ramp: Option<Ramp>,
    /// `Manual`: each step that raises the weight first waits for `Continue`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["Automatic", "Manual"]))]
    pub approval: Option<String>,
}

/// Equal weight steps with a pause after each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ramp {
    /// Percent that each step adds.
    #[schemars(range(min = 1, max = 100))]
    pub step_weight: i64,
    /// Go duration of the pause after each step.
    pub interval: String,
}

/// One switch, with steps before and after.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.steps) || self.steps.filter(step, has(step.promote)).size() <= 1")
        .message("at most one step promotes")
        .reason(Reason::FieldValueInvalid)
)]
pub struct BlueGreenStrategy {
    /// Before `promote` the new side holds 0, after it 100; without one it comes at the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub steps: Vec<BlueGreenStep>,
}

/// One step; exactly one field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.analysis), has(self.experiment), has(self.pause), has(self.promote)].filter(set, set).size() == 1")
        .message("a step has exactly one of analysis, experiment, pause and promote")
        .reason(Reason::FieldValueInvalid)
)]
pub struct BlueGreenStep {
    /// Runs an analysis and waits for its verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis: Option<AnalysisBlock>,
    /// Runs an experiment and waits for its verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experiment: Option<ExperimentStep>,
    /// Waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<PauseStep>,
    /// Gives all traffic to the new side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promote: Option<Promote>,
}

/// Gives all traffic to the new side; has no fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Promote {}

/// When a canary target group may take weight.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReadinessGates {
    /// Healthy targets that each canary group needs; 1 when absent, 0 is no gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub healthy_targets: Option<i64>,
    /// Percent of the mean of the stable groups that each canary group needs; 0 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub healthy_percent: Option<i64>,
    /// For how many seconds both must hold; 0 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub stabilize_seconds: Option<i64>,
    /// Seconds without a healthy target after which a canary group with weight fails; 30 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub unhealthy_seconds: Option<i64>,
    /// Workloads that must be ready in each canary cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workloads: Vec<WorkloadReference>,
}

/// Names a workload of a member cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadReference {
    /// Kind, such as `Deployment`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Namespace.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// When an old cluster counts as retired.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetirementGates {
    /// Seconds without requests or flows; 300 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub quiet_seconds: Option<i64>,
    /// No unfinished Job or Pod of the cluster may match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<JobGate>,
    /// How open flows of an NLB are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flows: Option<FlowGate>,
}

/// Jobs and Pods of one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobGate {
    /// Namespace.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Every pair must be a label.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
}

/// How open flows of an NLB are known (`spec/beyond.md` 1.4).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FlowGate {
    /// Any provider of an analysis metric: a number, the open flows of the old side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("type" = "object", "x-kubernetes-preserve-unknown-fields" = true))]
    pub metric: Option<Value>,
    /// Weight 0 for so many seconds counts as quiet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub max_flow_seconds: Option<i64>,
}
