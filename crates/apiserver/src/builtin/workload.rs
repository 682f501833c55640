//! Deployment, ReplicaSet, StatefulSet, DaemonSet, Job and CronJob (`spec/apiserver.md` 14).

use super::{BuiltinKind, check_immutable, object_at, pod, set_default};
use crate::schema::FieldError;
use crate::selector::LabelSelector;
use serde_json::{Map, Value, json};

/// Makes the structs that upstream always has, so that the defaults inside them apply.
pub(super) fn before_defaults(kind: &BuiltinKind, object: &mut Value) {
    if !["apps", "batch"].contains(&kind.group) {
        if kind.kind == "Pod" {
            object_at(object, "spec");
        }
        return;
    }
    object_at(object, "spec");
    let spec = &mut object["spec"];
    if kind.kind == "CronJob" {
        object_at(spec, "jobTemplate");
        before_job(&mut spec["jobTemplate"]);
        return;
    }
    if kind.kind == "Job" {
        before_job(object);
        return;
    }
    object_at(spec, "template");
    object_at(&mut spec["template"], "spec");
}

/// A job that says nothing about how often runs once.
fn before_job(job: &mut Value) {
    if let Some(spec) = object_at(job, "spec") {
        let unset = |name: &str| spec.get(name).is_none_or(Value::is_null);
        if unset("completions") && unset("parallelism") {
            spec.insert("completions".to_owned(), json!(1));
        }
    }
    object_at(&mut job["spec"], "template");
    object_at(&mut job["spec"]["template"], "spec");
}

pub(super) fn default(kind: &BuiltinKind, object: &mut Value, old: Option<&Value>) {
    match kind.kind {
        "Job" => {
            default_job_spec(&mut object["spec"]);
            match old {
                None => select_by_uid(object),
                Some(old) => keep_selector(object, old),
            }
        }
        "CronJob" => default_job_spec(&mut object["spec"]["jobTemplate"]["spec"]),
        _ => {
            let spec = &mut object["spec"];
            if let Some(pod) = spec["template"]["spec"].as_object_mut() {
                pod::default_spec(pod);
            }
            default_strategy(kind.kind, spec);
            default_claims(spec);
            if kind.kind == "ReplicaSet" {
                select_by_template(object);
            }
        }
    }
}

fn default_job_spec(spec: &mut Value) {
    if let Some(pod) = spec["template"]["spec"].as_object_mut() {
        pod::default_spec(pod);
    }
    if let Some(fields) = spec.as_object_mut()
        && fields.get("podFailurePolicy").is_none()
    {
        set_default(fields, "podReplacementPolicy", "TerminatingOrFailed");
    }
}

/// The rolling update has its own defaults, but only where it is the strategy.
fn default_strategy(kind: &str, spec: &mut Value) {
    let (field, defaults) = match kind {
        "Deployment" => ("strategy", json!({"maxUnavailable": "25%", "maxSurge": "25%"})),
        "StatefulSet" => ("updateStrategy", json!({"partition": 0})),
        "DaemonSet" => ("updateStrategy", json!({"maxUnavailable": 1, "maxSurge": 0})),
        _ => return,
    };
    let strategy = &mut spec[field];
    if strategy["type"] != "RollingUpdate" {
        return;
    }
    if let (Some(update), Value::Object(defaults)) = (object_at(strategy, "rollingUpdate"), defaults) {
        for (name, value) in defaults {
            set_default(update, &name, value);
        }
    }
}

fn default_claims(spec: &mut Value) {
    for claim in spec.get_mut("volumeClaimTemplates").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(fields) = claim.as_object_mut() {
            set_default(fields, "apiVersion", "v1");
            set_default(fields, "kind", "PersistentVolumeClaim");
        }
        if let Some(status) = object_at(claim, "status") {
            set_default(status, "phase", "Pending");
        }
    }
}

