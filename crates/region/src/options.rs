//! What a region is started with.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Chance, Clock, SeededChance, SystemClock};
use crate::faults::FaultRate;
use crate::provision::ClusterProvisioner;

/// The access key id that [`Options::new`] accepts.
pub const DEFAULT_ACCESS_KEY_ID: &str = "AKIAOKRALOCALREGION1";
/// The secret of [`DEFAULT_ACCESS_KEY_ID`]. Not a secret in any real sense:
/// the region listens on loopback only.
pub const DEFAULT_SECRET_ACCESS_KEY: &str = "okra/local/region/secret/access/key/0001";

/// What a region is started with. [`Options::new`] gives the defaults.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the state survives restarts; `None` keeps it in memory.
    pub data_dir: Option<PathBuf>,
    /// Where the API listens. Port 0 takes any free port, or with a data
    /// directory the one of the last start while it is free. Only loopback
    /// addresses are accepted.
    pub listen: SocketAddr,
    /// Name of the region, part of every ARN and of every signature.
    pub region: String,
    /// The twelve digits of the account, part of every ARN.
    pub account: String,
    /// Long-lived keys that are accepted, by access key id.
    pub credentials: BTreeMap<String, StaticCredentials>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub chance: Arc<dyn Chance>,
    /// Who makes the API servers behind EKS clusters.
    pub clusters: Arc<dyn ClusterProvisioner>,
    /// Durations that AWS fixes and a demo shortens.
    pub timing: Timing,
    /// Faults that are in force from the start.
    pub faults: Vec<FaultRate>,
}

impl Options {
    /// A region `us-east-1` of account `123456789012` in memory on any free
    /// loopback port, with one accepted pair of keys.
    pub fn new(clusters: Arc<dyn ClusterProvisioner>) -> Self {
        let account = "123456789012";
        let keys = StaticCredentials {
            secret_access_key: DEFAULT_SECRET_ACCESS_KEY.into(),
            principal_arn: format!("arn:aws:iam::{account}:user/okra-local"),
        };
        Self {
            data_dir: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            region: "us-east-1".into(),
            account: account.into(),
            credentials: BTreeMap::from([(DEFAULT_ACCESS_KEY_ID.into(), keys)]),
            clock: Arc::new(SystemClock::new()),
            chance: Arc::new(SeededChance::from_system()),
            clusters,
            timing: Timing::default(),
            faults: Vec::new(),
        }
    }
}

/// One accepted long-lived key.
#[derive(Clone)]
pub struct StaticCredentials {
    /// The secret that signatures are checked with.
    pub secret_access_key: String,
    /// Who signs with it: the ARN that GetCallerIdentity answers.
    pub principal_arn: String,
}

impl std::fmt::Debug for StaticCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StaticCredentials")
            .field("principal_arn", &self.principal_arn)
            .finish_non_exhaustive()
    }
}

/// Values that a request may leave out, with what AWS takes then
/// (`spec/aws.md` 1.7, 1.8). A request that names them is not overruled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// `deregistration_delay.timeout_seconds` of a new target group.
    pub deregistration_delay: Duration,
    /// Health check interval of a new target group.
    pub health_check_interval: Duration,
    /// Health check timeout of a new target group.
    pub health_check_timeout: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            deregistration_delay: Duration::from_secs(300),
            health_check_interval: Duration::from_secs(30),
            health_check_timeout: Duration::from_secs(5),
        }
    }
}
