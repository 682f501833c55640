//! `okra lint -f`: what is wrong with manifests, before anybody applies them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use okra_api::analysis::{
    MergeError, Templates, lost_extensions, merge_templates, validate_checks, with_extensions,
};
use okra_api::cell::{AnalysisBlock, CellSpec, EntryPoint};
use okra_api::convert::convert;
use okra_api::load_balancer::WeightedTargetGroup;
use okra_api::manifests::group_kind;
use okra_api::names::{ANNOTATION_METRICS, ARGO_GROUP, GROUP};
use okra_api::observe::domain_spec;
use okra_api::{
    AWSApplicationLoadBalancerConfig, AWSNetworkLoadBalancerConfig, AWSTargetGroup, AWSTargetGroupBinding,
    AWSTargetGroupSet, AnalysisRun, AnalysisTemplate, Cell, ClusterAnalysisTemplate, ClusterSet, Experiment,
    Lenient, Pause, VersionBlocklist,
};
use okra_domain::cell::{Step, WeightMode};
use okra_providers::Providers;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::analysis::template;
use super::convert::title;
use super::manifests;
use crate::output::{self, Exit, Format};

/// Name and ARN of a target group that a Cell's rule is checked with.
const SAMPLE_ARN: &str =
    "arn:aws:elasticloadbalancing:us-east-2:111122223333:targetgroup/sample/1234567890abcdef";

/// Flags of `okra lint`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  okra lint -f manifests/\n  okra lint -f cell.yaml -f templates/ -o json\n\n\
    It checks fields, steps, versions, the limits of AWS rules, and every expression of\n\
    analysis templates. Exit code 1 when something is wrong, 0 with warnings alone."
)]
pub struct LintArgs {
    /// File, folder, or - for stdin
    #[arg(long = "filename", short = 'f', value_name = "PATH", required = true)]
    filename: Vec<PathBuf>,
    /// Warnings count as errors
    #[arg(long)]
    strict: bool,
    /// How to print it
    #[arg(long, short = 'o', default_value = "table")]
    output: Format,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    /// The object cannot do what it says.
    Error,
    /// It may not do what is meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    file: String,
    object: String,
    severity: Severity,
    /// The field, such as `spec.metrics[0].interval`, where one is at fault.
    #[serde(skip_serializing_if = "String::is_empty")]
    path: String,
    message: String,
}

/// Prints what is wrong.
///
/// # Errors
/// When a file cannot be read, or does not hold objects.
pub fn run(args: &LintArgs) -> anyhow::Result<Exit> {
    let mut files = Vec::new();
    for path in &args.filename {
        files.extend(manifests::read(path)?);
    }
    let objects: usize = files.iter().map(|file| file.objects.len()).sum();
    let findings = findings(files);
    match args.output {
        Format::Json => output::print(&output::json(&findings)?)?,
        Format::Yaml => output::print(&serde_saphyr::to_string(&findings)?)?,
        Format::Name => {
            let names: BTreeSet<&str> = findings.iter().map(|finding| finding.object.as_str()).collect();
            output::print(&names.iter().map(|name| format!("{name}\n")).collect::<String>())?;
        }
        Format::Table | Format::Wide => output::print(&findings.iter().map(line).collect::<String>())?,
    }
    let errors = findings.iter().filter(|one| one.severity == Severity::Error).count();
    let warnings = findings.len() - errors;
    output::remark(&format!("{objects} objects, {errors} errors, {warnings} warnings"));
    let bad = errors > 0 || (args.strict && warnings > 0);
    Ok(if bad { Exit::Usage } else { Exit::Ok })
}

fn line(finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let path = if finding.path.is_empty() { String::new() } else { format!("{}: ", finding.path) };
    format!("{}: {}: {severity}: {path}{}\n", finding.file, finding.object, finding.message)
}

