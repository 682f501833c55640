//! A template and its arguments, from files or the cluster, made into what a
//! run measures.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use kube::Api;
use kube::api::ListParams;
use okra_api::analysis::{
    AnalysisRunSpec, Argument, MergeError, MergedTemplates, Templates, merge_templates,
};
use okra_api::cell::TemplateReference;
use okra_api::manifests::group_kind;
use okra_api::names::ARGO_GROUP;
use okra_api::{AnalysisTemplate, ClusterAnalysisTemplate};
use okra_domain::analysis::substitute::{ArgumentSource, Arguments, SecretKey};
use okra_domain::analysis::{MetricSpec, Retention, Run, RunSpec};
use serde_json::{Value, json};

use crate::commands::connect::Connection;
use crate::commands::manifests;

/// Begin of the arguments that okra gives to the runs of a Cell; templates use
/// them without declaring them.
const BUILT_IN: &str = "okra.";

/// Which template, with which arguments.
#[derive(Debug, Clone, Default, Args)]
pub struct TemplateArgs {
    /// File or folder with templates, nested ones included, or - for stdin
    #[arg(long = "filename", short = 'f', value_name = "PATH")]
    pub filename: Vec<PathBuf>,
    /// Which template, where there are several
    #[arg(long, value_name = "NAME")]
    pub template_name: Option<String>,
    /// Value of an argument
    #[arg(long, short = 'a', value_name = "KEY=VALUE")]
    pub args: Vec<Pair>,
}

/// One `KEY=VALUE`; all of what follows the first `=` is the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair(String, String);

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => Ok(Self(key.trim().to_owned(), value.to_owned())),
            _ => Err(format!("{text:?} is not KEY=VALUE")),
        }
    }
}

impl TemplateArgs {
    /// The arguments by name.
    pub fn values(&self) -> BTreeMap<String, String> {
        self.args.iter().map(|Pair(key, value)| (key.clone(), value.clone())).collect()
    }
}

/// A template that was chosen, and those that it may refer to.
#[derive(Debug)]
pub struct Chosen {
    /// The template.
    pub reference: TemplateReference,
    templates: Templates,
}

impl Chosen {
    /// The template of files: the named one, or the only one that no other
    /// refers to. Objects of other kinds are left alone.
    ///
    /// # Errors
    /// When a file cannot be read, or does not say which template is meant.
    pub fn of_files(paths: &[PathBuf], name: Option<&str>) -> anyhow::Result<Self> {
        let mut objects = Vec::new();
        for path in paths {
            objects.extend(manifests::read(path)?.into_iter().flat_map(|file| file.objects));
        }
        let templates = of_objects(objects)?;
        let reference = choose(&templates, name)?;
        Ok(Self { reference, templates })
    }

    /// A template of the namespace that a connection works in.
    ///
    /// # Errors
    /// When there is none of that name, or the API refuses.
    pub async fn of_cluster(connection: &Connection, name: &str) -> anyhow::Result<Self> {
        let reference = TemplateReference { template_name: name.to_owned(), cluster_scope: None };
        let templates = of_namespace(connection).await?;
        let known = templates.namespaced.contains_key(name)
            || templates.unusable.contains_key(&(false, name.to_owned()));
        let place = &connection.namespace;
        ensure!(known, "there is no AnalysisTemplate {name} in namespace {place}");
        Ok(Self { reference, templates })
    }

    /// Whether it refers to a template that is not at hand.
    pub fn is_incomplete(&self) -> bool {
        matches!(self.merged(), Err(MergeError::TemplateNotFound { .. }))
    }

    /// Takes from the cluster what the files do not have.
    ///
    /// # Errors
    /// When the API refuses.
    pub async fn complete(&mut self, connection: &Connection) -> anyhow::Result<()> {
        let stored = of_namespace(connection).await?;
        let own = &mut self.templates;
        for (name, spec) in stored.namespaced {
            own.namespaced.entry(name).or_insert(spec);
        }
        for (name, spec) in stored.cluster {
            own.cluster.entry(name).or_insert(spec);
        }
        Ok(())
    }

