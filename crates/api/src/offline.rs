//! The plan of each Cell of a folder, as `okra plan` prints it. It is the
//! planner of the controller, given what the manifests say and nothing else:
//! a folder is a complete view, and knows no rule on AWS.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::Resource;
use okra_domain::cell::Plan;
use serde::Serialize;

use crate::cell::Cell;
use crate::folder::Folder;
use crate::lenient::Lenient;
use crate::observe::{CellView, Facts, observe};

/// What `okra plan -o json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanDocument {
    /// In bytewise order of namespace and name.
    pub cells: Vec<CellPlan>,
}

/// The plan of one Cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CellPlan {
    /// Namespace of the Cell.
    pub namespace: String,
    /// Name of the Cell.
    pub name: String,
    /// The phase that the plan leads to.
    pub phase: String,
    /// The version that shall serve.
    pub desired_version: Option<String>,
    /// The version of the last rollout that reached the end.
    pub stable_version: Option<String>,
    /// The running or the last rollout.
    #[serde(rename = "rolloutID")]
    pub rollout_id: Option<String>,
    /// Index of the first step that is not done.
    pub current_step_index: Option<usize>,
    /// What the load balancer config shall hold.
    pub weights: BTreeMap<String, u32>,
    /// Pauses, runs and experiments to create.
    pub create: Vec<ObjectName>,
    /// Pauses, runs and experiments to delete.
    pub delete: Vec<ObjectName>,
    /// Versions to put on the blocklist.
    pub block: Vec<String>,
    /// Conditions of the Cell.
    pub conditions: Vec<PlannedCondition>,
    /// Why, the most important first.
    pub reasons: Vec<PlannedReason>,
    /// When the controller would plan again although nothing changed.
    pub wake_at: Option<String>,
}

/// Names an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ObjectName {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// A condition without its message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedCondition {
    /// What it is about.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True` or `False`.
    pub status: String,
    /// Why, as one word.
    pub reason: String,
}

/// A reason of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedReason {
    /// As one word.
    pub reason: String,
    /// As a sentence.
    pub message: String,
}

/// The plans that the controller would carry out at `now`.
pub fn plan(folder: &Folder, now: Timestamp) -> PlanDocument {
    let cells = folder.cells.iter().map(|cell| {
        let observed = observe(&view(folder, cell));
        let plan = okra_domain::cell::plan(&observed, now);
        cell_plan(&observed.cell.namespace, &observed.cell.name, &plan)
    });
    PlanDocument { cells: cells.collect() }
}

/// What a folder holds around one Cell.
pub fn view<'a>(folder: &'a Folder, cell: &'a Lenient<Cell>) -> CellView<'a> {
    let metadata = cell.meta();
    let namesake = (&metadata.namespace, &metadata.name);
    CellView {
        cell,
        target_groups: neighbours(&folder.target_groups, cell),
        alb_config: find(&folder.alb_configs, namesake),
        nlb_config: find(&folder.nlb_configs, namesake),
        pauses: neighbours(&folder.pauses, cell),
        runs: neighbours(&folder.runs, cell),
        experiments: neighbours(&folder.experiments, cell),
        blocklist: find(&folder.blocklists, namesake),
        facts: Facts::default(),
    }
}

fn neighbours<'a, K: Resource>(objects: &'a [Lenient<K>], cell: &Lenient<Cell>) -> Vec<&'a Lenient<K>> {
    objects.iter().filter(|object| object.meta().namespace == cell.meta().namespace).collect()
}

fn find<'a, K: Resource>(
    objects: &'a [Lenient<K>],
    namesake: (&Option<String>, &Option<String>),
) -> Option<&'a Lenient<K>> {
    objects.iter().find(|object| (&object.meta().namespace, &object.meta().name) == namesake)
}

/// A plan as `okra plan` prints it.
pub fn cell_plan(namespace: &str, name: &str, plan: &Plan) -> CellPlan {
    let status = &plan.status;
    CellPlan {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        phase: plan.phase().to_string(),
        desired_version: status.desired_version.as_ref().map(ToString::to_string),
        stable_version: status.stable_version.as_ref().map(ToString::to_string),
        rollout_id: status.rollout_id.as_ref().map(ToString::to_string),
        current_step_index: status.current_step_index,
        weights: plan.entries.iter().map(|entry| (entry.name.clone(), entry.weight)).collect(),
        create: plan
            .create
            .iter()
            .map(|component| ObjectName { kind: component.kind().to_string(), name: component.name.clone() })
            .collect(),
        delete: plan
            .delete
            .iter()
            .map(|component| ObjectName { kind: component.kind.to_string(), name: component.name.clone() })
            .collect(),
        block: plan.block.iter().map(|block| block.version.to_string()).collect(),
        conditions: status
            .conditions
            .iter()
            .map(|condition| PlannedCondition {
                type_: condition.kind.to_string(),
                status: condition.status_text().to_owned(),
                reason: condition.reason.to_string(),
            })
            .collect(),
        reasons: plan
            .reasons
            .iter()
            .map(|reason| PlannedReason {
                reason: reason.reason.to_string(),
                message: reason.message.clone(),
            })
            .collect(),
        wake_at: plan.wake_at.map(|time| time.to_string()),
    }
}
