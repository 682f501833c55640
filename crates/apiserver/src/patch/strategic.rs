//! Strategic merge patch of built-in kinds (`spec/apiserver.md` 11.4): lists with a merge key merge item by item,
//! and directives say what plain JSON cannot.

use super::PatchError;
use crate::schema::Schema;
use serde_json::{Map, Value};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ORDER_PREFIX: &str = "$setElementOrder/";
const DELETE_PREFIX: &str = "$deleteFromPrimitiveList/";

type Object = Map<String, Value>;

/// Applies a strategic merge patch to an object of a built-in kind; merge keys come from its schema.
pub fn strategic_merge_patch(target: &mut Value, patch: &Value, schema: &Schema) -> Result<(), PatchError> {
    let Value::Object(patch) = patch else {
        return super::merge_patch(target, patch);
    };
    let original = target.as_object().cloned().unwrap_or_default();
    *target = Value::Object(merge_object(original, patch.clone(), Some(schema))?);
    Ok(())
}

fn rejected(why: String) -> PatchError {
    PatchError::Rejected(why)
}

fn merge_object(
    mut original: Object,
    mut patch: Object,
    schema: Option<&Schema>,
) -> Result<Object, PatchError> {
    if let Some(directive) = patch.shift_remove(DIRECTIVE) {
        return match directive.as_str() {
            Some("replace") => Ok(clean_object(patch)),
            Some("delete") => Ok(Object::new()),
            Some("merge") => merge_object(original, patch, schema),
            _ => Err(unknown_directive(&directive, patch)),
        };
    }
    retain_keys(&mut original, &mut patch)?;
    merge_ordered_lists(&mut original, &mut patch, schema)?;
    for (name, value) in patch {
        if let Some(list) = name.strip_prefix(DELETE_PREFIX) {
            delete_primitives(&mut original, list, &value);
            continue;
        }
        if value.is_null() {
            original.shift_remove(&name);
            continue;
        }
        let field = schema.and_then(|schema| schema.child(&name));
        let merged = match (original.get_mut(&name).map(Value::take), value) {
            (Some(Value::Object(old)), Value::Object(new)) => Value::Object(merge_object(old, new, field)?),
            (Some(Value::Array(old)), Value::Array(new)) => Value::Array(merge_list(old, new, field)?),
            (_, value) => clean(value).unwrap_or(Value::Null),
        };
        original.insert(name, merged);
    }
    Ok(original)
}

fn unknown_directive(directive: &Value, mut patch: Object) -> PatchError {
    patch.insert(DIRECTIVE.to_owned(), directive.clone());
    let shown = go_format(&Value::Object(patch));
    rejected(format!("unknown patch type: {} in map: {shown}", go_format(directive)))
}

/// `$retainKeys`: the original keeps only the named fields, and the patch may not set others.
fn retain_keys(original: &mut Object, patch: &mut Object) -> Result<(), PatchError> {
    let Some(keys) = patch.shift_remove(RETAIN_KEYS) else { return Ok(()) };
    let bad = || PatchError::BadRequest("invalid patch format of retainKeys".to_owned());
    let keys = keys.as_array().ok_or_else(bad)?;
    let named = |name: &str| keys.iter().any(|key| key.as_str() == Some(name));
    let stray = patch.iter().any(|(name, value)| {
        !value.is_null()
            && !name.starts_with(DELETE_PREFIX)
            && !name.starts_with(ORDER_PREFIX)
            && !named(name)
    });
    if stray {
        return Err(bad());
    }
    original.retain(|name, _| named(name));
    Ok(())
}

fn delete_primitives(original: &mut Object, list: &str, doomed: &Value) {
    if let (Some(Value::Array(items)), Value::Array(doomed)) = (original.get_mut(list), doomed) {
        items.retain(|item| !doomed.contains(item));
    }
}

/// Handles each `$setElementOrder/LIST` together with the LIST of the patch and takes both out of the patch.
fn merge_ordered_lists(
    original: &mut Object,
    patch: &mut Object,
    schema: Option<&Schema>,
) -> Result<(), PatchError> {
    let directives: Vec<String> =
        patch.keys().filter(|name| name.starts_with(ORDER_PREFIX)).cloned().collect();
    for directive in directives {
        let order = match patch.shift_remove(&directive) {
            Some(Value::Array(order)) => order,
            other => {
                return Err(rejected(format!(
                    "{directive} must be a list, got {}",
                    other.unwrap_or_default()
                )));
            }
        };
        let name = &directive[ORDER_PREFIX.len()..];
        let field = schema.and_then(|schema| schema.child(name));
        let key = field.and_then(Schema::merge_key);
        let old = match original.get(name) {
            Some(Value::Array(items)) => Some(items.clone()),
            _ => None,
        };
        let new = match patch.shift_remove(name) {
            Some(Value::Array(items)) => Some(items),
            _ => None,
        };
        if let Some(new) = &new {
            check_order(new, &order, key)?;
        }
        let live = old.clone().unwrap_or_default();
        let merged = match (old, new) {
            (None, None) => continue,
            (Some(old), None) => old,
            (None, Some(new)) => new.into_iter().filter_map(clean).collect(),
            (Some(old), Some(new)) => merge_list(old, new, field)?,
        };
        let (mut listed, mut others) = partition(merged, &order, key);
        sort_by_order(&mut listed, &order, key);
        sort_by_order(&mut others, &live, key);
        original.insert(name.to_owned(), Value::Array(interleave(others, listed, &live, key)));
    }
    Ok(())
}

