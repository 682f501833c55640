//! Writes to the management API: each asks the fence, says who it is, and can
//! be refused for a stale view.

use std::fmt::Debug;
use std::sync::Arc;

use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::{ApiResource, DynamicObject, NamespaceResourceScope, ObjectMeta};
use kube::{Api, Client, Resource, ResourceExt};
use okra_api::names::FIELD_MANAGER;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::fence::{Fence, NotLeader};
use crate::metrics::{Metrics, WriteLabels};

/// The status member that moves only together with another one.
const LAST_SYNC_TIME: &str = "lastSyncTime";

/// A write was not done.
#[derive(Debug, Error)]
pub enum WriteError {
    /// This process may no longer write.
    #[error("not the leader any more")]
    NotLeader(#[from] NotLeader),
    /// The object has changed or gone since it was read: read again, plan again.
    #[error("the object changed since it was read")]
    Stale,
    /// An object of this name is there already.
    #[error("an object of this name exists")]
    Exists,
    /// The API server refused or did not answer.
    #[error("the API server did not accept the write")]
    Api(#[source] Box<kube::Error>),
    /// The object cannot be written as JSON.
    #[error("the object is not JSON")]
    Json(#[source] serde_json::Error),
}

impl From<kube::Error> for WriteError {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) if status.reason == "AlreadyExists" => Self::Exists,
            kube::Error::Api(status) if status.code == 409 || status.code == 404 => Self::Stale,
            _ => Self::Api(Box::new(error)),
        }
    }
}

/// Bounds of a namespaced kind that can be written.
pub trait Writable:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize + DeserializeOwned + Clone + Debug
{
}

impl<K> Writable for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Serialize
        + DeserializeOwned
        + Clone
        + Debug
{
}

/// Writes as okra, while okra may.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    fence: Fence,
    metrics: Arc<Metrics>,
}

impl Writer {
    pub(crate) fn new(client: Client, fence: Fence, metrics: Arc<Metrics>) -> Self {
        Self { client, fence, metrics }
    }

    /// Creates an object.
    ///
    /// # Errors
    /// [`WriteError::Exists`] when the name is taken.
    pub async fn create<K: Writable>(&self, object: &K) -> Result<K, WriteError> {
        let api = self.api::<K>(object);
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        self.counted::<K, _>(async { api.create(&params, object).await }).await
    }

    /// Replaces an object as it was read with this one, status excepted:
    /// refused if it has changed since.
    ///
    /// # Errors
    /// [`WriteError::Stale`] when the object has changed or gone.
    pub async fn replace<K: Writable>(&self, object: &K) -> Result<K, WriteError> {
        let api = self.api::<K>(object);
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let name = object.name_any();
        self.counted::<K, _>(async { api.replace(&name, &params, object).await }).await
    }

    /// Server-side apply of what okra owns of an object: fields that other
    /// managers own stay. A resource version in the object is checked.
    ///
    /// # Errors
    /// [`WriteError::Stale`] when the resource version does not fit.
    pub async fn apply<K: Writable>(&self, object: &K) -> Result<K, WriteError> {
        self.apply_with(object, PatchParams::apply(FIELD_MANAGER).force()).await
    }

    /// The same for an object that was not there a moment ago: if somebody
    /// else made one of that name meanwhile, its fields are not taken over.
    ///
    /// # Errors
    /// [`WriteError::Stale`] when somebody else's object has other values.
    pub async fn apply_new<K: Writable>(&self, object: &K) -> Result<K, WriteError> {
        self.apply_with(object, PatchParams::apply(FIELD_MANAGER)).await
    }

    async fn apply_with<K: Writable>(&self, object: &K, params: PatchParams) -> Result<K, WriteError> {
        let api = self.api::<K>(object);
        let name = object.name_any();
        let mut object = serde_json::to_value(object).map_err(WriteError::Json)?;
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        object["apiVersion"] = json!(K::api_version(&()));
        object["kind"] = json!(K::kind(&()));
        self.counted::<K, _>(async { api.patch(&name, &params, &Patch::Apply(&object)).await }).await
    }

    /// A merge patch of an object as it was read: refused if it has changed since.
    ///
    /// # Errors
    /// [`WriteError::Stale`] when the object has changed or gone.
    pub async fn patch<K: Writable>(&self, object: &K, mut patch: Value) -> Result<K, WriteError> {
        pin_version(object, &mut patch);
        let api = self.api::<K>(object);
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let name = object.name_any();
        self.counted::<K, _>(async { api.patch(&name, &params, &Patch::Merge(&patch)).await }).await
    }

    /// Brings the status of an object from `before`, as it was read, to
    /// `after`, and gives the object as written, or `None` where nothing but
    /// `lastSyncTime` would change: then nothing is written. Members that
    /// okra does not know stay.
    ///
    /// # Errors
    /// [`WriteError::Stale`] when the object has changed or gone.
    pub async fn patch_status<K, S>(
        &self,
        object: &K,
        before: Option<&S>,
        after: &S,
    ) -> Result<Option<K>, WriteError>
    where
        K: Writable,
        S: Serialize,
    {
        let before = serde_json::to_value(before).map_err(WriteError::Json)?;
        let after = serde_json::to_value(after).map_err(WriteError::Json)?;
        let Some(status) = status_change(&before, &after) else { return Ok(None) };
        let mut patch = json!({ "status": status });
        pin_version(object, &mut patch);
        let api = self.api::<K>(object);
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let name = object.name_any();
        let written = self
            .counted::<K, _>(async { api.patch_status(&name, &params, &Patch::Merge(&patch)).await })
            .await?;
        Ok(Some(written))
    }

