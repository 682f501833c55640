use std::sync::Mutex;

use okra_aws::{AwsError, Meaning};
use okra_domain::analysis::substitute::Redactor;
use okra_expr::Program;
use serde_json::json;

use super::*;
use crate::{NoSecrets, Place};

/// What was asked, and what is answered.
struct Fake {
    answer: Mutex<Option<Result<Vec<MetricSeries>, AwsError>>>,
    asked: Mutex<Vec<(Scope, MetricWindow, Vec<MetricQuery>)>>,
}

#[async_trait]
impl Metrics for Fake {
    async fn query(
        &self,
        scope: &Scope,
        window: MetricWindow,
        queries: &[MetricQuery],
    ) -> Result<Vec<MetricSeries>, AwsError> {
        self.asked.lock().unwrap().push((scope.clone(), window, queries.to_vec()));
        let answer = self.answer.lock().unwrap().take();
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

fn fake(answer: Option<Result<Vec<MetricSeries>, AwsError>>) -> Arc<Fake> {
    Arc::new(Fake { answer: Mutex::new(answer), asked: Mutex::default() })
}

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn series(id: &str, values: &[f64], status: SeriesStatus) -> MetricSeries {
    let at = |place: usize| now() - SignedDuration::from_secs(300 - 60 * i64::try_from(place).unwrap());
    let points = values.iter().enumerate().map(|(place, value)| (at(place), *value)).collect();
    MetricSeries { id: id.to_owned(), label: id.to_owned(), status, points, messages: Vec::new() }
}

fn settings() -> serde_json::Value {
    json!({
        "interval": "10m",
        "metricDataQueries": [
            {"id": "rate", "expression": "errors / requests"},
            {"id": "errors", "returnData": false, "metricStat": {
                "metric": {
                    "namespace": "AWS/ApplicationELB", "metricName": "HTTPCode_Target_5XX_Count",
                    "dimensions": [{"name": "LoadBalancer", "value": "app/x/1"}],
                },
                "period": "60", "stat": "Sum", "unit": "",
            }},
        ],
    })
}

async fn measure(fake: &Arc<Fake>, settings: &serde_json::Value) -> Result<Measured, ProviderError> {
    let provider = CloudWatch::new(fake.clone(), Some(Region::new("eu-west-1")));
    let (redactor, place) = (Redactor::default(), Place::default());
    let request = Request { settings, redactor: &redactor, now: now(), place: &place, retries: 0 };
    provider.measure(&request, &Secrets::new(Arc::new(NoSecrets))).await
}

#[tokio::test]
async fn asks_for_the_window_and_gives_records_newest_first() {
    let answer = vec![
        series("rate", &[0.003, 0.01], SeriesStatus::Complete),
        series("errors", &[1.0], SeriesStatus::Complete),
    ];
    let fake = fake(Some(Ok(answer)));
    let measured = measure(&fake, &settings()).await.unwrap();
    assert_eq!(measured.text, "[[0.01 0.003]]");
    let condition = "len(result) == 1 && result[0].Values[0] == 0.01 && result[0].Id == 'rate' \
                     && result[0].StatusCode == 'Complete' && result[0].Timestamps[0] < now()";
    assert!(Program::compile(condition).unwrap().evaluate(&measured.result, now()).unwrap());
    let asked = fake.asked.lock().unwrap();
    let (scope, window, queries) = &asked[0];
    assert_eq!((scope.region.as_str(), window.end), ("eu-west-1", now()));
    assert_eq!(window.start, now() - SignedDuration::from_mins(10));
    assert_eq!(queries[0].source, MetricSource::Expression("errors / requests".to_owned()));
    let MetricSource::Statistic { period_seconds, unit, dimensions, .. } = &queries[1].source else {
        panic!()
    };
    assert_eq!((*period_seconds, unit.as_deref(), dimensions.len()), (60, None, 1));
    assert!(queries[0].return_data && !queries[1].return_data);
}

#[tokio::test]
async fn no_points_are_an_empty_list_of_values() {
    let fake = fake(Some(Ok(vec![series("rate", &[], SeriesStatus::Complete)])));
    let measured = measure(&fake, &settings()).await.unwrap();
    assert_eq!(measured.text, "[[]]");
    assert!(
        Program::compile("len(result[0].Values) == 0").unwrap().evaluate(&measured.result, now()).unwrap()
    );
}

#[tokio::test]
async fn failures_are_errors_and_partial_data_is_noted() {
    for status in [SeriesStatus::InternalError, SeriesStatus::Forbidden] {
        let fake = fake(Some(Ok(vec![series("rate", &[1.0], status)])));
        let message = measure(&fake, &settings()).await.unwrap_err().to_string();
        assert!(message.starts_with("query rate has StatusCode "), "{message}");
    }
    let partial = fake(Some(Ok(vec![series("rate", &[1.0], SeriesStatus::Partial)])));
    assert_eq!(measure(&partial, &settings()).await.unwrap().metadata["statusCodes"], "rate: PartialData");
    let error = AwsError::new(Meaning::Denied, "cloudwatch:GetMetricData", "AccessDenied", "not allowed");
    let chain = measure(&fake(Some(Err(error))), &settings()).await.unwrap_err().chain();
    assert_eq!(chain, "GetMetricData failed: cloudwatch:GetMetricData: AccessDenied: not allowed");
}

#[tokio::test(start_paused = true)]
async fn a_call_without_answer_ends_in_thirty_seconds() {
    let message = measure(&fake(None), &settings()).await.unwrap_err().to_string();
    assert_eq!(message, "GetMetricData has no answer within 30 s");
}

#[test]
fn settings_that_cannot_work_are_refused_before_any_call() {
    let provider = CloudWatch::new(fake(None), None);
    let with = |change: serde_json::Value| {
        let mut settings = settings();
        settings["region"] = json!("eu-west-1");
        settings.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        provider.check(&settings).map_err(|error| error.to_string())
    };
    let query = |query: serde_json::Value| json!({"metricDataQueries": [query]});
    assert_eq!(with(json!({})), Ok(()));
    let rows = [
        (json!({"region": ""}), "no region"),
        (json!({"interval": "5"}), "interval"),
        (json!({"interval": "0s"}), "interval must be longer than 0"),
        (json!({"metricDataQueries": []}), "metricDataQueries must have 1 to 500 entries"),
        (query(json!({"id": "X", "expression": "1"})), "metricDataQueries[0]: id must begin"),
        (query(json!({"id": "x"})), "exactly one of expression and metricStat"),
        (query(json!({"id": "x", "expression": "1", "metricStat": {}})), "exactly one of"),
        (query(json!({"id": "x", "metricStat": {"stat": "Sum"}})), "metricStat.metric.namespace must be set"),
        (query(json!({"id": "x", "expression": "1", "period": "a"})), "period must be a whole number"),
        (query(json!({"id": "x", "expression": "1", "period": 0})), "period must be a whole number"),
        (json!({"metricDataQueries": 5}), "invalid cloudWatch settings"),
    ];
    for (change, part) in rows {
        let message = with(change.clone()).unwrap_err();
        assert!(message.contains(part), "{change}: {message}");
    }
}
