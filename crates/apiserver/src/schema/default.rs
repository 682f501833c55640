//! Defaulting (`spec/apiserver.md` 13.3): missing fields get their default, explicit nulls of fields that may not
//! be null are replaced by it or dropped.

use super::Schema;
use serde_json::Value;

impl Schema {
    /// Fills in defaults; explicit nulls of fields that are not nullable are dropped or replaced (13.3). A null
    /// inside a list stays, for the validation to refuse.
    pub fn default(&self, object: &mut Value) {
        fill(self, object, true);
    }

    /// The same for the result of a server-side apply, where a null without a default stays outside of metadata and
    /// is refused by the validation (`spec/apiserver.md` 12.9, A18).
    pub fn default_keeping_nulls(&self, object: &mut Value) {
        fill(self, object, false);
    }
}

fn fill(schema: &Schema, object: &mut Value, drop_nulls: bool) {
    match object {
        Value::Object(fields) => {
            if let Some(values) = &schema.additional {
                settle_nulls(values, fields, drop_nulls);
            }
            for (name, child) in schema.properties() {
                match (fields.get(name), &child.default) {
                    (None, Some(default)) => {
                        fields.insert(name.clone(), default.clone());
                    }
                    (Some(Value::Null), Some(default)) if !child.nullable => {
                        fields[name] = default.clone();
                    }
                    (Some(Value::Null), None) if !child.nullable && drop_nulls => {
                        fields.shift_remove(name);
                    }
                    _ => {}
                }
            }
            for (name, value) in fields.iter_mut() {
                if let Some(child) = schema.child(name) {
                    fill(child, value, drop_nulls || (schema.resource && name == "metadata"));
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = schema.items() else { return };
            for item in items {
                if let (Value::Null, false, Some(default)) = (&*item, schema.nullable, &schema.default) {
                    *item = default.clone();
                }
                fill(schema, item, drop_nulls);
            }
        }
        _ => {}
    }
}

fn settle_nulls(values: &Schema, fields: &mut serde_json::Map<String, Value>, drop_nulls: bool) {
    if values.nullable || !fields.values().any(Value::is_null) {
        return;
    }
    match &values.default {
        None if drop_nulls => fields.retain(|_, value| !value.is_null()),
        None => {}
        Some(default) => {
            for value in fields.values_mut().filter(|value| value.is_null()) {
                *value = default.clone();
            }
        }
    }
}
