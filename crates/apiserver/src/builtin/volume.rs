//! PersistentVolume, PersistentVolumeClaim and ReplicationController: kept and
//! shown, never acted upon. Here because kubectl prunes them by default.

use super::{object_at, pod, set_default};
use crate::schema::FieldError;
use serde_json::{Map, Value};

/// A volume or claim waits until somebody binds it; nobody does here.
pub(super) fn default_volume(object: &mut Value, old: Option<&Value>) {
    if old.is_none()
        && let Some(status) = object_at(object, "status")
    {
        set_default(status, "phase", "Pending");
    }
}

/// Selector and labels come from the template, as for a ReplicaSet.
pub(super) fn default_controller(object: &mut Value) {
    let Some(spec) = object_at(object, "spec") else { return };
    if let Some(pod) = spec.get_mut("template").and_then(|template| template["spec"].as_object_mut()) {
        pod::default_spec(pod);
    }
    let labels = object["spec"]["template"]["metadata"]["labels"].clone();
    if labels.as_object().is_none_or(Map::is_empty) {
        return;
    }
    for place in ["spec", "metadata"] {
        let field = if place == "spec" { "selector" } else { "labels" };
        if object[place][field].as_object().is_none_or(Map::is_empty) {
            object[place][field] = labels.clone();
        }
    }
}

pub(super) fn validate_claim(object: &Value, errors: &mut Vec<FieldError>) {
    check_access(&object["spec"], errors);
    if object["spec"]["resources"]["requests"]["storage"].is_null() {
        errors.push(FieldError::required("spec.resources[storage]", ""));
    }
}

pub(super) fn validate_volume(object: &Value, errors: &mut Vec<FieldError>) {
    check_access(&object["spec"], errors);
    if object["spec"]["capacity"].as_object().is_none_or(Map::is_empty) {
        errors.push(FieldError::required("spec.capacity", ""));
    }
}

fn check_access(spec: &Value, errors: &mut Vec<FieldError>) {
    let modes = spec["accessModes"].as_array().map_or(&[][..], Vec::as_slice);
    if modes.is_empty() {
        errors.push(FieldError::required("spec.accessModes", "at least 1 access mode is required"));
    }
    let known = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
    for mode in modes.iter().filter(|mode| !mode.as_str().is_some_and(|mode| known.contains(&mode))) {
        errors.push(FieldError::not_one_of("spec.accessModes", mode, &known));
    }
}

pub(super) fn validate_controller(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    if spec["selector"].as_object().is_none_or(Map::is_empty) {
        errors.push(FieldError::required("spec.selector", ""));
    }
    if spec["template"].is_null() {
        errors.push(FieldError::required("spec.template", ""));
        return;
    }
    pod::validate_spec(&spec["template"]["spec"], "spec.template.spec", errors);
}
