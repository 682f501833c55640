//! Metric fields of okra that an installed definition of Argo Rollouts would
//! prune: they travel in an annotation as well (`spec/analysis.md` 2.10).

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use thiserror::Error;

use super::metric::Metric;
use crate::names::ANNOTATION_METRICS;

/// Fields of a metric that Argo Rollouts does not know.
pub const EXTENSION_FIELDS: [&str; 6] =
    ["baseline", "consecutiveFailureLimit", "noData", "onError", "onInconclusive", "providerRetryLimit"];

/// The name that means every metric.
const EVERY_METRIC: &str = "*";

/// An annotation that cannot be read as metric fields.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ExtensionError {
    /// It is no JSON object of objects.
    #[error("annotation {ANNOTATION_METRICS} must be JSON of metric name to fields: {0}")]
    NotJson(String),
    /// A field that the annotation may not set.
    #[error(
        "annotation {ANNOTATION_METRICS} sets {field:?} of metric {metric:?}, but may only set {}",
        EXTENSION_FIELDS.join(", ")
    )]
    Field {
        /// Name of the metric, or `*`.
        metric: String,
        /// The field.
        field: String,
    },
    /// A metric that is not there.
    #[error("annotation {ANNOTATION_METRICS} names metric {0:?}, which is not there")]
    Metric(String),
}

/// The metrics with the fields that the annotations of their object add. What
/// a metric says itself counts more, and a name more than `*`.
///
/// # Errors
/// When the annotation is not of that shape, or names what is not there.
pub fn with_extensions(
    metrics: &[Value],
    annotations: Option<&BTreeMap<String, String>>,
) -> Result<Vec<Value>, ExtensionError> {
    let text = annotations.and_then(|annotations| annotations.get(ANNOTATION_METRICS));
    let Some(text) = text else { return Ok(metrics.to_vec()) };
    let added: BTreeMap<String, Map<String, Value>> =
        serde_json::from_str(text).map_err(|error| ExtensionError::NotJson(error.to_string()))?;
    let names: Vec<&str> = metrics.iter().filter_map(Metric::name_of).collect();
    for (metric, fields) in &added {
        if metric != EVERY_METRIC && !names.contains(&metric.as_str()) {
            return Err(ExtensionError::Metric(metric.clone()));
        }
        if let Some(field) = fields.keys().find(|field| !EXTENSION_FIELDS.contains(&field.as_str())) {
            return Err(ExtensionError::Field { metric: metric.clone(), field: field.clone() });
        }
    }
    Ok(metrics.iter().map(|metric| extended(metric, &added)).collect())
}

fn extended(metric: &Value, added: &BTreeMap<String, Map<String, Value>>) -> Value {
    let mut metric = metric.clone();
    let own = Metric::name_of(&metric).and_then(|name| added.get(name));
    if let Some(fields) = metric.as_object_mut() {
        for (field, value) in own.into_iter().chain(added.get(EVERY_METRIC)).flatten() {
            fields.entry(field.clone()).or_insert_with(|| value.clone());
        }
    }
    metric
}

/// The annotation that keeps the extension fields of metrics, if they have any.
pub fn extensions_of(metrics: &[Value]) -> Option<String> {
    let mut kept = Map::new();
    for metric in metrics {
        let fields: Map<String, Value> = EXTENSION_FIELDS
            .iter()
            .filter_map(|field| Some(((*field).to_owned(), metric.get(*field)?.clone())))
            .collect();
        if let Some(name) = Metric::name_of(metric).filter(|_| !fields.is_empty()) {
            kept.insert(name.to_owned(), fields.into());
        }
    }
    (!kept.is_empty()).then(|| Value::from(kept).to_string())
}

