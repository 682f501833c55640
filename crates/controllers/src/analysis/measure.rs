//! One measurement: secrets, query, judgement (`spec/analysis.md` 2.3, 2.4).

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use okra_api::AnalysisRun;
use okra_api::names::ANNOTATION_CLUSTER;
use okra_domain::analysis::substitute::{Arguments, Redactor, SecretKey};
use okra_domain::analysis::{Judgement, Measurement, NoData, Phase, judge_no_data};
use okra_providers::{
    Begun, Conditions, Measured, Outcome, Place, Progress, ProviderError, Providers, Request, is_no_data,
};

use super::compare::compared;
use super::prepare::{Measurable, arguments, metric_for_measuring};
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

/// What is to be done about a measurement.
#[derive(Debug, Clone)]
pub enum Task {
    /// To take it, or begin it: its number, 1 for the first of the metric.
    Begin(u32),
    /// To ask how far it is.
    Resume(Measurement),
}

/// Takes a measurement of a metric, or goes on with one. What goes wrong with
/// the provider is a measurement too, with phase Error and a message without
/// secrets.
///
/// # Errors
/// When an argument cannot be resolved: that ends the whole run
/// (`spec/analysis.md` 1.7).
pub async fn take(
    context: &Context,
    providers: &Providers,
    run: &AnalysisRun,
    metric: &str,
    task: &Task,
) -> Result<Taken, String> {
    let now = context.clock.now();
    let (metric, redactor) = settings(context, run, metric, now).await?;
    let (number, started_at) = match task {
        Task::Begin(number) => (*number, milliseconds(now)),
        Task::Resume(begun) => (0, begun.started_at.unwrap_or(now)),
    };
    let place = place(run, &metric.spec.name, number);
    let mut taken = match task {
        Task::Begin(_) => query(context, providers, &metric, &redactor, &place).await,
        Task::Resume(begun) => {
            let begun = Begun { metadata: &begun.metadata, started_at };
            resumed(context, providers, &metric, &redactor, &place, begun).await
        }
    };
    taken.measurement.started_at = Some(started_at);
    if taken.measurement.phase.is_terminal() {
        taken.measurement.finished_at = Some(milliseconds(context.clock.now()));
    }
    Ok(taken)
}

/// Ends what a measurement began, and removes what older ones left. The run
/// does not wait for it, so what fails is only logged.
pub async fn tidy(
    context: &Context,
    providers: &Providers,
    run: &AnalysisRun,
    (metric, provider): (&str, &str),
    tidying: Tidying,
) {
    let (place, redactor) = (place(run, metric, 0), Redactor::default());
    // Neither needs what the metric says, so no secret is read for it.
    let settings = serde_json::Value::Null;
    let now = context.clock.now();
    let request = Request { settings: &settings, redactor: &redactor, now, place: &place, retries: 0 };
    let outcome = match tidying {
        Tidying::Stop(begun) => {
            let started_at = begun.started_at.unwrap_or(now);
            let begun = Begun { metadata: &begun.metadata, started_at };
            providers.stop(provider, &request, begun).await.map(|_| ())
        }
        Tidying::Keep(newest) => providers.clean_up(provider, &request, newest).await,
    };
    if let Err(error) = outcome {
        tracing::warn!(run = place.run, metric, %error, "what a measurement began is not tidied up");
    }
}

/// What is to be tidied up.
#[derive(Debug, Clone)]
pub enum Tidying {
    /// End this measurement.
    Stop(Measurement),
    /// Remove what older measurements left, but for so many.
    Keep(usize),
}

fn place(run: &AnalysisRun, metric: &str, number: u32) -> Place {
    Place {
        namespace: run.namespace().unwrap_or_default(),
        run: run.name_any(),
        run_uid: run.uid().unwrap_or_default(),
        metric: metric.to_owned(),
        number,
        cluster: run.annotations().get(ANNOTATION_CLUSTER).cloned().unwrap_or_default(),
    }
}

/// Fractions stay: the next measurement is counted from the end of this one,
/// and whole seconds would take up to one away from an interval.
pub(super) fn milliseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

pub(super) fn failed(message: String) -> Taken {
    let measurement = Measurement { phase: Phase::Error, message, ..Measurement::default() };
    Taken { measurement, facts: BTreeMap::new() }
}

