//! Values seen through a schema: which fields a value specifies, and which differ between two values
//! (`spec/apiserver.md` 12.1, 12.2).

use super::set::{FieldSet, Node, field_element, key_element, push_element, value_element};
use crate::schema::{ListType, Schema, Type};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How ownership sees a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape<'s> {
    /// One indivisible value: a scalar, an atomic list or map.
    Leaf,
    /// Fields or keys, each owned for itself. Without a schema the type is deduced: maps are granular, lists atomic.
    Map(Option<&'s Schema>),
    /// Items known by key or by value.
    List(&'s Schema),
}

/// The shape of a node whose value has this JSON type.
pub(super) fn shape<'s>(schema: Option<&'s Schema>, value: &Value) -> Shape<'s> {
    match (schema, value) {
        (Some(schema), Value::Object(_)) if schema.atomic => Shape::Leaf,
        (Some(schema), Value::Object(_)) if matches!(schema.kind, Type::Object | Type::Any) => {
            Shape::Map(Some(schema))
        }
        (None, Value::Object(_)) => Shape::Map(None),
        (Some(schema), Value::Array(_))
            if schema.kind == Type::Array && schema.list_type != ListType::Atomic =>
        {
            Shape::List(schema)
        }
        _ => Shape::Leaf,
    }
}

/// The schema of a field; an embedded resource is deduced as a whole.
pub(super) fn field<'s>(schema: Option<&'s Schema>, name: &str) -> Option<&'s Schema> {
    schema?.child(name).filter(|child| !child.resource)
}

/// Whether the field is declared by name, not the key of a map.
fn is_declared(schema: Option<&Schema>, name: &str) -> bool {
    schema.is_some_and(|schema| schema.property(name).is_some())
}

/// The element by which an item of a granular list is known.
pub(super) fn item_element(list: &Schema, item: &Value) -> Option<String> {
    match &list.list_type {
        ListType::Atomic => None,
        ListType::Set => (!item.is_object() && !item.is_array()).then(|| value_element(item)),
        ListType::Map(keys) => {
            let fields = item.as_object()?;
            let defaults = list.items();
            let value_of = |key: &str| fields.get(key).or_else(|| defaults?.property(key)?.default.as_ref());
            let present: Vec<(&str, &Value)> =
                keys.iter().filter_map(|key| Some((key.as_str(), value_of(key)?))).collect();
            (!present.is_empty()).then(|| key_element(present))
        }
    }
}

/// Everything a value specifies: the set an applier owns.
pub(super) fn specified(schema: Option<&Schema>, value: &Value) -> FieldSet {
    specified_node(schema, value).below
}

fn specified_node(schema: Option<&Schema>, value: &Value) -> Node {
    let mut below = FieldSet::default();
    match (shape(schema, value), value) {
        (Shape::Map(schema), Value::Object(fields)) => {
            for (name, value) in fields {
                let mut node = specified_node(field(schema, name), value);
                node.member |= !is_declared(schema, name);
                below.put(field_element(name), node);
            }
            Node { member: fields.is_empty(), below }
        }
        (Shape::List(schema), Value::Array(items)) => {
            for item in items {
                if let Some(element) = item_element(schema, item) {
                    let node = Node { member: true, ..specified_node(schema.items(), item) };
                    below.put(element, node);
                }
            }
            Node { member: false, below }
        }
        _ => Node { member: true, below },
    }
}

/// Everything that is there, containers and empty lists included.
pub(super) fn present(schema: Option<&Schema>, value: &Value) -> FieldSet {
    let mut all = FieldSet::default();
    match (shape(schema, value), value) {
        (Shape::Map(schema), Value::Object(fields)) => {
            for (name, value) in fields {
                let below = present(field(schema, name), value);
                all.put(field_element(name), Node { member: true, below });
            }
        }
        (Shape::List(schema), Value::Array(items)) => {
            for item in items {
                if let Some(element) = item_element(schema, item) {
                    let below = present(schema.items(), item);
                    all.put(element, Node { member: true, below });
                }
            }
        }
        _ => {}
    }
    all
}

