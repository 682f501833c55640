//! Columns of built-in kinds, as upstream prints them.

use super::age::{age, human_duration, seconds_between};
use crate::selector::selector_text;
use jiff::Timestamp;
use serde_json::{Map, Value};

/// Makes the cells of one row.
pub(super) type CellsOf = fn(&Value, Timestamp) -> Vec<Value>;

/// Name, type and priority of the columns after Name.
type Columns = &'static [(&'static str, &'static str, i64)];

const WORKLOAD: [(&str, &str, i64); 2] = [("Containers", "string", 1), ("Images", "string", 1)];
const SELECTOR: (&str, &str, i64) = ("Selector", "string", 1);
const AGE: (&str, &str, i64) = ("Age", "string", 0);

const DEPLOYMENT: Columns = &[
    ("Ready", "string", 0),
    ("Up-to-date", "string", 0),
    ("Available", "string", 0),
    AGE,
    WORKLOAD[0],
    WORKLOAD[1],
    SELECTOR,
];
const REPLICA_SET: Columns = &[
    ("Desired", "integer", 0),
    ("Current", "integer", 0),
    ("Ready", "integer", 0),
    AGE,
    WORKLOAD[0],
    WORKLOAD[1],
    SELECTOR,
];
const STATEFUL_SET: Columns = &[("Ready", "string", 0), AGE, WORKLOAD[0], WORKLOAD[1]];
const DAEMON_SET: Columns = &[
    ("Desired", "integer", 0),
    ("Current", "integer", 0),
    ("Ready", "integer", 0),
    ("Up-to-date", "integer", 0),
    ("Available", "integer", 0),
    ("Node Selector", "string", 0),
    AGE,
    WORKLOAD[0],
    WORKLOAD[1],
    SELECTOR,
];
const JOB: Columns = &[
    ("Status", "string", 0),
    ("Completions", "string", 0),
    ("Duration", "string", 0),
    AGE,
    WORKLOAD[0],
    WORKLOAD[1],
    SELECTOR,
];
const CRON_JOB: Columns = &[
    ("Schedule", "string", 0),
    ("Timezone", "string", 0),
    ("Suspend", "boolean", 0),
    ("Active", "integer", 0),
    ("Last Schedule", "string", 0),
    AGE,
    WORKLOAD[0],
    WORKLOAD[1],
    SELECTOR,
];
const SERVICE: Columns = &[
    ("Type", "string", 0),
    ("Cluster-IP", "string", 0),
    ("External-IP", "string", 0),
    ("Port(s)", "string", 0),
    AGE,
    SELECTOR,
];
const POD: Columns = &[
    ("Ready", "string", 0),
    ("Status", "string", 0),
    ("Restarts", "string", 0),
    AGE,
    ("IP", "string", 1),
    ("Node", "string", 1),
    ("Nominated Node", "string", 1),
    ("Readiness Gates", "string", 1),
];
const CLAIM: Columns = &[
    ("Status", "string", 0),
    ("Volume", "string", 0),
    ("Capacity", "string", 0),
    ("Access Modes", "string", 0),
    ("StorageClass", "string", 0),
    ("VolumeAttributesClass", "string", 0),
    AGE,
    ("VolumeMode", "string", 1),
];
const VOLUME: Columns = &[
    ("Capacity", "string", 0),
    ("Access Modes", "string", 0),
    ("Reclaim Policy", "string", 0),
    ("Status", "string", 0),
    ("Claim", "string", 0),
    ("StorageClass", "string", 0),
    ("VolumeAttributesClass", "string", 0),
    ("Reason", "string", 0),
    AGE,
    ("VolumeMode", "string", 1),
];
const NODE: Columns = &[
    ("Status", "string", 0),
    ("Roles", "string", 0),
    AGE,
    ("Version", "string", 0),
    ("Internal-IP", "string", 1),
    ("External-IP", "string", 1),
    ("OS-Image", "string", 1),
    ("Kernel-Version", "string", 1),
    ("Container-Runtime", "string", 1),
];
const INGRESS: Columns =
    &[("Class", "string", 0), ("Hosts", "string", 0), ("Address", "string", 0), ("Ports", "string", 0), AGE];
