//! A run played on virtual time: what would have happened with these values.
//!
//! The same scheduling and judgement as in a real run, with the values handed in. Hours pass in
//! microseconds, so a template can be tried on last week's incident before it guards a rollout.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::status::{Measurement, RunStatus};
use super::{Metric, Phase, Run, plan, record};

/// Measurements that one simulation takes at most: an endless metric of 1 s over eleven days.
const MEASUREMENTS_MAX: usize = 1_000_000;

/// What the measurement of a metric came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Played {
    /// Successful, Failed, Inconclusive or Error.
    pub phase: Phase,
    /// Why.
    pub message: String,
    /// The measured value as text.
    pub value: String,
    /// Metadata of the measurement.
    pub metadata: BTreeMap<String, String>,
    /// Facts about the metric, such as the evidence of a comparison.
    pub facts: BTreeMap<String, String>,
    /// How long the query took.
    pub took: SignedDuration,
}

/// When a simulated run begins, and when it is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Script {
    /// Time of the first look.
    pub start: Timestamp,
    /// When somebody asks it to stop, as a rollout does at its end.
    pub terminate_at: Option<Timestamp>,
}

/// One measurement of a simulated run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlayedMeasurement {
    /// Name of the metric.
    pub metric: String,
    /// When it was begun.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// What it came to.
    pub phase: Phase,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The measured value as text.
    pub value: String,
}

/// A change of phase, of a metric or of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PhaseChange {
    /// When.
    pub at: Timestamp,
    /// Which metric; absent for the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// What it is now.
    pub phase: Phase,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// Why a simulation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Ending {
    /// The run came to its end.
    Completed,
    /// The values were used up before.
    OutOfValues,
    /// More measurements than a simulation takes.
    TooLong,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Simulation {
    /// Why it ended.
    pub ending: Ending,
    /// Phases in order of time.
    pub phases: Vec<PhaseChange>,
    /// Measurements in the order in which they ended.
    pub measurements: Vec<PlayedMeasurement>,
    /// The status as it would be stored.
    pub status: RunStatus,
}

/// Plays a run. `measure` gives what the next measurement of a metric comes to, at this time and in
/// this state; `None` when no value is left for it.
pub fn simulate(
    run: &Run,
    script: Script,
    measure: impl FnMut(&Metric, Timestamp, &RunStatus) -> Option<Played>,
) -> Simulation {
    let simulation = Simulation {
        ending: Ending::Completed,
        phases: Vec::new(),
        measurements: Vec::new(),
        status: RunStatus::default(),
    };
    let stage = Stage { run: run.clone(), now: script.start, under_way: BTreeMap::new(), simulation };
    stage.play(script.terminate_at, measure)
}

struct Stage {
    run: Run,
    now: Timestamp,
    /// Measurements that have begun, by the time of their end and their metric.
    under_way: BTreeMap<(Timestamp, String), (Timestamp, Played)>,
    simulation: Simulation,
}

impl Stage {
    fn play(
        mut self,
        terminate_at: Option<Timestamp>,
        mut measure: impl FnMut(&Metric, Timestamp, &RunStatus) -> Option<Played>,
    ) -> Simulation {
        loop {
            self.run.terminate |= terminate_at.is_some_and(|at| at <= self.now);
            self.enter_finished();
            let next = plan(&self.run, &self.simulation.status, self.now);
            self.settle(next.status);
            if self.simulation.status.phase.is_terminal() {
                return self.ended(Ending::Completed);
            }
            for metric in next.measure {
                self.begin(&metric, &mut measure);
            }
            if self.simulation.measurements.len() >= MEASUREMENTS_MAX {
                return self.ended(Ending::TooLong);
            }
            let finish = self.under_way.keys().next().map(|(finish, _)| *finish);
            let stop = terminate_at.filter(|at| *at > self.now);
            match [finish, next.wake_at, stop].into_iter().flatten().min() {
                Some(then) => self.now = then.max(self.now),
                None => return self.ended(Ending::OutOfValues),
            }
        }
    }

    fn begin(
        &mut self,
        name: &str,
        measure: &mut impl FnMut(&Metric, Timestamp, &RunStatus) -> Option<Played>,
    ) {
        let is_under_way = self.under_way.keys().any(|(_, metric)| metric == name);
        let Some(metric) = self.run.metric(name).filter(|_| !is_under_way) else { return };
        let Some(played) = measure(metric, self.now, &self.simulation.status) else { return };
        let took = played.took.max(SignedDuration::ZERO);
        let finish = self.now.saturating_add(took).unwrap_or(Timestamp::MAX);
        self.under_way.insert((finish, name.to_owned()), (self.now, played));
    }

    /// Enters what has ended by now, in order of time, each followed by a plan as in a real run.
    fn enter_finished(&mut self) {
        while let Some(entry) = self.under_way.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let ((finished_at, metric), (started_at, played)) = entry.remove_entry();
            let measurement = Measurement {
                phase: played.phase,
                message: played.message.clone(),
                started_at: Some(started_at),
                finished_at: Some(finished_at),
                value: played.value.clone(),
                metadata: played.metadata,
                ..Measurement::default()
            };
            let entered = record(&self.run, &self.simulation.status, &metric, measurement, &played.facts);
            self.simulation.measurements.push(PlayedMeasurement {
                metric,
                started_at,
                finished_at,
                phase: played.phase,
                message: played.message,
                value: played.value,
            });
            self.settle(entered);
        }
    }

    /// Takes a status over and notes which phases it changes.
    fn settle(&mut self, status: RunStatus) {
        let before = &self.simulation.status;
        let mut changes = Vec::new();
        for result in &status.metric_results {
            let was = before.metric(&result.name).map_or(Phase::New, |result| result.phase);
            if was != result.phase {
                changes.push(PhaseChange {
                    at: self.now,
                    metric: Some(result.name.clone()),
                    phase: result.phase,
                    message: result.message.clone(),
                });
            }
        }
        if before.phase != status.phase {
            changes.push(PhaseChange {
                at: self.now,
                metric: None,
                phase: status.phase,
                message: status.message.clone(),
            });
        }
        self.simulation.phases.append(&mut changes);
        self.simulation.status = status;
    }

    fn ended(mut self, ending: Ending) -> Simulation {
        self.simulation.ending = ending;
        self.simulation
    }
}
