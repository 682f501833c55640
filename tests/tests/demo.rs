//! The first command of the README, as a newcomer runs it: an empty home and
//! nothing but the binary.

use std::process::Command;

use okra_tests::process::okra_binary;
use serde_json::Value;

fn demo(flags: &[&str]) -> Value {
    let home = tempfile::tempdir().expect("an empty home");
    let output = Command::new(okra_binary())
        .args(["demo", "--json"])
        .args(flags)
        .env_clear()
        .env("HOME", home.path())
        .output()
        .expect("okra runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{err}\n{out}");
    let left: Vec<_> = std::fs::read_dir(home.path()).expect("the home is there").collect();
    assert!(left.is_empty(), "the demo left something behind: {left:?}");
    serde_json::from_str(out.lines().last().expect("a last line"))
        .unwrap_or_else(|error| panic!("{error}: {out}"))
}

fn number(report: &Value, key: &str) -> f64 {
    report[key].as_f64().unwrap_or_else(|| panic!("{key} is no number in {report}"))
}

/// Both demos in one test: side by side they would take each other's time.
#[test]
fn the_demo_swaps_and_undoes_without_a_failed_request() {
    let report = demo(&[]);
    assert_eq!(report["outcome"], "Completed", "{report}");
    assert_eq!(report["failed"], 0, "{report}");
    assert_eq!(report["stable_version"], "2.0.0");
    assert_eq!(report["blocked_versions"], serde_json::json!([]));
    assert!(number(&report, "requests") >= 5_000.0, "{report}");
    assert!(number(&report, "requests_per_second") >= 200.0, "{report}");
    assert!(report["rollback_ms"].is_null());
    assert!(number(&report, "reaction_ms") > 0.0);
    let steps = report["steps"].as_array().expect("steps");
    let weights: Vec<i64> = steps.iter().filter_map(|step| step["weight"].as_i64()).collect();
    assert_eq!(weights, [10, 50, 100], "{report}");
    for step in steps {
        let difference = number(step, "share") - number(step, "weight");
        assert!(difference.abs() <= 5.0, "{step}");
    }
    let weights = report["weights"].as_object().expect("weights");
    assert_eq!(
        weights["web-1-v2"].as_i64().unwrap_or(0) + weights["web-2-v2"].as_i64().unwrap_or(0),
        100,
        "{report}"
    );

    let report = demo(&["--fail"]);
    assert_eq!(report["outcome"], "RolledBack", "{report}");
    assert_eq!(report["failed"], 0, "{report}");
    assert_eq!(report["stable_version"], "1.0.0");
    assert_eq!(report["blocked_versions"], serde_json::json!(["2.0.0"]));
    assert!(number(&report, "backend_errors") > 0.0);
    assert!(number(&report, "rollback_ms") > 0.0);
    let weights = report["weights"].as_object().expect("weights");
    for (name, weight) in weights {
        let canary = name.ends_with("-v2");
        assert_eq!(weight == &serde_json::json!(0), canary, "{name} {weight}");
    }
}