    fn merged(&self) -> Result<MergedTemplates, MergeError> {
        merge_templates(std::slice::from_ref(&self.reference), &self.templates, &[], &[], &[])
    }

    /// What a run of it with these arguments measures; an argument that it
    /// does not declare is a mistake. `secrets` are `SECRET.KEY`.
    ///
    /// # Errors
    /// When templates contradict each other, or an argument is unknown or missing.
    pub fn run_spec(
        &self,
        values: &BTreeMap<String, String>,
        secrets: &BTreeMap<String, String>,
    ) -> anyhow::Result<AnalysisRunSpec> {
        let merged = self.merged()?;
        Ok(AnalysisRunSpec {
            args: arguments(merged.args, values, secrets)?,
            metrics: merged.metrics,
            dry_run: merged.dry_run,
            measurement_retention: merged.measurement_retention,
            ..AnalysisRunSpec::default()
        })
    }
}

/// The templates among objects.
fn of_objects(objects: Vec<Value>) -> anyhow::Result<Templates> {
    let (mut namespaced, mut cluster) = (Vec::new(), Vec::new());
    for object in objects {
        let (group, kind) = group_kind(&object);
        let kind = if group == ARGO_GROUP { kind.to_owned() } else { continue };
        match kind.as_str() {
            "AnalysisTemplate" => {
                let template: AnalysisTemplate =
                    okra_api::decode(object).context("an AnalysisTemplate does not fit its kind")?;
                namespaced.push(template);
            }
            "ClusterAnalysisTemplate" => {
                let template: ClusterAnalysisTemplate =
                    okra_api::decode(object).context("a ClusterAnalysisTemplate does not fit its kind")?;
                cluster.push(template);
            }
            _ => {}
        }
    }
    Ok(Templates::of(namespaced.iter(), cluster.iter()))
}

/// The templates among objects, without those that cannot be read.
pub fn readable(objects: impl Iterator<Item = Value>) -> Templates {
    let mut readable = Templates::default();
    for object in objects {
        if let Ok(one) = of_objects(vec![object]) {
            readable.namespaced.extend(one.namespaced);
            readable.cluster.extend(one.cluster);
            readable.unusable.extend(one.unusable);
        }
    }
    readable
}

async fn of_namespace(connection: &Connection) -> anyhow::Result<Templates> {
    let (client, all) = (|| connection.client.clone(), ListParams::default());
    let namespaced: Api<AnalysisTemplate> = Api::namespaced(client(), &connection.namespace);
    let namespaced = namespaced.list(&all).await.context("AnalysisTemplates cannot be read")?;
    let cluster: Api<ClusterAnalysisTemplate> = Api::all(client());
    // Who works in one namespace may often not read them, and seldom needs to:
    // a reference to one that is missing says so by name.
    let cluster = cluster.list(&all).await.map(|list| list.items).unwrap_or_default();
    Ok(Templates::of(namespaced.items.iter(), cluster.iter()))
}

fn choose(templates: &Templates, name: Option<&str>) -> anyhow::Result<TemplateReference> {
    let shelves = [(false, &templates.namespaced), (true, &templates.cluster)];
    let readable =
        shelves.iter().flat_map(|(scope, shelf)| shelf.keys().map(move |name| (*scope, name.clone())));
    let known: Vec<(bool, String)> = readable.chain(templates.unusable.keys().cloned()).collect();
    let nested: Vec<(bool, &str)> = shelves
        .iter()
        .flat_map(|(_, shelf)| shelf.values())
        .flat_map(|spec| &spec.templates)
        .map(|nested| (nested.cluster_scope.unwrap_or(false), nested.template_name.as_str()))
        .collect();
    let wanted = |(scope, own): &&(bool, String)| match name {
        Some(name) => own == name,
        None => !nested.contains(&(*scope, own.as_str())),
    };
    match known.iter().filter(wanted).collect::<Vec<_>>()[..] {
        [(scope, name)] => Ok(TemplateReference { template_name: name.clone(), cluster_scope: Some(*scope) }),
        _ if known.is_empty() => bail!("the files hold no AnalysisTemplate"),
        _ => {
            let names: Vec<&str> = known.iter().map(|(_, name)| name.as_str()).collect();
            bail!("which template? give --template-name; the files hold {}", names.join(", "))
        }
    }
}