const BINDING: Columns = &[
    ("Role", "string", 0),
    AGE,
    ("Users", "string", 1),
    ("Groups", "string", 1),
    ("ServiceAccounts", "string", 1),
];
const EVENT: Columns = &[
    ("Last Seen", "string", 0),
    ("Type", "string", 0),
    ("Reason", "string", 0),
    ("Object", "string", 0),
    ("Subobject", "string", 1),
    ("Source", "string", 1),
    ("Message", "string", 0),
    ("First Seen", "string", 1),
    ("Count", "string", 1),
];

/// The column definitions of a kind and what fills them.
pub(super) fn printer(group: &str, kind: &str) -> (Value, CellsOf) {
    let (columns, cells): (Columns, CellsOf) = match (group, kind) {
        ("", "Namespace") => (&[("Status", "string", 0), AGE], namespace),
        ("", "Secret") => (&[("Type", "string", 0), ("Data", "string", 0), AGE], secret),
        ("", "ConfigMap") => (&[("Data", "string", 0), AGE], config_map),
        ("", "ServiceAccount") => (&[AGE], |object, now| vec![name(object), created(object, now)]),
        ("", "Service") => (SERVICE, service),
        ("", "Pod") => (POD, pod),
        ("", "Node") => (NODE, node),
        ("", "PersistentVolumeClaim") => (CLAIM, claim),
        ("", "PersistentVolume") => (VOLUME, volume),
        ("", "ReplicationController") => (REPLICA_SET, replica_set),
        ("", "Endpoints") => (&[("Endpoints", "string", 0), AGE], endpoints),
        ("discovery.k8s.io", "EndpointSlice") => (
            &[("AddressType", "string", 0), ("Ports", "string", 0), ("Endpoints", "string", 0), AGE],
            endpoint_slice,
        ),
        ("coordination.k8s.io", "Lease") => (&[("Holder", "string", 0), AGE], lease),
        ("" | "events.k8s.io", "Event") => return (event_columns(), event),
        ("apps", "Deployment") => (DEPLOYMENT, deployment),
        ("apps", "ReplicaSet") => (REPLICA_SET, replica_set),
        ("apps", "StatefulSet") => (STATEFUL_SET, stateful_set),
        ("apps", "DaemonSet") => (DAEMON_SET, daemon_set),
        ("batch", "Job") => (JOB, job),
        ("batch", "CronJob") => (CRON_JOB, cron_job),
        ("networking.k8s.io", "Ingress") => (INGRESS, ingress),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => (BINDING, binding),
        ("admissionregistration.k8s.io", _) => (&[("Webhooks", "integer", 0), AGE], webhooks),
        _ => (&[("Created At", "date", 0)], |object, _| {
            vec![name(object), object["metadata"]["creationTimestamp"].clone()]
        }),
    };
    let definitions =
        columns.iter().map(|(name, kind, priority)| super::column(name, kind, "", "", *priority));
    (std::iter::once(super::name_column()).chain(definitions).collect(), cells)
}

fn event_columns() -> Value {
    let columns = EVENT.iter().map(|(name, kind, priority)| super::column(name, kind, "", "", *priority));
    let mut last = super::name_column();
    last["priority"] = Value::from(1);
    columns.chain(std::iter::once(last)).collect()
}

fn name(object: &Value) -> Value {
    object["metadata"]["name"].clone()
}

