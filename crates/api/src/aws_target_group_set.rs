//! `AWSTargetGroupSet`: which target groups member clusters offer (`spec/okra.md` 2.2).

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{Condition, LabelSelector, ObjectTemplate, TemplateMetadata, is_default};

/// Watches the TargetGroupBindings of member clusters and writes one AWSTargetGroup for each.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "okra.mumo.co",
    version = "v1alpha1",
    kind = "AWSTargetGroupSet",
    plural = "awstargetgroupsets",
    namespaced,
    category = "okra",
    status = "AWSTargetGroupSetStatus",
    derive = "PartialEq",
    doc = "Watches the TargetGroupBindings of member clusters and writes one AWSTargetGroup for each.",
    printcolumn(name = "Last Sync", type_ = "date", json_path = ".status.lastSyncTime")
)]
#[serde(rename_all = "camelCase")]
pub struct AWSTargetGroupSetSpec {
    /// Unused; kept because stored objects may hold it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// Sources of bindings; the set is their union.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub generators: Vec<BindingGenerator>,
    /// Shape of the generated AWSTargetGroups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<ObjectTemplate>,
    /// Shape of generated AWSTargetGroupBindings, one for each selected cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binding_template: Option<BindingTemplate>,
    /// `Strict` copies from a binding only the labels named in `allowedLabels`
    /// and takes the version from the template or the cluster secret alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["Copy", "Strict"]))]
    pub label_policy: Option<String>,
    /// Label keys that `labelPolicy: Strict` copies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_labels: Vec<String>,
    /// Accounts besides the cluster's own whose target groups a binding may
    /// name under `labelPolicy: Strict`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_accounts: Vec<String>,
}

/// One source of bindings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BindingGenerator {
    /// Bindings of EKS clusters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub awseks: Option<AwsEksBindings>,
}

/// Bindings in the clusters that cluster secrets describe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsEksBindings {
    /// Selects Argo CD cluster secrets in the namespace of the set.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cluster_selector: LabelSelector,
    /// Selects TargetGroupBindings in all namespaces of each member cluster.
    #[serde(default, skip_serializing_if = "is_default")]
    pub binding_selector: LabelSelector,
}

/// Shape of a generated AWSTargetGroupBinding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BindingTemplate {
    /// Metadata of the generated binding.
    #[serde(default, skip_serializing_if = "is_default")]
    pub metadata: TemplateMetadata,
    /// Spec of the generated binding.
    #[serde(default, skip_serializing_if = "is_default")]
    pub spec: BindingTemplateSpec,
}

/// Spec of a generated AWSTargetGroupBinding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BindingTemplateSpec {
    /// ARN of the target group, with templates: each cluster has its own.
    #[serde(rename = "targetGroupARN", skip_serializing_if = "Option::is_none")]
    pub target_group_arn: Option<String>,
    /// Targets of the generated binding.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<BindingTemplateTarget>,
}

/// One target of a generated AWSTargetGroupBinding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BindingTemplateTarget {
    /// Identifies the target.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Name of the cluster whose nodes become targets.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster_name: String,
    /// Labels of the nodes that become targets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Target port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i64>,
}

/// What the last pass over the member clusters found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AWSTargetGroupSetStatus {
    /// Selected clusters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clusters: Option<ClusterCounts>,
    /// AWSTargetGroups that the set holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_groups: Option<i64>,
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

/// Clusters that were and were not reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterCounts {
    /// Selected clusters, in bytewise order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Those of them that could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreachable: Vec<String>,
}
