//! What the two load balancer configs share: weighted target groups, the
//! ALB rule, and the status in which AWS's answer is kept (`spec/okra.md` 2.5).

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::Condition;

/// `phase`: the rule or action was just made.
pub const PHASE_CREATED: &str = "Created";
/// `phase`: a write is under way, or AWS does not show it yet.
pub const PHASE_UPDATING: &str = "Updating";
/// `phase`: AWS shows what the spec says.
pub const PHASE_UPDATED: &str = "Updated";
/// `phase`: the spec cannot be carried out; see `reason`.
pub const PHASE_ERROR: &str = "Error";
/// `spec.overwrite`: write whatever was found.
pub const OVERWRITE_ALWAYS: &str = "Always";

/// Longest stickiness that ELBv2 accepts, in seconds.
const STICKINESS_SECONDS_MAX: i64 = 604_800;

/// One target group of a forward action and its weight.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WeightedTargetGroup {
    /// Name of the AWSTargetGroup that describes it, or any name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// ARN of the AWS target group; its identity.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub arn: String,
    /// Share of the traffic, relative to the other weights; 0 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i64>,
}

/// A weighted forward action.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Forward {
    /// At most 5 on AWS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_groups: Vec<WeightedTargetGroup>,
    /// Group stickiness; what the rule has is kept when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stickiness: Option<Stickiness>,
}

/// Whether a client stays with its target group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stickiness {
    /// On or off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// For how long, in seconds, on an Application Load Balancer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = STICKINESS_SECONDS_MAX))]
    pub duration_seconds: Option<i64>,
}

/// A rule of an ALB listener: when it applies and where it forwards to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListenerRule {
    /// Unique key of the rule on its listener, 1 to 50000; absent and 0 mean 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// `host-header` condition.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// `path-pattern` condition.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path_patterns: Vec<String>,
    /// `http-request-method` condition; upper-cased before sending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// `source-ip` condition, CIDR blocks.
    #[serde(rename = "sourceIPs", default, skip_serializing_if = "Vec::is_empty")]
    pub source_ips: Vec<String>,
    /// One `http-header` condition per name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Vec<String>>,
    /// One `query-string` condition that holds all pairs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query_strings: BTreeMap<String, String>,
    /// The action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward: Option<Forward>,
    /// Tags of the rule on AWS.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

impl ListenerRule {
    /// Priority of a rule whose spec names none.
    pub const PRIORITY_DEFAULT: i64 = 100;

    /// The priority with its default applied.
    pub fn effective_priority(&self) -> i64 {
        self.priority.filter(|priority| *priority != 0).unwrap_or(Self::PRIORITY_DEFAULT)
    }
}

/// What AWS said last, and what the controller makes of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancerConfigStatus {
    /// `Created`, `Updating`, `Updated` or `Error`.
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
    /// ARN of the rule on AWS.
    #[serde(rename = "ruleARN", skip_serializing_if = "Option::is_none")]
    pub rule_arn: Option<String>,
    /// The weights that AWS reported back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_groups: Vec<ObservedTargetGroup>,
    /// When AWS first showed these weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights_since: Option<Timestamp>,
    /// What was found in place of okra's weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// SHA-256 of all of a listener that okra must not change (NLB).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener_hash: Option<String>,
    /// Open flows of the load balancer (NLB).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_flows: Option<i64>,
    /// Where `activeFlows` comes from (NLB).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flows_source: Option<String>,
    /// Standard conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// One target group as AWS reported it back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObservedTargetGroup {
    /// Name in the spec.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// ARN of the AWS target group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub arn: String,
    /// Weight on AWS; 0 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i64>,
    /// Healthy targets; absent when not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy_targets: Option<i64>,
    /// Since when no target is healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unhealthy_since: Option<Timestamp>,
}

/// A state on AWS that okra did not write (`spec/okra.md` 2.6.2b).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    /// Hash of what was found.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// When it was first seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Timestamp>,
    /// The weights that were found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_groups: Vec<WeightedTargetGroup>,
}
