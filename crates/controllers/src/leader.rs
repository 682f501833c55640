//! Election of the one process that writes, by a Lease (`spec/okra.md` 4.1).
//!
//! Whether a lease of another process has run out is counted on our own
//! monotonic clock from when we first saw it as it is: clocks of machines may
//! differ, and may jump. The epoch is `leaseTransitions`, which grows with
//! every change of holder.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use okra_clock::{Entropy, SharedClock};
use tokio_util::sync::CancellationToken;

use crate::Context;
use crate::fence::Fence;

/// Share by which the retry period is lengthened at random, so that
/// candidates do not ask together.
const RETRY_JITTER: f64 = 0.2;

/// How the election is held.
#[derive(Clone, Debug)]
pub struct Election {
    /// Namespace of the lease.
    pub namespace: String,
    /// Name of the lease.
    pub name: String,
    /// Name of this process, unique for each start.
    pub identity: String,
    /// How long a lease lasts.
    pub lease: Duration,
    /// A leader that could not renew for this long steps down.
    pub renew_deadline: Duration,
    /// How often leader and candidates ask.
    pub retry_period: Duration,
}

impl Election {
    /// The defaults: 15, 10 and 2 seconds, lease `okra`.
    pub fn new(namespace: impl Into<String>, identity: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: "okra".to_owned(),
            identity: identity.into(),
            lease: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

/// What a process does about the lease as it reads it.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    /// There is none: make it.
    Create,
    /// It is free or has run out: take it, as the holder of this epoch.
    Take(i32),
    /// It is ours.
    Renew(i32),
    /// It is somebody else's.
    Wait,
}

/// A lease as it was first seen in its present state.
#[derive(Clone, PartialEq, Debug)]
struct Sighting {
    spec: Option<LeaseSpec>,
    since: Duration,
}

/// Takes part in the election until `stop` is cancelled; while leading, runs
/// `term` with the fence of the term and a token that is cancelled with it.
/// `term` must return soon after; no other term begins before it has.
pub async fn lead<F, Fut>(
    client: Client,
    election: Election,
    clock: SharedClock,
    entropy: &dyn Entropy,
    stop: CancellationToken,
    term: F,
) where
    F: Fn(Fence, CancellationToken) -> Fut,
    Fut: Future<Output = ()>,
{
    let candidate = Candidate { api: Api::namespaced(client, &election.namespace), election, clock };
    while !stop.is_cancelled() {
        let won = tokio::select! {
            () = stop.cancelled() => return,
            won = candidate.win(entropy) => won,
        };
        let fence = Fence::leased(candidate.clock.clone(), won.epoch, candidate.election.lease, won.sent_at);
        tracing::info!(epoch = won.epoch, identity = candidate.election.identity, "leading");
        candidate.serve(&fence, &stop, &term).await;
        tracing::info!(epoch = won.epoch, "no longer leading");
        if stop.is_cancelled() {
            candidate.release().await;
        }
    }
}

/// Takes part in the election until `stop` is cancelled, and runs every
/// controller while leading.
pub async fn run_elected(context: Context, election: Election, stop: CancellationToken) {
    let (client, clock) = (context.client.clone(), context.clock.clone());
    let entropy = context.entropy.clone();
    lead(client, election, clock, entropy.as_ref(), stop, |fence, over| {
        let context = context.clone().with_fence(fence);
        async move {
            let metrics = context.metrics.clone();
            metrics.leader_epoch.set(i64::try_from(context.fence.epoch()).unwrap_or(i64::MAX));
            metrics.leader.set(1);
            crate::run(context, over).await;
            metrics.leader.set(0);
        }
    })
    .await;
}

/// A lease that was taken by a request sent at `sent_at`.
struct Won {
    epoch: u64,
    sent_at: Duration,
}

struct Candidate {
    api: Api<Lease>,
    election: Election,
    clock: SharedClock,
}

impl Candidate {
    /// Asks until the lease is ours.
    async fn win(&self, entropy: &dyn Entropy) -> Won {
        let mut sighting: Option<Sighting> = None;
        loop {
            let sent_at = self.clock.monotonic();
            match self.attempt(&mut sighting).await {
                Ok(Some(epoch)) => return Won { epoch, sent_at },
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "the lease could not be read or taken"),
            }
            let pause = entropy.jitter(self.election.retry_period, RETRY_JITTER);
            self.clock.sleep(pause).await;
        }
    }

