//! The adapter on CloudWatch.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_sdk_cloudwatch::types as sdk;
use jiff::Timestamp;

use super::call::Caller;
use super::convert::{date_time, timestamp};
use super::pages;
use crate::error::{AwsError, Meaning};
use crate::{MetricQuery, MetricSeries, MetricSource, MetricWindow, Metrics, Scope, SeriesStatus};

const GET_METRIC_DATA: &str = "cloudwatch:GetMetricData";

/// Queries in one call (`spec/aws.md` 5.1). More are refused rather than
/// divided, since expressions name other queries of the same call.
const QUERIES_MAX: usize = 500;

/// CloudWatch through the AWS SDK.
pub struct SdkMetrics {
    caller: Caller,
}

impl SdkMetrics {
    pub(super) fn new(caller: Caller) -> Self {
        Self { caller }
    }
}

#[async_trait]
impl Metrics for SdkMetrics {
    async fn query(
        &self,
        scope: &Scope,
        window: MetricWindow,
        queries: &[MetricQuery],
    ) -> Result<Vec<MetricSeries>, AwsError> {
        if queries.len() > QUERIES_MAX {
            let message = format!("{} queries in one call, at most {QUERIES_MAX}", queries.len());
            return Err(AwsError::new(Meaning::Invalid, GET_METRIC_DATA, "TooManyQueries", message));
        }
        let queries: Vec<_> = queries.iter().map(query_to).collect();
        let queries = &queries;
        let results = pages::all(GET_METRIC_DATA, |token| async move {
            let page = self
                .caller
                .read(scope, GET_METRIC_DATA, |clients| {
                    let request = clients
                        .cloudwatch
                        .get_metric_data()
                        .set_metric_data_queries(Some(queries.clone()))
                        .start_time(date_time(window.start))
                        .end_time(date_time(window.end))
                        .scan_by(sdk::ScanBy::TimestampAscending)
                        .set_next_token(token.clone());
                    async move { request.send().await }
                })
                .await?;
            Ok((page.metric_data_results.unwrap_or_default(), page.next_token))
        });
        Ok(merged(results.await?))
    }
}

fn query_to(query: &MetricQuery) -> sdk::MetricDataQuery {
    let builder = sdk::MetricDataQuery::builder()
        .id(&query.id)
        .set_label(query.label.clone())
        .return_data(query.return_data)
        .set_period(query.period_seconds)
        .set_account_id(query.account_id.clone());
    match &query.source {
        MetricSource::Expression(expression) => builder.expression(expression),
        MetricSource::Statistic { namespace, name, dimensions, period_seconds, statistic, unit } => {
            let dimensions = dimensions
                .iter()
                .map(|(name, value)| sdk::Dimension::builder().name(name).value(value).build());
            let metric = sdk::Metric::builder()
                .namespace(namespace)
                .metric_name(name)
                .set_dimensions(Some(dimensions.collect()))
                .build();
            let stat = sdk::MetricStat::builder()
                .metric(metric)
                .period(*period_seconds)
                .stat(statistic)
                .set_unit(unit.as_deref().map(sdk::StandardUnit::from));
            builder.metric_stat(stat.build())
        }
    }
    .build()
}

/// Results of all pages, one series a query in the order of first appearance.
fn merged(results: Vec<sdk::MetricDataResult>) -> Vec<MetricSeries> {
    let mut order: BTreeMap<String, usize> = BTreeMap::new();
    let mut series: Vec<MetricSeries> = Vec::new();
    for result in results {
        let points = points_of(&result);
        let status = result.status_code.as_ref().map_or(SeriesStatus::Complete, status_from);
        let messages = result.messages.unwrap_or_default().into_iter().map(|message| {
            let (code, value) = (message.code.unwrap_or_default(), message.value);
            format!("{code}: {}", value.unwrap_or_default())
        });
        let id = result.id.unwrap_or_default();
        let at = *order.entry(id.clone()).or_insert(series.len());
        if at == series.len() {
            let label = result.label.unwrap_or_default();
            series.push(MetricSeries {
                id,
                label,
                status: SeriesStatus::Complete,
                points: Vec::new(),
                messages: Vec::new(),
            });
        }
        let entry = &mut series[at];
        entry.points.extend(points);
        entry.messages.extend(messages);
        // The status of the last page is that of the whole.
        entry.status = status;
    }
    for one in &mut series {
        one.points.sort_by_key(|(begin, _)| *begin);
    }
    series
}

fn points_of(result: &sdk::MetricDataResult) -> Vec<(Timestamp, f64)> {
    let begins = result.timestamps().iter().map(timestamp);
    begins.zip(result.values()).filter_map(|(begin, value)| Some((begin?, *value))).collect()
}

fn status_from(status: &sdk::StatusCode) -> SeriesStatus {
    match status {
        sdk::StatusCode::Complete => SeriesStatus::Complete,
        sdk::StatusCode::PartialData => SeriesStatus::Partial,
        sdk::StatusCode::InternalError => SeriesStatus::InternalError,
        sdk::StatusCode::Forbidden => SeriesStatus::Forbidden,
        other => SeriesStatus::Other(other.as_str().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::DateTime;

    use super::*;

    fn page(id: &str, seconds: &[i64], status: sdk::StatusCode) -> sdk::MetricDataResult {
        let builder = sdk::MetricDataResult::builder().id(id).label(id).status_code(status);
        seconds
            .iter()
            .fold(builder, |builder, second| {
                builder.timestamps(DateTime::from_secs(*second)).values(*second as f64)
            })
            .build()
    }

    #[test]
    fn pages_of_a_series_are_joined_and_ordered_by_time() {
        let series = merged(vec![
            page("b", &[120, 60], sdk::StatusCode::PartialData),
            page("a", &[60], sdk::StatusCode::Complete),
            page("b", &[0], sdk::StatusCode::Complete),
        ]);
        let seen: Vec<_> = series
            .iter()
            .map(|one| (one.id.as_str(), one.points.iter().map(|point| point.1).collect::<Vec<_>>()))
            .collect();
        assert_eq!(seen, [("b", vec![0.0, 60.0, 120.0]), ("a", vec![60.0])]);
        assert_eq!(series[0].status, SeriesStatus::Complete);
    }
}