/// The metric with secrets read afresh.
async fn settings(
    context: &Context,
    run: &AnalysisRun,
    metric: &str,
    now: Timestamp,
) -> Result<(Measurable, Redactor), String> {
    let arguments = arguments(&run.spec);
    let namespace = run.namespace().unwrap_or_default();
    let secrets = secrets(context, &namespace, &arguments).await?;
    let values = arguments
        .for_measuring(|key| secrets.get(key).cloned())
        .map_err(|error| format!("Unable to resolve metric arguments: {error}"))?;
    let metric = metric_for_measuring(run, metric, &values, now).map_err(|error| error.to_string())?;
    Ok((metric, values.redactor()))
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

async fn query(
    context: &Context,
    providers: &Providers,
    metric: &Measurable,
    redactor: &Redactor,
    place: &Place,
) -> Taken {
    let spec = &metric.spec;
    let Some((key, settings)) = spec.providers.iter().next() else {
        return failed("no provider specified".to_owned());
    };
    let conditions = match Conditions::compile(&spec.success_condition, &spec.failure_condition) {
        Ok(conditions) => conditions,
        Err(error) => return failed(redactor.redact(&error.to_string())),
    };
    let request = Request { settings, redactor, now: context.clock.now(), place, retries: metric.retries };
    if let (Some(comparison), Some(look)) = (&spec.baseline, &metric.look) {
        let mut taken = compared(providers, spec, comparison, look, &request).await;
        read(context, &mut taken.measurement.metadata);
        return taken;
    }
    match (providers.measure(key, &request).await, spec.no_data) {
        (Ok(Outcome::Measured(measured)), policy) => judged(context, &conditions, measured, policy, redactor),
        (Ok(Outcome::Progress(progress)), _) => progressed(Ok(progress)),
        (Err(error), Some(policy)) if error.is_no_data() => {
            let Judgement { phase, message } = judge_no_data(policy, "[]");
            let measurement = Measurement { phase, message, ..Measurement::default() };
            Taken { measurement, facts: BTreeMap::new() }
        }
        (Err(error), _) => failed(error.to_string()),
    }
}

/// Notes that the last byte has just been read.
fn read(context: &Context, metadata: &mut BTreeMap<String, String>) -> Timestamp {
    let read_at = context.clock.now();
    metadata.insert(READ_AT.to_owned(), read_at.to_string());
    read_at
}

fn judged(
    context: &Context,
    conditions: &Conditions,
    measured: Measured,
    no_data: Option<NoData>,
    redactor: &Redactor,
) -> Taken {
    let mut metadata = measured.metadata;
    let read_at = read(context, &mut metadata);
    let judgement = match no_data.filter(|_| is_no_data(&measured.result)) {
        Some(policy) => judge_no_data(policy, &measured.text),
        None => conditions.judge(&measured.text, &measured.result, read_at),
    };
    let measurement = Measurement {
        phase: judgement.phase,
        message: redactor.redact(&judgement.message),
        value: measured.text,
        metadata,
        ..Measurement::default()
    };
    Taken { measurement, facts: measured.facts }
}

async fn resumed(
    context: &Context,
    providers: &Providers,
    metric: &Measurable,
    redactor: &Redactor,
    place: &Place,
    begun: Begun<'_>,
) -> Taken {
    let Some((key, settings)) = metric.spec.providers.iter().next() else {
        return failed("no provider specified".to_owned());
    };
    let request = Request { settings, redactor, now: context.clock.now(), place, retries: 0 };
    let mut taken = progressed(providers.resume(key, &request, begun).await);
    // An error says nothing of what was begun, by which people find it.
    if taken.measurement.metadata.is_empty() {
        taken.measurement.metadata = begun.metadata.clone();
    }
    taken
}

fn progressed(progress: Result<Progress, ProviderError>) -> Taken {
    let Progress { phase, message, resume_at, metadata } = match progress {
        Ok(progress) => progress,
        Err(error) => return failed(error.to_string()),
    };
    let measurement = Measurement { phase, message, resume_at, metadata, ..Measurement::default() };
    Taken { measurement, facts: BTreeMap::new() }
}