/// What differs between two values.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) added: FieldSet,
    pub(super) modified: FieldSet,
    pub(super) removed: FieldSet,
}

impl Comparison {
    pub(super) fn is_same(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }

    /// The fields whose value is new.
    pub(super) fn changed(&self) -> FieldSet {
        self.added.union(&self.modified)
    }
}

/// Compares two values of one schema.
pub(super) fn compare(schema: &Schema, old: &Value, new: &Value) -> Comparison {
    let mut comparison = Comparison::default();
    compare_at(Some(schema), Some(old), Some(new), &mut Vec::new(), &mut comparison);
    comparison
}

/// Whether two values are the same to their owners. Numbers are known by their value, not by how they were written:
/// 1 and 1.0 are one number (upstream's typed comparison), in lists and maps as well.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(fields)) => fields.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(_) => false,
    }
}

fn compare_at(
    schema: Option<&Schema>,
    old: Option<&Value>,
    new: Option<&Value>,
    path: &mut Vec<String>,
    out: &mut Comparison,
) {
    if old == new {
        return;
    }
    let shapes = (old.map(|old| shape(schema, old)), new.map(|new| shape(schema, new)));
    let empty = is_empty(old) && is_empty(new);
    match shapes {
        (Some(Shape::Map(_)) | None, Some(Shape::Map(schema))) | (Some(Shape::Map(schema)), None)
            if !empty =>
        {
            compare_fields(schema, old, new, path, out);
            mark_presence(schema, old, new, path, out);
        }
        (Some(Shape::List(_)) | None, Some(Shape::List(list))) | (Some(Shape::List(list)), None)
            if !empty =>
        {
            compare_items(list, old, new, path, out);
            mark_presence(None, old, new, path, out);
        }
        _ => compare_leaf(schema, old, new, path, out),
    }
}

/// A container that came or went as a whole is itself added or removed.
fn mark_presence(
    schema: Option<&Schema>,
    old: Option<&Value>,
    new: Option<&Value>,
    path: &[String],
    out: &mut Comparison,
) {
    if schema.is_some_and(|schema| schema.always_present) {
        return;
    }
    if old.is_none() {
        out.added.insert(path);
    } else if new.is_none() {
        out.removed.insert(path);
    }
}

fn compare_leaf(
    schema: Option<&Schema>,
    old: Option<&Value>,
    new: Option<&Value>,
    path: &mut Vec<String>,
    out: &mut Comparison,
) {
    match (old, new) {
        (None, _) => out.added.insert(path),
        (_, None) => out.removed.insert(path),
        (Some(old), Some(new)) if same(old, new) => {}
        (Some(old), Some(new)) => {
            out.modified.insert(path);
            // A value that changed its shape: what was below is gone, what is below now is new.
            if let Shape::Map(schema) = shape(schema, old) {
                compare_fields(schema, Some(old), None, path, out);
            }
            if let Shape::Map(schema) = shape(schema, new) {
                compare_fields(schema, None, Some(new), path, out);
            }
        }
    }
}

fn compare_fields(
    schema: Option<&Schema>,
    old: Option<&Value>,
    new: Option<&Value>,
    path: &mut Vec<String>,
    out: &mut Comparison,
) {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    let old = old.and_then(Value::as_object).unwrap_or(&NONE);
    let new = new.and_then(Value::as_object).unwrap_or(&NONE);
    let gone = old.keys().filter(|name| !new.contains_key(*name));
    for name in new.keys().chain(gone) {
        let (old, new) = (old.get(name), new.get(name));
        if old != new {
            path.push(field_element(name));
            compare_at(field(schema, name), old, new, path, out);
            path.pop();
        }
    }
}

/// The items of a granular list by their element. Lists that were stored before they had keys may hold several.
pub(super) fn by_element<'v>(list: &Schema, value: Option<&'v Value>) -> BTreeMap<String, Vec<&'v Value>> {
    let mut items: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for item in value.and_then(Value::as_array).into_iter().flatten() {
        if let Some(element) = item_element(list, item) {
            items.entry(element).or_default().push(item);
        }
    }
    items
}

