//! PATCH in its four forms (spec/apiserver.md 11, 12).

use serde_json::{Value, json};

use super::replace::{check_name, check_revision};
use super::terms::{Request, Terms};
use super::{ATTEMPTS, Door, Proposal};
use crate::api::{Api, Call};
use crate::apply::{self, ApplyError, Conflict, Outcome};
use crate::http::body::check_patched_types;
use crate::http::query::option_error;
use crate::http::reply::Reply;
use crate::http::status::ApiError;
use crate::http::{json, yaml};
use crate::kinds::Kind;
use crate::object::Object;
use crate::patch::{JsonPatch, PatchError, merge_patch, strategic_merge_patch};
use crate::present::Presenter;
use crate::schema::{FieldError, FieldReason};
use crate::store::ObjectName;

const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
const APPLY_PATCH: &str = "application/apply-patch+yaml";

/// A decoded patch.
pub(super) enum Patch {
    Json(JsonPatch),
    Merge(Value),
    Strategic(Value),
    Apply(Value),
}

impl Patch {
    /// Reads the body as its media type says. `target` is the apiVersion and kind that an applied configuration must
    /// have.
    pub(super) fn parse(
        call: &Call,
        kind: &Kind,
        target: (&str, &str),
        findings: &mut Vec<String>,
    ) -> Result<Self, ApiError> {
        let mut document = || {
            let decoded = json::decode(&call.body)
                .map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))?;
            findings.extend(decoded.duplicates.iter().map(ToString::to_string));
            Ok::<Value, ApiError>(decoded.value)
        };
        match call.media.as_str() {
            JSON_PATCH => {
                let document = document()?;
                let unknown = JsonPatch::unknown_fields(&document);
                findings.extend(unknown.iter().map(|path| format!("json patch unknown field {path:?}")));
                JsonPatch::parse(&document).map(Self::Json).map_err(|error| refused(&error))
            }
            MERGE_PATCH => Ok(Self::Merge(document()?)),
            STRATEGIC_PATCH if kind.custom().is_none() => Ok(Self::Strategic(document()?)),
            APPLY_PATCH => Self::parse_apply(call, target),
            _ => Err(unsupported(kind)),
        }
    }

    fn parse_apply(call: &Call, (api_version, kind): (&str, &str)) -> Result<Self, ApiError> {
        let decoded = yaml::decode(&call.body)
            .map_err(|error| ApiError::bad_request(format!("error decoding YAML: {error}")))?;
        if let Some(duplicate) = decoded.duplicates.first() {
            return Err(ApiError::bad_request(format!(
                "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  {duplicate}"
            )));
        }
        let applied = decoded.value;
        let text = |field: &str| applied[field].as_str().unwrap_or_default();
        let (found_version, found_kind) = (text("apiVersion"), text("kind"));
        if (found_version, found_kind) != (api_version, kind) {
            let found = type_text(found_version, found_kind);
            return Err(ApiError::bad_request(format!("invalid object type: {found}")));
        }
        Ok(Self::Apply(applied))
    }

    /// The object this patch makes of `target`; not for apply.
    pub(super) fn on(&self, kind: &Kind, target: &Value) -> Result<Value, ApiError> {
        let mut object = target.clone();
        let done = match self {
            Self::Json(patch) => patch.apply(target).map(|patched| object = patched),
            Self::Merge(patch) => merge_patch(&mut object, patch),
            Self::Strategic(patch) => strategic_merge_patch(&mut object, patch, kind.schema()),
            Self::Apply(_) => return Err(unsupported(kind)),
        };
        done.map_err(|error| match (self, &error) {
            // Go's library says nothing about a failed operation of a JSON patch (spec/apiserver.md 11.2).
            (Self::Json(_), PatchError::Rejected(text)) => {
                tracing::debug!(%text, "a patch was rejected");
                ApiError::unprocessable()
            }
            _ => refused(&error),
        })?;
        if object.is_object() { Ok(object) } else { Err(ApiError::unprocessable()) }
    }
}

/// `GROUP/VERSION, Kind=KIND` as Go prints a type.
fn type_text(api_version: &str, kind: &str) -> String {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    format!("{group}/{version}, Kind={kind}")
}

fn unsupported(kind: &Kind) -> ApiError {
    let text = if kind.custom().is_some() {
        format!(
            "the body of the request was in an unknown format - accepted media types include: {JSON_PATCH}, \
             {MERGE_PATCH}, {APPLY_PATCH}"
        )
    } else {
        "415: Unsupported Media Type".to_owned()
    };
    ApiError::new(415, "UnsupportedMediaType", text)
}

