//! Whether a server-side apply would change anything: asked before each, so
//! that a world at rest is not written to.
//!
//! Equal values are not enough. A label that is wanted no more is still there,
//! and only the list of what okra owns tells it from one that somebody else put
//! beside it.

use kube::Resource;
use okra_api::names::FIELD_MANAGER;
use serde::Serialize;
use serde_json::Value;

/// Operation of a managed field entry that apply writes.
const APPLY: &str = "Apply";

/// Whether `live` holds all of `desired`, and okra's own apply put nothing
/// more there. An object that cannot be JSON is never applied.
pub fn is_applied<K: Resource + Serialize>(live: &K, desired: &K) -> bool {
    let (Ok(present), Ok(wanted)) = (serde_json::to_value(live), serde_json::to_value(desired)) else {
        return false;
    };
    let own = live.meta().managed_fields.iter().flatten().find(|entry| {
        entry.manager.as_deref() == Some(FIELD_MANAGER)
            && entry.operation.as_deref() == Some(APPLY)
            && entry.subresource.as_deref().unwrap_or_default().is_empty()
    });
    let Some(fields) = own.and_then(|entry| entry.fields_v1.as_ref()) else { return false };
    covers(&present, &wanted) && is_within(&fields.0, &wanted)
}

/// Whether everything in `wanted` is in `present`. Lists are those of
/// references: each wanted item must be there, in any place.
fn covers(present: &Value, wanted: &Value) -> bool {
    match (present, wanted) {
        (Value::Object(present), Value::Object(wanted)) => {
            wanted.iter().all(|(key, value)| present.get(key).is_some_and(|present| covers(present, value)))
        }
        (Value::Array(present), Value::Array(wanted)) => {
            wanted.iter().all(|item| present.iter().any(|present| covers(present, item)))
        }
        _ => present == wanted,
    }
}

/// Whether every field of a managed field set is in `wanted`.
fn is_within(fields: &Value, wanted: &Value) -> bool {
    let Some(fields) = fields.as_object() else { return true };
    fields.iter().filter(|(key, _)| *key != ".").all(|(key, below)| {
        let found = match key.split_once(':') {
            Some(("f", name)) => wanted.get(name),
            Some(("k", keys)) => serde_json::from_str::<Value>(keys).ok().and_then(|keys| {
                wanted.as_array().and_then(|items| items.iter().find(|item| covers(item, &keys)))
            }),
            // Items of sets, which no object of ours has.
            _ => return true,
        };
        found.is_some_and(|found| is_within(below, found))
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::json;

    use super::*;

    fn object(labels: Value, data: Value, owners: Value, fields: Value) -> ConfigMap {
        serde_json::from_value(json!({
            "metadata": {
                "name": "a", "labels": labels, "ownerReferences": owners,
                "managedFields": [
                    {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:data": {"f:other": {}}}},
                    {"manager": "okra", "operation": "Apply", "fieldsV1": fields},
                ],
            },
            "data": data,
        }))
        .unwrap()
    }

    fn owner(uid: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Namespace", "name": "n", "uid": uid})
    }

    fn live() -> ConfigMap {
        let fields = json!({
            "f:data": {"f:a": {}},
            "f:metadata": {"f:labels": {".": {}, "f:x": {}}, "f:ownerReferences": {"k:{\"uid\":\"1\"}": {}}},
        });
        object(
            json!({"x": "1", "foreign": "2"}),
            json!({"a": "b", "other": "c"}),
            json!([owner("1")]),
            fields,
        )
    }

    fn desired(labels: Value, owners: Value) -> ConfigMap {
        let metadata = json!({"name": "a", "labels": labels, "ownerReferences": owners});
        serde_json::from_value(json!({"metadata": metadata, "data": {"a": "b"}})).unwrap()
    }

    #[test]
    fn what_others_put_beside_ours_is_no_change() {
        assert!(is_applied(&live(), &desired(json!({"x": "1"}), json!([owner("1")]))));
    }

    #[test]
    fn another_value_a_new_field_and_one_wanted_no_more_are_changes() {
        for (labels, owners) in [
            (json!({"x": "2"}), json!([owner("1")])),
            (json!({"x": "1", "y": "1"}), json!([owner("1")])),
            (json!({"foreign": "2"}), json!([owner("1")])),
            (json!({"x": "1"}), json!([owner("2")])),
            (json!({"x": "1"}), json!([])),
        ] {
            assert!(!is_applied(&live(), &desired(labels.clone(), owners)), "{labels}");
        }
    }

    #[test]
    fn what_okra_never_applied_is_not_applied() {
        let mut by_hand = live();
        by_hand.metadata.managed_fields.as_mut().unwrap().pop();
        assert!(!is_applied(&by_hand, &desired(json!({"x": "1"}), json!([owner("1")]))));
    }
}