/// A replica set without a selector takes the labels of its template, on itself too.
fn select_by_template(object: &mut Value) {
    let labels = object["spec"]["template"]["metadata"]["labels"].clone();
    if labels.as_object().is_none_or(Map::is_empty) {
        return;
    }
    if object["spec"]["selector"].is_null() {
        object["spec"]["selector"] = json!({"matchLabels": labels});
    }
    if object["metadata"]["labels"].as_object().is_none_or(Map::is_empty) {
        object["metadata"]["labels"] = labels;
    }
}

/// A job selects its pods by its own uid, unless told to use another selector.
fn select_by_uid(object: &mut Value) {
    let Some(uid) = object["metadata"]["uid"].as_str().map(str::to_owned) else { return };
    if object["spec"]["manualSelector"] == true {
        return;
    }
    let name = object["metadata"]["name"].clone();
    let template = &mut object["spec"]["template"];
    object_at(template, "metadata");
    if let Some(labels) = object_at(&mut template["metadata"], "labels") {
        for prefix in ["batch.kubernetes.io/", ""] {
            labels.insert(format!("{prefix}controller-uid"), json!(uid));
            labels.insert(format!("{prefix}job-name"), name.clone());
        }
    }
    object["spec"]["selector"] = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
}

/// A client that replaces a job with its own manifest leaves out what the server gave it.
fn keep_selector(object: &mut Value, old: &Value) {
    if object["spec"]["selector"].is_null() {
        object["spec"]["selector"] = old["spec"]["selector"].clone();
    }
    let given = &old["spec"]["template"]["metadata"]["labels"];
    let template = &mut object["spec"]["template"];
    object_at(template, "metadata");
    if let Some(labels) = object_at(&mut template["metadata"], "labels") {
        for name in ["controller-uid", "job-name"] {
            for key in [format!("batch.kubernetes.io/{name}"), name.to_owned()] {
                if let Some(value) = given.get(&key) {
                    labels.entry(key).or_insert_with(|| value.clone());
                }
            }
        }
    }
}

pub(super) fn validate(
    kind: &BuiltinKind,
    object: &Value,
    old: Option<&Value>,
    errors: &mut Vec<FieldError>,
) {
    match kind.kind {
        "Job" => {
            validate_job(&object["spec"], "spec", errors);
            if let Some(old) = old {
                check_immutable(object, old, &["spec", "selector"], errors);
                check_immutable(object, old, &["spec", "completions"], errors);
                check_immutable(object, old, &["spec", "completionMode"], errors);
                check_job_template(object, old, errors);
            }
        }
        "CronJob" => {
            if object["spec"]["schedule"].as_str().is_none_or(str::is_empty) {
                errors.push(FieldError::required("spec.schedule", ""));
            }
            validate_job(&object["spec"]["jobTemplate"]["spec"], "spec.jobTemplate.spec", errors);
        }
        _ => {
            validate_replicated(kind.kind, object, errors);
            if let Some(old) = old {
                check_immutable(object, old, &["spec", "selector"], errors);
                if kind.kind == "StatefulSet" {
                    check_stateful_update(object, old, errors);
                }
            }
        }
    }
}

fn check_not_negative(spec: &Value, path: &str, names: &[&str], errors: &mut Vec<FieldError>) {
    for name in names {
        if spec[*name].as_i64().is_some_and(|number| number < 0) {
            let detail = "must be greater than or equal to 0";
            errors.push(FieldError::invalid(format!("{path}.{name}"), &spec[*name], detail));
        }
    }
}

