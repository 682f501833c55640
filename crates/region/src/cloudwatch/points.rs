//! What is known of the values of a period.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::metric::Statistic;

/// Points by the start of their period, seconds.
pub(super) type Points = BTreeMap<i64, Point>;

/// Distinct values of a period that percentiles are made of. AWS takes 150 in
/// one PutMetricData; a minute of ten writers fits.
const MOST_DISTINCT: usize = 1500;

/// The values of one period, summed up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Point {
    pub(super) sum: f64,
    pub(super) count: f64,
    pub(super) minimum: f64,
    pub(super) maximum: f64,
    /// Percentiles, if the values themselves are known.
    distribution: Distribution,
}

/// The values themselves, or what stands for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Distribution {
    /// Value and how often it occurred, by value.
    Known(Vec<(f64, f64)>),
    /// Only a summary was written, or there are too many values.
    Unknown,
}

impl Point {
    /// `count` times the same value.
    pub(super) fn of(value: f64, count: f64) -> Self {
        Self {
            sum: value * count,
            count,
            minimum: value,
            maximum: value,
            distribution: Distribution::Known(vec![(value, count)]),
        }
    }

    /// A summary without the values. One value or equal values are known all
    /// the same.
    pub(super) fn summary(sum: f64, count: f64, minimum: f64, maximum: f64) -> Self {
        let distribution = if minimum == maximum || count == 1.0 {
            Distribution::Known(vec![(minimum, count)])
        } else {
            Distribution::Unknown
        };
        Self { sum, count, minimum, maximum, distribution }
    }

    pub(super) fn with_distribution(mut self, mut values: Vec<(f64, f64)>) -> Self {
        values.sort_by(|one, other| one.0.total_cmp(&other.0));
        self.distribution = Distribution::Known(values);
        self
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
        self.count += other.count;
        self.minimum = self.minimum.min(other.minimum);
        self.maximum = self.maximum.max(other.maximum);
        let both = match (&mut self.distribution, &other.distribution) {
            (Distribution::Known(mine), Distribution::Known(theirs)) => {
                for (value, count) in theirs {
                    match mine.binary_search_by(|(known, _)| known.total_cmp(value)) {
                        Ok(index) => mine[index].1 += count,
                        Err(index) => mine.insert(index, (*value, *count)),
                    }
                }
                mine.len() <= MOST_DISTINCT
            }
            _ => false,
        };
        if !both {
            self.distribution = Distribution::Unknown;
        }
    }

    /// A statistic; `None` for a percentile of unknown values.
    pub(super) fn statistic(&self, statistic: Statistic) -> Option<f64> {
        match statistic {
            Statistic::Sum => Some(self.sum),
            Statistic::Average if self.count > 0.0 => Some(self.sum / self.count),
            Statistic::Average => None,
            Statistic::Minimum => Some(self.minimum),
            Statistic::Maximum => Some(self.maximum),
            Statistic::SampleCount => Some(self.count),
            Statistic::Percentile(percent) => self.percentile(percent),
        }
    }

    /// The value that `percent` percent of the values do not exceed.
    fn percentile(&self, percent: f64) -> Option<f64> {
        let Distribution::Known(values) = &self.distribution else { return None };
        let rank = self.count * percent / 100.0;
        let mut seen = 0.0;
        let reached = values.iter().find(|(_, count)| {
            seen += count;
            // Sums of fractions may miss a whole number by a little.
            seen + 1e-9 >= rank
        });
        reached.or(values.last()).map(|(value, _)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_merged_points() {
        let mut point = Point::of(1.0, 98.0);
        point.merge(&Point::of(5.0, 1.0));
        point.merge(&Point::of(9.0, 1.0));
        let of = |statistic| point.statistic(statistic).unwrap();
        assert_eq!(of(Statistic::Sum), 112.0);
        assert_eq!(of(Statistic::Average), 1.12);
        assert_eq!((of(Statistic::Minimum), of(Statistic::Maximum)), (1.0, 9.0));
        assert_eq!(of(Statistic::SampleCount), 100.0);
        let percentiles = [50.0, 98.0, 99.0, 100.0].map(|percent| of(Statistic::Percentile(percent)));
        assert_eq!(percentiles, [1.0, 1.0, 5.0, 9.0]);
    }

    #[test]
    fn a_summary_has_no_percentiles() {
        let mut point = Point::of(1.0, 1.0);
        point.merge(&Point::summary(10.0, 4.0, 1.0, 4.0));
        assert_eq!(point.statistic(Statistic::Percentile(50.0)), None);
        assert_eq!(point.statistic(Statistic::Average), Some(2.2));
    }
}
