//! Runs played measurement by measurement.

mod assessment;
mod defects;
mod options;
mod random;
mod resume;
mod schedule;
mod simulation;
mod validation;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::*;

fn start() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// A metric with a provider and these fields.
fn metric(name: &str, fields: Value) -> MetricSpec {
    let mut json = json!({"name": name, "provider": {"web": {}}});
    json.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    MetricSpec::from_json(&json).unwrap()
}

fn spec(metrics: Vec<MetricSpec>) -> RunSpec {
    RunSpec { metrics, ..RunSpec::default() }
}

fn run(metrics: Vec<MetricSpec>) -> Run {
    Run::new(spec(metrics), |pattern, name| name.contains(pattern)).unwrap()
}

/// A finished measurement.
fn measured(phase: Phase, at: Timestamp) -> Measurement {
    Measurement { phase, started_at: Some(at), finished_at: Some(at), ..Measurement::default() }
}

fn phase(letter: char) -> Phase {
    match letter {
        'S' => Phase::Successful,
        'F' => Phase::Failed,
        'I' => Phase::Inconclusive,
        'E' => Phase::Error,
        other => panic!("{other}"),
    }
}

/// A run, its status and the time, driven by plans.
struct Player {
    run: Run,
    status: RunStatus,
    now: Timestamp,
}

impl Player {
    fn new(run: Run) -> Self {
        Self { run, status: RunStatus::default(), now: start() }
    }

    fn plan(&mut self) -> AnalysisPlan {
        let plan = plan(&self.run, &self.status, self.now);
        self.status = plan.status.clone();
        plan
    }

    /// Waits until metrics are due; none if the run has ended.
    fn due(&mut self) -> Vec<String> {
        for _ in 0..1_000 {
            let plan = self.plan();
            if !plan.measure.is_empty() || self.status.phase.is_terminal() {
                return plan.measure;
            }
            self.now = plan.wake_at.expect("an unfinished run wakes");
        }
        panic!("nothing becomes due");
    }

    fn record(&mut self, metric: &str, phase: Phase) {
        let measurement = measured(phase, self.now);
        self.status = record(&self.run, &self.status, metric, measurement, &BTreeMap::new());
    }

    fn metric_phase(&self, metric: &str) -> Phase {
        self.status.metric(metric).map_or(Phase::New, |result| result.phase)
    }
}

/// The metric phase after the measurements, which must all be taken but no more than needed.
fn outcome(fields: Value, measurements: &str) -> Phase {
    let mut player = Player::new(run(vec![metric("m", fields)]));
    for letter in measurements.chars() {
        assert_eq!(player.due(), ["m"], "before {letter} of {measurements}");
        player.record("m", phase(letter));
    }
    player.plan();
    player.metric_phase("m")
}

#[test]
fn worked_outcomes_of_one_metric() {
    let every_minute = |fields: Value| {
        let mut all = json!({"interval": "1m"});
        all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        all
    };
    let streak = json!({"count": 5, "failureLimit": -1, "consecutiveSuccessLimit": 3});
    let both = |failures| json!({"count": 5, "failureLimit": failures, "consecutiveSuccessLimit": 3});
    let rows: Vec<(Value, String, Phase)> = [
        (json!({}), "S", Phase::Successful),
        (json!({}), "F", Phase::Failed),
        (json!({}), "I", Phase::Inconclusive),
        (json!({}), "EEEE", Phase::Running),
        (json!({}), "EEEEE", Phase::Error),
        (every_minute(json!({"count": 3})), "SSS", Phase::Successful),
        (every_minute(json!({"count": 3, "failureLimit": 1})), "FSS", Phase::Successful),
        (every_minute(json!({"count": 3, "failureLimit": 1})), "FSF", Phase::Failed),
        (every_minute(json!({"count": 3})), "SI", Phase::Inconclusive),
        (every_minute(json!({"count": 3, "inconclusiveLimit": 1})), "ISS", Phase::Successful),
        (every_minute(streak.clone()), "FSSS", Phase::Successful),
        (every_minute(streak), "SSFSS", Phase::Failed),
        (every_minute(both(2)), "SFSFS", Phase::Inconclusive),
        (every_minute(both(1)), "SFSF", Phase::Failed),
        (every_minute(json!({"failureLimit": -1, "consecutiveSuccessLimit": 2})), "ESESS", Phase::Successful),
        (json!({"consecutiveErrorLimit": 1}), "ES", Phase::Successful),
        (every_minute(json!({"count": 2, "consecutiveErrorLimit": 1})), "ESEE", Phase::Error),
        (every_minute(json!({"failureLimit": 3})), "FFF", Phase::Running),
        (every_minute(json!({"failureLimit": 3})), "FFFF", Phase::Failed),
    ]
    .into_iter()
    .map(|(fields, measurements, expected)| (fields, measurements.to_owned(), expected))
    .chain([(every_minute(json!({})), "S".repeat(100), Phase::Running)])
    .collect();
    for (fields, measurements, expected) in rows {
        assert_eq!(outcome(fields.clone(), &measurements), expected, "{fields} {measurements}");
    }
}

