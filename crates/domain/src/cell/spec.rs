//! What a Cell asks for (`spec/okra.md` 2.6.1), as domain words.

use serde_json::Value;

use super::steps::Steps;
use crate::text::words;
use crate::version::Version;
use crate::weight::WeightTotal;

/// What a Cell asks for. Where the manifest is invalid, `errors` says so and
/// the other fields hold what can still be used, or their defaults: nothing
/// moves then except for safety (2.6.1).
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Why the manifest cannot be followed; empty when it can.
    pub errors: Vec<SpecError>,
    /// The entry point; `None` only with an error.
    pub listener: Option<ListenerPart>,
    /// Target groups of one version that make a complete set, at least 1.
    pub replicas: u32,
    /// The version to serve, whatever else there is.
    pub pin: Option<Version>,
    /// The steps of a rollout, canary or blue/green.
    pub steps: Steps,
    /// Analysis beside the steps.
    pub background: Option<BackgroundAnalysis>,
    /// Whether a human approves each raise.
    pub approval: Approval,
    /// Least seconds at weight 0 before an entry may leave.
    pub drain_seconds: u64,
    /// A newer version during a rollout.
    pub supersede: Supersede,
    /// Seconds that a confirmed weight must hold before its step counts.
    pub settle_seconds: u64,
    /// Sum of the weights of one action.
    pub weight_total: WeightTotal,
    /// What happens to an entry at 0 of a sticky rule.
    pub sticky: StickyPolicy,
    /// Longest wait for confirmation or health.
    pub progress_deadline_seconds: u64,
    /// What happens when that wait is over.
    pub progress_deadline_action: DeadlineAction,
    /// Who pinned it and why, where they said so.
    pub pin_word: Option<PinWord>,
    /// When a canary target group may take weight.
    pub readiness: ReadinessGates,
    /// When an old cluster counts as retired.
    pub retirement: RetirementGates,
    /// No weights move, except for safety.
    pub paused: bool,
    /// What is done with foreign weights at rest.
    pub drift_policy: DriftPolicy,
    /// Who executes analyses and experiments.
    pub executor: Executor,
    /// What happens to traffic when the Cell is deleted.
    pub deletion_policy: DeletionPolicy,
    /// Finished rollouts that are remembered, and their runs that are kept.
    pub history_limit: usize,
}

impl Default for Spec {
    /// The defaults of 2.6.1, without an entry point.
    fn default() -> Self {
        Self {
            errors: Vec::new(),
            listener: None,
            replicas: 1,
            pin: None,
            steps: Steps::default(),
            background: None,
            approval: Approval::Automatic,
            drain_seconds: 300,
            supersede: Supersede::Restart,
            settle_seconds: 60,
            weight_total: WeightTotal::Hundred,
            sticky: StickyPolicy::Wait,
            progress_deadline_seconds: 600,
            progress_deadline_action: DeadlineAction::Report,
            pin_word: None,
            readiness: ReadinessGates::default(),
            retirement: RetirementGates::default(),
            paused: false,
            drift_policy: DriftPolicy::Report,
            executor: Executor::Okra,
            deletion_policy: DeletionPolicy::Retain,
            history_limit: 10,
        }
    }
}

/// Who asked for `spec.version`, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PinWord {
    /// Who.
    pub by: Option<String>,
    /// Why.
    pub why: Option<String>,
}

/// One reason why a spec cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct SpecError {
    /// Path of the field, such as `spec.replicas`.
    pub field: String,
    /// What is wrong with it, with value and limit.
    pub message: String,
}

/// The part of the load balancer config that comes from the Cell: listener,
/// priority, conditions, tags, stickiness. The planner copies and compares
/// it; only the fields beside `value` mean something to it.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenerPart {
    /// Spec of the config object without target groups, `overwrite` and
    /// `deletionPolicy`, normalised so that equal specs are equal values.
    pub value: Value,
    /// Duration of the group stickiness, where the rule has it.
    pub stickiness_seconds: Option<u64>,
}

/// The analysis that runs beside the steps. Its content is known to whoever
/// creates the run; the planner decides only when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackgroundAnalysis {
    /// Index of the step with which it starts.
    pub starting_step: usize,
    /// How long a run without end is watched after 100.
    pub bake_seconds: u64,
}

impl BackgroundAnalysis {
    /// `analysis.bakeSeconds` when absent (3.4.3).
    pub const BAKE_SECONDS_DEFAULT: u64 = 300;
}

/// When a canary target group may take weight (3.4.2-12, -14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadinessGates {
    /// Healthy targets that each needs; 0 is no gate.
    pub healthy_targets: u32,
    /// Percent of the mean of the stable groups that each needs.
    pub healthy_percent: u32,
    /// For how long both must hold.
    pub stabilize_seconds: u64,
    /// After how long with weight and without a healthy target it fails.
    pub unhealthy_seconds: u64,
    /// Workloads that must be ready in each canary cluster.
    pub workloads: Vec<WorkloadReference>,
}

impl Default for ReadinessGates {
    fn default() -> Self {
        Self {
            healthy_targets: 1,
            healthy_percent: 0,
            stabilize_seconds: 0,
            unhealthy_seconds: 30,
            workloads: Vec::new(),
        }
    }
}

/// A workload of a member cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkloadReference {
    /// Such as `Deployment`.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// When an old cluster counts as retired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetirementGates {
    /// Seconds without requests.
    pub quiet_seconds: u64,
    /// Whether jobs are named that must have finished.
    pub watches_jobs: bool,
}

impl Default for RetirementGates {
    fn default() -> Self {
        Self { quiet_seconds: 300, watches_jobs: false }
    }
}

words! {
    /// `canary.approval`.
    pub enum Approval("approval") {
        /// Steps go on by themselves.
        Automatic,
        /// Each raise waits for `Continue`.
        Manual,
    }
}

words! {
    /// `updateStrategy.supersede`.
    pub enum Supersede("supersede policy") {
        /// Begin anew with the newer version.
        Restart,
        /// Finish the running rollout first.
        Finish,
    }
}

words! {
    /// `updateStrategy.sticky`.
    pub enum StickyPolicy("sticky policy") {
        /// Drain at least as long as cookies live.
        Wait,
        /// Leave the action at once.
        Remove,
        /// Stay until no requests come.
        UntilQuiet,
    }
}

words! {
    /// `updateStrategy.progressDeadlineAction`.
    pub enum DeadlineAction("progress deadline action") {
        /// Say so.
        Report,
        /// Fail the rollout.
        Abort,
    }
}

words! {
    /// `spec.driftPolicy`.
    pub enum DriftPolicy("drift policy") {
        /// Leave foreign weights.
        Report,
        /// Restore after `Continue`.
        Restore,
        /// Restore at once.
        RestoreAutomatically,
    }
}

words! {
    /// `spec.executor`.
    pub enum Executor("executor") {
        /// okra's own analysis controller.
        Okra,
        /// An installed Argo Rollouts.
        ArgoRollouts,
    }
}

words! {
    /// `spec.deletionPolicy`.
    pub enum DeletionPolicy("deletion policy") {
        /// Traffic stays as it is.
        Retain,
        /// The rule goes with the object.
        Delete,
    }
}
