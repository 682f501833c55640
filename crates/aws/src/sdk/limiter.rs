//! okra's own budget of calls (`spec/aws.md` 1.10).
//!
//! AWS counts calls per account and region, and shares the count with every
//! AWS Load Balancer Controller of the account. okra therefore stays far
//! below it, and keeps its last write tokens for the writes that cannot wait.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use okra_clock::{Entropy, SharedClock};

use crate::Urgency;

/// Reads a second, and how many may come at once.
const READS_PER_SECOND: f64 = 5.0;
const READS_BURST: f64 = 20.0;
/// Writes a second, and how many may come at once.
const WRITES_PER_SECOND: f64 = 1.0;
const WRITES_BURST: f64 = 5.0;
/// Write tokens that only urgent writes may take: one to take traffic away
/// from what fails, one to correct it.
const WRITES_KEPT_FOR_URGENT: f64 = 2.0;
/// Pause after AWS said "Rate exceeded", doubled each time up to the longest.
const PAUSE_SHORTEST: Duration = Duration::from_secs(1);
const PAUSE_LONGEST: Duration = Duration::from_secs(30);
/// Pause after a failed read where the budget is off: a test or a rehearsal,
/// against an endpoint that belongs to nobody else.
const PAUSE_WITHOUT_BUDGET: Duration = Duration::from_millis(50);
/// Share by which a pause is lengthened at random, so that calls do not
/// return together.
const PAUSE_JITTER: f64 = 0.5;
/// A call that would wait longer than this for the budget is refused, so that
/// its controller can say so instead of standing still.
pub(super) const WAIT_LONGEST: Duration = Duration::from_secs(30);

/// How many calls okra allows itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Budget {
    /// The account is shared with others: reads 5/s, burst 20; writes 1/s, burst 5.
    Shared,
    /// No limit: the endpoint is okra's own (`spec/okra.md` 8).
    Off,
}

/// Refused by the limiter: the wait would have been too long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct OverBudget;

/// What a call is counted as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Read,
    Write(Urgency),
}

/// The budget of one account, region and service.
#[derive(Debug)]
pub(super) struct Limiter {
    budget: Budget,
    clock: SharedClock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    reads: Bucket,
    writes: Bucket,
    pause: Duration,
    paused_until: Duration,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    burst: f64,
    per_second: f64,
    filled_at: Duration,
}

impl Bucket {
    fn full(burst: f64, per_second: f64, now: Duration) -> Self {
        Self { tokens: burst, burst, per_second, filled_at: now }
    }

    /// Takes a token and leaves at least `keep`, or says when to ask again.
    fn take(&mut self, now: Duration, keep: f64) -> Result<(), Duration> {
        let elapsed = now.saturating_sub(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.per_second).min(self.burst);
        self.filled_at = now;
        let missing = keep + 1.0 - self.tokens;
        if missing <= 0.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        // A microsecond more, so that rounding does not end in one wait too few.
        Err(Duration::from_secs_f64(missing / self.per_second) + Duration::from_micros(1))
    }
}

impl Limiter {
    /// A limiter with full buckets.
    pub(super) fn new(budget: Budget, clock: SharedClock) -> Self {
        let now = clock.monotonic();
        let state = State {
            reads: Bucket::full(READS_BURST, READS_PER_SECOND, now),
            writes: Bucket::full(WRITES_BURST, WRITES_PER_SECOND, now),
            pause: Duration::ZERO,
            paused_until: now,
        };
        Self { budget, clock, state: Mutex::new(state) }
    }

    /// Waits until a call of this kind fits into the budget.
    pub(super) async fn admit(&self, kind: Kind) -> Result<(), OverBudget> {
        if self.budget == Budget::Off {
            return Ok(());
        }
        let deadline = self.clock.monotonic() + WAIT_LONGEST;
        loop {
            let now = self.clock.monotonic();
            let taken = self.state().take(now, kind);
            match taken {
                Ok(()) => return Ok(()),
                Err(wait) if now + wait > deadline => return Err(OverBudget),
                Err(wait) => self.clock.sleep(wait).await,
            }
        }
    }

    /// AWS refused a call for its rate: all but urgent writes pause.
    pub(super) fn throttled(&self, entropy: &dyn Entropy) {
        let now = self.clock.monotonic();
        let mut state = self.state();
        state.pause = (state.pause * 2).clamp(PAUSE_SHORTEST, PAUSE_LONGEST);
        state.paused_until = now + entropy.jitter(state.pause, PAUSE_JITTER).min(PAUSE_LONGEST);
    }

    /// AWS accepted a call: the next pause begins short again.
    pub(super) fn accepted(&self) {
        self.state().pause = Duration::ZERO;
    }

