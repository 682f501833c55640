//! Strategic merge patch of built-in kinds (`spec/apiserver.md` 11.4): lists with a merge key merge item by item,
//! and directives say what plain JSON cannot.

use super::PatchError;
use crate::schema::Schema;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

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
    super::remove_nulls(&mut original, &patch);
    for (name, value) in patch {
        if let Some(list) = name.strip_prefix(DELETE_PREFIX) {
            delete_primitives(&mut original, list, &value);
            continue;
        }
        if value.is_null() {
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
        let doomed = Order::of(doomed, None);
        items.retain(|item| doomed.position(item).is_none());
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
        let ordered = arrange(merged, &Order::of(&order, key), &Order::of(&live, key));
        original.insert(name.to_owned(), Value::Array(ordered));
    }
    Ok(())
}

/// Every patched item must be named in `$setElementOrder`, in the same order.
fn check_order(items: &[Value], order: &[Value], key: Option<&str>) -> Result<(), PatchError> {
    let mut entries = order.iter().map(|entry| identity(entry, key));
    for item in items.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
        let wanted = identity(item, key);
        if !entries.any(|entry| entry == wanted) {
            return Err(rejected(format!(
                "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                go_format(&Value::Array(items.to_vec())),
                go_format(&Value::Array(order.to_vec()))
            )));
        }
    }
    Ok(())
}

fn merge_list(old: Vec<Value>, new: Vec<Value>, field: Option<&Schema>) -> Result<Vec<Value>, PatchError> {
    let Some(field) = field.filter(|field| field.merges_lists()) else {
        return Ok(new.into_iter().filter_map(clean).collect());
    };
    let key = field.merge_key();
    let live = Order::of(&old, key);
    let (merged, patched) = match key {
        Some(key) => merge_keyed(old, new, key, field.items())?,
        None => {
            let mut merged = old;
            let mut known = Order::of(&merged, None);
            for item in &new {
                if known.add(item) {
                    merged.push(item.clone());
                }
            }
            (merged, new)
        }
    };
    Ok(arrange(merged, &Order::of(&patched, key), &live))
}

/// Merges items by key; gives the merged items and those of the patch that are no directives.
fn merge_keyed(
    old: Vec<Value>,
    new: Vec<Value>,
    key: &str,
    items: Option<&Schema>,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let mut patched = Vec::new();
    let mut doomed = Vec::new();
    let mut replace = false;
    for item in new {
        let directive = item.get(DIRECTIVE).and_then(Value::as_str).map(str::to_owned);
        match (directive.as_deref(), item.get(key)) {
            (Some("replace"), _) => replace = true,
            (Some("delete"), Some(_)) => doomed.push(item),
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
    let doomed = Order::of(&doomed, Some(key));
    let mut merged: Vec<Value> = old.into_iter().filter(|item| doomed.position(item).is_none()).collect();
    let mut known = Order::of(&merged, Some(key));
    for item in &patched {
        match known.position(item) {
            Some(at) => {
                if let (Value::Object(old), Value::Object(new)) = (merged[at].take(), item.clone()) {
                    merged[at] = Value::Object(merge_object(old, new, items)?);
                }
            }
            None => {
                if let Some(fresh) = clean(item.clone()) {
                    known.positions.insert(identity(item, Some(key)), merged.len());
                    merged.push(fresh);
                }
            }
        }
    }
    Ok((merged, patched))
}

/// What makes an item the same as another: its key field, or all of it.
fn identity(item: &Value, key: Option<&str>) -> Option<String> {
    match key {
        Some(key) => item.get(key).map(Value::to_string),
        None => Some(item.to_string()),
    }
}

/// Where items stand in a list. Lists of a request may be long, so nothing searches them one by one.
struct Order<'k> {
    positions: BTreeMap<Option<String>, usize>,
    key: Option<&'k str>,
}

impl<'k> Order<'k> {
    fn of(items: &[Value], key: Option<&'k str>) -> Self {
        let mut order = Order { positions: BTreeMap::new(), key };
        for (index, item) in items.iter().enumerate() {
            order.positions.entry(identity(item, key)).or_insert(index);
        }
        order
    }

    fn position(&self, item: &Value) -> Option<usize> {
        self.positions.get(&identity(item, self.key)).copied()
    }

    /// Puts an item behind all others; false if it is there already.
    fn add(&mut self, item: &Value) -> bool {
        let count = self.positions.len();
        self.positions.entry(identity(item, self.key)).or_insert(count);
        self.positions.len() > count
    }
}

/// Puts the items that `order` names in its order, the others in the live order; an item that is only live goes before
/// a listed one where the live order says so.
fn arrange(items: Vec<Value>, order: &Order<'_>, live: &Order<'_>) -> Vec<Value> {
    let mut listed = Vec::new();
    let mut others = Vec::new();
    for item in items {
        let at = live.position(&item);
        match order.position(&item) {
            Some(place) => listed.push((place, at, item)),
            None => others.push((at, item)),
        }
    }
    listed.sort_by_key(|(place, ..)| *place);
    others.sort_by_key(|(at, _)| *at);
    let mut arranged = Vec::with_capacity(listed.len() + others.len());
    let mut others = others.into_iter().peekable();
    for (_, at, item) in listed {
        while let Some((other, _)) = others.peek()
            && matches!((other, at), (Some(other), Some(at)) if *other < at)
        {
            arranged.extend(others.next().map(|(_, item)| item));
        }
        arranged.push(item);
    }
    arranged.extend(others.map(|(_, item)| item));
    arranged
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
