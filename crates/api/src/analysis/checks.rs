//! Metrics without a template (`spec/analysis.md` 6): a check is successful
//! while its number lies within `min` and `max`.

use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::cell::AnalysisCheck;

/// Time between two measurements of a check that names none.
const INTERVAL_DEFAULT: &str = "60s";
/// Measurements of a check in a step that names none.
const COUNT_DEFAULT: i64 = 5;
/// Errors in a row that a check tolerates when it names no limit.
const CONSECUTIVE_ERRORS_DEFAULT: i64 = 4;
/// CloudWatch shows a minute one to three minutes after it (`spec/aws.md`
/// 5.3): an earlier first look would judge the old share of the traffic.
const CLOUD_WATCH_DELAY: &str = "3m";
/// The window that each measurement of a built-in check looks at.
const CLOUD_WATCH_WINDOW: &str = "5m";
/// Seconds of one CloudWatch point of a load balancer.
const CLOUD_WATCH_PERIOD: i64 = 60;

/// A check says nothing that can be measured.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CheckError {
    /// No name to tell it by.
    #[error("checks[{0}] has no name")]
    Unnamed(usize),
    /// None or several of the three.
    #[error("check '{0}' needs exactly one of provider, successRate and latencyP99")]
    Source(String),
    /// Every number would pass.
    #[error("check '{0}' needs min or max")]
    Unlimited(String),
    /// No number would pass.
    #[error("check '{0}' has a min above its max")]
    Empty(String),
}

/// Where the built-in checks look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckScope {
    /// `app/NAME/ID` of the load balancer.
    pub load_balancer: String,
    /// `targetgroup/NAME/ID` of each target group of the new version, in order.
    pub target_groups: Vec<String>,
    /// Whether the run goes on beside the steps: then a check has no count.
    pub background: bool,
}

/// The metrics of `checks`, one each.
///
/// # Errors
/// When a check says nothing that can be measured.
pub fn check_metrics(checks: &[AnalysisCheck], scope: &CheckScope) -> Result<Vec<Value>, CheckError> {
    checks.iter().enumerate().map(|(index, check)| check_metric(index, check, scope)).collect()
}

/// Whether `checks` say what can be measured, wherever that will be.
///
/// # Errors
/// When one of them does not.
pub fn validate_checks(checks: &[AnalysisCheck]) -> Result<(), CheckError> {
    check_metrics(checks, &CheckScope::default()).map(|_| ())
}

fn check_metric(index: usize, check: &AnalysisCheck, scope: &CheckScope) -> Result<Value, CheckError> {
    if check.name.is_empty() {
        return Err(CheckError::Unnamed(index));
    }
    let limits = limits(check)?;
    let (provider, reading, delay) = match (&check.provider, &check.success_rate, &check.latency_p99) {
        (Some(provider), None, None) => (provider.clone(), Reading::of(provider), None),
        (None, Some(_), None) => (cloud_watch(success_rate(scope)), Reading::Series, Some(CLOUD_WATCH_DELAY)),
        (None, None, Some(_)) => (cloud_watch(latency_p99(scope)), Reading::Series, Some(CLOUD_WATCH_DELAY)),
        _ => return Err(CheckError::Source(check.name.clone())),
    };
    let (success, failure) = reading.conditions(&limits);
    let mut metric = Map::new();
    metric.insert("name".into(), check.name.clone().into());
    metric.insert("interval".into(), check.interval.as_deref().unwrap_or(INTERVAL_DEFAULT).into());
    if let Some(delay) = delay {
        metric.insert("initialDelay".into(), delay.into());
    }
    if let Some(count) = check.count.or((!scope.background).then_some(COUNT_DEFAULT)) {
        metric.insert("count".into(), count.into());
    }
    metric.insert("failureLimit".into(), check.failure_limit.unwrap_or(0).into());
    let errors = check.consecutive_error_limit.unwrap_or(CONSECUTIVE_ERRORS_DEFAULT);
    metric.insert("consecutiveErrorLimit".into(), errors.into());
    if let Some(no_data) = &check.no_data {
        metric.insert("noData".into(), no_data.as_str().into());
    }
    metric.insert("successCondition".into(), success.into());
    metric.insert("failureCondition".into(), failure.into());
    metric.insert("provider".into(), provider);
    Ok(metric.into())
}

/// The condition that one number, called `#`, passes.
fn limits(check: &AnalysisCheck) -> Result<String, CheckError> {
    match (check.min, check.max) {
        (None, None) => Err(CheckError::Unlimited(check.name.clone())),
        (Some(min), Some(max)) if min > max => Err(CheckError::Empty(check.name.clone())),
        (Some(min), None) => Ok(format!("# >= {min}")),
        (None, Some(max)) => Ok(format!("# <= {max}")),
        (Some(min), Some(max)) => Ok(format!("# >= {min} && # <= {max}")),
    }
}

/// What the numbers of a result are.
enum Reading {
    /// CloudWatch: a list of series.
    Series,
    /// Others: one number or a list of numbers.
    Numbers,
}

impl Reading {
    fn of(provider: &Value) -> Self {
        if provider.get("cloudWatch").is_some() { Self::Series } else { Self::Numbers }
    }

    /// Success and failure; no number at all is neither.
    fn conditions(&self, limits: &str) -> (String, String) {
        let numbers = match self {
            Self::Series => "flatten(map(result, .Values))",
            Self::Numbers => "(type(result) == \"array\" ? result : [result])",
        };
        (
            format!("len({numbers}) > 0 && all({numbers}, {{{limits}}})"),
            format!("any({numbers}, {{not ({limits})}})"),
        )
    }
}

