//! Shared parts of the end-to-end tests: the real binary in a folder of its
//! own, other people's clients, backends and load. Everything listens on
//! loopback, is bounded, and ends with the value that started it.

pub mod answers;
pub mod backend;
pub mod clients;
pub mod load;
pub mod process;
pub mod prometheus;
pub mod session;
pub mod world;

use std::time::{Duration, Instant};

/// How often a state is looked at while it is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until `look` gives a value.
///
/// # Panics
/// After `bound`, with `what` was waited for and what `look` last said.
#[expect(clippy::disallowed_methods, reason = "a test's bound is real time")]
pub fn eventually<T>(what: &str, bound: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(value) => return value,
            Err(last) => {
                assert!(begun.elapsed() < bound, "{what} did not come within {bound:?}; last: {last}")
            }
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
