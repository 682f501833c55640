//! The one place where okra reads time and chance.
//!
//! Everything else takes a [`Clock`] or an [`Entropy`] and can therefore be
//! run on a paused clock and a fixed seed. `apiserver` and `region` depend on
//! no other crate of the project and have a clock module of their own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

/// Time, handed in.
#[async_trait]
pub trait Clock: Send + Sync + std::fmt::Debug + 'static {
    /// Wall clock time, for everything that is written down.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment that no clock change moves, for measuring
    /// how long something takes and for lease deadlines.
    fn monotonic(&self) -> Duration;

    /// Returns after `duration` has passed on the monotonic clock.
    async fn sleep(&self, duration: Duration);
}

/// Chance, handed in.
pub trait Entropy: Send + Sync + std::fmt::Debug + 'static {
    /// A number that nobody can guess.
    fn next_u64(&self) -> u64;

    /// A duration between `base` and `base * (1 + share)`, so that many
    /// waiters do not wake together. `share` is clamped to 0..=1.
    fn jitter(&self, base: Duration, share: f64) -> Duration {
        let unit = (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        base.mul_f64(1.0 + unit * share.clamp(0.0, 1.0))
    }
}

/// A shared clock.
pub type SharedClock = Arc<dyn Clock>;

/// The clock of the machine. Follows tokio's clock for sleeping and for
/// monotonic time, so a paused test runtime moves it.
#[derive(Debug)]
pub struct SystemClock {
    started: tokio::time::Instant,
}

impl SystemClock {
    /// A clock whose monotonic time begins now.
    pub fn new() -> Self {
        Self { started: tokio::time::Instant::now() }
    }

    /// The same, ready to be shared.
    pub fn shared() -> SharedClock {
        Arc::new(Self::new())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock module")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The entropy of the machine, from the standard library's per-process random
/// state: good for jitter and names, not for keys.
#[derive(Debug, Default)]
pub struct SystemEntropy {
    state: std::hash::RandomState,
    drawn: std::sync::atomic::AtomicU64,
}

impl Entropy for SystemEntropy {
    fn next_u64(&self) -> u64 {
        use std::hash::BuildHasher;
        let drawn = self.drawn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.state.hash_one(drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn monotonic_time_follows_the_runtime() {
        let clock = SystemClock::new();
        let before = clock.monotonic();
        clock.sleep(Duration::from_secs(3)).await;
        assert_eq!((clock.monotonic() - before).as_secs(), 3);
    }

    #[test]
    fn jitter_stays_between_the_base_and_its_share() {
        let entropy = SystemEntropy::default();
        for _ in 0..1000 {
            let drawn = entropy.jitter(Duration::from_millis(1000), 0.5);
            assert!((1000..=1500).contains(&drawn.as_millis()), "{drawn:?}");
        }
    }
}
