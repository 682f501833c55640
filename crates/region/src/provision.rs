//! The port to whoever makes the API servers behind EKS clusters.

use async_trait::async_trait;

/// Makes and ends the API servers of EKS clusters. The region knows nothing of
/// what is behind an endpoint.
///
/// All three calls are repeated after a restart or a lost answer and must then
/// lead to the same result.
#[async_trait]
pub trait ClusterProvisioner: Send + Sync + std::fmt::Debug + 'static {
    /// Starts the cluster, or finds it running, and says where it answers. The
    /// region calls it once for each new cluster, and for every cluster it
    /// remembers when it starts itself.
    async fn create(&self, cluster: &ClusterRequest) -> Result<ClusterEndpoint, ProvisionError>;

    /// Moves a running cluster to another Kubernetes version.
    async fn set_version(&self, name: &str, version: &str) -> Result<(), ProvisionError>;

    /// Ends the cluster and forgets its data. An unknown name is a success.
    async fn delete(&self, name: &str) -> Result<(), ProvisionError>;
}

/// The cluster that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterRequest {
    /// Name, unique in the region.
    pub name: String,
    /// Kubernetes version, `MAJOR.MINOR`.
    pub version: String,
    /// Who created it, as IAM ARN: administrator of the cluster.
    pub creator_arn: String,
}

/// Where a cluster answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterEndpoint {
    /// Base URL of its Kubernetes API.
    pub endpoint_url: String,
    /// PEM of the certificate authority that signed its certificate.
    pub certificate_authority_pem: String,
}

/// Why a cluster could not be made, changed or ended.
#[derive(Debug, thiserror::Error)]
#[error("cluster {cluster}: {doing} failed")]
pub struct ProvisionError {
    /// The cluster.
    pub cluster: String,
    /// What was being done.
    pub doing: &'static str,
    /// The cause.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}