fn created(object: &Value, now: Timestamp) -> Value {
    age(object["metadata"].get("creationTimestamp"), now)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn or_none(text: String) -> Value {
    Value::from(if text.is_empty() { "<none>".to_owned() } else { text })
}

fn count(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

fn length(value: &Value) -> usize {
    value.as_array().map(Vec::len).or_else(|| value.as_object().map(Map::len)).unwrap_or(0)
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(",")
}

fn labels(map: &Value) -> String {
    let mut pairs: Vec<String> =
        map.as_object().into_iter().flatten().map(|(key, value)| format!("{key}={}", text(value))).collect();
    pairs.sort();
    pairs.join(",")
}

fn containers(object: &Value) -> [Value; 2] {
    let containers = &object["spec"]["template"]["spec"]["containers"];
    let of = |field: &str| Value::from(joined(items(containers).map(|container| text(&container[field]))));
    [of("name"), of("image")]
}

fn namespace(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![name(object), text(&object["status"]["phase"]).into(), created(object, now)]
}

fn secret(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![name(object), text(&object["type"]).into(), length(&object["data"]).into(), created(object, now)]
}

fn config_map(object: &Value, now: Timestamp) -> Vec<Value> {
    let entries = length(&object["data"]) + length(&object["binaryData"]);
    vec![name(object), entries.into(), created(object, now)]
}

fn lease(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![name(object), text(&object["spec"]["holderIdentity"]).into(), created(object, now)]
}

fn deployment(object: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let [names, images] = containers(object);
    vec![
        name(object),
        format!("{}/{}", count(&status["readyReplicas"]), count(&spec["replicas"])).into(),
        count(&status["updatedReplicas"]).into(),
        count(&status["availableReplicas"]).into(),
        created(object, now),
        names,
        images,
        selector_text(&spec["selector"]).into(),
    ]
}

fn replica_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let [names, images] = containers(object);
    vec![
        name(object),
        count(&spec["replicas"]).into(),
        count(&status["replicas"]).into(),
        count(&status["readyReplicas"]).into(),
        created(object, now),
        names,
        images,
        selector_text(&spec["selector"]).into(),
    ]
}

fn stateful_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let [names, images] = containers(object);
    let ready =
        format!("{}/{}", count(&object["status"]["readyReplicas"]), count(&object["spec"]["replicas"]));
    vec![name(object), ready.into(), created(object, now), names, images]
}

fn daemon_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let status = &object["status"];
    let [names, images] = containers(object);
    vec![
        name(object),
        count(&status["desiredNumberScheduled"]).into(),
        count(&status["currentNumberScheduled"]).into(),
        count(&status["numberReady"]).into(),
        count(&status["updatedNumberScheduled"]).into(),
        count(&status["numberAvailable"]).into(),
        or_none(labels(&object["spec"]["template"]["spec"]["nodeSelector"])),
        created(object, now),
        names,
        images,
        selector_text(&object["spec"]["selector"]).into(),
    ]
}

fn condition_is_true(object: &Value, kind: &str) -> bool {
    items(&object["status"]["conditions"])
        .any(|condition| condition["type"] == kind && condition["status"] == "True")
}

fn job(object: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let word = match () {
        () if condition_is_true(object, "Complete") => "Complete",
        () if condition_is_true(object, "Failed") => "Failed",
        () if !object["metadata"]["deletionTimestamp"].is_null() => "Terminating",
        () if condition_is_true(object, "Suspended") => "Suspended",
        () if condition_is_true(object, "FailureTarget") => "FailureTarget",
        () if condition_is_true(object, "SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    };
    let succeeded = count(&status["succeeded"]);
    let completions = match (spec["completions"].as_i64(), count(&spec["parallelism"])) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, parallel) if parallel > 1 => format!("{succeeded}/1 of {parallel}"),
        (None, _) => format!("{succeeded}/1"),
    };
    let time = |field: &str| status[field].as_str().and_then(crate::schema::parse_timestamp);
    let duration = time("startTime")
        .map(|start| human_duration(seconds_between(start, time("completionTime").unwrap_or(now))))
        .unwrap_or_default();
    let [names, images] = containers(object);
    vec![
        name(object),
        word.into(),
        completions.into(),
        duration.into(),
        created(object, now),
        names,
        images,
        selector_text(&spec["selector"]).into(),
    ]
}

