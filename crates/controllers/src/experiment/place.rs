//! The cluster in which the pods of an experiment run.

use std::future::Future;
use std::time::Duration;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{Secret, Service};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, PropagationPolicy};
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client, ResourceExt as _};
use okra_api::Experiment;
use okra_api::names::{ANNOTATION_CLUSTER, FIELD_MANAGER, LABEL_SECRET_TYPE, SECRET_TYPE_CLUSTER};
use okra_domain::experiment::PodSet;
use okra_providers::MANAGEMENT_CLUSTER;
use serde_json::{Value, json};

use crate::Context;
use crate::chain::chain;
use crate::members::client_of;

/// Time for one call: a member that does not answer holds up its own
/// experiments only.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Where sets of pods are made, seen and removed.
pub(super) struct Place {
    context: Context,
    client: Client,
    namespace: String,
    /// Whether the experiment itself is there, and can own what it makes.
    pub(super) owned: bool,
}

/// Whether pods run elsewhere than the experiment.
pub(super) fn is_elsewhere(experiment: &Experiment) -> bool {
    let named = experiment.annotations().get(ANNOTATION_CLUSTER);
    named.is_some_and(|name| !name.is_empty() && name != MANAGEMENT_CLUSTER)
}

impl Place {
    /// The cluster that the experiment names, or its own.
    ///
    /// # Errors
    /// When there is no such cluster, for people.
    pub(super) async fn of(context: &Context, experiment: &Experiment) -> Result<Self, String> {
        let namespace = experiment.namespace().unwrap_or_default();
        let owned = !is_elsewhere(experiment);
        let client = if owned {
            context.client.clone()
        } else {
            let name = experiment.annotations().get(ANNOTATION_CLUSTER).cloned().unwrap_or_default();
            member(context, &namespace, &name).await?
        };
        Ok(Self { context: context.clone(), client, namespace, owned })
    }

    /// The set of this name, if it is there.
    pub(super) async fn set(&self, name: &str) -> Result<Option<PodSet>, String> {
        let api: Api<ReplicaSet> = Api::namespaced(self.client.clone(), &self.namespace);
        let Some(set) = answered(api.get_opt(name)).await? else { return Ok(None) };
        let count = |number: Option<i32>| u32::try_from(number.unwrap_or_default()).unwrap_or_default();
        let status = set.status.unwrap_or_default();
        Ok(Some(PodSet {
            replicas: set.spec.map_or(0, |spec| count(spec.replicas)),
            current: count(Some(status.replicas)),
            ready: count(status.ready_replicas),
            available: count(status.available_replicas),
        }))
    }

    /// Makes a set or a service. One of its name that is there already was made
    /// by a pass that could not say so.
    pub(super) async fn create(&self, object: &Value) -> Result<(), String> {
        let kind = match object["kind"].as_str() {
            Some("Service") => ApiResource::erase::<Service>(&()),
            _ => ApiResource::erase::<ReplicaSet>(&()),
        };
        // As JSON, so that no field of a manifest is lost on the way.
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, &kind);
        let made = serde_json::from_value(object.clone()).map_err(|error| error.to_string())?;
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        self.may_write()?;
        answered(async {
            match api.create(&params, &made).await {
                Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => Ok(()),
                other => other.map(drop),
            }
        })
        .await
    }

    /// Gives a set so many pods.
    pub(super) async fn scale(&self, name: &str, replicas: u32) -> Result<(), String> {
        let api: Api<ReplicaSet> = Api::namespaced(self.client.clone(), &self.namespace);
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        self.may_write()?;
        answered(absent_is_fine(async { api.patch(name, &params, &patch).await.map(drop) })).await
    }

    /// Removes a set with its pods, and the service of its name.
    pub(super) async fn remove(&self, name: &str) -> Result<(), String> {
        let sets: Api<ReplicaSet> = Api::namespaced(self.client.clone(), &self.namespace);
        let services: Api<Service> = Api::namespaced(self.client.clone(), &self.namespace);
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        };
        self.may_write()?;
        answered(absent_is_fine(async { services.delete(name, &params).await.map(drop) })).await?;
        answered(absent_is_fine(async { sets.delete(name, &params).await.map(drop) })).await
    }

    /// Asked directly before each write.
    fn may_write(&self) -> Result<(), String> {
        self.context.fence.check().map_err(|error| error.to_string())
    }
}

async fn member(context: &Context, namespace: &str, name: &str) -> Result<Client, String> {
    let unusable = |reason: &str| format!("cluster {name:?} cannot be used: {reason}");
    let secret = answered(context.namespaced::<Secret>(namespace).get_opt(name)).await?;
    let is_cluster = |secret: &Secret| {
        secret.labels().get(LABEL_SECRET_TYPE).is_some_and(|kind| kind == SECRET_TYPE_CLUSTER)
    };
    let secret = secret.filter(is_cluster);
    let secret = secret
        .ok_or_else(|| unusable("the namespace of the experiment has no cluster secret of that name"))?;
    client_of(context, &secret).await.map_err(|reason| unusable(&reason))
}

async fn absent_is_fine(call: impl Future<Output = Result<(), kube::Error>>) -> Result<(), kube::Error> {
    match call.await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other,
    }
}

/// The answer to a call, if it comes in time.
async fn answered<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, String> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(answer) => {
            answer.map_err(|error| format!("the cluster refused or did not answer: {}", chain(&error)))
        }
        Err(_) => Err(format!("the cluster did not answer within {} s", CALL_TIMEOUT.as_secs())),
    }
}
