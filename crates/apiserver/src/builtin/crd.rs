//! CustomResourceDefinition (`spec/apiserver.md` 13.1, 13.6): defaults and rules. Establishing one is the caller's.

use super::{check_immutable, object_at, set_default};
use crate::schema::{FieldError, Schema, Type, names};
use crate::table::JsonPath;
use serde_json::{Map, Value, json};

/// Most selectable fields of one version.
const SELECTABLE_LIMIT: usize = 8;

pub(super) fn default(object: &mut Value, old: Option<&Value>) {
    let Some(spec) = object_at(object, "spec") else { return };
    spec.entry("conversion").or_insert_with(|| json!({"strategy": "None"}));
    if let Some(names) = spec.entry("names").or_insert_with(|| json!({})).as_object_mut() {
        let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !kind.is_empty() {
            set_default(names, "singular", kind.to_lowercase());
            set_default(names, "listKind", format!("{kind}List"));
        }
    }
    if old.is_some() {
        return;
    }
    let versions = object["spec"]["versions"].as_array().map_or(&[][..], Vec::as_slice);
    let stored: Vec<Value> = versions
        .iter()
        .filter(|version| version["storage"] == true)
        .map(|version| version["name"].clone())
        .collect();
    object["status"] = json!({
        "conditions": null,
        "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": stored,
    });
}

/// Findings that do not refuse the CRD: unknown formats, a group that wants an approval.
pub fn warnings(crd: &Value) -> Vec<String> {
    let mut warnings: Vec<String> = Vec::new();
    for version in crd["spec"]["versions"].as_array().into_iter().flatten() {
        if let Ok(schema) = Schema::parse(&version["schema"]["openAPIV3Schema"], "") {
            for warning in schema.warnings() {
                if !warnings.contains(warning) {
                    warnings.push(warning.clone());
                }
            }
        }
    }
    let group = crd["spec"]["group"].as_str().unwrap_or_default();
    let protected = ["k8s.io", "kubernetes.io"]
        .iter()
        .any(|domain| group == *domain || group.ends_with(&format!(".{domain}")))
        && !group.ends_with(".x-k8s.io");
    let approval = &crd["metadata"]["annotations"]["api-approved.kubernetes.io"];
    if protected && approval.is_null() {
        warnings.push(format!(
            "group {group} is protected: the annotation \"api-approved.kubernetes.io\" is missing"
        ));
    }
    warnings
}

/// The rules of a CRD, with `old` on update.
pub(super) fn validate(crd: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let spec = &crd["spec"];
    check_names(crd, &mut errors);
    if !["Cluster", "Namespaced"].contains(&spec["scope"].as_str().unwrap_or_default()) {
        if spec["scope"].as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required("spec.scope", ""));
        } else {
            errors.push(FieldError::not_one_of("spec.scope", &spec["scope"], &["Cluster", "Namespaced"]));
        }
    }
    if spec["preserveUnknownFields"] == true {
        let detail = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in \
                      spec.versions[*].schema instead";
        errors.push(FieldError::invalid("spec.preserveUnknownFields", &json!(true), detail));
    }
    check_conversion(spec, &mut errors);
    check_versions(spec, &mut errors);
    if let Some(old) = old {
        check_update(crd, old, &mut errors);
    }
    errors
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

fn check_names(crd: &Value, errors: &mut Vec<FieldError>) {
    let spec = &crd["spec"];
    let (group, plural) = (text(spec, "group"), text(&spec["names"], "plural"));
    let name = text(&crd["metadata"], "name");
    if group.is_empty() {
        errors.push(FieldError::required("spec.group", ""));
    } else {
        for fault in names::dns_subdomain(group) {
            errors.push(FieldError::invalid_str("spec.group", group, fault));
        }
        if !group.contains('.') {
            errors.push(FieldError::invalid_str(
                "spec.group",
                group,
                "should be a domain with at least one dot",
            ));
        }
    }
    if name != format!("{plural}.{group}") {
        let detail = "must be spec.names.plural+\".\"+spec.group";
        errors.push(FieldError::invalid_str("metadata.name", name, detail));
    }
    for field in ["plural", "singular", "kind", "listKind"] {
        let value = text(&spec["names"], field);
        let path = format!("spec.names.{field}");
        if value.is_empty() {
            errors.push(FieldError::required(path, ""));
            continue;
        }
        let mixed_case = ["kind", "listKind"].contains(&field);
        let checked = if mixed_case { value.to_lowercase() } else { value.to_owned() };
        for fault in names::dns_1035_label(&checked) {
            let detail = match mixed_case {
                true => format!("may have mixed case, but should otherwise match: {fault}"),
                false => fault,
            };
            errors.push(FieldError::invalid_str(&path, value, detail));
        }
    }
    if !text(&spec["names"], "kind").is_empty() && spec["names"]["kind"] == spec["names"]["listKind"] {
        let detail = "kind and listKind may not be the same";
        errors.push(FieldError::invalid_str("spec.names.listKind", text(&spec["names"], "listKind"), detail));
    }
    for list in ["shortNames", "categories"] {
        for (index, entry) in spec["names"][list].as_array().into_iter().flatten().enumerate() {
            let value = entry.as_str().unwrap_or_default();
            for fault in names::dns_1035_label(value) {
                errors.push(FieldError::invalid_str(format!("spec.names.{list}[{index}]"), value, fault));
            }
        }
    }
}

