//! What all windows of a run add up to.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::proportion::TOTAL_MAX;
use super::spec::ComparisonKind;
use super::{MeanArm, ProportionArm};
use crate::analysis::{MetricResult, RunStatus};

/// Values of one window and side.
const WINDOW_SAMPLES_MAX: usize = 1_000_000;

/// Greatest absolute value: its square is still far from infinite.
const VALUE_MAX: f64 = 1e150;

/// What one query gave for one window.
#[derive(Debug, Clone, PartialEq)]
pub enum Window {
    /// Events of a total.
    Proportion {
        /// How many were events.
        events: f64,
        /// How many there were.
        total: f64,
    },
    /// Single values.
    Samples(Vec<f64>),
}

/// A window that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidWindow {
    /// Not what the kind of comparison asks for.
    #[error("a {kind} needs {expected}, got {got}")]
    Shape {
        /// The kind of comparison.
        kind: ComparisonKind,
        /// What it needs.
        expected: &'static str,
        /// What came.
        got: String,
    },
    /// NaN, an infinity, or a number beyond reason.
    #[error("{0} is not a number that can be compared")]
    Number(String),
    /// More values than one window may have.
    #[error("{0} samples in one window; the limit is {WINDOW_SAMPLES_MAX}")]
    TooMany(usize),
}

impl Window {
    /// Reads what a query gave: `[events, total]`, or a list of values. JSON has no NaN: a null or
    /// a text in place of a number is refused like one.
    ///
    /// # Errors
    ///
    /// If the shape is another or a number cannot be used.
    pub fn from_json(kind: ComparisonKind, json: &Value) -> Result<Self, InvalidWindow> {
        let shown = || json.to_string().chars().take(64).collect::<String>();
        let number = |value: &Value| value.as_f64().ok_or_else(|| InvalidWindow::Number(value.to_string()));
        let Value::Array(items) = json else {
            return Err(InvalidWindow::Shape { kind, expected: "a list of numbers", got: shown() });
        };
        if items.len() > WINDOW_SAMPLES_MAX {
            return Err(InvalidWindow::TooMany(items.len()));
        }
        let numbers = items.iter().map(number).collect::<Result<Vec<f64>, _>>()?;
        Self::from_numbers(kind, numbers)
    }

    /// The same from numbers.
    ///
    /// # Errors
    ///
    /// As [`Window::from_json`].
    pub fn from_numbers(kind: ComparisonKind, numbers: Vec<f64>) -> Result<Self, InvalidWindow> {
        let unusable = |number: &&f64| !number.is_finite() || number.abs() > VALUE_MAX;
        if let Some(number) = numbers.iter().find(unusable) {
            return Err(InvalidWindow::Number(number.to_string()));
        }
        match (kind, numbers.as_slice()) {
            (ComparisonKind::Proportion, &[events, total]) if (0.0..=total).contains(&events) => {
                return Ok(Self::Proportion { events, total });
            }
            (ComparisonKind::Proportion, _) => {
                return Err(InvalidWindow::Shape {
                    kind,
                    expected: "[events, total] with 0 <= events <= total",
                    got: format!("{numbers:?}").chars().take(64).collect(),
                });
            }
            (ComparisonKind::Mean, values) if values.len() > WINDOW_SAMPLES_MAX => {
                return Err(InvalidWindow::TooMany(values.len()));
            }
            (ComparisonKind::Mean, _) => {}
        }
        Ok(Self::Samples(numbers))
    }
}

/// Both sides of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Sides {
    /// Events of totals.
    Proportion {
        /// What the canary did.
        canary: ProportionArm,
        /// What stable did.
        baseline: ProportionArm,
    },
    /// Single values.
    Mean {
        /// What the canary did.
        canary: MeanArm,
        /// What stable did.
        baseline: MeanArm,
    },
}

/// All windows of a run so far. It is a fact of the metric, so that it is written together with the
/// measurement that brought its last window: after a crash neither is there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The sums.
    #[serde(flatten)]
    pub sides: Sides,
    /// End of the last window, where the next one begins.
    pub until: Timestamp,
}

impl Evidence {
    /// Key of the metric's metadata under which the evidence stands.
    pub const FACT: &'static str = "okra.mumo.co/comparison";

    /// Nothing so far.
    pub fn none(kind: ComparisonKind, since: Timestamp) -> Self {
        let sides = match kind {
            ComparisonKind::Proportion => {
                Sides::Proportion { canary: ProportionArm::default(), baseline: ProportionArm::default() }
            }
            ComparisonKind::Mean => Sides::Mean { canary: MeanArm::default(), baseline: MeanArm::default() },
        };
        Self { sides, until: since }
    }

    /// What a metric's result holds. Another kind, or a text that cannot be read, counts as nothing:
    /// the comparison then begins anew from `since`.
    pub fn of(result: Option<&MetricResult>, kind: ComparisonKind, since: Timestamp) -> Self {
        let recorded = result.and_then(|result| result.metadata.get(Self::FACT));
        let read: Option<Self> = recorded.and_then(|text| serde_json::from_str(text).ok());
        read.filter(|read| read.kind() == kind).unwrap_or_else(|| Self::none(kind, since))
    }

    /// What it counts.
    pub fn kind(&self) -> ComparisonKind {
        match self.sides {
            Sides::Proportion { .. } => ComparisonKind::Proportion,
            Sides::Mean { .. } => ComparisonKind::Mean,
        }
    }

    /// The evidence with the windows of both sides, which end at `until`.
    ///
    /// # Errors
    ///
    /// If a window is of another kind, or the sums grow beyond what can be counted.
    pub fn with(
        mut self,
        canary: &Window,
        baseline: &Window,
        until: Timestamp,
    ) -> Result<Self, InvalidWindow> {
        let kind = self.kind();
        let other_kind =
            || InvalidWindow::Shape { kind, expected: "windows of its kind", got: "another kind".to_owned() };
        match &mut self.sides {
            Sides::Proportion { canary: own, baseline: other } => {
                for (arm, window) in [(own, canary), (other, baseline)] {
                    let Window::Proportion { events, total } = window else { return Err(other_kind()) };
                    arm.events += events;
                    arm.total += total;
                    if arm.total > TOTAL_MAX {
                        return Err(InvalidWindow::Number(arm.total.to_string()));
                    }
                }
            }
            Sides::Mean { canary: own, baseline: other } => {
                for (arm, window) in [(own, canary), (other, baseline)] {
                    let Window::Samples(values) = window else { return Err(other_kind()) };
                    values.iter().for_each(|value| arm.add(*value));
                }
            }
        }
        self.until = until;
        Ok(self)
    }

    /// Samples of the canary and of stable.
    pub fn samples(&self) -> (f64, f64) {
        match &self.sides {
            Sides::Proportion { canary, baseline } => (canary.total, baseline.total),
            Sides::Mean { canary, baseline } => (canary.count, baseline.count),
        }
    }

    /// The fact to record with the measurement.
    pub fn fact(&self) -> BTreeMap<String, String> {
        let text = serde_json::to_string(self).expect("sums and a time are JSON");
        BTreeMap::from([(Self::FACT.to_owned(), text)])
    }
}

/// The window to ask both queries for: from the end of the last one, or the start of the run, to
/// `now`. Windows never overlap, and a measurement that failed leaves its time to the next one.
pub fn next_window(
    status: &RunStatus,
    metric: &str,
    kind: ComparisonKind,
    now: Timestamp,
) -> (Timestamp, Timestamp) {
    let since = status.started_at.unwrap_or(now);
    let evidence = Evidence::of(status.metric(metric), kind, since);
    (evidence.until.min(now), now)
}
