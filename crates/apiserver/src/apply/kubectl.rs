//! The way from client-side to server-side apply, for the manager `kubectl` only (`spec/apiserver.md` 12.6).

use super::set::FieldSet;
use super::typed::{compare, specified};
use crate::schema::Schema;
use serde_json::{Map, Value};

/// The field manager of `kubectl apply --server-side`.
pub(super) const MANAGER: &str = "kubectl";
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

fn last_applied(object: &Value) -> Option<&str> {
    object.get("metadata")?.get("annotations")?.get(ANNOTATION)?.as_str()
}

/// The fields of the last client-side apply whose values still are the live ones: no conflict in these counts.
pub(super) fn unchanged_since_client_side(schema: &Schema, live: &Value) -> FieldSet {
    let applied: Option<Value> = last_applied(live).and_then(|text| serde_json::from_str(text).ok());
    let Some(applied) = applied.filter(|applied| applied.get("apiVersion") == live.get("apiVersion")) else {
        return FieldSet::default();
    };
    let fields = specified(Some(schema), &applied);
    let comparison = compare(schema, live, &applied);
    fields.difference(&comparison.changed())
}

/// Rewrites an existing annotation to the body applied now: compact JSON, keys sorted, a newline.
pub(super) fn refresh_annotation(object: &mut Value, applied: &Value) {
    if last_applied(object).is_none() {
        return;
    }
    let text = format!("{}\n", sorted(applied));
    object["metadata"]["annotations"][ANNOTATION] = Value::String(text);
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort();
            let pairs = names.into_iter().map(|name| (name.clone(), sorted(&fields[name])));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        scalar => scalar.clone(),
    }
}
