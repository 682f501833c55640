//! How soon a failing version is left: from the last byte of the measurement
//! that fails to the weights read back at 100/0, as `okra demo --fail` measures
//! it on the embedded region. One line; nothing is judged.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::process::{Command, Stdio};

use serde_json::Value;

/// Swaps that fail.
const SWAPS: usize = 3;

fn main() {
    let mut took: Vec<f64> = (0..SWAPS).map(|_| rollback_ms()).collect();
    took.sort_by(f64::total_cmp);
    println!(
        "failing measurement to weights read back at 100/0: {:.1} ms (slowest of {SWAPS}: {:.1} ms)",
        took[SWAPS / 2],
        took[SWAPS - 1],
    );
}

fn rollback_ms() -> f64 {
    let output = Command::new(env!("CARGO_BIN_EXE_okra"))
        .args(["demo", "--fail", "--json"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .expect("okra runs");
    let out = String::from_utf8_lossy(&output.stdout);
    let report: Value =
        out.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
    report["rollback_ms"].as_f64().expect("the demo of a failing version measures its undoing")
}
