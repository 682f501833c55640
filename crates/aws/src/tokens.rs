//! The port to member clusters' logins.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{AwsError, Scope};

/// A bearer token for the API of one EKS cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterToken {
    /// What goes behind `Authorization: Bearer`.
    pub token: String,
    /// From when on it should not be used any more: 14 minutes after it was
    /// signed, one before the verifier refuses it (`spec/aws.md` 3.3).
    pub expires: Timestamp,
}

/// A token is a password: it is never printed.
impl std::fmt::Debug for ClusterToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterToken").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// Logins to member clusters, from okra's AWS credentials.
#[async_trait]
pub trait ClusterTokens: Send + Sync {
    /// A token for the cluster `name` of `scope`'s region, signed with the
    /// credentials of `scope`'s role. Cached, and renewed well before it
    /// expires.
    ///
    /// # Errors
    /// [`Meaning::ExpiredCredentials`](crate::Meaning::ExpiredCredentials) when there are no valid
    /// credentials, and what AssumeRole says.
    async fn cluster_token(&self, scope: &Scope, name: &str) -> Result<ClusterToken, AwsError>;

    /// ARN of the principal that signs for `scope`, as an access entry of EKS
    /// names it: a role without the name of the session.
    ///
    /// # Errors
    /// As [`ClusterTokens::cluster_token`].
    async fn principal(&self, scope: &Scope) -> Result<String, AwsError>;
}
