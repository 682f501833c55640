//! The planner of one Cell (`spec/okra.md` 3.4.2).
//!
//! [`plan`] is a function of what was observed and of the time. It never
//! waits, reads or writes; what it decides is carried out by others, in the
//! order that [`Plan`] states.

pub mod commands;
pub mod observed;
pub mod plan;
pub mod spec;
pub mod status;
pub mod steps;

pub use commands::{Command, CommandObservation, CommandOutcome, Verb};
pub use observed::{
    BlockedVersion, CellIdentity, Component, ComponentKind, ComponentPhase, Config, ConfigEntry, ConfigPhase,
    ConfigStatus, Drift, LiveRule, Observed, Overwrite, Ownership, ReportedTargetGroup,
    RetirementObservation, StepReference, TargetGroup, VersionIssue, Workload,
};
pub use plan::{
    Block, ComponentName, ConfigWrite, Explanation, NewComponent, NewComponentBody, Plan, PlannedEntry,
};
pub use spec::{
    Approval, BackgroundAnalysis, DeadlineAction, DeletionPolicy, DriftPolicy, Executor, ListenerPart,
    ReadinessGates, RetirementGates, Spec, SpecError, StickyPolicy, Supersede, WorkloadReference,
};
pub use status::{
    AnalysisVerdict, HistoryEntry, Outcome, Role, RolloutKind, RunningRollout, Status, StatusWeight,
};
pub use steps::{Step, Steps, WeightMode};
