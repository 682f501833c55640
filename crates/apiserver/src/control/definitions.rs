//! Custom resource definitions: from the object to served routes, and away again
//! (spec/apiserver.md 13.1).
//!
//! Order matters: routes, discovery and schemas change in one step, and only
//! then does the `Established` condition say so.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Change, complain};
use crate::api::Api;
use crate::builtin::crd;
use crate::http::status::ApiError;
use crate::kinds::{CrdNames, names_of, served_kinds};
use crate::object::Object;
use crate::schema::FieldError;
use crate::store::{ObjectName, Record, ResourceId, Revision};
use crate::write::{CRD_CLEANUP, DeleteOptions, Policy};

/// What is served of one definition.
struct Served {
    uid: String,
    names: CrdNames,
    spec: Value,
    terminating: bool,
    retired: CancellationToken,
}

/// The controller of definitions.
#[derive(Default)]
pub(crate) struct Definitions {
    served: BTreeMap<String, Served>,
}

/// Where definitions are kept.
pub(crate) fn resource() -> ResourceId {
    ResourceId::new("apiextensions.k8s.io", "customresourcedefinitions")
}

impl Definitions {
    /// Serves what the store holds already, before the first request.
    pub(crate) fn load(api: &Api) -> Self {
        let mut own = Self::default();
        for (_, record) in api.store.list(&resource(), None).items {
            let established = condition(&record.value, "Established") == Some("True");
            if established && let Err(errors) = own.serve(api, &record.value, record.revision) {
                let problem = FieldError::aggregate(&errors);
                tracing::error!(name = record.value.name(), problem, "a stored definition cannot be served");
            }
        }
        own
    }

    pub(crate) async fn run(mut self, api: Arc<Api>) {
        let mut changed = api.store.subscribe(&resource());
        let mut any = api.store.subscribe_all();
        loop {
            changed.mark_unchanged();
            any.mark_unchanged();
            let waiting = self.reconcile_all(&api).await;
            tokio::select! {
                biased;
                () = api.stopping.cancelled() => return,
                result = changed.changed() => if result.is_err() { return },
                // Objects of a definition that goes are watched through the whole log.
                result = any.changed(), if waiting => if result.is_err() { return },
            }
        }
    }

    /// Returns whether a definition waits for its objects to go.
    async fn reconcile_all(&mut self, api: &Api) -> bool {
        let list = api.store.list(&resource(), None).items;
        let gone: Vec<String> = self
            .served
            .iter()
            .filter(|(name, served)| !list.iter().any(|(_, record)| is_same(name, served, record)))
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            self.retire(api, &name);
        }
        let mut waiting = false;
        for (name, record) in &list {
            let result = if record.value.is_deleting() {
                waiting = true;
                self.take_down(api, name, record).await
            } else {
                self.establish(api, name, record).await
            };
            if let Err(error) = result {
                complain("a custom resource definition could not be reconciled", name, &error);
            }
        }
        waiting
    }

    fn retire(&mut self, api: &Api, name: &str) {
        if let Some(served) = self.served.remove(name) {
            api.kinds.replace(&served.names.group, &served.names.plural, Vec::new());
            served.retired.cancel();
        }
    }

    async fn establish(&mut self, api: &Api, name: &ObjectName, record: &Record) -> Result<(), ApiError> {
        let definition = &record.value;
        let time = api.time();
        let current = |live: &Value| live["spec"] == definition["spec"] && !live.is_deleting();
        let amend = |change: &dyn Fn(&Value) -> Value, live: &Value| {
            if current(live) { Change::Put(change(live)) } else { Change::Keep }
        };
        let problem = match self.conflict(definition) {
            Some(problem) => Some(problem),
            None => {
                let accepted = |live: &Value| with_names(live, &time);
                api.amend(&resource(), name, |live| amend(&accepted, live)).await?;
                let served = self.serve(api, definition, api.store.revision());
                served.err().map(|errors| Problem {
                    reason: "InvalidSchema",
                    message: FieldError::aggregate(&errors),
                })
            }
        };
        let done = |live: &Value| with_status(live, problem.as_ref(), &time);
        api.amend(&resource(), name, |live| amend(&done, live)).await.map(drop)
    }

    /// Puts the kinds of a definition into the registry if they are new or changed.
    fn serve(&mut self, api: &Api, definition: &Value, since: Revision) -> Result<(), Vec<FieldError>> {
        let (name, uid) = (definition.name().to_owned(), definition.uid().to_owned());
        let terminating = definition.is_deleting();
        let known = self.served.get(&name).filter(|served| served.uid == uid);
        if known.is_some_and(|served| served.spec == definition["spec"] && served.terminating == terminating)
        {
            return Ok(());
        }
        let retired = known.map(|served| served.retired.clone()).unwrap_or_default();
        let kinds = served_kinds(definition, since, &retired)?;
        let names = names_of(definition);
        api.kinds.replace(&names.group, &names.plural, kinds);
        let spec = definition["spec"].clone();
        self.served.insert(name, Served { uid, names, spec, terminating, retired });
        Ok(())
    }

    /// A name that another definition of the group has already.
    fn conflict(&self, definition: &Value) -> Option<Problem> {
        let wanted = names_of(definition);
        let others = self.served.iter().filter(|(name, served)| {
            name.as_str() != definition.name() && served.names.group == wanted.group
        });
        for (_, other) in others {
            let other = &other.names;
            let mut taken: Vec<&str> = vec![&other.plural, &other.singular];
            taken.extend(other.short_names.iter().map(String::as_str));
            let kinds = [other.kind.as_str(), other.list_kind.as_str()];
            let short = wanted.short_names.iter().find(|name| taken.contains(&name.as_str()));
            let found = [
                ("PluralConflict", Some(&wanted.plural).filter(|name| taken.contains(&name.as_str()))),
                ("SingularConflict", Some(&wanted.singular).filter(|name| taken.contains(&name.as_str()))),
                ("ShortNamesConflict", short),
                ("KindConflict", Some(&wanted.kind).filter(|name| kinds.contains(&name.as_str()))),
                ("ListKindConflict", Some(&wanted.list_kind).filter(|name| kinds.contains(&name.as_str()))),
            ];
            let first = found.into_iter().find_map(|(reason, name)| name.map(|name| (reason, name)));
            if let Some((reason, name)) = first {
                return Some(Problem { reason, message: format!("{name:?} is already in use") });
            }
        }
        None
    }

    /// Deletes the objects of a definition that is being deleted, then lets it go.
    async fn take_down(&mut self, api: &Api, name: &ObjectName, record: &Record) -> Result<(), ApiError> {
        let definition = &record.value;
        if !definition.finalizers().contains(&CRD_CLEANUP) {
            return Ok(());
        }
        // Creates are refused from here on.
        if self.served.contains_key(definition.name()) {
            self.serve(api, definition, api.store.revision()).ok();
        }
        let time = api.time();
        let terminating = |live: &Value| {
            let mut live = live.clone();
            let (reason, message) = ("InstanceDeletionInProgress", "CustomResource deletion is in progress");
            set_condition(&mut live, "Terminating", "True", reason, message, &time);
            Change::Put(live)
        };
        api.amend(&resource(), name, terminating).await?;
        if self.delete_objects(api, definition).await? > 0 {
            return Ok(());
        }
        self.retire(api, definition.name());
        let released = |live: &Value| {
            let rest: Vec<String> =
                live.finalizers().into_iter().filter(|own| *own != CRD_CLEANUP).map(str::to_owned).collect();
            if rest.is_empty() {
                return Change::Remove;
            }
            let mut live = live.clone();
            live.set_finalizers(&rest);
            Change::Put(live)
        };
        api.amend(&resource(), name, released).await.map(drop)
    }

    /// Asks all objects to go; returns how many are left.
    async fn delete_objects(&self, api: &Api, definition: &Value) -> Result<usize, ApiError> {
        let names = names_of(definition);
        let stored = ResourceId::new(&names.group, &names.plural);
        let registry = api.kinds.current();
        let kind = registry.stored_kinds().into_iter().find(|kind| kind.resource == stored);
        let Some(kind) = kind else { return Ok(0) };
        let options = DeleteOptions { policy: Some(Policy::Background), ..DeleteOptions::default() };
        for (name, record) in api.store.list(&stored, None).items {
            if !record.value.is_deleting() {
                api.delete_quietly(&kind, &name, &options).await?;
            }
        }
        Ok(api.store.list(&stored, None).items.len())
    }
}

