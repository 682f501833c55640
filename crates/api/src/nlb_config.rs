//! `AWSNetworkLoadBalancerConfig`: the default action of an NLB listener
//! (`spec/okra.md` 2.5b, `spec/beyond.md` 1.3).

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::load_balancer::{Forward, LoadBalancerConfigStatus, WeightedTargetGroup};

/// The default action of an NLB listener and the weights of its target groups.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "okra.mumo.co",
    version = "v1alpha1",
    kind = "AWSNetworkLoadBalancerConfig",
    plural = "awsnetworkloadbalancerconfigs",
    namespaced,
    category = "okra",
    status = "LoadBalancerConfigStatus",
    derive = "PartialEq",
    doc = "The default action of an NLB listener and the weights of its target groups.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Last Sync", type_ = "date", json_path = ".status.lastSyncTime")
)]
#[serde(rename_all = "camelCase")]
pub struct AWSNetworkLoadBalancerConfigSpec {
    /// ARN of the listener.
    #[serde(rename = "listenerARN", default, skip_serializing_if = "String::is_empty")]
    pub listener_arn: String,
    /// The part of the listener that okra manages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener: Option<NlbListener>,
    /// Id of the drift that may be overwritten, or `Always`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overwrite: Option<String>,
    /// What happens to the action when the object is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["Retain", "Delete"]))]
    pub deletion_policy: Option<String>,
}

/// The part of an NLB listener that okra manages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NlbListener {
    /// The default action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward: Option<Forward>,
}

impl AWSNetworkLoadBalancerConfigSpec {
    /// The target groups of the default action.
    pub fn target_groups(&self) -> &[WeightedTargetGroup] {
        let forward = self.listener.as_ref().and_then(|listener| listener.forward.as_ref());
        forward.map_or(&[], |forward| &forward.target_groups)
    }

    /// Replaces the target groups and leaves the rest of the action alone.
    pub fn set_target_groups(&mut self, target_groups: Vec<WeightedTargetGroup>) {
        let listener = self.listener.get_or_insert_default();
        listener.forward.get_or_insert_default().target_groups = target_groups;
    }
}
