//! From objects to what the planner sees: one way for the controller and for
//! `okra plan`, so that both decide the same.

mod command;
mod components;
mod config;
mod experiment;
mod spec;
mod status;
mod target_groups;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::ResourceExt as _;
use okra_domain::cell::{
    BlockedVersion, CellIdentity, Component, LiveRule, Observed, PinWord, RetirementObservation, Spec,
    SpecError, Status, WeightMode, Workload,
};

pub(crate) use components::is_endless;
pub use config::ConfigKind;
pub use experiment::{ExperimentError, experiment_spec, experiment_status, stored_experiment_status};
pub use spec::domain_spec;
pub use status::domain_status;

use crate::cell::{Cell, CellStatus};
use crate::lenient::Lenient;
use crate::names::{ANNOTATION_LAST_CHANGE, GROUP};
use crate::{
    AWSApplicationLoadBalancerConfig, AWSNetworkLoadBalancerConfig, AWSTargetGroup, AnalysisRun, Experiment,
    Pause, VersionBlocklist,
};

/// One Cell and all that its plan depends on. Lists hold the objects of the
/// Cell's namespace, in any order.
#[derive(Clone, Debug)]
pub struct CellView<'a> {
    /// The Cell.
    pub cell: &'a Lenient<Cell>,
    /// AWSTargetGroups.
    pub target_groups: Vec<&'a Lenient<AWSTargetGroup>>,
    /// The ALB config of the Cell's name.
    pub alb_config: Option<&'a Lenient<AWSApplicationLoadBalancerConfig>>,
    /// The NLB config of the Cell's name.
    pub nlb_config: Option<&'a Lenient<AWSNetworkLoadBalancerConfig>>,
    /// Pauses.
    pub pauses: Vec<&'a Lenient<Pause>>,
    /// AnalysisRuns.
    pub runs: Vec<&'a Lenient<AnalysisRun>>,
    /// Experiments.
    pub experiments: Vec<&'a Lenient<Experiment>>,
    /// The blocklist of the Cell's name.
    pub blocklist: Option<&'a Lenient<VersionBlocklist>>,
    /// What no object says.
    pub facts: Facts,
}

/// What a plan depends on and no listed object says. The default is what a
/// folder of manifests knows: nothing.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The rule on AWS, read while there is no config with target groups.
    pub live_rule: Option<LiveRule>,
    /// Readiness of the workloads that the gates name.
    pub workloads: Vec<Workload>,
    /// Member clusters that are being deleted: their target groups count as gone.
    pub leaving_clusters: BTreeSet<String>,
    /// What is known about retirement, by name of AWSTargetGroup.
    pub retirement: BTreeMap<String, RetirementObservation>,
    /// Components that could not be created ([`crate::write::failed_component`]).
    pub failed_components: Vec<Component>,
    /// Kinds that could not be listed, with the cause.
    pub incomplete: Vec<String>,
    /// What `setWeight` means in a Cell that does not say it.
    pub weight_mode: WeightMode,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            live_rule: None,
            workloads: vec![],
            leaving_clusters: BTreeSet::new(),
            retirement: BTreeMap::new(),
            failed_components: vec![],
            incomplete: vec![],
            weight_mode: WeightMode::Absolute,
        }
    }
}

/// What the planner sees of a Cell.
///
/// Nothing fails: a Cell that does not fit its kind is one with an invalid
/// spec, an AWSTargetGroup that does not fit is an illegal one, and any other
/// object that does not fit makes the view incomplete, because taking it for
/// absent could undo what it stands for.
pub fn observe(view: &CellView<'_>) -> Observed {
    let (spec, status) = desired_and_recorded(view);
    let identity = identity(view.cell);
    let selection = target_groups::Selection::of(view.cell.valid());
    let mut incomplete = view.facts.incomplete.clone();
    let kind = ConfigKind::of_view(view);
    let config = config::observe_config(view, kind, &identity, &mut incomplete);
    let mut components = components::observe_components(view, &identity, &mut incomplete);
    components.extend(view.facts.failed_components.iter().cloned());
    Observed {
        status,
        target_groups: target_groups::observe_target_groups(view, &selection),
        config,
        live_rule: view.facts.live_rule.clone(),
        blocklist: blocklist(view, &mut incomplete),
        components,
        workloads: view.facts.workloads.clone(),
        command: command::observe_command(metadata(view.cell)),
        incomplete,
        cell: identity,
        spec,
    }
}

