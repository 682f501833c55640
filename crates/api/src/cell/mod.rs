//! `Cell`: interchangeable clusters behind one entry point (`spec/okra.md` 2.6).

mod command;
mod entry;
mod ingress;
mod status;
mod steps;
mod strategy;

pub use command::{COMMAND_BYTES_MAX, Command, CommandError, CommandOutcome};
pub use entry::{ALB_CONFIG_KIND, EntryError, EntryPoint, NLB_CONFIG_KIND};
pub use ingress::{AlbIngress, Ingress, NlbIngress, TYPE_ALB, TYPE_NLB, TargetGroupSelector};
pub use status::{AnalysisSummary, CellRollout, CellStatus, CellWeight, HistoryEntry, PassedStep};
pub use steps::{
    AnalysisArgument, AnalysisArgumentSource, AnalysisBlock, AnalysisCheck, BackgroundAnalysis, CanaryStep,
    ExperimentAnalysis, ExperimentStep, ExperimentTemplate, FieldReference, PauseStep, SetCanaryScale,
    TemplateReference,
};
pub use strategy::{
    BlueGreenStep, BlueGreenStrategy, CanaryStrategy, FlowGate, JobGate, Promote, Ramp, ReadinessGates,
    RetirementGates, TYPE_BLUE_GREEN, TYPE_CANARY, UpdateStrategy, WorkloadReference,
};

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Interchangeable clusters behind one entry point, and how traffic moves
/// from one version of them to the next.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "okra.mumo.co",
    version = "v1alpha1",
    kind = "Cell",
    plural = "cells",
    namespaced,
    category = "okra",
    status = "CellStatus",
    derive = "PartialEq",
    doc = "Interchangeable clusters behind one entry point, and how traffic moves from one version of them to the next.",
    printcolumn = r#"{"name": "Phase", "type": "string", "jsonPath": ".status.phase"}"#,
    printcolumn = r#"{"name": "Stable", "type": "string", "jsonPath": ".status.stableVersion"}"#,
    printcolumn = r#"{"name": "Desired", "type": "string", "jsonPath": ".status.desiredVersion"}"#,
    printcolumn = r#"{"name": "Step", "type": "integer", "jsonPath": ".status.currentStepIndex"}"#,
    printcolumn = r#"{"name": "Weight", "type": "integer", "jsonPath": ".status.canaryWeight"}"#,
    printcolumn = r#"{"name": "Last Sync", "type": "date", "jsonPath": ".status.lastSyncTime"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct CellSpec {
    /// The entry point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,
    /// How many target groups of one version make a complete set; 1 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i64>,
    /// Pin: the version to serve, whatever else there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Documented spelling of `ingress.….targetGroupSelector.versionLabels`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versioned_by: Option<VersionedBy>,
    /// How traffic moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_strategy: Option<UpdateStrategy>,
    /// When a canary target group may take weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readiness_gates: Option<ReadinessGates>,
    /// When an old cluster counts as retired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retirement_gates: Option<RetirementGates>,
    /// While true no plan moves weights, except for safety.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// What to do at rest with weights that something else changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["Report", "Restore", "RestoreAutomatically"]))]
    pub drift_policy: Option<String>,
    /// Who runs AnalysisRuns and Experiments.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["Okra", "ArgoRollouts"]))]
    pub executor: Option<String>,
    /// What happens to the traffic when the Cell is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["Retain", "Delete"]))]
    pub deletion_policy: Option<String>,
    /// How many finished rollouts `status.history` keeps; 10 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub history_limit: Option<i64>,
}

/// Which label holds the version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionedBy {
    /// Key of the label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}
