//! The right to write, which ends by itself.
//!
//! A leader that was stopped for a while (a suspended machine, a full disk, a
//! long pause of the kernel) does not know that another one leads. So each
//! write asks whether the lease still runs on the monotonic clock; the lease
//! is counted from before the request that renewed it was sent, therefore
//! never later than others count it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use okra_aws::{AwsError, Meaning, WriteGate};
use okra_clock::SharedClock;
use thiserror::Error;

/// A write to AWS begins only with this part of the lease left (`spec/okra.md`
/// 4.1): AWS has no conditional write, so it must be answered before the lease ends.
const LEASE_PARTS_FOR_AWS: u32 = 3;

/// The right to write has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("this process is no longer the leader of epoch {epoch}")]
pub struct NotLeader {
    /// The epoch that it led.
    pub epoch: u64,
}

/// The right to write of one term of leadership. Clones share their fate.
#[derive(Clone)]
pub struct Fence {
    term: Arc<Term>,
}

struct Term {
    clock: SharedClock,
    epoch: u64,
    lease: Duration,
    /// Whether AWS is only read.
    is_rehearsal: bool,
    /// Nanoseconds on the monotonic clock; 0 once the term has ended.
    ends_at: AtomicU64,
}

impl Fence {
    /// A term that begins with a lease of this length, counted from `since`
    /// on the monotonic clock.
    pub fn leased(clock: SharedClock, epoch: u64, lease: Duration, since: Duration) -> Self {
        let ends_at = AtomicU64::new(nanoseconds(since + lease));
        Self { term: Arc::new(Term { clock, epoch, lease, is_rehearsal: false, ends_at }) }
    }

    /// A term without end, for a server of which only one can run.
    pub fn sole(clock: SharedClock) -> Self {
        Self::endless(clock, false)
    }

    /// A term without end in which nothing may be written to AWS: a dry run.
    /// To Kubernetes APIs its clients send what they write as a dry run.
    pub fn rehearsal(clock: SharedClock) -> Self {
        Self::endless(clock, true)
    }

    fn endless(clock: SharedClock, is_rehearsal: bool) -> Self {
        let ends_at = AtomicU64::new(u64::MAX);
        Self { term: Arc::new(Term { clock, epoch: 0, lease: Duration::ZERO, is_rehearsal, ends_at }) }
    }

    /// The epoch of this term: `leaseTransitions` of the lease.
    pub fn epoch(&self) -> u64 {
        self.term.epoch
    }

    /// The lease was renewed by a request sent at `since`. Does nothing once
    /// the term has ended: an ended term never begins again.
    pub fn renewed(&self, since: Duration) {
        let later = nanoseconds(since + self.term.lease);
        let extend = |ends_at| if ends_at == 0 { None } else { Some(later.max(ends_at)) };
        // An error is an ended term, which stays ended.
        let _ = self.term.ends_at.fetch_update(Ordering::SeqCst, Ordering::SeqCst, extend);
    }

    /// The term is over.
    pub fn end(&self) {
        self.term.ends_at.store(0, Ordering::SeqCst);
    }

    /// Asked directly before a write to the Kubernetes API, which has resource
    /// versions besides.
    ///
    /// # Errors
    /// When the lease has run out or the term has ended.
    pub fn check(&self) -> Result<(), NotLeader> {
        self.check_with(Duration::ZERO)
    }

    fn check_with(&self, left: Duration) -> Result<(), NotLeader> {
        let now = self.term.clock.monotonic();
        if nanoseconds(now + left) < self.term.ends_at.load(Ordering::SeqCst) {
            Ok(())
        } else {
            Err(NotLeader { epoch: self.term.epoch })
        }
    }
}

/// Asked directly before a write to AWS.
impl WriteGate for Fence {
    fn check(&self) -> Result<(), AwsError> {
        if self.term.is_rehearsal {
            let message = "this is a dry run: nothing is written to AWS";
            return Err(AwsError::new(Meaning::Denied, "okra:write", "DryRun", message));
        }
        self.check_with(self.term.lease / LEASE_PARTS_FOR_AWS)
            .map_err(|error| AwsError::new(Meaning::NotLeader, "okra:write", "NotLeader", error.to_string()))
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fence").field("epoch", &self.term.epoch).finish_non_exhaustive()
    }
}

/// Nanoseconds of a monotonic time: 64 bits last 584 years.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use okra_clock::{Clock, SystemClock};

    use super::*;

    const LEASE: Duration = Duration::from_secs(15);

    fn fence() -> (Arc<SystemClock>, Fence) {
        let clock = Arc::new(SystemClock::new());
        let now = clock.monotonic();
        (clock.clone(), Fence::leased(clock, 7, LEASE, now))
    }

    fn may(fence: &Fence) -> (bool, bool) {
        (fence.check().is_ok(), WriteGate::check(fence).is_ok())
    }

    #[tokio::test(start_paused = true)]
    async fn aws_is_written_only_with_a_third_of_the_lease_left() {
        let (clock, fence) = fence();
        assert_eq!(may(&fence), (true, true));
        clock.sleep(Duration::from_millis(9_990)).await;
        assert_eq!(may(&fence), (true, true));
        clock.sleep(Duration::from_millis(20)).await;
        assert_eq!(may(&fence), (true, false));
        clock.sleep(Duration::from_secs(5)).await;
        assert_eq!(may(&fence), (false, false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_counts_from_when_it_was_sent() {
        let (clock, fence) = fence();
        let sent = clock.monotonic() + Duration::from_secs(2);
        clock.sleep(Duration::from_secs(12)).await;
        fence.renewed(sent);
        assert_eq!(may(&fence), (true, false));
        clock.sleep(Duration::from_secs(5)).await;
        assert_eq!(may(&fence), (false, false));
    }

    #[tokio::test(start_paused = true)]
    async fn an_ended_term_never_begins_again() {
        let (clock, fence) = fence();
        let copy = fence.clone();
        fence.end();
        copy.renewed(clock.monotonic());
        assert_eq!(may(&copy), (false, false));
        assert_eq!(copy.check(), Err(NotLeader { epoch: 7 }));
    }

    #[tokio::test(start_paused = true)]
    async fn a_rehearsal_never_writes_to_aws() {
        let fence = Fence::rehearsal(SystemClock::shared());
        assert_eq!(may(&fence), (true, false));
        let refused = WriteGate::check(&fence).unwrap_err();
        assert_eq!((refused.meaning, refused.code.as_str()), (Meaning::Denied, "DryRun"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_sole_server_may_always_write() {
        let clock = SystemClock::shared();
        let fence = Fence::sole(clock.clone());
        clock.sleep(Duration::from_secs(1_000_000)).await;
        assert_eq!(may(&fence), (true, true));
    }
}
