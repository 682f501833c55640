//! The rules of `metadata`, for built-in kinds and custom resources alike (`spec/apiserver.md` 9.2, 9.3).

use crate::schema::{FieldError, names};
use serde_json::{Value, json};

/// Most bytes of all annotations of an object together.
pub const ANNOTATIONS_LIMIT: usize = 256 * 1024;

/// What the name of an object must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameRule {
    /// A DNS subdomain (most kinds).
    Subdomain,
    /// A DNS label (Namespace, Service).
    Label,
    /// Anything that fits into one path segment (RBAC kinds).
    PathSegment,
}

impl NameRule {
    /// What is wrong with a name.
    pub fn faults(self, name: &str) -> Vec<String> {
        match self {
            NameRule::Subdomain => names::dns_subdomain(name),
            NameRule::Label => names::dns_label(name),
            NameRule::PathSegment => names::path_segment(name),
        }
    }
}

/// Checks metadata: name, labels, annotations, owners, finalizers and, with `old`, what may not change. `custom` says
/// that the object is a custom resource, whose finalizers need no domain.
pub fn validate_metadata(
    object: &Value,
    old: Option<&Value>,
    rule: NameRule,
    custom: bool,
) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let metadata = &object["metadata"];
    check_name(metadata, rule, &mut errors);
    check_labels(metadata, &mut errors);
    check_annotations(metadata, &mut errors);
    check_owners(metadata, &mut errors);
    check_finalizers(metadata, custom, &mut errors);
    if let Some(old) = old {
        check_change(metadata, &old["metadata"], &mut errors);
    }
    errors
}

fn check_name(metadata: &Value, rule: NameRule, errors: &mut Vec<FieldError>) {
    let Some(name) = metadata["name"].as_str().filter(|name| !name.is_empty()) else {
        errors.push(FieldError::required("metadata.name", "name or generateName is required"));
        return;
    };
    for fault in rule.faults(name) {
        errors.push(FieldError::invalid_str("metadata.name", name, fault));
    }
}

fn check_labels(metadata: &Value, errors: &mut Vec<FieldError>) {
    for (key, value) in metadata["labels"].as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        for fault in names::qualified_name(key) {
            errors.push(FieldError::invalid_str("metadata.labels", key, fault));
        }
        for fault in names::label_value(value) {
            errors.push(FieldError::invalid_str("metadata.labels", value, fault));
        }
    }
}

fn check_annotations(metadata: &Value, errors: &mut Vec<FieldError>) {
    let mut size = 0;
    for (key, value) in metadata["annotations"].as_object().into_iter().flatten() {
        size += key.len() + value.as_str().map_or(0, str::len);
        for fault in names::qualified_name(&key.to_lowercase()) {
            errors.push(FieldError::invalid_str("metadata.annotations", key, fault));
        }
    }
    if size > ANNOTATIONS_LIMIT {
        errors.push(FieldError::too_long("metadata.annotations", ANNOTATIONS_LIMIT));
    }
}

fn check_owners(metadata: &Value, errors: &mut Vec<FieldError>) {
    let owners = metadata["ownerReferences"].as_array().map_or(&[][..], Vec::as_slice);
    let mut controllers = Vec::new();
    for owner in owners {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner[field].as_str().is_none_or(str::is_empty) {
                let path = format!("metadata.ownerReferences.{field}");
                errors.push(FieldError::invalid_str(path, "", "must not be empty"));
            }
        }
        let (version, kind) = (owner["apiVersion"].as_str().unwrap_or_default(), owner["kind"].as_str());
        if kind == Some("Event") && ["v1", "events.k8s.io/v1"].contains(&version) {
            let group = if version == "v1" { "/v1" } else { version };
            let detail = format!("{group}, Kind=Event is disallowed from being an owner");
            errors.push(FieldError::invalid("metadata.ownerReferences", owner, detail));
        }
        if owner["controller"] == true {
            controllers.push(owner["name"].as_str().unwrap_or_default());
        }
    }
    if let [first, second, ..] = controllers.as_slice() {
        let detail = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {second}"
        );
        errors.push(FieldError::invalid("metadata.ownerReferences", &json!(owners), detail));
    }
}

fn check_finalizers(metadata: &Value, custom: bool, errors: &mut Vec<FieldError>) {
    const OWN: &[&str] = &["orphan", "foregroundDeletion", "kubernetes"];
    for finalizer in metadata["finalizers"].as_array().into_iter().flatten() {
        let name = finalizer.as_str().unwrap_or_default();
        for fault in names::qualified_name(name) {
            errors.push(FieldError::invalid_str("metadata.finalizers", name, fault));
        }
        if !custom && !name.contains('/') && !OWN.contains(&name) {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            errors.push(FieldError::invalid_str("metadata.finalizers", name, detail));
        }
    }
}

fn check_change(metadata: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    for field in ["name", "namespace", "uid", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        // Left out, a field keeps its value.
        if !metadata[field].is_null() && metadata[field] != old[field] {
            errors.push(FieldError::invalid(
                format!("metadata.{field}"),
                &metadata[field],
                "field is immutable",
            ));
        }
    }
    if old["deletionTimestamp"].is_null() {
        return;
    }
    let before = old["finalizers"].as_array().map_or(&[][..], Vec::as_slice);
    let mut new: Vec<&str> = metadata["finalizers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|finalizer| !before.contains(finalizer))
        .filter_map(Value::as_str)
        .collect();
    new.sort_unstable();
    if !new.is_empty() {
        let listed: Vec<String> = new.iter().map(|name| format!("{name:?}")).collect();
        let detail = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            listed.join(", ")
        );
        errors.push(FieldError::forbidden("metadata.finalizers", detail));
    }
}
