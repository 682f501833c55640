//! Label selectors: a lexer, a recursive parser and the match.

use super::SelectorError;
use crate::schema::{FieldError, names};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// How a requirement compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
    GreaterThan,
    LessThan,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
    values: BTreeSet<String>,
}

/// The conjunction of label requirements of one `labelSelector` parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

impl LabelSelector {
    /// Parses the text of a `labelSelector` parameter; the empty text selects everything.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        Parser { tokens: lex(text), next: 0 }.selector()
    }

    /// Parses the structured form (`matchLabels`, `matchExpressions`); an empty object selects everything. What an
    /// absent selector means differs between callers, so they decide.
    pub fn from_object(selector: &Value) -> Result<Self, SelectorError> {
        let mut requirements = Vec::new();
        if let Some(labels) = selector.get("matchLabels").and_then(Value::as_object) {
            for (key, value) in labels {
                let values = BTreeSet::from([value.as_str().unwrap_or_default().to_owned()]);
                requirements.push(Requirement::new(key, Operator::In, values)?);
            }
        }
        if let Some(expressions) = selector.get("matchExpressions").and_then(Value::as_array) {
            for expression in expressions {
                requirements.push(Requirement::from_expression(expression)?);
            }
        }
        Ok(LabelSelector { requirements })
    }

    /// Whether every object matches.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether the labels in `object.metadata.labels` fulfil all requirements.
    pub fn matches(&self, object: &Value) -> bool {
        if self.requirements.is_empty() {
            return true;
        }
        let labels = object.get("metadata").and_then(|metadata| metadata.get("labels"));
        self.matches_labels(labels.and_then(Value::as_object))
    }

    /// The same for a bare map of labels.
    pub fn matches_labels(&self, labels: Option<&Map<String, Value>>) -> bool {
        self.requirements.iter().all(|requirement| {
            requirement
                .matches(labels.and_then(|labels| labels.get(&requirement.key)).and_then(Value::as_str))
        })
    }
}

impl Requirement {
    fn new(key: &str, operator: Operator, values: BTreeSet<String>) -> Result<Self, SelectorError> {
        check_key(key)?;
        if matches!(operator, Operator::GreaterThan | Operator::LessThan) {
            for (index, value) in values.iter().enumerate() {
                if value.parse::<i64>().is_err() {
                    let detail = "for 'Gt', 'Lt' operators, the value must be an integer";
                    let error = FieldError::invalid_str(format!("values[{index}]"), value, detail);
                    return Err(SelectorError(error.to_string()));
                }
            }
        }
        for (index, value) in values.iter().enumerate() {
            let faults = names::label_value(value);
            if !faults.is_empty() {
                let path = format!("values[{index}][{key}]");
                let error = FieldError::invalid_str(path, value, faults.join("; "));
                return Err(SelectorError(error.to_string()));
            }
        }
        Ok(Requirement { key: key.to_owned(), operator, values })
    }

    fn from_expression(expression: &Value) -> Result<Self, SelectorError> {
        let key = expression.get("key").and_then(Value::as_str).unwrap_or_default();
        let values: BTreeSet<String> = expression
            .get("values")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        let word = expression.get("operator").and_then(Value::as_str).unwrap_or_default();
        let operator = match word {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            _ => return Err(SelectorError(format!("{word:?} is not a valid label selector operator"))),
        };
        match operator {
            Operator::In | Operator::NotIn if values.is_empty() => Err(SelectorError(
                "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"
                    .to_owned(),
            )),
            Operator::Exists | Operator::DoesNotExist if !values.is_empty() => Err(SelectorError(
                "values: Invalid value: values set must be empty for exists and does not exist".to_owned(),
            )),
            _ => Requirement::new(key, operator, values),
        }
    }

    fn matches(&self, value: Option<&str>) -> bool {
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.contains(value)),
            Operator::NotIn => value.is_none_or(|value| !self.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan => self.compare(value, |left, right| left > right),
            Operator::LessThan => self.compare(value, |left, right| left < right),
        }
    }

    fn compare(&self, value: Option<&str>, holds: fn(i64, i64) -> bool) -> bool {
        let bound = self.values.first().and_then(|bound| bound.parse().ok());
        match (value.and_then(|value| value.parse().ok()), bound) {
            (Some(value), Some(bound)) => holds(value, bound),
            _ => false,
        }
    }
}

