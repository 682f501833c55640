//! What a Cell says about itself (`spec/okra.md` 2.6.2). Every field may be
//! absent; absence never fails or restarts a rollout.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::CommandOutcome;
use crate::common::{ClusterNames, Condition, is_default};

/// What a Cell says about itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CellStatus {
    /// `Pending`, `Progressing`, `Paused`, `Completed`, `Failed`, `Degraded` or `Error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Why, as one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When another field of the status last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_time: Option<Timestamp>,
    /// Generation that was acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The version that shall serve, in canonical text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired_version: Option<String>,
    /// The version of the last rollout that reached the end, or `unknown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable_version: Option<String>,
    /// Member clusters of the canary set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clusters: Option<ClusterNames>,
    /// Index of the first step that is not done; the number of steps at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_step_index: Option<i64>,
    /// Identity of the rollout; opaque.
    #[serde(rename = "rolloutID", skip_serializing_if = "Option::is_none")]
    pub rollout_id: Option<String>,
    /// Hash of the steps that the rollout began with; opaque.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps_hash: Option<String>,
    /// What is remembered of the running rollout; absent at rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<CellRollout>,
    /// Sum of the weights of the canary entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_weight: Option<i64>,
    /// Entries of the load balancer config, in bytewise order of name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<CellWeight>,
    /// Outcome of the last command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_command: Option<CommandOutcome>,
    /// Ids of the last 20 commands, newest first.
    #[serde(rename = "commandIDs", default, skip_serializing_if = "Vec::is_empty")]
    pub command_ids: Vec<String>,
    /// Finished rollouts, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryEntry>,
    /// Standard conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// What is remembered of a running rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CellRollout {
    /// The version that is being rolled out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The version that served before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// `Rollout`, `Rollback` or `FailOver`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Since when it waits for the load balancer, for health or for a slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<Timestamp>,
    /// Since when all readiness gates hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy_since: Option<Timestamp>,
    /// Since when it is held for a human.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_since: Option<Timestamp>,
    /// Seconds that it was held for a human before that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_seconds: Option<i64>,
    /// The step whose raise a human has approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_step: Option<i64>,
    /// `Continue` was said to an inconclusive background analysis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background_passed: Option<bool>,
    /// `PromoteFull` was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promoted_fully: Option<bool>,
    /// Steps whose wait a human ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed: Vec<PassedStep>,
}

/// A step whose wait a human ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PassedStep {
    /// Index of the step.
    #[serde(default, skip_serializing_if = "is_default")]
    pub step: i64,
    /// With which word.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub verb: String,
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// One entry of the load balancer config.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CellWeight {
    /// Name of the AWSTargetGroup, or the name in the config.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// ARN of the AWS target group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub arn: String,
    /// Version in canonical text, or `unknown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `stable`, `canary` or `draining`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Planned weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i64>,
    /// When the weight fell to 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// One finished rollout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Identity of the rollout.
    #[serde(rename = "rolloutID", skip_serializing_if = "Option::is_none")]
    pub rollout_id: Option<String>,
    /// Version that served before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Version that was rolled out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// `Completed`, `Failed`, `Aborted`, `Superseded`, `RolledBack` or `FailedOver`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Who ended it, when a human did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, as one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Seconds that it was held for a human.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_seconds: Option<i64>,
    /// Its analyses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub analyses: Vec<AnalysisSummary>,
}

/// The verdict of one analysis.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisSummary {
    /// Name of the AnalysisRun.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its final phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Its last measured value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}
