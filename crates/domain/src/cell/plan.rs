//! What shall happen next: the output of the planner. No choice is left open.

use jiff::Timestamp;

use super::observed::{ComponentKind, Overwrite, StepReference};
use super::spec::{DeletionPolicy, ListenerPart};
use super::status::{Role, Status};
use crate::phase::Phase;
use crate::reason::Reason;
use crate::rollout_id::RolloutId;
use crate::version::{ServedVersion, Version};
use crate::weight::Weight;

/// What shall happen next. It is carried out in this order, and given up at
/// the first write that is refused; the next plan then starts from what is:
///
/// 1. `unblock`: items leave the VersionBlocklist;
/// 2. `status`, if `status_first` (a new rollout id must be known before
///    anything bears it);
/// 3. `config`;
/// 4. `create`, `terminate`, `delete`, `retire`;
/// 5. `block`: items enter the VersionBlocklist;
/// 6. `status`, if not `status_first`.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The target groups that the config shall hold, in bytewise order of name.
    pub entries: Vec<PlannedEntry>,
    /// The config write, if one is needed.
    pub config: Option<ConfigWrite>,
    /// Components to create.
    pub create: Vec<NewComponent>,
    /// Runs and experiments to end: `spec.terminate: true`.
    pub terminate: Vec<ComponentName>,
    /// Components to delete.
    pub delete: Vec<ComponentName>,
    /// Versions to put on the blocklist.
    pub block: Vec<Block>,
    /// Versions to take off the blocklist.
    pub unblock: Vec<Version>,
    /// Member clusters whose secret gets the annotation `okra.mumo.co/retired`.
    pub retire: Vec<String>,
    /// The whole new status, conditions included.
    pub status: Status,
    /// Whether the status is written before everything else.
    pub status_first: bool,
    /// Why it is so, the most important first. Empty at rest.
    pub reasons: Vec<Explanation>,
    /// What a human should look at, although it holds nothing up.
    pub warnings: Vec<String>,
    /// When to plan again although nothing changed.
    pub wake_at: Option<Timestamp>,
    /// Whether the plan begins a rollout or raises a canary, and must
    /// therefore be made again from uncached reads before it is carried out.
    pub needs_fresh_view: bool,
}

impl Plan {
    /// The phase that the plan leads to.
    pub fn phase(&self) -> Phase {
        self.status.phase.expect("every plan sets a phase")
    }

    /// Whether carrying it out writes anything, given the status that was observed.
    pub fn is_idle(&self, recorded: &Status) -> bool {
        self.config.is_none()
            && self.create.is_empty()
            && self.terminate.is_empty()
            && self.delete.is_empty()
            && self.block.is_empty()
            && self.unblock.is_empty()
            && self.retire.is_empty()
            && self.status == *recorded
    }
}

/// One target group that the config shall hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedEntry {
    /// Name of its AWSTargetGroup, else the name it has in the config.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its version.
    pub version: ServedVersion,
    /// Its side.
    pub role: Role,
    /// Its weight.
    pub weight: Weight,
}

/// The whole spec that the config shall have.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigWrite {
    /// Whether the object does not exist yet.
    pub create: bool,
    /// Whether it gets the Cell's owner reference.
    pub take_ownership: bool,
    /// Listener, priority, conditions.
    pub listener: ListenerPart,
    /// Target groups, in bytewise order of name.
    pub entries: Vec<PlannedEntry>,
    /// What may be overwritten on AWS.
    pub overwrite: Option<Overwrite>,
    /// What happens to the rule with the object.
    pub deletion_policy: DeletionPolicy,
}

/// A component to create, owned by the Cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewComponent {
    /// Its name: made from Cell, rollout and step.
    pub name: String,
    /// The rollout it belongs to.
    pub rollout_id: RolloutId,
    /// The step it belongs to. The content of an analysis or experiment is
    /// that of the step (or of `canary.analysis`) in the Cell's spec.
    pub step: StepReference,
    /// What it is.
    pub body: NewComponentBody,
}

impl NewComponent {
    /// Its kind.
    pub fn kind(&self) -> ComponentKind {
        match self.body {
            NewComponentBody::Pause { .. } => ComponentKind::Pause,
            NewComponentBody::AnalysisRun => ComponentKind::AnalysisRun,
            NewComponentBody::Experiment => ComponentKind::Experiment,
        }
    }
}

/// What a new component is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewComponentBody {
    /// A wait.
    Pause {
        /// When it is over; `None` waits for a human.
        expires_at: Option<Timestamp>,
    },
    /// A judgement; the background run where the step says `bg`.
    AnalysisRun,
    /// A trial beside the traffic.
    Experiment,
}

/// Names a component.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ComponentName {
    /// Its kind.
    pub kind: ComponentKind,
    /// Its name.
    pub name: String,
}

/// A version to put on the blocklist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The version.
    pub version: Version,
    /// What ended it.
    pub cause: Reason,
    /// The component that judged it.
    pub component: Option<String>,
    /// What it said.
    pub message: String,
}

/// Why something is so, for people: one sentence with value and limit, and
/// what happens next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// As one word.
    pub reason: Reason,
    /// As a sentence.
    pub message: String,
    /// What happens next, and when; empty where nothing does.
    pub next: String,
}

impl std::fmt::Display for Explanation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)?;
        if self.next.is_empty() { Ok(()) } else { write!(f, "; {}", self.next) }
    }
}

/// What `okra why` prints: every reason of the plan, or that there is nothing to do.
pub fn explain(plan: &Plan) -> Vec<String> {
    let mut lines: Vec<String> = plan.reasons.iter().map(ToString::to_string).collect();
    if lines.is_empty() {
        lines.push(plan.status.message.clone());
    }
    lines.extend(plan.warnings.iter().map(|warning| format!("warning: {warning}")));
    lines.extend(plan.wake_at.map(|at| format!("planned again at {at}, or when something changes")));
    lines
}
