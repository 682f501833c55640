//! The port to CloudWatch: time series of metrics.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{AwsError, Scope};

/// One query of a GetMetricData call (`spec/aws.md` 5.1).
#[derive(Clone, PartialEq, Debug)]
pub struct MetricQuery {
    /// Name of the result: begins with a lower-case letter, unique in the call.
    pub id: String,
    /// What is asked for.
    pub source: MetricSource,
    /// Label of the result; CloudWatch makes one up when absent.
    pub label: Option<String>,
    /// Whether the result is wanted, or only used by expressions.
    pub return_data: bool,
    /// Seconds; only for expressions, a statistic has its own.
    pub period_seconds: Option<i32>,
    /// Account to read from, with cross-account observability.
    pub account_id: Option<String>,
}

/// A stored metric or a computation over other queries.
#[derive(Clone, PartialEq, Debug)]
pub enum MetricSource {
    /// A statistic of a stored metric.
    Statistic {
        /// Such as `AWS/ApplicationELB`.
        namespace: String,
        /// Such as `RequestCount`.
        name: String,
        /// Name and value; the combination must match exactly.
        dimensions: Vec<(String, String)>,
        /// Length of a bucket in seconds.
        period_seconds: i32,
        /// `Sum`, `Average`, `p99` and so on.
        statistic: String,
        /// Best left out: a wrong unit finds nothing.
        unit: Option<String>,
    },
    /// Metric math or a Metrics Insights query.
    Expression(String),
}

/// The time that a call asks for: from `start` up to, not including, `end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MetricWindow {
    /// Inclusive.
    pub start: Timestamp,
    /// Exclusive.
    pub end: Timestamp,
}

/// How complete a series is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SeriesStatus {
    /// All points of the window.
    Complete,
    /// CloudWatch had more than it gave.
    Partial,
    /// CloudWatch failed on this series.
    InternalError,
    /// The caller may not read this series.
    Forbidden,
    /// A status that this version of okra does not know.
    Other(String),
}

/// The answer to one query.
#[derive(Clone, PartialEq, Debug)]
pub struct MetricSeries {
    /// Id of the query.
    pub id: String,
    /// Its label.
    pub label: String,
    /// How complete it is.
    pub status: SeriesStatus,
    /// Begin of each bucket and its value, oldest first.
    pub points: Vec<(Timestamp, f64)>,
    /// What CloudWatch remarks on this series.
    pub messages: Vec<String>,
}

/// Metrics of a region and account.
#[async_trait]
pub trait Metrics: Send + Sync {
    /// The series of `queries` in `window`, in the order of the answer, over
    /// all pages.
    ///
    /// # Errors
    /// [`Meaning::Invalid`](crate::Meaning::Invalid) for a query that CloudWatch refuses.
    async fn query(
        &self,
        scope: &Scope,
        window: MetricWindow,
        queries: &[MetricQuery],
    ) -> Result<Vec<MetricSeries>, AwsError>;
}
