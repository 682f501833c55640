//! What goes beyond the language of Argo Rollouts (`spec/analysis.md` 2.10); absent, nothing changes.

use super::*;

fn every_minute(fields: Value) -> Value {
    let mut all = json!({"interval": "1m"});
    all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    all
}

#[test]
fn failures_in_a_row_have_a_limit_of_their_own() {
    let streak = |limit| every_minute(json!({"failureLimit": -1, "consecutiveFailureLimit": limit}));
    assert_eq!(outcome(streak(2), "FFSFF"), Phase::Running);
    assert_eq!(outcome(streak(2), "FFSFFF"), Phase::Failed);
    assert_eq!(outcome(streak(0), "SF"), Phase::Failed);
    assert_eq!(outcome(streak(1), "FEF"), Phase::Running, "an error ends the row");
    let counted = json!({"count": 4, "failureLimit": -1, "consecutiveFailureLimit": 1});
    assert_eq!(outcome(every_minute(counted), "FSFS"), Phase::Successful);
    let mut player = Player::new(run(vec![metric("m", streak(2))]));
    for letter in "FFF".chars() {
        player.due();
        player.record("m", phase(letter));
    }
    let message = player.plan().status.message;
    assert_eq!(
        message,
        "Metric \"m\" assessed Failed due to consecutiveFailures (3) > consecutiveFailureLimit (2)"
    );
}

#[test]
fn as_many_measurements_are_kept_as_a_row_of_failures_needs() {
    let fields = every_minute(json!({"failureLimit": -1, "consecutiveFailureLimit": 20}));
    let rule = Retention { pattern: "m".to_owned(), limit: 3 };
    let spec = RunSpec { retention: vec![rule], ..spec(vec![metric("m", fields)]) };
    let mut player = Player::new(Run::new(spec, |pattern, name| name.contains(pattern)).unwrap());
    for _ in 0..21 {
        assert_eq!(player.due(), ["m"]);
        player.record("m", Phase::Failed);
    }
    assert_eq!(player.plan().status.phase, Phase::Failed);
}

#[test]
fn an_inconclusive_metric_or_one_with_errors_means_what_it_says() {
    let rows = [
        (json!({}), 'I', Phase::Inconclusive),
        (json!({"onInconclusive": "pause"}), 'I', Phase::Inconclusive),
        (json!({"onInconclusive": "abort"}), 'I', Phase::Failed),
        (json!({"onInconclusive": "continue"}), 'I', Phase::Successful),
        (json!({"onError": "pause"}), 'I', Phase::Inconclusive),
        (json!({}), 'E', Phase::Error),
        (json!({"onError": "abort"}), 'E', Phase::Error),
        (json!({"onError": "pause"}), 'E', Phase::Inconclusive),
        (json!({"onError": "continue"}), 'E', Phase::Successful),
        (json!({"onError": "continue"}), 'F', Phase::Failed),
    ];
    for (fields, letter, expected) in rows {
        let mut all = json!({"consecutiveErrorLimit": 0});
        all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let mut player = Player::new(run(vec![metric("m", all)]));
        player.due();
        player.record("m", phase(letter));
        assert_eq!(player.plan().status.phase, expected, "{fields} {letter}");
        assert_eq!(player.metric_phase("m"), phase(letter), "the metric itself says what was measured");
    }
}

#[test]
fn a_metric_that_does_not_count_stops_no_sibling() {
    let metrics = vec![
        metric("a", json!({"onInconclusive": "continue"})),
        metric("b", every_minute(json!({"count": 2}))),
    ];
    let mut player = Player::new(run(metrics));
    assert_eq!(player.due(), ["a", "b"]);
    player.record("a", Phase::Inconclusive);
    player.record("b", Phase::Successful);
    assert_eq!(player.due(), ["b"]);
    player.record("b", Phase::Successful);
    let plan = player.plan();
    assert_eq!((plan.status.phase, plan.status.run_summary.inconclusive), (Phase::Successful, 1));
}

#[test]
fn no_data_comes_to_what_the_metric_says() {
    for (policy, expected) in [
        (NoData::Fail, Phase::Failed),
        (NoData::Inconclusive, Phase::Inconclusive),
        (NoData::Success, Phase::Successful),
        (NoData::Error, Phase::Error),
    ] {
        let judged = judge_no_data(policy, "NaN");
        assert_eq!(judged.phase, expected);
        let message = format!("no data (value NaN); noData is {policy}");
        assert_eq!(judged.message, if expected == Phase::Successful { "" } else { message.as_str() });
    }
    assert_eq!(metric("m", json!({"noData": "Fail"})).no_data, Some(NoData::Fail));
    assert_eq!(metric("m", json!({"noData": ""})).no_data, None);
}

#[test]
fn words_and_limits_that_are_none_are_refused() {
    for (field, value) in
        [("noData", json!("Pass")), ("onError", json!("ignore")), ("consecutiveFailureLimit", json!("x"))]
    {
        let error = MetricSpec::from_json(&json!({"name": "m", field: value})).unwrap_err();
        assert_eq!(error.field, field);
    }
    let refused = |fields| Run::new(spec(vec![metric("m", fields)]), |_, _| false).unwrap_err().to_string();
    let message = refused(json!({"consecutiveFailureLimit": 100}));
    assert!(message.ends_with("consecutiveFailureLimit must be >= 0 and < 100"), "{message}");
    let message = refused(json!({"successCondition": "true", "baseline": baseline()}));
    assert!(message.ends_with("baseline judges in place of conditions: both cannot be set"), "{message}");
}

/// At its start a run has no window to look at.
#[test]
fn the_first_look_of_a_comparison_comes_after_one_interval() {
    let mut player = Player::new(run(vec![metric("m", every_minute(json!({"baseline": baseline()})))]));
    assert_eq!(player.plan().measure, Vec::<String>::new());
    assert_eq!(player.due(), ["m"]);
    assert!(player.now.duration_since(start()).as_secs() >= 60);
    let endless = spec(vec![metric("m", json!({"baseline": baseline()}))]);
    let message = Run::new(endless, |_, _| false).unwrap_err().to_string();
    assert!(message.contains("baseline needs an interval or an initialDelay"), "{message}");
}

fn baseline() -> Value {
    json!({"provider": {"web": {}}, "kind": "Proportion", "worse": "Higher"})
}

/// Comparing is expected to stay open for a while: only how it ends counts.
#[test]
fn a_comparison_that_is_still_open_is_not_inconclusive() {
    let counted = every_minute(json!({"count": 4, "baseline": baseline()}));
    assert_eq!(outcome(counted.clone(), "III"), Phase::Running);
    assert_eq!(outcome(counted.clone(), "IIIS"), Phase::Successful);
    assert_eq!(outcome(counted.clone(), "IIII"), Phase::Inconclusive);
    assert_eq!(outcome(counted, "IF"), Phase::Failed);
    let tolerant = every_minute(json!({"count": 4, "inconclusiveLimit": 4, "baseline": baseline()}));
    assert_eq!(outcome(tolerant, "IIII"), Phase::Successful);
    let endless = every_minute(json!({"baseline": baseline()}));
    assert_eq!(outcome(endless, "IIIIII"), Phase::Running);
    let early =
        every_minute(json!({"failureLimit": 0, "consecutiveSuccessLimit": 1, "baseline": baseline()}));
    assert_eq!(outcome(early, "IIS"), Phase::Successful);
}
