//! What every connection of a data plane shares.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::Client;
use super::cookies::Seal;
use super::routing::Routing;
use super::statistics::Counter;
use crate::clock::{Chance, Clock};

/// Client connections served at once, over all listeners: a rehearsal has
/// hundreds, and each costs two descriptors of the usual 65,536.
pub(super) const MAX_CLIENTS: usize = 20_000;
/// Idle timeout of a connection whose listener has just gone.
const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// What every connection of a data plane shares.
#[derive(Debug)]
pub(super) struct Plane {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) chance: Arc<dyn Chance>,
    pub(super) seal: Seal,
    /// Read for every request, without a lock.
    pub(super) routing: ArcSwap<Routing>,
    pub(super) clients: Clients,
    /// Cancelled when nothing new shall begin.
    pub(super) closing: CancellationToken,
    /// Cancelled when what is in flight shall end too.
    pub(super) stopped: CancellationToken,
    /// Everything that was started.
    pub(super) tasks: TaskTracker,
}

impl Plane {
    pub(super) fn new(clock: Arc<dyn Clock>, chance: Arc<dyn Chance>) -> Self {
        Self {
            seal: Seal::new(&*chance),
            clock,
            chance,
            routing: ArcSwap::default(),
            clients: Clients::default(),
            closing: CancellationToken::new(),
            stopped: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// The idle timeout of the load balancer behind a listener.
    pub(super) fn idle_timeout(&self, listener: SocketAddr) -> Duration {
        let routing = self.routing.load();
        routing.listeners.get(&listener).map_or(DEFAULT_IDLE_TIMEOUT, |route| route.idle_timeout)
    }

    /// Whether connections of a listener may take requests.
    pub(super) fn serves(&self, listener: SocketAddr) -> bool {
        !self.closing.is_cancelled() && self.routing.load().listeners.contains_key(&listener)
    }

    /// Counts one for the load balancer behind a listener.
    pub(super) fn count(&self, listener: SocketAddr, counter: Counter) {
        if let Some(route) = self.routing.load().listeners.get(&listener) {
            route.balancer.count(counter);
        }
    }
}

/// The client connections that are open.
#[derive(Debug, Default)]
pub(super) struct Clients {
    next: AtomicU64,
    open: Mutex<BTreeMap<u64, Arc<Client>>>,
}

impl Clients {
    /// Remembers a connection until the registration is dropped; `None` if
    /// there are [`MAX_CLIENTS`] already.
    pub(super) fn register(&self, client: &Arc<Client>) -> Option<Registration<'_>> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut open = self.lock();
        if open.len() >= MAX_CLIENTS {
            return None;
        }
        open.insert(id, Arc::clone(client));
        Some(Registration { clients: self, id })
    }

    /// Does something to every open connection.
    pub(super) fn each(&self, mut act: impl FnMut(&Client)) {
        for client in self.lock().values() {
            act(client);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Client>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place among the open ones.
#[derive(Debug)]
pub(super) struct Registration<'a> {
    clients: &'a Clients,
    id: u64,
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        self.clients.lock().remove(&self.id);
    }
}