/// Why a definition is not served.
struct Problem {
    reason: &'static str,
    message: String,
}

fn is_same(name: &str, served: &Served, record: &Record) -> bool {
    record.value.name() == name && record.value.uid() == served.uid
}

fn condition<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == name)?["status"].as_str()
}

/// The definition whose names are accepted and which is about to be served.
fn with_names(definition: &Value, time: &str) -> Value {
    let mut object = definition.clone();
    object["status"]["acceptedNames"] = crd::accepted_names(definition);
    set_condition(&mut object, "NamesAccepted", "True", "NoConflicts", "no conflicts found", time);
    if condition(definition, "Established") != Some("True") {
        let message = "the initial names have been accepted";
        set_condition(&mut object, "Established", "False", "Installing", message, time);
    }
    object
}

/// The definition with the status that goes with being served, or with not being served.
fn with_status(definition: &Value, problem: Option<&Problem>, time: &str) -> Value {
    let mut object = definition.clone();
    let status = if problem.is_none() { "True" } else { "False" };
    let (accepted, message) = match problem {
        None => ("NoConflicts", "no conflicts found"),
        Some(problem) => (problem.reason, problem.message.as_str()),
    };
    set_condition(&mut object, "NamesAccepted", status, accepted, message, time);
    let (reason, message) = match problem {
        None => ("InitialNamesAccepted", "the initial names have been accepted"),
        Some(_) => ("NotAccepted", "not all names are accepted"),
    };
    set_condition(&mut object, "Established", status, reason, message, time);
    if problem.is_none() {
        object["status"]["acceptedNames"] = crd::accepted_names(definition);
        let mut stored = object["status"]["storedVersions"].as_array().cloned().unwrap_or_default();
        let versions = definition["spec"]["versions"].as_array().into_iter().flatten();
        let storage = versions.filter(|version| version["storage"] == true).map(|version| &version["name"]);
        for version in storage {
            if !stored.contains(version) {
                stored.push(version.clone());
            }
        }
        object["status"]["storedVersions"] = Value::Array(stored);
    }
    object
}

/// Sets a condition; its time moves only when its status does.
fn set_condition(object: &mut Value, name: &str, status: &str, reason: &str, message: &str, time: &str) {
    if !object["status"]["conditions"].is_array() {
        object["status"]["conditions"] = json!([]);
    }
    let Some(conditions) = object["status"]["conditions"].as_array_mut() else { return };
    let known = conditions.iter_mut().find(|condition| condition["type"] == name);
    let since = match &known {
        Some(condition) if condition["status"] == status => condition["lastTransitionTime"].clone(),
        _ => json!(time),
    };
    let condition = json!({
        "type": name,
        "status": status,
        "lastTransitionTime": since,
        "reason": reason,
        "message": message,
    });
    match known {
        Some(known) => *known = condition,
        None => conditions.push(condition),
    }
}
