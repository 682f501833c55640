//! One read of a listener's rules serves all the configs on it: two hundred
//! configs at rest would otherwise read the same three listeners two hundred
//! times in each verification interval (`spec/aws.md` 1.10).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use okra_aws::{AwsError, Rule};
use okra_clock::Clock;
use okra_domain::ListenerArn;

/// A read that nobody has asked for so long is forgotten.
const KEPT: Duration = Duration::from_secs(10 * 60);

/// What was read, and when that began on the monotonic clock: AWS may have
/// changed since.
#[derive(Clone)]
pub(crate) struct Reading {
    pub(crate) begun: Duration,
    pub(crate) rules: Arc<[Rule]>,
}

/// Whoever holds it reads; who waits for it finds what was read.
type Slot = Arc<tokio::sync::Mutex<Option<Reading>>>;

/// The last reading of each listener, with when it was last asked for.
#[derive(Default)]
pub(crate) struct Listeners(Mutex<BTreeMap<ListenerArn, (Duration, Slot)>>);

impl Listeners {
    /// The rules of a listener from a read that began at `not_before` or
    /// later: one that is known, or what `read` gives.
    ///
    /// # Errors
    /// What AWS answered; the next one reads again.
    pub(crate) async fn rules<F>(
        &self,
        clock: &dyn Clock,
        listener: &ListenerArn,
        not_before: Duration,
        read: impl FnOnce() -> F,
    ) -> Result<Reading, AwsError>
    where
        F: Future<Output = Result<Vec<Rule>, AwsError>>,
    {
        let slot = self.slot(listener, clock.monotonic());
        let mut reading = slot.lock().await;
        if let Some(reading) = reading.as_ref().filter(|reading| reading.begun >= not_before) {
            return Ok(reading.clone());
        }
        let begun = clock.monotonic();
        let fresh = Reading { begun, rules: read().await?.into() };
        *reading = Some(fresh.clone());
        Ok(fresh)
    }

    fn slot(&self, listener: &ListenerArn, now: Duration) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|known, (asked, _)| known == listener || now.saturating_sub(*asked) < KEPT);
        let (asked, slot) = slots.entry(listener.clone()).or_default();
        *asked = now;
        slot.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use okra_aws::Meaning;
    use okra_clock::SystemClock;

    use super::*;

    fn listener(id: u32) -> ListenerArn {
        format!("arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/web/50dc/{id}")
            .parse()
            .unwrap()
    }

    #[tokio::test]
    async fn a_known_read_serves_whoever_does_not_need_a_newer_one() {
        let (listeners, clock, reads) = (Listeners::default(), SystemClock::new(), AtomicUsize::new(0));
        let look = async |listener: u32, not_before: Duration| {
            let read = async || {
                reads.fetch_add(1, Ordering::Relaxed);
                Ok(vec![])
            };
            listeners.rules(&clock, &super::tests::listener(listener), not_before, read).await.unwrap().begun
        };
        let first = look(1, clock.monotonic()).await;
        assert_eq!((look(1, first).await, reads.load(Ordering::Relaxed)), (first, 1));
        assert!(look(1, first + Duration::from_nanos(1)).await > first, "an older read is no answer");
        look(2, first).await;
        assert_eq!(reads.load(Ordering::Relaxed), 3, "listeners are read apart");
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_not_kept() {
        let (listeners, clock) = (Listeners::default(), SystemClock::new());
        let refused = async || Err(AwsError::new(Meaning::Throttled, "test", "Throttling", ""));
        assert!(listeners.rules(&clock, &listener(1), Duration::ZERO, refused).await.is_err());
        let read = async || Ok(vec![]);
        assert!(listeners.rules(&clock, &listener(1), Duration::ZERO, read).await.is_ok());
    }
}
