//! `Pause`: a step that waits (`spec/okra.md` 2.7).

use jiff::Timestamp;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::Condition;

/// Waits until a moment, or until somebody cancels the wait.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "okra.mumo.co",
    version = "v1alpha1",
    kind = "Pause",
    plural = "pauses",
    namespaced,
    category = "okra",
    status = "PauseStatus",
    derive = "PartialEq",
    doc = "Waits until a moment, or until somebody cancels the wait.",
    printcolumn = r#"{"name": "Phase", "type": "string", "jsonPath": ".status.phase"}"#,
    printcolumn = r#"{"name": "Expires At", "type": "date", "jsonPath": ".spec.expireTime"}"#,
    printcolumn = r#"{"name": "Last Sync", "type": "date", "jsonPath": ".status.lastSyncTime"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct PauseSpec {
    /// The moment from which the pause is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expire_time: Option<Timestamp>,
    /// With no `expireTime`: wait until cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub indefinite: Option<bool>,
}

/// How far the pause is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PauseStatus {
    /// Absent, `Started`, `Expired` or `Cancelled`; the last two are final.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// When another field of the status last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_time: Option<Timestamp>,
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

/// `status.phase` of a pause that runs.
pub const PHASE_STARTED: &str = "Started";
/// `status.phase` of a pause whose time has come.
pub const PHASE_EXPIRED: &str = "Expired";
/// `status.phase` of a pause that somebody ended early.
pub const PHASE_CANCELLED: &str = "Cancelled";
