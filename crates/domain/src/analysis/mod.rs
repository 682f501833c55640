//! Judging measurements: when to measure, what a measurement means, how a run ends
//! (`spec/analysis.md` 1.4 to 2.9).
//!
//! ```text
//!  template metrics ──substitute──> MetricSpec ──Run::new (validation)──> Run
//!  Run + RunStatus + now ──plan──> what to measure, new status, when to wake
//!  condition outcomes ──judge──> phase of a measurement ──record──> RunStatus
//! ```
//!
//! A metric is judged by its conditions, or by [`comparison`] with stable. [`simulate()`] plays all of
//! it on virtual time.
//!
//! Everything a run needs to go on lies in its status, so a controller may die between any two
//! steps: at worst a measurement is taken again. What this module never does: read a clock, ask a
//! provider, evaluate a condition (the caller hands its outcome in), or know a secret beyond the
//! moment of substitution.

mod assess;
pub mod comparison;
mod duration;
mod judge;
mod lifetime;
mod metric;
mod phase;
mod plan;
mod record;
mod run;
mod simulate;
mod status;
pub mod substitute;

#[cfg(test)]
mod tests;

pub use assess::Assessment;
pub use duration::{InvalidDuration, parse_duration};
pub use judge::{Condition, Judgement, judge, judge_no_data};
pub use lifetime::TtlStrategy;
pub use metric::{Consequence, InvalidMetric, MetricSpec, NoData};
pub use phase::Phase;
pub use plan::{AnalysisPlan, plan};
pub use record::{record, record_terminated};
pub use run::{InvalidRun, Metric, Retention, Run, RunSpec};
pub use simulate::{Ending, PhaseChange, Played, PlayedMeasurement, Script, Simulation, simulate};
pub use status::{Counters, Measurement, MetricResult, RunStatus, RunSummary, TerminatedBy};