fn cron_job(object: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &object["spec"];
    let containers = &spec["jobTemplate"]["spec"]["template"]["spec"]["containers"];
    let last = match object["status"].get("lastScheduleTime") {
        None | Some(Value::Null) => Value::from("<none>"),
        time => age(time, now),
    };
    vec![
        name(object),
        text(&spec["schedule"]).into(),
        or_none(text(&spec["timeZone"])),
        Value::from(spec["suspend"].as_bool().unwrap_or(false)),
        length(&object["status"]["active"]).into(),
        last,
        created(object, now),
        joined(items(containers).map(|container| text(&container["name"]))).into(),
        joined(items(containers).map(|container| text(&container["image"]))).into(),
        or_none(selector_text(&spec["jobTemplate"]["spec"]["selector"])),
    ]
}

fn service(object: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &object["spec"];
    let ports = joined(items(&spec["ports"]).map(|port| {
        let node_port = count(&port["nodePort"]);
        let node_port = if node_port > 0 { format!(":{node_port}") } else { String::new() };
        format!("{}{node_port}/{}", count(&port["port"]), text(&port["protocol"]))
    }));
    vec![
        name(object),
        text(&spec["type"]).into(),
        or_none(text(&spec["clusterIP"])),
        external_ip(object).into(),
        or_none(ports),
        created(object, now),
        or_none(labels(&spec["selector"])),
    ]
}

fn external_ip(object: &Value) -> String {
    let spec = &object["spec"];
    let own = joined(items(&spec["externalIPs"]).map(text));
    let none = || "<none>".to_owned();
    match spec["type"].as_str() {
        Some("ExternalName") => text(&spec["externalName"]),
        Some("LoadBalancer") => {
            let given = joined(items(&object["status"]["loadBalancer"]["ingress"]).map(|ingress| {
                let ip = text(&ingress["ip"]);
                if ip.is_empty() { text(&ingress["hostname"]) } else { ip }
            }));
            let all = [given, own].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(",");
            if all.is_empty() { "<pending>".to_owned() } else { all }
        }
        _ if own.is_empty() => none(),
        _ => own,
    }
}

fn pod_status(object: &Value) -> String {
    let status = &object["status"];
    let mut word = text(&status["phase"]);
    if let Some(reason) = status["reason"].as_str().filter(|reason| !reason.is_empty()) {
        word = reason.to_owned();
    }
    for container in items(&status["containerStatuses"]) {
        let state = &container["state"];
        let reason = state["waiting"]["reason"].as_str().or(state["terminated"]["reason"].as_str());
        if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
            word = reason.to_owned();
        }
    }
    if object["metadata"]["deletionTimestamp"].is_null() { word } else { "Terminating".to_owned() }
}

fn pod(object: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let containers = &status["containerStatuses"];
    let ready = items(containers).filter(|container| container["ready"] == true).count();
    let restarts: i64 = items(containers).map(|container| count(&container["restartCount"])).sum();
    let gates = items(&spec["readinessGates"])
        .filter(|gate| gate["conditionType"].as_str().is_some_and(|kind| condition_is_true(object, kind)))
        .count();
    let gates = match length(&spec["readinessGates"]) {
        0 => "<none>".to_owned(),
        all => format!("{gates}/{all}"),
    };
    vec![
        name(object),
        format!("{ready}/{}", length(&spec["containers"])).into(),
        pod_status(object).into(),
        restarts.to_string().into(),
        created(object, now),
        or_none(text(&status["podIP"])),
        or_none(text(&spec["nodeName"])),
        or_none(text(&status["nominatedNodeName"])),
        gates.into(),
    ]
}

