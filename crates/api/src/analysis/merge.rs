//! Combining several templates into what one run measures
//! (`spec/analysis.md` 1.6, `spec/okra.md` 3.4.3).

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt as _;
use serde_json::Value;
use thiserror::Error;

use super::extensions::ExtensionError;
use super::metric::Metric;
use super::template::{
    AnalysisTemplate, AnalysisTemplateSpec, Argument, ClusterAnalysisTemplate, DryRun, MeasurementRetention,
};
use crate::cell::TemplateReference;

/// How many templates one run may combine: a typing mistake in nested
/// references ends here and not in a run of a thousand queries.
pub const TEMPLATES_MAX: usize = 100;

/// The templates at hand, by name.
#[derive(Clone, Debug, Default)]
pub struct Templates {
    /// AnalysisTemplates of the namespace of the caller.
    pub namespaced: BTreeMap<String, AnalysisTemplateSpec>,
    /// ClusterAnalysisTemplates.
    pub cluster: BTreeMap<String, AnalysisTemplateSpec>,
    /// Those that cannot be used, by whether they are ClusterAnalysisTemplates
    /// and by name.
    pub unusable: BTreeMap<(bool, String), ExtensionError>,
}

impl Templates {
    /// The templates as they are stored, with the fields that their
    /// annotations add.
    pub fn of<'a>(
        namespaced: impl Iterator<Item = &'a AnalysisTemplate>,
        cluster: impl Iterator<Item = &'a ClusterAnalysisTemplate>,
    ) -> Self {
        let mut templates = Self::default();
        for template in namespaced {
            templates.shelve(false, template.name_any(), template.effective_spec());
        }
        for template in cluster {
            templates.shelve(true, template.name_any(), template.effective_spec());
        }
        templates
    }

    fn shelve(&mut self, cluster: bool, name: String, spec: Result<AnalysisTemplateSpec, ExtensionError>) {
        match spec {
            Ok(spec) if cluster => drop(self.cluster.insert(name, spec)),
            Ok(spec) => drop(self.namespaced.insert(name, spec)),
            Err(error) => drop(self.unusable.insert((cluster, name), error)),
        }
    }
}

/// What the templates of one run say together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MergedTemplates {
    /// Metrics, those of namespaced templates first, raw.
    pub metrics: Vec<Value>,
    /// Declared arguments, in the order of their first declaration.
    pub args: Vec<Argument>,
    /// The caller's rules, then those of the templates.
    pub dry_run: Vec<DryRun>,
    /// The caller's rules, then those of the templates.
    pub measurement_retention: Vec<MeasurementRetention>,
}

/// The templates cannot be combined.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MergeError {
    /// A reference leads nowhere.
    #[error("{} '{name}' not found", kind(*cluster_scope))]
    TemplateNotFound {
        /// Name of the template.
        name: String,
        /// Whether a ClusterAnalysisTemplate was meant.
        cluster_scope: bool,
    },
    /// A template whose annotation cannot be read.
    #[error("{} '{name}' cannot be used: {error}", kind(*cluster_scope))]
    Unusable {
        /// Name of the template.
        name: String,
        /// Whether it is a ClusterAnalysisTemplate.
        cluster_scope: bool,
        /// What is wrong with it.
        error: ExtensionError,
    },
    /// More than [`TEMPLATES_MAX`].
    #[error("more than {TEMPLATES_MAX} analysis templates in one run")]
    TooManyTemplates,
    /// A metric without a name.
    #[error("metrics[{0}] has no name")]
    UnnamedMetric(usize),
    /// Two metrics of one name.
    #[error("two metrics have the same name '{0}'")]
    DuplicateMetric(String),
    /// No metric at all.
    #[error("no metrics specified")]
    NoMetrics,
    /// Two templates give one argument different values.
    #[error("argument '{0}' is declared with two different values")]
    ConflictingArgument(String),
    /// Two dry-run rules of one text.
    #[error("two Dry-Run metric rules have the same name '{0}'")]
    DuplicateDryRun(String),
    /// Two retention rules of one text.
    #[error("two Measurement Retention metric rules have the same name '{0}'")]
    DuplicateRetention(String),
}

