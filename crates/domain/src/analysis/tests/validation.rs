//! What is refused, with the words of `spec/analysis.md` 1.9.

use super::*;

fn refusal(metrics: Vec<MetricSpec>) -> String {
    match Run::new(spec(metrics), |pattern, name| name.contains(pattern)) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn each_rule_has_its_message() {
    let rows = [
        (json!({"consecutiveSuccessLimit": -1}), "consecutiveSuccessLimit must be >= 0"),
        (json!({"failureLimit": -2}), "failureLimit must be >= 0, or -1 to be disabled"),
        (json!({"failureLimit": -1}), "failureLimit and consecutiveSuccessLimit cannot both be disabled"),
        (json!({"inconclusiveLimit": -1}), "inconclusiveLimit must be >= 0"),
        (json!({"consecutiveErrorLimit": -1}), "consecutiveErrorLimit must be >= 0"),
        (
            json!({"count": 1, "failureLimit": 2}),
            "count (1) must be >= failureLimit + consecutiveSuccessLimit (2 + 0) if both >= 0",
        ),
        (
            json!({"count": 1, "failureLimit": -1, "consecutiveSuccessLimit": 2}),
            "count must be >= consecutiveSuccessLimit",
        ),
        (json!({"count": 1, "inconclusiveLimit": 2}), "count must be >= inconclusiveLimit"),
        (json!({"count": 2}), "interval must be specified when count > 1"),
        (json!({"interval": "5"}), "invalid interval string"),
        (json!({"initialDelay": "5 m"}), "invalid startDelay string"),
        (json!({"provider": {}}), "no provider specified"),
        (json!({"provider": {"web": {}, "job": {}}}), "multiple providers specified"),
        (json!({"provider": {"web": {}, "job": null}}), ""),
        (json!({"count": 3, "failureLimit": 3, "interval": "1m"}), ""),
    ];
    for (fields, expected) in rows {
        let message = refusal(vec![metric("good", json!({})), metric("bad", fields.clone())]);
        match expected {
            "" => assert_eq!(message, "", "{fields}"),
            _ => assert!(
                message.starts_with(&format!("Analysis spec invalid: metrics[1]: {expected}")),
                "{message}"
            ),
        }
    }
    assert_eq!(refusal(vec![]), "Analysis spec invalid: no metrics specified");
    let twice = refusal(vec![metric("x", json!({})), metric("x", json!({}))]);
    assert_eq!(twice, "Analysis spec invalid: metrics[1]: duplicate name 'x'");
}

#[test]
fn a_rule_that_names_no_metric_is_refused() {
    let dry = RunSpec { dry_run: vec!["m".to_owned(), "x".to_owned()], ..spec(vec![metric("m", json!({}))]) };
    let error = Run::new(dry, |pattern, name| name.contains(pattern)).unwrap_err();
    assert_eq!(error.to_string(), "Analysis spec invalid: dryRun[1]: Rule didn't match any metric name(s)");
    let rule = Retention { pattern: "x".to_owned(), limit: 1 };
    let kept = RunSpec { retention: vec![rule], ..spec(vec![metric("m", json!({}))]) };
    let error = Run::new(kept, |pattern, name| name.contains(pattern)).unwrap_err();
    let expected = "Analysis spec invalid: measurementRetention[0]: Rule didn't match any metric name(s)";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_metric_that_cannot_fail_is_warned_about_and_one_without_end_is_found() {
    let checked = run(vec![
        metric("sure", json!({"count": 3, "failureLimit": 3, "interval": "1m"})),
        metric("endless", json!({"interval": "1m"})),
    ]);
    assert_eq!(checked.warnings(), ["metric \"sure\" cannot fail: failureLimit (3) >= count (3)"]);
    assert_eq!(checked.first_endless_metric().unwrap().spec.name, "endless");
}
