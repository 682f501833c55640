//! A controller that dies: everything needed lies in status (`spec/analysis.md` 2.9, 9-4).

use proptest::prelude::*;

use super::*;

/// What the n-th entered measurement of each metric comes to.
type Outcomes = Vec<Vec<char>>;

/// Plays to the end. `dies` is asked at every point where a controller waits: after a plan, after a
/// measurement was taken, after it was entered. Dying loses all but what is stored.
fn play(run: &Run, outcomes: &Outcomes, mut dies: impl FnMut() -> bool) -> (RunStatus, usize) {
    let stored = |status: &RunStatus| serde_json::to_value(status).expect("a status is JSON");
    let mut disk = stored(&RunStatus::default());
    let (mut now, mut taken) = (start(), 0);
    'life: for _ in 0..10_000 {
        let status: RunStatus = serde_json::from_value(disk.clone()).expect("what was stored is read");
        let next = plan(run, &status, now);
        if dies() {
            continue;
        }
        disk = stored(&next.status);
        if next.status.phase.is_terminal() {
            return (next.status, taken);
        }
        for name in &next.measure {
            let before: RunStatus = serde_json::from_value(disk.clone()).expect("what was stored is read");
            let place = run.metrics().iter().position(|metric| metric.spec.name == *name).unwrap();
            let counters = before.metric(name).map(|result| result.counters).unwrap_or_default();
            let letter = outcomes[place][(counters.count + counters.error) as usize % outcomes[place].len()];
            taken += 1;
            if dies() {
                continue 'life;
            }
            disk = stored(&record(run, &before, name, measured(phase(letter), now), &BTreeMap::new()));
            if dies() {
                continue 'life;
            }
        }
        if next.measure.is_empty() {
            now = next.wake_at.unwrap_or(now).max(now);
        }
    }
    panic!("no end: {disk}");
}

fn metric_fields() -> impl Strategy<Value = Value> {
    (1..6_i64, 0..3_i64, 0..3_i64, 0..3_i64, 0..3_i64, any::<bool>()).prop_map(
        |(count, failure, inconclusive, error, success, delayed)| {
            json!({
                "interval": "7s", "count": count, "failureLimit": failure, "inconclusiveLimit": inconclusive,
                "consecutiveErrorLimit": error, "consecutiveSuccessLimit": success,
                "initialDelay": if delayed { "20s" } else { "" },
            })
        },
    )
}

proptest! {
    #[test]
    fn deaths_at_any_point_change_nothing_but_repeat_at_most_one_measurement_each(
        fields in proptest::collection::vec(metric_fields(), 1..4),
        outcomes in proptest::collection::vec(
            proptest::collection::vec(proptest::sample::select(vec!['S', 'S', 'F', 'I', 'E']), 1..9), 3),
        deaths in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let names = ["a", "b", "c"];
        let metrics = fields.iter().zip(names).map(|(fields, name)| metric(name, fields.clone())).collect();
        let Ok(run) = Run::new(spec(metrics), |_, _| false) else { return Ok(()) };
        let (calm, taken) = play(&run, &outcomes, || false);
        let mut deaths = deaths.into_iter();
        let mut died = 0;
        let (stormy, repeated) = play(&run, &outcomes, || {
            let dies = deaths.next().is_some_and(|number| number % 3 == 0);
            died += usize::from(dies);
            dies
        });
        prop_assert!(repeated <= taken + died, "{} of {} with {} deaths", repeated, taken, died);
        // Where one metric ends the run, how far its siblings came is a matter of moments.
        if run.metrics().len() > 1 && calm.phase != Phase::Successful {
            prop_assert!(stormy.phase.is_unsuccessful());
            return Ok(());
        }
        prop_assert_eq!(stormy.phase, calm.phase);
        prop_assert_eq!(&stormy.message, &calm.message);
        prop_assert_eq!(stormy.run_summary, calm.run_summary);
        for result in &calm.metric_results {
            prop_assert_eq!(stormy.metric(&result.name).map(|own| own.counters), Some(result.counters));
        }
    }
}