    /// Waits before a failed read is tried for the `failures`-th time again.
    pub(super) async fn back_off(&self, failures: u32, entropy: &dyn Entropy) {
        let first = match self.budget {
            Budget::Shared => PAUSE_SHORTEST,
            Budget::Off => PAUSE_WITHOUT_BUDGET,
        };
        let pause = first * 2u32.saturating_pow(failures.saturating_sub(1));
        self.clock.sleep(entropy.jitter(pause, PAUSE_JITTER).min(PAUSE_LONGEST)).await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change under this lock is a plain assignment, so a panic
        // elsewhere cannot leave it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, now: Duration, kind: Kind) -> Result<(), Duration> {
        if kind != Kind::Write(Urgency::Urgent) && now < self.paused_until {
            return Err(self.paused_until - now);
        }
        match kind {
            Kind::Read => self.reads.take(now, 0.0),
            Kind::Write(Urgency::Normal) => self.writes.take(now, WRITES_KEPT_FOR_URGENT),
            Kind::Write(Urgency::Urgent) => self.writes.take(now, 0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use okra_clock::{Clock, SystemClock, SystemEntropy};

    use super::*;

    const NORMAL: Kind = Kind::Write(Urgency::Normal);
    const URGENT: Kind = Kind::Write(Urgency::Urgent);

    fn limiter(budget: Budget) -> (Limiter, Arc<SystemClock>) {
        let clock = Arc::new(SystemClock::new());
        (Limiter::new(budget, clock.clone()), clock)
    }

    async fn seconds_for(limiter: &Limiter, clock: &SystemClock, kind: Kind, calls: usize) -> u64 {
        let begin = clock.monotonic();
        for _ in 0..calls {
            limiter.admit(kind).await.expect("the wait is below the limit");
        }
        (clock.monotonic() - begin).as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn reads_are_5_a_second_after_a_burst_of_20() {
        let (limiter, clock) = limiter(Budget::Shared);
        assert_eq!(seconds_for(&limiter, &clock, Kind::Read, 20).await, 0);
        assert_eq!(seconds_for(&limiter, &clock, Kind::Read, 50).await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_two_write_tokens_are_for_urgent_writes() {
        let (limiter, clock) = limiter(Budget::Shared);
        assert_eq!(seconds_for(&limiter, &clock, NORMAL, 3).await, 0);
        assert!(limiter.state().take(clock.monotonic(), NORMAL).is_err());
        assert_eq!(seconds_for(&limiter, &clock, URGENT, 2).await, 0);
        assert_eq!(seconds_for(&limiter, &clock, URGENT, 1).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn after_throttling_all_but_urgent_writes_pause() {
        let (limiter, clock) = limiter(Budget::Shared);
        let entropy = SystemEntropy::default();
        for expected in [1u64, 2, 4, 8, 16, 30, 30] {
            limiter.throttled(&entropy);
            assert_eq!(seconds_for(&limiter, &clock, URGENT, 1).await, 0, "urgent");
            let waited = seconds_for(&limiter, &clock, Kind::Read, 1).await;
            assert!((expected..=expected * 3 / 2).contains(&waited), "{waited} for {expected}");
        }
        limiter.accepted();
        limiter.throttled(&entropy);
        assert!(seconds_for(&limiter, &clock, Kind::Read, 1).await <= 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_would_wait_too_long_is_refused() {
        let (limiter, clock) = limiter(Budget::Shared);
        let begin = clock.monotonic();
        let waiting = (0..60).map(|_| limiter.admit(NORMAL));
        let refused = futures_refused(waiting).await;
        assert!(refused >= 20, "{refused} refused");
        assert!(clock.monotonic() - begin <= WAIT_LONGEST + Duration::from_secs(1));
    }

    async fn futures_refused(
        waiting: impl Iterator<Item = impl Future<Output = Result<(), OverBudget>>>,
    ) -> usize {
        let mut refused = 0;
        let mut all: Vec<_> = waiting.map(Box::pin).collect();
        std::future::poll_fn(|context| {
            all.retain_mut(|one| match one.as_mut().poll(context) {
                std::task::Poll::Ready(outcome) => {
                    refused += usize::from(outcome.is_err());
                    false
                }
                std::task::Poll::Pending => true,
            });
            if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        refused
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_budget_nothing_waits() {
        let (limiter, clock) = limiter(Budget::Off);
        limiter.throttled(&SystemEntropy::default());
        assert_eq!(seconds_for(&limiter, &clock, Kind::Read, 1000).await, 0);
        assert_eq!(seconds_for(&limiter, &clock, NORMAL, 1000).await, 0);
    }
}