fn validate_replicated(kind: &str, object: &Value, errors: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    let counts = ["replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"];
    check_not_negative(spec, "spec", &counts, errors);
    let selector = &spec["selector"];
    let empty = |name: &str| match &selector[name] {
        Value::Object(labels) => labels.is_empty(),
        Value::Array(expressions) => expressions.is_empty(),
        _ => true,
    };
    if selector.is_null() {
        errors.push(FieldError::required("spec.selector", ""));
    } else if empty("matchLabels") && empty("matchExpressions") {
        let detail = format!("empty selector is invalid for {}", kind.to_lowercase());
        errors.push(FieldError::invalid("spec.selector", selector, detail));
    } else {
        check_selector(spec, errors);
    }
    pod::validate_spec(&spec["template"]["spec"], "spec.template.spec", errors);
    let policy = &spec["template"]["spec"]["restartPolicy"];
    if policy.is_string() && policy != "Always" {
        errors.push(FieldError::not_one_of("spec.template.spec.restartPolicy", policy, &["Always"]));
    }
    let (field, allowed): (&str, &[&str]) = match kind {
        "Deployment" => ("strategy", &["Recreate", "RollingUpdate"]),
        "StatefulSet" | "DaemonSet" => ("updateStrategy", &["OnDelete", "RollingUpdate"]),
        _ => return,
    };
    let strategy = &spec[field];
    if !strategy["type"].as_str().is_some_and(|kind| allowed.contains(&kind)) {
        errors.push(FieldError::not_one_of(format!("spec.{field}.type"), &strategy["type"], allowed));
    } else if strategy["type"] == "Recreate" && !strategy["rollingUpdate"].is_null() {
        let why = "may not be specified when strategy `type` is 'Recreate'";
        errors.push(FieldError::forbidden(format!("spec.{field}.rollingUpdate"), why));
    }
}

fn check_selector(spec: &Value, errors: &mut Vec<FieldError>) {
    let labels = &spec["template"]["metadata"]["labels"];
    match LabelSelector::from_object(&spec["selector"]) {
        Err(error) => errors.push(FieldError::invalid("spec.selector", &spec["selector"], error)),
        Ok(selector) if !selector.matches_labels(labels.as_object()) => {
            let shown = if labels.is_null() { &json!({}) } else { labels };
            let detail = "`selector` does not match template `labels`";
            errors.push(FieldError::invalid("spec.template.metadata.labels", shown, detail));
        }
        Ok(_) => {}
    }
}

fn check_stateful_update(object: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let fixed = |object: &Value| {
        let mut spec = object["spec"].clone();
        if let Some(fields) = spec.as_object_mut() {
            for name in [
                "replicas",
                "ordinals",
                "template",
                "updateStrategy",
                "revisionHistoryLimit",
                "persistentVolumeClaimRetentionPolicy",
                "minReadySeconds",
                "selector",
            ] {
                fields.shift_remove(name);
            }
        }
        spec
    };
    if fixed(object) != fixed(old) {
        let why = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                   'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                   'minReadySeconds' are forbidden";
        errors.push(FieldError::forbidden("spec", why));
    }
}

fn validate_job(spec: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let counts =
        ["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"];
    check_not_negative(spec, path, &counts, errors);
    let template = &spec["template"]["spec"];
    pod::validate_spec(template, &format!("{path}.template.spec"), errors);
    if template["restartPolicy"] == "Always" {
        let place = format!("{path}.template.spec.restartPolicy");
        errors.push(FieldError::required(place, "valid values: \"OnFailure\", \"Never\""));
    }
}

/// The template of a job is fixed; only a suspended one may change where its pods run.
fn check_job_template(object: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let fixed = |object: &Value| {
        let mut template = object["spec"]["template"].clone();
        if old["spec"]["suspend"] == true {
            for name in ["nodeSelector", "affinity", "tolerations", "schedulingGates"] {
                template["spec"][name] = Value::Null;
            }
            template["metadata"] = Value::Null;
            for container in template["spec"]["containers"].as_array_mut().into_iter().flatten() {
                container["resources"] = Value::Null;
            }
        }
        template
    };
    if fixed(object) != fixed(old) {
        errors.push(FieldError::invalid("spec.template", &object["spec"]["template"], "field is immutable"));
    }
}
