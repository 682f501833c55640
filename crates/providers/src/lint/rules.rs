//! Rules of a spec that name metrics.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value as Json;

use super::{Findings, list};

/// Reports metrics of one name. A name that is not known is `None`.
pub(super) fn check_names(names: &[Option<String>], findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    for (place, name) in names.iter().enumerate() {
        if let Some(name) = name.as_ref().filter(|name| !seen.insert(name.as_str())) {
            findings.error(format!("spec.metrics[{place}].name"), format!("duplicate name '{name}'"));
        }
    }
}

/// Reports patterns that cannot be read, are repeated, or find no metric: such a run ends with an
/// error. With nested templates the metrics are not all known.
pub(super) fn check_patterns(
    spec: &Json,
    field: &str,
    names: &[Option<String>],
    nested: bool,
    findings: &mut Findings,
) {
    let mut seen = BTreeSet::new();
    for (place, rule) in list(spec, field).iter().enumerate() {
        let path = format!("spec.{field}[{place}].metricName");
        let text = rule["metricName"].as_str().unwrap_or_default();
        if !seen.insert(text) {
            findings.error(path, format!("two rules have the same name '{text}'"));
            continue;
        }
        let pattern = match Regex::new(text) {
            Ok(pattern) => pattern,
            Err(error) => {
                findings.error(path, format!("{text:?} is no regular expression: {}", last_line(&error)));
                continue;
            }
        };
        let unknown = nested || names.iter().any(Option::is_none);
        if !unknown && !names.iter().flatten().any(|name| pattern.is_match(name)) {
            findings.error(path, "Rule didn't match any metric name(s)");
        }
    }
}

/// The reason at the end of a message that draws a picture before it.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}
