//! Pods and pod templates: defaults that depend on other fields, and rules (`spec/apiserver.md` 14).

use super::{object_at, set_default};
use crate::schema::{FieldError, names};
use serde_json::{Map, Value, json};

const CONTAINER_LISTS: [&str; 2] = ["containers", "initContainers"];

pub(super) fn default_pod(object: &mut Value, old: Option<&Value>) {
    let Some(spec) = object_at(object, "spec") else { return };
    default_spec(spec);
    set_default(spec, "enableServiceLinks", true);
    for list in CONTAINER_LISTS {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            requests_from_limits(container);
        }
    }
    if old.is_none()
        && let Some(status) = object_at(object, "status")
    {
        set_default(status, "phase", "Pending");
    }
}

/// What is asked for is what is allowed, unless said otherwise.
fn requests_from_limits(container: &mut Value) {
    let limits = container["resources"]["limits"].as_object().cloned().unwrap_or_default();
    if limits.is_empty() {
        return;
    }
    if let Some(resources) = object_at(container, "resources") {
        let requests = resources.entry("requests").or_insert_with(|| json!({}));
        for (name, amount) in limits {
            if let Some(requests) = requests.as_object_mut() {
                requests.entry(name).or_insert(amount);
            }
        }
    }
}

/// The defaults of a pod spec that depend on other fields; the others come from the type table.
pub(super) fn default_spec(spec: &mut Map<String, Value>) {
    let host_network = spec.get("hostNetwork") == Some(&Value::Bool(true));
    for list in CONTAINER_LISTS {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(container) = container.as_object_mut() else { continue };
            let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
            let policy = if is_moving_tag(image) { "Always" } else { "IfNotPresent" };
            set_default(container, "imagePullPolicy", policy);
            for port in container.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
                let number = port["containerPort"].clone();
                if let Some(port) = port.as_object_mut().filter(|_| host_network && !number.is_null()) {
                    port.entry("hostPort").or_insert(number);
                }
            }
        }
    }
    for volume in spec.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(volume) = volume.as_object_mut().filter(|volume| volume.keys().all(|name| name == "name"))
        {
            volume.insert("emptyDir".to_owned(), json!({}));
        }
    }
    // The old name of the field is kept in step.
    let account = spec.get("serviceAccountName").or(spec.get("serviceAccount")).cloned();
    if let Some(account) = account.filter(|account| account.as_str().is_some_and(|name| !name.is_empty())) {
        spec.insert("serviceAccountName".to_owned(), account.clone());
        spec.insert("serviceAccount".to_owned(), account);
    }
}

/// Whether an image has no digest and no tag but `latest`.
fn is_moving_tag(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let name = image.rsplit('/').next().unwrap_or(image);
    match name.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => true,
    }
}

pub(super) fn validate_pod(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    if old.is_none() {
        validate_spec(&object["spec"], "spec", errors);
        return;
    }
    let Some(old) = old else { return };
    if !only_allowed_changes(&object["spec"], &old["spec"]) {
        let why = "pod updates may not change fields other than `spec.containers[*].image`,\
`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing \
tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
        errors.push(FieldError::forbidden("spec", why));
    }
}

/// Of a running pod only images, the deadline, tolerations and the node (by binding) change.
fn only_allowed_changes(new: &Value, old: &Value) -> bool {
    let mask = |spec: &Value| {
        let mut spec = spec.clone();
        if let Some(fields) = spec.as_object_mut() {
            for name in ["activeDeadlineSeconds", "tolerations", "nodeName", "schedulingGates"] {
                fields.shift_remove(name);
            }
        }
        for list in CONTAINER_LISTS {
            for container in spec[list].as_array_mut().into_iter().flatten() {
                container["image"] = Value::Null;
            }
        }
        spec
    };
    mask(new) == mask(old)
}

/// The rules of a pod spec that clients meet.
pub(super) fn validate_spec(spec: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let containers = spec["containers"].as_array().map_or(&[][..], Vec::as_slice);
    if containers.is_empty() {
        errors.push(FieldError::required(format!("{path}.containers"), ""));
    }
    let mut seen: Vec<&Value> = Vec::new();
    for list in CONTAINER_LISTS {
        for (index, container) in spec[list].as_array().into_iter().flatten().enumerate() {
            let place = format!("{path}.{list}[{index}]");
            check_container(container, &place, errors);
            if container["name"].is_string() && seen.contains(&&container["name"]) {
                errors.push(FieldError::duplicate(format!("{place}.name"), &container["name"]));
            }
            seen.push(&container["name"]);
        }
    }
    check_volumes(spec, path, errors);
    let policies = ["Always", "Never", "OnFailure"];
    if !policies.contains(&spec["restartPolicy"].as_str().unwrap_or_default()) {
        let place = format!("{path}.restartPolicy");
        errors.push(FieldError::not_one_of(place, &spec["restartPolicy"], &policies));
    }
}

fn check_container(container: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let place = |field: &str| format!("{path}.{field}");
    match container["name"].as_str().filter(|name| !name.is_empty()) {
        None => errors.push(FieldError::required(place("name"), "")),
        Some(name) => {
            for fault in names::dns_label(name) {
                errors.push(FieldError::invalid_str(place("name"), name, fault));
            }
        }
    }
    if container["image"].as_str().is_none_or(str::is_empty) {
        errors.push(FieldError::required(place("image"), ""));
    }
    for (index, port) in container["ports"].as_array().into_iter().flatten().enumerate() {
        let number = &port["containerPort"];
        if number.is_null() {
            errors.push(FieldError::required(place(&format!("ports[{index}].containerPort")), ""));
        } else if !number.as_i64().is_some_and(|number| (1..=65535).contains(&number)) {
            let detail = "must be between 1 and 65535, inclusive";
            errors.push(FieldError::invalid(place(&format!("ports[{index}].containerPort")), number, detail));
        }
    }
    for (index, variable) in container["env"].as_array().into_iter().flatten().enumerate() {
        if variable["name"].as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required(place(&format!("env[{index}].name")), ""));
        }
    }
}

fn check_volumes(spec: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let volumes = spec["volumes"].as_array().map_or(&[][..], Vec::as_slice);
    for (index, volume) in volumes.iter().enumerate() {
        let place = format!("{path}.volumes[{index}].name");
        match volume["name"].as_str().filter(|name| !name.is_empty()) {
            None => errors.push(FieldError::required(place, "")),
            Some(name) if volumes[..index].iter().any(|earlier| earlier["name"] == name) => {
                errors.push(FieldError::duplicate(place, &volume["name"]));
            }
            Some(name) => {
                for fault in names::dns_label(name) {
                    errors.push(FieldError::invalid_str(&place, name, fault));
                }
            }
        }
    }
    for list in CONTAINER_LISTS {
        for (index, container) in spec[list].as_array().into_iter().flatten().enumerate() {
            for (mount, entry) in container["volumeMounts"].as_array().into_iter().flatten().enumerate() {
                if !volumes.iter().any(|volume| volume["name"] == entry["name"]) {
                    let place = format!("{path}.{list}[{index}].volumeMounts[{mount}].name");
                    errors.push(FieldError::not_found(place, &entry["name"]));
                }
            }
        }
    }
}
