//! What a Cell says about itself, and what the next plan remembers
//! (`spec/okra.md` 2.6.2). Absence of any field never fails or restarts a
//! rollout.

use jiff::Timestamp;

use super::commands::{CommandOutcome, Verb};
use crate::condition::{Condition, ConditionType};
use crate::phase::Phase;
use crate::reason::Reason;
use crate::rollout_id::RolloutId;
use crate::text::words;
use crate::version::{ServedVersion, Version};
use crate::weight::Weight;

/// `Cell.status`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// What state the Cell is in.
    pub phase: Option<Phase>,
    /// Why, as one word.
    pub reason: Option<Reason>,
    /// Why, as a sentence.
    pub message: String,
    /// When another field last changed.
    pub last_sync_time: Option<Timestamp>,
    /// Generation that was acted on.
    pub observed_generation: Option<i64>,
    /// The version that shall serve.
    pub desired_version: Option<ServedVersion>,
    /// The version of the last rollout that reached the end.
    pub stable_version: Option<ServedVersion>,
    /// Member clusters of the canary set, in bytewise order.
    pub clusters: Vec<String>,
    /// Index of the first step that is not done.
    pub current_step_index: Option<usize>,
    /// The running or the last rollout.
    pub rollout_id: Option<RolloutId>,
    /// Hash of the steps that the rollout follows; opaque.
    pub steps_hash: Option<String>,
    /// What is remembered of the running rollout; absent at rest.
    pub rollout: Option<RunningRollout>,
    /// Entries of the load balancer config, in bytewise order of name.
    pub weights: Vec<StatusWeight>,
    /// The newest command and what became of it.
    pub last_command: Option<CommandOutcome>,
    /// Ids of the newest commands, newest first.
    pub command_ids: Vec<String>,
    /// Standard conditions, in the order of [`ConditionType::ALL`].
    pub conditions: Vec<Condition>,
    /// Finished rollouts, newest first.
    pub history: Vec<HistoryEntry>,
}

impl Status {
    /// The condition of this type.
    pub fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// The recorded entry of this target group.
    pub(crate) fn weight_of(&self, arn: &str) -> Option<&StatusWeight> {
        self.weights.iter().find(|weight| !arn.is_empty() && weight.arn == arn)
    }
}

/// `status.rollout`: what a running rollout, rollback or fail-over remembers
/// beside the fields that the specification names. All of it may be absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningRollout {
    /// The version that is being rolled out.
    pub version: Version,
    /// The version that served before.
    pub from: Option<ServedVersion>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// Rollout, rollback or fail-over.
    pub kind: RolloutKind,
    /// Since when it waits for the load balancer, for health or for a slot.
    pub waiting_since: Option<Timestamp>,
    /// Since when all readiness gates hold.
    pub healthy_since: Option<Timestamp>,
    /// Since when it is held for a human.
    pub paused_since: Option<Timestamp>,
    /// Seconds that it was held before that.
    pub paused_seconds: u64,
    /// The step whose raise a human has approved.
    pub approved_step: Option<usize>,
    /// `Continue` was said to an inconclusive background analysis.
    pub background_passed: bool,
    /// `PromoteFull` was said: no pauses, analyses and settling any more.
    pub promoted_fully: bool,
    /// Steps whose wait a human ended, for the history.
    pub passed: Vec<PassedStep>,
}

/// A step whose wait a human ended (2.6.2b: "history says so").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedStep {
    /// Index of the step.
    pub step: usize,
    /// With which word.
    pub verb: Verb,
    /// Who.
    pub by: Option<String>,
}

impl RunningRollout {
    /// A rollout of which nothing is remembered but where it goes.
    pub fn new(kind: RolloutKind, version: Version, from: Option<ServedVersion>) -> Self {
        Self {
            version,
            from,
            started_at: None,
            kind,
            waiting_since: None,
            healthy_since: None,
            paused_since: None,
            paused_seconds: 0,
            approved_step: None,
            background_passed: false,
            promoted_fully: false,
            passed: Vec::new(),
        }
    }
}

words! {
    /// How traffic moves from one version to another.
    pub enum RolloutKind("rollout kind") {
        /// Step by step to a newer version.
        Rollout,
        /// A rollout whose weight is taken back: it ends here, and its version
        /// begins anew if it is wanted again.
        Withdrawal,
        /// At once to an older one.
        Rollback,
        /// At once, because the version that served is gone.
        FailOver,
    }
}

words! {
    /// Part of an entry in the present state.
    pub enum Role("role") {
        /// Of the stable version.
        Stable = "stable",
        /// Of the version being rolled out.
        Canary = "canary",
        /// On no side: it lost its weight, or never had any.
        Draining = "draining",
    }
}

/// `status.weights[]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusWeight {
    /// Name of the AWSTargetGroup, or the name in the config.
    pub name: String,
    /// ARN as the config has it.
    pub arn: String,
    /// Its version.
    pub version: Option<ServedVersion>,
    /// Its side.
    pub role: Option<Role>,
    /// Its weight.
    pub weight: Weight,
    /// When the weight fell to 0.
    pub since: Option<Timestamp>,
}

words! {
    /// How a rollout ended.
    pub enum Outcome("outcome") {
        /// It reached the end.
        Completed,
        /// It was judged bad.
        Failed,
        /// A human ended it.
        Aborted,
        /// A newer version took its place.
        Superseded,
        /// An older version was asked for.
        RolledBack,
        /// The version that served was gone.
        FailedOver,
    }
}

/// `status.history[]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Identity of the rollout.
    pub rollout_id: Option<RolloutId>,
    /// What served before.
    pub from: Option<ServedVersion>,
    /// What was to serve.
    pub to: Option<ServedVersion>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// How it ended; absent where an older record has a word unknown to us.
    pub outcome: Option<Outcome>,
    /// Who ended it, when a human did.
    pub by: Option<String>,
    /// Why, as one word.
    pub reason: Option<Reason>,
    /// Why, as a sentence.
    pub message: String,
    /// Seconds that it was held for a human.
    pub paused_seconds: u64,
    /// Its analyses.
    pub analyses: Vec<AnalysisVerdict>,
}

/// The verdict of one analysis, for the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnalysisVerdict {
    /// Name of the AnalysisRun.
    pub name: String,
    /// Its phase, or that a human passed over it.
    pub phase: String,
    /// Its last measured value.
    pub value: Option<String>,
}