fn refused(error: &PatchError) -> ApiError {
    match error {
        PatchError::Malformed(_) | PatchError::BadRequest(_) => ApiError::bad_request(error.to_string()),
        PatchError::TooManyOperations { .. } => {
            ApiError::too_large(format!("Request entity too large: {error}"))
        }
        PatchError::Rejected(text) => ApiError::new(422, "Invalid", text.clone()),
    }
}

impl Api {
    pub(crate) async fn patch(
        &self,
        call: &Call,
        kind: &Kind,
        name: &ObjectName,
        door: Door,
    ) -> Result<Reply, ApiError> {
        let terms = Terms::parse(call, Request::Patch)?;
        let mut findings = Vec::new();
        let target = (kind.api_version(), kind.kind.as_str());
        let patch = Patch::parse(call, kind, (&target.0, target.1), &mut findings)?;
        if let Patch::Apply(applied) = &patch {
            return self.apply(call, kind, name, door, &terms, applied).await;
        }
        check_no_force(call)?;
        terms.report(call, kind, &findings, &Value::Null)?;
        let propose = |live: &Value| {
            let object = patch.on(kind, live)?;
            check_patched_types(&object, kind)?;
            check_patched(kind, live, &object, name)?;
            Ok(Proposal::Object { object, owned: false })
        };
        let record = self.change(call, kind, name, door, &terms, propose).await?;
        Ok(Presenter::new(self, call, kind)?.record(200, &record))
    }

    async fn apply(
        &self,
        call: &Call,
        kind: &Kind,
        name: &ObjectName,
        door: Door,
        terms: &Terms,
        applied: &Value,
    ) -> Result<Reply, ApiError> {
        check_manager(call)?;
        let named = !applied.name().is_empty();
        let applied = placed(kind, name, applied)?;
        let presenter = Presenter::new(self, call, kind)?;
        for _ in 0..ATTEMPTS {
            if self.store.get(&kind.resource, name).is_some() {
                let propose = |live: &Value| self.merge_applied(call, kind, live, &applied, door, terms);
                let record = self.change(call, kind, name, door, terms, propose).await?;
                return Ok(presenter.record(200, &record));
            }
            if door != Door::Main {
                return Err(ApiError::not_found(&kind.group, &kind.plural, &name.name));
            }
            if !named {
                check_name(&json!({}), name)?;
            }
            let object = self.first_applied(kind, name, &applied, terms)?;
            match self.create_object(kind, object, terms, true).await {
                Ok(record) => return Ok(presenter.record(201, &record)),
                Err(error) if error.reason == Some("AlreadyExists") => {}
                Err(error) => return Err(error),
            }
        }
        Err(ApiError::modified(&kind.group, &kind.plural, &name.name))
    }

    fn merge_applied(
        &self,
        call: &Call,
        kind: &Kind,
        live: &Value,
        applied: &Value,
        door: Door,
        terms: &Terms,
    ) -> Result<Proposal, ApiError> {
        let mut applied = applied.clone();
        check_pinned(kind, live, &applied)?;
        narrow(kind, &mut applied, door);
        let (time, api_version) = (self.time(), kind.api_version());
        let writer = terms.writer(kind, &api_version, door, &time);
        let force = call.query.flag("force");
        match apply::apply(kind.schema(), Some(live), &applied, &writer, force) {
            Ok(Outcome::Unchanged) => Ok(Proposal::Unchanged),
            Ok(Outcome::Changed(object)) => Ok(Proposal::Object { object, owned: true }),
            Err(error) => Err(apply_refused(&error)),
        }
    }

    fn first_applied(
        &self,
        kind: &Kind,
        name: &ObjectName,
        applied: &Value,
        terms: &Terms,
    ) -> Result<Value, ApiError> {
        if !applied.uid().is_empty() {
            let why = format!(
                "uid mismatch: the provided object specified uid {}, and no existing object was found",
                applied.uid()
            );
            return Err(ApiError::conflict(&kind.group, &kind.plural, applied.name(), why));
        }
        let mut applied = applied.clone();
        applied.remove_metadata("resourceVersion");
        narrow(kind, &mut applied, Door::Main);
        let (time, api_version) = (self.time(), kind.api_version());
        let writer = terms.writer(kind, &api_version, Door::Main, &time);
        let mut object = match apply::apply(kind.schema(), None, &applied, &writer, false) {
            Ok(Outcome::Changed(object)) => object,
            Ok(Outcome::Unchanged) => applied,
            Err(error) => return Err(apply_refused(&error)),
        };
        if kind.namespaced {
            object.set_metadata("namespace", json!(name.namespace));
        }
        Ok(object)
    }
}

