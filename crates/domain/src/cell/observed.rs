//! What was seen of one Cell and its surroundings: the input of the planner.

use jiff::Timestamp;

use super::commands::CommandObservation;
use super::spec::{DeletionPolicy, ListenerPart, Spec, WorkloadReference};
use super::status::Status;
use crate::arn::{ArnError, TargetGroupArn};
use crate::rollout_id::RolloutId;
use crate::text::words;
use crate::version::Version;
use crate::weight::Weight;

/// Everything that a plan depends on, besides the time. Lists may come in
/// any order; the plan does not depend on it.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Which Cell.
    pub cell: CellIdentity,
    /// What it asks for.
    pub spec: Spec,
    /// What it said last.
    pub status: Status,
    /// Every AWSTargetGroup of the namespace, selected or not.
    pub target_groups: Vec<TargetGroup>,
    /// The load balancer config that bears the Cell's name.
    pub config: Option<Config>,
    /// The rule on AWS, read only while there is no config with target groups.
    pub live_rule: Option<LiveRule>,
    /// Items of the VersionBlocklist.
    pub blocklist: Vec<BlockedVersion>,
    /// Pauses, analysis runs and experiments that belong to this Cell.
    pub components: Vec<Component>,
    /// Workloads named by the readiness gates, in the canary clusters.
    pub workloads: Vec<Workload>,
    /// The annotation `okra.mumo.co/command`.
    pub command: Option<CommandObservation>,
    /// Kinds that are not yet listed or cannot be listed, with the cause.
    pub incomplete: Vec<String>,
}

/// Which Cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellIdentity {
    /// Its namespace.
    pub namespace: String,
    /// Its name, also that of its config and blocklist.
    pub name: String,
    /// Its UID; components must be owned by it.
    pub uid: String,
    /// Generation of its spec.
    pub generation: i64,
    /// Whether its deletion was requested.
    pub deleting: bool,
}

/// One AWSTargetGroup.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetGroup {
    /// Its name.
    pub name: String,
    /// Its ARN, or why it has none.
    pub arn: Result<TargetGroupArn, ArnError>,
    /// Its version, or why it has none.
    pub version: Result<Version, VersionIssue>,
    /// Whether the Cell's selector matches it.
    pub selected: bool,
    /// Whether it counts as gone: deletion requested, or its cluster is going.
    pub deleting: bool,
    /// `metadata.creationTimestamp`.
    pub created_at: Option<Timestamp>,
    /// `status.healthyTargets`.
    pub healthy_targets: Option<u32>,
    /// `status.registeredTargets`.
    pub registered_targets: Option<u32>,
    /// The member cluster, where known.
    pub cluster: Option<String>,
    /// What is known about its retirement; absent while not asked for.
    pub retirement: Option<RetirementObservation>,
}

/// Why an AWSTargetGroup has no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionIssue {
    /// None of the version labels is set.
    #[error("none of the version labels {0} is set")]
    Missing(String),
    /// The label's value is no version.
    #[error("label {label} is no version")]
    Unreadable {
        /// Key of the label.
        label: String,
        /// Why.
        #[source]
        source: crate::version::VersionError,
    },
}

/// What is known about a target group that holds no weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetirementObservation {
    /// Since when no request came.
    pub quiet_since: Option<Timestamp>,
    /// Jobs and Pods that match the gates and are not finished; `None` = unknown.
    pub unfinished_jobs: Option<u32>,
    /// What people should know of them: which hold the cluster, which failed.
    pub notes: Vec<String>,
    /// Whether another Cell gives it weight.
    pub weight_elsewhere: bool,
    /// Whether its cluster is already marked.
    pub marked: bool,
}

/// The load balancer config.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Whose it is.
    pub ownership: Ownership,
    /// `metadata.generation`.
    pub generation: i64,
    /// Listener, priority, conditions as they are now.
    pub listener: ListenerPart,
    /// Its target groups.
    pub entries: Vec<ConfigEntry>,
    /// What it may overwrite on AWS.
    pub overwrite: Option<Overwrite>,
    /// Its deletion policy.
    pub deletion_policy: DeletionPolicy,
    /// What its controller said.
    pub status: ConfigStatus,
}

words! {
    /// Whose a load balancer config is (3.4.2-5).
    pub enum Ownership("ownership") {
        /// It has the Cell's owner reference.
        Owned,
        /// It has not, but says `okra.mumo.co/adopt: "true"`.
        Adoptable,
        /// Somebody else's.
        Foreign,
    }
}

/// One target group of the config or of the live rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Any name.
    pub name: String,
    /// ARN as it stands there; may be empty or no ARN at all.
    pub arn: String,
    /// Its weight.
    pub weight: Weight,
}

