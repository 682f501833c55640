//! Namespaces get what every namespace has, and lose everything when they go
//! (spec/apiserver.md 10.4).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Change, complain};
use crate::api::Api;
use crate::bootstrap;
use crate::http::status::ApiError;
use crate::object::Object;
use crate::store::{ObjectName, ResourceId};
use crate::write::{DeleteOptions, Policy};

pub(super) async fn run(api: Arc<Api>) {
    let resource = ResourceId::new("", "namespaces");
    let mut changed = api.store.subscribe(&resource);
    let mut any = api.store.subscribe_all();
    let mut accounts = api.store.subscribe(&ResourceId::new("", "serviceaccounts"));
    loop {
        changed.mark_unchanged();
        accounts.mark_unchanged();
        any.mark_unchanged();
        let mut waiting = false;
        for (name, record) in api.store.list(&resource, None).items {
            let result = if record.value.is_deleting() {
                waiting = true;
                empty(&api, &resource, &name).await
            } else {
                bootstrap::furnish(&api, &name.name).await
            };
            if let Err(error) = result {
                complain("a namespace could not be reconciled", &name, &error);
            }
        }
        tokio::select! {
            biased;
            () = api.stopping.cancelled() => return,
            result = changed.changed() => if result.is_err() { return },
            // The account that every namespace has comes back when it is deleted.
            result = accounts.changed() => if result.is_err() { return },
            // The content of a namespace that goes is watched through the whole log.
            result = any.changed(), if waiting => if result.is_err() { return },
        }
    }
}

/// Deletes all content of all kinds, then lets the namespace go.
async fn empty(api: &Api, resource: &ResourceId, name: &ObjectName) -> Result<(), ApiError> {
    let options = DeleteOptions { policy: Some(Policy::Background), ..DeleteOptions::default() };
    let mut left = Left::default();
    for kind in api.kinds.current().stored_kinds().iter().filter(|kind| kind.namespaced) {
        for (object, record) in api.store.list(&kind.resource, Some(&name.name)).items {
            if !record.value.is_deleting() {
                api.delete_quietly(kind, &object, &options).await?;
            }
            if let Some(record) = api.store.get(&kind.resource, &object) {
                *left.resources.entry(format!("{}.{}", kind.plural, kind.group)).or_default() += 1;
                for finalizer in record.value.finalizers() {
                    *left.finalizers.entry(finalizer.to_owned()).or_default() += 1;
                }
            }
        }
    }
    let time = api.time();
    api.amend(resource, name, |live| reported(live, &left, &time)).await.map(drop)
}

/// What a namespace still holds, counted by kind and by finalizer.
#[derive(Default)]
struct Left {
    resources: BTreeMap<String, usize>,
    finalizers: BTreeMap<String, usize>,
}

/// How often each was found, in upstream's words.
fn counted(counts: &BTreeMap<String, usize>, verb: &str) -> String {
    let texts: Vec<String> =
        counts.iter().map(|(name, count)| format!("{name} {verb} {count} resource instances")).collect();
    texts.join(", ")
}

/// The namespace with the state of its emptying, or without its hold when it is empty.
fn reported(live: &Value, left: &Left, time: &str) -> Change {
    let mut object = live.clone();
    if left.resources.is_empty() {
        object["spec"] = json!({});
        if object.finalizers().is_empty() {
            return Change::Remove;
        }
        return Change::Put(object);
    }
    let remaining = format!("Some resources are remaining: {}", counted(&left.resources, "has"));
    let held = counted(&left.finalizers, "in");
    let finalizers = format!("Some content in the namespace has finalizers remaining: {held}");
    let conditions = [
        (
            "NamespaceDeletionDiscoveryFailure",
            false,
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            false,
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            false,
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        ("NamespaceContentRemaining", true, "SomeResourcesRemain", &remaining),
        ("NamespaceFinalizersRemaining", !held.is_empty(), "SomeFinalizersRemain", &finalizers),
    ];
    let old = live["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|(name, found, reason, message)| {
            let status = if *found { "True" } else { "False" };
            let known = old.iter().find(|condition| condition["type"] == *name && condition["status"] == status);
            let since = known.map_or(json!(time), |condition| condition["lastTransitionTime"].clone());
            json!({"type": name, "status": status, "lastTransitionTime": since, "reason": reason, "message": message})
        })
        .collect();
    object["status"]["conditions"] = Value::Array(conditions);
    Change::Put(object)
}
