//! What operators and accesses do with values (`spec/analysis.md` 3.3).

use std::cmp::Ordering;
use std::sync::Arc;

use crate::ast::Operator;
use crate::context::Context;
use crate::error::EvalError;
use crate::time::shifted;
use crate::value::{Key, Map, Value};

type Outcome = Result<Value, EvalError>;

fn mismatched(operator: Operator, left: &Value, right: &Value) -> EvalError {
    EvalError::Mismatched { operator: operator.symbol(), left: left.type_name(), right: right.type_name() }
}

/// Every operator except the logical ones and `??`, which do not always evaluate their right side.
pub(crate) fn apply(context: &mut Context, operator: Operator, left: &Value, right: &Value) -> Outcome {
    match operator {
        Operator::Equal => equal(context, left, right).map(Value::Bool),
        Operator::NotEqual => equal(context, left, right).map(|equal| Value::Bool(!equal)),
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            compare(context, operator, left, right).map(Value::Bool)
        }
        Operator::In => contains_element(context, left, right).map(Value::Bool),
        Operator::Matches | Operator::Contains | Operator::StartsWith | Operator::EndsWith => {
            search(context, operator, left, right).map(Value::Bool)
        }
        Operator::Range => range(context, left, right),
        Operator::Add => add(context, left, right),
        Operator::Subtract => subtract(left, right),
        Operator::Multiply => multiply(left, right),
        Operator::Divide | Operator::Power => float_arithmetic(operator, left, right),
        Operator::Modulo => modulo(left, right),
        Operator::Or | Operator::And | Operator::Coalesce => Err(mismatched(operator, left, right)),
    }
}

/// Equality; unlike types are unequal, int and float are not unlike.
pub(crate) fn equal(context: &mut Context, left: &Value, right: &Value) -> Result<bool, EvalError> {
    context.steps(1)?;
    Ok(match (left, right) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Int(left), Value::Int(right)) => left == right,
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
            left.as_float() == right.as_float()
        }
        (Value::String(left), Value::String(right)) => {
            context.scan(left.len().min(right.len()))?;
            left == right
        }
        (Value::Bytes(left), Value::Bytes(right)) => left == right,
        (Value::Time(left), Value::Time(right)) => left.timestamp() == right.timestamp(),
        (Value::Duration(left), Value::Duration(right)) => left == right,
        (Value::Zone(left), Value::Zone(right)) => left == right,
        (Value::Array(left), Value::Array(right)) => {
            if left.items().len() != right.items().len() {
                return Ok(false);
            }
            for (left, right) in left.items().iter().zip(right.items()) {
                if !equal(context, left, right)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Map(left) | Value::Record(left), Value::Map(right) | Value::Record(right)) => {
            if left.entries().len() != right.entries().len() {
                return Ok(false);
            }
            for ((left_key, left), (right_key, right)) in left.entries().iter().zip(right.entries()) {
                if left_key != right_key || !equal(context, left, right)? {
                    return Ok(false);
                }
            }
            true
        }
        _ => false,
    })
}

/// The order of two values that have one; none beside NaN.
fn order(context: &mut Context, left: &Value, right: &Value) -> Result<Option<Option<Ordering>>, EvalError> {
    Ok(Some(match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::String(left), Value::String(right)) => {
            context.scan(left.len().min(right.len()))?;
            Some(left.as_bytes().cmp(right.as_bytes()))
        }
        (Value::Time(left), Value::Time(right)) => Some(left.timestamp().cmp(&right.timestamp())),
        (Value::Duration(left), Value::Duration(right)) => Some(left.cmp(right)),
        _ => match (left.as_float(), right.as_float()) {
            (Some(left), Some(right)) => left.partial_cmp(&right),
            _ => return Ok(None),
        },
    }))
}

/// `<` and its like: false beside NaN, an error between types without an order.
fn compare(
    context: &mut Context,
    operator: Operator,
    left: &Value,
    right: &Value,
) -> Result<bool, EvalError> {
    let Some(order) = order(context, left, right)? else { return Err(mismatched(operator, left, right)) };
    Ok(match operator {
        Operator::Less => order.is_some_and(Ordering::is_lt),
        Operator::LessOrEqual => order.is_some_and(Ordering::is_le),
        Operator::Greater => order.is_some_and(Ordering::is_gt),
        _ => order.is_some_and(Ordering::is_ge),
    })
}

/// Whether a sort can put the two in an order.
pub(crate) fn sortable(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::String(_), Value::String(_))
        | (Value::Time(_), Value::Time(_))
        | (Value::Duration(_), Value::Duration(_))
        | (Value::Bool(_), Value::Bool(_)) => true,
        _ => left.as_float().is_some() && right.as_float().is_some(),
    }
}

