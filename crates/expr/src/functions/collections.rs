//! Arrays and maps.

use std::collections::BTreeMap;

use crate::context::Context;
use crate::error::EvalError;
use crate::operators;
use crate::value::{Key, Map, Value};

use super::{Outcome, items, text, unfit, whole};

pub(super) fn len(context: &mut Context, arguments: &[Value]) -> Outcome {
    let length = match &arguments[0] {
        Value::String(text) => {
            context.scan(text.len())?;
            text.chars().count()
        }
        Value::Bytes(bytes) => bytes.len(),
        Value::Array(array) => array.items().len(),
        Value::Map(map) | Value::Record(map) => map.entries().len(),
        other => return Err(unfit("len", "an array, a map or a string", other)),
    };
    Ok(count(length))
}

fn count(length: usize) -> Value {
    Value::Int(i64::try_from(length).unwrap_or(i64::MAX))
}

pub(super) fn first(_: &mut Context, arguments: &[Value]) -> Outcome {
    Ok(items("first", &arguments[0])?.first().cloned().unwrap_or(Value::Nil))
}

pub(super) fn last(_: &mut Context, arguments: &[Value]) -> Outcome {
    Ok(items("last", &arguments[0])?.last().cloned().unwrap_or(Value::Nil))
}

/// Nil where an access would fail.
pub(super) fn get(_: &mut Context, arguments: &[Value]) -> Outcome {
    Ok(operators::index(&arguments[0], &arguments[1]).unwrap_or(Value::Nil))
}

pub(super) fn take(context: &mut Context, arguments: &[Value]) -> Outcome {
    let array = items("take", &arguments[0])?;
    let wanted = usize::try_from(whole("take", &arguments[1])?)
        .map_err(|_| EvalError::argument("take", "expected a count of at least 0"))?;
    context.array(array[..wanted.min(array.len())].to_vec())
}

pub(super) fn reverse(context: &mut Context, arguments: &[Value]) -> Outcome {
    context.array(items("reverse", &arguments[0])?.iter().rev().cloned().collect())
}

/// The first of each group of equal elements. Scalars are told apart by their key; all others by
/// comparison with those kept.
pub(super) fn uniq(context: &mut Context, arguments: &[Value]) -> Outcome {
    let mut kept: Vec<Value> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    let mut compared: Vec<Value> = Vec::new();
    for item in items("uniq", &arguments[0])? {
        context.steps(1)?;
        let is_new = match Key::of(&unified(item)) {
            Some(_) if matches!(item, Value::Float(number) if number.is_nan()) => true,
            Some(key) => seen.insert(key),
            None => {
                let mut known = false;
                for other in &compared {
                    known = known || operators::equal(context, other, item)?;
                }
                if !known {
                    compared.push(item.clone());
                }
                !known
            }
        };
        if is_new {
            kept.push(item.clone());
        }
    }
    context.array(kept)
}

/// Numbers that are equal become the same key.
fn unified(value: &Value) -> Value {
    value.as_float().map_or_else(|| value.clone(), Value::Float)
}

pub(super) fn concat(context: &mut Context, arguments: &[Value]) -> Outcome {
    let mut joined = Vec::new();
    for argument in arguments {
        let more = items("concat", argument)?;
        context.elements(more.len())?;
        joined.extend_from_slice(more);
    }
    context.array(joined)
}

pub(super) fn flatten(context: &mut Context, arguments: &[Value]) -> Outcome {
    let mut flat = Vec::new();
    flatten_into(context, items("flatten", &arguments[0])?, &mut flat)?;
    context.array(flat)
}

fn flatten_into(context: &mut Context, nested: &[Value], flat: &mut Vec<Value>) -> Result<(), EvalError> {
    for item in nested {
        match item {
            Value::Array(inner) => flatten_into(context, inner.items(), flat)?,
            scalar => {
                context.elements(1)?;
                flat.push(scalar.clone());
            }
        }
    }
    Ok(())
}

pub(super) fn sort(context: &mut Context, arguments: &[Value]) -> Outcome {
    let descending = arguments.get(1).map(|order| is_descending("sort", order)).transpose()?.unwrap_or(false);
    let keyed = items("sort", &arguments[0])?.iter().map(|item| (item.clone(), item.clone())).collect();
    let sorted = sorted(context, "sort", keyed, descending)?;
    context.array(sorted)
}

/// Whether an order is `desc`, not `asc`.
pub(crate) fn is_descending(function: &'static str, order: &Value) -> Result<bool, EvalError> {
    match text(function, order)? {
        "asc" => Ok(false),
        "desc" => Ok(true),
        other => Err(EvalError::argument(function, format!("unknown order {other:?}, use asc or desc"))),
    }
}

/// The values in the order of their keys, equal ones as they were.
pub(crate) fn sorted(
    context: &mut Context,
    function: &'static str,
    mut keyed: Vec<(Value, Value)>,
    descending: bool,
) -> Result<Vec<Value>, EvalError> {
    let Some((head, _)) = keyed.first() else { return Ok(Vec::new()) };
    if let Some((other, _)) = keyed.iter().find(|(key, _)| !operators::sortable(head, key)) {
        let reason = format!("cannot order {} and {}", head.type_name(), other.type_name());
        return Err(EvalError::argument(function, reason));
    }
    // Comparisons of a merge sort, each of which may read the text of both.
    let comparisons = keyed.len() * (keyed.len().ilog2() as usize + 1);
    let longest =
        keyed.iter().map(|(key, _)| if let Value::String(text) = key { text.len() } else { 0 }).max();
    context.steps(comparisons.saturating_mul(1 + longest.unwrap_or(0) / 16))?;
    keyed.sort_by(|(left, _), (right, _)| {
        let order = operators::sort_order(left, right);
        if descending { order.reverse() } else { order }
    });
    Ok(keyed.into_iter().map(|(_, value)| value).collect())
}

fn entries<'a>(function: &'static str, value: &'a Value) -> Result<&'a Map, EvalError> {
    match value {
        Value::Map(map) | Value::Record(map) => Ok(map),
        other => Err(unfit(function, "a map", other)),
    }
}

pub(super) fn keys(context: &mut Context, arguments: &[Value]) -> Outcome {
    context.array(entries("keys", &arguments[0])?.entries().keys().map(Key::to_value).collect())
}

pub(super) fn values(context: &mut Context, arguments: &[Value]) -> Outcome {
    context.array(entries("values", &arguments[0])?.entries().values().cloned().collect())
}

pub(super) fn to_pairs(context: &mut Context, arguments: &[Value]) -> Outcome {
    let map = entries("toPairs", &arguments[0])?;
    context.elements(map.entries().len() * 2)?;
    let pairs = map.entries().iter().map(|(key, value)| Value::array(vec![key.to_value(), value.clone()]));
    context.array(pairs.collect())
}

pub(super) fn from_pairs(context: &mut Context, arguments: &[Value]) -> Outcome {
    let mut map = BTreeMap::new();
    for pair in items("fromPairs", &arguments[0])? {
        let [key, value] = items("fromPairs", pair)? else {
            return Err(EvalError::argument("fromPairs", "expected pairs of key and value"));
        };
        let key = Key::of(key).ok_or_else(|| unfit("fromPairs", "a scalar as key", key))?;
        map.insert(key, value.clone());
    }
    context.map(map)
}
