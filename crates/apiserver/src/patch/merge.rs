//! RFC 7386: null deletes, objects merge, everything else replaces.

use super::PatchError;
use serde_json::{Map, Value};

/// Applies a merge patch in place; the patch must be an object (`null` is one without members).
pub fn merge_patch(target: &mut Value, patch: &Value) -> Result<(), PatchError> {
    let found = match patch {
        Value::Object(_) => {
            merge(target, patch);
            return Ok(());
        }
        Value::Null => return Ok(()),
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
    };
    Err(PatchError::Malformed(format!(
        "json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
    )))
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else { return };
    for (name, value) in members {
        match (value, fields.get_mut(name)) {
            (Value::Null, _) => {
                fields.shift_remove(name);
            }
            (_, Some(present)) => merge(present, value),
            (_, None) => {
                let mut fresh = Value::Null;
                merge(&mut fresh, value);
                fields.insert(name.clone(), fresh);
            }
        }
    }
}
