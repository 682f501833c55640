//! Rules of `metadata` that hold for all kinds (spec/apiserver.md 9.2).

use serde_json::Value;

use crate::kinds::Kind;
use crate::object::Object;
use crate::schema::{FieldError, FieldReason, names};

/// All annotations of one object together.
const ANNOTATION_BYTES: usize = 256 * 1_024;

/// What is wrong with an object's metadata; the name is only checked at creation.
pub(super) fn check(kind: &Kind, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let metadata = object.metadata();
    let mut errors = Vec::new();
    if old.is_none() {
        errors.extend(check_name(kind, object.name()));
    }
    check_labels(&metadata["labels"], &mut errors);
    check_annotations(&metadata["annotations"], &mut errors);
    check_owners(object.owner_references(), &mut errors);
    if kind.custom().is_none() {
        check_finalizers(object, &mut errors);
    }
    errors
}

fn invalid(path: impl Into<String>, value: &str, detail: &str) -> FieldError {
    let message = format!("Invalid value: {value:?}: {detail}");
    FieldError { path: path.into(), reason: FieldReason::Invalid, message }
}

fn check_name(kind: &Kind, name: &str) -> Vec<FieldError> {
    let problems = match (kind.group.as_str(), kind.kind.as_str()) {
        ("rbac.authorization.k8s.io", _) => names::path_segment(name),
        ("", "Namespace" | "Service") => names::dns_label(name),
        _ => names::dns_subdomain(name),
    };
    problems.iter().map(|problem| invalid("metadata.name", name, problem)).collect()
}

fn check_labels(labels: &Value, errors: &mut Vec<FieldError>) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        errors.extend(names::qualified_name(key).iter().map(|problem| invalid("metadata.labels", key, problem)));
        errors.extend(names::label_value(value).iter().map(|problem| invalid("metadata.labels", value, problem)));
    }
}

fn check_annotations(annotations: &Value, errors: &mut Vec<FieldError>) {
    let mut size = 0;
    for (key, value) in annotations.as_object().into_iter().flatten() {
        // Upstream compares keys in lower case here.
        let problems = names::qualified_name(&key.to_lowercase());
        errors.extend(problems.iter().map(|problem| invalid("metadata.annotations", key, problem)));
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > ANNOTATION_BYTES {
        errors.push(FieldError {
            path: "metadata.annotations".to_owned(),
            reason: FieldReason::TooLong,
            message: format!("Too long: may not be more than {ANNOTATION_BYTES} bytes"),
        });
    }
}

fn check_owners(owners: &[Value], errors: &mut Vec<FieldError>) {
    for owner in owners {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner[field].as_str().unwrap_or_default().is_empty() {
                errors.push(invalid(format!("metadata.ownerReferences.{field}"), "", "must not be empty"));
            }
        }
        if owner["apiVersion"] == "v1" && owner["kind"] == "Event" {
            let text = "/v1, Kind=Event is disallowed from being an owner";
            errors.push(invalid("metadata.ownerReferences", "", text));
        }
    }
    let controllers: Vec<&str> = owners
        .iter()
        .filter(|owner| owner["controller"] == true)
        .filter_map(|owner| owner["name"].as_str())
        .collect();
    if controllers.len() > 1 {
        let detail = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references for {}",
            controllers.join(" and ")
        );
        errors.push(FieldError {
            path: "metadata.ownerReferences".to_owned(),
            reason: FieldReason::Invalid,
            message: format!("Invalid value: {}: {detail}", Value::Array(owners.to_vec())),
        });
    }
}

fn check_finalizers(object: &Value, errors: &mut Vec<FieldError>) {
    const STANDARD: [&str; 3] = ["orphan", "foregroundDeletion", "kubernetes"];
    for finalizer in object.finalizers() {
        let problems = names::qualified_name(finalizer);
        errors.extend(problems.iter().map(|problem| invalid("metadata.finalizers", finalizer, problem)));
        if problems.is_empty() && !finalizer.contains('/') && !STANDARD.contains(&finalizer) && !is_domain(finalizer)
        {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            errors.push(invalid("metadata.finalizers[0]", finalizer, detail));
        }
    }
}

/// Definitions carry a finalizer that is a domain without a path.
fn is_domain(finalizer: &str) -> bool {
    finalizer == super::delete::CRD_CLEANUP
}
