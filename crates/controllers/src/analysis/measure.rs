//! One measurement: secrets, query, judgement (`spec/analysis.md` 2.3, 2.4).

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use okra_api::AnalysisRun;
use okra_domain::analysis::substitute::{Arguments, Redactor, SecretKey};
use okra_domain::analysis::{Measurement, MetricSpec, Phase};
use okra_providers::{Conditions, Providers, Request};

use super::prepare::{arguments, metric_for_measuring};
use crate::Context;

/// Metadata of a measurement: when its last byte was read, with fractions of
/// a second, which `finishedAt` does not have.
pub const READ_AT: &str = "okra.mumo.co/read-at";

/// A measurement and what was learnt about its metric.
pub struct Taken {
    /// The measurement.
    pub measurement: Measurement,
    /// Facts about the metric as a whole.
    pub facts: BTreeMap<String, String>,
}

/// Takes a measurement of a metric. What goes wrong with the provider is a
/// measurement too, with phase Error and a message without secrets.
///
/// # Errors
/// When an argument cannot be resolved: that ends the whole run
/// (`spec/analysis.md` 1.7).
pub async fn take(
    context: &Context,
    providers: &Providers,
    run: &AnalysisRun,
    metric: &str,
) -> Result<Taken, String> {
    let started_at = context.clock.now();
    let (spec, redactor) = settings(context, run, metric).await?;
    let mut taken = query(context, providers, &spec, &redactor).await;
    taken.measurement.started_at = Some(milliseconds(started_at));
    taken.measurement.finished_at = Some(milliseconds(context.clock.now()));
    Ok(taken)
}

/// Fractions stay: the next measurement is counted from the end of this one,
/// and whole seconds would take up to one away from an interval.
fn milliseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

fn failed(message: String) -> Taken {
    let measurement = Measurement { phase: Phase::Error, message, ..Measurement::default() };
    Taken { measurement, facts: BTreeMap::new() }
}

/// The metric with secrets read afresh.
async fn settings(
    context: &Context,
    run: &AnalysisRun,
    metric: &str,
) -> Result<(MetricSpec, Redactor), String> {
    let arguments = arguments(&run.spec);
    let namespace = run.namespace().unwrap_or_default();
    let secrets = secrets(context, &namespace, &arguments).await?;
    let values = arguments
        .for_measuring(|key| secrets.get(key).cloned())
        .map_err(|error| format!("Unable to resolve metric arguments: {error}"))?;
    let spec = metric_for_measuring(run, metric, &values).map_err(|error| error.to_string())?;
    Ok((spec, values.redactor()))
}

async fn secrets(
    context: &Context,
    namespace: &str,
    arguments: &Arguments,
) -> Result<BTreeMap<SecretKey, String>, String> {
    let api = context.namespaced::<Secret>(namespace);
    let mut read = BTreeMap::new();
    for key in arguments.secrets() {
        let secret = api.get_opt(&key.name).await;
        let secret = secret.map_err(|error| format!("secret '{}' cannot be read: {error}", key.name))?;
        let value = secret.and_then(|secret| secret.data.unwrap_or_default().remove(&key.key));
        if let Some(value) = value.and_then(|value| String::from_utf8(value.0).ok()) {
            read.insert(key, value);
        }
    }
    Ok(read)
}

async fn query(context: &Context, providers: &Providers, spec: &MetricSpec, redactor: &Redactor) -> Taken {
    let Some((key, settings)) = spec.providers.iter().next() else {
        return failed("no provider specified".to_owned());
    };
    let conditions = match Conditions::compile(&spec.success_condition, &spec.failure_condition) {
        Ok(conditions) => conditions,
        Err(error) => return failed(redactor.redact(&error.to_string())),
    };
    let request = Request { settings, redactor, now: context.clock.now() };
    let measured = match providers.measure(key, request).await {
        Ok(measured) => measured,
        Err(error) => return failed(error.to_string()),
    };
    let read_at = context.clock.now();
    let judgement = conditions.judge(&measured.text, &measured.result, read_at);
    let mut metadata = measured.metadata;
    metadata.insert(READ_AT.to_owned(), read_at.to_string());
    let measurement = Measurement {
        phase: judgement.phase,
        message: redactor.redact(&judgement.message),
        value: measured.text,
        metadata,
        ..Measurement::default()
    };
    Taken { measurement, facts: measured.facts }
}
