//! From a proposed object to the one that is stored: what the client may not
//! change is put back, unknown fields go, defaults come, ownership is recorded,
//! rules are checked. Pure.

use serde_json::{Map, Value, json};

use crate::apply::{self, Writer};
use crate::builtin::GenerationPolicy;
use crate::http::status::ApiError;
use crate::kinds::Kind;
use crate::object::Object;
use crate::schema::{FieldError, FieldReason};

/// The path a write comes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Main,
    Status,
    Scale,
    /// `/finalize` of a Namespace.
    Finalize,
}

impl Door {
    pub(super) fn subresource(self) -> &'static str {
        match self {
            Self::Main => "",
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Finalize => "finalize",
        }
    }
}

/// Fields of `metadata` that only the server sets.
const SERVER_FIELDS: [&str; 7] = [
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// Computes the state to store from a proposal that holds no unknown fields.
/// Without a `writer` managedFields stay as proposed.
pub(super) fn settle(
    kind: &Kind,
    live: &Value,
    proposed: Value,
    door: Door,
    writer: Option<&Writer<'_>>,
) -> Result<Value, ApiError> {
    let invalid = |errors: &[FieldError]| ApiError::invalid(&kind.group, &kind.kind, live.name(), errors);
    check_immutable(live, &proposed).map_err(|error| invalid(&[error]))?;
    let mut object = match door {
        Door::Main | Door::Scale => main_door(kind, live, proposed),
        Door::Status => status_door(kind, live, &proposed, writer.is_none()),
        Door::Finalize => finalize_door(live, &proposed),
    };
    restore_metadata(live, &mut object);
    // The defaults of a Namespace put back what only this door may change.
    if door != Door::Finalize {
        kind.fill_defaults(&mut object, Some(live), writer.is_none());
    }
    if counts(kind, live, &object) {
        let generation = live["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
        object.set_metadata("generation", json!(generation));
    }
    if let Some(writer) = writer {
        apply::track_update(kind.schema(), Some(live), &mut object, writer);
    }
    let mut errors = kind.check(&object, Some(live));
    errors.extend(new_finalizers(live, &object));
    if errors.is_empty() { Ok(object) } else { Err(invalid(&errors)) }
}

fn check_immutable(live: &Value, proposed: &Value) -> Result<(), FieldError> {
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "uid"] {
        let (old, new) = (&live["metadata"][field], &proposed["metadata"][field]);
        let absent = new.is_null() || new == "";
        if !absent && old != new {
            return Err(FieldError {
                path: format!("metadata.{field}"),
                reason: FieldReason::Invalid,
                message: format!("Invalid value: {new}: field is immutable"),
            });
        }
    }
    Ok(())
}

fn main_door(kind: &Kind, live: &Value, mut proposed: Value) -> Value {
    if kind.status {
        take(&mut proposed, live, "status");
    }
    proposed
}

/// Only the status counts; built-in kinds also let some metadata through
/// (spec/apiserver.md 9.4).
fn status_door(kind: &Kind, live: &Value, proposed: &Value, owned: bool) -> Value {
    let mut object = live.clone();
    take(&mut object, proposed, "status");
    let mut through: Vec<&str> = Vec::new();
    if kind.custom().is_none() {
        through.extend(["annotations", "finalizers"]);
        if kind.is("", "Service") || kind.is("", "Namespace") {
            through.push("labels");
        }
    }
    if owned {
        through.push("managedFields");
    }
    for field in through {
        copy_metadata(&mut object, proposed, field);
    }
    object
}

fn finalize_door(live: &Value, proposed: &Value) -> Value {
    let mut object = live.clone();
    let finalizers = proposed["spec"]["finalizers"].as_array().cloned().unwrap_or_default();
    object["spec"]["finalizers"] = Value::Array(finalizers);
    object
}

/// Makes `field` of `object` the same as in `source`.
fn take(object: &mut Value, source: &Value, field: &str) {
    match (source.get(field), object.as_object_mut()) {
        (Some(value), Some(map)) => drop(map.insert(field.to_owned(), value.clone())),
        (None, Some(map)) => drop(map.shift_remove(field)),
        (_, None) => {}
    }
}

fn copy_metadata(object: &mut Value, source: &Value, field: &str) {
    match source["metadata"].get(field) {
        Some(value) => object.set_metadata(field, value.clone()),
        None => object.remove_metadata(field),
    }
}

fn restore_metadata(live: &Value, object: &mut Value) {
    for field in SERVER_FIELDS.into_iter().chain(["resourceVersion"]) {
        copy_metadata(object, live, field);
    }
    object.remove_metadata("selfLink");
    drop_empty(object.metadata_mut());
}

/// Empty lists and maps of metadata are not stored, as Go clients never send them back.
pub(super) fn drop_empty(metadata: &mut Map<String, Value>) {
    for field in ["labels", "annotations", "finalizers", "ownerReferences"] {
        let empty = match metadata.get(field) {
            Some(Value::Null) => true,
            Some(Value::Object(map)) => map.is_empty(),
            Some(Value::Array(list)) => list.is_empty(),
            _ => false,
        };
        if empty {
            metadata.shift_remove(field);
        }
    }
}

fn counts(kind: &Kind, live: &Value, object: &Value) -> bool {
    let annotations = || live["metadata"]["annotations"] != object["metadata"]["annotations"];
    match kind.generation() {
        GenerationPolicy::None => false,
        GenerationPolicy::Spec => content_differs(kind, live, object),
        GenerationPolicy::SpecAndAnnotations => content_differs(kind, live, object) || annotations(),
    }
}

fn content_differs(kind: &Kind, live: &Value, object: &Value) -> bool {
    let counted = |key: &str| match key {
        "apiVersion" | "kind" | "metadata" => false,
        "status" => !kind.status,
        _ => true,
    };
    let keys = |value: &Value| -> Vec<String> {
        value.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
    };
    let mut all = keys(live);
    all.extend(keys(object));
    all.iter().any(|key| counted(key) && live.get(key) != object.get(key))
}

fn new_finalizers(live: &Value, object: &Value) -> Option<FieldError> {
    if !live.is_deleting() {
        return None;
    }
    let old = live.finalizers();
    let new: Vec<&str> =
        object.finalizers().into_iter().filter(|finalizer| !old.contains(finalizer)).collect();
    (!new.is_empty()).then(|| FieldError {
        path: "metadata.finalizers".to_owned(),
        reason: FieldReason::Forbidden,
        message: format!(
            "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers \
             []string{{{}}}",
            new.iter().map(|finalizer| format!("{finalizer:?}")).collect::<Vec<_>>().join(", ")
        ),
    })
}
