//! The recorded state of a run, in the shape of `AnalysisRun.status` (`spec/analysis.md` 1.4).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Phase;
use super::substitute::Redactor;

/// All that is known of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RunStatus {
    /// How far the run is.
    pub phase: Phase,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// End of the first look at the run; anchors initial delays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the phase became final.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// What stopped the run before all its metrics had ended by themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminated_by: Option<TerminatedBy>,
    /// Counts of metrics that decide.
    pub run_summary: RunSummary,
    /// Counts of metrics that run dry.
    #[serde(skip_serializing_if = "RunSummary::is_empty")]
    pub dry_run_summary: RunSummary,
    /// One entry per metric that has begun.
    pub metric_results: Vec<MetricResult>,
}

impl RunStatus {
    /// What is known of a metric.
    pub fn metric(&self, name: &str) -> Option<&MetricResult> {
        self.metric_results.iter().find(|result| result.name == name)
    }

    /// The phase in the word that people read: a run that was stopped says so, for nothing bad seen
    /// so far is no evidence of health (`spec/analysis.md` 2.8).
    pub fn phase_for_people(&self) -> &'static str {
        match (self.phase, self.terminated_by) {
            (Phase::Successful, Some(_)) => "Stopped",
            (phase, _) => phase.as_str(),
        }
    }
}

/// What stopped a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TerminatedBy {
    /// Somebody asked for it.
    User,
    /// The rollout that it watched came to its end.
    RolloutFinished,
    /// The rollout was aborted.
    Abort,
    /// Another metric of the run ended badly.
    SiblingFailed,
}

/// Counts of metrics, not of measurements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RunSummary {
    /// All.
    #[serde(skip_serializing_if = "is_zero")]
    pub count: u32,
    /// Ended well.
    #[serde(skip_serializing_if = "is_zero")]
    pub successful: u32,
    /// Ended badly.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed: u32,
    /// Ended without saying yes or no.
    #[serde(skip_serializing_if = "is_zero")]
    pub inconclusive: u32,
    /// Could not be measured.
    #[serde(skip_serializing_if = "is_zero")]
    pub error: u32,
}

impl RunSummary {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn add(&mut self, phase: Phase) {
        self.count += 1;
        match phase {
            Phase::Successful => self.successful += 1,
            Phase::Failed => self.failed += 1,
            Phase::Inconclusive => self.inconclusive += 1,
            Phase::Error => self.error += 1,
            Phase::New | Phase::Running | Phase::Pending => {}
        }
    }
}

/// All that is known of a metric.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MetricResult {
    /// Name of the metric.
    pub name: String,
    /// How far it is.
    pub phase: Phase,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Whether it runs dry.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Facts about the metric, such as the resolved query.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Counts of measurements.
    #[serde(flatten)]
    pub counters: Counters,
    /// The newest measurements, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub measurements: Vec<Measurement>,
}

/// Counts of measurements. They outlive the measurements, of which only the newest are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counters {
    /// All but errors.
    #[serde(skip_serializing_if = "is_zero")]
    pub count: u32,
    /// Passed.
    #[serde(skip_serializing_if = "is_zero")]
    pub successful: u32,
    /// Failed.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed: u32,
    /// Neither.
    #[serde(skip_serializing_if = "is_zero")]
    pub inconclusive: u32,
    /// Not taken.
    #[serde(skip_serializing_if = "is_zero")]
    pub error: u32,
    /// Not taken, since the last that was.
    #[serde(skip_serializing_if = "is_zero")]
    pub consecutive_error: u32,
    /// Passed, since the last that did not.
    #[serde(skip_serializing_if = "is_zero")]
    pub consecutive_success: u32,
}

impl Counters {
    /// The counts after one more finished measurement (`spec/analysis.md` 2.3).
    pub fn after(self, phase: Phase) -> Self {
        let mut next = self;
        match phase {
            Phase::Successful => {
                next.successful = next.successful.saturating_add(1);
                next.consecutive_success = next.consecutive_success.saturating_add(1);
            }
            Phase::Failed => next.failed = next.failed.saturating_add(1),
            Phase::Inconclusive => next.inconclusive = next.inconclusive.saturating_add(1),
            Phase::Error => {
                next.error = next.error.saturating_add(1);
                next.consecutive_error = next.consecutive_error.saturating_add(1);
                next.consecutive_success = 0;
                return next;
            }
            Phase::New | Phase::Running | Phase::Pending => return next,
        }
        next.count = next.count.saturating_add(1);
        next.consecutive_error = 0;
        if phase != Phase::Successful {
            next.consecutive_success = 0;
        }
        next
    }
}

/// One measurement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Measurement {
    /// Running, or how it ended.
    pub phase: Phase,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended; absent while a provider works in the background.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// When to ask such a provider again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume_at: Option<Timestamp>,
    /// The measured value as text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// What the provider noted.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl Measurement {
    /// Whether a provider still works on it.
    pub fn is_unfinished(&self) -> bool {
        self.finished_at.is_none()
    }

    /// The measurement without secrets, in every text that people read.
    #[must_use]
    pub fn redacted(mut self, redactor: &Redactor) -> Self {
        self.message = redactor.redact(&self.message);
        self.value = redactor.redact(&self.value);
        self.metadata.values_mut().for_each(|value| *value = redactor.redact(value));
        self
    }
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}