    /// The same for a patch of the status that is made already.
    ///
    /// # Errors
    /// [`WriteError::Stale`] when the object has changed or gone.
    pub async fn patch_status_with<K: Writable>(
        &self,
        object: &K,
        mut patch: Value,
    ) -> Result<K, WriteError> {
        pin_version(object, &mut patch);
        let api = self.api::<K>(object);
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let name = object.name_any();
        self.counted::<K, _>(async { api.patch_status(&name, &params, &Patch::Merge(&patch)).await }).await
    }

    /// A merge patch of the status of an object that does not fit its kind.
    ///
    /// # Errors
    /// [`WriteError::Stale`] when the object has changed or gone.
    pub async fn patch_untyped_status<K>(&self, object: &ObjectMeta, status: Value) -> Result<(), WriteError>
    where
        K: Resource<DynamicType = ()>,
    {
        self.fence.check()?;
        let resource = ApiResource::erase::<K>(&());
        let namespace = object.namespace.clone().unwrap_or_default();
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &namespace, &resource);
        let patch = json!({"metadata": {"resourceVersion": object.resource_version}, "status": status});
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let name = object.name.clone().unwrap_or_default();
        api.patch_status(&name, &params, &Patch::Merge(&patch)).await?;
        Ok(())
    }

    /// Deletes an object as it was read: refused if another one has its name now.
    ///
    /// # Errors
    /// [`WriteError::Stale`] when it has gone or been replaced.
    pub async fn delete<K: Writable>(&self, object: &K) -> Result<(), WriteError> {
        let api = self.api::<K>(object);
        let params = DeleteParams {
            preconditions: Some(Preconditions { uid: object.uid(), ..Preconditions::default() }),
            ..DeleteParams::default()
        };
        let name = object.name_any();
        self.counted::<K, _>(async { api.delete(&name, &params).await.map(|_| ()) }).await
    }

    fn api<K: Writable>(&self, object: &K) -> Api<K> {
        Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default())
    }

    async fn counted<K: Writable, T>(
        &self,
        write: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, WriteError> {
        let outcome = match self.fence.check() {
            Ok(()) => write.await.map_err(WriteError::from),
            Err(error) => Err(WriteError::from(error)),
        };
        let word = match &outcome {
            Ok(_) => "ok",
            Err(WriteError::NotLeader(_)) => "fenced",
            Err(WriteError::Stale | WriteError::Exists) => "conflict",
            Err(WriteError::Api(_) | WriteError::Json(_)) => "error",
        };
        let labels = WriteLabels { kind: K::kind(&()).into_owned(), outcome: word };
        self.metrics.writes.get_or_create(&labels).inc();
        outcome
    }
}

/// Makes a merge patch conditional on the version that was read.
fn pin_version<K: Resource>(object: &K, patch: &mut Value) {
    if let Some(version) = &object.meta().resource_version {
        patch["metadata"]["resourceVersion"] = json!(version);
    }
}

/// The merge patch from one status to another, unless only its time would move.
fn status_change(before: &Value, after: &Value) -> Option<Value> {
    let change = merge_patch(before, after)?;
    let only_time = change.as_object().is_some_and(|members| members.keys().all(|key| key == LAST_SYNC_TIME));
    if only_time { None } else { Some(change) }
}

/// The merge patch (RFC 7396) that makes `after` of `before`; `None` when they
/// are equal.
pub fn merge_patch(before: &Value, after: &Value) -> Option<Value> {
    if before == after {
        return None;
    }
    let (Value::Object(before), Value::Object(after)) = (before, after) else {
        return Some(after.clone());
    };
    let mut patch = Map::new();
    for (key, value) in after {
        let old = before.get(key).unwrap_or(&Value::Null);
        if let Some(change) = merge_patch(old, value) {
            patch.insert(key.clone(), change);
        }
    }
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    Some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_patch_holds_what_changed_and_what_went() {
        let before = json!({"a": 1, "b": {"c": 1, "d": 2}, "e": [1, 2], "gone": true});
        let after = json!({"a": 1, "b": {"c": 3}, "e": [2], "new": {"x": 1}});
        assert_eq!(
            merge_patch(&before, &after),
            Some(json!({"b": {"c": 3, "d": null}, "e": [2], "new": {"x": 1}, "gone": null}))
        );
        assert_eq!(merge_patch(&after, &after), None);
    }

    #[test]
    fn a_status_is_not_written_for_its_time_alone() {
        let status = |phase: &str, time: &str| json!({"phase": phase, "lastSyncTime": time});
        assert_eq!(status_change(&status("Updated", "1"), &status("Updated", "2")), None);
        assert_eq!(
            status_change(&status("Updating", "1"), &status("Updated", "2")),
            Some(json!({"phase": "Updated", "lastSyncTime": "2"}))
        );
        assert_eq!(status_change(&Value::Null, &json!({"phase": "x"})), Some(json!({"phase": "x"})));
    }
}
