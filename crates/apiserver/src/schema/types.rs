//! A first look at a decoded body: do the JSON types fit the kind at all (`spec/apiserver.md` 4.4)?

use super::{Path, Schema, Type};
use serde_json::Value;

/// A value whose JSON type does not fit. The text follows Go's decoder, whose words clients show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("json: cannot unmarshal {found} into Go struct field {kind}.{path} of type {expected}")]
pub struct TypeMismatch {
    /// The kind of the object.
    pub kind: String,
    /// The path of the field.
    pub path: String,
    /// The JSON type that came.
    pub found: &'static str,
    /// The Go type that was wanted.
    pub expected: String,
}

impl Schema {
    /// Checks the JSON types of the object; null fits everywhere, as it does in Go.
    pub fn check_types(&self, kind: &str, object: &Value) -> Result<(), TypeMismatch> {
        check(self, object, &Path::Root).map_err(|(path, found, expected)| TypeMismatch {
            kind: kind.to_owned(),
            path,
            found,
            expected,
        })
    }
}

fn check(schema: &Schema, value: &Value, path: &Path<'_>) -> Result<(), (String, &'static str, String)> {
    match value {
        Value::Object(fields) if matches!(schema.kind, Type::Object | Type::Any) => {
            fields.iter().try_for_each(|(name, value)| match schema.child(name) {
                Some(child) => check(child, value, &path.field(name)),
                None => Ok(()),
            })
        }
        Value::Array(items) if matches!(schema.kind, Type::Array | Type::Any) => match schema.items() {
            // Go's decoder names the field of a list, never the position.
            Some(schema) => items.iter().try_for_each(|item| check(schema, item, path)),
            None => Ok(()),
        },
        Value::Null => Ok(()),
        scalar if fits(schema.kind, scalar) => Ok(()),
        other => Err((path.to_string(), found(other), go_type(schema))),
    }
}

fn fits(kind: Type, value: &Value) -> bool {
    match kind {
        Type::Any => true,
        Type::String => value.is_string(),
        Type::Boolean => value.is_boolean(),
        Type::Number => value.is_number(),
        Type::Integer => super::checks::is_integer(value),
        Type::IntOrString => value.is_string() || super::checks::is_integer(value),
        Type::Object | Type::Array => false,
    }
}

fn found(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn go_type(schema: &Schema) -> String {
    match schema.kind {
        Type::Any => "interface {}".to_owned(),
        Type::String => "string".to_owned(),
        Type::Boolean => "bool".to_owned(),
        Type::Number => "float64".to_owned(),
        Type::Integer => "int64".to_owned(),
        Type::IntOrString => "intstr.IntOrString".to_owned(),
        Type::Array => format!("[]{}", schema.items().map_or_else(|| "interface {}".to_owned(), go_type)),
        Type::Object => match &schema.additional {
            Some(values) => format!("map[string]{}", go_type(values)),
            None => "struct".to_owned(),
        },
    }
}
