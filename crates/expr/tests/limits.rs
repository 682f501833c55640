//! Whatever is written and measured: no panic, and no more than the limits.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use jiff::Timestamp;
use okra_expr::{CompileErrorKind, EvalError, Program, Value, limits};
use proptest::prelude::*;

fn evaluate(expression: &str, result: &Value) -> Result<Value, EvalError> {
    Program::compile(expression).unwrap().value(result, Timestamp::UNIX_EPOCH)
}

fn limit_of(outcome: Result<Value, EvalError>) -> &'static str {
    match outcome {
        Err(EvalError::Limit { what, .. }) => what,
        other => panic!("no limit is reached: {:?}", other.map(|value| value.type_name())),
    }
}

fn refused(source: &str) -> &'static str {
    match Program::compile(source).map(|_| ()).map_err(|error| error.kind().clone()) {
        Err(CompileErrorKind::Limit { what, .. }) => what,
        other => panic!("no limit is reached: {other:?}"),
    }
}

#[test]
fn sources_have_a_size_and_a_depth() {
    assert_eq!(refused(&" ".repeat(limits::MAX_SOURCE_BYTES + 1)), "bytes");
    let nested = |open: &str, inner: &str, close: &str| {
        let depth = limits::MAX_SOURCE_BYTES / (open.len() + close.len()) - 2;
        format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
    };
    for source in [
        nested("(", "1", ")"),
        nested("[", "1", "]"),
        nested("-", "1", ""),
        nested("!", "true", ""),
        nested("len(", "1", ")"),
        nested("map([1],", "1", ")"),
        nested("1?", "1", ":1"),
        nested("1?1:", "1", ""),
        nested("1**", "1", ""),
        nested("result[", "1", "]"),
        nested("{a:", "1", "}"),
        nested("if true {", "1", "} else {1}"),
        nested("", "1", "|len()"),
        nested("let x", "", ""),
    ] {
        let outcome = Program::compile(&source);
        assert!(outcome.is_err(), "{}", &source[..40]);
    }
    let variables: String = (0..300).map(|place| format!("let v{place}=1;")).collect();
    assert_eq!(refused(&format!("{variables}1")), "levels of nesting");
}

#[test]
fn a_long_chain_is_no_deep_nesting() {
    let sum = format!("1{}", "+1".repeat(4_000));
    assert_eq!(evaluate(&sum, &Value::Nil).unwrap().to_string(), "4001");
    let path = format!("result{}", "?.a".repeat(2_000));
    assert_eq!(evaluate(&path, &Value::Nil).unwrap().to_string(), "null");
    let any = format!("false{}", "||false".repeat(1_000));
    assert_eq!(evaluate(&any, &Value::Nil).unwrap().to_string(), "false");
}

#[test]
fn produced_values_are_bounded() {
    for expression in [
        "1..1000001",
        "1..9223372036854775807",
        "-9223372036854775807..9223372036854775807",
        "map(1..600000, #) | map(#)",
        "reduce(1..25, concat(#acc, #acc), [1])",
        "flatten(map(1..2000, 1..2000))",
        "map(1..1000000, [#])",
    ] {
        assert_eq!(limit_of(evaluate(expression, &Value::Nil)), "elements", "{expression}");
    }
    for expression in [
        "repeat(\"x\", 100000000)",
        "repeat(repeat(\"x\", 100000), 100000)",
        "reduce(1..30, #acc + #acc, \"x\")",
        "replace(repeat(\"a\", 100000), \"a\", repeat(\"b\", 100000))",
        "join(map(1..1000, repeat(\"x\", 1)), repeat(\"y\", 100000))",
        "let s = repeat(\"x\", 1000000); toJSON(map(1..100, s))",
        "let s = repeat(\"x\", 1000000); string(map(1..100, s))",
    ] {
        assert_eq!(limit_of(evaluate(expression, &Value::Nil)), "bytes of text", "{expression}");
    }
}

