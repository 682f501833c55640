//! JSONPath as Kubernetes speaks it (`spec/analysis.md` 4.4): a template of texts and paths in
//! braces, `{$.items[?(@.name=="x")].value}`. It is no RFC 9535: names may be bare, `..` gathers,
//! filters compare one value with one.

mod evaluate;
mod parse;

use serde_json::Value;
use thiserror::Error;

/// A path that cannot be read, or leads nowhere in a document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct JsonPathError(String);

impl JsonPathError {
    fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// Bytes of a path. Long ones have a hundred.
const MAX_PATH_BYTES: usize = 4 * 1024;

/// Filters inside filters.
const MAX_FILTER_DEPTH: usize = 8;

/// Values looked at in one search. A body of the largest size holds about a million.
const MAX_VISITS: usize = 4_000_000;

/// A path that has been read.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPath {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Path(Path),
}

/// Steps from the root, or from the element of a filter.
#[derive(Debug, Clone, PartialEq)]
struct Path {
    from_root: bool,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    /// `.*` and `[*]`.
    Wildcard,
    /// `..`: the value and all below it.
    Recursive,
    Slice {
        from: Option<i64>,
        to: Option<i64>,
        step: i64,
    },
    Index(i64),
    /// `[0,2]`, `['a','b']`.
    Union(Vec<Step>),
    Filter(Filter),
}

#[derive(Debug, Clone, PartialEq)]
struct Filter {
    left: Operand,
    /// None asks whether the left side is there.
    comparison: Option<(Comparison, Operand)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Path(Path),
    Literal(Value),
}

impl JsonPath {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// If it is no path, or has no braces.
    pub fn parse(text: &str) -> Result<Self, JsonPathError> {
        parse::template(text)
    }

    /// The first value that the template leads to; `None` if it leads to an empty selection.
    ///
    /// # Errors
    ///
    /// If a field or an index is not there, or the search is too long.
    pub fn first(&self, document: &Value) -> Result<Option<Value>, JsonPathError> {
        evaluate::first(self, document)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        json!({
            "a": {"b": 5, "x.y": true, "n": null},
            "list": [{"n": "x", "v": 1}, {"n": "y", "v": 2.5}, {"v": 3}],
            "numbers": [10, 20, 30, 40],
            "deep": {"v": 9, "inner": [{"v": 8}]},
        })
    }

    fn first(path: &str) -> Result<Option<Value>, JsonPathError> {
        JsonPath::parse(path).unwrap().first(&document())
    }

    #[test]
    fn each_form_finds_its_value() {
        let rows = [
            ("{$.a.b}", json!(5)),
            ("{.a.b}", json!(5)),
            ("{ .a.b }", json!(5)),
            ("{a.b}", json!(5)),
            ("{.a['b']}", json!(5)),
            ("{.a['x.y']}", json!(true)),
            ("{.a[\"x.y\"]}", json!(true)),
            (r"{.a.x\.y}", json!(true)),
            ("{['a']['b']}", json!(5)),
            ("{$['a'].b}", json!(5)),
            ("{.a.n}", json!(null)),
            ("{.numbers[0]}", json!(10)),
            ("{.numbers[-1]}", json!(40)),
            ("{.numbers[1:3]}", json!(20)),
            ("{.numbers[-2:]}", json!(30)),
            ("{.numbers[:1]}", json!(10)),
            ("{.numbers[1::2]}", json!(20)),
            ("{.numbers[*]}", json!(10)),
            ("{.numbers[2,0]}", json!(30)),
            ("{.a['n','b']}", json!(null)),
            ("{.list[*].v}", json!(1)),
            ("{.list[1].v}", json!(2.5)),
            ("{..b}", json!(5)),
            ("{.deep..v}", json!(9)),
            ("{..inner[0].v}", json!(8)),
            ("{.list[?(@.n==\"y\")].v}", json!(2.5)),
            ("{.list[?(@.n=='y')].v}", json!(2.5)),
            ("{.list[?(@.v>1)].v}", json!(2.5)),
            ("{.list[?( @.v >= 3 )].v}", json!(3)),
            ("{.list[?(@.v<=1)].n}", json!("x")),
            ("{.list[?(@.n!=\"x\")].v}", json!(2.5)),
            ("{.list[?(@.v==$.deep.v)].v}", json!(null)),
            ("{.numbers[?(@>20)]}", json!(30)),
            ("{.numbers[?(@ == 20)]}", json!(20)),
            ("{.list[?(@.n)].v}", json!(1)),
            ("text {.a.b}", json!("text ")),
            ("{\"quoted\"}", json!("quoted")),
        ];
        for (path, expected) in rows {
            let found = first(path).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert_eq!(found.unwrap_or(Value::Null), expected, "{path}");
        }
        assert_eq!(first("{$}").unwrap(), Some(document()));
        assert_eq!(first("{@}").unwrap(), Some(document()));
        assert_eq!(first("{.list[?(@.n=='z')].v}").unwrap(), None);
        assert_eq!(first("{.numbers[3:1]}").unwrap(), None);
    }

    #[test]
    fn what_is_not_there_is_an_error_that_names_it() {
        for (path, part) in [
            ("{.missing}", "missing is not found"),
            ("{.a.b.c}", "c is not found"),
            ("{.numbers[4]}", "array index out of bounds: index 4, length 4"),
            ("{.numbers[-5]}", "array index out of bounds"),
            ("{.a[0]}", "is not array or slice"),
        ] {
            let message = first(path).unwrap_err().to_string();
            assert!(message.contains(part), "{path}: {message}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused_before_any_document() {
        let no_paths = [
            "",
            "$.a",
            "{",
            "{.a",
            "{.a[}",
            "{.a[1}",
            "{.a['b}",
            "{.a[x]}",
            "{.a[?(@.b]}",
            "{.a[?(@.b=)]}",
            "{.a[?@.b]}",
            "{.a[1:2:3:4]}",
            "{.a[1:2:0]}",
            "{.a[]}",
            "{.a}}",
            "{range .a[*]}",
            "{end}",
            "{.a|b}",
        ];
        for path in no_paths {
            assert!(JsonPath::parse(path).is_err(), "{path:?}");
        }
        let long = format!("{{{}}}", ".a".repeat(5_000));
        assert!(JsonPath::parse(&long).is_err());
        let nested = format!("{{.a{}{}}}", "[?(@.b".repeat(50), ")]".repeat(50));
        assert!(JsonPath::parse(&nested).is_err());
    }

    #[test]
    fn a_search_that_explodes_is_stopped() {
        let wide: Vec<Value> = (0..300).map(|_| json!([1, [2, [3]]])).collect();
        let path = JsonPath::parse("{..[*]..[*]..[*]..[*]..[*]..[*]..[*]..[*]..[*]}").unwrap();
        let deep = (0..60).fold(json!(wide), |inner, _| json!([inner, 1]));
        assert!(path.first(&deep).unwrap_err().to_string().contains("too long"));
    }
}