/// `spec.overwrite` of the config (2.6.2b).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// Whatever was found.
    Always,
    /// The drift with this id.
    Drift(String),
}

/// `status` of the config.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConfigStatus {
    /// Where its controller stands.
    pub phase: Option<ConfigPhase>,
    /// Why, as its controller wrote it.
    pub reason: String,
    /// Why, as a sentence.
    pub message: String,
    /// Generation that its controller acted on.
    pub observed_generation: Option<i64>,
    /// What AWS reported back.
    pub target_groups: Vec<ReportedTargetGroup>,
    /// When AWS first showed these weights.
    pub weights_since: Option<Timestamp>,
    /// What was found in place of what was written.
    pub drift: Option<Drift>,
}

words! {
    /// `status.phase` of a load balancer config.
    pub enum ConfigPhase("config phase") {
        /// Just made on AWS, not yet read back.
        Created,
        /// A write is under way.
        Updating,
        /// AWS shows what the spec says.
        Updated,
        /// It cannot be carried out.
        Error,
    }
}

/// One target group as AWS reported it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedTargetGroup {
    /// Its ARN.
    pub arn: String,
    /// Its weight on AWS.
    pub weight: Weight,
    /// Healthy targets.
    pub healthy_targets: Option<u32>,
    /// Since when none is healthy.
    pub unhealthy_since: Option<Timestamp>,
}

/// Weights on AWS that okra did not write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// Hash of what was found.
    pub id: String,
    /// When it was first seen.
    pub seen_at: Option<Timestamp>,
    /// What was found.
    pub target_groups: Vec<ConfigEntry>,
}

/// The rule on AWS, before okra has a config for it.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveRule {
    /// What it forwards to; empty where it does something else.
    pub entries: Vec<ConfigEntry>,
}

/// One item of the VersionBlocklist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockedVersion {
    /// The version; items that are no version block nothing.
    pub version: Version,
    /// Why.
    pub cause: String,
}

words! {
    /// Kind of a component.
    pub enum ComponentKind("component kind") {
        /// A wait.
        Pause,
        /// A judgement.
        AnalysisRun,
        /// A trial beside the traffic.
        Experiment,
    }
}

/// Which step a component belongs to: label `okra.mumo.co/step-index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepReference {
    /// `bg`: the analysis beside the steps.
    Background,
    /// The step with this index.
    Index(usize),
}

impl std::fmt::Display for StepReference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Background => f.pad("bg"),
            Self::Index(index) => index.fmt(f),
        }
    }
}

impl std::str::FromStr for StepReference {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "bg" { Ok(Self::Background) } else { text.parse().map(Self::Index) }
    }
}

/// A Pause, AnalysisRun or Experiment.
///
/// What cannot be created (a missing template, metrics that do not merge) is
/// handed in as a component with phase [`ComponentPhase::Error`] and the
/// cause as message: such a failure ends the rollout attempt (3.4.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// Its kind.
    pub kind: ComponentKind,
    /// Its name.
    pub name: String,
    /// UID of the Cell that controls it; others are ignored.
    pub owner_uid: Option<String>,
    /// The rollout it belongs to; the Go program wrote none.
    pub rollout_id: Option<RolloutId>,
    /// The step it belongs to.
    pub step: Option<StepReference>,
    /// Deletion was requested: it counts as gone.
    pub deleting: bool,
    /// Where it stands.
    pub phase: ComponentPhase,
    /// Why.
    pub message: String,
    /// Its last measured value, for the history.
    pub value: Option<String>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// Of a Pause: when it is over. `None` waits for a human if `indefinite`,
    /// and is over at once otherwise, as in the Go program.
    pub expires_at: Option<Timestamp>,
    /// Of a Pause: it waits for a human.
    pub indefinite: bool,
    /// Of an AnalysisRun: it has no end of its own.
    pub endless: bool,
    /// `spec.terminate` is already set.
    pub terminating: bool,
}

words! {
    /// Phase of a component.
    pub enum ComponentPhase("component phase") {
        /// Not begun, or an unknown word.
        Pending,
        /// Under way; of a Pause: `Started`.
        Running,
        /// Good.
        Successful,
        /// Bad.
        Failed,
        /// Could not be judged.
        Error,
        /// No verdict.
        Inconclusive,
        /// Of a Pause: its time is over.
        Expired,
        /// Of a Pause: a human ended it.
        Cancelled,
    }
}

impl ComponentPhase {
    /// Whether nothing more will happen.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

/// Readiness of one workload in one member cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// The member cluster.
    pub cluster: String,
    /// Which workload.
    pub workload: WorkloadReference,
    /// Whether it is ready.
    pub ready: bool,
    /// Why not.
    pub message: String,
}
