//! When a metric is measured (`spec/analysis.md` 2.2).

use super::*;

fn after(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

#[test]
fn a_metric_without_delay_is_measured_at_once_and_then_from_the_end_of_the_last() {
    let mut player = Player::new(run(vec![metric("m", json!({"interval": "10s"}))]));
    assert_eq!(player.plan().measure, ["m"]);
    // A slow provider: the interval counts from its end.
    player.now = after(4);
    player.record("m", Phase::Successful);
    let plan = player.plan();
    assert_eq!(plan.wake_at, Some(after(14) + SignedDuration::from_millis(1)));
    player.now = after(14);
    assert!(player.plan().measure.is_empty(), "due is after the time, not at it");
    player.now = plan.wake_at.unwrap();
    assert_eq!(player.plan().measure, ["m"]);
}

#[test]
fn a_delayed_metric_waits_from_the_first_look_and_never_starts_in_it() {
    let mut player = Player::new(run(vec![metric("m", json!({"initialDelay": "30s"}))]));
    let plan = player.plan();
    assert_eq!((plan.measure.len(), plan.status.started_at), (0, Some(start())));
    assert_eq!(plan.status.phase, Phase::Running);
    player.now = after(29);
    assert!(player.plan().measure.is_empty());
    player.now = plan.wake_at.unwrap();
    assert_eq!(player.plan().measure, ["m"]);
    let mut zero = Player::new(run(vec![metric("m", json!({"initialDelay": "0s"}))]));
    assert!(zero.plan().measure.is_empty());
}

#[test]
fn after_an_error_the_retry_comes_in_ten_seconds_or_the_interval_and_a_little_jitter() {
    for (fields, least) in
        [(json!({}), 10.0), (json!({"interval": "5m"}), 10.0), (json!({"interval": "2s"}), 2.0)]
    {
        let mut player = Player::new(run(vec![metric("m", fields)]));
        player.due();
        player.record("m", Phase::Error);
        let wait = player.plan().wake_at.unwrap().duration_since(start()).as_secs_f64();
        assert!((least..least * 1.1 + 0.01).contains(&wait), "{wait}");
    }
}

#[test]
fn retries_of_different_metrics_do_not_coincide() {
    let names = ["a", "b", "c", "d"];
    let waits: std::collections::BTreeSet<_> = names
        .iter()
        .map(|name| {
            let mut player = Player::new(run(vec![metric(name, json!({}))]));
            player.due();
            player.record(name, Phase::Error);
            player.plan().wake_at
        })
        .collect();
    assert!(waits.len() > 1);
}

#[test]
fn a_provider_that_works_in_the_background_is_asked_again_at_its_time() {
    let mut player = Player::new(run(vec![metric("m", json!({}))]));
    player.due();
    let running = Measurement {
        phase: Phase::Running,
        started_at: Some(start()),
        resume_at: Some(after(5)),
        ..Measurement::default()
    };
    player.status = record(&player.run, &player.status, "m", running, &BTreeMap::new());
    let plan = player.plan();
    assert!(plan.measure.is_empty() && plan.resume.is_empty());
    player.now = plan.wake_at.unwrap();
    assert_eq!(player.plan().resume, ["m"]);
    player.record("m", Phase::Successful);
    assert_eq!(player.plan().status.phase, Phase::Successful);
    assert_eq!(player.status.metric("m").unwrap().measurements.len(), 1);
    assert_eq!(player.status.metric("m").unwrap().counters.count, 1);
}

#[test]
fn stopping_tells_the_provider_and_ends_the_run_without_waiting_for_it() {
    let mut player = Player::new(run(vec![metric("a", json!({})), metric("b", json!({}))]));
    player.due();
    let running = Measurement { phase: Phase::Running, started_at: Some(start()), ..Measurement::default() };
    player.status = record(&player.run, &player.status, "b", running, &BTreeMap::new());
    player.record("a", Phase::Failed);
    let plan = player.plan();
    assert_eq!((plan.terminate.clone(), plan.status.phase), (vec!["b".to_owned()], Phase::Failed));
    let stopped = measured(Phase::Inconclusive, player.now);
    player.status = record_terminated(&player.run, &player.status, "b", stopped);
    let result = player.status.metric("b").unwrap();
    assert_eq!(result.measurements[0].message, "Metric Terminated");
    assert_eq!(player.status.phase, Phase::Failed);
}

#[test]
fn a_clock_that_jumps_forward_triggers_one_measurement_not_many() {
    let mut player = Player::new(run(vec![metric("m", json!({"interval": "1m"}))]));
    player.due();
    player.record("m", Phase::Successful);
    player.now = after(86_400);
    assert_eq!(player.plan().measure, ["m"]);
    player.record("m", Phase::Successful);
    assert!(player.plan().measure.is_empty());
}

#[test]
fn the_earliest_metric_sets_the_wake_up() {
    let fields = |interval| json!({"interval": interval});
    let mut player = Player::new(run(vec![metric("a", fields("5m")), metric("b", fields("1m"))]));
    assert_eq!(player.due(), ["a", "b"]);
    player.record("a", Phase::Successful);
    player.record("b", Phase::Successful);
    assert_eq!(player.plan().wake_at, Some(after(60) + SignedDuration::from_millis(1)));
}