fn cloud_watch(queries: Vec<Value>) -> Value {
    json!({"cloudWatch": {"interval": CLOUD_WATCH_WINDOW, "metricDataQueries": queries}})
}

fn query(id: &str, metric: &str, stat: &str, scope: &CheckScope, target_group: &str) -> Value {
    json!({
        "id": id,
        "returnData": false,
        "metricStat": {
            "metric": {
                "namespace": "AWS/ApplicationELB",
                "metricName": metric,
                "dimensions": [
                    {"name": "LoadBalancer", "value": scope.load_balancer},
                    {"name": "TargetGroup", "value": target_group},
                ],
            },
            "period": CLOUD_WATCH_PERIOD,
            "stat": stat,
        },
    })
}

/// Percent of answers that are not 5xx, over all groups together. A minute
/// without a 5xx has no point for it, which means none.
fn success_rate(scope: &CheckScope) -> Vec<Value> {
    let groups = || scope.target_groups.iter().enumerate();
    let mut queries: Vec<Value> = groups()
        .flat_map(|(index, group)| {
            [
                query(&format!("requests{index}"), "RequestCount", "Sum", scope, group),
                query(&format!("errors{index}"), "HTTPCode_Target_5XX_Count", "Sum", scope, group),
            ]
        })
        .collect();
    let sum = |word: &str| {
        let terms: Vec<String> = groups().map(|(index, _)| format!("FILL({word}{index}, 0)")).collect();
        terms.join(" + ")
    };
    let expression = format!("100 - 100 * ({}) / ({})", sum("errors"), sum("requests"));
    queries.push(json!({"id": "rate", "label": "percent of answers without 5xx", "expression": expression}));
    queries
}

/// Milliseconds, per group: each must hold, so the worst decides.
fn latency_p99(scope: &CheckScope) -> Vec<Value> {
    let groups = scope.target_groups.iter().enumerate();
    groups
        .flat_map(|(index, group)| {
            let seconds = format!("seconds{index}");
            let milliseconds = json!({
                "id": format!("latency{index}"),
                "label": format!("p99 of {group} in ms"),
                "expression": format!("1000 * {seconds}"),
            });
            [query(&seconds, "TargetResponseTime", "p99", scope, group), milliseconds]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(check: Value, background: bool) -> Result<Value, CheckError> {
        let scope = CheckScope {
            load_balancer: "app/web/1".to_owned(),
            target_groups: vec!["targetgroup/b1/1".to_owned(), "targetgroup/b2/2".to_owned()],
            background,
        };
        let check: AnalysisCheck = serde_json::from_value(check).unwrap();
        check_metrics(&[check], &scope).map(|mut metrics| metrics.remove(0))
    }

    #[test]
    fn a_provider_becomes_a_metric_with_limits() {
        let check = json!({"name": "lag", "max": 100, "provider": {"web": {"url": "http://x"}}});
        let expected = json!({
            "name": "lag", "interval": "60s", "count": 5, "failureLimit": 0, "consecutiveErrorLimit": 4,
            "successCondition": "len((type(result) == \"array\" ? result : [result])) > 0 && \
                all((type(result) == \"array\" ? result : [result]), {# <= 100})",
            "failureCondition": "any((type(result) == \"array\" ? result : [result]), {not (# <= 100)})",
            "provider": {"web": {"url": "http://x"}},
        });
        assert_eq!(metric(check, false), Ok(expected));
    }

    #[test]
    fn a_background_check_has_no_count_unless_it_names_one() {
        let check = json!({"name": "lag", "min": 1, "provider": {"web": {}}});
        assert_eq!(metric(check, true).unwrap().get("count"), None);
        let check = json!({"name": "lag", "min": 1, "count": 3, "provider": {"web": {}}});
        assert_eq!(metric(check, true).unwrap()["count"], 3);
    }

    #[test]
    fn built_in_checks_read_every_target_group_of_the_new_version() {
        let rate = metric(json!({"name": "ok", "successRate": {}, "min": 99.5}), false).unwrap();
        let queries = rate["provider"]["cloudWatch"]["metricDataQueries"].as_array().unwrap();
        assert_eq!(queries.len(), 5);
        assert_eq!(
            queries[4]["expression"],
            "100 - 100 * (FILL(errors0, 0) + FILL(errors1, 0)) / (FILL(requests0, 0) + FILL(requests1, 0))"
        );
        assert_eq!(queries[2]["metricStat"]["metric"]["dimensions"][1]["value"], "targetgroup/b2/2");
        assert_eq!(
            rate["successCondition"],
            "len(flatten(map(result, .Values))) > 0 && all(flatten(map(result, .Values)), {# >= 99.5})"
        );
        let latency = metric(json!({"name": "p99", "latencyP99": {}, "max": 250}), false).unwrap();
        let queries = latency["provider"]["cloudWatch"]["metricDataQueries"].as_array().unwrap();
        assert_eq!(queries[3]["expression"], "1000 * seconds1");
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        let rows = [
            (json!({"min": 1, "provider": {}}), "checks[0] has no name"),
            (
                json!({"name": "a", "min": 1}),
                "check 'a' needs exactly one of provider, successRate and latencyP99",
            ),
            (
                json!({"name": "a", "min": 1, "successRate": {}, "latencyP99": {}}),
                "check 'a' needs exactly one of provider, successRate and latencyP99",
            ),
            (json!({"name": "a", "successRate": {}}), "check 'a' needs min or max"),
            (
                json!({"name": "a", "successRate": {}, "min": 2, "max": 1}),
                "check 'a' has a min above its max",
            ),
        ];
        for (check, expected) in rows {
            assert_eq!(metric(check, false).unwrap_err().to_string(), expected);
        }
    }
}