/// Where kubectl keeps what was applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Extension fields that were applied and are not there: name of the metric
/// and field. A definition of Argo Rollouts has pruned them without a word.
/// `metrics` are those with the fields of the annotation.
pub fn lost_extensions(
    metrics: &[Value],
    annotations: Option<&BTreeMap<String, String>>,
) -> Vec<(String, &'static str)> {
    let text = annotations.and_then(|annotations| annotations.get(LAST_APPLIED));
    let applied: Value = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let mut lost = Vec::new();
    for wanted in applied["spec"]["metrics"].as_array().into_iter().flatten() {
        let Some(name) = Metric::name_of(wanted) else { continue };
        let stored = metrics.iter().find(|metric| Metric::name_of(metric) == Some(name));
        let Some(stored) = stored else { continue };
        let pruned = |field: &&str| wanted.get(*field).is_some() && stored.get(*field).is_none();
        lost.extend(EXTENSION_FIELDS.into_iter().filter(pruned).map(|field| (name.to_owned(), field)));
    }
    lost
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn annotated(text: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(ANNOTATION_METRICS.to_owned(), text.to_owned())])
    }

    fn metrics() -> Vec<Value> {
        vec![json!({"name": "a"}), json!({"name": "b", "noData": "Fail"})]
    }

    #[test]
    fn a_field_of_the_metric_counts_more_than_its_name_and_that_more_than_the_star() {
        let annotation =
            r#"{"*": {"noData": "Success", "providerRetryLimit": 1}, "a": {"providerRetryLimit": 3}}"#;
        let extended = with_extensions(&metrics(), Some(&annotated(annotation))).unwrap();
        let expected = [
            json!({"name": "a", "providerRetryLimit": 3, "noData": "Success"}),
            json!({"name": "b", "noData": "Fail", "providerRetryLimit": 1}),
        ];
        assert_eq!(extended, expected);
        assert_eq!(with_extensions(&metrics(), None).unwrap(), metrics());
        assert_eq!(with_extensions(&metrics(), Some(&BTreeMap::new())).unwrap(), metrics());
    }

    #[test]
    fn what_a_definition_prunes_comes_back_from_the_annotation() {
        let full = vec![
            json!({"name": "a", "interval": "1m", "noData": "Fail", "baseline": {"kind": "Mean"}}),
            json!({"name": "b"}),
        ];
        let annotation = extensions_of(&full).unwrap();
        assert_eq!(annotation, r#"{"a":{"baseline":{"kind":"Mean"},"noData":"Fail"}}"#);
        let pruned = [json!({"name": "a", "interval": "1m"}), json!({"name": "b"})];
        assert_eq!(with_extensions(&pruned, Some(&annotated(&annotation))).unwrap(), full);
        assert_eq!(extensions_of(&pruned), None);
    }

    #[test]
    fn what_was_applied_and_is_gone_is_lost() {
        let applied = json!({"spec": {"metrics": [
            {"name": "a", "noData": "Fail", "onError": "pause"}, {"name": "b", "noData": "Fail"}, {"name": "gone", "noData": "Fail"},
        ]}});
        let annotations = BTreeMap::from([(LAST_APPLIED.to_owned(), applied.to_string())]);
        let stored = [json!({"name": "a", "onError": "pause"}), json!({"name": "b", "noData": "Fail"})];
        assert_eq!(lost_extensions(&stored, Some(&annotations)), [("a".to_owned(), "noData")]);
        assert!(lost_extensions(&stored, None).is_empty());
        let broken = BTreeMap::from([(LAST_APPLIED.to_owned(), "{".to_owned())]);
        assert!(lost_extensions(&stored, Some(&broken)).is_empty());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, part) in [
            ("[]", "must be JSON of metric name to fields"),
            ("{\"a\": 5}", "must be JSON of metric name to fields"),
            (r#"{"c": {}}"#, "names metric \"c\", which is not there"),
            (
                r#"{"*": {"failureLimit": 5}}"#,
                "sets \"failureLimit\" of metric \"*\", but may only set baseline",
            ),
        ] {
            let message = with_extensions(&metrics(), Some(&annotated(text))).unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
