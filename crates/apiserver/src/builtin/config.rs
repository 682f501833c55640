//! Secret and ConfigMap (`spec/apiserver.md` 14).

use crate::schema::{FieldError, names};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// Most bytes of all values of a Secret or ConfigMap together.
const SIZE_LIMIT: usize = 1024 * 1024;

type Object = Map<String, Value>;

/// `stringData` is merged into `data` and never stored.
pub(super) fn default_secret(object: &mut Value) {
    let Some(fields) = object.as_object_mut() else { return };
    if let Some(Value::Object(texts)) = fields.shift_remove("stringData") {
        let data = fields.entry("data").or_insert_with(|| Value::Object(Object::new()));
        if let Value::Object(data) = data {
            for (key, text) in texts {
                let encoded = STANDARD.encode(text.as_str().unwrap_or_default());
                data.insert(key, Value::String(encoded));
            }
        }
    }
}

fn entries<'v>(object: &'v Value, field: &str) -> impl Iterator<Item = (&'v String, &'v str)> {
    let map = object.get(field).and_then(Value::as_object);
    map.into_iter().flatten().map(|(key, value)| (key, value.as_str().unwrap_or_default()))
}

/// The bytes a base64 text stands for, without decoding it.
fn decoded_length(text: &str) -> usize {
    text.trim_end_matches('=').len() * 3 / 4
}

fn check_keys(object: &Value, field: &str, errors: &mut Vec<FieldError>) {
    for (key, _) in entries(object, field) {
        for fault in names::config_key(key) {
            errors.push(FieldError::invalid_str(format!("{field}[{key}]"), key, fault));
        }
    }
}

/// A frozen object stays as it is, and frozen.
fn check_frozen(object: &Value, old: Option<&Value>, fields: &[&str], errors: &mut Vec<FieldError>) {
    let Some(old) = old.filter(|old| old["immutable"] == true) else { return };
    let why = "field is immutable when `immutable` is set";
    if object["immutable"] != true {
        errors.push(FieldError::forbidden("immutable", why));
    }
    for field in fields {
        let empty = |value: &Value| value.as_object().is_none_or(Map::is_empty);
        if object[field] != old[field] && !(empty(&object[field]) && empty(&old[field])) {
            errors.push(FieldError::forbidden(field, why));
        }
    }
}

pub(super) fn validate_config_map(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    check_keys(object, "data", errors);
    check_keys(object, "binaryData", errors);
    for (key, _) in entries(object, "data").filter(|(key, _)| !object["binaryData"][key.as_str()].is_null()) {
        let detail = "duplicate of key present in binaryData";
        errors.push(FieldError::invalid_str(format!("data[{key}]"), key, detail));
    }
    for (key, text) in entries(object, "binaryData").filter(|(_, text)| STANDARD.decode(text).is_err()) {
        errors.push(FieldError::invalid_str(format!("binaryData[{key}]"), text, "must be base64"));
    }
    let texts: usize = entries(object, "data").map(|(_, text)| text.len()).sum();
    let bytes: usize = entries(object, "binaryData").map(|(_, text)| decoded_length(text)).sum();
    if texts + bytes > SIZE_LIMIT {
        errors.push(FieldError::too_long("[]", SIZE_LIMIT));
    }
    check_frozen(object, old, &["data", "binaryData"], errors);
}

pub(super) fn validate_secret(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    check_keys(object, "data", errors);
    for (key, _) in entries(object, "data").filter(|(_, text)| STANDARD.decode(text).is_err()) {
        // The value is a secret and stays out of the answer.
        let hidden = Value::from("<secret contents redacted>");
        errors.push(FieldError::invalid(format!("data[{key}]"), &hidden, "must be base64"));
    }
    if entries(object, "data").map(|(_, text)| decoded_length(text)).sum::<usize>() > SIZE_LIMIT {
        errors.push(FieldError::too_long("data", SIZE_LIMIT));
    }
    let kind = object["type"].as_str().unwrap_or_default();
    for key in required_keys(kind) {
        if object["data"][*key].is_null() {
            errors.push(FieldError::required(format!("data[{key}]"), ""));
        }
    }
    match kind {
        "kubernetes.io/dockerconfigjson" => check_json(object, ".dockerconfigjson", errors),
        "kubernetes.io/dockercfg" => check_json(object, ".dockercfg", errors),
        "kubernetes.io/basic-auth"
            if object["data"]["username"].is_null() && object["data"]["password"].is_null() =>
        {
            errors.push(FieldError::required("data[username]", ""));
            errors.push(FieldError::required("data[password]", ""));
        }
        "kubernetes.io/service-account-token" => {
            let name = "kubernetes.io/service-account.name";
            if object["metadata"]["annotations"][name].as_str().is_none_or(str::is_empty) {
                errors.push(FieldError::required(format!("metadata.annotations[{name}]"), ""));
            }
        }
        _ => {}
    }
    if let Some(old) = old {
        super::check_immutable(object, old, &["type"], errors);
    }
    check_frozen(object, old, &["data"], errors);
}

fn required_keys(kind: &str) -> &'static [&'static str] {
    match kind {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        _ => &[],
    }
}

fn check_json(object: &Value, key: &str, errors: &mut Vec<FieldError>) {
    let Some(text) = object["data"][key].as_str() else { return };
    let decoded = STANDARD.decode(text).unwrap_or_default();
    if let Err(error) = serde_json::from_slice::<Value>(&decoded) {
        let hidden = Value::from("<secret contents redacted>");
        // Of the parser's words only the place is told: the rest could quote the secret.
        let detail = format!("invalid JSON at line {}, column {}", error.line(), error.column());
        errors.push(FieldError::invalid(format!("data[{key}]"), &hidden, detail));
    }
}
