//! Time that moves when a test says so.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use okra_apiserver::Clock;
use tokio::sync::Notify;

/// A clock that stands still until it is moved; who sleeps on it is woken then.
#[derive(Default)]
pub struct ManualClock {
    elapsed: Mutex<Duration>,
    moved: Notify,
}

impl ManualClock {
    pub fn advance(&self, by: Duration) {
        *self.elapsed.lock().unwrap_or_else(PoisonError::into_inner) += by;
        self.moved.notify_waiters();
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let start: Timestamp = "2026-03-31T10:00:00Z".parse().expect("a time");
        start + SignedDuration::try_from(self.monotonic()).expect("a short time")
    }

    fn monotonic(&self) -> Duration {
        *self.elapsed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn sleep(&self, duration: Duration) {
        let end = self.monotonic() + duration;
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            moved.as_mut().enable();
            if self.monotonic() >= end {
                return;
            }
            moved.await;
        }
    }
}
