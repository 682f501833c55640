//! Pruning: what the schema does not declare goes (`spec/apiserver.md` 13.3).

use super::{Path, Schema, Type};
use serde_json::Value;

impl Schema {
    /// Removes every field the schema does not know and returns their paths (`spec.a[0].b`), in document order.
    pub fn prune(&self, object: &mut Value) -> Vec<String> {
        let mut unknown = Vec::new();
        prune(self, object, &Path::Root, &mut unknown);
        unknown
    }

    /// The paths [`Self::prune`] would remove, with the object left alone.
    pub fn unknown_fields(&self, object: &Value) -> Vec<String> {
        self.prune(&mut object.clone())
    }

    fn keeps_unknown(&self) -> bool {
        self.preserve_unknown || (self.kind == Type::Any && self.properties().is_empty())
    }
}

fn prune(schema: &Schema, value: &mut Value, path: &Path<'_>, unknown: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            if let Some(schema) = schema.items() {
                for (index, item) in items.iter_mut().enumerate() {
                    prune(schema, item, &path.index(index), unknown);
                }
            }
        }
        Value::Object(fields) => {
            let keeps = schema.keeps_unknown();
            let properties = schema.properties();
            if properties.is_empty() && schema.additional.is_none() && keeps {
                return;
            }
            fields.retain(|name, value| match properties.get(name).or(schema.additional.as_deref()) {
                Some(child) => {
                    prune(child, value, &path.field(name), unknown);
                    true
                }
                None if keeps => true,
                None => {
                    unknown.push(path.field(name).to_string());
                    false
                }
            });
        }
        _ => {}
    }
}
