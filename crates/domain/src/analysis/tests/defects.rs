//! Defects seen upstream (`spec/analysis.md` 7.4), as far as they are a matter of judging. The
//! others are held where they can happen: load balancers (1, 3), lists of AWS (4), flags (5),
//! providers (8, 11), conditions (9), commands and weights of the Cell (2, 6, 13).

use super::substitute::{ArgumentSource, Arguments, SecretKey};
use super::*;

#[test]
fn defect_07_a_run_that_is_refused_has_an_end_and_expires() {
    let invalid = Run::new(RunSpec::default(), |_, _| false).unwrap_err();
    let plan = AnalysisPlan::refuse(&RunStatus::default(), &invalid, start());
    assert_eq!(plan.status.phase, Phase::Error);
    assert_eq!(plan.status.message, "Analysis spec invalid: no metrics specified");
    assert_eq!(plan.status.completed_at, Some(start()));
    let ttl = TtlStrategy { seconds_after_completion: Some(1), ..TtlStrategy::default() };
    assert!(ttl.expiry(&plan.status).is_some());
}

#[test]
fn defect_12_a_text_that_is_no_number_is_refused_and_not_read_as_0() {
    let json = json!({"name": "m", "count": "3", "failureLimit": "-1", "provider": {"web": {}}});
    let read = MetricSpec::from_json(&json).unwrap();
    assert_eq!((read.count, read.failure_limit, read.consecutive_error_limit), (3, -1, 4));
    for (field, value) in [
        ("count", json!("three")),
        ("failureLimit", json!("1.5")),
        ("inconclusiveLimit", json!(1.5)),
        ("count", json!(true)),
        ("consecutiveErrorLimit", json!("99999999999")),
        ("interval", json!(5)),
    ] {
        let error = MetricSpec::from_json(&json!({"name": "m", field: value})).unwrap_err();
        assert_eq!(error.field, field);
        assert!(error.to_string().starts_with(&format!("{field} must be ")), "{error}");
    }
}

#[test]
fn defect_10_a_value_whose_condition_errs_is_kept() {
    let mut player = Player::new(run(vec![metric("m", json!({}))]));
    player.due();
    let broken =
        Condition { text: "result[1] < 1", outcome: Err("index out of range".into()), deciding: None };
    let judged = judge("[0.3]", Some(&broken), None);
    let measurement = Measurement {
        message: judged.message,
        value: "[0.3]".to_owned(),
        metadata: BTreeMap::from([("query".to_owned(), "up".to_owned())]),
        ..measured(judged.phase, player.now)
    };
    player.status = record(&player.run, &player.status, "m", measurement, &BTreeMap::new());
    let plan = player.plan();
    let kept = &plan.status.metric("m").unwrap().measurements[0];
    assert_eq!((kept.phase, &*kept.value, &*kept.metadata["query"]), (Phase::Error, "[0.3]", "up"));
}

#[test]
fn defect_14_secrets_are_hidden_in_values_and_metadata_too() {
    let key = SecretKey { name: "prom".to_owned(), key: "token".to_owned() };
    let arguments: Arguments = [("token".to_owned(), ArgumentSource::Secret(key))].into_iter().collect();
    let redactor = arguments.for_measuring(|_| Some("hunter2".to_owned())).unwrap().redactor();
    let measurement = Measurement {
        message: "401 for hunter2".to_owned(),
        value: "[hunter2]".to_owned(),
        metadata: BTreeMap::from([("query".to_owned(), "x{t=\"hunter2\"}".to_owned())]),
        ..measured(Phase::Error, start())
    };
    let hidden = measurement.redacted(&redactor);
    assert!(!serde_json::to_string(&hidden).unwrap().contains("hunter2"));
    assert_eq!((&*hidden.message, &*hidden.value), ("401 for *****", "[*****]"));
    assert_eq!(hidden.metadata["query"], "x{t=\"*****\"}");
}
