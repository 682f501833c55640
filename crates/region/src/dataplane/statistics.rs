//! What really happened, second by second.
//!
//! Requests only add to sharded atomic counters that never go back. Once a
//! second the difference to the second before is put away: 15 minutes of
//! seconds, older ones summed into minutes, 3 hours of those.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::latency::{self, ResponseTimes};
use super::shard::{SHARDS, shard};

/// Seconds kept one by one: CloudWatch queries of the last minutes and "the
/// last second" of a web provider need them (`spec/okra.md` 8).
pub const SECONDS_KEPT: usize = 15 * 60;
/// Minutes kept: what CloudWatch keeps of points below one minute.
pub const MINUTES_KEPT: usize = 3 * 60;

/// What is counted, for a load balancer and for each of its target groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub enum Counter {
    /// `RequestCount`: requests for which a target was chosen.
    Requests,
    /// `HTTPCode_Target_2XX_Count`
    Target2xx,
    /// `HTTPCode_Target_3XX_Count`
    Target3xx,
    /// `HTTPCode_Target_4XX_Count`
    Target4xx,
    /// `HTTPCode_Target_5XX_Count`
    Target5xx,
    /// `HTTPCode_ELB_3XX_Count`: redirect actions.
    Elb3xx,
    /// `HTTPCode_ELB_4XX_Count`: malformed and oversized requests.
    Elb4xx,
    /// `HTTPCode_ELB_500_Count`
    Elb500,
    /// `HTTPCode_ELB_502_Count`: the target closed, or spoke no HTTP.
    Elb502,
    /// `HTTPCode_ELB_503_Count`: no target.
    Elb503,
    /// `HTTPCode_ELB_504_Count`: the target did not answer in time.
    Elb504,
    /// `HTTP_Fixed_Response_Count`
    FixedResponses,
    /// `TargetConnectionErrorCount`
    ConnectionErrors,
    /// `UnhealthyRoutingRequestCount`: sent to a target that was not healthy,
    /// since no target of the group was.
    UnhealthyRouting,
    /// `NewConnectionCount`: from clients, and to targets.
    NewConnections,
    /// `RejectedConnectionCount`: from clients, over the limit.
    RejectedConnections,
    /// `NonStickyRequestCount`: stickiness is on, yet a new choice was made.
    NonSticky,
}

impl Counter {
    /// All of them.
    pub const ALL: [Self; COUNTERS] = [
        Self::Requests,
        Self::Target2xx,
        Self::Target3xx,
        Self::Target4xx,
        Self::Target5xx,
        Self::Elb3xx,
        Self::Elb4xx,
        Self::Elb500,
        Self::Elb502,
        Self::Elb503,
        Self::Elb504,
        Self::FixedResponses,
        Self::ConnectionErrors,
        Self::UnhealthyRouting,
        Self::NewConnections,
        Self::RejectedConnections,
        Self::NonSticky,
    ];

    /// The counter of a status code that a target answered.
    pub(super) fn of_target(status: http::StatusCode) -> Option<Self> {
        match status.as_u16() / 100 {
            2 => Some(Self::Target2xx),
            3 => Some(Self::Target3xx),
            4 => Some(Self::Target4xx),
            5 => Some(Self::Target5xx),
            _ => None,
        }
    }
}

const COUNTERS: usize = 17;

/// How many targets were healthy, or unhealthy: one sample a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostCount {
    /// Smallest sample.
    pub min: u64,
    /// Largest sample.
    pub max: u64,
    /// Sum of the samples.
    pub sum: u64,
    /// Number of samples; the other figures mean nothing without one.
    pub samples: u64,
}

impl HostCount {
    fn sample(count: u64) -> Self {
        Self { min: count, max: count, sum: count, samples: 1 }
    }

    fn merge(&mut self, other: Self) {
        if other.samples == 0 {
            return;
        }
        self.min = if self.samples == 0 { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.sum += other.sum;
        self.samples += other.samples;
    }
}

/// What happened in a stretch of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    counts: [u64; COUNTERS],
    response_times: ResponseTimes,
    healthy_hosts: HostCount,
    unhealthy_hosts: HostCount,
}

impl Statistics {
    /// One counter.
    pub fn count(&self, counter: Counter) -> u64 {
        self.counts[counter as usize]
    }

    /// `HTTPCode_ELB_5XX_Count`: all answers 5xx of the load balancer itself.
    pub fn elb_5xx(&self) -> u64 {
        [Counter::Elb500, Counter::Elb502, Counter::Elb503, Counter::Elb504]
            .into_iter()
            .map(|counter| self.count(counter))
            .sum()
    }

