//! Experiments: sets of pods and analyses that run together for a while
//! (`spec/analysis.md` 1.12).
//!
//! ```text
//!  Pending ──all sets available──> Running ──duration, verdict or word──> ended ──delay──> scaled to 0
//! ```
//!
//! As everywhere in the domain: spec, status and what was seen go in, a plan comes out, and what is
//! needed to go on lies in the status.

mod plan;
mod spec;
#[cfg(test)]
mod tests;

pub use plan::{ExperimentPlan, plan};
pub use spec::{
    Analysis, ExperimentSpec, ExperimentStatus, Observed, PodSet, RunSeen, SetPhase, SetStatus, Template,
};
