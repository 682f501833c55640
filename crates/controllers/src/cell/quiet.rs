//! Since when a target group has had no request, from CloudWatch
//! (`spec/okra.md` 2.6.1, `retirementGates.quietSeconds`; `spec/aws.md` 5). Pure.

use std::time::Duration;

use jiff::{Timestamp, ToSpan as _};
use okra_aws::{MetricQuery, MetricSeries, MetricSource, MetricWindow, SeriesStatus};

/// How often load balancers publish (`spec/aws.md` 5).
pub const PERIOD: Duration = Duration::from_secs(PERIOD_SECONDS as u64);
const PERIOD_SECONDS: i32 = 60;
/// The longest time without requests that is looked back for: two weeks are
/// within what CloudWatch keeps by the minute.
const LOOK_BACK_MAX_SECONDS: u64 = 14 * 24 * 60 * 60;
/// Buckets that the window holds beside the quiet time: the one cut by its
/// begin, and the newest, which may still grow.
const SPARE_PERIODS: i64 = 2;

/// The requests of one target group.
pub struct Traffic<'a> {
    /// Value of the dimension `LoadBalancer`.
    pub load_balancer: &'a str,
    /// Value of the dimension `TargetGroup`.
    pub target_group: &'a str,
    /// How long none must come.
    pub quiet_seconds: u64,
}

impl Traffic<'_> {
    /// What to ask CloudWatch at `now`, when its points are `delay` late.
    pub fn query(&self, now: Timestamp, delay: Duration) -> (MetricWindow, [MetricQuery; 1]) {
        let period = i64::from(PERIOD_SECONDS);
        let quiet = i64::try_from(self.quiet_seconds.min(LOOK_BACK_MAX_SECONDS)).unwrap_or(i64::MAX);
        let late = i64::try_from(delay.as_secs().min(LOOK_BACK_MAX_SECONDS)).unwrap_or(i64::MAX);
        // Up to the last whole bucket that is believed to be complete.
        let end = (now.as_second() - late).div_euclid(period) * period;
        let start = end - (quiet.div_euclid(period) + SPARE_PERIODS) * period;
        let at = |second| Timestamp::from_second(second).unwrap_or(now);
        let source = MetricSource::Statistic {
            namespace: "AWS/ApplicationELB".to_owned(),
            name: "RequestCount".to_owned(),
            dimensions: vec![
                ("LoadBalancer".to_owned(), self.load_balancer.to_owned()),
                ("TargetGroup".to_owned(), self.target_group.to_owned()),
            ],
            period_seconds: PERIOD_SECONDS,
            statistic: "Sum".to_owned(),
            unit: None,
        };
        let query = MetricQuery {
            id: "requests".to_owned(),
            source,
            label: None,
            return_data: true,
            period_seconds: None,
            account_id: None,
        };
        (MetricWindow { start: at(start), end: at(end) }, [query])
    }
}

/// The same moment, so much later as the newest requests are not yet seen:
/// whoever waits from here on for a quiet time has seen all of it.
pub fn as_far_as_seen(since: Timestamp, delay: Duration) -> Timestamp {
    let unseen = i64::try_from(delay.as_secs().min(LOOK_BACK_MAX_SECONDS)).unwrap_or(i64::MAX);
    since.checked_add((unseen + i64::from(PERIOD_SECONDS)).seconds()).unwrap_or(since)
}

/// Since when no request has come: the end of the last bucket with one, else
/// what was `known`, else the begin of the window. Load balancers publish a
/// count only while there is traffic, so a missing point is 0 (`spec/aws.md` 5).
///
/// # Errors
/// When CloudWatch did not give the whole series.
pub fn since(
    series: &[MetricSeries],
    window: MetricWindow,
    known: Option<Timestamp>,
) -> Result<Timestamp, String> {
    if let Some(partial) = series.iter().find(|series| series.status != SeriesStatus::Complete) {
        return Err(format!("CloudWatch answered {:?} for {}", partial.status, partial.label));
    }
    let busy = series.iter().flat_map(|series| &series.points).filter(|(_, requests)| *requests > 0.0);
    let last = busy.map(|(begin, _)| *begin).max();
    let ended = last.and_then(|begin| begin.checked_add(PERIOD_SECONDS.seconds()).ok());
    Ok(ended.or(known).unwrap_or(window.start))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRAFFIC: Traffic<'_> =
        Traffic { load_balancer: "app/web/1", target_group: "targetgroup/a/1", quiet_seconds: 300 };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn series(points: &[(i64, f64)], status: SeriesStatus) -> MetricSeries {
        MetricSeries {
            id: "requests".into(),
            label: "RequestCount".into(),
            status,
            points: points.iter().map(|(second, value)| (at(*second), *value)).collect(),
            messages: vec![],
        }
    }

    #[test]
    fn the_window_ends_with_the_last_bucket_that_is_believed() {
        let (window, _) = TRAFFIC.query(at(100_030), Duration::from_secs(180));
        assert_eq!((window.start, window.end), (at(99_840 - 7 * 60), at(99_840)));
        // Limits, not overflows.
        let endless = Traffic { quiet_seconds: u64::MAX, ..TRAFFIC };
        let (window, _) = endless.query(at(100_000_000), Duration::MAX);
        assert!(window.start < window.end);
    }

    #[test]
    fn quiet_begins_after_the_last_bucket_with_a_request() {
        let window = MetricWindow { start: at(0), end: at(600) };
        let busy = [series(&[(60, 3.0), (120, 1.0), (180, 0.0)], SeriesStatus::Complete)];
        assert_eq!(since(&busy, window, Some(at(30))), Ok(at(180)));
        let silent = [series(&[], SeriesStatus::Complete)];
        assert_eq!(
            since(&silent, window, Some(at(30))),
            Ok(at(30)),
            "the window moves, the silence does not"
        );
        assert_eq!(since(&silent, window, None), Ok(at(0)));
    }

    #[test]
    fn requests_that_are_not_seen_yet_end_no_wait() {
        // At second 1,000 buckets up to 780 are believed; quiet for 300 s has
        // been seen if it began at 480 or before, not at 700.
        let (now, delay, quiet) = (1_000, Duration::from_secs(180), 300);
        let over = |since: i64| as_far_as_seen(at(since), delay).as_second() + quiet <= now;
        assert!(over(460) && !over(700));
    }

    #[test]
    fn half_a_series_proves_no_silence() {
        let window = MetricWindow { start: at(0), end: at(600) };
        for status in [SeriesStatus::Partial, SeriesStatus::Forbidden, SeriesStatus::InternalError] {
            assert!(since(&[series(&[], status)], window, Some(at(30))).is_err());
        }
    }
}
