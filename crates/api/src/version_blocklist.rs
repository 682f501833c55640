//! `VersionBlocklist`: versions that a Cell shall not serve (`spec/okra.md` 2.8).

use jiff::Timestamp;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{Condition, is_default};

/// Versions that the Cell of the same name shall not roll out.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "okra.mumo.co",
    version = "v1alpha1",
    kind = "VersionBlocklist",
    plural = "versionblocklists",
    namespaced,
    category = "okra",
    status = "VersionBlocklistStatus",
    derive = "PartialEq",
    doc = "Versions that the Cell of the same name shall not roll out.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Last Sync", type_ = "date", json_path = ".status.lastSyncTime")
)]
#[serde(rename_all = "camelCase")]
pub struct VersionBlocklistSpec {
    /// Blocked versions. Removing one allows a new attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<BlockedVersion>,
}

/// One blocked version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlockedVersion {
    /// The version; compared by meaning, so `v2` blocks `2.0.0`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub version: String,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cause: String,
    /// When it was blocked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// The AnalysisRun or Experiment that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// What that component said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Common status; nothing but people and tools write it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionBlocklistStatus {
    /// Summary as one word.
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
