//! Response times in fixed buckets: exact enough for percentiles, cheap enough
//! to be counted for every request.
//!
//! A bucket is 1/32 of a power of two wide, so a percentile is at most 3 % off
//! (the layout of HdrHistogram, which itself wants exclusive access to record).

use std::collections::BTreeMap;
use std::time::Duration;

/// log2 of the buckets in one power of two.
const RESOLUTION_BITS: u32 = 5;
const PER_OCTAVE: usize = 1 << RESOLUTION_BITS;
/// log2 of the longest time told apart, in microseconds: 71 minutes, more than
/// the longest idle timeout of a load balancer (4,000 s).
const LONGEST_BITS: u32 = 32;
/// How many buckets there are.
pub(super) const BUCKETS: usize = (LONGEST_BITS - RESOLUTION_BITS + 1) as usize * PER_OCTAVE;

/// The bucket of a time; what is longer than all goes into the last.
pub(super) fn bucket(micros: u64) -> usize {
    if micros < PER_OCTAVE as u64 {
        return micros as usize;
    }
    let octave = 63 - micros.leading_zeros() - RESOLUTION_BITS;
    let within = (micros >> octave) as usize - PER_OCTAVE;
    ((octave as usize + 1) * PER_OCTAVE + within).min(BUCKETS - 1)
}

/// The longest time that falls into a bucket, in microseconds.
fn upper_bound(bucket: usize) -> u64 {
    if bucket < PER_OCTAVE {
        return bucket as u64;
    }
    let octave = bucket / PER_OCTAVE - 1;
    let within = bucket % PER_OCTAVE;
    (((PER_OCTAVE + within + 1) as u64) << octave) - 1
}

/// Response times of targets: from the request being sent to the head of the
/// answer (`TargetResponseTime`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseTimes {
    buckets: BTreeMap<u16, u64>,
    sum_micros: u64,
}

impl ResponseTimes {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.buckets.values().sum()
    }

    /// Their sum.
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_micros)
    }

    /// Their mean; `None` without any.
    pub fn average(&self) -> Option<Duration> {
        self.sum_micros.checked_div(self.count()).map(Duration::from_micros)
    }

    /// The time that `percentile` percent (0 to 100) do not exceed; at most 3 %
    /// too long. `None` without any.
    pub fn percentile(&self, percentile: f64) -> Option<Duration> {
        let rank = (self.count() as f64 * percentile.clamp(0.0, 100.0) / 100.0).ceil().max(1.0) as u64;
        let mut seen = 0;
        let reached = |(bucket, count): (&u16, &u64)| {
            seen += count;
            (seen >= rank).then_some(*bucket)
        };
        let bucket = self.buckets.iter().find_map(reached)?;
        Some(Duration::from_micros(upper_bound(usize::from(bucket))))
    }

    /// How many lie up to each of these bounds, in ascending seconds, and above
    /// the one before it; the last entry is what lies above all. At most 3 % of
    /// a bound to one side of it is counted on the other.
    pub fn between(&self, bounds: &[f64]) -> Vec<(f64, u64)> {
        let mut counts: Vec<(f64, u64)> =
            bounds.iter().copied().chain([f64::INFINITY]).map(|bound| (bound, 0)).collect();
        for (bucket, count) in &self.buckets {
            let seconds = Duration::from_micros(upper_bound(usize::from(*bucket))).as_secs_f64();
            if let Some((_, sum)) = counts.iter_mut().find(|(bound, _)| seconds <= *bound) {
                *sum += count;
            }
        }
        counts
    }

    pub(super) fn add(&mut self, bucket: u16, count: u64) {
        *self.buckets.entry(bucket).or_default() += count;
    }

    pub(super) fn add_sum(&mut self, micros: u64) {
        self.sum_micros += micros;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.buckets {
            self.add(*bucket, *count);
        }
        self.sum_micros += other.sum_micros;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_lies_in_its_bucket_within_three_percent() {
        for micros in (0..5_000).chain([10_000, 999_999, 1_000_001, 60_000_000, 3_999_999_999]) {
            let upper = upper_bound(bucket(micros));
            assert!(upper >= micros, "{micros}");
            assert!(upper - micros <= micros / 32, "{micros} {upper}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_count_from_below() {
        let mut times = ResponseTimes::default();
        assert_eq!((times.percentile(50.0), times.average()), (None, None));
        for micros in 1..=100u64 {
            times.add(bucket(micros) as u16, 1);
            times.add_sum(micros);
        }
        assert_eq!(times.average(), Some(Duration::from_micros(50)));
        assert_eq!(times.percentile(0.0), Some(Duration::from_micros(1)));
        let p50 = times.percentile(50.0).unwrap().as_micros();
        assert!((50..=51).contains(&p50), "{p50}");
        let p99 = times.percentile(99.0).unwrap().as_micros();
        assert!((99..=102).contains(&p99), "{p99}");
    }

    #[test]
    fn between_bounds_everything_is_counted_once() {
        let mut times = ResponseTimes::default();
        for micros in [500, 900, 4_000, 2_000_000, 90_000_000] {
            times.add(bucket(micros) as u16, 1);
        }
        let counts = times.between(&[0.001, 0.01, 1.0, 10.0]);
        assert_eq!(counts, [(0.001, 2), (0.01, 1), (1.0, 0), (10.0, 1), (f64::INFINITY, 1)]);
    }
}
