use serde_json::json;

use super::*;

fn said(spec: &Json) -> Vec<String> {
    lint(spec, &Providers::for_checking()).iter().map(ToString::to_string).collect()
}

/// A metric that nothing is said against, with changes.
fn metric(changes: Json) -> Json {
    let mut metric = json!({
        "name": "rate", "interval": "1m", "count": 5, "successCondition": "result < 1",
        "provider": {"web": {"url": "http://h/"}},
    });
    metric.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    metric
}

fn of(changes: Json) -> Vec<String> {
    said(&json!({"metrics": [metric(changes)]}))
}

#[test]
fn a_good_template_has_no_findings() {
    assert_eq!(of(json!({})), Vec::<String>::new());
    let spec = json!({
        "args": [
            {"name": "svc"}, {"name": "limit", "value": "3"},
            {"name": "token", "valueFrom": {"secretKeyRef": {"name": "prom", "key": "token"}}},
        ],
        "dryRun": [{"metricName": "error-.*"}],
        "measurementRetention": [{"metricName": ".*", "limit": 20}],
        "metrics": [{
            "name": "error-rate", "initialDelay": "30s", "interval": "1m", "count": 10,
            "failureLimit": "{{args.limit}}",
            "successCondition": "len(result) > 0 && result[0] < 0.01",
            "failureCondition": "len(result) > 0 && result[0] >= 0.05",
            "provider": {"prometheus": {
                "address": "https://prom.example", "query": "rate_of_errors{svc='{{args.svc}}'}",
                "headers": [{"key": "Authorization", "value": "Bearer {{args.token}}"}],
            }},
        }],
    });
    assert_eq!(said(&spec), Vec::<String>::new());
}

