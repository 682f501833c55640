//! From evidence to the phase of a measurement.

use std::collections::BTreeMap;

use super::evidence::{Evidence, Sides};
use super::spec::{ComparisonKind, ComparisonSpec, Worse};
use super::{mean, proportion};
use crate::analysis::Phase;

/// Where the true difference lies, at the stated confidence, at all times together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// What a comparison comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Successful, Failed or Inconclusive.
    pub phase: Phase,
    /// What was found, with all figures.
    pub message: String,
    /// The canary's figure minus stable's; absent without samples.
    pub difference: Option<f64>,
    /// Where the true one lies; absent while that cannot be said.
    pub interval: Option<Interval>,
    /// For the metadata of the measurement: figures of both sides, interval, confidence, samples.
    pub metadata: BTreeMap<String, String>,
}

impl Comparison {
    /// The difference as people read it: the value of the measurement. Empty without samples.
    pub fn value(&self) -> String {
        self.difference.map(shown).unwrap_or_default()
    }
}

/// Judges all windows so far.
pub fn compare(spec: &ComparisonSpec, evidence: &Evidence) -> Comparison {
    let figures = figures(evidence);
    let difference = figures.map(|(canary, baseline)| canary - baseline);
    let (canary_samples, baseline_samples) = evidence.samples();
    let enough = canary_samples.min(baseline_samples) >= spec.min_samples as f64;
    let interval = interval(spec, evidence).filter(|_| enough && difference.is_some());
    let (phase, found) = match interval {
        _ if !enough => {
            let (canary, baseline) = (shown(canary_samples), shown(baseline_samples));
            let least = spec.min_samples;
            (
                Phase::Inconclusive,
                format!("{canary} samples of the canary and {baseline} of stable; minSamples is {least}"),
            )
        }
        None => (Phase::Inconclusive, "the samples have no spread to judge by".to_owned()),
        Some(interval) => judged(spec, interval),
    };
    let message = match figures.filter(|_| enough) {
        Some((canary, baseline)) => {
            format!("canary {}, stable {}: {found}", shown(canary), shown(baseline))
        }
        None => found,
    };
    let metadata = metadata(spec, evidence, figures, interval);
    Comparison { phase, message, difference, interval, metadata }
}

/// The proportion or mean of each side.
fn figures(evidence: &Evidence) -> Option<(f64, f64)> {
    match &evidence.sides {
        Sides::Proportion { canary, baseline } => Some((canary.proportion()?, baseline.proportion()?)),
        Sides::Mean { canary, baseline } => {
            (canary.count > 0.0 && baseline.count > 0.0).then_some((canary.mean, baseline.mean))
        }
    }
}

fn interval(spec: &ComparisonSpec, evidence: &Evidence) -> Option<Interval> {
    match &evidence.sides {
        Sides::Proportion { canary, baseline } => Some(proportion::interval(canary, baseline, spec.alpha)),
        Sides::Mean { canary, baseline } => mean::interval(canary, baseline, spec.alpha, spec.min_samples),
    }
}

fn judged(spec: &ComparisonSpec, interval: Interval) -> (Phase, String) {
    // By how much the canary is worse, whichever way that is.
    let (least, most) = match spec.worse {
        Worse::Higher => (interval.low, interval.high),
        Worse::Lower => (-interval.high, -interval.low),
    };
    let direction = match spec.worse {
        Worse::Higher => "higher",
        Worse::Lower => "lower",
    };
    let (borne, confidence) = (shown(spec.min_effect), confidence(spec));
    let range = format!("{} to {}", shown(least), shown(most));
    let found = format!("{direction} by {range} at {confidence} confidence");
    if least > spec.min_effect {
        (Phase::Failed, format!("{found}, more than minEffect {borne}"))
    } else if most <= spec.min_effect {
        (Phase::Successful, format!("{found}, at most minEffect {borne}"))
    } else {
        (Phase::Inconclusive, format!("{found}, which leaves open whether it is more than minEffect {borne}"))
    }
}

fn metadata(
    spec: &ComparisonSpec,
    evidence: &Evidence,
    figures: Option<(f64, f64)>,
    interval: Option<Interval>,
) -> BTreeMap<String, String> {
    let (canary_samples, baseline_samples) = evidence.samples();
    let mut metadata = BTreeMap::from([
        (
            "samples".to_owned(),
            format!("canary {}, stable {}", shown(canary_samples), shown(baseline_samples)),
        ),
        ("method".to_owned(), method(spec.kind).to_owned()),
    ]);
    if let Some((canary, baseline)) = figures {
        metadata.insert("canary".to_owned(), shown(canary));
        metadata.insert("stable".to_owned(), shown(baseline));
    }
    if let Some(Interval { low, high }) = interval {
        metadata.insert("interval".to_owned(), format!("[{}, {}]", shown(low), shown(high)));
        metadata.insert("confidence".to_owned(), confidence(spec));
    }
    metadata
}

fn method(kind: ComparisonKind) -> &'static str {
    match kind {
        ComparisonKind::Proportion => "beta-binomial confidence sequence",
        ComparisonKind::Mean => "normal mixture confidence sequence",
    }
}

fn confidence(spec: &ComparisonSpec) -> String {
    format!("{} %", shown(100.0 * (1.0 - spec.alpha)))
}

/// Four significant digits, without an exponent.
fn shown(number: f64) -> String {
    if number == 0.0 || !number.is_finite() {
        return format!("{}", number + 0.0);
    }
    let magnitude = number.abs().log10().floor();
    let decimals = (3.0 - magnitude).clamp(0.0, 12.0) as usize;
    let text = format!("{number:.decimals$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