#[test]
fn values_that_share_their_parts_cannot_explode() {
    assert_eq!(limit_of(evaluate("reduce(1..100, [#acc, #acc], [1])", &Value::Nil)), "elements in a value");
    let nested = limit_of(evaluate("reduce(1..1000, [#acc], [1])", &Value::Nil));
    assert_eq!(nested, "levels of nesting in a value");
}

#[test]
fn work_is_bounded() {
    let text = Value::from("x".repeat(1_000_000));
    for expression in [
        "let r = 1..3000; all(r, all(r, true))",
        "all(1..100000, not (result contains \"y\"))",
        "all(1..100, result not matches \"(x+x+)+y\")",
        "all(1..100000, \"a\" matches (\"a\" + string(#)) or true)",
        "let s = map(1..1000, result); all(1..1000, s == s)",
        "all(1..1000, len(result) > 0)",
        "sort(1..300000)",
    ] {
        assert_eq!(limit_of(evaluate(expression, &text)), "steps", "{expression}");
    }
}

#[test]
fn a_result_beyond_the_limits_is_refused() {
    let large = Value::array(vec![Value::Nil; limits::MAX_ELEMENTS + 1]);
    assert_eq!(limit_of(evaluate("true", &large)), "elements in a value");
    let deep = (0..=limits::MAX_DEPTH).fold(Value::Nil, |inner, _| Value::array(vec![inner]));
    assert_eq!(limit_of(evaluate("true", &deep)), "levels of nesting in a value");
}

#[test]
fn a_limit_is_no_missing_data() {
    let program = Program::compile("len(1..9999999) == 0").unwrap();
    let outcome = program.evaluate(&Value::Nil, Timestamp::UNIX_EPOCH);
    assert!(matches!(outcome, Err(EvalError::Limit { .. })));
}

#[test]
fn patterns_are_bounded() {
    for pattern in ["(a{1000}){1000}", "((((((a{10}){10}){10}){10}){10}){10})"] {
        let error = Program::compile(&format!("\"a\" matches \"{pattern}\"")).unwrap_err();
        assert!(matches!(error.kind(), CompileErrorKind::Pattern { .. }), "{error}");
    }
}

/// Pieces that expressions are made of, and some that they are not.
const PIECES: [&str; 76] = [
    "result",
    "1",
    "2.5",
    "\"a\"",
    "'b'",
    "`c`",
    "b\"d\"",
    "true",
    "false",
    "nil",
    "x",
    "#",
    "#index",
    "#acc",
    ".",
    "?.",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    ",",
    ":",
    ";",
    "?",
    "??",
    "|",
    "||",
    "&&",
    "!",
    "not",
    "in",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "..",
    "+",
    "-",
    "*",
    "/",
    "%",
    "**",
    "matches",
    "contains",
    "startsWith",
    "let x =",
    "if",
    "else",
    "len(",
    "map(",
    "filter(",
    "all(",
    "reduce(",
    "sum(",
    "max(",
    "sort(",
    "groupBy(",
    "date(",
    "duration(",
    "now()",
    "split(",
    "toJSON(",
    "fromJSON(",
    "int(",
    "string(",
    "1..9",
    "-",
    "0x",
    "//",
    "/*",
    "é",
    "\\",
];