fn node(object: &Value, now: Timestamp) -> Vec<Value> {
    let (status, info) = (&object["status"], &object["status"]["nodeInfo"]);
    let ready = items(&status["conditions"]).find(|condition| condition["type"] == "Ready");
    let mut word = match ready.and_then(|condition| condition["status"].as_str()) {
        Some("True") => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if object["spec"]["unschedulable"] == true {
        word += ",SchedulingDisabled";
    }
    let address = |kind: &str| {
        let found = items(&status["addresses"]).find(|address| address["type"] == kind);
        or_none(found.map(|address| text(&address["address"])).unwrap_or_default())
    };
    let labels = object["metadata"]["labels"].as_object();
    let mut roles: Vec<&str> = labels
        .into_iter()
        .flatten()
        .filter_map(|(key, _)| key.strip_prefix("node-role.kubernetes.io/"))
        .filter(|role| !role.is_empty())
        .collect();
    roles.sort_unstable();
    let or_unknown =
        |value: &Value| Value::from(value.as_str().filter(|t| !t.is_empty()).unwrap_or("<unknown>"));
    vec![
        name(object),
        word.into(),
        or_none(roles.join(",")),
        created(object, now),
        text(&info["kubeletVersion"]).into(),
        address("InternalIP"),
        address("ExternalIP"),
        or_unknown(&info["osImage"]),
        or_unknown(&info["kernelVersion"]),
        or_unknown(&info["containerRuntimeVersion"]),
    ]
}

/// Access modes in their short forms.
fn access(modes: &Value) -> String {
    joined(items(modes).map(|mode| match mode.as_str() {
        Some("ReadWriteOnce") => "RWO".to_owned(),
        Some("ReadOnlyMany") => "ROX".to_owned(),
        Some("ReadWriteMany") => "RWX".to_owned(),
        Some("ReadWriteOncePod") => "RWOP".to_owned(),
        _ => text(mode),
    }))
}

fn or_unset(value: &Value) -> Value {
    Value::from(value.as_str().filter(|text| !text.is_empty()).unwrap_or("<unset>"))
}

fn claim(object: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let deleting = !object["metadata"]["deletionTimestamp"].is_null();
    let phase = if deleting { "Terminating".to_owned() } else { text(&status["phase"]) };
    vec![
        name(object),
        phase.into(),
        text(&spec["volumeName"]).into(),
        text(&status["capacity"]["storage"]).into(),
        access(&status["accessModes"]).into(),
        text(&spec["storageClassName"]).into(),
        or_unset(&spec["volumeAttributesClassName"]),
        created(object, now),
        or_unset(&spec["volumeMode"]),
    ]
}

fn volume(object: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let claim = &spec["claimRef"];
    let claim = match claim["name"].as_str() {
        Some(name) => format!("{}/{name}", text(&claim["namespace"])),
        None => String::new(),
    };
    let deleting = !object["metadata"]["deletionTimestamp"].is_null();
    let phase = if deleting { "Terminating".to_owned() } else { text(&status["phase"]) };
    vec![
        name(object),
        text(&spec["capacity"]["storage"]).into(),
        access(&spec["accessModes"]).into(),
        text(&spec["persistentVolumeReclaimPolicy"]).into(),
        phase.into(),
        claim.into(),
        text(&spec["storageClassName"]).into(),
        or_unset(&spec["volumeAttributesClassName"]),
        text(&status["reason"]).into(),
        created(object, now),
        or_unset(&spec["volumeMode"]),
    ]
}

fn endpoints(object: &Value, now: Timestamp) -> Vec<Value> {
    let mut places = Vec::new();
    for subset in items(&object["subsets"]) {
        for port in items(&subset["ports"]) {
            let port = count(&port["port"]);
            places.extend(
                items(&subset["addresses"]).map(|address| format!("{}:{port}", text(&address["ip"]))),
            );
        }
    }
    vec![name(object), or_none(shortened(&places)), created(object, now)]
}

fn endpoint_slice(object: &Value, now: Timestamp) -> Vec<Value> {
    let ports: Vec<String> = items(&object["ports"]).map(|port| text(&port["port"])).collect();
    let addresses: Vec<String> =
        items(&object["endpoints"]).flat_map(|endpoint| items(&endpoint["addresses"])).map(text).collect();
    let unset = |text: String| Value::from(if text.is_empty() { "<unset>".to_owned() } else { text });
    vec![
        name(object),
        text(&object["addressType"]).into(),
        unset(shortened(&ports)),
        unset(shortened(&addresses)),
        created(object, now),
    ]
}

/// The first three, and how many more there are.
fn shortened(parts: &[String]) -> String {
    match parts.len() {
        0..=3 => parts.join(","),
        many => format!("{} + {} more...", parts[..3].join(","), many - 3),
    }
}

fn ingress(object: &Value, now: Timestamp) -> Vec<Value> {
    let spec = &object["spec"];
    let hosts: Vec<String> =
        items(&spec["rules"]).map(|rule| text(&rule["host"])).filter(|host| !host.is_empty()).collect();
    let hosts = if hosts.is_empty() { "*".to_owned() } else { shortened(&hosts) };
    let addresses = joined(items(&object["status"]["loadBalancer"]["ingress"]).map(|ingress| {
        let ip = text(&ingress["ip"]);
        if ip.is_empty() { text(&ingress["hostname"]) } else { ip }
    }));
    let ports = if length(&spec["tls"]) > 0 { "80, 443" } else { "80" };
    vec![
        name(object),
        or_none(text(&spec["ingressClassName"])),
        hosts.into(),
        addresses.into(),
        ports.into(),
        created(object, now),
    ]
}

fn binding(object: &Value, now: Timestamp) -> Vec<Value> {
    let role = format!("{}/{}", text(&object["roleRef"]["kind"]), text(&object["roleRef"]["name"]));
    let subjects = |kind: &str| {
        let names = items(&object["subjects"]).filter(|subject| subject["kind"] == kind).map(|subject| {
            let name = text(&subject["name"]);
            match kind {
                "ServiceAccount" => format!("{}/{name}", text(&subject["namespace"])),
                _ => name,
            }
        });
        Value::from(names.collect::<Vec<_>>().join(", "))
    };
    vec![
        name(object),
        role.into(),
        created(object, now),
        subjects("User"),
        subjects("Group"),
        subjects("ServiceAccount"),
    ]
}

fn webhooks(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![name(object), length(&object["webhooks"]).into(), created(object, now)]
}

/// Events come in two shapes, the core one and that of `events.k8s.io`.
fn event(object: &Value, now: Timestamp) -> Vec<Value> {
    let either = |core: &str, new: &str| {
        let value = &object[core];
        if value.is_null() { object[new].clone() } else { value.clone() }
    };
    let involved = either("involvedObject", "regarding");
    let source = either("source", "deprecatedSource");
    let source = [&source["component"], &source["host"]].map(text);
    let source = source.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    let source =
        if source.is_empty() { text(&either("reportingComponent", "reportingController")) } else { source };
    let series = &object["series"];
    let event_time = object.get("eventTime").filter(|time| !time.is_null());
    let first = either("firstTimestamp", "deprecatedFirstTimestamp");
    let first = Some(&first).filter(|time| !time.is_null()).or(event_time);
    let last = either("lastTimestamp", "deprecatedLastTimestamp");
    let last = series.get("lastObservedTime").or(Some(&last).filter(|time| !time.is_null())).or(first);
    let times = series["count"].as_i64().or(either("count", "deprecatedCount").as_i64()).unwrap_or(1);
    let kind = text(&involved["kind"]).to_lowercase();
    vec![
        age(last, now),
        text(&object["type"]).into(),
        text(&object["reason"]).into(),
        format!("{kind}/{}", text(&involved["name"])).into(),
        text(&involved["fieldPath"]).into(),
        source.into(),
        Value::from(text(&either("message", "note")).trim()),
        age(first, now),
        times.max(1).into(),
        name(object),
    ]
}
