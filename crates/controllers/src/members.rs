//! Clients for member clusters, from their Argo CD cluster secrets.

use async_trait::async_trait;
use kube::Client;
use okra_api::foreign::cluster_secret::ClusterSecret;
use thiserror::Error;

/// A member cluster cannot be reached for a reason in its secret.
#[derive(Debug, Error)]
pub enum MemberError {
    /// Neither address nor settings name the region of an EKS cluster.
    #[error("the region of {server} is not known: name one with --region")]
    RegionUnknown {
        /// Address of the cluster's API.
        server: String,
    },
    /// Its login is a command, and commands are not allowed.
    #[error("the login is the command {command:?}, which needs --allow-exec")]
    ExecNotAllowed {
        /// The command.
        command: String,
    },
    /// The address is not a URL.
    #[error("{server:?} is not an address")]
    Address {
        /// Address of the cluster's API.
        server: String,
    },
    /// Certificates or login cannot be used.
    #[error("the client cannot be made")]
    Client(#[source] Box<kube::Error>),
    /// Certificate data is not base64 of PEM.
    #[error("{field} is not base64 of PEM")]
    Certificate {
        /// Which part of the secret.
        field: &'static str,
    },
}

/// Makes clients for member clusters.
#[async_trait]
pub trait MemberClients: Send + Sync {
    /// A client for the API of this cluster. Its login renews itself.
    ///
    /// # Errors
    /// When the secret cannot be used; the cluster itself is not asked.
    async fn client(&self, cluster: &ClusterSecret) -> Result<Client, MemberError>;

    /// Who okra is in the eyes of an EKS cluster: the ARN that an access entry
    /// must name. `None` where the login is none of AWS, or is not known.
    async fn principal(&self, _: &ClusterSecret) -> Option<String> {
        None
    }
}
