//! POST, and every other way an object comes into being (spec/apiserver.md 9.2).

use std::sync::Arc;

use serde_json::{Value, json};

use super::settle::drop_empty;
use super::terms::{Request, Terms, unknown};
use super::{ATTEMPTS, Door, refused};
use crate::api::{Api, Call};
use crate::apply;
use crate::http::body::{check_json_types, check_type, decode_object};
use crate::http::reply::Reply;
use crate::http::status::ApiError;
use crate::kinds::Kind;
use crate::object::Object;
use crate::present::Presenter;
use crate::schema::{FieldError, FieldReason};
use crate::store::{Action, Expected, Guard, ObjectName, Record, ResourceId, Write, WriteError};

/// Characters of generated names: no vowels, nothing that looks like another.
const NAME_ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Generated characters behind the base.
const NAME_SUFFIX: usize = 5;

/// Longest base in front of them, so that the whole fits a DNS label.
const NAME_BASE: usize = 58;

impl Api {
    pub(crate) async fn create(
        &self,
        call: &Call,
        kind: &Kind,
        namespace: Option<&str>,
    ) -> Result<Reply, ApiError> {
        let terms = Terms::parse(call, Request::Create)?;
        let (object, duplicates) = self.body_object(call, kind, namespace)?;
        let presenter = Presenter::new(self, call, kind)?;
        terms.report(call, kind, &duplicates, &object)?;
        let record = self.create_from(call, kind, object, &terms).await?;
        Ok(presenter.record(201, &record))
    }

    /// Stores a new object as a client sent it.
    pub(super) async fn create_from(
        &self,
        call: &Call,
        kind: &Kind,
        mut object: Value,
        terms: &Terms,
    ) -> Result<Arc<Record>, ApiError> {
        let findings: Vec<String> = kind.prune(&mut object).iter().map(|path| unknown(path)).collect();
        terms.report(call, kind, &findings, &object)?;
        super::warn(call, kind, &object);
        self.create_object(kind, object, terms, false).await
    }

    /// Creates an object on the server's own behalf.
    pub(crate) async fn create_own(&self, object: Value) -> Result<Arc<Record>, ApiError> {
        let text = |field: &str| object[field].as_str().unwrap_or_default();
        let kind = self.kinds.current().find_kind(text("apiVersion"), text("kind"));
        let kind = kind.ok_or_else(ApiError::no_such_resource)?;
        self.create_object(&kind, object, &Terms::own(), false).await
    }

    /// The body of a create or replace: of the right type, in the right namespace.
    pub(super) fn body_object(
        &self,
        call: &Call,
        kind: &Kind,
        namespace: Option<&str>,
    ) -> Result<(Value, Vec<String>), ApiError> {
        let api_version = kind.api_version();
        let builtin = kind.custom().is_none();
        let decoded = decode_object(&call.media, &call.body, &api_version, &kind.kind, builtin)?;
        let mut object = decoded.value;
        check_type(&mut object, kind)?;
        check_json_types(&object, kind)?;
        place(&mut object, kind, namespace)?;
        Ok((object, decoded.duplicates.iter().map(ToString::to_string).collect()))
    }

    /// Stores a new object. `owned`: its managedFields are as they shall be.
    pub(super) async fn create_object(
        &self,
        kind: &Kind,
        mut object: Value,
        terms: &Terms,
        owned: bool,
    ) -> Result<Arc<Record>, ApiError> {
        check_new(kind, &object)?;
        self.own_metadata(kind, &mut object);
        let base = generated_base(&object);
        let mut tracked = true;
        for _ in 0..ATTEMPTS {
            let mut candidate = object.clone();
            if let Some(base) = &base {
                candidate.set_metadata("name", json!(self.generated_name(base)));
            }
            let guard = self.namespace_guard(kind, &candidate)?;
            let mut stored = self.finish_new(kind, candidate, terms, owned).await?;
            if !tracked {
                stored.remove_metadata("managedFields");
            }
            let name = stored.object_name();
            if terms.dry_run {
                return self.dry_create(kind, &name, stored);
            }
            let written = self
                .store
                .write(Write {
                    resource: kind.resource.clone(),
                    name: name.clone(),
                    expected: Expected::Absent,
                    guard,
                    action: Action::Put(stored),
                })
                .await;
            match written {
                Ok(record) => return Ok(record),
                Err(WriteError::Moved) if base.is_some() => {}
                Err(WriteError::Moved) => return Err(self.already_exists(kind, &name)),
                Err(WriteError::GuardMoved) => {}
                // As in an update: without managedFields it may fit (spec/apiserver.md 12.7).
                Err(WriteError::TooLarge { .. }) if tracked => tracked = false,
                Err(error) => return Err(refused(&error)),
            }
        }
        Err(ApiError::already_exists(&kind.group, &kind.plural, object.name()).retry_after(1))
    }

