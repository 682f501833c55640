//! Templates in the shapes that Argo Rollouts documents, all of which must be runnable
//! (`spec/analysis.md` 9-1).

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use okra_domain::analysis::substitute::{ArgumentSource, Arguments, SecretKey};
use okra_domain::analysis::{MetricSpec, Run, RunSpec, RunStatus, plan};
use okra_providers::{Providers, Severity, lint};
use serde::Deserialize;
use serde_json::Value;

const FILES: [&str; 6] = [
    include_str!("shapes/prometheus.yaml"),
    include_str!("shapes/datadog.yaml"),
    include_str!("shapes/cloudwatch.yaml"),
    include_str!("shapes/web.yaml"),
    include_str!("shapes/job.yaml"),
    include_str!("shapes/others.yaml"),
];

#[derive(Deserialize)]
struct Shape {
    name: String,
    /// Parts of the warnings that are meant.
    #[serde(default)]
    warns: Vec<String>,
    spec: Value,
}

fn shapes() -> Vec<Shape> {
    let documents = FILES.iter().flat_map(|file| file.split("\n---\n"));
    documents
        .map(|text| serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}")))
        .collect()
}

#[test]
fn nothing_but_the_warnings_that_are_meant_is_said() {
    let shapes = shapes();
    assert!(shapes.len() >= 40, "{} shapes", shapes.len());
    let providers = Providers::for_checking();
    for Shape { name, warns, spec } in shapes {
        let found = lint(&spec, &providers);
        assert!(found.iter().all(|finding| finding.severity == Severity::Warning), "{name}: {found:#?}");
        assert_eq!(found.len(), warns.len(), "{name}: {found:#?}");
        for (finding, part) in found.iter().zip(&warns) {
            assert!(finding.message.contains(part), "{name}: {finding}");
        }
    }
}

/// The arguments with a value for each that the caller would give.
fn arguments(spec: &Value) -> Arguments {
    let args = spec["args"].as_array().cloned().unwrap_or_default();
    args.iter()
        .map(|argument| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let secret = &argument["valueFrom"]["secretKeyRef"];
            let source = match (&argument["value"], secret) {
                (Value::String(value), _) => ArgumentSource::Literal(value.clone()),
                (_, Value::Object(_)) => ArgumentSource::Secret(SecretKey {
                    name: text(&secret["name"]),
                    key: text(&secret["key"]),
                }),
                _ => ArgumentSource::Literal("given".to_owned()),
            };
            (text(&argument["name"]), source)
        })
        .collect()
}

#[test]
fn every_shape_is_planned_and_checked_with_its_secrets() {
    let providers = Providers::for_checking();
    for Shape { name, spec, .. } in shapes() {
        let Some(metrics) = spec["metrics"].as_array() else { continue };
        let values = arguments(&spec).for_measuring(|_| Some("https://secret.example".to_owned())).unwrap();
        let metrics: Vec<MetricSpec> = metrics
            .iter()
            .map(|metric| MetricSpec::from_json(&values.substitute(metric).unwrap()).unwrap())
            .collect();
        for metric in &metrics {
            for (key, settings) in &metric.providers {
                providers.check(key, settings).unwrap_or_else(|error| panic!("{name}: {}", error.chain()));
            }
        }
        let delayed = metrics.iter().filter(|metric| !metric.initial_delay.is_empty()).count();
        let all = metrics.len();
        let run = Run::new(RunSpec { metrics, ..RunSpec::default() }, |_, _| true);
        let run = run.unwrap_or_else(|error| panic!("{name}: {error}"));
        let planned = plan(&run, &RunStatus::default(), "2026-11-21T12:00:00Z".parse().unwrap());
        assert_eq!(planned.measure.len(), all - delayed, "{name}");
    }
}
