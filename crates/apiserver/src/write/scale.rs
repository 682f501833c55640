//! The scale subresource: a small object in front of fields of a large one
//! (spec/apiserver.md 9.5).

use serde_json::{Map, Value, json};

use super::patch::{Patch, check_no_force};
use super::replace::check_name;
use super::terms::{Request, Terms};
use super::{Door, Proposal};
use crate::api::{Api, Call};
use crate::http::body::decode_object;
use crate::http::reply::Reply;
use crate::http::status::ApiError;
use crate::kinds::{Kind, ScaleFields};
use crate::object::Object;
use crate::schema::{FieldError, FieldReason};
use crate::store::ObjectName;

impl Api {
    pub(crate) fn get_scale(&self, call: &Call, kind: &Kind, name: &ObjectName) -> Result<Reply, ApiError> {
        let fields = fields(kind)?;
        let record = self.existing(kind, name)?;
        let object = kind.view(&record);
        if lookup(&object, &fields.replicas).and_then(Value::as_i64).is_none() && kind.custom().is_some() {
            let path = fields.replicas.join(".");
            return Err(ApiError::internal(format!("the spec replicas field \".{path}\" does not exist")));
        }
        Ok(Reply::value(200, &scale_of(&object, fields), call.form))
    }

    pub(crate) async fn replace_scale(
        &self,
        call: &Call,
        kind: &Kind,
        name: &ObjectName,
    ) -> Result<Reply, ApiError> {
        let terms = Terms::parse(call, Request::Update)?;
        let body = decode_object(&call.media, &call.body, "autoscaling/v1", "Scale", true)?.value;
        check_name(&body, name)?;
        self.write_scale(call, kind, name, &terms, |_| Ok(body.clone())).await
    }

    pub(crate) async fn patch_scale(
        &self,
        call: &Call,
        kind: &Kind,
        name: &ObjectName,
    ) -> Result<Reply, ApiError> {
        let terms = Terms::parse(call, Request::Patch)?;
        let patch = Patch::parse(call, kind, &mut Vec::new())?;
        check_no_force(call)?;
        self.write_scale(call, kind, name, &terms, |scale| patch.on(kind, scale)).await
    }

    async fn write_scale(
        &self,
        call: &Call,
        kind: &Kind,
        name: &ObjectName,
        terms: &Terms,
        change: impl Fn(&Value) -> Result<Value, ApiError> + Sync,
    ) -> Result<Reply, ApiError> {
        let fields = fields(kind)?;
        let propose = |live: &Value| {
            let scale = change(&scale_of(live, fields))?;
            let revision = scale.resource_version();
            if !revision.is_empty() && revision != "0" && revision != live.resource_version() {
                return Err(ApiError::modified(&kind.group, &kind.plural, live.name()));
            }
            let replicas = scale["spec"]["replicas"].as_i64().unwrap_or(0);
            if replicas < 0 {
                let path = fields.replicas.join(".");
                return Err(ApiError::invalid(
                    &kind.group,
                    &kind.kind,
                    live.name(),
                    &[FieldError {
                        path: if kind.custom().is_some() { format!(".{path}") } else { path },
                        reason: FieldReason::Invalid,
                        message: format!("Invalid value: {replicas}: should be a non-negative integer"),
                    }],
                ));
            }
            let mut object = live.clone();
            set(&mut object, &fields.replicas, json!(replicas));
            Ok(Proposal::Object { object, owned: false })
        };
        let record = self.change(call, kind, name, Door::Scale, terms, propose).await?;
        Ok(Reply::value(200, &scale_of(&kind.view(&record), fields), call.form))
    }
}

fn fields(kind: &Kind) -> Result<&ScaleFields, ApiError> {
    kind.scale.as_ref().ok_or_else(ApiError::no_such_resource)
}

fn lookup<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, field| value.get(field))
}

fn set(object: &mut Value, path: &[String], value: Value) {
    let [parents @ .., last] = path else { return };
    let mut place = object;
    for field in parents {
        if !place[field.as_str()].is_object() {
            place[field.as_str()] = Value::Object(Map::new());
        }
        place = &mut place[field.as_str()];
    }
    place[last.as_str()] = value;
}

fn scale_of(object: &Value, fields: &ScaleFields) -> Value {
    let number = |path: &[String]| lookup(object, path).and_then(Value::as_i64).unwrap_or(0);
    let mut metadata = Map::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object["metadata"].get(field) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    let mut status = json!({"replicas": number(&fields.status_replicas)});
    let selector = fields.selector.as_deref().and_then(|path| lookup(object, path)).map(selector_text);
    if let Some(selector) = selector.filter(|selector| !selector.is_empty()) {
        status["selector"] = json!(selector);
    }
    let mut spec = Map::new();
    if let Some(replicas) = lookup(object, &fields.replicas).and_then(Value::as_i64) {
        spec.insert("replicas".to_owned(), json!(replicas));
    }
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": spec,
        "status": status,
    })
}

/// A selector as text: custom resources keep text, built-in kinds a structure.
fn selector_text(selector: &Value) -> String {
    if let Some(text) = selector.as_str() {
        return text.to_owned();
    }
    let mut terms: Vec<String> = Vec::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        terms.push(format!("{key}={}", value.as_str().unwrap_or_default()));
    }
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = expression["key"].as_str().unwrap_or_default();
        let values = expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let values = values.collect::<Vec<_>>().join(",");
        terms.push(match expression["operator"].as_str().unwrap_or_default() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    terms.sort();
    terms.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_shows_the_fields_of_its_parent() {
        let fields = ScaleFields {
            replicas: vec!["spec".into(), "replicas".into()],
            status_replicas: vec!["status".into(), "replicas".into()],
            selector: Some(vec!["spec".into(), "selector".into()]),
        };
        let object = json!({
            "metadata": {"name": "web", "namespace": "a", "resourceVersion": "7", "labels": {"x": "y"}},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"b": "2", "a": "1"}}},
        });
        let scale = scale_of(&object, &fields);
        assert_eq!(scale["spec"], json!({"replicas": 3}));
        assert_eq!(scale["status"], json!({"replicas": 0, "selector": "a=1,b=2"}));
        assert_eq!(scale["metadata"], json!({"name": "web", "namespace": "a", "resourceVersion": "7"}));
    }
}