fn findings(files: Vec<manifests::ManifestFile>) -> Vec<Finding> {
    let objects = files.iter().flat_map(|file| &file.objects).cloned();
    let templates = template::readable(objects);
    let mut found = Vec::new();
    for file in files {
        for object in file.objects {
            let mut lint = Lint { templates: &templates, found: Vec::new() };
            let title = title(&object);
            lint.object(object);
            found.extend(lint.found.into_iter().map(|(severity, path, message)| Finding {
                file: file.name.clone(),
                object: title.clone(),
                severity,
                path,
                message,
            }));
        }
    }
    found
}

/// The check of one object.
struct Lint<'a> {
    /// The templates of all files.
    templates: &'a Templates,
    found: Vec<(Severity, String, String)>,
}

impl Lint<'_> {
    fn error(&mut self, message: impl Into<String>) {
        self.at(Severity::Error, "", message);
    }

    fn warn(&mut self, message: impl Into<String>) {
        self.at(Severity::Warning, "", message);
    }

    fn at(&mut self, severity: Severity, path: impl Into<String>, message: impl Into<String>) {
        self.found.push((severity, path.into(), message.into()));
    }

    fn has_errors(&self) -> bool {
        self.found.iter().any(|(severity, ..)| *severity == Severity::Error)
    }

    fn object(&mut self, object: Value) {
        let converted = convert(object, None);
        for change in converted.changes {
            self.warn(format!("{change} (okra convert rewrites it)"));
        }
        let object = converted.object;
        let (group, kind) = group_kind(&object);
        match (group.to_owned().as_str(), kind.to_owned().as_str()) {
            (GROUP, "Cell") => self.with::<Cell>(object, |lint, cell| lint.cell(&cell.spec)),
            (GROUP, "AWSApplicationLoadBalancerConfig") => {
                self.with::<AWSApplicationLoadBalancerConfig>(object, |lint, config| lint.rule(&config.spec));
            }
            (GROUP, "AWSTargetGroup") => self.with::<AWSTargetGroup>(object, Self::target_group),
            (GROUP, "ClusterSet") => self.with::<ClusterSet>(object, |lint, set| {
                if set.spec.sources().is_empty() {
                    lint.error("spec.generators names no awseks generator");
                }
            }),
            (GROUP, "AWSTargetGroupSet") => self.with::<AWSTargetGroupSet>(object, |lint, set| {
                if set.spec.generators.iter().all(|generator| generator.awseks.is_none()) {
                    lint.error("spec.generators names no awseks generator");
                }
            }),
            (GROUP, "AWSTargetGroupBinding") => self.with::<AWSTargetGroupBinding>(object, |_, _| {}),
            (GROUP, "AWSNetworkLoadBalancerConfig") => {
                self.with::<AWSNetworkLoadBalancerConfig>(object, |_, _| {});
            }
            (GROUP, "Pause") => self.with::<Pause>(object, |_, _| {}),
            (GROUP, "VersionBlocklist") => self.with::<VersionBlocklist>(object, Self::blocklist),
            (GROUP, other) => self.error(format!("okra has no kind {other}")),
            (ARGO_GROUP, "AnalysisTemplate") => self.analysis::<AnalysisTemplate>(object),
            (ARGO_GROUP, "ClusterAnalysisTemplate") => self.analysis::<ClusterAnalysisTemplate>(object),
            (ARGO_GROUP, "AnalysisRun") => self.analysis::<AnalysisRun>(object),
            (ARGO_GROUP, "Experiment") => self.with::<Experiment>(object, |_, _| {}),
            _ => {}
        }
    }

    /// Decodes; what does not fit is the one finding.
    fn with<K: DeserializeOwned>(&mut self, object: Value, check: impl FnOnce(&mut Self, &K)) {
        match Lenient::<K>::from_value(object) {
            Lenient::Valid(object) => check(self, &object),
            Lenient::Malformed(malformed) => self.error(malformed.error.to_string()),
        }
    }

    fn cell(&mut self, cell: &CellSpec) {
        let spec = domain_spec(cell, WeightMode::Absolute);
        for error in &spec.errors {
            self.error(error.to_string());
        }
        if spec.steps.is_ambiguous() {
            let [absolute, incremental] = spec.steps.readings();
            self.warn(format!(
                "setWeight means {absolute:?} as totals and {incremental:?} as increments: set weightMode"
            ));
        }
        if let Some(weight) = spec.steps.overruled_weight() {
            self.warn(format!("the last step sets {weight} %, and the end of the steps 100 % at once"));
        }
        for (index, step) in spec.steps.iter().enumerate() {
            if let Step::Analysis(block) = step
                && let Ok(block) = serde_json::from_value::<AnalysisBlock>(block.clone())
            {
                self.block(&format!("steps[{index}].analysis"), &block);
            }
        }
        if let Ok(EntryPoint::Alb(alb)) = cell.entry_point() {
            let sample = WeightedTargetGroup {
                name: "sample".to_owned(),
                arn: SAMPLE_ARN.to_owned(),
                weight: Some(100),
            };
            self.rule(&EntryPoint::alb_config(&alb, vec![sample], None));
        }
    }

    fn rule(&mut self, spec: &okra_api::alb_config::AWSApplicationLoadBalancerConfigSpec) {
        if let Err(message) = okra_controllers::load_balancer::check(spec) {
            self.error(message);
        }
    }

    /// The analysis of a step, as far as these files hold its templates.
    fn block(&mut self, path: &str, block: &AnalysisBlock) {
        if let Err(error) = validate_checks(&block.checks) {
            self.at(Severity::Error, path, error.to_string());
        }
        if block.templates.is_empty() {
            return;
        }
        let (dry_run, retention) = (&block.dry_run, &block.measurement_retention);
        match merge_templates(&block.templates, self.templates, &[], dry_run, retention) {
            Err(error @ MergeError::TemplateNotFound { .. }) => {
                self.at(Severity::Warning, path, format!("{error} among these files"));
            }
            Err(error) => self.at(Severity::Error, path, error.to_string()),
            Ok(merged) => {
                let given = |name: &str| block.args.iter().any(|argument| argument.name == name);
                for argument in merged.args.iter().filter(|one| !one.has_source() && !given(&one.name)) {
                    let message = format!("its templates want a value for argument {:?}", argument.name);
                    self.at(Severity::Error, format!("{path}.args"), message);
                }
            }
        }
    }

    fn target_group(&mut self, group: &AWSTargetGroup) {
        if let Err(error) = group.spec.arn.parse::<okra_domain::TargetGroupArn>() {
            self.error(format!("spec.arn: {error}"));
        }
        match super::get::lists::version_text(group, &[]) {
            None => self.warn("no version label; a Cell needs one"),
            Some(text) => {
                if let Err(error) = text.parse::<okra_domain::Version>() {
                    self.error(format!("version label: {error}"));
                }
            }
        }
    }

    fn blocklist(&mut self, list: &VersionBlocklist) {
        for item in &list.spec.items {
            if let Err(error) = item.version.parse::<okra_domain::Version>() {
                self.error(format!("spec.items: {error}"));
            }
        }
    }

    /// A template or a run, with the fields that its annotation adds.
    fn analysis<K: DeserializeOwned>(&mut self, object: Value) {
        let annotations: Option<BTreeMap<String, String>> =
            serde_json::from_value(object["metadata"]["annotations"].clone()).ok();
        let mut spec = object["spec"].clone();
        let written = spec["metrics"].as_array().cloned().unwrap_or_default();
        match (with_extensions(&written, annotations.as_ref()), spec.as_object_mut()) {
            (Err(error), _) => self.at(Severity::Error, "metadata.annotations", error.to_string()),
            (Ok(metrics), fields) => {
                for (metric, field) in lost_extensions(&metrics, annotations.as_ref()) {
                    let message = format!(
                        "metric {metric:?} was applied with {field}, which the installed definition drops: \
                         use annotation {ANNOTATION_METRICS}"
                    );
                    self.at(Severity::Warning, "spec.metrics", message);
                }
                if let Some(fields) = fields.filter(|_| !metrics.is_empty()) {
                    fields.insert("metrics".to_owned(), metrics.into());
                }
            }
        }
        for finding in okra_providers::lint(&spec, &Providers::for_checking()) {
            let severity = match finding.severity {
                okra_providers::Severity::Error => Severity::Error,
                okra_providers::Severity::Warning => Severity::Warning,
            };
            self.at(severity, finding.path, finding.message);
        }
        // What does not fit the kind is mostly among these, in better words.
        if !self.has_errors() {
            self.with::<K>(object, |_, _| {});
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lint(text: &str) -> String {
        let objects = okra_api::manifests::parse_as_written(text).unwrap();
        let file = manifests::ManifestFile { name: "f.yaml".to_owned(), objects };
        findings(vec![file]).iter().map(line).collect()
    }

    const GOOD: &str = "
apiVersion: okra.mumo.co/v1alpha1
kind: Cell
metadata: {name: web}
spec:
  ingress:
    awsApplicationLoadBalancer:
      listenerARN: arn:aws:elasticloadbalancing:us-east-2:111122223333:listener/app/web/1/2
      listener: {rule: {priority: 10, hosts: [web.example.com]}}
  updateStrategy:
    canary:
      steps: [{setWeight: 10}, {analysis: {templates: [{templateName: errors}], args: [{name: limit, value: '0.05'}]}}]
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: errors}
spec:
  args: [{name: limit}]
  metrics:
  - name: errors
    interval: 1s
    count: 3
    successCondition: result < {{args.limit}}
    provider: {web: {url: 'http://example.com'}}
";

    #[test]
    fn good_manifests_say_nothing() {
        assert_eq!(lint(GOOD), "");
    }

    #[test]
    fn each_fault_is_named_with_its_place() {
        let faults = GOOD
            .replace("result < {{args.limit}}", "result < ")
            .replace("hosts: [web.example.com]", "hosts: []")
            .replace("setWeight: 10}", "setWeight: 10}, {}")
            .replace("templateName: errors", "templateName: gone");
        insta::assert_snapshot!(lint(&faults));
    }

    #[test]
    fn everything_wrong_with_a_template_is_said_with_its_field() {
        let broken = "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: errors
  annotations:
    okra.mumo.co/metrics: '{\"errors\": {\"noData\": \"Maybe\"}}'
spec:
  args: [{name: limit}]
  metrics:
  - {name: errors, interval: 10, count: 3, successCondition: 'reslt < {{args.limt}}', provider: {web: {url: 'http://h/'}}}
  - {name: latency, interval: 1m, failureCondition: 'len(result', provider: {wavefront: {}}}
  - {name: rate, interval: 1m, succesCondition: 'true', provider: {prometheus: {query: up}}}
";
        insta::assert_snapshot!(lint(broken));
        let unknown = lint(&broken.replace("{\"errors\": {", "{\"gone\": {"));
        assert!(
            unknown.starts_with("f.yaml: analysistemplate/errors: error: metadata.annotations: "),
            "{unknown}"
        );
    }

    #[test]
    fn a_step_must_give_what_its_templates_want() {
        let bare = GOOD.replace(", args: [{name: limit, value: '0.05'}]", "");
        assert_eq!(
            lint(&bare),
            "f.yaml: cell/web: error: steps[1].analysis.args: its templates want a value for argument \"limit\"\n"
        );
        let twice = GOOD.replace(
            "[{templateName: errors}]",
            "[{templateName: errors}, {templateName: gone, clusterScope: true}]",
        );
        assert_eq!(
            lint(&twice),
            "f.yaml: cell/web: warning: steps[1].analysis: ClusterAnalysisTemplate 'gone' not found among these files\n"
        );
    }

    #[test]
    fn old_spellings_are_warnings_and_unknown_kinds_errors() {
        insta::assert_snapshot!(lint(
            "apiVersion: okra.mumoshu.github.io/v1alpha1\nkind: Sell\nmetadata: {name: web}\n---\n\
             apiVersion: okra.mumo.co/v1alpha1\nkind: AWSTargetGroup\nmetadata: {name: a, labels: {okra.mumo.co/version: one}}\nspec: {arn: x}\n---\n\
             apiVersion: okra.mumo.co/v1alpha1\nkind: Cell\nmetadata: {name: web}\nspec: {replicas: two}\n---\n\
             apiVersion: v1\nkind: ConfigMap\nmetadata: {name: foreign}\n"
        ));
    }
}
