//! A metric as it is written, after substitution (`spec/analysis.md` 1.3).

use serde_json::{Map, Value};
use thiserror::Error;

use super::comparison::ComparisonSpec;
use crate::text::words;

/// A field of a metric that does not hold what it must.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field} must be {expected}, got {got}")]
pub struct InvalidMetric {
    /// Name of the field.
    pub field: &'static str,
    /// What it must hold.
    pub expected: &'static str,
    /// What it holds.
    pub got: String,
}

/// The fields of a metric that decide when to measure and what to make of it. Absent limits have
/// their defaults; nothing is checked beyond the types.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricSpec {
    /// Unique in the run.
    pub name: String,
    /// Go duration between measurements; empty if absent.
    pub interval: String,
    /// Go duration before the first measurement; empty if absent.
    pub initial_delay: String,
    /// Measurements that end the metric; 0 if absent.
    pub count: i64,
    /// Condition of success; empty if absent.
    pub success_condition: String,
    /// Condition of failure; empty if absent.
    pub failure_condition: String,
    /// Failures tolerated; -1 is no limit.
    pub failure_limit: i64,
    /// Inconclusive measurements tolerated.
    pub inconclusive_limit: i64,
    /// Errors in a row tolerated.
    pub consecutive_error_limit: i64,
    /// Successes in a row that end the metric; 0 is off.
    pub consecutive_success_limit: i64,
    /// Providers by key, of which there must be one.
    pub providers: Map<String, Value>,
    /// Comparison with stable in place of conditions (2.10-8).
    pub baseline: Option<ComparisonSpec>,
    /// What a measurement without data comes to; `None` leaves it to the conditions (2.10-6).
    pub no_data: Option<NoData>,
    /// Failures in a row tolerated; `None` is no limit (2.10-1).
    pub consecutive_failure_limit: Option<i64>,
    /// What an inconclusive metric means for the run (2.10-2).
    pub on_inconclusive: Option<Consequence>,
    /// What a metric that could not be measured means for the run (2.10-2).
    pub on_error: Option<Consequence>,
}

words! {
    /// `noData` of a metric: nil, an empty list, NaN or no point.
    pub enum NoData("answer to no data") {
        /// The measurement failed.
        Fail,
        /// It says neither yes nor no.
        Inconclusive,
        /// Nothing happened that could be bad.
        Success,
        /// It could not be taken.
        Error,
    }
}

words! {
    /// `onInconclusive`, `onError` of a metric.
    pub enum Consequence("consequence") {
        /// The run is inconclusive: a human decides.
        Pause = "pause",
        /// The run ends badly.
        Abort = "abort",
        /// The metric does not count.
        Continue = "continue",
    }
}

/// Errors in a row that are tolerated unless the metric says otherwise.
const DEFAULT_CONSECUTIVE_ERROR_LIMIT: i64 = 4;

impl MetricSpec {
    /// Reads the JSON of a metric. Fields that okra does not know are left alone.
    ///
    /// # Errors
    ///
    /// If a field has the wrong type, or a limit is a text that is no whole number.
    pub fn from_json(json: &Value) -> Result<Self, InvalidMetric> {
        let Value::Object(fields) = json else {
            return Err(InvalidMetric { field: "metric", expected: "an object", got: shown(json) });
        };
        let providers = match fields.get("provider") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(providers)) => providers.clone(),
            Some(other) => {
                return Err(InvalidMetric { field: "provider", expected: "an object", got: shown(other) });
            }
        };
        let integer = |field| integer(fields, field);
        Ok(Self {
            name: text(fields, "name")?,
            interval: text(fields, "interval")?,
            initial_delay: text(fields, "initialDelay")?,
            count: integer("count")?.unwrap_or(0),
            success_condition: text(fields, "successCondition")?,
            failure_condition: text(fields, "failureCondition")?,
            failure_limit: integer("failureLimit")?.unwrap_or(0),
            inconclusive_limit: integer("inconclusiveLimit")?.unwrap_or(0),
            consecutive_error_limit: integer("consecutiveErrorLimit")?
                .unwrap_or(DEFAULT_CONSECUTIVE_ERROR_LIMIT),
            consecutive_success_limit: integer("consecutiveSuccessLimit")?.unwrap_or(0),
            providers: providers.into_iter().filter(|(_, settings)| !settings.is_null()).collect(),
            baseline: match fields.get("baseline") {
                None | Some(Value::Null) => None,
                Some(baseline) => Some(ComparisonSpec::from_json(baseline)?),
            },
            no_data: word(fields, "noData", "Fail, Inconclusive, Success or Error")?,
            consecutive_failure_limit: integer("consecutiveFailureLimit")?,
            on_inconclusive: word(fields, "onInconclusive", "pause, abort or continue")?,
            on_error: word(fields, "onError", "pause, abort or continue")?,
        })
    }
}

fn text(fields: &Map<String, Value>, field: &'static str) -> Result<String, InvalidMetric> {
    match fields.get(field) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(InvalidMetric { field, expected: "a string", got: shown(other) }),
    }
}

/// One of a few words; an empty text counts as absent.
fn word<T: std::str::FromStr>(
    fields: &Map<String, Value>,
    field: &'static str,
    expected: &'static str,
) -> Result<Option<T>, InvalidMetric> {
    let text = text(fields, field)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| InvalidMetric { field, expected, got: text })
}

/// An integer, or a text that is one; an empty text counts as absent.
fn integer(fields: &Map<String, Value>, field: &'static str) -> Result<Option<i64>, InvalidMetric> {
    let parsed = match fields.get(field) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.is_empty() => return Ok(None),
        Some(Value::String(text)) => text.parse().ok(),
        Some(other) => other.as_i64(),
    };
    // Kubernetes holds these in 32 bits; a sum of two then fits whatever comes.
    match parsed.filter(|number| i32::try_from(*number).is_ok()) {
        Some(number) => Ok(Some(number)),
        None => {
            let got = fields.get(field).map(shown).unwrap_or_default();
            Err(InvalidMetric { field, expected: "a whole number of 32 bits", got })
        }
    }
}

fn shown(json: &Value) -> String {
    json.to_string().chars().take(64).collect()
}