/// Every patched item must be named in `$setElementOrder`, in the same order.
fn check_order(items: &[Value], order: &[Value], key: Option<&str>) -> Result<(), PatchError> {
    let mut from = 0;
    for item in items.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
        match order[from..].iter().position(|entry| same_item(entry, item, key)) {
            Some(at) => from += at + 1,
            None => {
                return Err(rejected(format!(
                    "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                    go_format(&Value::Array(items.to_vec())),
                    go_format(&Value::Array(order.to_vec()))
                )));
            }
        }
    }
    Ok(())
}

fn merge_list(old: Vec<Value>, new: Vec<Value>, field: Option<&Schema>) -> Result<Vec<Value>, PatchError> {
    let Some(field) = field.filter(|field| field.merges_lists()) else {
        return Ok(new.into_iter().filter_map(clean).collect());
    };
    let key = field.merge_key();
    let live = old.clone();
    let (merged, patched) = match key {
        Some(key) => merge_keyed(old, new, key, field.items())?,
        None => {
            let mut merged = old;
            for item in &new {
                if !merged.contains(item) {
                    merged.push(item.clone());
                }
            }
            (merged, new)
        }
    };
    let (mut listed, mut others) = partition(merged, &patched, key);
    sort_by_order(&mut listed, &patched, key);
    sort_by_order(&mut others, &live, key);
    Ok(interleave(others, listed, &live, key))
}

/// Merges items by key; gives the merged items and those of the patch that are no directives.
fn merge_keyed(
    mut merged: Vec<Value>,
    new: Vec<Value>,
    key: &str,
    items: Option<&Schema>,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let mut patched = Vec::new();
    let mut replace = false;
    for item in new {
        let directive = item.get(DIRECTIVE).and_then(Value::as_str).map(str::to_owned);
        match (directive.as_deref(), item.get(key)) {
            (Some("replace"), _) => replace = true,
            (Some("delete"), Some(value)) => merged.retain(|present| present.get(key) != Some(value)),
            (None | Some("merge"), Some(_)) => patched.push(item),
            (None | Some("delete" | "merge"), None) => {
                let shown = go_format(&item);
                return Err(rejected(format!("map: {shown} does not contain declared merge key: {key}")));
            }
            (Some(unknown), _) => {
                let shown = go_format(&item);
                return Err(rejected(format!("unknown patch type: {unknown} in map: {shown}")));
            }
        }
    }
    if replace {
        let fresh: Vec<Value> = patched.iter().cloned().filter_map(clean).collect();
        return Ok((fresh, patched));
    }
    for item in &patched {
        match merged.iter_mut().find(|present| present.get(key) == item.get(key)) {
            Some(present) => {
                if let (Value::Object(old), Value::Object(new)) = (present.take(), item.clone()) {
                    *present = Value::Object(merge_object(old, new, items)?);
                }
            }
            None => merged.extend(clean(item.clone())),
        }
    }
    Ok((merged, patched))
}

fn same_item(left: &Value, right: &Value, key: Option<&str>) -> bool {
    match key {
        Some(key) => left.get(key) == right.get(key),
        None => left == right,
    }
}

fn position(order: &[Value], item: &Value, key: Option<&str>) -> Option<usize> {
    order.iter().position(|entry| same_item(entry, item, key))
}

/// Items named in `order`, and the others.
fn partition(items: Vec<Value>, order: &[Value], key: Option<&str>) -> (Vec<Value>, Vec<Value>) {
    items.into_iter().partition(|item| position(order, item, key).is_some())
}

fn sort_by_order(items: &mut [Value], order: &[Value], key: Option<&str>) {
    items.sort_by_key(|item| position(order, item, key));
}

/// Merges two sorted lists: an item that is only live goes before a listed one where the live order says so.
fn interleave(others: Vec<Value>, listed: Vec<Value>, live: &[Value], key: Option<&str>) -> Vec<Value> {
    let mut merged = Vec::with_capacity(others.len() + listed.len());
    let mut others = others.into_iter().peekable();
    let mut listed = listed.into_iter().peekable();
    while let (Some(left), Some(right)) = (others.peek(), listed.peek()) {
        let left_first = match (position(live, left, key), position(live, right, key)) {
            (Some(left), Some(right)) => left < right,
            _ => false,
        };
        merged.extend(if left_first { others.next() } else { listed.next() });
    }
    merged.extend(others);
    merged.extend(listed);
    merged
}

/// The value without nulls and directives, as it may be stored; `None` if it asks for its own deletion.
fn clean(value: Value) -> Option<Value> {
    match value {
        Value::Object(members) if members.get(DIRECTIVE).and_then(Value::as_str) == Some("delete") => None,
        Value::Object(members) => Some(Value::Object(clean_object(members))),
        Value::Array(items) => Some(Value::Array(items.into_iter().filter_map(clean).collect())),
        scalar => Some(scalar),
    }
}

fn clean_object(members: Object) -> Object {
    members
        .into_iter()
        .filter(|(name, value)| {
            let directive = name == DIRECTIVE
                || name == RETAIN_KEYS
                || name.starts_with(ORDER_PREFIX)
                || name.starts_with(DELETE_PREFIX);
            !directive && !value.is_null()
        })
        .filter_map(|(name, value)| Some((name, clean(value)?)))
        .collect()
}

/// A value as Go prints it with `%v`; error texts carry it.
fn go_format(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(go_format).collect::<Vec<_>>().join(" "))
        }
        Value::Object(members) => {
            let mut pairs: Vec<String> =
                members.iter().map(|(name, value)| format!("{name}:{}", go_format(value))).collect();
            pairs.sort();
            format!("map[{}]", pairs.join(" "))
        }
        scalar => scalar.to_string(),
    }
}