/// The version and the uid an applied configuration may pin.
pub(super) fn check_pinned(kind: &Kind, live: &Value, applied: &Value) -> Result<(), ApiError> {
    if !applied.resource_version().is_empty() {
        check_revision(kind, live, applied)?;
    }
    let uid = applied.uid();
    if uid.is_empty() || uid == live.uid() {
        return Ok(());
    }
    let error = FieldError::invalid_str("metadata.uid", uid, "field is immutable");
    Err(ApiError::invalid(&kind.group, &kind.kind, live.name(), &[error]))
}

/// An apply says nothing about what its door does not carry.
fn narrow(kind: &Kind, applied: &mut Value, door: Door) {
    let Some(map) = applied.as_object_mut() else { return };
    match door {
        Door::Main if kind.status => drop(map.shift_remove("status")),
        Door::Status => {
            map.retain(|key, _| matches!(key.as_str(), "apiVersion" | "kind" | "metadata" | "status"));
            if let Some(metadata) = map.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.retain(|key, _| matches!(key.as_str(), "name" | "namespace" | "managedFields"));
            }
        }
        _ => {}
    }
}

/// The applied configuration with the name of the path, if it agrees with the path. A namespace that the body leaves
/// out stays so: messages repeat what the client said.
pub(super) fn placed(kind: &Kind, name: &ObjectName, applied: &Value) -> Result<Value, ApiError> {
    let mut applied = applied.clone();
    if applied.name().is_empty() {
        applied.set_metadata("name", json!(name.name));
    }
    check_name(&applied, name)?;
    let namespace = applied.namespace();
    if namespace.is_empty() || kind.namespaced && namespace == name.namespace {
        return Ok(applied);
    }
    if kind.namespaced || kind.custom().is_some() {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    applied.remove_metadata("namespace");
    Ok(applied)
}

/// An applier says who it is (spec/apiserver.md 12.4).
pub(super) fn check_manager(call: &Call) -> Result<(), ApiError> {
    if !call.query.text("fieldManager").is_empty() {
        return Ok(());
    }
    let text = "Required value: is required for apply patch".to_owned();
    Err(option_error("PatchOptions", "fieldManager", FieldReason::Required, text))
}

pub(super) fn check_no_force(call: &Call) -> Result<(), ApiError> {
    if call.query.get("force").is_none() {
        return Ok(());
    }
    let text = "Forbidden: may not be specified for non-apply patch".to_owned();
    Err(option_error("PatchOptions", "force", FieldReason::Forbidden, text))
}

/// What a patch may not change, and the versions it may pin.
fn check_patched(kind: &Kind, live: &Value, object: &Value, name: &ObjectName) -> Result<(), ApiError> {
    if object["kind"] != live["kind"] || object["apiVersion"] != live["apiVersion"] {
        let (path, found, must) = if object["kind"] != live["kind"] {
            ("kind", &object["kind"], &live["kind"])
        } else {
            ("apiVersion", &object["apiVersion"], &live["apiVersion"])
        };
        let must = format!("must be {}", must.as_str().unwrap_or_default());
        if kind.custom().is_none() {
            // Of a built-in kind the patch is at fault, not the object.
            let shown = object.to_string();
            return Err(ApiError::invalid("", "", "", &[FieldError::invalid_str("patch", &shown, must)]));
        }
        let error = FieldError::invalid(path, found, must);
        return Err(ApiError::invalid(&kind.group, &kind.kind, live.name(), &[error]));
    }
    check_name(object, name)?;
    if object.namespace() != live.namespace() {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    check_revision(kind, live, object)
}

pub(super) fn apply_refused(error: &ApplyError) -> ApiError {
    match error {
        ApplyError::BadRequest(text) | ApplyError::Unfit(text) => ApiError::bad_request(text.clone()),
        ApplyError::Conflicts(conflicts) => {
            let causes = conflicts.iter().map(Conflict::cause).collect();
            ApiError::new(409, "Conflict", error.to_string()).caused(causes)
        }
    }
}