fn check_conversion(spec: &Value, errors: &mut Vec<FieldError>) {
    let conversion = &spec["conversion"];
    match text(conversion, "strategy") {
        "None" => {
            if !conversion["webhook"].is_null() {
                let why = "should not be set when strategy is not set to Webhook";
                errors.push(FieldError::forbidden("spec.conversion.webhook", why));
            }
        }
        "Webhook" => {
            if conversion["webhook"]["clientConfig"].is_null() {
                let why = "required when strategy is set to Webhook";
                errors.push(FieldError::required("spec.conversion.webhookClientConfig", why));
            }
            // Refused now rather than at each read of an object later (13.7).
            let versions = spec["versions"].as_array().map_or(&[][..], Vec::as_slice);
            if versions.iter().any(|version| version["served"] == true && version["storage"] != true) {
                let why = "this server calls no conversion webhooks: a definition that serves more than its storage \
                           version needs strategy None";
                errors.push(FieldError::forbidden("spec.conversion.strategy", why));
            }
        }
        _ => errors.push(FieldError::not_one_of(
            "spec.conversion.strategy",
            &conversion["strategy"],
            &["None", "Webhook"],
        )),
    }
}

fn check_versions(spec: &Value, errors: &mut Vec<FieldError>) {
    let versions = spec["versions"].as_array().map_or(&[][..], Vec::as_slice);
    if versions.is_empty() {
        errors.push(FieldError::required("spec.versions", ""));
    }
    let stored = versions.iter().filter(|version| version["storage"] == true).count();
    if stored != 1 && !versions.is_empty() {
        let names: Vec<&Value> = versions.iter().map(|version| &version["name"]).collect();
        let detail = "must have exactly one version marked as storage version";
        errors.push(FieldError::invalid("spec.versions", &json!(names), detail));
    }
    for (index, version) in versions.iter().enumerate() {
        let name = text(version, "name");
        let path = format!("spec.versions[{index}].name");
        for fault in names::dns_1035_label(name) {
            errors.push(FieldError::invalid_str(&path, name, fault));
        }
        if versions[..index].iter().any(|earlier| earlier["name"] == version["name"]) {
            errors.push(FieldError::invalid(
                "spec.versions",
                &version["name"],
                "must contain unique version names",
            ));
        }
        check_version(version, index, versions.len() == 1, errors);
    }
}

/// A single version is checked as if its parts were those of the CRD, which shows in the paths.
fn check_version(version: &Value, index: usize, single: bool, errors: &mut Vec<FieldError>) {
    let base = if single { "spec".to_owned() } else { format!("spec.versions[{index}]") };
    let schema = &version["schema"]["openAPIV3Schema"];
    if !schema.is_object() {
        let path = format!("spec.versions[{index}].schema.openAPIV3Schema");
        errors.push(FieldError::required(path, "schemas are required"));
        return;
    }
    let path = match single {
        true => "spec.validation.openAPIV3Schema".to_owned(),
        false => format!("{base}.schema.openAPIV3Schema"),
    };
    let parsed = match Schema::parse(schema, &path) {
        Ok(parsed) => Some(parsed),
        Err(faults) => {
            errors.extend(faults);
            None
        }
    };
    check_columns(version, &base, errors);
    check_subresources(&version["subresources"], &base, errors);
    check_selectable(version, parsed.as_ref(), &base, errors);
}

fn check_columns(version: &Value, base: &str, errors: &mut Vec<FieldError>) {
    const TYPES: &[&str] = &["boolean", "date", "integer", "number", "string"];
    const FORMATS: &[&str] =
        &["", "int32", "int64", "float", "double", "byte", "date", "date-time", "password"];
    for (index, column) in version["additionalPrinterColumns"].as_array().into_iter().flatten().enumerate() {
        let path = |field: &str| format!("{base}.additionalPrinterColumns[{index}].{field}");
        if text(column, "name").is_empty() {
            errors.push(FieldError::required(path("name"), ""));
        }
        let kind = text(column, "type");
        if kind.is_empty() {
            let why = format!("must be one of {}", TYPES.join(","));
            errors.push(FieldError::required(path("type"), &why));
        } else if !TYPES.contains(&kind) {
            errors.push(FieldError::invalid_str(
                path("type"),
                kind,
                format!("must be one of {}", TYPES.join(",")),
            ));
        }
        if !FORMATS.contains(&text(column, "format")) {
            let known = FORMATS[1..].join(",");
            errors.push(FieldError::invalid_str(
                path("format"),
                text(column, "format"),
                format!("must be one of {known}"),
            ));
        }
        let json_path = text(column, "jsonPath");
        if json_path.is_empty() {
            errors.push(FieldError::required(path("jsonPath"), ""));
        } else if let Err(error) = JsonPath::parse(json_path) {
            errors.push(FieldError::invalid_str(path("jsonPath"), json_path, error));
        }
    }
}

