//! Writes: create, replace, patch, scale, delete (spec/apiserver.md 9 to 12).
//!
//! A write reads the live object, computes what would be stored, and commits
//! on the condition that the live object has not moved; if it has and the
//! client pinned no version, it starts over.

mod create;
mod delete;
mod patch;
mod replace;
mod scale;
mod settle;
mod terms;

use std::sync::Arc;

use serde_json::Value;

pub(crate) use delete::{CRD_CLEANUP, DeleteOptions, FOREGROUND, ORPHAN, Policy};
pub(crate) use settle::Door;

use crate::api::{Api, Call};
use crate::apply;
use crate::builtin::{GenerationPolicy, crd, validate_metadata};
use crate::http::status::ApiError;
use crate::kinds::{Kind, Source};
use crate::object::Object;
use crate::schema::FieldError;
use crate::store::{Action, Expected, ObjectName, Record, Write, WriteError};
use terms::{Terms, unknown};

/// How often a write starts over when the object moved under it; upstream
/// gives up after about as many (spec/apiserver.md 9.1).
const ATTEMPTS: usize = 8;

/// What an update is to become, computed from the live object.
enum Proposal {
    /// The live object is what the client wants.
    Unchanged,
    /// The object before defaults and checks.
    Object {
        object: Value,
        /// Whether managedFields are already as they shall be.
        owned: bool,
    },
}

impl Kind {
    /// Removes what the schema does not know; returns the paths.
    fn prune(&self, object: &mut Value) -> Vec<String> {
        self.schema().prune(object)
    }

    /// `applied`: what an applier says is null stays so, for the rules to judge (spec/apiserver.md 12.9, A18).
    fn fill_defaults(&self, object: &mut Value, old: Option<&Value>, applied: bool) {
        match &self.source {
            Source::Builtin(definition) => definition.default(object, old),
            Source::Custom(custom) if applied => custom.schema.default_keeping_nulls(object),
            Source::Custom(custom) => custom.schema.default(object),
        }
    }

    fn check(&self, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let custom = self.custom().is_some();
        let mut errors = validate_metadata(object, old, self.name_rule(), custom);
        errors.extend(match &self.source {
            Source::Builtin(definition) => definition.validate(object, old),
            Source::Custom(custom) => custom.schema.validate(object, old),
        });
        errors
    }

    fn counts_generation(&self) -> bool {
        self.generation() != GenerationPolicy::None
    }
}

/// The state of a kind's object that must be empty before it can go.
fn is_held(kind: &Kind, object: &Value) -> bool {
    let namespace_content = kind.is("", "Namespace")
        && object["spec"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty());
    namespace_content || !object.finalizers().is_empty()
}

impl Api {
    /// Changes an existing object through one of its doors.
    async fn change(
        &self,
        call: &Call,
        kind: &Kind,
        name: &ObjectName,
        door: Door,
        terms: &Terms,
        propose: impl Fn(&Value) -> Result<Proposal, ApiError> + Sync,
    ) -> Result<Arc<Record>, ApiError> {
        let mut tracked = true;
        for _ in 0..ATTEMPTS {
            let live = self.existing(kind, name)?;
            // Decoded once for all that follows.
            let stored_now: &Value = &live.value;
            let view = kind.view(&live);
            let (mut object, owned) = match propose(&view)? {
                Proposal::Unchanged => return Ok(live),
                Proposal::Object { object, owned } => (object, owned),
            };
            // What is unknown is said before what is wrong.
            let findings: Vec<String> = kind.prune(&mut object).iter().map(|path| unknown(path)).collect();
            terms.report(call, kind, &findings, &object)?;
            // Upstream gives the entry of an update through a custom resource's scale no time.
            let timeless = door == Door::Scale && kind.custom().is_some();
            let time = if timeless { String::new() } else { self.time() };
            let api_version = kind.api_version();
            let writer = terms.writer(kind, &api_version, door, &time);
            let settled = settle::settle(kind, &view, object, door, (!owned).then_some(&writer))?;
            warn(call, kind, &settled);
            self.admit(&terms.user, kind, &settled, Some(&view))?;
            let mut stored = kind.stored_form(settled);
            if !tracked {
                stored.remove_metadata("managedFields");
            }
            if apply::same_but_times(stored_now, &stored) {
                return Ok(live);
            }
            if terms.dry_run {
                return Ok(Arc::new(Record::new(live.revision, stored)));
            }
            match self.commit_change(kind, name, &live, stored).await {
                Err(WriteError::Moved) => {}
                // An object that only its managedFields make too large is stored without them (spec/apiserver.md 12.7).
                Err(WriteError::TooLarge { .. }) if tracked => tracked = false,
                Err(error) => return Err(refused(&error)),
                Ok(record) => return Ok(record),
            }
        }
        Err(ApiError::modified(&kind.group, &kind.plural, &name.name))
    }

    /// Stores the new state, or removes an object whose last hold is gone.
    async fn commit_change(
        &self,
        kind: &Kind,
        name: &ObjectName,
        live: &Record,
        stored: Value,
    ) -> Result<Arc<Record>, WriteError> {
        let gone = live.value.is_deleting() && !is_held(kind, &stored);
        let answer = gone.then(|| Arc::new(Record::new(live.revision, stored.clone())));
        let written = self
            .store
            .write(Write {
                resource: kind.resource.clone(),
                name: name.clone(),
                expected: Expected::At(live.revision),
                guard: None,
                action: if gone { Action::Delete } else { Action::Put(stored) },
            })
            .await?;
        Ok(answer.unwrap_or(written))
    }
}

/// Warnings about what is legal and yet unwise.
fn warn(call: &Call, kind: &Kind, object: &Value) {
    if kind.is("apiextensions.k8s.io", "CustomResourceDefinition") {
        crd::warnings(object).into_iter().for_each(|warning| call.warnings.add(warning));
    }
}

/// The answer to a write that the store refused for good.
fn refused(error: &WriteError) -> ApiError {
    match error {
        WriteError::TooLarge { .. } => ApiError::too_large(error.to_string()),
        WriteError::Moved | WriteError::GuardMoved => {
            ApiError::new(409, "Conflict", "the object has been modified; please try again")
        }
        WriteError::Disk(_) => ApiError::unavailable(error.to_string()),
        WriteError::Closed => ApiError::unavailable("the server is stopping"),
    }
}