/// A total order of values that are sortable, NaN last.
pub(crate) fn sort_order(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => left.cmp(right),
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::String(left), Value::String(right)) => left.as_bytes().cmp(right.as_bytes()),
        (Value::Time(left), Value::Time(right)) => left.timestamp().cmp(&right.timestamp()),
        (Value::Duration(left), Value::Duration(right)) => left.cmp(right),
        _ => match (left.as_float(), right.as_float()) {
            (Some(left), Some(right)) => {
                left.is_nan().cmp(&right.is_nan()).then_with(|| left.total_cmp(&right))
            }
            _ => Ordering::Equal,
        },
    }
}

/// `in`: an element of an array, a key of a map, a field of a record.
fn contains_element(context: &mut Context, needle: &Value, haystack: &Value) -> Result<bool, EvalError> {
    match haystack {
        Value::Nil => Ok(false),
        Value::Array(array) => {
            for item in array.items() {
                if equal(context, item, needle)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Value::Map(map) | Value::Record(map) => match key_for(map, needle) {
            Some(key) => Ok(map.entries().contains_key(&key)),
            None => Err(mismatched(Operator::In, needle, haystack)),
        },
        _ => Err(mismatched(Operator::In, needle, haystack)),
    }
}

/// The key that a value can be in this map. JSON objects have text keys alone: to ask one for an
/// index is a mistake about its shape and must not look like a missing member.
fn key_for(map: &Map, value: &Value) -> Option<Key> {
    // Keys are ordered by their kind, text last.
    let has_others = map.entries().keys().next().is_some_and(|first| !matches!(first, Key::String(_)));
    Key::of(value).filter(|key| has_others || matches!(key, Key::String(_) | Key::Nil))
}

/// `matches` and its like: false beside nil.
fn search(context: &mut Context, operator: Operator, left: &Value, right: &Value) -> Result<bool, EvalError> {
    let (text, part) = match (left, right) {
        (Value::Nil, _) | (_, Value::Nil) => return Ok(false),
        (Value::String(text), Value::String(part)) => (text, part),
        _ => return Err(mismatched(operator, left, right)),
    };
    context.scan(text.len())?;
    Ok(match operator {
        Operator::Contains => text.contains(&**part),
        Operator::StartsWith => text.starts_with(&**part),
        Operator::EndsWith => text.ends_with(&**part),
        _ => {
            let pattern = context.pattern(part)?;
            context.steps(text.len())?;
            pattern.is_match(text)
        }
    })
}

/// A whole number, as bounds and indices are; a measured float is cut.
pub(crate) fn whole(operator: &'static str, value: &Value) -> Result<i64, EvalError> {
    match value {
        Value::Int(number) => Ok(*number),
        Value::Float(number) => Ok(*number as i64),
        other => Err(EvalError::Operand { operator, expected: "a number", got: other.type_name() }),
    }
}

fn range(context: &mut Context, from: &Value, to: &Value) -> Outcome {
    let (from, to) = (whole("..", from)?, whole("..", to)?);
    let length = if to < from { 0 } else { to.abs_diff(from).saturating_add(1) };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    // Paid before a list is made that would not fit into memory.
    context.elements(length)?;
    Ok(Value::array((from..=to).take(length).map(Value::Int).collect()))
}

fn add(context: &mut Context, left: &Value, right: &Value) -> Outcome {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Ok(Value::Int(left.wrapping_add(*right))),
        (Value::String(left), Value::String(right)) => {
            context.text_bytes(left.len() + right.len())?;
            Ok(format!("{left}{right}").into())
        }
        (Value::Duration(left), Value::Duration(right)) => Ok(Value::Duration(left.wrapping_add(*right))),
        (Value::Time(time), Value::Duration(by)) | (Value::Duration(by), Value::Time(time)) => {
            moved(time, i128::from(*by))
        }
        _ => float_arithmetic(Operator::Add, left, right),
    }
}

fn moved(time: &jiff::Zoned, nanoseconds: i128) -> Outcome {
    let moved = shifted(time, nanoseconds).map(|time| Value::Time(Arc::new(time)));
    moved.ok_or(EvalError::Operand {
        operator: "+",
        expected: "a time within years 1 to 9999",
        got: "another",
    })
}

fn subtract(left: &Value, right: &Value) -> Outcome {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Ok(Value::Int(left.wrapping_sub(*right))),
        (Value::Duration(left), Value::Duration(right)) => Ok(Value::Duration(left.wrapping_sub(*right))),
        (Value::Time(time), Value::Duration(by)) => moved(time, -i128::from(*by)),
        (Value::Time(left), Value::Time(right)) => {
            let apart = left.timestamp().as_nanosecond() - right.timestamp().as_nanosecond();
            // As in Go, a difference too large for a duration is the largest one.
            let bounded = apart.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
            Ok(Value::Duration(i64::try_from(bounded).expect("clamped to the range")))
        }
        _ => float_arithmetic(Operator::Subtract, left, right),
    }
}

