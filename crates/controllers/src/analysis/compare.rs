//! A look of a metric with a `baseline`: both queries for one window, and what
//! all windows of the run say together (`spec/analysis.md` 2.10-8).

use std::collections::BTreeMap;

use jiff::Timestamp;
use okra_domain::analysis::comparison::{
    Comparison, ComparisonKind, ComparisonSpec, Evidence, Window, compare, next_window, window_arguments,
};
use okra_domain::analysis::{Measurement, MetricSpec, Phase, RunStatus, judge_no_data};
use okra_expr::Value;
use okra_providers::{Measured, Outcome, ProviderError, Providers, Request, is_no_data};

use super::measure::{Taken, failed, milliseconds};

/// What the facts about the query of stable begin with: both sides may ask the
/// same provider.
const STABLE: &str = "stable.";

/// The window that is looked at, and what the windows before it add up to.
#[derive(Debug, Clone)]
pub struct Look {
    since: Timestamp,
    until: Timestamp,
    evidence: Evidence,
}

impl Look {
    /// The look at this time, of a run in this state.
    pub fn at(status: &RunStatus, metric: &str, kind: ComparisonKind, now: Timestamp) -> Self {
        let (since, until) = next_window(status, metric, kind, milliseconds(now));
        Self { since, until, evidence: Evidence::of(status.metric(metric), kind, since) }
    }

    /// The arguments by which queries name the window.
    pub fn arguments(&self) -> BTreeMap<String, String> {
        window_arguments(self.since, self.until)
    }
}

/// Asks both sides at once and judges all windows so far. A window that could
/// not be measured on both sides leaves its time to the next one.
pub async fn compared(
    providers: &Providers,
    spec: &MetricSpec,
    comparison: &ComparisonSpec,
    look: &Look,
    request: &Request<'_>,
) -> Taken {
    if look.until <= look.since {
        return failed(format!("the clock stands no later than the end of the last window, {}", look.since));
    }
    let Some((key, settings)) = spec.providers.iter().next() else {
        return failed("no provider specified".to_owned());
    };
    let canary = Request { settings, now: look.until, ..*request };
    let stable = Request { settings: &comparison.provider.1, now: look.until, ..*request };
    let (canary, stable) =
        tokio::join!(providers.measure(key, &canary), providers.measure(&comparison.provider.0, &stable));
    let (canary, stable) = match (side("canary", canary), side("stable", stable)) {
        (Ok(canary), Ok(stable)) => (canary, stable),
        (Err(missing), _) | (_, Err(missing)) => return missing.taken(spec),
    };
    if let Some(policy) = spec.no_data {
        let absent =
            [("canary", &canary), ("stable", &stable)].into_iter().find(|(_, side)| is_no_data(&side.result));
        if let Some((side, _)) = absent {
            let judgement = judge_no_data(policy, &format!("none of the {side}"));
            return unmeasured(judgement.phase, judgement.message);
        }
    }
    let windows = window(comparison.kind, "canary", &canary)
        .and_then(|first| Ok((first, window(comparison.kind, "stable", &stable)?)));
    let added = windows.and_then(|(canary, stable)| {
        look.evidence.with(&canary, &stable, look.until).map_err(|error| error.to_string())
    });
    match added {
        Ok(evidence) => judged(compare(comparison, &evidence), &evidence, canary, stable),
        Err(message) => failed(message),
    }
}

/// Why a side gave no value.
struct Missing {
    side: &'static str,
    error: ProviderError,
}

impl Missing {
    fn taken(self, spec: &MetricSpec) -> Taken {
        match spec.no_data.filter(|_| self.error.is_no_data()) {
            Some(policy) => {
                let judgement = judge_no_data(policy, &format!("none of the {}", self.side));
                unmeasured(judgement.phase, judgement.message)
            }
            None => failed(format!("{}: {}", self.side, self.error)),
        }
    }
}

fn side(side: &'static str, outcome: Result<Outcome, ProviderError>) -> Result<Measured, Missing> {
    match outcome {
        Ok(Outcome::Measured(measured)) => Ok(measured),
        Ok(Outcome::Progress(_)) => {
            let error = ProviderError::new("a comparison needs a provider that answers at once");
            Err(Missing { side, error })
        }
        Err(error) => Err(Missing { side, error }),
    }
}

/// What a query gave, as a window of this kind.
fn window(kind: ComparisonKind, side: &str, measured: &Measured) -> Result<Window, String> {
    let numbers = numbers(kind, &measured.result)
        .ok_or_else(|| format!("{side}: a {kind} needs a list of numbers, got {}", measured.text));
    Window::from_numbers(kind, numbers?).map_err(|error| format!("{side}: {error}"))
}

/// A list of numbers; one number alone is a list too. Of series, the points
/// are the values, or their sums where events are counted.
fn numbers(kind: ComparisonKind, result: &Value) -> Option<Vec<f64>> {
    let items = match result {
        Value::Nil => return Some(Vec::new()),
        Value::Array(items) => items.items(),
        single => std::slice::from_ref(single),
    };
    let mut numbers = Vec::new();
    for item in items {
        match item {
            Value::Record(series) => {
                let Value::Array(points) = series.get("Values")? else { return None };
                let points = points.items().iter().map(Value::as_float).collect::<Option<Vec<f64>>>()?;
                match kind {
                    ComparisonKind::Proportion => numbers.push(points.iter().sum()),
                    ComparisonKind::Mean => numbers.extend(points),
                }
            }
            number => numbers.push(number.as_float()?),
        }
    }
    Some(numbers)
}

fn unmeasured(phase: Phase, message: String) -> Taken {
    let measurement = Measurement { phase, message, ..Measurement::default() };
    Taken { measurement, facts: BTreeMap::new() }
}

/// The notes of the comparison count more than those of a provider.
fn judged(comparison: Comparison, evidence: &Evidence, canary: Measured, stable: Measured) -> Taken {
    let mut metadata = canary.metadata;
    metadata.extend(comparison.metadata.clone());
    let mut facts = canary.facts;
    facts.extend(stable.facts.into_iter().map(|(key, value)| (format!("{STABLE}{key}"), value)));
    facts.extend(evidence.fact());
    let measurement = Measurement {
        phase: comparison.phase,
        value: comparison.value(),
        message: comparison.message,
        metadata,
        ..Measurement::default()
    };
    Taken { measurement, facts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_alone_in_lists_and_in_series() {
        let floats = |numbers: &[f64]| Value::array(numbers.iter().copied().map(Value::Float).collect());
        let series = |points: &[f64]| Value::record([("Id", "m".into()), ("Values", floats(points))]);
        let both = Value::array(vec![series(&[1.0, 2.0]), series(&[50.0, 60.0])]);
        assert_eq!(numbers(ComparisonKind::Proportion, &both), Some(vec![3.0, 110.0]));
        assert_eq!(numbers(ComparisonKind::Mean, &both), Some(vec![1.0, 2.0, 50.0, 60.0]));
        assert_eq!(numbers(ComparisonKind::Mean, &Value::Int(7)), Some(vec![7.0]));
        assert_eq!(numbers(ComparisonKind::Mean, &Value::Nil), Some(vec![]));
        assert_eq!(numbers(ComparisonKind::Mean, &Value::array(vec!["fast".into()])), None);
    }
}
