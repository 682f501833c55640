//! What can be said against a template before it runs (`spec/analysis.md` 1.9, 3.6): all of it at
//! once, each with the field it is about. Upstream finds most of this at the first measurement.

mod metric;
mod placeholders;
mod rules;

use std::fmt;

use serde_json::Value as Json;

use crate::registry::Providers;
use placeholders::Known;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A run of it ends with an error.
    Error,
    /// It runs, but hardly as it is meant.
    Warning,
}

/// Something to be said about a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The field, such as `spec.metrics[0].successCondition`.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}: {severity}: {}", self.path, self.message)
    }
}

/// Findings in the order in which they were made, which is that of the fields.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn error(&mut self, path: impl Into<String>, message: impl fmt::Display) {
        self.0.push(Finding { severity: Severity::Error, path: path.into(), message: message.to_string() });
    }

    fn warning(&mut self, path: impl Into<String>, message: impl fmt::Display) {
        self.0.push(Finding { severity: Severity::Warning, path: path.into(), message: message.to_string() });
    }
}

/// The entries of a list in a spec; what is no list counts as empty.
fn list<'a>(spec: &'a Json, field: &str) -> &'a [Json] {
    spec[field].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Everything to be said about the spec of an AnalysisTemplate, a ClusterAnalysisTemplate or an
/// AnalysisRun. Nothing is asked of anyone: arguments without a value, secrets and nested
/// templates stay unknown, and what depends on them is not judged.
pub fn lint(spec: &Json, providers: &Providers) -> Vec<Finding> {
    let mut findings = Findings::default();
    let known = Known::read(spec, &mut findings);
    let metrics = list(spec, "metrics");
    let nested = !list(spec, "templates").is_empty();
    if metrics.is_empty() && !nested {
        findings.error("spec.metrics", "no metrics specified");
    }
    let names: Vec<Option<String>> = metrics
        .iter()
        .enumerate()
        .map(|(place, metric)| {
            metric::check(metric, &format!("spec.metrics[{place}]"), &known, providers, &mut findings)
        })
        .collect();
    rules::check_names(&names, &mut findings);
    for field in ["dryRun", "measurementRetention"] {
        rules::check_patterns(spec, field, &names, nested, &mut findings);
    }
    if !nested {
        known.check_use(spec, &mut findings);
    }
    findings.0
}

#[cfg(test)]
mod tests;