fn compare_items(
    list: &Schema,
    old: Option<&Value>,
    new: Option<&Value>,
    path: &mut Vec<String>,
    out: &mut Comparison,
) {
    let (old, new) = (by_element(list, old), by_element(list, new));
    let gone = old.keys().filter(|element| !new.contains_key(*element));
    for element in new.keys().chain(gone) {
        let none = Vec::new();
        let (old, new) = (old.get(element).unwrap_or(&none), new.get(element).unwrap_or(&none));
        path.push(element.clone());
        match (old.as_slice(), new.as_slice()) {
            (old, new) if old == new => {}
            (old @ ([] | [_]), new @ ([] | [_])) => {
                compare_at(list.items(), old.first().copied(), new.first().copied(), path, out);
            }
            ([], _) => out.added.insert(path),
            (_, []) => out.removed.insert(path),
            _ => out.modified.insert(path),
        }
        path.pop();
    }
}

/// What is wrong with an applied body, in the words of upstream's typed values.
pub(super) fn faults(schema: &Schema, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(Some(schema), value, &mut String::new(), &mut faults);
    faults
}

fn check(schema: Option<&Schema>, value: &Value, path: &mut String, faults: &mut Vec<String>) {
    let Some(schema) = schema else { return };
    let wanted = match (schema.kind, value) {
        (_, Value::Null) | (Type::Any, Value::Bool(_) | Value::Number(_) | Value::String(_)) => return,
        (Type::Object | Type::Any, Value::Object(fields)) => {
            return check_fields(schema, fields, path, faults);
        }
        (Type::Array | Type::Any, Value::Array(items)) => return check_items(schema, items, path, faults),
        (Type::String | Type::IntOrString, Value::String(_)) | (Type::Boolean, Value::Bool(_)) => return,
        (Type::Integer | Type::Number | Type::IntOrString, Value::Number(_)) => return,
        (Type::Object, _) => "map",
        (Type::Array, _) => "list",
        (Type::String | Type::IntOrString, _) => "string",
        (Type::Boolean, _) => "boolean",
        (Type::Integer | Type::Number, _) => "numeric (int or float)",
    };
    faults.push(format!("{path}: expected {wanted}, got &value.valueUnstructured{{Value:{value}}}"));
}

fn check_fields(schema: &Schema, fields: &Map<String, Value>, path: &mut String, faults: &mut Vec<String>) {
    for (name, value) in fields {
        let length = path.len();
        push_element(path, &field_element(name));
        match schema.child(name) {
            Some(child) => check(Some(child), value, path, faults),
            None if schema.preserve_unknown || schema.kind == Type::Any => {}
            None => faults.push(format!("{path}: field not declared in schema")),
        }
        path.truncate(length);
    }
}

fn check_items(schema: &Schema, items: &[Value], path: &mut String, faults: &mut Vec<String>) {
    let mut seen = std::collections::BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let element = item_element(schema, item);
        let length = path.len();
        match (&schema.list_type, &element) {
            (ListType::Atomic, _) => push_element(path, &format!("i:{index}")),
            (_, Some(element)) => {
                if !seen.insert(element.clone()) {
                    let mut key = String::new();
                    push_element(&mut key, element);
                    faults.push(format!("{path}: duplicate entries for key {key}"));
                }
                push_element(path, element);
            }
            (ListType::Map(keys), None) => {
                let keys: Vec<String> = keys.iter().map(|key| crate::schema::quoted(key)).collect();
                let why = match item {
                    Value::Object(_) => format!(
                        "associative list with keys has an element that omits all key fields [{}] (and doesn't have \
                         default values for any key fields)",
                        keys.join(" ")
                    ),
                    Value::Null => "associative list with keys may not have a null element".to_owned(),
                    _ => "associative list with keys may not have non-map elements".to_owned(),
                };
                faults.push(format!("{path}: element {index}: {why}"));
                continue;
            }
            (ListType::Set, None) => {
                let why = "associative list without keys has an element that's not a scalar";
                faults.push(format!("{path}: element {index}: {why}"));
                continue;
            }
        }
        check(schema.items(), item, path, faults);
        path.truncate(length);
    }
}
