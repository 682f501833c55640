//! The language beyond the rows of the specification.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use jiff::Timestamp;
use okra_expr::{Program, Value};

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// The value of an expression on `{"a": {"b": [1, 2, 3]}, "s": "häns", "n": null}`, as text.
fn value(expression: &str) -> String {
    let json = serde_json::json!({"a": {"b": [1, 2, 3]}, "s": "häns", "n": null});
    match Program::compile(expression) {
        Err(error) => format!("error: {error}"),
        Ok(program) => match program.value(&Value::from(&json), now()) {
            Ok(value) => value.to_string(),
            Err(error) => format!("error: {error}"),
        },
    }
}

/// Compares each expression with its value and tells all that differ.
fn check(rows: &[(&str, &str)]) {
    let differ = rows.iter().filter_map(|(expression, expected)| {
        let got = value(expression);
        let fits = match expected.strip_prefix("error: ") {
            Some(part) => got.starts_with("error: ") && got.contains(part),
            None => got == *expected,
        };
        (!fits).then(|| format!("{expression}: want {expected}, got {got}"))
    });
    let differ: Vec<String> = differ.collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn precedence_and_associativity() {
    check(&[
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("10 - 2 - 3", "5"),
        ("2 ** 3 ** 2", "512"),
        ("2 ^ 3", "8"),
        ("-2 ** 2", "-4"),
        ("7 % 4 + 1", "4"),
        ("-7 % 4", "-3"),
        ("1 < 2 == true", "true"),
        ("false or true and false", "false"),
        ("(false || true) && false", "false"),
        ("not true or true", "true"),
        ("!(1 > 2)", "true"),
        ("1 < 2 < 3", "true"),
        ("3 > 2 > 2", "false"),
        ("1 in [1] and 2 not in [1]", "true"),
        ("1..3 == [1, 2, 3]", "true"),
        ("3..1", "[]"),
        ("1 + 1..3", "[2,3]"),
        ("true ? false ? 1 : 2 : 3", "2"),
        ("false ? 1 : true ? 2 : 3", "2"),
        ("false ?: 5", "5"),
        ("true ?: 5", "true"),
        ("nil ?? nil ?? 3", "3"),
        ("1 > (nil ?? 0)", "true"),
        ("1 > nil ?? 0", "true"),
        ("if 1 > 2 { 3 } else if 2 > 1 { 4 } else { 5 }", "4"),
        ("let x = 2; let y = x * 3; x + y", "8"),
        ("(let x = 2; x) + 1", "3"),
        ("[1, 2, 3] | map(# * 2) | sum()", "12"),
        ("1 > 0 | string()", "\"true\""),
        ("\"a\" | upper() | repeat(2)", "\"AA\""),
        ("1 not in 1..3", "false"),
    ]);
}

#[test]
fn literals() {
    check(&[
        ("0x1F + 0o17 + 0b11 + 1_000", "1049"),
        (".5 + 1e3 + 1.5E-1", "1000.65"),
        ("1.5e+2", "150"),
        (
            r#""\u00e9\u{1F600}\x41\n\"" == 'é😀A
"'"#,
            "error: literal not terminated",
        ),
        (r#""\u00e9\u{1F600}\x41\"""#, "\"é😀A\\\"\""),
        (r#""\ud83d\ude00""#, "\"😀\""),
        (r#"'it\'s'"#, "\"it's\""),
        (r"`raw \n ``text```", r#""raw \\n `text`""#),
        (r#"b"a\xff"[1]"#, "255"),
        ("len(b'abc')", "3"),
        ("[1, 2,]", "[1,2]"),
        ("{a: 1, \"b-c\": 2, 3: 4, (\"d\" + \"e\"): 5,}", r#"{"3":4,"a":1,"b-c":2,"de":5}"#),
        ("// comment\n1 /* and */ + 2 // end", "3"),
        ("true ?.5:1", "0.5"),
        ("9223372036854775807 + 1", "-9223372036854775808"),
        ("9223372036854775808", "error: invalid or too large number literal"),
        ("1e999", "error: invalid or too large number literal"),
        ("\"open", "error: literal not terminated"),
        ("`open", "error: literal not terminated"),
        (r#""\q""#, "error: unknown escape"),
        (r#""\ud800""#, "error: which is no character"),
        ("b\"é\"", "error: which is no byte"),
        ("1x", "error: bad number syntax"),
        ("/* open", "error: unclosed comment"),
        ("1 @ 2", "error: unrecognized character"),
    ]);
}

#[test]
fn access() {
    check(&[
        ("result.a.b[0]", "1"),
        ("result['a']['b'][-1]", "3"),
        ("result.a?.b?.[1]", "2"),
        ("result.n?.x.y.z", "null"),
        ("result.n?.[0][1]", "null"),
        ("(result.n?.x).y", "error: cannot fetch y from nil"),
        ("result.n[0]", "error: cannot fetch 0 from nil"),
        ("result.a.b[1:]", "[2,3]"),
        ("result.a.b[:-1]", "[1,2]"),
        ("result.a.b[:]", "[1,2,3]"),
        ("result.a.b[-99:99]", "[1,2,3]"),
        ("result.a.b[2:1]", "[]"),
        ("result.a.b[result.a.b[0]]", "2"),
        ("result.a.b[1.0]", "error: array index must be an integer"),
        ("result.a.b['x']", "error: cannot fetch x from array"),
        ("result.a.b.c", "error: cannot fetch c from array"),
        ("len(result.s)", "4"),
        ("result.s[0]", "104"),
        ("result.s[:1]", "\"h\""),
        ("result.s[3:]", "\"ns\""),
        ("result.not", "null"),
        ("{a: 1}.a", "1"),
        ("[1, 2][1]", "2"),
        ("result.x.y", "error: cannot fetch y from nil"),
    ]);
}

#[test]
fn predicates_and_arrays() {
    check(&[
        ("all([], false)", "true"),
        ("none([], true)", "true"),
        ("any([], true)", "false"),
        ("one([1, 2], # > 1)", "true"),
        ("count([true, false, true])", "2"),
        ("filter(1..5, # % 2 == 0)", "[2,4]"),
        ("map([5, 6], {#index * #})", "[0,6]"),
        ("find([1, 2, 3], # > 1)", "2"),
        ("findIndex([1, 2, 3], # > 1)", "1"),
        ("findLast([1, 2, 3], # < 3)", "2"),
        ("findLastIndex([1, 2, 3], # > 9)", "null"),
        ("sum([1, 2], # * 10)", "30"),
        ("sum([])", "0"),
        ("sum([0.5, 1])", "1.5"),
        ("reduce([1, 2, 3], #acc * # + #index, 1)", "11"),
        ("reduce([], #acc)", "error: an empty array needs an initial value"),
        ("groupBy(1..4, # % 2)[1]", "[1,3]"),
        ("groupBy([\"a\", \"bb\"], len(#))", r#"{"1":["a"],"2":["bb"]}"#),
        ("sortBy([{v: 2}, {v: 1}], .v)[0].v", "1"),
        ("sortBy([1, 3, 2], #, \"desc\")", "[3,2,1]"),
        ("map([[1], [2]], map(#, # + 1))", "[[2],[3]]"),
        ("let m = 2; filter([1, 2, 3], # > m)", "[3]"),
        ("map([1], let x = # + 1; x * x)", "[4]"),
        ("first([]) == nil and last([1, 2]) == 2", "true"),
        ("take([1, 2, 3], 2)", "[1,2]"),
        ("reverse(1..3)", "[3,2,1]"),
        ("uniq([1, 1.0, 2, \"a\", \"a\", [1], [1], nil, nil])", "[1,2,\"a\",[1],null]"),
        ("concat([1], [2], [3])", "[1,2,3]"),
        ("flatten([1, [2, [3, [4]]]])", "[1,2,3,4]"),
        ("sort([3, 1.5, 2], \"desc\")", "[3,2,1.5]"),
        ("sort([\"b\", \"a\"])", "[\"a\",\"b\"]"),
        ("sort([1, \"a\"])", "error: cannot order"),
        ("all([1], 1)", "error: all needs bool, but got int"),
        ("map(1, #)", "error: expected an array, but got int"),
        ("#", "error: cannot use pointer accessor outside predicate"),
        (".x", "error: cannot use pointer accessor outside predicate"),
        ("map([1], #acc)", "error: unknown pointer #acc"),
        ("keys({b: 1, a: 2})", r#"["a","b"]"#),
        ("values({b: 1, a: 2})", "[2,1]"),
        ("toPairs({a: 1})", r#"[["a",1]]"#),
        ("fromPairs([[\"a\", 1], [\"b\", 2]]).b", "2"),
        ("fromPairs([[1]])", "error: expected pairs"),
        ("get({a: 1}, \"b\") == nil and get([1], 5) == nil and get(nil, 1) == nil", "true"),
    ]);
}

#[test]
fn numbers() {
    check(&[
        ("1 / 0", "+Inf"),
        ("-1 / 0", "-Inf"),
        ("0 / 0", "NaN"),
        ("0 / 0 == 0 / 0", "false"),
        ("0 / 0 != 0 / 0", "true"),
        ("5 % 0", "error: integer divide by zero"),
        ("5.0 % 2", "error: invalid operation: %"),
        ("1 == 1.0", "true"),
        ("abs(-5) + abs(-0.5)", "5.5"),
        ("[ceil(1.2), floor(1.8), round(2.5), round(-2.5)]", "[2,1,3,-3]"),
        ("max(1, [5, [9]], 3)", "9"),
        ("min([]) == nil", "true"),
        ("mean([1, 2, [6]])", "3"),
        ("mean([])", "0"),
        ("median([1, 2, 3, 4])", "2.5"),
        ("median([])", "0"),
        ("int(\"5\") + int(2.9) + int(-2.9)", "5"),
        ("int(\"x\")", "error: cannot parse"),
        ("float(\"1.5\")", "1.5"),
        ("isNaN(float(\"NaN\")) && isInf(float(\"-Inf\"))", "true"),
        ("float(\"1e999\")", "error: cannot parse"),
        ("bitand(6, 3) + bitor(4, 1) + bitxor(7, 2)", "12"),
        ("bitnand(7, 5) + bitnot(0)", "1"),
        ("bitshl(1, 4) + bitshr(-8, 1) + bitushr(8, 2)", "14"),
        ("bitshl(1, 64)", "0"),
        ("bitshr(-1, 99)", "-1"),
        ("bitushr(-1, 63)", "1"),
        ("bitshl(1, -1)", "error: negative shift count"),
        ("bitand(1.0, 1)", "error: expected an int, but got float64"),
        ("1e21 * 10", "10000000000000000000000"),
        ("+5 - -5", "10"),
        ("-\"a\"", "error: - needs a number, but got string"),
    ]);
}

#[test]
fn strings() {
    check(&[
        ("\"a\" + \"b\"", "\"ab\""),
        ("\"a\" + 1", "error: mismatched types string and int"),
        ("\"B\" < \"a\"", "true"),
        ("\"abc\" contains \"b\" and \"abc\" not contains \"x\"", "true"),
        ("\"abc\" startsWith \"a\" and \"abc\" not startsWith \"b\"", "true"),
        ("\"abc\" endsWith \"c\" and \"abc\" not endsWith \"b\"", "true"),
        ("\"abc\" matches \"^a.c$\" and \"abc\" not matches \"x\"", "true"),
        ("\"abc\" matches (\"^\" + \"a\")", "true"),
        ("nil contains \"a\" or nil matches \"a\" or \"a\" startsWith nil", "false"),
        ("1 contains \"a\"", "error: mismatched types int and string"),
        ("\"a\" matches \"[\"", "error: invalid pattern \"[\""),
        ("\"a\" matches (\"[\" + \"\")", "error: invalid pattern \"[\""),
        ("\"a\" matches \"(?=a)\"", "error: invalid pattern"),
        ("trim(\"  a \") + trim(\"xax\", \"x\")", "\"aa\""),
        ("trimPrefix(\"abc\", \"a\") + trimSuffix(\"abc\", \"c\")", "\"bcab\""),
        ("upper(\"ä\") + lower(\"Ä\")", "\"Ää\""),
        ("split(\"a,b,c\", \",\")", r#"["a","b","c"]"#),
        ("split(\"a,b,c\", \",\", 2)", r#"["a","b,c"]"#),
        ("split(\"a,b\", \",\", 0)", "[]"),
        ("split(\"äb\", \"\")", r#"["ä","b"]"#),
        ("split(\"\", \",\")", r#"[""]"#),
        ("split(\"\", \"\")", "[]"),
        ("splitAfter(\"a,b\", \",\")", r#"["a,","b"]"#),
        ("replace(\"aaa\", \"a\", \"b\") + replace(\"aaa\", \"a\", \"b\", 1)", "\"bbbbaa\""),
        ("repeat(\"ab\", 2)", "\"abab\""),
        ("repeat(\"ab\", -1)", "error: expected a count of at least 0"),
        ("join([\"a\", \"b\"], \"-\") + join([\"c\", \"d\"])", "\"a-bcd\""),
        ("join([1])", "error: expected a string, but got int"),
        ("[indexOf(\"abcb\", \"b\"), lastIndexOf(\"abcb\", \"b\"), indexOf(\"a\", \"x\")]", "[1,3,-1]"),
        ("hasPrefix(\"ab\", \"a\") && hasSuffix(\"ab\", \"b\")", "true"),
        (
            "string(1) + string(1.5) + string(nil) + string([1, \"a\"]) + string({a: 1})",
            "\"11.5<nil>[1 a]map[a:1]\"",
        ),
        ("string(1e21) + string(0.00001)", "\"1e+211e-05\""),
        ("toJSON({a: [1.0, \"x\"], b: {}})", r#""{\n  \"a\": [\n    1,\n    \"x\"\n  ],\n  \"b\": {}\n}""#),
        ("toJSON(0 / 0)", "error: JSON has no NaN"),
        ("fromJSON('{\"a\": [1]}').a[0]", "1"),
        ("fromJSON('{')", "error: fromJSON"),
        ("toBase64(\"hello\") + fromBase64(\"aGVsbG8=\")", "\"aGVsbG8=hello\""),
        ("toBase64(\"\") + toBase64(\"ab\")", "\"YWI=\""),
        ("fromBase64(\"a\")", "error: not base64"),
        ("fromBase64(\"a===\")", "error: not base64"),
        ("fromBase64(\"????\")", "error: not base64"),
        ("\"a\" in \"abc\"", "error: in (mismatched types string and string)"),
        ("\"a\" in nil", "false"),
    ]);
}

#[test]
fn types_are_compared_as_the_language_does() {
    check(&[
        (
            "[type(nil), type(1), type(1.5), type(\"\"), type([]), type({}), type(true)]",
            r#"["nil","int","float","string","array","map","bool"]"#,
        ),
        ("type(now()) + type(duration(\"1s\"))", "\"time.Timetime.Duration\""),
        ("1 == \"1\"", "error: mismatched types int and string"),
        ("\"a\" != true", "error: mismatched types string and bool"),
        ("len(result.s) == \"4\"", "error: mismatched types int and string"),
        ("result.s == 1", "false"),
        ("result.a.b == [1, 2, 3]", "true"),
        ("result == nil", "false"),
        ("{a: [1]} == {a: [1.0]}", "true"),
        ("[1] == [1, 2]", "false"),
        ("let x = \"a\"; x == 1", "error: mismatched types string and int"),
        ("[1] < [2]", "error: mismatched types array and array"),
        ("nil < 1", "error: mismatched types nil and int"),
        ("true < false", "error: mismatched types bool and bool"),
        ("nil && true", "error: && needs bool, but got nil"),
        ("1 ? 2 : 3", "error: ?: needs bool, but got int"),
        ("false && nil.x", "false"),
        ("isNaN(nil)", "error: expected a number, but got nil"),
        ("asInt(nil)", "error: expected a number or a string, but got nil"),
        ("asInt(true)", "error: expected a number or a string, but got bool"),
    ]);
}

#[test]
fn time() {
    check(&[
        ("now()", "2026-11-21T12:00:00Z"),
        ("now() - duration(\"90m\")", "2026-11-21T10:30:00Z"),
        ("duration(\"1h\") + now() > now()", "true"),
        ("date(\"2024-01-02\") - date(\"2024-01-01\") == duration(\"24h\")", "true"),
        ("date(\"2024-01-02 03:04:05\").Hour()", "3"),
        ("date(\"2024-01-02T03:04:05.5+02:00\")", "2024-01-02T03:04:05.5+02:00"),
        ("date(\"2024-01-02T03:04:05Z\") == date(\"2024-01-02T05:04:05+02:00\")", "true"),
        ("date(\"Mon, 02 Jan 2006 15:04:05 UTC\").Unix()", "1136214245"),
        ("date(\"02/01/24 3PM\", \"02/01/06 3PM\")", "2024-01-02T15:00:00Z"),
        ("date(\"2024-07-01 12:00\", \"2006-01-02 15:04\", \"Europe/Berlin\")", "2024-07-01T12:00:00+02:00"),
        ("date(timezone(\"America/New_York\"), \"2024-01-02\")", "2024-01-02T00:00:00-05:00"),
        ("now(timezone(\"Asia/Tokyo\")).Hour()", "21"),
        ("date(\"2024-01-31\").YearDay() + date(\"2024-01-02\").Weekday()", "33"),
        ("duration(\"1h30m\").Minutes()", "90"),
        ("string(duration(\"1h30m5.5s\")) + string(duration(\"1500us\"))", "\"1h30m5.5s1.5ms\""),
        ("2 * duration(\"1s\") == duration(\"2s\")", "true"),
        ("date(\"nonsense\")", "error: invalid date nonsense"),
        ("date(\"2024-02-30\")", "error: invalid date"),
        ("date(\"2024-01-02x\", \"2006-01-02\")", "error: extra text"),
        ("duration(\"5\")", "error: missing unit in duration \"5\""),
        ("duration(\"5x\")", "error: unknown unit \"x\""),
        ("timezone(\"Moon/Base\")", "error: unknown time zone Moon/Base"),
        ("timezone(\"Local\")", "error: unknown time zone Local"),
        ("now() + 1", "error: mismatched types time.Time and int"),
        ("now().Hours()", "error: cannot fetch Hours from time.Time"),
        ("date(\"9999-12-30\") + duration(\"2000000h\")", "error: a time within"),
    ]);
}

/// Whoever takes an object for a list must learn it, not read a missing member.
#[test]
fn an_index_is_no_key_of_an_object() {
    check(&[
        ("result.a[0]", "error: cannot fetch 0 from map"),
        ("(result[0] ?? 0) < 1", "error: cannot fetch 0 from map"),
        ("0 in result.a", "error: mismatched types int and map"),
        ("0 not in result", "error: mismatched types int and map"),
        ("\"b\" in result.a and \"x\" not in result.a", "true"),
        ("nil in result", "false"),
        ("groupBy([1, 2], #)[2]", "[2]"),
        ("groupBy([1, 2], #)[3]", "null"),
    ]);
}

/// Upstream both look at the whole result, whatever they are given (`spec/analysis.md` 7.4).
#[test]
fn defect_09_is_nil_and_default_look_at_their_argument() {
    check(&[
        ("isNil(result.missing)", "true"),
        ("isNil(result.a)", "false"),
        ("isNil(nil)", "true"),
        ("default(result.missing, 3)", "3"),
        ("default(result.s, 3)", "\"häns\""),
        ("default(nil, nil)", "null"),
    ]);
}

#[test]
fn faults_are_found_without_data() {
    check(&[
        ("", "error: unexpected token end of expression"),
        ("1 +", "error: unexpected token end of expression"),
        ("(1", "error: unexpected token end of expression"),
        ("1)", "error: unexpected token \")\""),
        ("1 2", "error: unexpected token \"2\""),
        ("true || missing", "error: unknown name missing"),
        ("true || missing()", "error: unknown name missing"),
        ("true || result.Method()", "error: unknown method Method"),
        ("true || len()", "error: invalid number of arguments for len (expected 1, got 0)"),
        ("true || len(1, 2)", "error: invalid number of arguments for len (expected 1, got 2)"),
        ("true || replace(\"\")", "error: invalid number of arguments for replace (expected 3 to 4, got 1)"),
        ("true || max()", "error: invalid number of arguments for max (expected at least 1, got 0)"),
        ("true || all()", "error: invalid number of arguments for all (expected 2, got 0)"),
        ("true || all([])", "error: invalid number of arguments for all (expected 2, got 1)"),
        ("true || \"a\" matches \"(\"", "error: invalid pattern"),
        ("len", "error: unknown name len"),
        ("let len = 1; len", "error: cannot redeclare len"),
        ("let result = 1; 1", "error: cannot redeclare result"),
        ("let x = 1; let x = 2; x", "error: cannot redeclare x"),
        ("let x = x; 1", "error: unknown name x"),
        ("(let x = 1; x) + x", "error: unknown name x"),
        ("1 ?? 2 + 3", "error: cannot be mixed"),
        ("a not b", "error: unknown name a"),
        ("1 not 2", "error: unexpected token \"not\""),
        ("1 not == 2", "error: unexpected token \"not\""),
        ("if true { 1 }", "error: unexpected token end of expression"),
        ("[1,,2]", "error: unexpected token \",\""),
        ("{1 + 1: 2}", "error: unexpected token \"+\""),
        ("1 |", "error: unexpected token end of expression"),
        ("1 | 2", "error: unexpected token \"2\""),
    ]);
}

#[test]
fn the_place_of_a_fault_is_told() {
    assert_eq!(Program::compile("result > 1 && oops").unwrap_err().offset(), 14);
}

#[test]
fn a_time_expression_has_no_result() {
    assert_eq!(Program::compile_time("result").unwrap_err().to_string(), "unknown name result");
}

#[test]
fn the_limb_that_decided_is_found() {
    let rows = [
        ("result > 1 && result < 5", Some("result < 5")),
        ("result > 9 && result < 5 && true", Some("result > 9")),
        ("result > 1 and (result < 5 or result > 99) and true", Some("(result < 5 or result > 99)")),
        ("result > 99 || result > 1 || true", Some("result > 1")),
        ("0 < result < 5 && true", Some("0 < result < 5")),
        ("result > 1 && result < 99", None),
        ("result > 99 || result > 98", None),
        ("result > 1 && result < 5 || false", None),
        ("result < 5", None),
        ("!(result > 1 && result < 5)", None),
        ("result > 1 ? true && false : false", None),
    ];
    for (condition, expected) in rows {
        let program = Program::compile(condition).unwrap();
        assert_eq!(program.deciding_limb(&Value::Float(7.0), now()), expected, "{condition}");
    }
}

#[test]
fn a_pattern_that_is_none_matches_nothing() {
    assert!(okra_expr::pattern_matches("err.*rate", "my-error-rate"));
    assert!(!okra_expr::pattern_matches("*", "x"));
}