/// Expressions that mostly parse.
fn expression() -> impl Strategy<Value = String> {
    let leaf = proptest::sample::select(vec![
        "result",
        "result.a",
        "result[0]",
        "1",
        "0",
        "-1",
        "2.5",
        "9223372036854775807",
        "\"a\"",
        "\"\"",
        "nil",
        "true",
        "[]",
        "[1, 2]",
        "{a: 1}",
        "1..3",
        "#",
        "now()",
        "duration(\"1h\")",
        "b\"x\"",
        "0/0",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(6, 64, 4, |inner| {
        let operator = proptest::sample::select(vec![
            "+",
            "-",
            "*",
            "/",
            "%",
            "**",
            "..",
            "==",
            "!=",
            "<",
            ">=",
            "in",
            "not in",
            "&&",
            "||",
            "??",
            "contains",
            "matches",
            "startsWith",
        ]);
        let function = proptest::sample::select(vec![
            "len",
            "asInt",
            "asFloat",
            "isNaN",
            "isNil",
            "int",
            "float",
            "string",
            "type",
            "toJSON",
            "fromJSON",
            "toBase64",
            "fromBase64",
            "first",
            "last",
            "reverse",
            "uniq",
            "flatten",
            "sort",
            "keys",
            "values",
            "toPairs",
            "fromPairs",
            "abs",
            "ceil",
            "round",
            "max",
            "min",
            "mean",
            "median",
            "bitnot",
            "trim",
            "upper",
            "sum",
            "count",
            "duration",
            "date",
            "timezone",
            "join",
        ]);
        let two = proptest::sample::select(vec![
            "get",
            "take",
            "split",
            "splitAfter",
            "repeat",
            "indexOf",
            "default",
            "bitshl",
            "bitshr",
            "bitand",
            "join",
            "trim",
            "concat",
            "date",
            "sort",
            "hasPrefix",
        ]);
        let predicate = proptest::sample::select(vec![
            "all",
            "any",
            "none",
            "one",
            "filter",
            "map",
            "count",
            "sum",
            "find",
            "findLastIndex",
            "groupBy",
            "sortBy",
            "reduce",
        ]);
        prop_oneof![
            (inner.clone(), operator, inner.clone())
                .prop_map(|(left, operator, right)| format!("(({left}) {operator} ({right}))")),
            (function, inner.clone()).prop_map(|(function, argument)| format!("{function}({argument})")),
            (two, inner.clone(), inner.clone())
                .prop_map(|(function, left, right)| format!("{function}({left}, {right})")),
            (predicate, inner.clone(), inner.clone())
                .prop_map(|(function, left, right)| format!("{function}({left}, {right})")),
            (inner.clone(), inner.clone()).prop_map(|(base, index)| format!("({base})[{index}]")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(base, from, to)| format!("({base})[({from}):({to})]")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("(({a}) ? ({b}) : ({c}))")),
            inner.clone().prop_map(|inner| format!("-({inner})")),
            inner.clone().prop_map(|inner| format!("({inner})?.a.b")),
            (inner.clone(), inner).prop_map(|(value, body)| format!("(let y = {value}; [y, {body}])")),
        ]
    })
}

fn result() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_map(Value::Float),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::array),
            proptest::collection::vec(("[a-c]", inner.clone()), 0..3).prop_map(Value::map),
            proptest::collection::vec(("[a-c]", inner), 0..3).prop_map(Value::record),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_compiled_or_refused(source in ".{0,80}") {
        let _ = Program::compile(&source);
    }

    #[test]
    fn any_pieces_are_evaluated_or_refused(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES.to_vec()), 0..24),
        result in result(),
    ) {
        if let Ok(program) = Program::compile(&pieces.join(" ")) {
            let _ = program.evaluate(&result, Timestamp::UNIX_EPOCH);
        }
    }

    #[test]
    fn any_expression_has_a_value_or_an_error_and_the_same_each_time(
        source in expression(),
        result in result(),
    ) {
        if let Ok(program) = Program::compile(&source) {
            let once = program.value(&result, Timestamp::UNIX_EPOCH);
            let again = program.value(&result, Timestamp::UNIX_EPOCH);
            let shown = |outcome: Result<Value, EvalError>| match outcome {
                Ok(value) => value.to_string(),
                Err(error) => error.to_string(),
            };
            prop_assert_eq!(shown(once), shown(again));
        }
    }

    #[test]
    fn any_range_and_slice_is_bounded(from in any::<i64>(), to in any::<i64>()) {
        let source = format!("len(({from})..({to}))");
        if let Ok(program) = Program::compile(&source) {
            let _ = program.value(&Value::Nil, Timestamp::UNIX_EPOCH);
        }
        let slice = format!("\"häns\"[({from}):({to})]");
        if let Ok(program) = Program::compile(&slice) {
            prop_assert!(program.value(&Value::Nil, Timestamp::UNIX_EPOCH).is_ok());
        }
    }
}
