//! The `job` provider: a Kubernetes Job whose outcome is the verdict (`spec/analysis.md` 4.5).
//!
//! The Job is found again by its name, which follows from run, metric and number of the
//! measurement: okra may be killed between any two calls and begins no second one.

mod cluster;
mod manifest;
mod pods;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use okra_domain::analysis::Phase;
use serde_json::Value as Json;

use crate::background::{BackgroundProvider, Begun, Progress};
use crate::provider::{ProviderError, Request};

pub use cluster::{Created, JobClusters, JobPlace, MANAGEMENT_CLUSTER};
use manifest::Manifest;

/// Notes by which a Job is found again.
const JOB_NAME: &str = "job-name";
const JOB_NAMESPACE: &str = "job-namespace";
const JOB_CLUSTER: &str = "job-cluster";

/// The shortest time between two looks at a Job.
const POLL_SHORTEST: SignedDuration = SignedDuration::from_secs(1);

/// Measures by running a Job.
#[derive(Debug)]
pub struct Job {
    clusters: Arc<dyn JobClusters>,
    namespace: Option<String>,
}

impl Job {
    /// The provider on clusters.
    pub fn new(clusters: Arc<dyn JobClusters>) -> Self {
        Self { clusters, namespace: None }
    }

    /// The same with a namespace for all Jobs instead of that of their run.
    #[must_use]
    pub fn in_namespace(mut self, namespace: Option<String>) -> Self {
        self.namespace = namespace.filter(|namespace| !namespace.is_empty());
        self
    }

    fn place(&self, request: &Request<'_>) -> JobPlace {
        let cluster = Some(request.place.cluster.as_str()).filter(|cluster| !cluster.is_empty());
        JobPlace {
            cluster: cluster.unwrap_or(MANAGEMENT_CLUSTER).to_owned(),
            namespace: self.namespace.clone().unwrap_or_else(|| request.place.namespace.clone()),
            home: request.place.namespace.clone(),
        }
    }

    /// The verdict on a Job that has ended, with what its failing container said.
    async fn ended(&self, found: &Found, job: &Json, metadata: BTreeMap<String, String>) -> Option<Progress> {
        let condition = |kind: &str| {
            let conditions = job["status"]["conditions"].as_array()?;
            conditions.iter().find(|condition| condition["type"] == kind && condition["status"] == "True")
        };
        if condition("Complete").is_some() {
            return Some(verdict(Phase::Successful, String::new(), metadata));
        }
        let failed = condition("Failed")?;
        let text = |key: &str| failed[key].as_str().unwrap_or_default();
        let message = format!("job {} failed: {} {}", found.name, text("reason"), text("message"));
        let notes = pods::failure_notes(self.clusters.as_ref(), &found.place, &found.name).await;
        Some(verdict(Phase::Failed, message.trim().to_owned(), metadata.into_iter().chain(notes).collect()))
    }
}

/// A Job that was begun.
struct Found {
    place: JobPlace,
    name: String,
}

impl Found {
    fn of(metadata: &BTreeMap<String, String>, request: &Request<'_>) -> Result<Self, ProviderError> {
        let note = |key: &str| {
            let missing = || ProviderError::new(format!("the measurement does not say its {key}"));
            metadata.get(key).filter(|note| !note.is_empty()).cloned().ok_or_else(missing)
        };
        let cluster = metadata.get(JOB_CLUSTER).cloned();
        let place = JobPlace {
            cluster: cluster.unwrap_or_else(|| MANAGEMENT_CLUSTER.to_owned()),
            namespace: note(JOB_NAMESPACE)?,
            home: request.place.namespace.clone(),
        };
        Ok(Self { place, name: note(JOB_NAME)? })
    }
}

fn verdict(phase: Phase, message: String, metadata: BTreeMap<String, String>) -> Progress {
    Progress { phase, message, resume_at: None, metadata }
}

/// The next look at a Job: the longer it runs, the less it matters to the second.
fn next_look(now: Timestamp, started_at: Timestamp) -> Timestamp {
    let elapsed = now.duration_since(started_at).as_secs_f64().max(0.0);
    let wait = SignedDuration::try_from_secs_f64((2.0 * elapsed).sqrt()).unwrap_or(POLL_SHORTEST);
    now.saturating_add(wait.max(POLL_SHORTEST)).unwrap_or(Timestamp::MAX)
}

#[async_trait]
impl BackgroundProvider for Job {
    fn check(&self, settings: &Json) -> Result<(), ProviderError> {
        Manifest::read(settings).map(|_| ())
    }

    async fn start(&self, request: &Request<'_>) -> Result<Progress, ProviderError> {
        let place = self.place(request);
        let name = manifest::name(request.place);
        let job = Manifest::read(request.settings)?.of(request.place, &place, &name);
        if self.clusters.create(&place, &job).await? == Created::Exists {
            let existing = self.clusters.job(&place, &name).await?;
            if !existing.is_some_and(|existing| manifest::belongs_to(&existing, request.place)) {
                let JobPlace { cluster, namespace, .. } = &place;
                let message =
                    format!("job {namespace}/{name} in cluster {cluster} belongs to something else");
                return Err(ProviderError::new(message));
            }
        }
        let metadata = BTreeMap::from([
            (JOB_NAME.to_owned(), name),
            (JOB_NAMESPACE.to_owned(), place.namespace),
            (JOB_CLUSTER.to_owned(), place.cluster),
        ]);
        Ok(Progress { phase: Phase::Running, message: String::new(), resume_at: Some(request.now), metadata })
    }

    async fn resume(&self, request: &Request<'_>, begun: Begun<'_>) -> Result<Progress, ProviderError> {
        let found = Found::of(begun.metadata, request)?;
        let metadata = begun.metadata.clone();
        let Some(job) = self.clusters.job(&found.place, &found.name).await? else {
            let message = format!("job {}/{} is gone", found.place.namespace, found.name);
            return Err(ProviderError::new(message));
        };
        if let Some(ended) = self.ended(&found, &job, metadata.clone()).await {
            return Ok(ended);
        }
        let pods = self.clusters.pods(&found.place, &found.name).await?;
        if let Some(message) = pods::image_failure(&pods) {
            return Ok(verdict(Phase::Inconclusive, message, metadata));
        }
        let resume_at = Some(next_look(request.now, begun.started_at));
        Ok(Progress { phase: Phase::Running, message: String::new(), resume_at, metadata })
    }

    async fn stop(&self, request: &Request<'_>, begun: Begun<'_>) -> Result<Progress, ProviderError> {
        let found = Found::of(begun.metadata, request)?;
        self.clusters.delete(&found.place, &found.name).await?;
        Ok(verdict(Phase::Inconclusive, String::new(), begun.metadata.clone()))
    }

    async fn clean_up(&self, request: &Request<'_>, keep: usize) -> Result<(), ProviderError> {
        let place = self.place(request);
        let mut jobs = self.clusters.jobs(&place, &manifest::selector(request.place)).await?;
        jobs.retain(|job| manifest::belongs_to(job, request.place));
        // The text of a creation time sorts as the time does.
        jobs.sort_by_key(|job| job["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned());
        let surplus = jobs.len().saturating_sub(keep);
        for job in jobs.iter().take(surplus) {
            let name = job["metadata"]["name"].as_str().unwrap_or_default();
            self.clusters.delete(&place, name).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
