//! A target as requests see it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio_util::sync::CancellationToken;

use super::cookies::Subject;
use super::topology::Target;
use super::upstream::Pool;

/// What lives as long as a target is registered in a group, and a while longer
/// while requests in flight hold it.
#[derive(Debug)]
pub(super) struct TargetHandle {
    target: Target,
    cookie: Subject,
    outstanding: AtomicUsize,
    pool: Pool,
    expired: AtomicBool,
    /// Wakes tunnels, which no client connection drives.
    expiry: CancellationToken,
}

impl TargetHandle {
    pub(super) fn new(group: &str, target: Target) -> Self {
        Self {
            target,
            cookie: Subject::new(&format!("target {group} {}", target.address())),
            outstanding: AtomicUsize::new(0),
            pool: Pool::new(),
            expired: AtomicBool::new(false),
            expiry: CancellationToken::new(),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.target.address()
    }

    /// What a cookie that stays with this target names.
    pub(super) fn cookie(&self) -> Subject {
        self.cookie
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Requests sent and not yet fully answered.
    pub(super) fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::Relaxed)
    }

    /// Ends its time: what is still in flight is cut, as on AWS.
    pub(super) fn expire(&self) {
        self.expired.store(true, Ordering::SeqCst);
        self.pool.close();
        self.expiry.cancel();
    }

    pub(super) fn is_expired(&self) -> bool {
        self.expired.load(Ordering::SeqCst)
    }

    /// Returns once the target has expired.
    pub(super) async fn expired(&self) {
        self.expiry.cancelled().await;
    }
}

/// One request in flight at a target.
#[derive(Debug)]
pub(super) struct InFlight(Arc<TargetHandle>);

impl InFlight {
    pub(super) fn new(target: Arc<TargetHandle>) -> Self {
        target.outstanding.fetch_add(1, Ordering::Relaxed);
        Self(target)
    }

    pub(super) fn target(&self) -> &TargetHandle {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.outstanding.fetch_sub(1, Ordering::Relaxed);
    }
}
