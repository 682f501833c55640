//! The port to EKS: which clusters there are.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{AwsError, Scope};

/// Life cycle of an EKS cluster (`spec/aws.md` 3.1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ClusterStatus {
    /// Being made; no endpoint yet.
    Creating,
    /// Serving.
    Active,
    /// Serving while something about it changes.
    Updating,
    /// Going away.
    Deleting,
    /// Could not be made.
    Failed,
    /// Waiting for hardware (Outposts).
    Pending,
    /// A status that this version of okra does not know.
    Other(String),
}

impl fmt::Display for ClusterStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Creating => "CREATING",
            Self::Active => "ACTIVE",
            Self::Updating => "UPDATING",
            Self::Deleting => "DELETING",
            Self::Failed => "FAILED",
            Self::Pending => "PENDING",
            Self::Other(other) => other,
        })
    }
}

/// What DescribeCluster says, as far as okra uses it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClusterDescription {
    /// Name, unique in its region and account.
    pub name: String,
    /// ARN.
    pub arn: String,
    /// Life cycle.
    pub status: ClusterStatus,
    /// URL of its Kubernetes API; absent until it is active.
    pub endpoint: Option<String>,
    /// Base64 of the PEM of its certificate authority; absent until it is active.
    pub certificate_authority: Option<String>,
    /// Kubernetes version such as `1.36`.
    pub version: Option<String>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// What okra selects clusters by.
    pub tags: BTreeMap<String, String>,
}

/// The EKS clusters of a region and account.
#[async_trait]
pub trait Clusters: Send + Sync {
    /// The names of all clusters, over all pages, sorted.
    ///
    /// # Errors
    /// Any page that fails fails the whole list: a part is never returned (H-50).
    async fn list(&self, scope: &Scope) -> Result<Vec<String>, AwsError>;

    /// One cluster.
    ///
    /// # Errors
    /// [`Meaning::Absent`](crate::Meaning::Absent) when it is gone since it was listed.
    async fn describe(&self, scope: &Scope, name: &str) -> Result<ClusterDescription, AwsError>;
}
