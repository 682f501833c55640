//! Roles and bindings (`spec/apiserver.md` 14).

use crate::schema::FieldError;
use serde_json::{Value, json};

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn default(object: &mut Value) {
    for subject in object.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
        let group = match subject["kind"].as_str() {
            Some("User" | "Group") => GROUP,
            _ => continue,
        };
        if let Some(fields) = subject.as_object_mut() {
            super::set_default(fields, "apiGroup", group);
        }
    }
}

pub(super) fn validate(kind: &str, object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    if kind.ends_with("Binding") {
        check_role_reference(kind, object, old, errors);
        check_subjects(kind, object, errors);
    } else {
        check_rules(kind, object, errors);
    }
}

fn check_role_reference(kind: &str, object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let role = &object["roleRef"];
    if role["apiGroup"] != GROUP {
        errors.push(FieldError::not_one_of("roleRef.apiGroup", &role["apiGroup"], &[GROUP]));
    }
    let allowed: &[&str] = if kind == "RoleBinding" { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !role["kind"].as_str().is_some_and(|kind| allowed.contains(&kind)) {
        errors.push(FieldError::not_one_of("roleRef.kind", &role["kind"], allowed));
    }
    if role["name"].as_str().is_none_or(str::is_empty) {
        errors.push(FieldError::required("roleRef.name", ""));
    }
    if old.is_some_and(|old| old["roleRef"] != *role) {
        let shown = json!({"APIGroup": role["apiGroup"], "Kind": role["kind"], "Name": role["name"]});
        errors.push(FieldError::invalid("roleRef", &shown, "cannot change roleRef"));
    }
}

fn check_subjects(kind: &str, object: &Value, errors: &mut Vec<FieldError>) {
    for (index, subject) in object["subjects"].as_array().into_iter().flatten().enumerate() {
        let path = |field: &str| format!("subjects[{index}].{field}");
        if subject["name"].as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required(path("name"), ""));
        }
        let group = subject["apiGroup"].as_str().unwrap_or_default();
        let wanted = match subject["kind"].as_str() {
            Some("ServiceAccount") => {
                if kind == "ClusterRoleBinding" && subject["namespace"].as_str().is_none_or(str::is_empty) {
                    errors.push(FieldError::required(path("namespace"), ""));
                }
                ""
            }
            Some("User" | "Group") => GROUP,
            _ => {
                let kinds = ["Group", "ServiceAccount", "User"];
                errors.push(FieldError::not_one_of(path("kind"), &subject["kind"], &kinds));
                continue;
            }
        };
        if group != wanted {
            errors.push(FieldError::not_one_of(path("apiGroup"), &json!(group), &[wanted]));
        }
    }
}

fn check_rules(kind: &str, object: &Value, errors: &mut Vec<FieldError>) {
    let empty = |value: &Value| value.as_array().is_none_or(Vec::is_empty);
    for (index, rule) in object["rules"].as_array().into_iter().flatten().enumerate() {
        let path = |field: &str| format!("rules[{index}].{field}");
        if empty(&rule["verbs"]) {
            errors.push(FieldError::required(path("verbs"), "verbs must contain at least one value"));
        }
        if !empty(&rule["nonResourceURLs"]) {
            if kind == "Role" {
                let why = "namespaced rules cannot apply to non-resource URLs";
                errors.push(FieldError::invalid(path("nonResourceURLs"), &rule["nonResourceURLs"], why));
            }
            if !empty(&rule["apiGroups"]) || !empty(&rule["resources"]) || !empty(&rule["resourceNames"]) {
                let why = "rules cannot apply to both regular resources and non-resource URLs";
                errors.push(FieldError::invalid(path("nonResourceURLs"), &rule["nonResourceURLs"], why));
            }
            continue;
        }
        if empty(&rule["apiGroups"]) {
            let why = "resource rules must supply at least one api group";
            errors.push(FieldError::required(path("apiGroups"), why));
        }
        if empty(&rule["resources"]) {
            errors.push(FieldError::required(
                path("resources"),
                "resource rules must supply at least one resource",
            ));
        }
    }
}