#[test]
fn everything_is_said_at_once_with_its_field() {
    let spec = json!({
        "args": [{"name": "a"}, {"name": "a"}, {"value": "x"}, {"name": "unused", "value": "1"},
            {"name": "both", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}],
        "metrics": [
            {"name": "m", "interval": "1", "count": "x", "failureLimit": 1.5, "initialDelay": 30,
                "successCondition": "reslt < 1", "failureCondition": "len(result", "noData": "Maybe",
                "succesCondition": "true", "provider": {"web": {"url": "ftp://h"}}},
            {"name": "m", "successCondition": "{{args.nothing}} > {{ args.a }}", "provider": {}},
            {"name": "m", "successCondition": "true {{args.both}}", "provider": {"wavefront": {}}},
            5,
        ],
        "dryRun": [{"metricName": "*"}, {"metricName": "z"}, {"metricName": "z"}],
    });
    let expected = [
        "spec.args[1]: error: argument \"a\" is declared twice",
        "spec.args[2]: error: an argument needs a name",
        "spec.args[4]: error: argument \"both\" has both value and valueFrom",
        "spec.metrics[0].succesCondition: warning: okra knows no such field of a metric",
        "spec.metrics[0].count: error: count must be a whole number of 32 bits, got \"x\"",
        "spec.metrics[0].failureLimit: error: failureLimit must be a whole number of 32 bits, got 1.5",
        "spec.metrics[0].interval: error: ",
        "spec.metrics[0].initialDelay: error: initialDelay must be a string such as \"90s\", got 30",
        "spec.metrics[0].noData: error: must be one of Fail, Inconclusive, Success, Error, got \"Maybe\"",
        "spec.metrics[0].successCondition: error: unknown name reslt",
        "spec.metrics[0].failureCondition: error: ",
        "spec.metrics[0].provider.web: error: url needs http:// or https:// and a host",
        "spec.metrics[1].successCondition: error: failed to resolve {{args.nothing}}",
        "spec.metrics[2].successCondition: error: ",
        "spec.metrics[2].provider.wavefront: error: provider \"wavefront\" is not supported",
        "spec.metrics[3]: error: a metric must be an object",
        "spec.metrics[2].name: error: duplicate name 'm'",
        "spec.dryRun[0].metricName: error: \"*\" is no regular expression: repetition operator missing expression",
        "spec.dryRun[2].metricName: error: two rules have the same name 'z'",
        "spec.args[3]: warning: no metric uses argument \"unused\"",
    ];
    let found = said(&spec);
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\n{expected}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn defect_12_a_limit_that_is_no_number_is_an_error_and_not_zero() {
    for field in
        ["count", "failureLimit", "inconclusiveLimit", "consecutiveErrorLimit", "consecutiveSuccessLimit"]
    {
        let expected = format!(
            "spec.metrics[0].{field}: error: {field} must be a whole number of 32 bits, got \"many\""
        );
        assert_eq!(of(json!({field: "many"})), [expected]);
    }
    // A secret cannot reach a limit: while planning it is a fixed word.
    let spec = json!({
        "args": [{"name": "s", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        "metrics": [metric(json!({"failureLimit": "{{args.s}}"}))],
    });
    assert!(said(&spec)[0].contains("got \"temp-for-secret\""));
}

#[test]
fn what_depends_on_an_unknown_argument_is_not_judged() {
    let spec = json!({
        "args": [{"name": "x"}, {"name": "f", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "metrics": [
            metric(json!({
                "count": "{{args.x}}", "failureLimit": 9, "interval": "{{ args.x }}", "successCondition": "{{args.x}}",
                "provider": {"web": {"url": "{{args.x}}/{{args.f}}"}},
            })),
            metric(json!({"name": "b", "provider": {"web": {"url": "http://h/{{args.okra.canary.version}}"}}})),
            metric(json!({"name": "{{args.x}}", "provider": {"wavefront": {"query": "{{args.x}}"}}})),
        ],
        "dryRun": [{"metricName": "may-be-the-third"}],
    });
    let found = said(&spec);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with("spec.metrics[2].provider.wavefront: error: "), "{found:#?}");
}

#[test]
fn limits_are_seen_together() {
    let rows = [
        (
            json!({"count": 1, "failureLimit": 2}),
            "error: count (1) must be >= failureLimit + consecutiveSuccessLimit",
        ),
        (json!({"failureLimit": -2}), "error: failureLimit must be >= 0, or -1 to be disabled"),
        (
            json!({"failureLimit": -1}),
            "error: failureLimit and consecutiveSuccessLimit cannot both be disabled",
        ),
        (json!({"inconclusiveLimit": 6}), "error: count must be >= inconclusiveLimit"),
        (json!({"interval": null}), "error: interval must be specified when count > 1"),
        (json!({"failureLimit": 5}), "warning: metric \"rate\" cannot fail: failureLimit (5) >= count (5)"),
    ];
    for (changes, expected) in rows {
        let found = of(changes);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].starts_with(&format!("spec.metrics[0]: {expected}")), "{found:#?}");
    }
}

#[test]
fn providers_are_checked_with_all_they_can_say() {
    let rows = [
        (
            json!({"web": {"url": "http://h", "jsonPath": "$.a"}}),
            "spec.metrics[0].provider.web: error: jsonPath",
        ),
        (
            json!({"prometheus": {"query": "up", "rangeQuery": {"start": "nw()", "end": "now()", "step": "1m"}}}),
            "spec.metrics[0].provider.prometheus: error: rangeQuery.start \"nw()\": unknown name nw",
        ),
        (
            json!({"graphite": {"address": "http://h"}}),
            "spec.metrics[0].provider.graphite: error: query must be set",
        ),
        (json!({"job": {}}), "spec.metrics[0].provider.job: error: job.spec must be set"),
        (
            json!({"datadog": {"query": "q"}}),
            "spec.metrics[0].provider.datadog.apiVersion: warning: version v1 of the API is deprecated",
        ),
        (json!({}), "spec.metrics[0].provider: error: no provider specified"),
        (json!({"web": {}, "job": {}}), "spec.metrics[0].provider: error: multiple providers specified"),
    ];
    for (provider, expected) in rows {
        let found = of(json!({"provider": provider}));
        assert!(found[0].starts_with(expected), "{found:#?}");
        assert_eq!(found.len(), 1, "{found:#?}");
    }
    for key in ["wavefront", "skywalking", "kayenta", "plugin"] {
        let found = of(json!({"provider": {key: {}}}));
        assert!(found[0].contains("is not supported") && found[0].contains("; instead, "), "{found:#?}");
    }
    let baseline = json!({"provider": {"web": {"url": "x"}}, "kind": "Mean"});
    assert!(
        of(json!({"baseline": baseline}))[0].starts_with("spec.metrics[0].baseline.provider.web: error: url")
    );
}

#[test]
fn a_window_that_reaches_back_before_the_step_is_a_warning() {
    let cloud_watch =
        json!({"cloudWatch": {"interval": "10m", "metricDataQueries": [{"id": "a", "expression": "1"}]}});
    let with = |delay: &str| of(json!({"initialDelay": delay, "provider": cloud_watch}));
    assert_eq!(with("10m"), Vec::<String>::new());
    assert!(
        with("5m")[0]
            .starts_with("spec.metrics[0].initialDelay: warning: the first measurement looks back 600 s")
    );
}

#[test]
fn nested_templates_may_bring_what_is_missing() {
    let spec = json!({
        "templates": [{"templateName": "other"}], "args": [{"name": "x"}], "dryRun": [{"metricName": "of-the-other"}],
    });
    assert_eq!(said(&spec), Vec::<String>::new());
    assert_eq!(said(&json!({})), ["spec.metrics: error: no metrics specified"]);
}

#[test]
fn a_query_without_a_condition_is_a_warning() {
    let metric = json!({"name": "ping", "provider": {"web": {"url": "http://h/"}}});
    let expected = "spec.metrics[0]: warning: without a condition every answer counts as a success";
    assert_eq!(said(&json!({"metrics": [metric]})), [expected]);
}

#[test]
fn a_job_needs_no_condition() {
    let job = json!({"job": {"spec": {"template": {"spec": {"containers": [{"name": "c"}]}}}}});
    let metric = json!({"name": "smoke", "provider": job});
    assert_eq!(said(&json!({"metrics": [metric]})), Vec::<String>::new());
}