    async fn attempt(&self, sighting: &mut Option<Sighting>) -> Result<Option<u64>, kube::Error> {
        let now = self.clock.monotonic();
        let lease = self.api.get_opt(&self.election.name).await?;
        let spec = lease.as_ref().map(|lease| lease.spec.clone());
        if sighting.as_ref().map(|seen| &seen.spec) != spec.as_ref() {
            *sighting = spec.map(|spec| Sighting { spec, since: now });
        }
        let step = next_step(&self.election, sighting.as_ref(), now);
        let epoch = match step {
            Step::Wait => return Ok(None),
            Step::Create => 0,
            Step::Take(epoch) | Step::Renew(epoch) => epoch,
        };
        let wall = self.clock.now();
        let params = PostParams::default();
        let written = match lease {
            None => self.api.create(&params, &self.fresh(wall)).await,
            Some(lease) => {
                let taken = self.held(lease, epoch, wall, step == Step::Take(epoch));
                self.api.replace(&self.election.name, &params, &taken).await
            }
        };
        match written {
            Ok(_) => Ok(Some(u64::try_from(epoch).unwrap_or(0))),
            // Somebody was faster.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Runs the term beside the renewals, until one of them ends.
    async fn serve<F, Fut>(&self, fence: &Fence, stop: &CancellationToken, term: &F)
    where
        F: Fn(Fence, CancellationToken) -> Fut,
        Fut: Future<Output = ()>,
    {
        let over = stop.child_token();
        let mut running = std::pin::pin!(term(fence.clone(), over.clone()));
        tokio::select! {
            () = &mut running => fence.end(),
            () = self.renew(fence) => {
                fence.end();
                over.cancel();
                running.await;
            }
        }
        over.cancel();
    }

    /// Renews the lease until it is lost.
    async fn renew(&self, fence: &Fence) {
        let mut renewed_at = self.clock.monotonic();
        loop {
            self.clock.sleep(self.election.retry_period).await;
            let sent_at = self.clock.monotonic();
            if sent_at > renewed_at + self.election.renew_deadline {
                tracing::warn!("the lease could not be renewed in time");
                return;
            }
            let left = renewed_at + self.election.renew_deadline - sent_at;
            let attempt = self.renew_once(fence.epoch());
            let outcome = tokio::select! {
                outcome = attempt => outcome,
                () = self.clock.sleep(left) => continue,
            };
            match outcome {
                Ok(true) => {
                    renewed_at = sent_at;
                    fence.renewed(sent_at);
                }
                Ok(false) => {
                    tracing::warn!("the lease has another holder");
                    return;
                }
                Err(error) => tracing::debug!(%error, "the lease was not renewed"),
            }
        }
    }

    /// Whether the lease is still ours; `true` after it was written.
    async fn renew_once(&self, epoch: u64) -> Result<bool, kube::Error> {
        let Some(lease) = self.api.get_opt(&self.election.name).await? else { return Ok(false) };
        let spec = lease.spec.clone().unwrap_or_default();
        let ours = spec.holder_identity.as_deref() == Some(self.election.identity.as_str())
            && u64::try_from(spec.lease_transitions.unwrap_or(0)) == Ok(epoch);
        if !ours {
            return Ok(false);
        }
        let transitions = spec.lease_transitions.unwrap_or(0);
        let renewed = self.held(lease, transitions, self.clock.now(), false);
        self.api.replace(&self.election.name, &PostParams::default(), &renewed).await.map(|_| true)
    }

    /// Lets go of the lease, so that the next leader need not wait for its end.
    async fn release(&self) {
        let Ok(Some(mut lease)) = self.api.get_opt(&self.election.name).await else { return };
        let Some(spec) = &mut lease.spec else { return };
        if spec.holder_identity.as_deref() != Some(self.election.identity.as_str()) {
            return;
        }
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        let written = self.api.replace(&self.election.name, &PostParams::default(), &lease).await;
        if let Err(error) = written {
            tracing::debug!(%error, "the lease was not released and will run out");
        }
    }

    fn fresh(&self, now: Timestamp) -> Lease {
        let metadata = ObjectMeta {
            name: Some(self.election.name.clone()),
            namespace: Some(self.election.namespace.clone()),
            ..ObjectMeta::default()
        };
        self.held(Lease { metadata, ..Lease::default() }, 0, now, true)
    }

    /// The lease as ours.
    fn held(&self, mut lease: Lease, epoch: i32, now: Timestamp, acquired: bool) -> Lease {
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(self.election.identity.clone());
        spec.lease_duration_seconds = Some(seconds(self.election.lease));
        spec.lease_transitions = Some(epoch);
        spec.renew_time = Some(MicroTime(now));
        if acquired {
            spec.acquire_time = Some(MicroTime(now));
        }
        lease
    }
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX).max(1)
}

/// What to do about a lease that looks as it does since `sighting.since`.
fn next_step(election: &Election, sighting: Option<&Sighting>, now: Duration) -> Step {
    let Some(sighting) = sighting else { return Step::Create };
    let spec = sighting.spec.clone().unwrap_or_default();
    let epoch = spec.lease_transitions.unwrap_or(0);
    let holder = spec.holder_identity.unwrap_or_default();
    if holder == election.identity {
        return Step::Renew(epoch);
    }
    let stated = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    let lasts = stated.map_or(election.lease, Duration::from_secs);
    if holder.is_empty() || now.saturating_sub(sighting.since) >= lasts {
        Step::Take(epoch.saturating_add(1))
    } else {
        Step::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds_of(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn seen(holder: &str, transitions: i32, lasts: Option<i32>) -> Sighting {
        let spec = LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_transitions: Some(transitions),
            lease_duration_seconds: lasts,
            ..LeaseSpec::default()
        };
        Sighting { spec: Some(spec), since: seconds_of(100) }
    }

    #[test]
    fn a_lease_is_taken_when_it_is_free_or_has_not_moved_for_its_length() {
        let election = Election::new("okra", "me");
        let step = |sighting: Option<&Sighting>, now| next_step(&election, sighting, seconds_of(now));
        assert_eq!(step(None, 0), Step::Create);
        assert_eq!(step(Some(&seen("", 4, None)), 100), Step::Take(5));
        assert_eq!(step(Some(&seen("me", 4, Some(15))), 100), Step::Renew(4));
        assert_eq!(step(Some(&seen("other", 4, Some(15))), 114), Step::Wait);
        assert_eq!(step(Some(&seen("other", 4, Some(15))), 115), Step::Take(5));
        assert_eq!(step(Some(&seen("other", 4, Some(60))), 115), Step::Wait);
        assert_eq!(step(Some(&seen("other", 4, None)), 115), Step::Take(5));
        let empty = Sighting { spec: None, since: seconds_of(100) };
        assert_eq!(step(Some(&empty), 100), Step::Take(1));
    }
}