fn multiply(left: &Value, right: &Value) -> Outcome {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Ok(Value::Int(left.wrapping_mul(*right))),
        (Value::Int(factor), Value::Duration(duration)) | (Value::Duration(duration), Value::Int(factor)) => {
            Ok(Value::Duration(duration.wrapping_mul(*factor)))
        }
        (Value::Float(factor), Value::Duration(duration))
        | (Value::Duration(duration), Value::Float(factor)) => {
            Ok(Value::Duration((*duration as f64 * factor) as i64))
        }
        _ => float_arithmetic(Operator::Multiply, left, right),
    }
}

/// Arithmetic of which a float is part, or always the result.
fn float_arithmetic(operator: Operator, left: &Value, right: &Value) -> Outcome {
    let (Some(left_number), Some(right_number)) = (left.as_float(), right.as_float()) else {
        return Err(mismatched(operator, left, right));
    };
    Ok(Value::Float(match operator {
        Operator::Add => left_number + right_number,
        Operator::Subtract => left_number - right_number,
        Operator::Multiply => left_number * right_number,
        Operator::Divide => left_number / right_number,
        _ => left_number.powf(right_number),
    }))
}

fn modulo(left: &Value, right: &Value) -> Outcome {
    match (left, right) {
        (Value::Int(_), Value::Int(0)) => Err(EvalError::DivideByZero),
        (Value::Int(left), Value::Int(right)) => Ok(Value::Int(left.wrapping_rem(*right))),
        _ => Err(mismatched(Operator::Modulo, left, right)),
    }
}

/// `value.name`.
pub(crate) fn field(value: &Value, name: &Value) -> Outcome {
    match value {
        Value::Map(_) | Value::Record(_) => index(value, name),
        other => Err(no_member(other, name)),
    }
}

fn no_member(value: &Value, member: &Value) -> EvalError {
    let member = match member {
        Value::String(name) => name.to_string(),
        other => other.to_string(),
    };
    EvalError::NoMember { member, from: value.type_name() }
}

/// `value[index]`.
pub(crate) fn index(value: &Value, index: &Value) -> Outcome {
    match value {
        Value::Array(array) => {
            let place = place(index, array.items().len(), value)?;
            Ok(array.items()[place].clone())
        }
        Value::String(text) => Ok(Value::Int(i64::from(text.as_bytes()[place(index, text.len(), value)?]))),
        Value::Bytes(bytes) => Ok(Value::Int(i64::from(bytes[place(index, bytes.len(), value)?]))),
        Value::Map(map) => {
            let key = key_for(map, index).ok_or_else(|| no_member(value, index))?;
            Ok(map.entries().get(&key).cloned().unwrap_or(Value::Nil))
        }
        Value::Record(map) => {
            let found = Key::of(index).and_then(|key| map.entries().get(&key));
            found.cloned().ok_or_else(|| {
                let known: Vec<String> = map.entries().keys().map(crate::text::key_text).collect();
                let field =
                    if let Value::String(name) = index { name.to_string() } else { index.to_string() };
                EvalError::NoField { field, known: known.join(", ") }
            })
        }
        other => Err(no_member(other, index)),
    }
}

/// The place of an index, which counts from the end if negative.
fn place(index: &Value, length: usize, array: &Value) -> Result<usize, EvalError> {
    if index.as_float().is_none() {
        return Err(no_member(array, index));
    }
    let index = whole("[]", index)?;
    let counted = if index < 0 { index.saturating_add_unsigned(length as u64) } else { index };
    match usize::try_from(counted) {
        Ok(place) if place < length => Ok(place),
        _ => Err(EvalError::OutOfRange { index, length }),
    }
}

/// `value[from:to]`, with bounds cut to what there is.
pub(crate) fn slice(
    context: &mut Context,
    value: &Value,
    from: Option<&Value>,
    to: Option<&Value>,
) -> Outcome {
    let length = match value {
        Value::Array(array) => array.items().len(),
        Value::String(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        other => {
            let expected = "an array or a string";
            return Err(EvalError::Operand { operator: "[:]", expected, got: other.type_name() });
        }
    };
    let bound = |bound: Option<&Value>, default: usize| -> Result<usize, EvalError> {
        let Some(bound) = bound else { return Ok(default) };
        let bound = whole("[:]", bound)?;
        let counted = if bound < 0 { bound.saturating_add_unsigned(length as u64).max(0) } else { bound };
        Ok(usize::try_from(counted).unwrap_or(usize::MAX).min(length))
    };
    let to = bound(to, length)?;
    let from = bound(from, 0)?.min(to);
    match value {
        Value::Array(array) => context.array(array.items()[from..to].to_vec()),
        Value::Bytes(bytes) => {
            context.text_bytes(to - from)?;
            Ok(Value::Bytes(bytes[from..to].into()))
        }
        // A cut through a character leaves a replacement character: text stays text.
        Value::String(text) => context.text(String::from_utf8_lossy(&text.as_bytes()[from..to]).into_owned()),
        other => Err(no_member(other, &Value::Nil)),
    }
}
