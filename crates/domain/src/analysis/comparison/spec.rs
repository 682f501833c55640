//! What a metric's `baseline` asks for.

use serde_json::{Map, Value};

use crate::analysis::InvalidMetric;
use crate::text::words;

words! {
    /// What the two queries count.
    pub enum ComparisonKind("comparison kind") {
        /// Of so many, so many: errors of requests.
        Proportion,
        /// Single values: latencies.
        Mean,
    }
}

words! {
    /// Which way a canary is worse.
    pub enum Worse("direction") {
        /// More is worse: errors, latency.
        Higher,
        /// Less is worse: successes, throughput.
        Lower,
    }
}

/// `baseline` of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparisonSpec {
    /// Key and settings of the provider that measures stable.
    pub provider: (String, Value),
    /// What the queries count.
    pub kind: ComparisonKind,
    /// Which way the canary is worse.
    pub worse: Worse,
    /// Greatest probability of a wrong verdict, over all measurements of the run together.
    pub alpha: f64,
    /// Difference that is borne, in the unit of the measure (0.01 is one percentage point).
    pub min_effect: f64,
    /// Samples of each side before there is a verdict.
    pub min_samples: u64,
}

/// `alpha` when absent.
const ALPHA_DEFAULT: f64 = 0.05;
/// Least `alpha`: below, intervals are too wide to be of use.
const ALPHA_MIN: f64 = 1e-9;
/// Greatest `alpha`: beyond, a coin would judge as well.
const ALPHA_MAX: f64 = 0.5;
/// `minSamples` when absent.
const MIN_SAMPLES_DEFAULT: u64 = 100;
/// Greatest `minSamples`: what floating point still counts one by one is far more.
const MIN_SAMPLES_MAX: u64 = 1_000_000_000;

impl ComparisonSpec {
    /// Reads `baseline` of a metric after substitution.
    ///
    /// # Errors
    ///
    /// If a field is missing, has the wrong type or lies outside its limits.
    pub fn from_json(json: &Value) -> Result<Self, InvalidMetric> {
        let Value::Object(fields) = json else {
            return Err(invalid("baseline", "an object", json));
        };
        let alpha = number(fields, "alpha", "baseline.alpha")?.unwrap_or(ALPHA_DEFAULT);
        if !(ALPHA_MIN..=ALPHA_MAX).contains(&alpha) {
            return Err(invalid("baseline.alpha", "between 1e-9 and 0.5", &alpha.into()));
        }
        let kind: ComparisonKind = word(fields, "kind", "baseline.kind", "Proportion or Mean")?;
        let min_effect = number(fields, "minEffect", "baseline.minEffect")?.unwrap_or(0.0);
        let most = if kind == ComparisonKind::Proportion { 1.0 } else { f64::MAX };
        if !(0.0..=most).contains(&min_effect) {
            return Err(invalid(
                "baseline.minEffect",
                "0 or more, and at most 1 for a Proportion",
                &min_effect.into(),
            ));
        }
        let min_samples =
            number(fields, "minSamples", "baseline.minSamples")?.unwrap_or(MIN_SAMPLES_DEFAULT as f64);
        if min_samples.fract() != 0.0 || !(1.0..=MIN_SAMPLES_MAX as f64).contains(&min_samples) {
            let expected = "a whole number from 1 to 1000000000";
            return Err(invalid("baseline.minSamples", expected, &min_samples.into()));
        }
        Ok(Self {
            provider: provider(fields)?,
            kind,
            worse: word(fields, "worse", "baseline.worse", "Higher or Lower")?,
            alpha,
            min_effect,
            min_samples: min_samples as u64,
        })
    }
}

fn provider(fields: &Map<String, Value>) -> Result<(String, Value), InvalidMetric> {
    let settings = fields.get("provider").unwrap_or(&Value::Null);
    let expected = "an object with one provider";
    let Value::Object(providers) = settings else {
        return Err(invalid("baseline.provider", expected, settings));
    };
    let mut set = providers.iter().filter(|(_, settings)| !settings.is_null());
    match (set.next(), set.next()) {
        (Some((key, settings)), None) => Ok((key.clone(), settings.clone())),
        _ => Err(invalid("baseline.provider", expected, &providers.keys().cloned().collect())),
    }
}

fn word<T: std::str::FromStr>(
    fields: &Map<String, Value>,
    key: &str,
    field: &'static str,
    expected: &'static str,
) -> Result<T, InvalidMetric> {
    let value = fields.get(key).unwrap_or(&Value::Null);
    let parsed = value.as_str().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| invalid(field, expected, value))
}

/// A number, or a text that is one, since a placeholder can only make texts.
fn number(fields: &Map<String, Value>, key: &str, field: &'static str) -> Result<Option<f64>, InvalidMetric> {
    let (value, parsed) = match fields.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(value @ Value::String(text)) => (value, text.parse::<f64>().ok()),
        Some(value) => (value, value.as_f64()),
    };
    match parsed.filter(|number| number.is_finite()) {
        Some(number) => Ok(Some(number)),
        None => Err(invalid(field, "a number", value)),
    }
}

fn invalid(field: &'static str, expected: &'static str, got: &Value) -> InvalidMetric {
    InvalidMetric { field, expected, got: got.to_string().chars().take(64).collect() }
}
