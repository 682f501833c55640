//! One clock for the whole local mode: the region and the API servers are
//! projects of their own with clock traits of their own, and what a demo
//! measures across them needs one origin.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use okra_clock::SharedClock;

/// okra's clock, as the region and the API server want to see it.
#[derive(Debug, Clone)]
pub struct OneClock(pub SharedClock);

#[async_trait]
impl okra_region::Clock for OneClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }
}

#[async_trait]
impl okra_apiserver::Clock for OneClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }
}
