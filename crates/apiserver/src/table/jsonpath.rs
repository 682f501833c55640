//! The subset of Kubernetes JSONPath that CRDs may use (`spec/apiserver.md` 13.6): fields, quoted fields, list
//! positions, slices, `[*]`, `..` and filters such as `[?(@.type=="Ready")]`. It is not RFC 9535.

use serde_json::Value;

/// Longest path that is read; a path is evaluated for every row of a list.
const PATH_LIMIT: usize = 4_096;
/// Most values a path may visit on one object; `..` on a wide object could otherwise visit it once per row.
const VISIT_LIMIT: usize = 100_000;

/// A path that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonPathError(pub String);

/// A parsed path.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    Slice(Option<i64>, Option<i64>),
    All,
    Descend,
    Filter(Box<Filter>),
}

#[derive(Debug, Clone, PartialEq)]
struct Filter {
    left: Operand,
    /// Without a comparison the filter asks whether the left side exists.
    right: Option<(Comparison, Operand)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Path(JsonPath),
    Literal(Value),
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

impl JsonPath {
    /// Parses `.spec.a['b'][0]`, `[*]` and `[?(@.type=="Ready")]`, with or without braces.
    pub fn parse(text: &str) -> Result<Self, JsonPathError> {
        if text.len() > PATH_LIMIT {
            return Err(JsonPathError(format!(
                "path has {} bytes, at most {PATH_LIMIT} are allowed",
                text.len()
            )));
        }
        let inner = text.trim();
        let inner = inner.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(inner);
        let inner = inner.trim();
        let inner = inner.strip_prefix('$').unwrap_or(inner);
        let mut parser = Parser { text: inner, at: 0 };
        let steps = parser.steps(false)?;
        if parser.at < inner.len() {
            return Err(parser.fault("unexpected character"));
        }
        Ok(JsonPath { steps })
    }

    /// The first hit.
    pub fn first<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        if let Some(fields) = self.as_fields() {
            return fields.iter().try_fold(value, |value, field| value.get(field));
        }
        self.all(value).into_iter().next()
    }

    /// All hits in order.
    pub fn all<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        let mut budget = VISIT_LIMIT;
        let mut hits = vec![value];
        for step in &self.steps {
            let mut next = Vec::new();
            for hit in hits {
                step.visit(hit, &mut next, &mut budget);
            }
            hits = next;
        }
        hits
    }

    /// The path as plain fields (no index, no filter), as scale and selectable paths must be.
    pub fn as_fields(&self) -> Option<Vec<&str>> {
        self.steps
            .iter()
            .map(|step| match step {
                Step::Field(name) => Some(name.as_str()),
                _ => None,
            })
            .collect()
    }
}

impl Step {
    fn visit<'v>(&self, value: &'v Value, hits: &mut Vec<&'v Value>, budget: &mut usize) {
        if *budget == 0 {
            return;
        }
        *budget -= 1;
        match (self, value) {
            (Step::Field(name), Value::Object(fields)) => hits.extend(fields.get(name)),
            (Step::Index(index), Value::Array(items)) => {
                hits.extend(position(*index, items.len()).map(|at| &items[at]))
            }
            (Step::Slice(from, to), Value::Array(items)) => {
                let bound = |at: Option<i64>, absent: usize| match at {
                    None => absent,
                    Some(at) if at < 0 => (items.len() as i64 + at).max(0) as usize,
                    Some(at) => (at as usize).min(items.len()),
                };
                let (from, to) = (bound(*from, 0), bound(*to, items.len()));
                hits.extend(items.get(from..to.max(from)).into_iter().flatten());
            }
            (Step::All, Value::Array(items)) => hits.extend(items),
            (Step::All, Value::Object(fields)) => hits.extend(fields.values()),
            (Step::Descend, value) => descend(value, hits, budget),
            (Step::Filter(filter), Value::Array(items)) => {
                hits.extend(items.iter().filter(|item| filter.holds(item)));
            }
            (Step::Filter(filter), Value::Object(fields)) => {
                hits.extend(fields.values().filter(|value| filter.holds(value)));
            }
            _ => {}
        }
    }
}

fn descend<'v>(value: &'v Value, hits: &mut Vec<&'v Value>, budget: &mut usize) {
    if *budget == 0 {
        return;
    }
    *budget -= 1;
    hits.push(value);
    match value {
        Value::Array(items) => items.iter().for_each(|item| descend(item, hits, budget)),
        Value::Object(fields) => fields.values().for_each(|value| descend(value, hits, budget)),
        _ => {}
    }
}

