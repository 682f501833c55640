//! Recorded values on virtual time.

use super::*;
use crate::analysis::comparison::{ComparisonKind, Evidence, Window, compare, next_window};

fn after(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

fn script() -> Script {
    Script { start: start(), terminate_at: None }
}

/// Plays letters, one list per metric, each measurement lasting two seconds.
fn play(run: &Run, script: Script, recorded: &[(&str, &str)]) -> Simulation {
    let mut left: BTreeMap<&str, Vec<char>> =
        recorded.iter().map(|(name, letters)| (*name, letters.chars().rev().collect())).collect();
    simulate(run, script, |metric, _, _| {
        let letter = left.get_mut(&*metric.spec.name)?.pop()?;
        Some(Played { phase: phase(letter), took: SignedDuration::from_secs(2), ..Played::default() })
    })
}

fn times(simulation: &Simulation) -> Vec<(i64, Option<&str>, Phase)> {
    let seconds = |at: Timestamp| at.duration_since(start()).as_secs();
    let phases = simulation.phases.iter();
    phases.map(|change| (seconds(change.at), change.metric.as_deref(), change.phase)).collect()
}

#[test]
fn phases_come_with_their_times() {
    let run = run(vec![metric("m", json!({"interval": "1m", "count": 3, "failureLimit": 1}))]);
    let played = play(&run, script(), &[("m", "FSS")]);
    assert_eq!(played.ending, Ending::Completed);
    assert_eq!(
        times(&played),
        [
            (0, None, Phase::Running),
            (2, Some("m"), Phase::Running),
            (126, Some("m"), Phase::Successful),
            (126, None, Phase::Successful),
        ]
    );
    let begun: Vec<i64> =
        played.measurements.iter().map(|own| own.started_at.duration_since(start()).as_secs()).collect();
    assert_eq!(begun, [0, 62, 124]);
    assert_eq!(played.status.completed_at, Some(after(126)));
}

#[test]
fn a_failure_stops_its_sibling_and_says_why() {
    let run = run(vec![metric("a", json!({"interval": "10s"})), metric("b", json!({"interval": "1m"}))]);
    let played = play(&run, script(), &[("a", "SSF"), ("b", "SSSS")]);
    let last = played.phases.last().unwrap();
    assert_eq!((last.phase, last.at.duration_since(start()).as_secs()), (Phase::Failed, 26));
    assert_eq!(last.message, "Metric \"a\" assessed Failed due to failed (1) > failureLimit (0)");
    assert_eq!(played.measurements.len(), 4);
}

#[test]
fn delays_errors_and_the_end_of_a_rollout_take_their_time() {
    let delayed = run(vec![metric("m", json!({"initialDelay": "30s"}))]);
    let played = play(&delayed, script(), &[("m", "ES")]);
    assert_eq!((played.ending, played.status.phase), (Ending::Completed, Phase::Successful));
    let begun = played.measurements[1].started_at;
    assert!(
        begun >= after(42) && begun <= after(44),
        "30 s, the error's 2 s, ten seconds and jitter: {begun}"
    );
    let endless = run(vec![metric("m", json!({"interval": "10s"}))]);
    let stopped = Script { terminate_at: Some(after(60)), ..script() };
    let played = play(&endless, stopped, &[("m", "SSSSSSSSSS")]);
    let last = played.phases.last().unwrap();
    assert_eq!((last.at, &*last.message), (after(60), "Run Terminated"));
}

#[test]
fn values_that_run_out_end_the_simulation_where_they_do() {
    let run = run(vec![metric("m", json!({"interval": "1m"}))]);
    let played = play(&run, script(), &[("m", "SSS")]);
    assert_eq!((played.ending, played.status.phase), (Ending::OutOfValues, Phase::Running));
    assert_eq!(played.status.metric("m").unwrap().counters.successful, 3);
    let json = serde_json::to_value(&played).unwrap();
    assert_eq!((&json["ending"], &json["phases"][1]["metric"]), (&json!("OutOfValues"), &json!("m")));
    assert_eq!(json["measurements"][0]["finishedAt"], "2026-11-21T12:00:02Z");
}

#[test]
fn one_story_each_time() {
    let fields = json!({"interval": "3s", "count": 9, "failureLimit": 4, "inconclusiveLimit": 4});
    let run = run(vec![metric("a", fields.clone()), metric("b", fields)]);
    let recorded = [("a", "SFEISEFSSSSS"), ("b", "EESSSFFSSSSS")];
    assert_eq!(play(&run, script(), &recorded), play(&run, script(), &recorded));
}

/// A comparison over windows, as a provider would feed it: it ends as soon as the difference shows.
#[test]
fn a_comparison_gathers_evidence_over_the_run() {
    let baseline =
        json!({"provider": {"web": {}}, "kind": "Proportion", "worse": "Higher", "minSamples": 200});
    let run = run(vec![metric("errors", json!({"interval": "1m", "count": 20, "baseline": baseline}))]);
    let played = simulate(&run, script(), |metric, now, status| {
        let spec = metric.spec.baseline.as_ref()?;
        let (since, until) = next_window(status, "errors", ComparisonKind::Proportion, now);
        let seconds = until.duration_since(since).as_secs_f64();
        let window =
            |share: f64| Window::Proportion { events: (seconds * share).floor(), total: seconds.floor() };
        let evidence = Evidence::of(status.metric("errors"), ComparisonKind::Proportion, since);
        let evidence = evidence.with(&window(0.1), &window(0.01), until).unwrap();
        let compared = compare(spec, &evidence);
        Some(Played {
            phase: compared.phase,
            message: compared.message,
            metadata: compared.metadata,
            facts: evidence.fact(),
            ..Played::default()
        })
    });
    assert_eq!((played.ending, played.status.phase), (Ending::Completed, Phase::Failed));
    let seconds = played.status.completed_at.unwrap().duration_since(start()).as_secs();
    assert!((180..900).contains(&seconds), "found after {seconds} s");
    let evidence = Evidence::of(played.status.metric("errors"), ComparisonKind::Proportion, start());
    assert_eq!(evidence.until.duration_since(start()).as_secs(), seconds, "windows follow each other");
    assert!((evidence.samples().0 - seconds as f64).abs() <= 20.0, "and are counted once");
}
