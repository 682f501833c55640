//! CloudWatch, API version 2010-08-01 (`spec/aws.md` 5).
//!
//! Two sources answer: namespace `AWS/ApplicationELB` from what the load
//! balancers really did, minute by minute, the running minute still growing;
//! every other namespace from what users wrote with PutMetricData. Metrics of
//! the load balancers live as long as the process, three hours back.

mod data;
mod elb;
mod faults;
mod list;
mod math;
mod metric;
mod points;
mod put;
mod statistics;
mod user;

use std::sync::Arc;

use jiff::Timestamp;

use crate::wire::{Fault, Input, Members};
use crate::world::World;

use metric::MetricKey;
use points::Points;

pub(crate) use user::{UserMetrics, keep, save};

/// XML namespace of its answers.
pub(crate) const NAMESPACE: &str = "http://monitoring.amazonaws.com/doc/2010-08-01/";

/// Carries out one call.
pub(crate) fn carry_out(world: &Arc<World>, action: &str, input: &Input<'_>) -> Result<Members, Fault> {
    match action {
        "GetMetricData" => data::get(world, input),
        "GetMetricStatistics" => statistics::get(world, input),
        "ListMetrics" => list::list(world, input),
        "PutMetricData" => put::put(world, input),
        other => Err(Fault::new(
            "UnknownOperationException",
            format!("Could not find operation {other} for version 2010-08-01 in this region"),
        )),
    }
}

/// A stretch of time cut into periods that begin at whole multiples of
/// themselves, as CloudWatch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    /// First period's start, seconds.
    start: i64,
    /// Exclusive.
    end: i64,
    /// Seconds.
    period: i64,
}

impl Window {
    fn new(start: Timestamp, end: Timestamp, period: u32) -> Self {
        let period = i64::from(period);
        let start = start.as_second();
        Self { start: start - start.rem_euclid(period), end: end.as_second(), period }
    }

    /// Starts of the periods.
    fn starts(self) -> impl Iterator<Item = i64> {
        (0..self.count()).map(move |index| self.start + index * self.period)
    }

    /// Number of periods.
    fn count(self) -> i64 {
        (self.end - self.start + self.period - 1).max(0) / self.period
    }
}

/// The points of one metric in a window, by the start of their period; periods
/// without data are absent.
fn read(world: &World, key: &MetricKey, unit: Option<&str>, window: Window) -> Points {
    if key.namespace == elb::NAMESPACE {
        elb::read(world, key, unit, window)
    } else {
        world.metrics.read(key, unit, window)
    }
}
