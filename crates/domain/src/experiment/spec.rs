//! What goes into a plan.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::analysis::Phase;
use crate::text::words;

/// An experiment as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExperimentSpec {
    /// One set of pods each.
    pub templates: Vec<Template>,
    /// One AnalysisRun each.
    pub analyses: Vec<Analysis>,
    /// Life after everything became available; `None` lasts until analyses or somebody end it.
    pub duration: Option<SignedDuration>,
    /// Time for a set to become available.
    pub progress_deadline: SignedDuration,
    /// Time after the end before the pods go.
    pub scale_down_delay: SignedDuration,
    /// Whether it shall stop.
    pub terminate: bool,
}

/// A set of pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Unique in the experiment.
    pub name: String,
    /// Pods to run.
    pub replicas: u32,
}

/// An analysis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analysis {
    /// Unique in the experiment.
    pub name: String,
    /// Whether the experiment is complete with it, and not before.
    pub required: bool,
}

/// What was seen, by names of the spec.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Sets of pods that are there.
    pub sets: BTreeMap<String, PodSet>,
    /// Runs that are there.
    pub runs: BTreeMap<String, RunSeen>,
}

/// A set of pods that is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PodSet {
    /// Pods it shall have.
    pub replicas: u32,
    /// Pods it has.
    pub current: u32,
    /// Pods that are ready.
    pub ready: u32,
    /// Pods that have been ready for long enough.
    pub available: u32,
}

/// A run that is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunSeen {
    /// How far it is.
    pub phase: Phase,
    /// Why.
    pub message: String,
    /// Whether it was told to stop.
    pub terminating: bool,
}

words! {
    /// How far a set of pods is.
    pub enum SetPhase("phase of a set") {
        /// Not all pods are available yet.
        Progressing,
        /// All are.
        Running,
        /// It did what it was for.
        Successful,
        /// It was not available in time.
        Failed,
    }
}

/// What is known of a set of pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetStatus {
    /// How far it is.
    pub phase: SetPhase,
    /// Why.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
}

/// All that is known of an experiment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExperimentStatus {
    /// How far it is.
    pub phase: Phase,
    /// Why.
    pub message: String,
    /// When all sets were available.
    pub available_at: Option<Timestamp>,
    /// When the phase became final.
    pub completed_at: Option<Timestamp>,
    /// By name of the template.
    pub sets: BTreeMap<String, SetStatus>,
}