fn check_key(key: &str) -> Result<(), SelectorError> {
    let faults = names::qualified_name(key);
    if faults.is_empty() {
        return Ok(());
    }
    Err(SelectorError(FieldError::invalid_str("", key, faults.join("; ")).to_string()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Symbol(&'a str),
}

/// Cuts the text into words and symbols; spaces separate.
fn lex(text: &str) -> Vec<Token<'_>> {
    const SPECIAL: &str = "=!(),><";
    const SPACE: &[char] = &[' ', '\t', '\r', '\n'];
    let mut tokens = Vec::new();
    let mut rest = text.trim_start_matches(SPACE);
    while let Some(first) = rest.chars().next() {
        let length = if SPECIAL.contains(first) {
            if rest.starts_with("==") || rest.starts_with("!=") { 2 } else { 1 }
        } else {
            rest.find(|c: char| SPACE.contains(&c) || SPECIAL.contains(c)).unwrap_or(rest.len())
        };
        let (token, after) = rest.split_at(length);
        tokens.push(if SPECIAL.contains(first) { Token::Symbol(token) } else { Token::Word(token) });
        rest = after.trim_start_matches(SPACE);
    }
    tokens
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.next).copied()
    }

    fn take(&mut self) -> Option<Token<'a>> {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn selector(&mut self) -> Result<LabelSelector, SelectorError> {
        let mut requirements = Vec::new();
        loop {
            match self.peek() {
                None => return Ok(LabelSelector { requirements }),
                Some(Token::Word(_) | Token::Symbol("!")) => {}
                other => return Err(unexpected(other, ", expected: !, identifier, or 'end of string'")),
            }
            let requirement = self
                .requirement()
                .map_err(|error| SelectorError(format!("unable to parse requirement: {error}")))?;
            requirements.push(requirement);
            match self.take() {
                None => return Ok(LabelSelector { requirements }),
                Some(Token::Symbol(",")) => match self.peek() {
                    Some(Token::Word(_) | Token::Symbol("!")) => {}
                    other => return Err(unexpected(other, ", expected: identifier after ','")),
                },
                other => return Err(unexpected(other, ", expected: ',' or 'end of string'")),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        let mut token = self.take();
        let absent = token == Some(Token::Symbol("!"));
        if absent {
            token = self.take();
        }
        let Some(Token::Word(key)) = token else {
            return Err(unexpected(token, ", expected: identifier"));
        };
        check_key(key)?;
        if absent {
            return Requirement::new(key, Operator::DoesNotExist, BTreeSet::new());
        }
        if matches!(self.peek(), None | Some(Token::Symbol(","))) {
            return Requirement::new(key, Operator::Exists, BTreeSet::new());
        }
        let (operator, several) = match self.take() {
            Some(Token::Word("in")) => (Operator::In, true),
            Some(Token::Word("notin")) => (Operator::NotIn, true),
            Some(Token::Symbol("=" | "==")) => (Operator::In, false),
            Some(Token::Symbol("!=")) => (Operator::NotIn, false),
            Some(Token::Symbol(">")) => (Operator::GreaterThan, false),
            Some(Token::Symbol("<")) => (Operator::LessThan, false),
            other => return Err(unexpected(other, ", expected: in, notin, =, ==, !=, gt, lt")),
        };
        let values = if several { self.values()? } else { BTreeSet::from([self.exact_value()?]) };
        Requirement::new(key, operator, values)
    }

    fn exact_value(&mut self) -> Result<String, SelectorError> {
        if matches!(self.peek(), None | Some(Token::Symbol(","))) {
            return Ok(String::new());
        }
        match self.take() {
            Some(Token::Word(value)) => Ok(value.to_owned()),
            other => Err(unexpected(other, ", expected: identifier")),
        }
    }

    /// `(a, b)`; an empty place between commas or brackets is the empty value.
    fn values(&mut self) -> Result<BTreeSet<String>, SelectorError> {
        match self.take() {
            Some(Token::Symbol("(")) => {}
            other => return Err(unexpected(other, " expected: '('")),
        }
        let mut values = BTreeSet::new();
        match self.peek() {
            Some(Token::Word(_) | Token::Symbol(",")) => {}
            Some(Token::Symbol(")")) => {
                self.next += 1;
                values.insert(String::new());
                return Ok(values);
            }
            other => return Err(unexpected(other, ", expected: ',', ')' or identifier")),
        }
        loop {
            let value = match self.peek() {
                Some(Token::Word(value)) => {
                    self.next += 1;
                    value
                }
                Some(Token::Symbol("," | ")")) => "",
                other => return Err(unexpected(other, ", expected: ',', or identifier")),
            };
            values.insert(value.to_owned());
            match self.take() {
                Some(Token::Symbol(",")) => {}
                Some(Token::Symbol(")")) => return Ok(values),
                other => return Err(unexpected(other, ", expected: ',' or ')'")),
            }
        }
    }
}

fn unexpected(token: Option<Token<'_>>, expected: &str) -> SelectorError {
    let found = match token {
        None => "",
        Some(Token::Word(text) | Token::Symbol(text)) => text,
    };
    SelectorError(format!("found '{found}'{expected}"))
}
