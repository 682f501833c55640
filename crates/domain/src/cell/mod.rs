//! The planner of one Cell (`spec/okra.md` 3.4.2).
//!
//! [`plan`] is a function of what was observed and of the time. It never
//! waits, reads or writes; what it decides is carried out by others, in the
//! order that [`Plan`] states.
//!
//! | where | what |
//! | --- | --- |
//! | `planner` | the order of the rules, import, invalid specs |
//! | `view`, `sides` | what was observed, in the terms of the rules |
//! | `desired` | which version shall serve (rules 3, 4) |
//! | `serve` | creation, rollback, fail-over, care at rest (5, 7 to 9) |
//! | `roll`, `walk`, `gates` | a rollout and its steps (10 to 13) |
//! | `failure`, `fail` | what ends it for safety (14) |
//! | `rest`, `retirement` | a Cell at rest |
//! | `weights`, `slots` | who gets how much, and who must leave |
//! | `commands`, `drift` | a human's word, and a stranger's |
//! | `draft`, `conditions`, `history` | the finished plan |

pub mod commands;
mod components;
mod conditions;
mod confirm;
mod desired;
mod draft;
mod drift;
mod fail;
mod failure;
mod gates;
mod history;
pub mod observed;
pub mod plan;
mod planner;
mod rest;
mod retirement;
mod roll;
mod running;
mod serve;
mod sides;
mod slots;
pub mod spec;
pub mod status;
pub mod steps;
mod view;
mod walk;
mod weights;

#[cfg(test)]
mod tests;

pub use commands::{Command, CommandObservation, CommandOutcome, Verb};
pub use observed::{
    BlockedVersion, CellIdentity, Component, ComponentKind, ComponentPhase, Config, ConfigEntry, ConfigPhase,
    ConfigStatus, Drift, LiveRule, Observed, Overwrite, Ownership, ReportedTargetGroup,
    RetirementObservation, StepReference, TargetGroup, VersionIssue, Workload,
};
pub use plan::{
    Block, ComponentName, ConfigWrite, Explanation, NewComponent, NewComponentBody, Plan, PlannedEntry,
    explain,
};
pub use planner::plan;
pub use slots::SLOTS;
pub use spec::{
    Approval, BackgroundAnalysis, DeadlineAction, DeletionPolicy, DriftPolicy, Executor, ListenerPart,
    PinWord, ReadinessGates, RetirementGates, Spec, SpecError, StickyPolicy, Supersede, WorkloadReference,
};
pub use status::{
    AnalysisVerdict, HistoryEntry, Outcome, PassedStep, Role, RolloutKind, RunningRollout, Status,
    StatusWeight,
};
pub use steps::{Step, Steps, WeightMode};
