//! Merging an applied value into a live one, and taking fields out of a value (`spec/apiserver.md` 12.4, steps 3
//! and 5).

use super::set::{FieldSet, field_element};
use super::typed::{Shape, by_element, field, item_element, shape};
use crate::schema::{ListType, Schema};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The live value with everything the applied one specifies.
pub(super) fn merge(schema: Option<&Schema>, live: &Value, applied: &Value) -> Value {
    match (shape(schema, live), live, shape(schema, applied), applied) {
        (Shape::Map(schema), Value::Object(live), Shape::Map(_), Value::Object(applied)) => {
            merge_fields(schema, live, applied)
        }
        (Shape::List(list), _, Shape::List(_), _) => Value::Array(merge_items(list, live, applied)),
        _ => applied.clone(),
    }
}

fn merge_fields(schema: Option<&Schema>, live: &Map<String, Value>, applied: &Map<String, Value>) -> Value {
    let mut merged = live.clone();
    for (name, value) in applied {
        match merged.get_mut(name) {
            Some(present) => *present = merge(field(schema, name), present, value),
            None => {
                merged.insert(name.clone(), value.clone());
            }
        }
    }
    Value::Object(merged)
}

/// The applied order decides for applied items; items that are only live keep their place next to their live
/// neighbours (upstream's algorithm, step by step).
fn merge_items(list: &Schema, live: &Value, applied: &Value) -> Vec<Value> {
    let (live_by, applied_by) = (by_element(list, Some(live)), by_element(list, Some(applied)));
    let (lefts, rights) = (elements(list, live), elements(list, applied));
    let mut shared: VecDeque<&String> =
        rights.iter().map(|(element, _)| element).filter(|element| live_by.contains_key(*element)).collect();
    let mut next_shared = shared.pop_front();
    let mut taken: BTreeSet<&String> = BTreeSet::new();
    let mut out = Vec::with_capacity(lefts.len().max(rights.len()));
    let (mut l, mut r) = (0, 0);
    while l < lefts.len() || r < rights.len() {
        if let (Some((left, _)), Some((right, item))) = (lefts.get(l), rights.get(r)) {
            if left == right {
                taken.insert(left);
                out.push(merge_item(list, &live_by, left, item));
                (l, r) = (l + 1, r + 1);
                next_shared = shared.pop_front();
                continue;
            }
            if applied_by.contains_key(left) && next_shared.is_some_and(|next| next != left) {
                l += 1;
                continue;
            }
        }
        if let Some((left, item)) = lefts.get(l) {
            if !applied_by.contains_key(left) {
                out.push((*item).clone());
                l += 1;
                continue;
            }
            if taken.contains(left) {
                l += 1;
            }
        }
        if let Some((right, item)) = rights.get(r) {
            taken.insert(right);
            out.push(merge_item(list, &live_by, right, item));
            r += 1;
            if next_shared == Some(right) {
                next_shared = shared.pop_front();
            }
        }
    }
    out
}

fn elements<'v>(list: &Schema, value: &'v Value) -> Vec<(String, &'v Value)> {
    let items = value.as_array().into_iter().flatten();
    items.filter_map(|item| Some((item_element(list, item)?, item))).collect()
}

fn merge_item(list: &Schema, live: &BTreeMap<String, Vec<&Value>>, element: &str, applied: &Value) -> Value {
    match live.get(element).map(Vec::as_slice) {
        Some([live]) => merge(list.items(), live, applied),
        _ => applied.clone(),
    }
}

/// Takes the members of `doomed` out of a value. A container that loses all it held stays, empty: whoever owns it
/// still does. The key fields of a list item that stays are never taken.
pub(super) fn without(schema: Option<&Schema>, value: &Value, doomed: &FieldSet) -> Value {
    match (shape(schema, value), value) {
        (Shape::Map(schema), Value::Object(fields)) => {
            let rest = fields.iter().filter_map(|(name, value)| match doomed.get(&field_element(name)) {
                Some(node) if node.member => None,
                Some(node) => Some((name.clone(), without(field(schema, name), value, &node.below))),
                None => Some((name.clone(), value.clone())),
            });
            Value::Object(rest.collect())
        }
        (Shape::List(list), Value::Array(items)) => {
            Value::Array(items.iter().filter_map(|item| item_without(list, item, doomed)).collect())
        }
        _ => value.clone(),
    }
}

fn item_without(list: &Schema, item: &Value, doomed: &FieldSet) -> Option<Value> {
    let node = item_element(list, item).and_then(|element| doomed.get(&element));
    let Some(node) = node else { return Some(item.clone()) };
    if node.member {
        return None;
    }
    let mut below = node.below.clone();
    if let ListType::Map(keys) = &list.list_type {
        for key in keys {
            below.remove(&field_element(key));
        }
    }
    Some(without(list.items(), item, &below))
}

/// Makes every declared field on the way to a member a member: a struct nobody else has a part in goes as a whole.
pub(super) fn with_declared_parents(schema: Option<&Schema>, set: &FieldSet) -> FieldSet {
    let mut all = FieldSet::default();
    for (element, node) in set.iter() {
        let name = element.strip_prefix("f:");
        let declared = name.and_then(|name| schema?.property(name));
        let below = match (name, schema) {
            (Some(name), _) => with_declared_parents(field(schema, name), &node.below),
            (None, Some(list)) => with_declared_parents(list.items(), &node.below),
            (None, None) => node.below.clone(),
        };
        let member = node.member || declared.is_some();
        all.put(element.clone(), super::set::Node { member, below });
    }
    all
}

/// Collapses what the schema has made atomic since: paths below it become the field itself (12.5).
pub(super) fn reconcile(schema: Option<&Schema>, set: &FieldSet) -> FieldSet {
    let mut all = FieldSet::default();
    for (element, node) in set.iter() {
        let child = match element.strip_prefix("f:") {
            Some(name) => field(schema, name),
            None => schema.and_then(Schema::items),
        };
        let atomic = child.is_some_and(|child| {
            child.atomic || (child.items().is_some() && child.list_type == ListType::Atomic)
        });
        let node = if atomic && !node.below.is_empty() {
            super::set::Node { member: true, below: FieldSet::default() }
        } else {
            super::set::Node { member: node.member, below: reconcile(child, &node.below) }
        };
        all.put(element.clone(), node);
    }
    all
}
