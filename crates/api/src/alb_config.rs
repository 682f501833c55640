//! `AWSApplicationLoadBalancerConfig`: one rule of an ALB listener
//! (`spec/okra.md` 2.5).

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::load_balancer::{Forward, ListenerRule, LoadBalancerConfigStatus, WeightedTargetGroup};

/// One rule of an ALB listener, its conditions and the weights of its target groups.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "okra.mumo.co",
    version = "v1alpha1",
    kind = "AWSApplicationLoadBalancerConfig",
    plural = "awsapplicationloadbalancerconfigs",
    namespaced,
    category = "okra",
    status = "LoadBalancerConfigStatus",
    derive = "PartialEq",
    doc = "One rule of an ALB listener, its conditions and the weights of its target groups.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Last Sync", type_ = "date", json_path = ".status.lastSyncTime")
)]
#[serde(rename_all = "camelCase")]
pub struct AWSApplicationLoadBalancerConfigSpec {
    /// ARN of the listener that holds the rule.
    #[serde(rename = "listenerARN", default, skip_serializing_if = "String::is_empty")]
    pub listener_arn: String,
    /// The rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener: Option<AlbListener>,
    /// Documented flat spelling of `listener.rule.forward.targetGroups`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forward_target_groups: Vec<WeightedTargetGroup>,
    /// Id of the drift that may be overwritten, or `Always`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overwrite: Option<String>,
    /// What happens to the rule when the object is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["Retain", "Delete"]))]
    pub deletion_policy: Option<String>,
}

/// The part of an ALB listener that okra manages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlbListener {
    /// The rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<ListenerRule>,
}

impl AWSApplicationLoadBalancerConfigSpec {
    /// The target groups, whichever spelling was used; the nested one wins.
    pub fn target_groups(&self) -> &[WeightedTargetGroup] {
        let nested = self.rule().and_then(|rule| rule.forward.as_ref()).map(|forward| &forward.target_groups);
        nested.filter(|groups| !groups.is_empty()).unwrap_or(&self.forward_target_groups)
    }

    /// The rule, if the spec has one.
    pub fn rule(&self) -> Option<&ListenerRule> {
        self.listener.as_ref()?.rule.as_ref()
    }

    /// The same spec with the flat spelling moved to its nested place.
    #[must_use]
    pub fn normalised(mut self) -> Self {
        let groups = self.target_groups().to_vec();
        self.forward_target_groups.clear();
        self.set_target_groups(groups);
        self
    }

    /// Replaces the target groups and leaves the rest of the rule alone.
    pub fn set_target_groups(&mut self, target_groups: Vec<WeightedTargetGroup>) {
        let rule = self.listener.get_or_insert_default().rule.get_or_insert_default();
        rule.forward.get_or_insert_with(Forward::default).target_groups = target_groups;
    }
}
