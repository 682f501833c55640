//! `AWSTargetGroup`: one target group of one application in one member
//! cluster, as ARN and labels (`spec/okra.md` 2.3).

use jiff::Timestamp;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{ClusterNames, Condition};

/// A record of an AWS target group: its ARN and, in labels, its version and role.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "okra.mumo.co",
    version = "v1alpha1",
    kind = "AWSTargetGroup",
    plural = "awstargetgroups",
    namespaced,
    category = "okra",
    status = "AWSTargetGroupStatus",
    derive = "PartialEq",
    doc = "A record of an AWS target group: its ARN and, in labels, its version and role.",
    printcolumn(name = "Last Sync", type_ = "date", json_path = ".status.lastSyncTime")
)]
#[serde(rename_all = "camelCase")]
pub struct AWSTargetGroupSpec {
    /// ARN of the AWS target group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub arn: String,
}

/// What AWS says about the group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AWSTargetGroupStatus {
    /// Clusters whose targets the group holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clusters: Option<ClusterNames>,
    /// Targets that DescribeTargetHealth lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered_targets: Option<i64>,
    /// Those of them that are healthy; `unused` is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy_targets: Option<i64>,
    /// When another field of the status last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_time: Option<Timestamp>,
    /// Summary of the conditions as one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Why, as one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Generation that was acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Standard conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
