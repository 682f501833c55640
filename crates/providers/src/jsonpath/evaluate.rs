//! From steps to values.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Comparison, Filter, JsonPath, JsonPathError, MAX_VISITS, Operand, Part, Path, Step};

type Found<'a> = Result<Vec<&'a Value>, JsonPathError>;

/// The first value of the first part that has any.
pub(super) fn first(path: &JsonPath, document: &Value) -> Result<Option<Value>, JsonPathError> {
    let mut search = Search { root: document, visits: 0 };
    let mut first = None;
    for part in &path.parts {
        let found = match part {
            Part::Text(text) => Some(Value::String(text.clone())),
            Part::Path(path) => search.path(path, document)?.first().map(|value| (*value).clone()),
        };
        first = first.or(found);
    }
    Ok(first)
}

struct Search<'a> {
    root: &'a Value,
    visits: usize,
}

impl<'a> Search<'a> {
    fn visit(&mut self, count: usize) -> Result<(), JsonPathError> {
        self.visits = self.visits.saturating_add(count);
        if self.visits > MAX_VISITS {
            return Err(JsonPathError::new(format!("search is too long: more than {MAX_VISITS} values")));
        }
        Ok(())
    }

    fn path(&mut self, path: &Path, current: &'a Value) -> Found<'a> {
        let mut values = vec![if path.from_root { self.root } else { current }];
        let mut gathered = false;
        for step in &path.steps {
            values = self.step(step, &values, gathered)?;
            gathered = *step == Step::Recursive;
        }
        Ok(values)
    }

    /// Applies a step to each value. What `..` has gathered need not have what is asked for.
    fn step(&mut self, step: &Step, values: &[&'a Value], lenient: bool) -> Found<'a> {
        let mut found = Vec::new();
        for value in values {
            self.visit(1)?;
            match self.one(step, value, &mut found) {
                Err(_) if lenient && self.visits <= MAX_VISITS => {}
                other => other?,
            }
        }
        Ok(found)
    }

    fn one(
        &mut self,
        step: &Step,
        value: &'a Value,
        found: &mut Vec<&'a Value>,
    ) -> Result<(), JsonPathError> {
        match step {
            Step::Field(name) => match value.get(name.as_str()) {
                Some(value) => found.push(value),
                None => return Err(JsonPathError::new(format!("{name} is not found"))),
            },
            Step::Wildcard => match value {
                Value::Array(items) => found.extend(items),
                Value::Object(fields) => found.extend(fields.values()),
                _ => {}
            },
            Step::Recursive => self.descend(value, found)?,
            Step::Index(index) => {
                let items = array(value)?;
                let place =
                    if *index < 0 { index.saturating_add_unsigned(items.len() as u64) } else { *index };
                let item = usize::try_from(place).ok().and_then(|place| items.get(place));
                let missing = || {
                    let length = items.len();
                    JsonPathError::new(format!("array index out of bounds: index {index}, length {length}"))
                };
                found.push(item.ok_or_else(missing)?);
            }
            Step::Slice { from, to, step } => {
                let items = array(value)?;
                let length = items.len();
                let bound = |bound: Option<i64>, default: usize| match bound {
                    None => default,
                    Some(bound) if bound < 0 => {
                        usize::try_from(bound.saturating_add_unsigned(length as u64)).unwrap_or(0)
                    }
                    Some(bound) => usize::try_from(bound).unwrap_or(length).min(length),
                };
                let (from, to) = (bound(*from, 0), bound(*to, length));
                let step = usize::try_from(*step).unwrap_or(usize::MAX);
                found.extend(items.get(from..to.max(from)).unwrap_or_default().iter().step_by(step));
            }
            Step::Union(steps) => {
                for step in steps {
                    self.one(step, value, found)?;
                }
            }
            Step::Filter(filter) => {
                for item in children(value) {
                    self.visit(1)?;
                    if self.passes(filter, item)? {
                        found.push(item);
                    }
                }
            }
        }
        self.visit(found.len().saturating_sub(1) / 64)
    }

    /// The value and everything below it, from the top. JSON readers bound the depth.
    fn descend(&mut self, value: &'a Value, found: &mut Vec<&'a Value>) -> Result<(), JsonPathError> {
        self.visit(1)?;
        found.push(value);
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.descend(item, found)),
            Value::Object(fields) => fields.values().try_for_each(|field| self.descend(field, found)),
            _ => Ok(()),
        }
    }

    fn passes(&mut self, filter: &Filter, item: &'a Value) -> Result<bool, JsonPathError> {
        let left = self.operand(&filter.left, item)?;
        let Some((comparison, right)) = &filter.comparison else { return Ok(left.is_some()) };
        let right = self.operand(right, item)?;
        Ok(left.zip(right).is_some_and(|(left, right)| compare(*comparison, &left, &right)))
    }

    /// The one value of an operand. An element that lacks it does not pass.
    fn operand(&mut self, operand: &Operand, item: &'a Value) -> Result<Option<Value>, JsonPathError> {
        let path = match operand {
            Operand::Literal(literal) => return Ok(Some(literal.clone())),
            Operand::Path(path) => path,
        };
        match self.path(path, item) {
            Ok(values) if values.len() > 1 => {
                Err(JsonPathError::new("can only compare one element at a time"))
            }
            Ok(values) => Ok(values.first().map(|value| (*value).clone())),
            Err(error) if self.visits > MAX_VISITS => Err(error),
            Err(_) => Ok(None),
        }
    }
}

fn array(value: &Value) -> Result<&Vec<Value>, JsonPathError> {
    value.as_array().ok_or_else(|| JsonPathError::new(format!("{} is not array or slice", kind(value))))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => Vec::new(),
    }
}

/// Unlike types are unequal and have no order.
fn compare(comparison: Comparison, left: &Value, right: &Value) -> bool {
    let order = match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left.as_f64().zip(right.as_f64()).and_then(|(left, right)| left.partial_cmp(&right))
        }
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (left, right) => (left == right).then_some(Ordering::Equal),
    };
    match comparison {
        Comparison::Equal => order == Some(Ordering::Equal),
        Comparison::NotEqual => order != Some(Ordering::Equal),
        Comparison::Less => order.is_some_and(Ordering::is_lt),
        Comparison::LessOrEqual => order.is_some_and(Ordering::is_le),
        Comparison::Greater => order.is_some_and(Ordering::is_gt),
        Comparison::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
    }
}
