//! A running region.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::net::TcpListener;

use crate::cloudwatch::UserMetrics;
use crate::journal::Subscription;
use crate::options::Options;
use crate::state::{Snapshot, State};
use crate::world::World;
use crate::{cloudwatch, dataplane, eks, elbv2, server};

/// How long a shutdown waits for calls in flight.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// A running region. Dropping it stops serving without waiting; use
/// [`Region::shutdown`].
#[derive(Debug)]
pub struct Region {
    world: Arc<World>,
    address: SocketAddr,
}

impl Region {
    /// Reads the state of the last run, if there is a data directory, takes the
    /// ports of its listeners again and serves the API.
    ///
    /// Clusters of the last run are handed to the provisioner again in the
    /// background; until it has answered they have the endpoint of before.
    pub async fn start(options: Options) -> Result<Region, StartError> {
        if !options.listen.ip().is_loopback() {
            return Err(StartError::NotLoopback { address: options.listen });
        }
        let state_file = open(&options, "region.json")?;
        let mut state: State = load(&state_file)?;
        let metrics_file = open(&options, "metrics.json")?;
        let metrics = UserMetrics::new(load(&metrics_file)?, metrics_file);
        let listener = listen(options.listen, state.api_port).await?;
        let address =
            listener.local_addr().map_err(|source| StartError::Listen { address: options.listen, source })?;
        let world = Arc::new(World::new(options, state.clone(), state_file, metrics));
        take_ports(&mut state, &world)?;
        state.api_port = Some(address.port());
        let served = elbv2::topology(&state.elb);
        let restored = |current: &mut State| {
            *current = state;
            Ok(())
        };
        world.change(restored).await.map_err(|fault| StartError::Store { message: fault.message })?;
        // Also when nothing changed: the data plane is new.
        for error in world.dataplane.apply(served) {
            tracing::error!(listener = error.listener, cause = %error.source, "listener does not listen");
        }
        eks::settle_all(&world);
        world.tasks.spawn(server::run(world.clone(), listener));
        world.tasks.spawn(cloudwatch::keep(world.clone()));
        Ok(Region { world, address })
    }

    /// Base URL of every service: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A subscription to every call from now on.
    pub fn journal(&self) -> Subscription {
        self.world.journal.subscribe()
    }

    /// The load balancers and where their listeners really listen, ordered by name.
    pub fn load_balancers(&self) -> Vec<LoadBalancerSummary> {
        let elb = &self.world.state().elb;
        let listener = |listener: &elbv2::Listener| ListenerSummary {
            arn: listener.arn.clone(),
            port: listener.settings.port,
            address: listener.address.map(|address| address.to_string()),
        };
        let summary = |lb: &elbv2::LoadBalancer| LoadBalancerSummary {
            name: lb.settings.name.clone(),
            arn: lb.arn.clone(),
            listeners: elb.listeners_of(&lb.arn).into_iter().map(listener).collect(),
        };
        let mut summaries: Vec<_> = elb.load_balancers.values().map(summary).collect();
        summaries.sort_by(|one, other| one.name.cmp(&other.name));
        summaries
    }

    /// The EKS clusters, ordered by name.
    pub fn clusters(&self) -> Vec<ClusterSummary> {
        let summary = |cluster: &eks::Cluster| ClusterSummary {
            name: cluster.name.clone(),
            version: cluster.version.clone(),
            endpoint: cluster.endpoint.as_ref().map(|endpoint| endpoint.url.clone()),
            status: cluster.status.as_str().to_owned(),
        };
        self.world.state().eks.clusters.values().map(summary).collect()
    }

    /// Checks an EKS token (`k8s-aws-v1.…`) for the named cluster as AWS's
    /// verifier does (`spec/aws.md` 3.3) and says who holds it and what the
    /// cluster's access entries grant (3.4).
    pub fn authenticate(&self, cluster: &str, token: &str) -> Result<ClusterAccess, TokenError> {
        eks::authenticate(&self.world, &self.address.to_string(), cluster, token)
    }

    /// A handle that checks tokens for as long as the region runs, for API
    /// servers that outlive the place where the region was started.
    pub fn authenticator(&self) -> Authenticator {
        Authenticator { world: Arc::downgrade(&self.world), address: self.address.to_string() }
    }

    /// Stops serving, waits for requests in flight, writes what is unwritten.
    pub async fn shutdown(self) {
        self.world.stop.cancel();
        self.world.tasks.close();
        let finished = self.world.tasks.wait();
        if tokio::time::timeout(SHUTDOWN_GRACE, finished).await.is_err() {
            tracing::warn!("some calls did not end within {SHUTDOWN_GRACE:?}");
        }
        self.world.dataplane.shutdown().await;
        cloudwatch::save(&self.world).await;
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.world.stop.cancel();
    }
}

/// See [`Region::authenticator`].
#[derive(Debug, Clone)]
pub struct Authenticator {
    world: Weak<World>,
    address: String,
}

impl Authenticator {
    /// As [`Region::authenticate`]; a region that has ended knows no cluster.
    pub fn authenticate(&self, cluster: &str, token: &str) -> Result<ClusterAccess, TokenError> {
        let unknown = || TokenError::UnknownCluster { cluster: cluster.to_owned() };
        let world = self.world.upgrade().ok_or_else(unknown)?;
        eks::authenticate(&world, &self.address, cluster, token)
    }
}

fn open(options: &Options, name: &str) -> Result<Snapshot, StartError> {
    let folder = options.data_dir.as_deref();
    Snapshot::open(folder, name).map_err(|source| StartError::State {
        path: folder.map(PathBuf::from).unwrap_or_default(),
        source: source.into(),
    })
}

fn load<T: DeserializeOwned + Default>(file: &Snapshot) -> Result<T, StartError> {
    let loaded = file.load().map_err(|source| StartError::State {
        path: file.path().map(PathBuf::from).unwrap_or_default(),
        source: source.into(),
    })?;
    Ok(loaded.unwrap_or_default())
}

/// Any free port is first of all the one of the last start, so that what
/// users wrote down stays true.
async fn listen(address: SocketAddr, last: Option<u16>) -> Result<TcpListener, StartError> {
    if let Some(port) = last.filter(|_| address.port() == 0)
        && let Ok(listener) = TcpListener::bind((address.ip(), port)).await
    {
        return Ok(listener);
    }
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })
}

/// Takes the ports of the listeners of the last run, or the next free ones
/// where somebody else has them now.
fn take_ports(state: &mut State, world: &World) -> Result<(), StartError> {
    for listener in state.elb.listeners.values_mut() {
        let Some(address) = listener.address else { continue };
        let failed = |source| StartError::Listen { address, source };
        let (socket, taken) = dataplane::bind(&[address.port()]).map_err(failed)?;
        world.dataplane.adopt(socket).map_err(failed)?;
        if taken != address {
            tracing::warn!(listener = listener.arn, %address, %taken, "the port of a listener is taken; it moves");
        }
        listener.address = Some(taken);
    }
    Ok(())
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
    /// Where it really listens: `127.0.0.1:8080`. Absent for HTTPS listeners,
    /// which are kept but not served.
    pub address: Option<String>,
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
    /// The state could not be stored.
    #[error("{message}")]
    Store {
        /// Why not.
        message: String,
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
