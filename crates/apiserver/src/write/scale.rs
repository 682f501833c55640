//! The scale subresource: a small object in front of fields of a large one
//! (spec/apiserver.md 9.5).

use serde_json::{Map, Value, json};

use super::patch::{Patch, apply_refused, check_manager, check_no_force, check_pinned, placed};
use super::replace::check_name;
use super::terms::{Request, Terms};
use super::{Door, Proposal};
use crate::api::{Api, Call};
use crate::apply::{self, Outcome, SCALE, set_at};
use crate::builtin::schema_of;
use crate::http::body::decode_object;
use crate::http::reply::Reply;
use crate::http::status::ApiError;
use crate::kinds::{Kind, ScaleFields};
use crate::object::Object;
use crate::schema::FieldError;
use crate::selector::selector_text;
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
        let body = decode_object(&call.media, &call.body, SCALE.0, SCALE.1, true)?.value;
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
        let mut findings = Vec::new();
        let patch = Patch::parse(call, kind, SCALE, &mut findings)?;
        if let Patch::Apply(applied) = &patch {
            return self.apply_scale(call, kind, name, &terms, applied).await;
        }
        check_no_force(call)?;
        terms.report(call, kind, &findings, &Value::Null)?;
        self.write_scale(call, kind, name, &terms, |scale| patch.on(kind, scale)).await
    }

    async fn apply_scale(
        &self,
        call: &Call,
        kind: &Kind,
        name: &ObjectName,
        terms: &Terms,
        applied: &Value,
    ) -> Result<Reply, ApiError> {
        check_manager(call)?;
        let fields = fields(kind)?;
        let applied = placed(kind, name, applied)?;
        let propose = |live: &Value| {
            check_pinned(kind, live, &applied)?;
            check_replicas(kind, fields, live, &applied)?;
            let (time, api_version) = (self.time(), kind.api_version());
            let writer = terms.writer(kind, &api_version, Door::Scale, &time);
            let force = call.query.flag("force");
            match apply::apply_scale(kind.schema(), live, &fields.replicas, &applied, &writer, force) {
                Ok(Outcome::Unchanged) => Ok(Proposal::Unchanged),
                Ok(Outcome::Changed(object)) => Ok(Proposal::Object { object, owned: true }),
                Err(error) => Err(apply_refused(&error)),
            }
        };
        let record = self.change(call, kind, name, Door::Scale, terms, propose).await?;
        Ok(Reply::value(200, &scale_of(&kind.view(&record), fields), call.form))
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
            check_types(call, &scale)?;
            let revision = scale.resource_version();
            if !revision.is_empty() && revision != "0" && revision != live.resource_version() {
                return Err(ApiError::modified(&kind.group, &kind.plural, live.name()));
            }
            check_replicas(kind, fields, live, &scale)?;
            let replicas = scale["spec"]["replicas"].as_i64().unwrap_or(0);
            let mut object = live.clone();
            set_at(&mut object, &fields.replicas, json!(replicas));
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

/// A number of replicas that is no number must not count as none.
fn check_types(call: &Call, scale: &Value) -> Result<(), ApiError> {
    let schema = schema_of(SCALE.0, SCALE.1).ok_or_else(ApiError::no_such_resource)?;
    schema.check_types(SCALE.1, scale).map_err(|mismatch| {
        if call.method == http::Method::PATCH {
            let error = FieldError::invalid_str("patch", &scale.to_string(), mismatch);
            return ApiError::invalid("", "", "", &[error]);
        }
        ApiError::bad_request(format!("Scale in version \"v1\" cannot be handled as a Scale: {mismatch}"))
    })
}

fn check_replicas(kind: &Kind, fields: &ScaleFields, live: &Value, scale: &Value) -> Result<(), ApiError> {
    let replicas = &scale["spec"]["replicas"];
    if replicas.as_i64().unwrap_or(0) >= 0 {
        return Ok(());
    }
    let path = fields.replicas.join(".");
    let path = if kind.custom().is_some() { format!(".{path}") } else { path };
    let error = FieldError::invalid(path, replicas, "should be a non-negative integer");
    Err(ApiError::invalid(&kind.group, &kind.kind, live.name(), &[error]))
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