    /// `TargetResponseTime`
    pub fn response_times(&self) -> &ResponseTimes {
        &self.response_times
    }

    /// `HealthyHostCount` of a target group in use.
    pub fn healthy_hosts(&self) -> HostCount {
        self.healthy_hosts
    }

    /// `UnHealthyHostCount` of a target group in use.
    pub fn unhealthy_hosts(&self) -> HostCount {
        self.unhealthy_hosts
    }

    /// Adds what happened elsewhere.
    pub fn merge(&mut self, other: &Self) {
        for (sum, count) in self.counts.iter_mut().zip(other.counts) {
            *sum += count;
        }
        self.response_times.merge(&other.response_times);
        self.healthy_hosts.merge(other.healthy_hosts);
        self.unhealthy_hosts.merge(other.unhealthy_hosts);
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Healthy and unhealthy targets of a group at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hosts {
    pub(super) healthy: u64,
    pub(super) unhealthy: u64,
}

/// Counts for one load balancer or target group.
#[derive(Debug)]
pub(super) struct Recorder {
    shards: Box<[Shard]>,
    history: Mutex<History>,
}

/// What one thread counts. Aligned so that two threads never write to one
/// cache line.
#[derive(Debug)]
#[repr(align(128))]
struct Shard {
    counts: [AtomicU64; COUNTERS],
    sum_micros: AtomicU64,
    buckets: Box<[AtomicU64]>,
}

impl Shard {
    fn new() -> Self {
        Self {
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            sum_micros: AtomicU64::new(0),
            buckets: (0..latency::BUCKETS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Recorder {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::new()).collect(), history: Mutex::default() }
    }

    /// Counts one.
    pub(super) fn count(&self, counter: Counter) {
        self.shards[shard()].counts[counter as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one response time.
    pub(super) fn response_time(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let shard = &self.shards[shard()];
        shard.sum_micros.fetch_add(micros, Ordering::Relaxed);
        shard.buckets[latency::bucket(micros)].fetch_add(1, Ordering::Relaxed);
    }

    /// Puts away what was counted since the last call as having happened in the
    /// second before `now`.
    pub(super) fn tick(&self, now: Timestamp, hosts: Option<Hosts>) {
        let total = self.total();
        self.history.lock().unwrap_or_else(PoisonError::into_inner).put(now.as_second() - 1, total, hosts);
    }

    /// What happened in the seconds that begin in the range; what is older than
    /// [`SECONDS_KEPT`] counts whole minutes, by their first second. What was
    /// counted since the last whole second belongs to the second of `now`.
    pub(super) fn read(&self, range: &Range<Timestamp>, now: Timestamp) -> Statistics {
        let total = self.total();
        self.history.lock().unwrap_or_else(PoisonError::into_inner).read(range, total, now)
    }

    /// What was counted since the beginning.
    pub(super) fn totals(&self) -> Statistics {
        self.total().since(&Totals::default())
    }

    fn total(&self) -> Totals {
        let mut totals = Totals::default();
        for shard in &self.shards {
            for (sum, count) in totals.counts.iter_mut().zip(&shard.counts) {
                *sum += count.load(Ordering::Relaxed);
            }
            totals.sum_micros += shard.sum_micros.load(Ordering::Relaxed);
            for (sum, count) in totals.buckets.iter_mut().zip(&shard.buckets) {
                *sum += count.load(Ordering::Relaxed);
            }
        }
        totals
    }
}

/// Everything counted since the beginning.
#[derive(Debug, Clone)]
struct Totals {
    counts: [u64; COUNTERS],
    sum_micros: u64,
    buckets: Vec<u64>,
}

impl Default for Totals {
    fn default() -> Self {
        Self { counts: [0; COUNTERS], sum_micros: 0, buckets: vec![0; latency::BUCKETS] }
    }
}

impl Totals {
    fn since(&self, earlier: &Self) -> Statistics {
        let mut difference = Statistics::default();
        for (index, count) in difference.counts.iter_mut().enumerate() {
            *count = self.counts[index].saturating_sub(earlier.counts[index]);
        }
        difference.response_times.add_sum(self.sum_micros.saturating_sub(earlier.sum_micros));
        for (bucket, (count, before)) in self.buckets.iter().zip(&earlier.buckets).enumerate() {
            if count > before {
                difference.response_times.add(bucket as u16, count - before);
            }
        }
        difference
    }
}

#[derive(Debug, Default)]
struct History {
    /// Totals at the last whole second.
    put_away: Totals,
    /// By second, oldest first; seconds in which nothing happened are left out.
    seconds: VecDeque<(i64, Statistics)>,
    /// By the first second of the minute, oldest first.
    minutes: VecDeque<(i64, Statistics)>,
}

impl History {
    fn put(&mut self, second: i64, total: Totals, hosts: Option<Hosts>) {
        let mut happened = total.since(&self.put_away);
        self.put_away = total;
        if let Some(hosts) = hosts {
            happened.healthy_hosts = HostCount::sample(hosts.healthy);
            happened.unhealthy_hosts = HostCount::sample(hosts.unhealthy);
        }
        if !happened.is_empty() {
            self.seconds.push_back((second, happened));
        }
        while self.seconds.front().is_some_and(|(oldest, _)| *oldest <= second - SECONDS_KEPT as i64) {
            self.roll_up();
        }
        let oldest_minute = second - (SECONDS_KEPT + MINUTES_KEPT * 60) as i64;
        while self.minutes.front().is_some_and(|(minute, _)| *minute < oldest_minute) {
            self.minutes.pop_front();
        }
    }

    /// Moves the oldest second into its minute.
    fn roll_up(&mut self) {
        let Some((second, happened)) = self.seconds.pop_front() else { return };
        let minute = second - second.rem_euclid(60);
        match self.minutes.back_mut() {
            Some((last, sum)) if *last == minute => sum.merge(&happened),
            _ => self.minutes.push_back((minute, happened)),
        }
    }

    fn read(&self, range: &Range<Timestamp>, total: Totals, now: Timestamp) -> Statistics {
        let begins_within =
            |second: &i64| Timestamp::from_second(*second).is_ok_and(|start| range.contains(&start));
        let mut sum = Statistics::default();
        for (start, happened) in self.minutes.iter().chain(&self.seconds) {
            if begins_within(start) {
                sum.merge(happened);
            }
        }
        if begins_within(&now.as_second()) {
            sum.merge(&total.since(&self.put_away));
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_second_holds_what_was_counted_in_it() {
        let recorder = Recorder::new();
        recorder.count(Counter::Requests);
        recorder.tick(at(101), None);
        recorder.count(Counter::Requests);
        recorder.count(Counter::Requests);
        recorder.response_time(Duration::from_millis(2));
        recorder.tick(at(102), None);
        recorder.count(Counter::Elb503);
        let requests = |range: Range<i64>| {
            recorder.read(&(at(range.start)..at(range.end)), at(102)).count(Counter::Requests)
        };
        assert_eq!(
            (requests(100..101), requests(101..102), requests(0..200), requests(103..200)),
            (1, 2, 3, 0)
        );
        let live = recorder.read(&(at(102)..at(103)), at(102));
        assert_eq!((live.count(Counter::Elb503), live.elb_5xx()), (1, 1));
        let times = recorder.read(&(at(0)..at(200)), at(102)).response_times().clone();
        assert_eq!((times.count(), times.sum()), (1, Duration::from_millis(2)));
    }

    #[test]
    fn seconds_become_minutes_and_minutes_end() {
        let recorder = Recorder::new();
        let all = |now| recorder.read(&(at(0)..at(1_000_000)), at(now)).count(Counter::Requests);
        for second in 600..720 {
            recorder.count(Counter::Requests);
            recorder.tick(at(second + 1), None);
        }
        let later = 720 + SECONDS_KEPT as i64;
        recorder.tick(at(later + 1), None);
        assert_eq!(all(later), 120, "nothing is lost by rolling up");
        let minute = recorder.read(&(at(600)..at(601)), at(later)).count(Counter::Requests);
        assert_eq!(minute, 60, "a minute counts by its first second");
        recorder.tick(at(later + 60 * MINUTES_KEPT as i64 + 60), None);
        assert_eq!(all(later), 0);
    }

    #[test]
    fn hosts_are_sampled_every_second() {
        let recorder = Recorder::new();
        for (second, healthy) in [(10, 2), (11, 0), (12, 4)] {
            recorder.tick(at(second), Some(Hosts { healthy, unhealthy: 1 }));
        }
        let read = recorder.read(&(at(0)..at(60)), at(12));
        assert_eq!(read.healthy_hosts(), HostCount { min: 0, max: 4, sum: 6, samples: 3 });
        assert_eq!(read.unhealthy_hosts(), HostCount { min: 1, max: 1, sum: 3, samples: 3 });
        assert_eq!(recorder.read(&(at(100)..at(160)), at(12)).healthy_hosts().samples, 0);
    }
}
