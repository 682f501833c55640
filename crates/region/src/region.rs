//! A running region.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::journal::{Journal, Subscription};
use crate::options::Options;

/// A running region. Dropping it stops serving without waiting; use
/// [`Region::shutdown`].
#[derive(Debug)]
pub struct Region {
    address: SocketAddr,
    journal: Journal,
}

impl Region {
    /// Reads the state of the last run, if there is a data directory, takes the
    /// ports of its listeners again and serves the API.
    pub async fn start(options: Options) -> Result<Region, StartError> {
        if !options.listen.ip().is_loopback() {
            return Err(StartError::NotLoopback { address: options.listen });
        }
        Ok(Region { address: options.listen, journal: Journal::new() })
    }

    /// Base URL of every service: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A subscription to every call from now on.
    pub fn journal(&self) -> Subscription {
        self.journal.subscribe()
    }

    /// The load balancers and where their listeners really listen, ordered by name.
    pub fn load_balancers(&self) -> Vec<LoadBalancerSummary> {
        Vec::new()
    }

    /// The EKS clusters, ordered by name.
    pub fn clusters(&self) -> Vec<ClusterSummary> {
        Vec::new()
    }

    /// Checks an EKS token (`k8s-aws-v1.…`) for the named cluster as AWS's
    /// verifier does (`spec/aws.md` 3.3) and says who holds it and what the
    /// cluster's access entries grant (3.4).
    pub fn authenticate(&self, cluster: &str, token: &str) -> Result<ClusterAccess, TokenError> {
        let _ = token;
        Err(TokenError::UnknownCluster { cluster: cluster.to_owned() })
    }

    /// Stops serving, waits for requests in flight, writes what is unwritten.
    pub async fn shutdown(self) {}
}

/// One load balancer, as `okra local status` prints it (`spec/okra.md` 8).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LoadBalancerSummary {
    /// Name.
    pub name: String,
    /// ARN.
    pub arn: String,
    /// Its listeners, by port.
    pub listeners: Vec<ListenerSummary>,
}

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ListenerSummary {
    /// ARN.
    pub arn: String,
    /// The port asked for.
    pub port: u16,
    /// Where it really listens: `127.0.0.1:8080`.
    pub address: String,
}

/// One EKS cluster.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ClusterSummary {
    /// Name.
    pub name: String,
    /// Kubernetes version.
    pub version: String,
    /// Base URL of its API, once it has one.
    pub endpoint: Option<String>,
    /// `CREATING`, `ACTIVE`, `UPDATING`, `DELETING` or `FAILED`.
    pub status: String,
}

/// Who holds a token and what the cluster grants them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterAccess {
    /// ARN of the principal, a session of a role reduced to its role.
    pub principal_arn: String,
    /// Kubernetes user name.
    pub username: String,
    /// Kubernetes groups; `system:masters` for the creator and for
    /// holders of the cluster administrator policy.
    pub groups: Vec<String>,
}

/// Why a token is refused.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// No such cluster.
    #[error("no cluster is named {cluster}")]
    UnknownCluster {
        /// The name.
        cluster: String,
    },
    /// The token breaks a rule of the verifier.
    #[error("token refused: {reason}")]
    Malformed {
        /// The rule.
        reason: String,
    },
    /// Signature or time are wrong.
    #[error("token refused by STS: {code}: {message}")]
    Refused {
        /// Code of STS.
        code: String,
        /// Message of STS.
        message: String,
    },
    /// A good token of somebody whom the cluster does not know.
    #[error("{principal_arn} has no access entry in cluster {cluster}")]
    NoAccess {
        /// Who it is.
        principal_arn: String,
        /// The cluster.
        cluster: String,
    },
}

/// Why a region could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The region listens on loopback addresses only.
    #[error("the region listens on loopback addresses only, not on {address}")]
    NotLoopback {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The address is taken or forbidden.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The state of the last run cannot be read.
    #[error("cannot read the state in {path}")]
    State {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