#[test]
fn a_run_that_is_told_to_stop_ends_well_and_says_so() {
    let mut player = Player::new(run(vec![metric("m", json!({"interval": "1m"}))]));
    for _ in 0..2 {
        player.due();
        player.record("m", Phase::Successful);
    }
    player.run.terminate = true;
    let plan = player.plan();
    assert_eq!((plan.status.phase, &*plan.status.message), (Phase::Successful, "Run Terminated"));
    assert_eq!(player.metric_phase("m"), Phase::Successful);
    assert!(plan.status.completed_at.is_some() && plan.measure.is_empty());
    let by = plan.status.terminated_by;
    assert_eq!((by, plan.status.phase_for_people()), (Some(TerminatedBy::User), "Stopped"));
}

#[test]
fn a_run_that_measured_nothing_before_it_is_stopped_ends_well() {
    let mut player = Player::new(run(vec![metric("m", json!({"initialDelay": "1h"}))]));
    player.plan();
    player.run.terminate = true;
    assert_eq!(player.plan().status.phase, Phase::Successful);
}

#[test]
fn a_failed_metric_ends_the_run_and_stops_its_siblings() {
    let endless = json!({"interval": "1m"});
    let mut player = Player::new(run(vec![metric("a", json!({})), metric("b", endless)]));
    assert_eq!(player.due(), ["a", "b"]);
    player.record("b", Phase::Successful);
    player.record("a", Phase::Failed);
    let plan = player.plan();
    assert_eq!(plan.status.phase, Phase::Failed);
    assert_eq!(plan.status.message, "Metric \"a\" assessed Failed due to failed (1) > failureLimit (0)");
    assert_eq!(player.metric_phase("b"), Phase::Successful);
    assert_eq!((plan.status.run_summary.failed, plan.status.run_summary.count), (1, 2));
    let by = plan.status.terminated_by;
    assert_eq!((by, plan.status.phase_for_people()), (Some(TerminatedBy::SiblingFailed), "Failed"));
}

#[test]
fn the_worst_metric_decides() {
    let names = ["a", "b", "c"];
    let mut player =
        Player::new(run(names.map(|name| metric(name, json!({"consecutiveErrorLimit": 0}))).into()));
    player.due();
    player.record("a", Phase::Inconclusive);
    player.record("b", Phase::Error);
    player.record("c", Phase::Failed);
    assert_eq!(player.plan().status.phase, Phase::Failed);
    let mut player =
        Player::new(run(names.map(|name| metric(name, json!({"consecutiveErrorLimit": 0}))).into()));
    player.due();
    player.record("a", Phase::Inconclusive);
    player.record("b", Phase::Error);
    let plan = player.plan();
    let message = "Metric \"b\" assessed Error due to consecutiveErrors (1) > consecutiveErrorLimit (0)";
    assert_eq!((plan.status.phase, &*plan.status.message), (Phase::Error, message));
}

#[test]
fn a_dry_metric_is_counted_and_awaited_but_decides_nothing() {
    let dry = RunSpec {
        dry_run: vec!["a".to_owned()],
        ..spec(vec![metric("a", json!({})), metric("b", json!({"initialDelay": "1m"}))])
    };
    let mut player = Player::new(Run::new(dry, |pattern, name| name.contains(pattern)).unwrap());
    assert_eq!(player.due(), ["a"]);
    let failed = Measurement { message: "value 1".to_owned(), ..measured(Phase::Failed, player.now) };
    player.status = record(&player.run, &player.status, "a", failed, &BTreeMap::new());
    assert_eq!(player.due(), ["b"]);
    player.record("b", Phase::Successful);
    let plan = player.plan();
    assert_eq!((plan.status.phase, plan.status.dry_run_summary.failed), (Phase::Successful, 1));
    assert_eq!(plan.status.run_summary.count, 1);
    let result = plan.status.metric("a").unwrap();
    let message = "Metric assessed Failed due to failed (1) > failureLimit (0): \"Error Message: value 1\"";
    assert_eq!((&*result.message, result.dry_run), (message, true));
}

