//! The twelve rows of `spec/analysis.md` 2.5, each with what the rows below it would say.

use super::super::assess::assess_metric;
use super::*;

/// One row: its number, the metric, what is known of it, and whether the run stops.
struct Row {
    number: u32,
    fields: Value,
    result: MetricResult,
    terminating: bool,
    expected: Phase,
}

fn row(number: u32, fields: Value, counters: Counters, terminating: bool, expected: Phase) -> Row {
    let measurements = vec![measured(Phase::Successful, start())];
    let result = MetricResult { counters, measurements, ..MetricResult::default() };
    Row { number, fields, result, terminating, expected }
}

fn rows() -> Vec<Row> {
    let none = Counters::default();
    let bad = Counters { count: 9, failed: 9, inconclusive: 9, consecutive_error: 9, ..none };
    let both = json!({"interval": "1m", "count": 3, "failureLimit": 1, "consecutiveSuccessLimit": 2});
    let streak = json!({"interval": "1m", "count": 3, "failureLimit": -1, "consecutiveSuccessLimit": 2});
    let counted = json!({"interval": "1m", "count": 3, "failureLimit": 1});
    let full = Counters { count: 3, successful: 2, failed: 1, consecutive_success: 1, ..none };
    let ended = |row: Row, phase| Row { result: MetricResult { phase, ..row.result }, ..row };
    let unmeasured = |row: Row| Row { result: MetricResult::default(), ..row };
    let under_way = |row: Row| {
        let running = Measurement { phase: Phase::Running, ..Measurement::default() };
        Row { result: MetricResult { measurements: vec![running], ..row.result }, ..row }
    };
    vec![
        ended(row(1, counted.clone(), bad, true, Phase::Successful), Phase::Successful),
        ended(row(1, counted.clone(), none, false, Phase::Failed), Phase::Failed),
        unmeasured(row(2, counted.clone(), bad, true, Phase::Successful)),
        unmeasured(row(2, counted.clone(), bad, false, Phase::Pending)),
        under_way(row(3, counted.clone(), bad, true, Phase::Running)),
        under_way(row(3, counted.clone(), bad, false, Phase::Running)),
        row(4, counted.clone(), bad, true, Phase::Error),
        row(5, counted.clone(), Counters { consecutive_error: 4, ..bad }, true, Phase::Inconclusive),
        row(6, both.clone(), Counters { failed: 2, consecutive_success: 2, ..full }, true, Phase::Failed),
        row(7, both.clone(), Counters { consecutive_success: 2, ..full }, true, Phase::Successful),
        row(8, both, full, true, Phase::Inconclusive),
        row(9, streak, full, true, Phase::Failed),
        row(10, counted.clone(), full, false, Phase::Successful),
        row(11, counted.clone(), Counters { count: 2, ..full }, true, Phase::Successful),
        row(12, counted, Counters { count: 2, ..full }, false, Phase::Running),
    ]
}

#[test]
fn the_first_row_that_fits_decides() {
    for Row { number, fields, result, terminating, expected } in rows() {
        let run = run(vec![metric("m", fields.clone())]);
        let assessed = assess_metric(&run.metrics()[0], &result, terminating);
        assert_eq!(assessed.phase, expected, "row {number}: {fields} {:?}", result.counters);
    }
}
