//! The entry point of a Cell.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::alb_config::AlbListener;
use crate::nlb_config::NlbListener;

/// `ingress.type` of a rule on an Application Load Balancer.
pub const TYPE_ALB: &str = "AWSApplicationLoadBalancer";
/// `ingress.type` of a listener on a Network Load Balancer.
pub const TYPE_NLB: &str = "AWSNetworkLoadBalancer";

/// The entry point, one block per type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ingress {
    /// `AWSApplicationLoadBalancer` (also when absent) or `AWSNetworkLoadBalancer`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// A rule of an ALB listener. With type `AWSNetworkLoadBalancer` and no
    /// block of its own, its listener and selector describe the NLB.
    #[serde(rename = "awsApplicationLoadBalancer", skip_serializing_if = "Option::is_none")]
    pub alb: Option<AlbIngress>,
    /// The default action of an NLB listener.
    #[serde(rename = "awsNetworkLoadBalancer", skip_serializing_if = "Option::is_none")]
    pub nlb: Option<NlbIngress>,
    /// Documented second place of `spec.replicas`, which wins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i64>,
}

/// A rule of an ALB listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlbIngress {
    /// ARN of the listener.
    #[serde(rename = "listenerARN", default, skip_serializing_if = "String::is_empty")]
    pub listener_arn: String,
    /// The rule, copied to the load balancer config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener: Option<AlbListener>,
    /// Which AWSTargetGroups belong to the Cell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_group_selector: Option<TargetGroupSelector>,
}

/// The default action of an NLB listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NlbIngress {
    /// ARN of the listener.
    #[serde(rename = "listenerARN", default, skip_serializing_if = "String::is_empty")]
    pub listener_arn: String,
    /// The default action, copied to the load balancer config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener: Option<NlbListener>,
    /// Which AWSTargetGroups belong to the Cell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_group_selector: Option<TargetGroupSelector>,
}

/// Selects AWSTargetGroups in the namespace of the Cell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetGroupSelector {
    /// Every pair must be a label of the AWSTargetGroup; empty selects all.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Keys of the version label, first non-empty value wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub version_labels: Vec<String>,
}
