//! Validation against a schema, with ratcheting: on update an unchanged value is not refused
//! (`spec/apiserver.md` 13.3, 13.4).

use super::checks::is_integer;
use super::{FieldError, ListType, Path, Schema, Type, names, rules};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// Most errors of one object that are told; nobody reads more, and a body can hold a million.
const ERROR_LIMIT: usize = 1_000;

impl Schema {
    /// Checks the object; with `old` (an update) errors of unchanged values are dropped (13.4) and transition rules
    /// run (13.5).
    pub fn validate(&self, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let mut errors = self.validate_structure(object, old, &Path::Root);
        errors.truncate(ERROR_LIMIT);
        if self.has_rules {
            if errors.is_empty() {
                rules::check(self, object, old, &mut errors);
            } else if errors.iter().any(rules::prevents) {
                errors.push(rules::unchecked());
            } else {
                rules::check(self, object, old, &mut errors);
            }
        }
        errors
    }

    pub(crate) fn validate_structure(
        &self,
        object: &Value,
        old: Option<&Value>,
        path: &Path<'_>,
    ) -> Vec<FieldError> {
        let mut errors = Vec::new();
        visit(self, object, old, path, &mut errors);
        errors
    }
}

fn visit(schema: &Schema, value: &Value, old: Option<&Value>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if !fits(schema, value) {
        refuse_type(schema, value, path, errors);
        return;
    }
    if value.is_null() || old == Some(value) {
        return;
    }
    if let Some(checks) = &schema.checks {
        checks.check(value, path, errors);
    }
    match value {
        Value::Object(fields) => visit_fields(schema, fields, old, path, errors),
        Value::Array(items) => visit_items(schema, items, old, path, errors),
        _ => {}
    }
}

fn fits(schema: &Schema, value: &Value) -> bool {
    match (schema.kind, value) {
        (Type::Any, _) => true,
        (_, Value::Null) => schema.nullable,
        (Type::Object, Value::Object(_)) | (Type::Array, Value::Array(_)) => true,
        (Type::String | Type::IntOrString, Value::String(_)) => true,
        (Type::Boolean, Value::Bool(_)) | (Type::Number, Value::Number(_)) => true,
        (Type::Integer | Type::IntOrString, Value::Number(_)) => is_integer(value),
        _ => false,
    }
}

fn refuse_type(schema: &Schema, value: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let found = Value::from(match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) if is_integer(value) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    });
    let wanted = match schema.kind {
        Type::Any => "any",
        Type::Object => "object",
        Type::Array => "array",
        Type::String => "string",
        Type::Integer => "integer",
        Type::Number => "number",
        Type::Boolean => "boolean",
        Type::IntOrString => "integer,string",
    };
    let detail = format!("{path} in body must be of type {wanted}: {found}");
    errors.push(FieldError::wrong_type(path, &found, detail));
    if schema.kind == Type::Integer && value.is_number() {
        let detail = format!("Checked value must be of type integer (default format) in {path}");
        errors.push(FieldError::invalid_str("", "", detail));
    }
}

fn visit_fields(
    schema: &Schema,
    fields: &Map<String, Value>,
    old: Option<&Value>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    if schema.resource && !matches!(path, Path::Root) {
        check_embedded(fields, path, errors);
    }
    for (name, value) in fields {
        if let Some(child) = schema.child(name) {
            visit(child, value, old.and_then(|old| old.get(name)), &path.field(name), errors);
        }
    }
}

/// An embedded resource needs to say what it is, and its labels must be labels (13.3).
fn check_embedded(fields: &Map<String, Value>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for name in ["apiVersion", "kind"] {
        if fields.get(name).and_then(Value::as_str).is_none_or(str::is_empty) {
            errors.push(FieldError::required(path.field(name), "must not be empty"));
        }
    }
    let labels =
        fields.get("metadata").and_then(|metadata| metadata.get("labels")).and_then(Value::as_object);
    let metadata = path.field("metadata");
    let place = metadata.field("labels");
    for (key, value) in labels.into_iter().flatten() {
        let text = value.as_str().unwrap_or_default();
        for fault in names::qualified_name(key) {
            errors.push(FieldError::invalid_str(place, key, fault));
        }
        for fault in names::label_value(text) {
            errors.push(FieldError::invalid_str(place, text, fault));
        }
    }
}

fn visit_items(
    schema: &Schema,
    items: &[Value],
    old: Option<&Value>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    check_unique(schema, items, path, errors);
    let Some(child) = schema.items() else { return };
    let past = Past::of(schema, old);
    for (index, item) in items.iter().enumerate() {
        visit(child, item, past.item(schema, item), &path.index(index), errors);
    }
}

/// The old items of a list with keys, by key. Items of atomic lists and sets have no past of their own.
pub(crate) struct Past<'o>(HashMap<String, &'o Value>);

impl<'o> Past<'o> {
    pub(crate) fn of(schema: &Schema, old: Option<&'o Value>) -> Self {
        let items = old.and_then(Value::as_array).into_iter().flatten();
        let keyed = items.filter_map(|item| Some((key_text(schema, item)?, item)));
        // Of several with one key the first counts.
        Past(keyed.collect::<Vec<_>>().into_iter().rev().collect())
    }

    /// The old item with the key of this one.
    pub(crate) fn item(&self, schema: &Schema, item: &Value) -> Option<&'o Value> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&key_text(schema, item)?).copied()
    }
}

/// What tells an item of a list with keys from the others.
fn key_text(schema: &Schema, item: &Value) -> Option<String> {
    let ListType::Map(keys) = &schema.list_type else { return None };
    let mut text = String::new();
    for key in keys {
        if let Some(value) = key_value(schema, item, key) {
            text += &value.to_string();
        }
        text.push('\n');
    }
    Some(text)
}

/// The value of a key field of a list item; the default of the field counts when it is absent.
pub(crate) fn key_value<'v>(schema: &'v Schema, item: &'v Value, key: &str) -> Option<&'v Value> {
    item.get(key).or_else(|| schema.items()?.property(key)?.default.as_ref())
}

fn check_unique(schema: &Schema, items: &[Value], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    match &schema.list_type {
        ListType::Atomic => {}
        ListType::Set => {
            for (index, item) in items.iter().enumerate() {
                if !seen.insert(item.to_string()) {
                    errors.push(FieldError::duplicate(path.index(index), item));
                }
            }
        }
        ListType::Map(keys) => {
            for (index, item) in items.iter().enumerate() {
                let mut key = Map::new();
                for name in keys {
                    if let Some(value) = key_value(schema, item, name) {
                        key.insert(name.clone(), value.clone());
                    }
                }
                let key = Value::Object(key);
                if !seen.insert(key.to_string()) {
                    errors.push(FieldError::duplicate(path.index(index), &key));
                }
            }
        }
    }
}