    /// Metadata that the server sets, whatever the client sent.
    fn own_metadata(&self, kind: &Kind, object: &mut Value) {
        if kind.status
            && let Some(map) = object.as_object_mut()
        {
            map.shift_remove("status");
        }
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion"] {
            object.remove_metadata(field);
        }
        object.set_metadata("uid", json!(self.uuid()));
        object.set_metadata("creationTimestamp", json!(self.time()));
        if kind.counts_generation() {
            object.set_metadata("generation", json!(1));
        }
        drop_empty(object.metadata_mut());
    }

    /// Defaults, ownership and checks of a named new object.
    async fn finish_new(
        &self,
        kind: &Kind,
        mut object: Value,
        terms: &Terms,
        owned: bool,
    ) -> Result<Value, ApiError> {
        self.complete(kind, &mut object).await?;
        kind.fill_defaults(&mut object, None, owned);
        if !owned {
            let (time, api_version) = (self.time(), kind.api_version());
            let writer = terms.writer(kind, &api_version, Door::Main, &time);
            apply::track_update(kind.schema(), None, &mut object, &writer);
        }
        let errors = kind.check(&object, None);
        if !errors.is_empty() {
            return Err(ApiError::invalid(&kind.group, &kind.kind, object.name(), &errors));
        }
        self.admit(&terms.user, kind, &object, None)?;
        Ok(kind.stored_form(object))
    }

    fn dry_create(&self, kind: &Kind, name: &ObjectName, stored: Value) -> Result<Arc<Record>, ApiError> {
        match self.store.get(&kind.resource, name) {
            Some(_) => Err(self.already_exists(kind, name)),
            None => Ok(Arc::new(Record::new(0, stored))),
        }
    }

    fn already_exists(&self, kind: &Kind, name: &ObjectName) -> ApiError {
        let mut error = ApiError::already_exists(&kind.group, &kind.plural, &name.name);
        let live = self.store.get(&kind.resource, name);
        if live.is_some_and(|record| record.value.is_deleting()) {
            error.message = format!("object is being deleted: {}", error.message);
        }
        error
    }

    fn generated_name(&self, base: &str) -> String {
        let mut random = [0u8; NAME_SUFFIX];
        self.chance.fill(&mut random);
        let suffix =
            random.iter().map(|byte| char::from(NAME_ALPHABET[usize::from(*byte) % NAME_ALPHABET.len()]));
        base.chars().chain(suffix).collect()
    }

    /// The namespace a new object needs, as it must still be at the commit.
    fn namespace_guard(&self, kind: &Kind, object: &Value) -> Result<Option<Guard>, ApiError> {
        if kind.terminating() {
            let why = "create not allowed while custom resource definition is terminating";
            return Err(ApiError::forbidden(&kind.group, &kind.plural, object.name(), why));
        }
        if !kind.namespaced {
            return Ok(None);
        }
        let namespace = object.namespace();
        let (resource, name) = (ResourceId::new("", "namespaces"), ObjectName::new("", namespace));
        let Some(record) = self.store.get(&resource, &name) else {
            return Err(ApiError::not_found("", "namespaces", namespace));
        };
        if record.value.is_deleting() {
            let why = format!(
                "unable to create new content in namespace {namespace} because it is being terminated"
            );
            let cause = json!({
                "reason": "NamespaceTerminating",
                "message": format!("namespace {namespace} is being terminated"),
                "field": "metadata.namespace",
            });
            let error = ApiError::forbidden(&kind.group, &kind.plural, object.name(), why);
            return Err(error.caused(vec![cause]));
        }
        Ok(Some(Guard { resource, name, revision: record.revision }))
    }
}

/// Makes the namespace of the body agree with the path.
fn place(object: &mut Value, kind: &Kind, namespace: Option<&str>) -> Result<(), ApiError> {
    let found = object.namespace();
    match (kind.namespaced, namespace) {
        (true, Some(namespace)) if found.is_empty() || found == namespace => {
            object.set_metadata("namespace", json!(namespace));
            Ok(())
        }
        (false, None) if found.is_empty() || kind.custom().is_none() => {
            object.remove_metadata("namespace");
            Ok(())
        }
        _ => Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
    }
}

fn check_new(kind: &Kind, object: &Value) -> Result<(), ApiError> {
    let revision = object.resource_version();
    if revision.parse::<u64>().is_ok_and(|revision| revision != 0) {
        return Err(ApiError::bad_request("resourceVersion should not be set on objects to be created"));
    }
    if object.name().is_empty() && object.metadata_text("generateName").is_empty() {
        let error = FieldError {
            path: "metadata.name".to_owned(),
            reason: FieldReason::Required,
            message: "Required value: name or generateName is required".to_owned(),
        };
        return Err(ApiError::invalid(&kind.group, &kind.kind, "", &[error]));
    }
    Ok(())
}

/// The base of a name to be generated; `None` when the object has a name.
fn generated_base(object: &Value) -> Option<String> {
    if !object.name().is_empty() {
        return None;
    }
    Some(object.metadata_text("generateName").chars().take(NAME_BASE).collect())
}
