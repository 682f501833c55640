//! Clusters as they are stored.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Everything of one region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Eks {
    /// By name.
    pub(crate) clusters: BTreeMap<String, Cluster>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) created: Timestamp,
    /// `MAJOR.MINOR`.
    pub(crate) version: String,
    pub(crate) status: Status,
    /// Absent until the cluster is first active.
    pub(crate) endpoint: Option<Endpoint>,
    /// Why it failed.
    pub(crate) issue: Option<String>,
    pub(crate) role_arn: String,
    pub(crate) subnets: Vec<String>,
    pub(crate) security_groups: Vec<String>,
    /// `STANDARD` or `EXTENDED`.
    pub(crate) support_type: String,
    /// `API`, `API_AND_CONFIG_MAP` or `CONFIG_MAP`.
    pub(crate) authentication_mode: String,
    pub(crate) deletion_protection: bool,
    pub(crate) client_request_token: Option<String>,
    /// Who created it: its first administrator.
    pub(crate) creator_arn: String,
    pub(crate) creator_is_admin: bool,
    /// Last part of the OIDC issuer.
    pub(crate) oidc_id: String,
    pub(crate) tags: BTreeMap<String, String>,
    /// By principal ARN.
    pub(crate) access_entries: BTreeMap<String, AccessEntry>,
    /// Oldest first.
    pub(crate) updates: Vec<Update>,
}

/// The life of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Status {
    Creating,
    Active,
    Updating,
    Deleting,
    Failed,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "CREATING",
            Self::Active => "ACTIVE",
            Self::Updating => "UPDATING",
            Self::Deleting => "DELETING",
            Self::Failed => "FAILED",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) url: String,
    pub(crate) certificate_authority_pem: String,
}

/// What a principal may do in a cluster (`spec/aws.md` 3.4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AccessEntry {
    pub(crate) principal_arn: String,
    pub(crate) id: String,
    pub(crate) groups: Vec<String>,
    pub(crate) username: String,
    pub(crate) kind: String,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
    pub(crate) tags: BTreeMap<String, String>,
    /// By policy ARN.
    pub(crate) policies: BTreeMap<String, AccessPolicy>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AccessPolicy {
    /// `cluster` or `namespace`.
    pub(crate) scope: String,
    pub(crate) namespaces: Vec<String>,
    pub(crate) associated: Timestamp,
    pub(crate) modified: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Update {
    pub(crate) id: String,
    /// The version that is wanted.
    pub(crate) version: String,
    pub(crate) status: UpdateStatus,
    pub(crate) created: Timestamp,
    /// Why it failed.
    pub(crate) error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum UpdateStatus {
    InProgress,
    Successful,
    Failed,
}
