//! Service (`spec/apiserver.md` 14). Addresses and node ports come from a pool the caller keeps.

use super::{object_at, set_default};
use crate::schema::{FieldError, names};
use serde_json::{Value, json};

/// Whether the caller has to give the service a cluster IP.
pub fn needs_cluster_ip(service: &Value) -> bool {
    let spec = &service["spec"];
    spec["type"] != "ExternalName" && spec["clusterIP"].as_str().is_none_or(str::is_empty)
}

fn is_headless(service: &Value) -> bool {
    service["spec"]["clusterIP"] == "None"
}

pub(super) fn default(object: &mut Value, old: Option<&Value>) {
    keep_addresses(object, old);
    let headless = is_headless(object);
    let Some(spec) = object_at(object, "spec") else { return };
    set_default(spec, "type", "ClusterIP");
    set_default(spec, "sessionAffinity", "None");
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        let number = port["port"].clone();
        if let Some(port) = port.as_object_mut() {
            set_default(port, "protocol", "TCP");
            let unset =
                port.get("targetPort").is_none_or(|target| target == 0 || target == "" || target.is_null());
            if unset && !number.is_null() {
                port.insert("targetPort".to_owned(), number);
            }
        }
    }
    if spec["sessionAffinity"] == "ClientIP" {
        spec.entry("sessionAffinityConfig").or_insert_with(|| json!({"clientIP": {"timeoutSeconds": 10800}}));
    }
    let kind = spec["type"].as_str().unwrap_or_default().to_owned();
    if kind != "ExternalName" {
        default_families(spec, headless);
    }
    if ["NodePort", "LoadBalancer"].contains(&kind.as_str()) {
        set_default(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        set_default(spec, "allocateLoadBalancerNodePorts", true);
    }
    if let Some(status) = object_at(object, "status") {
        set_default(status, "loadBalancer", json!({}));
    }
}

fn default_families(spec: &mut serde_json::Map<String, Value>, headless: bool) {
    let address = spec.get("clusterIP").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !address.is_empty() {
        set_default(spec, "clusterIPs", json!([address]));
    }
    let selects =
        spec.get("selector").and_then(Value::as_object).is_some_and(|selector| !selector.is_empty());
    if headless && !selects {
        set_default(spec, "ipFamilies", json!(["IPv4", "IPv6"]));
        set_default(spec, "ipFamilyPolicy", "RequireDualStack");
    } else {
        set_default(spec, "ipFamilies", json!(["IPv4"]));
        set_default(spec, "ipFamilyPolicy", "SingleStack");
    }
    set_default(spec, "internalTrafficPolicy", "Cluster");
}

/// A replace that leaves addresses out keeps them.
fn keep_addresses(object: &mut Value, old: Option<&Value>) {
    let Some(old) = old.and_then(|old| old.get("spec")) else { return };
    let Some(spec) = object_at(object, "spec") else { return };
    if spec.get("type").is_some_and(|kind| kind == "ExternalName") || old["type"] == "ExternalName" {
        return;
    }
    for field in ["clusterIP", "clusterIPs"] {
        let empty = spec.get(field).is_none_or(|value| value.is_null() || value == "" || *value == json!([]));
        if empty && !old[field].is_null() {
            spec.insert(field.to_owned(), old[field].clone());
        }
    }
    let keeps_ports = matches!(spec.get("type").and_then(Value::as_str), Some("NodePort" | "LoadBalancer"));
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        let unset = port["nodePort"].as_i64().is_none_or(|number| number == 0);
        let same = |other: &&Value| {
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            other["port"] == port["port"] && other["protocol"] == protocol
        };
        let before = old["ports"].as_array().into_iter().flatten().find(same);
        if let Some(before) = before.filter(|before| keeps_ports && unset && !before["nodePort"].is_null()) {
            port["nodePort"] = before["nodePort"].clone();
        }
    }
}

pub(super) fn validate(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    let kind = spec["type"].as_str().unwrap_or_default();
    let kinds = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    if !kinds.contains(&kind) {
        errors.push(FieldError::not_one_of("spec.type", &spec["type"], &kinds));
    }
    if kind == "ExternalName" && spec["externalName"].as_str().is_none_or(str::is_empty) {
        errors.push(FieldError::required("spec.externalName", ""));
    }
    if !["None", "ClientIP"].contains(&spec["sessionAffinity"].as_str().unwrap_or_default()) {
        errors.push(FieldError::not_one_of(
            "spec.sessionAffinity",
            &spec["sessionAffinity"],
            &["ClientIP", "None"],
        ));
    }
    check_ports(object, kind, errors);
    for (key, value) in spec["selector"].as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        let faults = names::qualified_name(key).into_iter().map(|fault| (key.as_str(), fault));
        for (shown, fault) in faults.chain(names::label_value(value).into_iter().map(|fault| (value, fault)))
        {
            errors.push(FieldError::invalid_str("spec.selector", shown, fault));
        }
    }
    if let Some(old) = old.map(|old| &old["spec"])
        && kind != "ExternalName"
        && old["type"] != "ExternalName"
        && old["clusterIP"].as_str().is_some_and(|address| !address.is_empty())
        && old["clusterIP"] != spec["clusterIP"]
    {
        let shown = json!([spec["clusterIP"]]);
        errors.push(FieldError::invalid("spec.clusterIPs[0]", &shown, "may not change once set"));
    }
}

fn check_ports(object: &Value, kind: &str, errors: &mut Vec<FieldError>) {
    let ports = object["spec"]["ports"].as_array().map_or(&[][..], Vec::as_slice);
    if ports.is_empty() && kind != "ExternalName" && !is_headless(object) {
        errors.push(FieldError::required("spec.ports", ""));
    }
    for (index, port) in ports.iter().enumerate() {
        let path = |field: &str| format!("spec.ports[{index}].{field}");
        let name = port["name"].as_str().unwrap_or_default();
        if name.is_empty() && ports.len() > 1 {
            errors.push(FieldError::required(path("name"), ""));
        }
        if !name.is_empty() {
            for fault in names::dns_label(name) {
                errors.push(FieldError::invalid_str(path("name"), name, fault));
            }
            if ports[..index].iter().any(|earlier| earlier["name"] == name) {
                errors.push(FieldError::duplicate(path("name"), &port["name"]));
            }
        }
        if !port["port"].as_i64().is_some_and(|number| (1..=65535).contains(&number)) {
            let shown = if port["port"].is_null() { json!(0) } else { port["port"].clone() };
            errors.push(FieldError::invalid(path("port"), &shown, "must be between 1 and 65535, inclusive"));
        }
        let protocols = ["SCTP", "TCP", "UDP"];
        if !port["protocol"].as_str().is_some_and(|protocol| protocols.contains(&protocol)) {
            errors.push(FieldError::not_one_of(path("protocol"), &port["protocol"], &protocols));
        }
        if port["targetPort"].as_i64().is_some_and(|number| !(1..=65535).contains(&number)) {
            let detail = "must be between 1 and 65535, inclusive";
            errors.push(FieldError::invalid(path("targetPort"), &port["targetPort"], detail));
        }
        let twin =
            |earlier: &Value| earlier["port"] == port["port"] && earlier["protocol"] == port["protocol"];
        if ports[..index].iter().any(twin) {
            let key = json!({"protocol": port["protocol"], "port": port["port"]});
            errors.push(FieldError::duplicate(format!("spec.ports[{index}]"), &key));
        }
    }
}
