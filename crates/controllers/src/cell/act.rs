//! Carries out a plan, in the order that the plan states. No choices are
//! added: the first write that is refused ends it, and the next plan starts
//! from what is.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use okra_api::analysis::{AnalysisTemplate, ClusterAnalysisTemplate, Templates};
use okra_api::cell::Cell;
use okra_api::names::{ANNOTATION_RETIRED, ANNOTATION_TERMINATED_BY, LABEL_ROLLOUT_ID};
use okra_api::observe::ConfigKind;
use okra_api::write::{
    ComponentContext, ConfigObject, NewObject, blocklist, config_object, failed_component, new_object,
    replica_sets_needed, status_patch,
};
use okra_api::{AnalysisRun, Experiment, Lenient, Pause};
use okra_domain::Phase;
use okra_domain::analysis::TerminatedBy;
use okra_domain::cell::{
    Component, ComponentKind, ComponentName, NewComponent, NewComponentBody, Observed, Plan,
};
use serde_json::{Value, json};
use thiserror::Error;

use super::snapshot::Snapshot;
use crate::Context;
use crate::writer::{Writable, WriteError};

/// A plan was not carried out to its end.
#[derive(Debug, Error)]
pub enum ActError {
    /// Something that a component is made from cannot be read.
    #[error("what a component is made from cannot be read")]
    Read(#[source] Box<kube::Error>),
    /// A write was refused.
    #[error("a write of the plan was refused")]
    Write(#[from] WriteError),
    /// The config that the plan asks for does not fit its kind.
    #[error("the load balancer config cannot be written")]
    Config(#[from] okra_api::lenient::DecodeError),
}

impl From<kube::Error> for ActError {
    fn from(error: kube::Error) -> Self {
        Self::Read(Box::new(error))
    }
}

/// What carrying out a plan came to.
pub enum Outcome {
    /// Everything is written.
    Done,
    /// Components could not be made: the next plan must know (3.4.3).
    Failed(Vec<Component>),
}

/// One plan and what it was made from.
pub struct Act<'a> {
    pub context: &'a Context,
    pub snapshot: &'a Snapshot,
    pub cell: &'a Cell,
    pub observed: &'a Observed,
    pub plan: &'a Plan,
    pub now: jiff::Timestamp,
}

impl Act<'_> {
    /// Writes what the plan says.
    ///
    /// # Errors
    /// At the first write that is refused.
    pub async fn carry_out(&self) -> Result<Outcome, ActError> {
        let objects = match self.new_objects().await? {
            Ok(objects) => objects,
            Err(failed) => return Ok(Outcome::Failed(failed)),
        };
        if !self.plan.unblock.is_empty() {
            self.write_blocklist().await?;
        }
        let mut cell = self.cell.clone();
        if self.plan.status_first {
            cell = self.write_status(&cell).await?;
        }
        self.write_config().await?;
        for object in &objects {
            self.create(object).await?;
        }
        for component in &self.plan.terminate {
            self.terminate(component).await?;
        }
        for component in &self.plan.delete {
            self.delete(component).await?;
        }
        for cluster in &self.plan.retire {
            self.retire(cluster).await?;
        }
        if !self.plan.block.is_empty() {
            self.write_blocklist().await?;
        }
        if !self.plan.status_first {
            self.write_status(&cell).await?;
        }
        Ok(Outcome::Done)
    }

    /// The components of the plan as objects, or why some cannot be made.
    async fn new_objects(&self) -> Result<Result<Vec<NewObject>, Vec<Component>>, ActError> {
        let judged = |component: &NewComponent| !matches!(component.body, NewComponentBody::Pause { .. });
        let templates =
            if self.plan.create.iter().any(judged) { self.templates().await? } else { Templates::default() };
        let replica_sets = self.replica_sets().await?;
        let context = ComponentContext {
            cell: self.cell,
            observed: self.observed,
            plan: self.plan,
            now: self.now,
            templates: &templates,
            replica_sets: &replica_sets,
        };
        let mut objects = Vec::new();
        let mut failed = Vec::new();
        for component in &self.plan.create {
            match new_object(&context, component) {
                Ok(object) => objects.push(object),
                Err(error) => {
                    failed.push(failed_component(component, &self.observed.cell.uid, &error, self.now))
                }
            }
        }
        Ok(if failed.is_empty() { Ok(objects) } else { Err(failed) })
    }

    async fn templates(&self) -> Result<Templates, ActError> {
        let all = ListParams::default();
        let namespaced = self.context.namespaced::<Lenient<AnalysisTemplate>>(&self.observed.cell.namespace);
        let cluster: kube::Api<Lenient<ClusterAnalysisTemplate>> =
            kube::Api::all(self.context.client.clone());
        let namespaced = namespaced.list(&all).await?.items;
        let cluster = cluster.list(&all).await?.items;
        Ok(Templates::of(
            namespaced.iter().filter_map(Lenient::valid),
            cluster.iter().filter_map(Lenient::valid),
        ))
    }

    async fn replica_sets(&self) -> Result<BTreeMap<String, Value>, ActError> {
        let api = self.context.namespaced::<ReplicaSet>(&self.observed.cell.namespace);
        let mut found = BTreeMap::new();
        for name in self.plan.create.iter().flat_map(|component| replica_sets_needed(self.cell, component)) {
            if let Some(set) = api.get_opt(&name).await? {
                found.insert(name, serde_json::to_value(set).map_err(WriteError::Json)?);
            }
        }
        Ok(found)
    }

    async fn write_blocklist(&self) -> Result<(), ActError> {
        let existing = self.snapshot.blocklist.as_ref().and_then(Lenient::valid);
        let changed = blocklist(self.cell, existing, &self.plan.block, &self.plan.unblock, self.now);
        let Some(list) = changed else { return Ok(()) };
        self.create_or_replace(&list, existing.is_some()).await
    }

    async fn write_config(&self) -> Result<(), ActError> {
        let Some(write) = &self.plan.config else { return Ok(()) };
        let kind = ConfigKind::of_view(&self.snapshot.view());
        let existing = match kind {
            ConfigKind::Alb => self.snapshot.alb_config.as_ref().map(kube::Resource::meta),
            ConfigKind::Nlb => self.snapshot.nlb_config.as_ref().map(kube::Resource::meta),
        };
        match config_object(self.cell, kind, existing, write)? {
            ConfigObject::Alb(config) => self.create_or_replace(config.as_ref(), existing.is_some()).await,
            ConfigObject::Nlb(config) => self.create_or_replace(config.as_ref(), existing.is_some()).await,
        }
    }

    async fn create_or_replace<K: Writable>(&self, object: &K, exists: bool) -> Result<(), ActError> {
        let writer = self.context.writer();
        if exists {
            writer.replace(object).await?;
        } else {
            writer.create(object).await?;
        }
        Ok(())
    }

    async fn create(&self, object: &NewObject) -> Result<(), ActError> {
        let writer = self.context.writer();
        let created = match object {
            NewObject::Pause(pause) => writer.create(pause.as_ref()).await.map(drop),
            NewObject::AnalysisRun(run) => writer.create(run.as_ref()).await.map(drop),
            NewObject::Experiment(experiment) => writer.create(experiment.as_ref()).await.map(drop),
        };
        match created {
            // Made by a pass that was ended before it could say so: names hold
            // the rollout's id, and the next plan looks whether it is ours.
            Ok(()) | Err(WriteError::Exists) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn terminate(&self, component: &ComponentName) -> Result<(), ActError> {
        let writer = self.context.writer();
        match component.kind {
            ComponentKind::AnalysisRun => {
                if let Some(run) = find(&self.snapshot.runs, &component.name) {
                    writer.patch(run, self.word_to_stop(run)).await?;
                }
            }
            ComponentKind::Experiment => {
                if let Some(experiment) = find(&self.snapshot.experiments, &component.name) {
                    writer.patch(experiment, self.word_to_stop(experiment)).await?;
                }
            }
            // A pause has nothing to end: it is deleted.
            ComponentKind::Pause => {}
        }
        Ok(())
    }

    /// What asks a run to stop, and says on whose word
    /// (`spec/analysis.md` 2.8).
    fn word_to_stop(&self, object: &impl kube::Resource) -> Value {
        let rollout = object.meta().labels.as_ref().and_then(|labels| labels.get(LABEL_ROLLOUT_ID));
        let current = self.plan.status.rollout_id.as_ref().map(ToString::to_string);
        let by = match self.plan.phase() {
            Phase::Completed => TerminatedBy::RolloutFinished,
            // The rollout goes on without it: somebody has passed the step.
            Phase::Progressing | Phase::Paused if rollout == current.as_ref() => TerminatedBy::User,
            _ => TerminatedBy::Abort,
        };
        json!({
            "metadata": {"annotations": {ANNOTATION_TERMINATED_BY: by}},
            "spec": {"terminate": true},
        })
    }

    async fn delete(&self, component: &ComponentName) -> Result<(), ActError> {
        match component.kind {
            ComponentKind::Pause => self.delete_object::<Pause>(&self.snapshot.pauses, &component.name).await,
            ComponentKind::AnalysisRun => {
                self.delete_object::<AnalysisRun>(&self.snapshot.runs, &component.name).await
            }
            ComponentKind::Experiment => {
                self.delete_object::<Experiment>(&self.snapshot.experiments, &component.name).await
            }
        }
    }

    async fn delete_object<K: Writable>(&self, objects: &[Lenient<K>], name: &str) -> Result<(), ActError> {
        let Some(object) = find(objects, name) else { return Ok(()) };
        match self.context.writer().delete(object).await {
            // Gone already, which is what was wanted.
            Ok(()) | Err(WriteError::Stale) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Marks a cluster; nothing else is ever done to it.
    async fn retire(&self, cluster: &str) -> Result<(), ActError> {
        let api = self.context.namespaced::<Secret>(&self.observed.cell.namespace);
        let Some(secret) = api.get_opt(cluster).await? else { return Ok(()) };
        let patch = json!({"metadata": {"annotations": {ANNOTATION_RETIRED: self.now.to_string()}}});
        self.context.writer().patch(&secret, patch).await?;
        Ok(())
    }

    /// The Cell as written, or as it was where its status says so already.
    async fn write_status(&self, cell: &Cell) -> Result<Cell, ActError> {
        match status_patch(cell, &self.plan.status) {
            None => Ok(cell.clone()),
            Some(patch) => Ok(self.context.writer().patch_status_with(cell, patch).await?),
        }
    }
}

fn find<'a, K: kube::Resource>(objects: &'a [Lenient<K>], name: &str) -> Option<&'a K> {
    objects.iter().filter_map(Lenient::valid).find(|object| object.meta().name.as_deref() == Some(name))
}
