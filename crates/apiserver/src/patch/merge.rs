//! RFC 7386: null deletes, objects merge, everything else replaces.

use super::PatchError;
use crate::schema::TypeMismatch;
use serde_json::{Map, Value};

/// Applies a merge patch in place; the patch must be an object (`null` is one without members).
pub fn merge_patch(target: &mut Value, patch: &Value) -> Result<(), PatchError> {
    match patch {
        Value::Object(_) => {
            merge(target, patch);
            return Ok(());
        }
        Value::Null => return Ok(()),
        _ => {}
    }
    let found = TypeMismatch::go_name(patch);
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
    remove_nulls(fields, members);
    for (name, value) in members {
        match (value, fields.get_mut(name)) {
            (Value::Null, _) => {}
            (_, Some(present)) => merge(present, value),
            (_, None) => {
                let mut fresh = Value::Null;
                merge(&mut fresh, value);
                fields.insert(name.clone(), fresh);
            }
        }
    }
}

/// Removes every field that the patch says is null, in one pass: taking them out one by one would move all that stand
/// behind, each time.
pub(super) fn remove_nulls(fields: &mut Map<String, Value>, patch: &Map<String, Value>) {
    if patch.values().any(Value::is_null) {
        fields.retain(|name, _| !patch.get(name).is_some_and(Value::is_null));
    }
}
