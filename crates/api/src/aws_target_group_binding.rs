//! `AWSTargetGroupBinding`: a target group filled from several clusters
//! (`spec/okra.md` 2.4).

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{Condition, LabelSelector, is_default};

/// Registers nodes of several clusters with one AWS target group.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "okra.mumo.co",
    version = "v1alpha1",
    kind = "AWSTargetGroupBinding",
    plural = "awstargetgroupbindings",
    namespaced,
    category = "okra",
    status = "AWSTargetGroupBindingStatus",
    derive = "PartialEq",
    doc = "Registers nodes of several clusters with one AWS target group.",
    printcolumn(name = "Last Sync", type_ = "date", json_path = ".status.lastSyncTime")
)]
#[serde(rename_all = "camelCase")]
pub struct AWSTargetGroupBindingSpec {
    /// An existing target group. okra makes none: only its maker knows the
    /// network, protocol and health check that it needs.
    #[serde(rename = "targetGroupARN", skip_serializing_if = "Option::is_none")]
    pub target_group_arn: Option<String>,
    /// What to register.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<BindingTarget>,
}

/// One group of targets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BindingTarget {
    /// Identifies the entry; key of its status.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Explicit instance ids or IP addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// One EKS cluster by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,
    /// Several EKS clusters by labels of their secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_selector: Option<LabelSelector>,
    /// Exactly one node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// Nodes whose instances become targets: a plain map of labels,
    /// `{labels: map}` or `{matchLabels: map}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "node_selector_schema")]
    pub node_selector: Option<serde_json::Map<String, serde_json::Value>>,
    /// Pods whose addresses become targets; the group must take addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<LabelSelector>,
    /// Namespace of the selected pods; `default` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Target port; that of the target group when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i64>,
}

fn node_selector_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
    })
}

impl BindingTarget {
    /// Labels of the selected nodes, from whichever of the three documented
    /// shapes was used; entries that are not text are left out.
    pub fn node_labels(&self) -> BTreeMap<String, String> {
        let Some(selector) = &self.node_selector else { return BTreeMap::new() };
        let nested = ["matchLabels", "labels"].into_iter().find_map(|key| selector.get(key)?.as_object());
        nested
            .unwrap_or(selector)
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect()
    }
}

/// What is registered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AWSTargetGroupBindingStatus {
    /// The target group in use.
    #[serde(rename = "targetGroupARN", skip_serializing_if = "Option::is_none")]
    pub target_group_arn: Option<String>,
    /// Registered targets per entry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<BindingTargetStatus>,
    /// Targets that okra has registered, written down before it does: only
    /// these does it ever deregister.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub registered: Vec<RegisteredTarget>,
    /// Wanted targets that the load balancer reports healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy_targets: Option<i64>,
    /// Targets that were deregistered and finish what they have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draining_targets: Option<i64>,
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

/// One registered target.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegisteredTarget {
    /// Instance id or IP address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Port.
    #[serde(default, skip_serializing_if = "is_default")]
    pub port: i64,
}

/// Registered targets of one entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BindingTargetStatus {
    /// Name of the entry.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Registered instance ids or IP addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// Registered port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i64>,
    /// Clusters that the targets belong to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<String>,
}
