//! The `cloudWatch` provider, on the port to CloudWatch (`spec/analysis.md` 4.3).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use okra_aws::{
    MetricQuery, MetricSeries, MetricSource, MetricWindow, Metrics, Region, Role, Scope, SeriesStatus,
};
use okra_domain::analysis::parse_duration;
use okra_expr::Value;
use serde::Deserialize;

use crate::provider::{Measured, Provider, ProviderError, Request};
use crate::secrets::Secrets;

/// Time for a query with all its pages.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The window unless the metric says otherwise.
const DEFAULT_INTERVAL: SignedDuration = SignedDuration::from_mins(5);

/// Queries of one call, as AWS limits them.
const MAX_QUERIES: usize = 500;

/// Measures by GetMetricData.
pub struct CloudWatch {
    metrics: Arc<dyn Metrics>,
    default_region: Option<Region>,
}

impl std::fmt::Debug for CloudWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CloudWatch").field("default_region", &self.default_region).finish_non_exhaustive()
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Settings {
    interval: Option<String>,
    #[serde(default)]
    metric_data_queries: Vec<Query>,
    region: Option<String>,
    role_arn: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Query {
    #[serde(default)]
    id: String,
    expression: Option<String>,
    label: Option<String>,
    period: Option<serde_json::Value>,
    return_data: Option<bool>,
    metric_stat: Option<MetricStat>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetricStat {
    #[serde(default)]
    metric: Metric,
    period: Option<serde_json::Value>,
    #[serde(default)]
    stat: String,
    unit: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metric {
    namespace: String,
    metric_name: String,
    dimensions: Vec<Dimension>,
}

#[derive(Debug, Deserialize)]
struct Dimension {
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: String,
}

/// Settings that have been checked.
struct Plan {
    scope: Scope,
    interval: SignedDuration,
    queries: Vec<MetricQuery>,
}

impl CloudWatch {
    /// The provider on a port. `default_region` is where metrics are that name no region.
    pub fn new(metrics: Arc<dyn Metrics>, default_region: Option<Region>) -> Self {
        Self { metrics, default_region }
    }

    fn plan(&self, settings: &serde_json::Value) -> Result<Plan, ProviderError> {
        let settings = Settings::deserialize(settings)
            .map_err(|error| ProviderError::new(format!("invalid cloudWatch settings: {error}")))?;
        let interval = match settings.interval.as_deref().unwrap_or_default() {
            "" => DEFAULT_INTERVAL,
            text => parse_duration(text).map_err(|error| ProviderError::new(format!("interval: {error}")))?,
        };
        if interval <= SignedDuration::ZERO {
            return Err(ProviderError::new("interval must be longer than 0"));
        }
        let region = settings.region.filter(|region| !region.is_empty()).map(Region::new);
        let region = region
            .or_else(|| self.default_region.clone())
            .ok_or_else(|| ProviderError::new("no region: set cloudWatch.region, or AWS_REGION for okra"))?;
        let role = settings.role_arn.filter(|arn| !arn.is_empty());
        let scope = Scope { region, role: role.map(Role::new) };
        let count = settings.metric_data_queries.len();
        if count == 0 || count > MAX_QUERIES {
            let message = format!("metricDataQueries must have 1 to {MAX_QUERIES} entries, got {count}");
            return Err(ProviderError::new(message));
        }
        let queries = settings.metric_data_queries.into_iter().enumerate().map(|(place, query)| {
            query
                .checked()
                .map_err(|reason| ProviderError::new(format!("metricDataQueries[{place}]: {reason}")))
        });
        Ok(Plan { scope, interval, queries: queries.collect::<Result<_, _>>()? })
    }
}

#[async_trait]
impl Provider for CloudWatch {
    fn check(&self, settings: &serde_json::Value) -> Result<(), ProviderError> {
        self.plan(settings).map(|_| ())
    }

    fn asked(&self, settings: &serde_json::Value) -> Option<String> {
        let queries = settings["metricDataQueries"].as_array()?.iter().map(|query| {
            let id = query["id"].as_str().unwrap_or_default();
            let what =
                query["expression"].as_str().or_else(|| query["metricStat"]["metric"]["metricName"].as_str());
            format!("{id}: {}", what.unwrap_or_default())
        });
        Some(format!("queries {}", queries.collect::<Vec<_>>().join("; ")))
    }

    async fn measure(&self, request: &Request<'_>, _: &Secrets) -> Result<Measured, ProviderError> {
        let plan = self.plan(request.settings)?;
        let start = request.now.saturating_sub(plan.interval).unwrap_or(Timestamp::MIN);
        let window = MetricWindow { start, end: request.now };
        let answer = self.metrics.query(&plan.scope, window, &plan.queries);
        let series = match tokio::time::timeout(TIMEOUT, answer).await {
            Ok(Ok(series)) => series,
            Ok(Err(error)) => {
                let passing = error.meaning.is_transient();
                let failed = ProviderError::caused_by("GetMetricData failed", error);
                return Err(if passing { failed.passing(Duration::ZERO) } else { failed });
            }
            Err(_) => {
                let seconds = TIMEOUT.as_secs();
                let error = ProviderError::new(format!("GetMetricData has no answer within {seconds} s"));
                return Err(error.passing(Duration::ZERO));
            }
        };
        let wanted = |id: &str| plan.queries.iter().any(|query| query.id == id && query.return_data);
        measured(series.into_iter().filter(|series| wanted(&series.id)).collect())
    }
}

fn measured(series: Vec<MetricSeries>) -> Result<Measured, ProviderError> {
    let failed =
        |status: &SeriesStatus| matches!(status, SeriesStatus::InternalError | SeriesStatus::Forbidden);
    if let Some(series) = series.iter().find(|series| failed(&series.status)) {
        let (id, status, messages) = (&series.id, status_code(&series.status), series.messages.join("; "));
        return Err(ProviderError::new(
            format!("query {id} has StatusCode {status} {messages}").trim().to_owned(),
        ));
    }
    let texts: Vec<String> = series
        .iter()
        .map(|series| {
            let values: Vec<String> =
                newest_first(series).map(|(_, value)| Value::Float(value).to_string()).collect();
            format!("[{}]", values.join(" "))
        })
        .collect();
    let mut measured =
        Measured::new(format!("[{}]", texts.join(" ")), Value::array(series.iter().map(record).collect()));
    let incomplete: Vec<String> = series
        .iter()
        .filter(|series| series.status != SeriesStatus::Complete)
        .map(|series| format!("{}: {}", series.id, status_code(&series.status)))
        .collect();
    if !incomplete.is_empty() {
        measured.metadata.insert("statusCodes".to_owned(), incomplete.join(", "));
    }
    let messages: Vec<&str> = series.iter().flat_map(|series| &series.messages).map(String::as_str).collect();
    if !messages.is_empty() {
        measured.metadata.insert("messages".to_owned(), messages.join("; "));
    }
    Ok(measured)
}

/// The points as the API gives them: templates read `Values[0]` as the latest.
fn newest_first(series: &MetricSeries) -> impl Iterator<Item = (Timestamp, f64)> + '_ {
    series.points.iter().rev().copied()
}

/// A result as conditions see it, with exactly the field names of the original.
fn record(series: &MetricSeries) -> Value {
    let time = |time: Timestamp| Value::Time(Arc::new(time.to_zoned(TimeZone::UTC)));
    Value::record([
        ("Id", series.id.as_str().into()),
        ("Label", series.label.as_str().into()),
        ("StatusCode", status_code(&series.status).into()),
        ("Timestamps", Value::array(newest_first(series).map(|(at, _)| time(at)).collect())),
        ("Values", Value::array(newest_first(series).map(|(_, value)| Value::Float(value)).collect())),
        ("Messages", Value::array(series.messages.iter().map(|message| message.as_str().into()).collect())),
    ])
}

fn status_code(status: &SeriesStatus) -> &str {
    match status {
        SeriesStatus::Complete => "Complete",
        SeriesStatus::Partial => "PartialData",
        SeriesStatus::InternalError => "InternalError",
        SeriesStatus::Forbidden => "Forbidden",
        SeriesStatus::Other(code) => code,
    }
}

impl Query {
    fn checked(self) -> Result<MetricQuery, String> {
        if !self.id.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err(format!("id must begin with a lower-case letter, got {:?}", self.id));
        }
        let expression = self.expression.filter(|expression| !expression.is_empty());
        let source = match (expression, self.metric_stat) {
            (Some(expression), None) => MetricSource::Expression(expression),
            (None, Some(stat)) => stat.checked()?,
            _ => return Err("exactly one of expression and metricStat must be set".to_owned()),
        };
        Ok(MetricQuery {
            id: self.id,
            source,
            label: self.label.filter(|label| !label.is_empty()),
            return_data: self.return_data.unwrap_or(true),
            period_seconds: period(self.period.as_ref())?,
            account_id: None,
        })
    }
}

impl MetricStat {
    fn checked(self) -> Result<MetricSource, String> {
        let missing = |field: &str| format!("metricStat.{field} must be set");
        let Metric { namespace, metric_name, dimensions } = self.metric;
        for (field, value) in
            [("metric.namespace", &namespace), ("metric.metricName", &metric_name), ("stat", &self.stat)]
        {
            if value.is_empty() {
                return Err(missing(field));
            }
        }
        Ok(MetricSource::Statistic {
            namespace,
            name: metric_name,
            dimensions: dimensions.into_iter().map(|dimension| (dimension.name, dimension.value)).collect(),
            period_seconds: period(self.period.as_ref())?.ok_or_else(|| missing("period"))?,
            statistic: self.stat,
            unit: self.unit.filter(|unit| !unit.is_empty()),
        })
    }
}

/// Seconds as a number or a text.
fn period(json: Option<&serde_json::Value>) -> Result<Option<i32>, String> {
    let Some(json) = json.filter(|json| !json.is_null()) else { return Ok(None) };
    let parsed = match json {
        serde_json::Value::String(text) => text.parse().ok(),
        other => other.as_i64().and_then(|seconds| i32::try_from(seconds).ok()),
    };
    let positive = parsed.filter(|seconds| *seconds > 0);
    positive.map(Some).ok_or_else(|| format!("period must be a whole number of seconds, got {json}"))
}

#[cfg(test)]
mod tests;
