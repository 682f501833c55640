//! What a condition costs: to read once, and to evaluate for each measurement.
//! A plain loop, printed as a line a condition; nothing is judged.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use okra_expr::{Program, Value};
use serde_json::json;

/// Time for each figure.
const MEASURED: Duration = Duration::from_millis(500);
/// Repetitions between two looks at the clock.
const AT_ONCE: u32 = 100;

fn main() {
    let points: Vec<f64> = (0..100).map(|point| f64::from(point) / 1_000.0).collect();
    let rows = [
        ("a threshold", "len(result) > 0 && result[0] < 0.05", json!([0.012])),
        ("a field", "result.data.ok && result.data.p99 <= 250", json!({"data": {"ok": true, "p99": 83.5}})),
        ("100 points", "all(result, {# < 0.5}) && sum(result) / len(result) < 0.2", json!(points)),
    ];
    for (name, condition, result) in rows {
        let result = Value::from(&result);
        let now = Timestamp::UNIX_EPOCH;
        let read = nanoseconds(|| drop(black_box(Program::compile(black_box(condition)).unwrap())));
        let program = Program::compile(condition).unwrap();
        assert_eq!(program.evaluate(&result, now), Ok(true), "{condition}");
        let evaluated = nanoseconds(|| drop(black_box(program.evaluate(black_box(&result), now))));
        println!("condition: {name}: {evaluated:.0} ns to evaluate, {read:.0} ns to read ({condition})");
    }
}

/// The mean time of one call.
fn nanoseconds(mut call: impl FnMut()) -> f64 {
    let (begun, mut calls) = (Instant::now(), 0_u32);
    while begun.elapsed() < MEASURED {
        (0..AT_ONCE).for_each(|_| call());
        calls += AT_ONCE;
    }
    begun.elapsed().as_nanos() as f64 / f64::from(calls)
}
