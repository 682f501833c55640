//! A metric as it is written, after substitution (`spec/analysis.md` 1.3).

use serde_json::{Map, Value};
use thiserror::Error;

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