fn kind(cluster_scope: bool) -> &'static str {
    if cluster_scope { "ClusterAnalysisTemplate" } else { "AnalysisTemplate" }
}

/// Combines the referenced templates, nested ones included, with the rules
/// and ready-made metrics that the caller adds.
///
/// # Errors
/// When a template is missing or two of them contradict each other.
pub fn merge_templates(
    references: &[TemplateReference],
    templates: &Templates,
    caller_metrics: &[Value],
    caller_dry_run: &[DryRun],
    caller_retention: &[MeasurementRetention],
) -> Result<MergedTemplates, MergeError> {
    let found = collect(references, templates)?;
    let in_order = |cluster: bool| found.iter().filter(move |(scope, _)| *scope == cluster);
    let ordered: Vec<&AnalysisTemplateSpec> =
        in_order(false).chain(in_order(true)).map(|(_, spec)| *spec).collect();

    let metrics: Vec<Value> =
        ordered.iter().flat_map(|spec| &spec.metrics).chain(caller_metrics).cloned().collect();
    check_names(&metrics)?;
    let dry_run: Vec<DryRun> =
        caller_dry_run.iter().chain(ordered.iter().flat_map(|spec| &spec.dry_run)).cloned().collect();
    if let Some(name) = duplicate(dry_run.iter().map(|rule| rule.metric_name.as_str())) {
        return Err(MergeError::DuplicateDryRun(name));
    }
    let measurement_retention: Vec<MeasurementRetention> = caller_retention
        .iter()
        .chain(ordered.iter().flat_map(|spec| &spec.measurement_retention))
        .cloned()
        .collect();
    if let Some(name) = duplicate(measurement_retention.iter().map(|rule| rule.metric_name.as_str())) {
        return Err(MergeError::DuplicateRetention(name));
    }
    let args = unite_arguments(ordered.iter().flat_map(|spec| &spec.args))?;
    Ok(MergedTemplates { metrics, args, dry_run, measurement_retention })
}

/// All templates that are reached, depth first, each once: that also ends cycles.
fn collect<'a>(
    references: &[TemplateReference],
    templates: &'a Templates,
) -> Result<Vec<(bool, &'a AnalysisTemplateSpec)>, MergeError> {
    let mut found = vec![];
    let mut seen = BTreeSet::new();
    let mut waiting: Vec<TemplateReference> = references.iter().rev().cloned().collect();
    while let Some(reference) = waiting.pop() {
        let cluster_scope = reference.cluster_scope.unwrap_or(false);
        if !seen.insert((cluster_scope, reference.template_name.clone())) {
            continue;
        }
        if seen.len() > TEMPLATES_MAX {
            return Err(MergeError::TooManyTemplates);
        }
        let shelf = if cluster_scope { &templates.cluster } else { &templates.namespaced };
        let name = reference.template_name;
        let Some(spec) = shelf.get(&name) else {
            return Err(match templates.unusable.get(&(cluster_scope, name.clone())) {
                Some(error) => MergeError::Unusable { name, cluster_scope, error: error.clone() },
                None => MergeError::TemplateNotFound { name, cluster_scope },
            });
        };
        found.push((cluster_scope, spec));
        waiting.extend(spec.templates.iter().rev().cloned());
    }
    Ok(found)
}

fn check_names(metrics: &[Value]) -> Result<(), MergeError> {
    if metrics.is_empty() {
        return Err(MergeError::NoMetrics);
    }
    let mut seen = BTreeSet::new();
    for (index, metric) in metrics.iter().enumerate() {
        let name = Metric::name_of(metric).filter(|name| !name.is_empty());
        let name = name.ok_or(MergeError::UnnamedMetric(index))?;
        if !seen.insert(name) {
            return Err(MergeError::DuplicateMetric(name.to_owned()));
        }
    }
    Ok(())
}