fn position(index: i64, length: usize) -> Option<usize> {
    let length = length as i64;
    let index = if index < 0 { index.checked_add(length)? } else { index };
    (0..length).contains(&index).then_some(index as usize)
}

impl Filter {
    fn holds(&self, value: &Value) -> bool {
        let left = self.left.value(value);
        let Some((comparison, right)) = &self.right else { return left.is_some() };
        let (Some(left), Some(right)) = (left, right.value(value)) else { return false };
        let order = match (left, right) {
            (Value::Number(left), Value::Number(right)) => left.as_f64().partial_cmp(&right.as_f64()),
            (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
            (left, right) => (left == right).then_some(std::cmp::Ordering::Equal),
        };
        match comparison {
            Comparison::Equal => order.is_some_and(|order| order.is_eq()),
            Comparison::NotEqual => order.is_none_or(|order| order.is_ne()),
            Comparison::Less => order.is_some_and(|order| order.is_lt()),
            Comparison::LessOrEqual => order.is_some_and(|order| order.is_le()),
            Comparison::Greater => order.is_some_and(|order| order.is_gt()),
            Comparison::GreaterOrEqual => order.is_some_and(|order| order.is_ge()),
        }
    }
}

impl Operand {
    fn value<'v>(&'v self, value: &'v Value) -> Option<&'v Value> {
        match self {
            Operand::Path(path) => path.first(value),
            Operand::Literal(literal) => Some(literal),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn fault(&self, what: &str) -> JsonPathError {
        JsonPathError(format!("{what} at {:?} in {:?}", self.rest(), self.text))
    }

    /// Steps up to the end, or (`inside` a filter) up to something that is no step.
    fn steps(&mut self, inside: bool) -> Result<Vec<Step>, JsonPathError> {
        let mut steps = Vec::new();
        loop {
            if self.skip("..") {
                steps.push(Step::Descend);
                if self.peek() != Some('[') {
                    steps.push(self.name(inside)?);
                }
            } else if self.skip(".") {
                // A lone dot is the whole value.
                if self.peek().is_some() || !steps.is_empty() {
                    steps.push(self.name(inside)?);
                }
            } else if self.peek() == Some('[') {
                self.at += 1;
                let step = self.bracket()?;
                steps.push(step);
            } else if steps.is_empty() && !inside && self.peek().is_some() {
                steps.push(self.name(inside)?);
            } else {
                return Ok(steps);
            }
        }
    }

    fn name(&mut self, inside: bool) -> Result<Step, JsonPathError> {
        if self.skip("*") {
            return Ok(Step::All);
        }
        let stops: &[char] = if inside {
            &['.', '[', ']', ')', '=', '!', '<', '>', ' ', '&', '|']
        } else {
            &['.', '[', ']', '{', '}', ' ']
        };
        let mut name = String::new();
        while let Some(c) = self.peek().filter(|c| !stops.contains(c)) {
            self.at += c.len_utf8();
            match c {
                '\\' => {
                    let escaped = self.peek().ok_or_else(|| self.fault("unfinished escape"))?;
                    self.at += escaped.len_utf8();
                    name.push(escaped);
                }
                c => name.push(c),
            }
        }
        if name.is_empty() {
            return Err(self.fault("a field name is missing"));
        }
        Ok(Step::Field(name))
    }

    /// What follows an opening bracket, the closing one included.
    fn bracket(&mut self) -> Result<Step, JsonPathError> {
        self.skip_space();
        let step = if self.skip("?(") {
            let filter = self.filter()?;
            self.skip_space();
            if !self.skip(")") {
                return Err(self.fault("unterminated filter"));
            }
            Step::Filter(Box::new(filter))
        } else if self.skip("*") {
            Step::All
        } else if matches!(self.peek(), Some('\'' | '"')) {
            Step::Field(self.quoted()?)
        } else {
            self.index_or_slice()?
        };
        self.skip_space();
        if self.skip("]") { Ok(step) } else { Err(self.fault("unterminated array")) }
    }

    fn integer(&mut self) -> Result<Option<i64>, JsonPathError> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(rest.len());
        if end == 0 {
            return Ok(None);
        }
        let number = rest[..end].parse().map_err(|_| self.fault("invalid array index"))?;
        self.at += end;
        Ok(Some(number))
    }

    fn index_or_slice(&mut self) -> Result<Step, JsonPathError> {
        let from = self.integer()?;
        self.skip_space();
        if self.skip(":") {
            self.skip_space();
            return Ok(Step::Slice(from, self.integer()?));
        }
        from.map(Step::Index).ok_or_else(|| self.fault("invalid array index"))
    }

    fn quoted(&mut self) -> Result<String, JsonPathError> {
        let quote = self.peek().ok_or_else(|| self.fault("unterminated text"))?;
        self.at += 1;
        let mut text = String::new();
        loop {
            let c = self.peek().ok_or_else(|| self.fault("unterminated text"))?;
            self.at += c.len_utf8();
            if c == quote {
                return Ok(text);
            }
            if c == '\\' {
                let escaped = self.peek().ok_or_else(|| self.fault("unterminated text"))?;
                self.at += escaped.len_utf8();
                text.push(escaped);
            } else {
                text.push(c);
            }
        }
    }

    fn filter(&mut self) -> Result<Filter, JsonPathError> {
        let left = self.operand()?;
        self.skip_space();
        let operators = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        for (text, comparison) in operators {
            if self.skip(text) {
                let right = self.operand()?;
                return Ok(Filter { left, right: Some((comparison, right)) });
            }
        }
        Ok(Filter { left, right: None })
    }

    fn operand(&mut self) -> Result<Operand, JsonPathError> {
        self.skip_space();
        match self.peek() {
            Some('@' | '$') => {
                self.at += 1;
                // Filters inside a filter's path are not read: `bracket` would recurse without end.
                let steps = self.plain_steps()?;
                Ok(Operand::Path(JsonPath { steps }))
            }
            Some('\'' | '"') => Ok(Operand::Literal(Value::String(self.quoted()?))),
            _ => {
                let rest = self.rest();
                let end = rest.find([' ', ')', '=', '!', '<', '>']).unwrap_or(rest.len());
                let word = &rest[..end];
                let literal: Value =
                    serde_json::from_str(word).map_err(|_| self.fault("unrecognized literal"))?;
                self.at += end;
                Ok(Operand::Literal(literal))
            }
        }
    }

    fn plain_steps(&mut self) -> Result<Vec<Step>, JsonPathError> {
        let start = self.at;
        if let Some(nested) = self.rest().find("?(").filter(|at| *at < self.rest().find(')').unwrap_or(0)) {
            self.at = start + nested;
            return Err(self.fault("a filter inside a filter is not supported"));
        }
        self.steps(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn first(path: &str, value: Value) -> Option<Value> {
        JsonPath::parse(path).unwrap().first(&value).cloned()
    }

    #[test]
    fn paths_of_printer_columns() {
        let object = json!({
            "metadata": {"labels": {"a.b/c": "x"}},
            "spec": {"l": [{"n": 1}, {"n": 2}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Live", "status": "False"}]},
        });
        let hit = |path: &str| first(path, object.clone());
        assert_eq!(hit(".spec.l[0].n"), Some(json!(1)));
        assert_eq!(hit("{.spec.l[-1].n}"), Some(json!(2)));
        assert_eq!(hit(".spec.l[*].n"), Some(json!(1)));
        assert_eq!(hit(".spec.l[1:].n"), Some(json!(2)));
        assert_eq!(hit(".metadata.labels['a.b/c']"), Some(json!("x")));
        assert_eq!(hit(".metadata.labels.a\\.b/c"), Some(json!("x")));
        assert_eq!(hit(r#".status.conditions[?(@.type=="Live")].status"#), Some(json!("False")));
        assert_eq!(hit(r#".status.conditions[?(@.type == 'Ready')].status"#), Some(json!("True")));
        assert_eq!(hit(".spec.l[?(@.n>1)].n"), Some(json!(2)));
        assert_eq!(hit(".spec.l[?(@.missing)].n"), None);
        assert_eq!(hit("..n"), Some(json!(1)));
        assert_eq!(hit(".spec.l[5]"), None);
        assert_eq!(JsonPath::parse(".spec.replicas").unwrap().as_fields(), Some(vec!["spec", "replicas"]));
        assert_eq!(JsonPath::parse(".a[0]").unwrap().as_fields(), None);
    }

    #[test]
    fn broken_paths_are_refused() {
        for broken in [".a[", ".a[x]", ".a['b]", ".a[?(@.b==]", "a b", ".a..", "[99999999999999999999]"] {
            assert!(JsonPath::parse(broken).is_err(), "{broken}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[.a\\[\\]?()@*'\"0-9:=<>!\\\\ {}$-]{0,32}|\\PC{0,32}") {
            if let Ok(path) = JsonPath::parse(&text) {
                path.all(&json!({"a": [{"a": 1}, {"a": {"a": [1, 2]}}]}));
            }
        }
    }
}
