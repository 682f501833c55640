//! Event: one object in two shapes, that of the core group and that of `events.k8s.io` (`spec/apiserver.md` 14).

use crate::schema::FieldError;
use serde_json::{Map, Value, json};

/// Field names that differ: core group, `events.k8s.io`.
const RENAMED: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// The event in the shape of the core group, with the fields such an answer always holds.
pub fn to_core(event: &Value) -> Value {
    let mut core =
        renamed(event, "v1", |name| RENAMED.iter().find(|(_, new)| *new == name).map(|(core, _)| *core));
    if let Some(fields) = core.as_object_mut() {
        for (name, value) in [
            ("involvedObject", json!({})),
            ("source", json!({})),
            ("firstTimestamp", Value::Null),
            ("lastTimestamp", Value::Null),
            ("eventTime", Value::Null),
            ("reportingComponent", json!("")),
            ("reportingInstance", json!("")),
        ] {
            fields.entry(name).or_insert(value);
        }
    }
    core
}

/// The event in the shape of `events.k8s.io`, with the fields such an answer always holds.
pub fn to_new(event: &Value) -> Value {
    let version = "events.k8s.io/v1";
    let mut new =
        renamed(event, version, |name| RENAMED.iter().find(|(core, _)| *core == name).map(|(_, new)| *new));
    if let Some(fields) = new.as_object_mut() {
        for (name, value) in [
            ("eventTime", Value::Null),
            ("regarding", json!({})),
            ("deprecatedSource", json!({})),
            ("deprecatedFirstTimestamp", Value::Null),
            ("deprecatedLastTimestamp", Value::Null),
        ] {
            fields.entry(name).or_insert(value);
        }
    }
    new
}

fn renamed(event: &Value, version: &str, rename: impl Fn(&str) -> Option<&'static str>) -> Value {
    let mut fields = Map::new();
    for (name, value) in event.as_object().into_iter().flatten() {
        fields.insert(rename(name).unwrap_or(name).to_owned(), value.clone());
    }
    if fields.contains_key("apiVersion") {
        fields.insert("apiVersion".to_owned(), Value::from(version));
    }
    Value::Object(fields)
}

fn check_namespace(object: &Value, involved: &str, errors: &mut Vec<FieldError>) {
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let of_object = object[involved]["namespace"].as_str().unwrap_or_default();
    let fits =
        if of_object.is_empty() { ["", "default"].contains(&namespace) } else { namespace == of_object };
    if !fits {
        let path = format!("{involved}.namespace");
        errors.push(FieldError::invalid_str(path, of_object, "does not match event.namespace"));
    }
}

pub(super) fn validate_core(object: &Value, errors: &mut Vec<FieldError>) {
    check_namespace(object, "involvedObject", errors);
}

pub(super) fn validate_new(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    check_namespace(object, "regarding", errors);
    for field in ["eventTime", "reportingController", "reportingInstance", "action", "reason"] {
        if object[field].as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required(field, ""));
        }
    }
    if !["Normal", "Warning"].contains(&object["type"].as_str().unwrap_or_default()) {
        let shown = object["type"].as_str().unwrap_or_default();
        errors.push(FieldError::invalid_str("type", shown, format!("has invalid value: {shown}")));
    }
    let Some(old) = old else { return };
    for field in [
        "regarding",
        "related",
        "reason",
        "note",
        "type",
        "eventTime",
        "action",
        "reportingController",
        "reportingInstance",
    ] {
        super::check_immutable(object, old, &[field], errors);
    }
}