/// The declared arguments with their values.
fn arguments(
    mut declared: Vec<Argument>,
    values: &BTreeMap<String, String>,
    secrets: &BTreeMap<String, String>,
) -> anyhow::Result<Vec<Argument>> {
    let known = |name: &String| declared.iter().any(|argument| argument.name == *name);
    let unknown = |name: &&String| !known(name) && !name.starts_with(BUILT_IN);
    if let Some(name) = values.keys().chain(secrets.keys()).find(unknown) {
        let names: Vec<&str> = declared.iter().map(|argument| argument.name.as_str()).collect();
        bail!("the template declares no argument {name}; it has: {}", names.join(", "));
    }
    let built_in: Vec<Argument> = values
        .keys()
        .filter(|name| !known(name))
        .map(|name| Argument { name: name.clone(), ..Argument::default() })
        .collect();
    declared.extend(built_in);
    for argument in &mut declared {
        if let Some(value) = values.get(&argument.name) {
            *argument = Argument::literal(argument.name.clone(), value.clone());
        } else if let Some(place) = secrets.get(&argument.name) {
            *argument = from_secret(&argument.name, place)?;
        }
        ensure!(argument.has_source(), "argument {} has no value: give it with --args", argument.name);
    }
    Ok(declared)
}

fn from_secret(argument: &str, place: &str) -> anyhow::Result<Argument> {
    let (name, key) = place.split_once('.').with_context(|| format!("{place:?} is not SECRET.KEY"))?;
    let source = json!({"name": argument, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}});
    serde_json::from_value(source).context("an argument from a secret")
}

/// The arguments of a run, by where their values come from.
pub fn sources(spec: &AnalysisRunSpec) -> Arguments {
    let source = |argument: &Argument| {
        let from = argument.value_from.as_ref().and_then(|from| from.secret_key_ref.as_ref());
        match (&argument.value, from) {
            (Some(value), _) => ArgumentSource::Literal(value.clone()),
            (None, Some(secret)) => {
                ArgumentSource::Secret(SecretKey { name: secret.name.clone(), key: secret.key.clone() })
            }
            (None, None) => ArgumentSource::Missing,
        }
    };
    spec.args.iter().map(|argument| (argument.name.clone(), source(argument))).collect()
}

