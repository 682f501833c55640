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

mod answers;
mod bind;
mod body;
mod check;
mod client;
mod control;
mod cookies;
mod exchange;
mod group;
mod headers;
mod health;
mod latency;
mod listen;
mod matching;
mod plane;
mod routing;
mod shard;
mod statistics;
mod target;
mod topology;
mod tunnel;
mod upstream;

#[cfg(test)]
mod tests;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::runtime::Handle;
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
use client::Client;
use control::Control;
use plane::Plane;

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

/// How long [`DataPlane::shutdown`] waits for requests in flight: longer than a
/// request of a rehearsal takes, and short enough for whoever pressed ^C.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// The load balancers of a region. Dropping it ends everything without waiting;
/// [`DataPlane::shutdown`] lets requests finish.
#[derive(Debug)]
pub struct DataPlane {
    plane: Arc<Plane>,
    control: Arc<Control>,
}

impl DataPlane {
    /// A data plane that serves nothing yet. It runs on the tokio runtime from
    /// which this is called.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(clock: Arc<dyn Clock>, chance: Arc<dyn Chance>) -> Self {
        let plane = Arc::new(Plane::new(clock, chance));
        let control = Control::new(Arc::clone(&plane), Handle::current());
        plane.tasks.spawn(keep_time(Arc::clone(&control)));
        Self { plane, control }
    }

    /// Takes over a socket from [`bind`] for the listener that a topology will
    /// name at its address. Until then it holds the port.
    pub fn adopt(&self, listener: TcpListener) -> io::Result<()> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        self.control.adopt(address, listener);
        Ok(())
    }

    /// Serves this topology from now on. What stays keeps its health,
    /// connections and counters. Returns at once; the next request sees it.
    #[must_use = "listeners that could not be opened are only told here"]
    pub fn apply(&self, topology: Topology) -> Vec<ListenError> {
        self.control.apply(topology)
    }

    /// Health of the targets of a group, ordered by address and port, with
    /// those that are draining; `None` for a group that the topology lacks.
    pub fn target_health(&self, target_group: &str) -> Option<Vec<TargetHealth>> {
        self.control.health(target_group)
    }

    /// A number that grows whenever the health of any target changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.control.changes()
    }

    /// What happened at a load balancer or target group, by ARN, in the seconds
    /// that begin within the range; `None` for an ARN that the topology lacks.
    /// Seconds are kept for [`SECONDS_KEPT`], then whole minutes, counted by
    /// their first second, for [`MINUTES_KEPT`].
    pub fn statistics(&self, arn: &str, range: Range<Timestamp>) -> Option<Statistics> {
        self.control.recorder(arn, |recorder| recorder.read(&range, self.plane.clock.now()))
    }

    /// What happened at a load balancer or target group, by ARN, since it is
    /// served; hosts are not counted. `None` for an ARN that the topology lacks.
    pub fn totals(&self, arn: &str) -> Option<Statistics> {
        self.control.recorder(arn, statistics::Recorder::totals)
    }

    /// Closes the listeners, lets requests in flight finish for
    /// [`SHUTDOWN_GRACE`] and ends everything that was started.
    pub async fn shutdown(&self) {
        self.plane.closing.cancel();
        self.control.close();
        self.plane.clients.each(Client::close);
        self.plane.tasks.close();
        tokio::select! {
            () = self.plane.tasks.wait() => return,
            () = self.plane.clock.sleep(SHUTDOWN_GRACE) => {}
        }
        self.stop();
        self.plane.tasks.wait().await;
    }

    fn stop(&self) {
        self.plane.closing.cancel();
        self.plane.stopped.cancel();
        self.control.close();
        self.plane.clients.each(Client::abort);
    }
}

impl Drop for DataPlane {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Does what is due at every whole second until the end.
async fn keep_time(control: Arc<Control>) {
    let plane = Arc::clone(control.plane());
    loop {
        let into_second = plane.clock.now().as_nanosecond().rem_euclid(NANOS_PER_SECOND);
        let left = u64::try_from(NANOS_PER_SECOND - into_second).unwrap_or_default();
        tokio::select! {
            () = plane.closing.cancelled() => return,
            () = plane.clock.sleep(Duration::from_nanos(left)) => control.tick(),
        }
    }
}

const NANOS_PER_SECOND: i128 = 1_000_000_000;
