//! The port to the clusters in which Jobs run.

use std::fmt;

use async_trait::async_trait;
use serde_json::Value as Json;

use crate::provider::ProviderError;

/// The name of the cluster in which okra's own objects live.
pub const MANAGEMENT_CLUSTER: &str = "management";

/// Where a Job lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobPlace {
    /// [`MANAGEMENT_CLUSTER`], `canary`, `stable`, or the name of a cluster secret.
    pub cluster: String,
    /// Namespace in that cluster.
    pub namespace: String,
    /// Namespace of the run, in which cluster secrets are looked for: a run names no cluster that
    /// its own namespace does not know.
    pub home: String,
}

/// Whether an object was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It was.
    Yes,
    /// One of that name was there.
    Exists,
}

/// Jobs and their pods, as JSON of the Kubernetes API. Each call fails with a
/// [`ProviderError`] if the cluster is not known, does not answer or refuses.
#[async_trait]
pub trait JobClusters: Send + Sync + fmt::Debug {
    /// Creates a Job.
    async fn create(&self, place: &JobPlace, job: &Json) -> Result<Created, ProviderError>;

    /// A Job, if it is there.
    async fn job(&self, place: &JobPlace, name: &str) -> Result<Option<Json>, ProviderError>;

    /// The Jobs that a label selector finds.
    async fn jobs(&self, place: &JobPlace, selector: &str) -> Result<Vec<Json>, ProviderError>;

    /// Deletes a Job, its pods first; one that is not there counts as deleted.
    async fn delete(&self, place: &JobPlace, name: &str) -> Result<(), ProviderError>;

    /// The pods of a Job.
    async fn pods(&self, place: &JobPlace, job: &str) -> Result<Vec<Json>, ProviderError>;

    /// The last lines that a container of a pod has printed.
    async fn log(
        &self,
        place: &JobPlace,
        pod: &str,
        container: &str,
        lines: u32,
    ) -> Result<String, ProviderError>;
}
