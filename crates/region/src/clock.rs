//! The one place of this crate where time and chance are read.
//!
//! Everything else takes a [`Clock`] or a [`Chance`]; tests hand in ones that
//! stand still or repeat.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

/// Time, handed in.
#[async_trait]
pub trait Clock: Send + Sync + Debug + 'static {
    /// Wall clock time, for signatures, metrics and everything written down.
    fn now(&self) -> Timestamp;

    /// Time since a fixed moment of this clock; no change of the wall clock
    /// moves it. For delays, deadlines and latencies.
    fn monotonic(&self) -> Duration;

    /// Returns after `duration` has passed on the monotonic clock.
    async fn sleep(&self, duration: Duration);
}

/// Chance, handed in: weighted choice, cookies, ids.
pub trait Chance: Send + Sync + Debug + 'static {
    /// The next number, uniform over all `u64`.
    fn next_u64(&self) -> u64;
}

/// The clock of the machine. Sleeping and monotonic time follow tokio's clock,
/// so a paused test runtime moves them.
#[derive(Debug)]
pub struct SystemClock {
    started: tokio::time::Instant,
}

impl SystemClock {
    /// A clock whose monotonic time begins now.
    pub fn new() -> Self {
        Self { started: tokio::time::Instant::now() }
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

/// A splitmix64 sequence: one atomic addition a number, so that every request
/// of the load balancer can draw. Uniform, not secret: the keys that a region
/// on loopback hands out protect nothing.
#[derive(Debug)]
pub struct SeededChance {
    state: AtomicU64,
}

impl SeededChance {
    /// The increment of splitmix64 (Steele, Lea, Flood 2014).
    const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

    /// A sequence that repeats for the same seed.
    pub fn new(seed: u64) -> Self {
        Self { state: AtomicU64::new(seed) }
    }

    /// A sequence that differs from process to process.
    pub fn from_system() -> Self {
        use std::hash::BuildHasher;
        Self::new(std::hash::RandomState::new().hash_one(0u64))
    }
}

impl Chance for SeededChance {
    fn next_u64(&self) -> u64 {
        let mut z = self.state.fetch_add(Self::GAMMA, Ordering::Relaxed).wrapping_add(Self::GAMMA);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence() {
        let (a, b) = (SeededChance::new(7), SeededChance::new(7));
        let drawn: Vec<u64> = (0..4).map(|_| a.next_u64()).collect();
        assert_eq!(drawn, (0..4).map(|_| b.next_u64()).collect::<Vec<_>>());
        assert!(drawn.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[tokio::test(start_paused = true)]
    async fn monotonic_time_follows_the_runtime() {
        let clock = SystemClock::new();
        let before = clock.monotonic();
        clock.sleep(Duration::from_secs(3)).await;
        assert_eq!((clock.monotonic() - before).as_secs(), 3);
    }
}