#[test]
fn a_message_of_the_metric_is_part_of_the_verdict() {
    let mut player = Player::new(run(vec![metric("m", json!({}))]));
    player.due();
    let failed = Measurement { message: "value 7".to_owned(), ..measured(Phase::Failed, player.now) };
    player.status = record(&player.run, &player.status, "m", failed, &BTreeMap::new());
    let message = player.plan().status.message;
    let expected =
        "Metric \"m\" assessed Failed due to failed (1) > failureLimit (0): \"Error Message: value 7\"";
    assert_eq!(message, expected);
}

#[test]
fn a_measurement_that_comes_too_late_changes_nothing() {
    let mut player = Player::new(run(vec![metric("m", json!({}))]));
    player.due();
    player.record("m", Phase::Successful);
    player.plan();
    let before = player.status.clone();
    player.record("m", Phase::Failed);
    assert_eq!(player.status, before);
}

#[test]
fn status_survives_json_and_the_run_goes_on_from_it() {
    let fields = json!({"interval": "1m", "count": 3, "failureLimit": 1});
    let mut player = Player::new(run(vec![metric("m", fields)]));
    for letter in "FSS".chars() {
        assert_eq!(player.due(), ["m"]);
        player.record("m", phase(letter));
        let written = serde_json::to_value(&player.status).unwrap();
        player.status = serde_json::from_value(written).unwrap();
    }
    let ended = player.plan().status;
    assert_eq!((ended.phase, ended.terminated_by), (Phase::Successful, None));
    assert_eq!(ended.phase_for_people(), "Successful");
    let json = serde_json::to_value(&player.status).unwrap();
    assert_eq!(json["metricResults"][0]["consecutiveSuccess"], 2);
    assert_eq!(json["metricResults"][0]["measurements"][0]["phase"], "Failed");
    assert_eq!(json["startedAt"], "2026-11-21T12:00:00Z");
}

#[test]
fn only_the_newest_measurements_are_kept_and_counters_are_not_cut() {
    let kept = |rules: Vec<Retention>| {
        let spec = RunSpec { retention: rules, ..spec(vec![metric("m", json!({"interval": "1m"}))]) };
        let mut player = Player::new(Run::new(spec, |pattern, name| name.contains(pattern)).unwrap());
        for _ in 0..15 {
            player.due();
            player.record("m", Phase::Successful);
        }
        assert_eq!(player.status.metric("m").unwrap().counters.count, 15);
        player.status.metric("m").unwrap().measurements.len()
    };
    let rule = |limit| Retention { pattern: "m".to_owned(), limit };
    assert_eq!(kept(vec![]), 10);
    assert_eq!(kept(vec![rule(3)]), 3);
    assert_eq!(kept(vec![rule(0)]), 10);
}

#[test]
fn long_texts_cannot_fill_the_status() {
    let fields = json!({"interval": "1s"});
    let metrics: Vec<_> = (0..20).map(|place| metric(&format!("m{place}"), fields.clone())).collect();
    let mut player = Player::new(run(metrics));
    let long = "é".repeat(100_000);
    let metadata: BTreeMap<_, _> = (0..50).map(|place| (format!("key{place}"), long.clone())).collect();
    for _ in 0..10 {
        for name in player.due() {
            let message = Measurement {
                message: long.clone(),
                value: long.clone(),
                metadata: metadata.clone(),
                ..measured(Phase::Successful, player.now)
            };
            player.status = record(&player.run, &player.status, &name, message, &BTreeMap::new());
        }
    }
    assert_eq!(player.status.metric("m7").unwrap().measurements.len(), 10);
    assert!(serde_json::to_string(&player.status).unwrap().len() < 200 * 1024);
}

#[test]
fn a_completed_run_expires_when_its_seconds_have_passed() {
    let ttl = TtlStrategy {
        seconds_after_failure: Some(5),
        seconds_after_completion: Some(60),
        ..TtlStrategy::default()
    };
    for (letter, seconds) in [('F', 6), ('S', 61), ('I', 61)] {
        let with_ttl = RunSpec { ttl, ..spec(vec![metric("m", json!({}))]) };
        let mut player = Player::new(Run::new(with_ttl, |_, _| false).unwrap());
        player.due();
        player.record("m", phase(letter));
        let expiry = player.plan().wake_at.unwrap();
        assert_eq!(expiry, start() + SignedDuration::from_secs(seconds), "{letter}");
        player.now = expiry - SignedDuration::from_millis(1);
        assert!(!player.plan().delete);
        player.now = expiry;
        assert!(player.plan().delete);
    }
}
