//! Time and chance: the only place of this crate that reads either.
//!
//! Everything else takes a [`Clock`] and a [`Chance`], so that a simulation
//! can hand in its own and see the same run twice.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

/// A source of time.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The wall clock, for timestamps in objects.
    fn now(&self) -> Timestamp;

    /// Time since an arbitrary start that never goes back, for limits and ages.
    fn monotonic(&self) -> Duration;

    /// Returns after `duration` of this clock's time.
    async fn sleep(&self, duration: Duration);
}

/// A source of random bytes, for names, uids, keys and tokens.
pub trait Chance: Send + Sync + 'static {
    /// Fills `bytes` with random bytes.
    fn fill(&self, bytes: &mut [u8]);
}

/// The machine's clock; sleeping is tokio's.
#[derive(Debug)]
pub struct SystemClock {
    start: tokio::time::Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    pub fn new() -> Self {
        // Tokio's instant, so that the time slept is the time measured, also
        // on a paused runtime.
        Self { start: tokio::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the clock module")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The operating system's random numbers, through the TLS library's generator.
#[derive(Debug, Default)]
pub struct SystemChance;

impl Chance for SystemChance {
    fn fill(&self, bytes: &mut [u8]) {
        rustls::crypto::aws_lc_rs::default_provider()
            .secure_random
            .fill(bytes)
            .expect("the operating system hands out random bytes");
    }
}

/// A reproducible sequence for tests and simulations (SplitMix64); never for
/// keys or tokens that protect anything.
#[derive(Debug)]
pub struct SeededChance {
    state: Mutex<u64>,
}

impl SeededChance {
    /// The sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: Mutex::new(seed) }
    }
}

impl Chance for SeededChance {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for chunk in bytes.chunks_mut(8) {
            *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = *state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            chunk.copy_from_slice(&z.to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A clock that goes on by one step whenever it is read.
    pub(crate) struct SteppingClock {
        step: Duration,
        elapsed: Mutex<Duration>,
    }

    impl SteppingClock {
        pub(crate) fn new(step: Duration) -> Self {
            Self { step, elapsed: Mutex::default() }
        }
    }

    #[async_trait]
    impl Clock for SteppingClock {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }

        fn monotonic(&self) -> Duration {
            let mut elapsed = self.elapsed.lock().unwrap();
            *elapsed += self.step;
            *elapsed
        }

        async fn sleep(&self, _: Duration) {
            std::future::pending().await
        }
    }

    #[test]
    fn one_seed_gives_one_sequence() {
        let (first, second) = (SeededChance::new(7), SeededChance::new(7));
        let (mut a, mut b) = ([0u8; 13], [0u8; 13]);
        first.fill(&mut a);
        second.fill(&mut b);
        assert_eq!(a, b);
        second.fill(&mut b);
        assert_ne!(a, b);
    }
}
