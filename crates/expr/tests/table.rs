//! The rows of `spec/analysis.md` 3.7.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use jiff::Timestamp;
use okra_expr::{Program, Value};

const MEMBERS: &str = r#"{"a": 1, "b": true, "c": [1, 2, 3, 4], "d": null}"#;
const CLOUDWATCH: &str = "cloudwatch";
const NO_DATA: &str = "error: metric result is nil or empty: no data returned from the metric provider";

/// Number, result, expression, outcome. An outcome `error: TEXT` wants TEXT in the message.
const ROWS: [(u32, &str, &str, &str); 92] = [
    (1, "true", "result == true", "true"),
    (2, "true", "result == false", "false"),
    (3, "true", "1", "error: expected bool, but got int"),
    (4, "true", "invalidVariable", "error: unknown name invalidVariable"),
    (5, "true", "result.Name() == 'hi'", "error: Name"),
    (6, "7.0", "result > 3", "true"),
    (7, "[4.0, 4.0]", "4 in result", "true"),
    (8, "[10.0, 11.0]", "10 in result", "true"),
    (9, "[10.0, 11.0]", "len(result) != 2", "false"),
    (10, r#"{"m": {"vals": [3, 4]}}"#, "all(result.m.vals, {# > 2})", "true"),
    (11, r#""12""#, "asInt(result) == 12", "true"),
    (12, "7.9", "asInt(result) == 7", "true"),
    (13, r#""1.1""#, "asInt(result) == 1.1", "error: cannot parse"),
    (14, r#""2.5""#, "asFloat(result) >= 2.5", "true"),
    (15, "int 3", "asFloat(result) == 3", "true"),
    (16, r#""abc""#, "asFloat(result) > 0", "error: cannot parse"),
    (17, r#""1.1""#, r#"asFloat(result) == "1.1""#, "error: mismatched types float64 and string"),
    (18, "NaN", "result >= 0.9", "false"),
    (19, "NaN", "result < 0.9", "false"),
    (20, "NaN", "result >= 0.9 || isNaN(result)", "true"),
    (21, "+Inf", "result >= 0.9", "true"),
    (22, "-Inf", "isInf(result)", "true"),
    (23, "null", "result < 0.05", NO_DATA),
    (24, "null", "default(result, 0) < 0.05", "true"),
    (25, "null", "default(result, 1) < 0.05", "false"),
    (26, "0.006", "default(result, 1) < 0.05", "true"),
    (27, "null", "isNil(result)", "true"),
    (28, "null", "result == nil", "true"),
    (29, "null", "(result ?? 0) < 0.05", "true"),
    (30, "null", "isNil(result) || result < 1", "true"),
    (31, "5.0", "isNil(result) || result < 10", "true"),
    (32, "null", "true", "true"),
    (33, "null", "len(result) == 0", NO_DATA),
    (34, "[]", "result[0] >= 0.95", NO_DATA),
    (35, "[]", "len(result) == 0 || result[0] >= 0.95", "true"),
    (36, "[]", "isNil(result)", "false"),
    (37, "[]", "all(result, # < 0.05)", "true"),
    (38, "[]", "any(result, # > 0.05)", "false"),
    (39, "[0.97]", "result[0] >= 0.95", "true"),
    (40, "[0.97]", "result >= 0.95", "error: mismatched types array and float64"),
    (41, "[0.01, 0.04]", "max(result) < 0.05", "true"),
    (42, "[0.01, 0.07]", "all(result, # < 0.05)", "false"),
    (43, "[0.01, 0.07]", "mean(result) < 0.05", "true"),
    (44, "[0.01, 0.07]", "count(result, # > 0.05) == 1", "true"),
    (45, "[1.0, 2.0, 3.0]", "sum(result) / len(result) == 2", "true"),
    (46, "[3.0, 1.0, 2.0]", "median(result) == 2", "true"),
    (47, "[3.0, 1.0, 2.0]", "sort(result)[0] == 1 and min(result) == 1", "true"),
    (48, "[1.0, 2.0]", "result[2] > 0", "error: index out of range: 2 (array length is 2)"),
    (49, "[1.0, 2.0]", "result[-1] == 2", "true"),
    (50, "[0.2, NaN]", "all(result, # < 0.5)", "false"),
    (51, "[1.0, 2.0, 3.0]", "let n = len(result); n == 3 && result[0] == 1", "true"),
    (52, "[1.0, 2.0, 3.0]", "(result | filter(# > 1) | len()) == 2", "true"),
    (53, "[1.0, 2.0, 3.0]", "reduce(result, #acc + #) == 6", "true"),
    (54, MEMBERS, "result.a > 0 && result.b && all(result.c, {# < 5}) && result.d == nil", "true"),
    (55, MEMBERS, "result.a > 1 && result.b", "false"),
    (56, MEMBERS, "result.missing == nil", "true"),
    (57, MEMBERS, "result.d.x == 1", "error: cannot fetch x from nil"),
    (58, MEMBERS, "result.d?.x == nil", "true"),
    (59, MEMBERS, "result.a % 2 == 1", "error: invalid operation: %"),
    (60, MEMBERS, "int(result.a) % 2 == 1", "true"),
    (61, MEMBERS, "any(result.c, {# > 3})", "true"),
    (62, MEMBERS, r#""a" in result and "z" not in result"#, "true"),
    (63, r#""true""#, "result == 'true'", "true"),
    (64, r#""ready""#, r#"result == "ready""#, "true"),
    (65, r#""""#, "result == ''", "true"),
    (66, r#""OK build 7""#, r#"result startsWith "OK" && result contains "7""#, "true"),
    (67, r#""err: timeout""#, r#"result matches "^err""#, "true"),
    (68, r#""err: timeout""#, r#"not (result contains "refused")"#, "true"),
    (69, r#""5""#, "result > 1", "error: mismatched types string and int"),
    (70, r#"{"a": "5"}"#, "result.a == 5", "false"),
    (71, r#"{"a": "5"}"#, "result.a > 1", "error: mismatched types string and int"),
    (72, r#"{"a": "5"}"#, "asInt(result.a) > 1", "true"),
    (73, r#"{"items": [{"v": "9900"}, {"v": "9950"}]}"#, "all(result.items, {asFloat(.v) >= 9900})", "true"),
    (74, r#"{"avg.dur": 0.2}"#, "result['avg.dur'] < 0.3", "true"),
    (75, r#"[{"n": "a", "v": 1}, {"n": "b", "v": 9}]"#, r#"any(result, {.n == "b" && .v > 5})"#, "true"),
    (76, CLOUDWATCH, "result[0].Values[0] <= 0.05", "true"),
    (77, CLOUDWATCH, "len(result[0].Values) >= 2 and all(result[0].Values, {# <= 0.05})", "true"),
    (78, CLOUDWATCH, "result[0].values[0] < 1", "error: no field values"),
    (79, "0.5", "0 < result < 1", "true"),
    (80, "0.5", "result in 0..1", "false"),
    (81, "5.0", "result / 2 == 2.5 and result ** 2 == 25", "true"),
    (82, "0.0", "5 / result > 1", "true"),
    (83, "5.0", "result > 1 ? result < 10 : false", "true"),
    (84, "5.0", "not result > 1", "error: not needs bool, but got float64"),
    (85, "true", "result && 1", "error: && needs bool, but got int"),
    (86, r#"{"x": null}"#, "result.x && true", "error: && needs bool, but got nil"),
    (87, r#"{"a": {"b": 5}}"#, "(result?.a?.b ?? 0) > 3", "true"),
    (88, r#"{"a": 1}"#, "result.a ?? 0 > 3", "error: cannot be mixed"),
    (89, r#""2024-01-02""#, "date(result) < now()", "true"),
    (92, "5.0", r#"result == "5""#, "error: mismatched types float64 and string"),
    (93, r#""a""#, r#"result in ["a", "b"]"#, "true"),
    (94, "0.42", "round(result * 100) == 42", "true"),
];

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn result(text: &str) -> Value {
    match text {
        "NaN" => Value::Float(f64::NAN),
        "+Inf" => Value::Float(f64::INFINITY),
        "-Inf" => Value::Float(f64::NEG_INFINITY),
        "int 3" => Value::Int(3),
        "[0.2, NaN]" => Value::array(vec![Value::Float(0.2), Value::Float(f64::NAN)]),
        CLOUDWATCH => Value::array(vec![Value::record([
            ("Id", "rate".into()),
            ("Label", "rate".into()),
            ("StatusCode", "Complete".into()),
            ("Values", Value::array(vec![Value::Float(0.01), Value::Float(0.003)])),
        ])]),
        json => Value::from(&serde_json::from_str::<serde_json::Value>(json).unwrap()),
    }
}

fn outcome(measured: &str, expression: &str) -> String {
    let program = match Program::compile(expression) {
        Ok(program) => program,
        Err(error) => return format!("error: {error}"),
    };
    match program.evaluate(&result(measured), now()) {
        Ok(value) => value.to_string(),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn every_row_has_its_outcome() {
    let mut wrong = Vec::new();
    for (number, measured, expression, expected) in ROWS {
        let got = outcome(measured, expression);
        let fits = match expected.strip_prefix("error: ") {
            Some(part) => got.starts_with("error: ") && got.contains(part),
            None => got == expected,
        };
        if !fits {
            wrong.push(format!("row {number}: {expression} on {measured}: want {expected}, got {got}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn row_90_subtracts_a_duration_from_a_time() {
    let source = r#"date("2024-03-01 00:30:00", "2006-01-02 15:04:05", "UTC") - duration("1h")"#;
    let time = Program::compile_time(source).unwrap().evaluate(now()).unwrap();
    assert_eq!(time.to_string(), "2024-02-29T23:30:00Z");
}

#[test]
fn row_91_a_text_is_no_time() {
    let error = Program::compile_time(r#""5m""#).unwrap().evaluate(now()).unwrap_err();
    assert_eq!(error.to_string(), "expected time.Time, but got string");
}

#[test]
fn the_cause_behind_missing_data_is_kept() {
    let error = Program::compile("result[0] > 1").unwrap().evaluate(&result("[]"), now()).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(cause.to_string(), "index out of range: 0 (array length is 0)");
}