fn check_subresources(subresources: &Value, base: &str, errors: &mut Vec<FieldError>) {
    let Some(scale) = subresources.get("scale").and_then(Value::as_object) else { return };
    let scale = &Value::Object(scale.clone());
    for (field, root, required) in [
        ("specReplicasPath", "spec", true),
        ("statusReplicasPath", "status", true),
        ("labelSelectorPath", "", false),
    ] {
        let path = format!("{base}.subresources.scale.{field}");
        let written = text(scale, field);
        if written.is_empty() {
            if required {
                errors.push(FieldError::required(path, ""));
            }
            continue;
        }
        let parsed = JsonPath::parse(written).ok();
        let fields = parsed.as_ref().and_then(JsonPath::as_fields).unwrap_or_default();
        let roots: &[&str] = if root.is_empty() { &["spec", "status"] } else { &[root] };
        if fields.len() < 2 || !roots.contains(&fields[0]) || !written.starts_with('.') {
            let roots: Vec<String> = roots.iter().map(|root| format!(".{root}")).collect();
            let detail = format!("should be a json path under {}", roots.join(" or "));
            errors.push(FieldError::invalid_str(path, written, detail));
        }
    }
}

fn check_selectable(version: &Value, schema: Option<&Schema>, base: &str, errors: &mut Vec<FieldError>) {
    let fields = version["selectableFields"].as_array().map_or(&[][..], Vec::as_slice);
    if fields.len() > SELECTABLE_LIMIT {
        let path = format!("{base}.selectableFields");
        errors.push(FieldError::too_many(path, fields.len(), SELECTABLE_LIMIT));
    }
    for (index, field) in fields.iter().enumerate() {
        let path = format!("{base}.selectableFields[{index}].jsonPath");
        let written = text(field, "jsonPath");
        if written.is_empty() {
            errors.push(FieldError::required(path, ""));
            continue;
        }
        if fields[..index].contains(field) {
            errors.push(FieldError::duplicate(&path, &json!(written)));
        }
        let Some(schema) = schema else { continue };
        let parsed = JsonPath::parse(written).ok();
        let names = parsed.as_ref().and_then(JsonPath::as_fields).unwrap_or_default();
        let hit =
            names.iter().try_fold(schema, |schema, name| schema.property(name)).filter(|_| !names.is_empty());
        match hit.map(Schema::kind) {
            None => {
                let detail = "is an invalid path: does not refer to a valid field";
                errors.push(FieldError::invalid_str(path, written, detail));
            }
            Some(_) if names[0] == "metadata" => {
                errors.push(FieldError::invalid_str(path, written, "must not point to fields in metadata"));
            }
            Some(Type::String | Type::Boolean | Type::Integer) => {}
            Some(_) => {
                let detail = "must point to a field of type string, boolean or integer";
                errors.push(FieldError::invalid_str(path, written, detail));
            }
        }
    }
}

fn check_update(crd: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    check_immutable(crd, old, &["spec", "group"], errors);
    let established = old["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Established" && condition["status"] == "True");
    if established {
        check_immutable(crd, old, &["spec", "scope"], errors);
        check_immutable(crd, old, &["spec", "names", "kind"], errors);
    }
    check_immutable(crd, old, &["spec", "names", "plural"], errors);
    let declared = |name: &Value| {
        crd["spec"]["versions"].as_array().into_iter().flatten().any(|version| version["name"] == *name)
    };
    for (index, stored) in crd["status"]["storedVersions"].as_array().into_iter().flatten().enumerate() {
        if !declared(stored) {
            let detail = "missing from spec.versions; v1 was previously a storage version, and must remain in \
                          spec.versions until a storage migration ensures no data remains persisted in it and \
                          removes it from status.storedVersions"
                .replace("v1 was", &format!("{} was", stored.as_str().unwrap_or_default()));
            errors.push(FieldError::invalid(format!("status.storedVersions[{index}]"), stored, detail));
        }
    }
}

/// The accepted names a CRD asks for, as its status repeats them.
pub fn accepted_names(crd: &Value) -> Value {
    let names = crd["spec"]["names"].as_object().cloned().unwrap_or_default();
    Value::Object(names.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
}
