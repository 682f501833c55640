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

impl TypeMismatch {
    /// The JSON type of a value as Go's decoder names it.
    pub(crate) fn go_name(value: &Value) -> &'static str {
        match value {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        }
    }
}

impl Schema {
    /// Checks the JSON types of the object; null fits everywhere, as it does in Go.
    pub fn check_types(&self, kind: &str, object: &Value) -> Result<(), TypeMismatch> {
        check(self, object, &Path::Root).map_err(|fault| fault.of(kind))
    }

    /// Checks the three fields every object has, and nothing else.
    pub fn check_metadata_types(&self, kind: &str, object: &Value) -> Result<(), TypeMismatch> {
        for name in ["apiVersion", "kind", "metadata"] {
            if let (Some(schema), Some(value)) = (self.property(name), object.get(name)) {
                check(schema, value, &Path::Root.field(name)).map_err(|fault| fault.of(kind))?;
            }
        }
        Ok(())
    }
}

/// A mismatch before it is known of which kind.
struct Fault {
    path: String,
    found: &'static str,
    expected: String,
}

impl Fault {
    fn of(self, kind: &str) -> TypeMismatch {
        TypeMismatch { kind: kind.to_owned(), path: self.path, found: self.found, expected: self.expected }
    }
}

fn check(schema: &Schema, value: &Value, path: &Path<'_>) -> Result<(), Fault> {
    match value {
        Value::Object(fields) if matches!(schema.kind, Type::Object | Type::Any) => {
            fields.iter().try_for_each(|(name, value)| match (schema.property(name), &schema.additional) {
                (Some(child), _) => check(child, value, &path.field(name)),
                // Go's decoder names the field of a map or list, never the key or the position.
                (None, Some(values)) => check(values, value, path),
                (None, None) => Ok(()),
            })
        }
        Value::Array(items) if matches!(schema.kind, Type::Array | Type::Any) => match schema.items() {
            Some(schema) => items.iter().try_for_each(|item| check(schema, item, path)),
            None => Ok(()),
        },
        Value::Null => Ok(()),
        scalar if fits(schema.kind, scalar) => Ok(()),
        other => Err(Fault {
            path: path.to_string(),
            found: TypeMismatch::go_name(other),
            expected: go_type(schema),
        }),
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