/// A Cell that does not fit keeps what its status recorded, as far as that fits.
fn desired_and_recorded(view: &CellView<'_>) -> (Spec, Status) {
    match view.cell {
        Lenient::Valid(cell) => (
            Spec { pin_word: pin_word(cell), ..domain_spec(&cell.spec, view.facts.weight_mode) },
            cell.status.as_ref().map(domain_status).unwrap_or_default(),
        ),
        Lenient::Malformed(malformed) => {
            let error =
                SpecError { field: malformed.error.path.clone(), message: malformed.error.message.clone() };
            let status = malformed.object.get("status").cloned().unwrap_or_default();
            let status: CellStatus = serde_json::from_value(status).unwrap_or_default();
            (Spec { errors: vec![error], ..Spec::default() }, domain_status(&status))
        }
    }
}

/// Who pinned the Cell and why: a word that came with this pin, not with an older one.
fn pin_word(cell: &Cell) -> Option<PinWord> {
    let text = cell.annotations().get(ANNOTATION_LAST_CHANGE)?;
    let change: serde_json::Value = serde_json::from_str(text).ok()?;
    let said = |field: &str| change[field].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    (said("version").is_some() && said("version") == cell.spec.version)
        .then(|| PinWord { by: said("by"), why: said("reason") })
}

fn metadata(cell: &Lenient<Cell>) -> &ObjectMeta {
    use kube::Resource as _;
    cell.meta()
}

fn identity(cell: &Lenient<Cell>) -> CellIdentity {
    let metadata = metadata(cell);
    CellIdentity {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
        uid: metadata.uid.clone().unwrap_or_default(),
        generation: metadata.generation.unwrap_or_default(),
        deleting: metadata.deletion_timestamp.is_some(),
    }
}

/// The owner reference that names this Cell. Manifests may lack UIDs; then
/// the name decides.
fn owned_by<'a>(metadata: &'a ObjectMeta, cell: &CellIdentity) -> Option<&'a OwnerReference> {
    metadata.owner_references.iter().flatten().find(|owner| {
        if cell.uid.is_empty() || owner.uid.is_empty() {
            let group = owner.api_version.split('/').next();
            owner.kind == "Cell" && owner.name == cell.name && group == Some(GROUP)
        } else {
            owner.uid == cell.uid
        }
    })
}

fn blocklist(view: &CellView<'_>, incomplete: &mut Vec<String>) -> Vec<BlockedVersion> {
    match view.blocklist {
        None => vec![],
        Some(Lenient::Malformed(malformed)) => {
            incomplete.push(unreadable("VersionBlocklist", malformed));
            vec![]
        }
        Some(Lenient::Valid(list)) => list
            .spec
            .items
            .iter()
            .filter_map(|item| {
                Some(BlockedVersion { version: item.version.parse().ok()?, cause: item.cause.clone() })
            })
            .collect(),
    }
}

fn unreadable(kind: &str, malformed: &crate::lenient::Malformed) -> String {
    let name = malformed.metadata.name.as_deref().unwrap_or_default();
    format!("{kind} {name} does not fit its kind: {}", malformed.error)
}

/// A count that Kubernetes keeps as a signed number.
fn count(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}

fn labels_of(object: &impl kube::Resource) -> &BTreeMap<String, String> {
    object.labels()
}

#[cfg(test)]
mod tests;
