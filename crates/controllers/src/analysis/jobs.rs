//! Jobs of measurements, in the management cluster or in a member.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{DeleteParams, ListParams, LogParams, PostParams, PropagationPolicy};
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client};
use okra_api::foreign::cluster_secret::ClusterSecret;
use okra_api::names::{FIELD_MANAGER, LABEL_SECRET_TYPE, SECRET_TYPE_CLUSTER};
use okra_providers::{Created, JobClusters, JobPlace, MANAGEMENT_CLUSTER, ProviderError};
use serde_json::Value;

use crate::Context;

/// Time for one call to a cluster: a member that does not answer holds up the
/// metric that asks it, and no other.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Objects of one list. A metric keeps at most a hundred Jobs, and a Job that
/// has restarted this often will not end well.
const LIST_LIMIT: u32 = 500;
/// Bytes of a log that are read for its last lines.
const LOG_BYTES: i64 = 16 * 1024;
/// Label of a Job's pods, also in the oldest clusters.
const LABEL_JOB_NAME: &str = "job-name";

/// The clusters that a run may name.
pub struct KubeJobs {
    context: Context,
}

impl fmt::Debug for KubeJobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KubeJobs")
    }
}

impl KubeJobs {
    /// Management API and members of a context.
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    async fn client(&self, place: &JobPlace) -> Result<Client, ProviderError> {
        if place.cluster == MANAGEMENT_CLUSTER {
            return Ok(self.context.client.clone());
        }
        let unusable = |reason: &str| {
            ProviderError::new(format!("cluster {:?} cannot be used for jobs: {reason}", place.cluster))
        };
        let secrets = self.context.namespaced::<Secret>(&place.home);
        let secret = answered(secrets.get_opt(&place.cluster)).await?;
        let is_cluster = |secret: &Secret| {
            let labels = secret.metadata.labels.as_ref();
            labels
                .and_then(|labels| labels.get(LABEL_SECRET_TYPE))
                .is_some_and(|kind| kind == SECRET_TYPE_CLUSTER)
        };
        let secret = secret.filter(is_cluster);
        let secret =
            secret.ok_or_else(|| unusable("the namespace of the run has no cluster secret of that name"))?;
        let cluster = ClusterSecret::from_secret(&secret).map_err(|error| unusable(&error.to_string()))?;
        let client = self.context.members.client(&cluster).await;
        client.map_err(|error| ProviderError::caused_by(unusable("it has no client").to_string(), error))
    }

    async fn api(&self, place: &JobPlace) -> Result<Api<DynamicObject>, ProviderError> {
        // As JSON, so that no field of a manifest is lost on the way.
        let kind = ApiResource::erase::<Job>(&());
        Ok(Api::namespaced_with(self.client(place).await?, &place.namespace, &kind))
    }

    /// Asked directly before each write.
    fn may_write(&self) -> Result<(), ProviderError> {
        self.context.fence.check().map_err(|error| ProviderError::new(error.to_string()))
    }
}

/// The answer to a call, if it comes in time.
async fn answered<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, ProviderError> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(answer) => {
            answer.map_err(|error| ProviderError::caused_by("the cluster refused or did not answer", error))
        }
        Err(_) => {
            let message = format!("the cluster did not answer within {} s", CALL_TIMEOUT.as_secs());
            Err(ProviderError::new(message))
        }
    }
}

fn json(object: impl serde::Serialize) -> Result<Value, ProviderError> {
    serde_json::to_value(object).map_err(|error| ProviderError::caused_by("the object is not JSON", error))
}

#[async_trait]
impl JobClusters for KubeJobs {
    async fn create(&self, place: &JobPlace, job: &Value) -> Result<Created, ProviderError> {
        let object: DynamicObject = serde_json::from_value(job.clone())
            .map_err(|error| ProviderError::caused_by("the job is no object", error))?;
        let api = self.api(place).await?;
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        self.may_write()?;
        answered(async {
            match api.create(&params, &object).await {
                Ok(_) => Ok(Created::Yes),
                Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => Ok(Created::Exists),
                Err(error) => Err(error),
            }
        })
        .await
    }

    async fn job(&self, place: &JobPlace, name: &str) -> Result<Option<Value>, ProviderError> {
        let api = self.api(place).await?;
        answered(api.get_opt(name)).await?.map(json).transpose()
    }

    async fn jobs(&self, place: &JobPlace, selector: &str) -> Result<Vec<Value>, ProviderError> {
        let api = self.api(place).await?;
        let params = ListParams::default().labels(selector).limit(LIST_LIMIT);
        answered(api.list(&params)).await?.items.into_iter().map(json).collect()
    }

    async fn delete(&self, place: &JobPlace, name: &str) -> Result<(), ProviderError> {
        let api = self.api(place).await?;
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Foreground),
            ..DeleteParams::default()
        };
        self.may_write()?;
        answered(async {
            match api.delete(name, &params).await {
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                other => other.map(|_| ()),
            }
        })
        .await
    }

    async fn pods(&self, place: &JobPlace, job: &str) -> Result<Vec<Value>, ProviderError> {
        let api: Api<Pod> = Api::namespaced(self.client(place).await?, &place.namespace);
        let params = ListParams::default().labels(&format!("{LABEL_JOB_NAME}={job}")).limit(LIST_LIMIT);
        answered(api.list(&params)).await?.items.into_iter().map(json).collect()
    }

    async fn log(
        &self,
        place: &JobPlace,
        pod: &str,
        container: &str,
        lines: u32,
    ) -> Result<String, ProviderError> {
        let api: Api<Pod> = Api::namespaced(self.client(place).await?, &place.namespace);
        let params = LogParams {
            container: Some(container.to_owned()),
            tail_lines: Some(lines.into()),
            limit_bytes: Some(LOG_BYTES),
            ..LogParams::default()
        };
        answered(api.logs(pod, &params)).await
    }
}
