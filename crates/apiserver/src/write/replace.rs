//! PUT of an object or its status (spec/apiserver.md 9.3).

use serde_json::{Value, json};

use super::terms::{Request, Terms};
use super::{Door, Proposal};
use crate::api::{Api, Call};
use crate::http::reply::Reply;
use crate::http::status::ApiError;
use crate::kinds::Kind;
use crate::object::Object;
use crate::present::Presenter;
use crate::schema::{FieldError, FieldReason};
use crate::store::ObjectName;

impl Api {
    pub(crate) async fn replace(
        &self,
        call: &Call,
        kind: &Kind,
        name: &ObjectName,
        door: Door,
    ) -> Result<Reply, ApiError> {
        let terms = Terms::parse(call, Request::Update)?;
        let namespace = kind.namespaced.then_some(name.namespace.as_str());
        let (object, duplicates) = self.body_object(call, kind, namespace)?;
        terms.report(call, kind, &duplicates, &object)?;
        check_name(&object, name)?;
        let missing = self.store.get(&kind.resource, name).is_none();
        let presenter = Presenter::new(self, call, kind)?;
        if missing && door == Door::Main && kind.create_on_update() {
            let record = self.create_from(call, kind, object, &terms).await?;
            return Ok(presenter.record(201, &record));
        }
        let propose = |live: &Value| {
            check_preconditions(kind, live, &object)?;
            Ok(Proposal::Object { object: object.clone(), owned: false })
        };
        let record = self.change(call, kind, name, door, &terms, propose).await?;
        Ok(presenter.record(200, &record))
    }
}

/// The names in the path and in the body must agree.
pub(super) fn check_name(object: &Value, name: &ObjectName) -> Result<(), ApiError> {
    let found = object.name();
    if found == name.name {
        return Ok(());
    }
    let asked = &name.name;
    Err(ApiError::bad_request(if found.is_empty() {
        format!("the name of the object ({asked} based on URL) was undeterminable: name must be provided")
    } else {
        format!("the name of the object ({found}) does not match the name on the URL ({asked})")
    }))
}

fn check_preconditions(kind: &Kind, live: &Value, object: &Value) -> Result<(), ApiError> {
    let uid = object.uid();
    if !uid.is_empty() && uid != live.uid() {
        let why =
            format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", live.uid());
        return Err(ApiError::conflict(&kind.group, &kind.plural, live.name(), why));
    }
    check_revision(kind, live, object)
}

/// Checks the version a writer builds on; without one only some kinds may be replaced.
pub(super) fn check_revision(kind: &Kind, live: &Value, object: &Value) -> Result<(), ApiError> {
    let revision = object.resource_version();
    if revision.is_empty() || revision == "0" {
        if kind.unconditional_update() {
            return Ok(());
        }
        let error = FieldError {
            path: "metadata.resourceVersion".to_owned(),
            reason: FieldReason::Invalid,
            message: format!("Invalid value: {}: must be specified for an update", json!(0)),
        };
        // Upstream names the plural here.
        return Err(ApiError::invalid(&kind.group, &kind.plural, live.name(), &[error]));
    }
    if revision.parse::<u64>().is_err() {
        return Err(ApiError::bad_request(format!(
            "resourceVersion: Invalid value: {revision:?}: strconv.ParseUint: parsing {revision:?}: invalid syntax"
        )));
    }
    if revision != live.resource_version() {
        return Err(ApiError::modified(&kind.group, &kind.plural, live.name()));
    }
    Ok(())
}