fn duplicate<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut seen = BTreeSet::new();
    names.into_iter().find(|name| !seen.insert(*name)).map(str::to_owned)
}

/// The first declaration is kept; a later one fills in a missing value.
fn unite_arguments<'a>(declared: impl Iterator<Item = &'a Argument>) -> Result<Vec<Argument>, MergeError> {
    let mut united: Vec<Argument> = vec![];
    for argument in declared {
        match united.iter_mut().find(|earlier| earlier.name == argument.name) {
            None => united.push(argument.clone()),
            Some(earlier) if !earlier.has_source() => *earlier = argument.clone(),
            Some(earlier) => {
                let same = earlier.value == argument.value && earlier.value_from == argument.value_from;
                let says_something = argument.value_from.is_some()
                    || argument.value.as_ref().is_some_and(|value| !value.is_empty());
                if says_something && !same {
                    return Err(MergeError::ConflictingArgument(argument.name.clone()));
                }
            }
        }
    }
    Ok(united)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reference(name: &str) -> TemplateReference {
        TemplateReference { template_name: name.to_owned(), cluster_scope: None }
    }

    fn cluster(name: &str) -> TemplateReference {
        TemplateReference { template_name: name.to_owned(), cluster_scope: Some(true) }
    }

    fn template(spec: Value) -> AnalysisTemplateSpec {
        serde_json::from_value(spec).unwrap()
    }

    fn shelf(namespaced: &[(&str, Value)], cluster: &[(&str, Value)]) -> Templates {
        let read = |items: &[(&str, Value)]| {
            items.iter().map(|(name, spec)| ((*name).to_owned(), template(spec.clone()))).collect()
        };
        Templates { namespaced: read(namespaced), cluster: read(cluster), ..Templates::default() }
    }

    fn merge(references: &[TemplateReference], templates: &Templates) -> Result<MergedTemplates, MergeError> {
        merge_templates(references, templates, &[], &[], &[])
    }

    fn names(merged: &MergedTemplates) -> Vec<&str> {
        merged.metrics.iter().filter_map(Metric::name_of).collect()
    }

    #[test]
    fn nested_templates_are_followed_once_and_namespaced_metrics_come_first() {
        let templates = shelf(
            &[
                ("a", json!({"metrics": [{"name": "a"}], "templates": [{"templateName": "b"}]})),
                (
                    "b",
                    json!({"metrics": [{"name": "b"}], "templates": [
                    {"templateName": "a"}, {"templateName": "c", "clusterScope": true}]}),
                ),
            ],
            &[("c", json!({"metrics": [{"name": "c"}], "templates": [{"templateName": "b"}]}))],
        );
        let merged = merge(&[cluster("c"), reference("a")], &templates).unwrap();
        assert_eq!(names(&merged), ["b", "a", "c"]);
        let merged = merge(&[reference("a"), reference("b")], &templates).unwrap();
        assert_eq!(names(&merged), ["a", "b", "c"]);
    }

    #[test]
    fn annotations_add_fields_and_a_broken_one_names_its_template() {
        let object = |kind: &str, name: &str, annotation: &str| {
            json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": kind,
                "metadata": {"name": name, "annotations": {"okra.mumo.co/metrics": annotation}},
                "spec": {"metrics": [{"name": name}]},
            })
        };
        let good: AnalysisTemplate =
            serde_json::from_value(object("AnalysisTemplate", "a", r#"{"*": {"noData": "Fail"}}"#)).unwrap();
        let bad: ClusterAnalysisTemplate =
            serde_json::from_value(object("ClusterAnalysisTemplate", "b", "oops")).unwrap();
        let templates = Templates::of([&good].into_iter(), [&bad].into_iter());
        let merged = merge(&[reference("a")], &templates).unwrap();
        assert_eq!(merged.metrics, [json!({"name": "a", "noData": "Fail"})]);
        let message = merge(&[reference("a"), cluster("b")], &templates).unwrap_err().to_string();
        assert!(message.starts_with("ClusterAnalysisTemplate 'b' cannot be used: annotation"), "{message}");
    }

    #[test]
    fn h_43_metrics_survive_byte_for_byte() {
        let metric =
            json!({"name": "m", "zeta": 1, "provider": {"unheardOf": {"b": [null], "a": {"x": 1.50}}}});
        let templates = shelf(&[("t", json!({"metrics": [metric]}))], &[]);
        let merged = merge(&[reference("t")], &templates).unwrap();
        assert_eq!(merged.metrics[0].to_string(), metric.to_string());
    }

    #[test]
    fn h_44_a_cluster_scoped_reference_never_falls_back_to_a_namespaced_template() {
        let templates = shelf(&[("t", json!({"metrics": [{"name": "m"}]}))], &[]);
        let error = merge(&[cluster("t")], &templates).unwrap_err();
        assert_eq!(error.to_string(), "ClusterAnalysisTemplate 't' not found");
        let error = merge(&[reference("u")], &templates).unwrap_err();
        assert_eq!(error.to_string(), "AnalysisTemplate 'u' not found");
    }

    #[test]
    fn h_05_all_templates_count_and_two_metrics_of_one_name_do_not_mix() {
        let templates = shelf(
            &[("a", json!({"metrics": [{"name": "m"}]})), ("b", json!({"metrics": [{"name": "m"}]}))],
            &[],
        );
        let error = merge(&[reference("a"), reference("b")], &templates).unwrap_err();
        assert_eq!(error.to_string(), "two metrics have the same name 'm'");
        assert_eq!(merge(&[], &templates), Err(MergeError::NoMetrics));
    }

    #[test]
    fn arguments_keep_their_first_declaration() {
        let templates = |second: Value| {
            shelf(
                &[
                    (
                        "a",
                        json!({"metrics": [{"name": "a"}], "args": [{"name": "x"}, {"name": "y", "value": "1"}]}),
                    ),
                    ("b", json!({"metrics": [{"name": "b"}], "args": [second, {"name": "z"}]})),
                ],
                &[],
            )
        };
        let both = [reference("a"), reference("b")];
        let merged = merge(&both, &templates(json!({"name": "x", "value": "filled"}))).unwrap();
        let args: Vec<(&str, Option<&str>)> =
            merged.args.iter().map(|arg| (arg.name.as_str(), arg.value.as_deref())).collect();
        assert_eq!(args, [("x", Some("filled")), ("y", Some("1")), ("z", None)]);
        let error = merge(&both, &templates(json!({"name": "y", "value": "2"}))).unwrap_err();
        assert_eq!(error.to_string(), "argument 'y' is declared with two different values");
        assert!(merge(&both, &templates(json!({"name": "y", "value": "1"}))).is_ok());
        assert!(merge(&both, &templates(json!({"name": "y"}))).is_ok());
    }

    #[test]
    fn the_callers_rules_come_first_and_do_not_repeat() {
        let templates = shelf(
            &[(
                "t",
                json!({
                    "metrics": [{"name": "m"}],
                    "dryRun": [{"metricName": "m"}],
                    "measurementRetention": [{"metricName": "m", "limit": 5}],
                }),
            )],
            &[],
        );
        let caller = [DryRun { metric_name: ".*".to_owned() }];
        let merged = merge_templates(&[reference("t")], &templates, &[], &caller, &[]).unwrap();
        let rules: Vec<&str> = merged.dry_run.iter().map(|rule| rule.metric_name.as_str()).collect();
        assert_eq!(rules, [".*", "m"]);
        let caller = [DryRun { metric_name: "m".to_owned() }];
        let error = merge_templates(&[reference("t")], &templates, &[], &caller, &[]).unwrap_err();
        assert_eq!(error.to_string(), "two Dry-Run metric rules have the same name 'm'");
        let caller = [MeasurementRetention { metric_name: "m".to_owned(), limit: 1 }];
        let error = merge_templates(&[reference("t")], &templates, &[], &[], &caller).unwrap_err();
        assert_eq!(error.to_string(), "two Measurement Retention metric rules have the same name 'm'");
    }
}