/// The run that can be planned, without a secret in it.
///
/// # Errors
/// With the first fault of a metric or a rule.
pub fn planned(spec: &AnalysisRunSpec) -> anyhow::Result<Run> {
    let values = sources(spec).for_planning()?;
    let metric = |(index, metric): (usize, &Value)| {
        let metric = values.substitute(metric).with_context(|| format!("metrics[{index}]"))?;
        MetricSpec::from_json(&metric).with_context(|| format!("metrics[{index}]"))
    };
    let run = RunSpec {
        metrics: spec.metrics.iter().enumerate().map(metric).collect::<anyhow::Result<_>>()?,
        dry_run: spec.dry_run.iter().map(|rule| rule.metric_name.clone()).collect(),
        retention: spec
            .measurement_retention
            .iter()
            .map(|rule| Retention { pattern: rule.metric_name.clone(), limit: rule.limit })
            .collect(),
        ..RunSpec::default()
    };
    Ok(Run::new(run, okra_expr::pattern_matches)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: &str = "
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: web}
spec:
  args: [{name: service}, {name: token}, {name: limit, value: '5'}]
  metrics: [{name: m, provider: {web: {url: 'http://h/'}}}]
  templates: [{templateName: more}, {templateName: all, clusterScope: true}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: foreign}
---
apiVersion: argoproj.io/v1alpha1
kind: ClusterAnalysisTemplate
metadata: {name: all}
spec: {metrics: [{name: last, provider: {web: {url: 'http://h/'}}}]}
";

    const MORE: &str = "
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: more}
spec: {metrics: [{name: o, interval: 1m, provider: {web: {url: 'http://h/'}}}]}
";

    fn chosen(text: &str, name: Option<&str>) -> anyhow::Result<Chosen> {
        let templates = of_objects(okra_api::manifests::parse_as_written(text).unwrap())?;
        let reference = choose(&templates, name)?;
        Ok(Chosen { reference, templates })
    }

    fn pairs(text: &[(&str, &str)]) -> BTreeMap<String, String> {
        text.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn said<T: std::fmt::Debug>(result: anyhow::Result<T>) -> String {
        crate::output::chain(&result.unwrap_err())
    }

    #[test]
    fn the_template_is_the_one_that_no_other_refers_to() {
        let found = chosen(&format!("{FILES}{MORE}"), None).unwrap();
        assert_eq!((&*found.reference.template_name, found.is_incomplete()), ("web", false));
        let names: Vec<String> =
            found.merged().unwrap().metrics.iter().map(|one| one["name"].to_string()).collect();
        assert_eq!(names, ["\"m\"", "\"o\"", "\"last\""]);
        let named = chosen(&format!("{FILES}{MORE}"), Some("all")).unwrap();
        assert_eq!(named.reference.cluster_scope, Some(true));
        let partly = chosen(FILES, None).unwrap();
        assert!(partly.is_incomplete());
        assert_eq!(said(partly.run_spec(&pairs(&[]), &pairs(&[]))), "AnalysisTemplate 'more' not found");
        let two = format!("{MORE}{}", MORE.replace("name: more", "name: other"));
        assert_eq!(
            said(chosen(&two, None)),
            "which template? give --template-name; the files hold more, other"
        );
        assert_eq!(
            said(chosen("kind: ConfigMap\napiVersion: v1\nmetadata: {name: x}", None)),
            "the files hold no AnalysisTemplate"
        );
    }

    #[test]
    fn arguments_are_those_that_the_template_declares() {
        let chosen = chosen(&format!("{FILES}{MORE}"), None).unwrap();
        let values = pairs(&[("service", "a,b=c"), ("okra.canary.version", "2.0.0")]);
        let made = chosen.run_spec(&values, &pairs(&[("token", "api.key")])).unwrap();
        insta::assert_json_snapshot!(made.args);
        let spec = |values: &[(&str, &str)]| said(chosen.run_spec(&pairs(values), &pairs(&[])));
        assert_eq!(
            spec(&[("servcie", "web")]),
            "the template declares no argument servcie; it has: service, token, limit"
        );
        assert_eq!(spec(&[("service", "web")]), "argument token has no value: give it with --args");
    }

    #[test]
    fn a_value_is_everything_behind_the_first_sign() {
        assert_eq!("query = a=b, c".parse(), Ok(Pair("query".to_owned(), " a=b, c".to_owned())));
        assert!("=x".parse::<Pair>().is_err() && "x".parse::<Pair>().is_err());
    }

    #[test]
    fn what_can_be_planned_has_no_fault() {
        let spec = |metric: Value| AnalysisRunSpec { metrics: vec![metric], ..AnalysisRunSpec::default() };
        let good = json!({"name": "m", "interval": "1m", "provider": {"web": {"url": "http://h/"}}});
        assert_eq!(planned(&spec(good)).unwrap().metrics().len(), 1);
        assert_eq!(
            said(planned(&spec(json!({"name": "m", "count": "x"})))),
            "metrics[0]: count must be a whole number of 32 bits, got \"x\""
        );
        assert_eq!(
            said(planned(&spec(json!({"name": "{{args.no}}"})))),
            "metrics[0]: failed to resolve {{args.no}}"
        );
    }
}
