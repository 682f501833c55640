//! Clients for member clusters, from their Argo CD cluster secrets.

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::ListParams;
use okra_api::foreign::cluster_secret::ClusterSecret;
use okra_api::names::CLUSTER_SECRETS;
use thiserror::Error;

use crate::Context;
use crate::chain::chain;

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

/// The cluster secrets of a namespace.
pub(crate) async fn cluster_secrets(context: &Context, namespace: &str) -> Result<Vec<Secret>, kube::Error> {
    let list = ListParams::default().labels(CLUSTER_SECRETS);
    Ok(context.namespaced::<Secret>(namespace).list(&list).await?.items)
}

/// A client for the cluster that a secret leads to, or why there is none, for
/// people.
pub(crate) async fn client_of(context: &Context, secret: &Secret) -> Result<Client, String> {
    let cluster = ClusterSecret::from_secret(secret).map_err(|error| error.to_string())?;
    context.members.client(&cluster).await.map_err(|error| chain(&error))
}
