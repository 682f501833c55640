//! From an AnalysisRun as it is stored to one that can be planned and
//! measured (`spec/analysis.md` 1.7 to 1.9).

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use okra_api::AnalysisRun;
use okra_api::analysis::{AnalysisRunSpec, Argument, ExtensionError};
use okra_api::names::ANNOTATION_TERMINATED_BY;
use okra_domain::analysis::comparison::window_arguments;
use okra_domain::analysis::substitute::{
    ArgumentSource, Arguments, PLANNING_SECRET, SecretKey, SubstitutionError, Values,
};
use okra_domain::analysis::{
    InvalidMetric, InvalidRun, Metric, MetricSpec, Retention, Run, RunSpec, RunStatus, TerminatedBy,
    TtlStrategy,
};
use okra_providers::{Conditions, InvalidCondition, ProviderError, Providers, retry_limit};
use regex::Regex;
use serde_json::Value;
use thiserror::Error;

use super::compare::Look;

/// Why a run cannot be run at all; the message is what its status shows.
#[derive(Debug, Error)]
pub enum Unusable {
    /// A placeholder or argument.
    #[error("Unable to resolve metric arguments: {0}")]
    Arguments(#[from] SubstitutionError),
    /// The annotation that adds fields to metrics.
    #[error("Analysis spec invalid: {0}")]
    Extensions(#[from] ExtensionError),
    /// A field of a metric.
    #[error("Analysis spec invalid: metrics[{index}]: {error}")]
    Metric {
        /// Place in the list.
        index: usize,
        /// What is wrong with it.
        error: InvalidMetric,
    },
    /// A rule of `spec/analysis.md` 1.8 or 1.9.
    #[error(transparent)]
    Run(#[from] InvalidRun),
    /// A condition that is no expression.
    #[error("Analysis spec invalid: metric {metric:?}: {error}")]
    Condition {
        /// Name of the metric.
        metric: String,
        /// What is wrong with it.
        error: InvalidCondition,
    },
    /// A provider that is not available, or settings that cannot work.
    #[error("Analysis spec invalid: metric {metric:?}: {error}")]
    Provider {
        /// Name of the metric.
        metric: String,
        /// What is wrong with it.
        error: ProviderError,
    },
}

/// The arguments of a run.
pub fn arguments(spec: &AnalysisRunSpec) -> Arguments {
    spec.args.iter().map(|argument| (argument.name.clone(), source(argument))).collect()
}

fn source(argument: &Argument) -> ArgumentSource {
    if let Some(value) = &argument.value {
        return ArgumentSource::Literal(value.clone());
    }
    let secret = argument.value_from.as_ref().and_then(|from| from.secret_key_ref.as_ref());
    secret.map_or(ArgumentSource::Missing, |secret| {
        ArgumentSource::Secret(SecretKey { name: secret.name.clone(), key: secret.key.clone() })
    })
}

/// The run of an object, as [`prepare`] makes it.
///
/// # Errors
/// With the first fault.
pub fn prepared(run: &AnalysisRun, providers: &Providers) -> Result<Run, Unusable> {
    prepare(&run.effective_spec()?, terminated_by(run), providers)
}

/// Who asked the run to stop, as far as they say; else it was a user.
fn terminated_by(run: &AnalysisRun) -> Option<TerminatedBy> {
    let word = run.annotations().get(ANNOTATION_TERMINATED_BY)?;
    serde_json::from_value(Value::from(word.as_str())).ok()
}

/// A run that can be planned: everything that can be checked before the first
/// measurement is checked, with placeholders in place of secrets.
///
/// # Errors
/// With the first fault.
fn prepare(
    spec: &AnalysisRunSpec,
    terminated_by: Option<TerminatedBy>,
    providers: &Providers,
) -> Result<Run, Unusable> {
    let values = arguments(spec).for_planning()?;
    let metrics = spec.metrics.iter().map(|raw| planned(raw, &values).substitute(raw));
    let metrics: Vec<Value> = metrics.collect::<Result<_, SubstitutionError>>()?;
    let specs = metrics.iter().enumerate().map(|(index, metric)| metric_spec(index, metric));
    let run = Run::new(run_spec(spec, specs.collect::<Result<_, _>>()?, terminated_by), name_matches)?;
    for (metric, raw) in run.metrics().iter().zip(&metrics) {
        let name = || metric.spec.name.clone();
        retry_limit(raw).map_err(|error| Unusable::Provider { metric: name(), error })?;
        Conditions::compile(&metric.spec.success_condition, &metric.spec.failure_condition)
            .map_err(|error| Unusable::Condition { metric: name(), error })?;
        check_providers(metric, providers).map_err(|error| Unusable::Provider { metric: name(), error })?;
    }
    Ok(run)
}

/// The provider of a metric, and that of its baseline.
fn check_providers(metric: &Metric, providers: &Providers) -> Result<(), ProviderError> {
    let baseline = metric.spec.baseline.as_ref().map(|comparison| &comparison.provider);
    for (key, settings) in std::iter::once(&metric.provider).chain(baseline) {
        // With a secret in it, an address may be right that looks wrong now.
        let hidden = settings.to_string().contains(PLANNING_SECRET) && providers.has(key);
        if let Err(error) = providers.check(key, settings)
            && !hidden
        {
            return Err(error);
        }
        if baseline.is_some() && providers.is_background(key) {
            let message = format!("a comparison needs providers that answer at once, which {key} does not");
            return Err(ProviderError::new(message));
        }
    }
    Ok(())
}

/// The length of the window with which the queries of a comparison are planned.
const PLANNED_WINDOW: SignedDuration = SignedDuration::from_mins(1);

/// The values for planning a metric: one with a baseline may also name the
/// window of a look, of which only the next one is known.
fn planned(metric: &Value, values: &Values) -> Values {
    let since = Timestamp::UNIX_EPOCH;
    let until = since.saturating_add(PLANNED_WINDOW).unwrap_or(since);
    if metric["baseline"].is_object() {
        values.clone().with(window_arguments(since, until))
    } else {
        values.clone()
    }
}

fn metric_spec(index: usize, metric: &Value) -> Result<MetricSpec, Unusable> {
    MetricSpec::from_json(metric).map_err(|error| Unusable::Metric { index, error })
}

fn run_spec(
    spec: &AnalysisRunSpec,
    metrics: Vec<MetricSpec>,
    terminated_by: Option<TerminatedBy>,
) -> RunSpec {
    let ttl = spec.ttl_strategy.clone().unwrap_or_default();
    RunSpec {
        metrics,
        dry_run: spec.dry_run.iter().map(|rule| rule.metric_name.clone()).collect(),
        retention: spec
            .measurement_retention
            .iter()
            .map(|rule| Retention { pattern: rule.metric_name.clone(), limit: rule.limit })
            .collect(),
        terminate: spec.terminate.unwrap_or(false),
        terminated_by,
        ttl: TtlStrategy {
            seconds_after_completion: ttl.seconds_after_completion,
            seconds_after_failure: ttl.seconds_after_failure,
            seconds_after_success: ttl.seconds_after_success,
        },
    }
}

/// Whether an unanchored pattern is found in a name; one that cannot be read matches nothing.
fn name_matches(pattern: &str, name: &str) -> bool {
    Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(name))
}

/// One metric with real values: with the settings of its provider, secrets
/// included.
pub struct Measurable {
    /// What to measure.
    pub spec: MetricSpec,
    /// How often a failure that may pass is met with another try.
    pub retries: u32,
    /// Of a comparison, which window is looked at.
    pub look: Option<Look>,
}

/// The metric of this name, for measuring at this time.
///
/// # Errors
/// When the metric is gone or an argument has no value.
pub fn metric_for_measuring(
    run: &AnalysisRun,
    name: &str,
    values: &Values,
    now: Timestamp,
) -> Result<Measurable, Unusable> {
    for (index, raw) in run.effective_spec()?.metrics.iter().enumerate() {
        let metric = planned(raw, values).substitute(raw)?;
        let spec = metric_spec(index, &metric)?;
        if spec.name != name {
            continue;
        }
        let retries =
            retry_limit(&metric).map_err(|error| Unusable::Provider { metric: name.to_owned(), error })?;
        let Some(comparison) = &spec.baseline else { return Ok(Measurable { spec, retries, look: None }) };
        let look = Look::at(&status(run), name, comparison.kind, now);
        let spec = metric_spec(index, &values.clone().with(look.arguments()).substitute(raw)?)?;
        return Ok(Measurable { spec, retries, look: Some(look) });
    }
    Err(SubstitutionError::Unknown(name.to_owned()).into())
}

/// The recorded state of a run. A status that cannot be read counts as none:
/// the run then begins anew, which is safe, as it only measures.
pub fn status(run: &AnalysisRun) -> RunStatus {
    let Some(stored) = &run.status else { return RunStatus::default() };
    serde_json::to_value(stored).and_then(serde_json::from_value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use okra_api::analysis::AnalysisRunStatus;
    use serde_json::json;

    use super::*;

    fn spec(value: Value) -> AnalysisRunSpec {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_run_without_a_value_for_an_argument_is_unusable() {
        let spec =
            spec(json!({"args": [{"name": "limit"}], "metrics": [{"name": "m", "count": "{{args.limit}}"}]}));
        let message = prepare(&spec, None, &Providers::new()).unwrap_err().to_string();
        assert_eq!(message, "Unable to resolve metric arguments: argument \"limit\" was not supplied");
    }

    #[test]
    fn conditions_and_providers_are_checked_before_the_first_measurement() {
        let metric =
            |condition: &str| json!({"name": "m", "successCondition": condition, "provider": {"web": {}}});
        let run = spec(json!({"metrics": [metric("reslt < 1")]}));
        let message = prepare(&run, None, &Providers::new()).unwrap_err().to_string();
        assert!(message.contains("unknown name reslt"), "{message}");
        let run = spec(json!({"metrics": [metric("result < 1")]}));
        let message = prepare(&run, None, &Providers::new()).unwrap_err().to_string();
        assert!(message.contains("\"web\" is not supported"), "{message}");
        let mut run = spec(json!({"metrics": [metric("result < 1")]}));
        run.metrics[0]["providerRetryLimit"] = json!(50);
        let message = prepare(&run, None, &Providers::new()).unwrap_err().to_string();
        assert!(message.contains("providerRetryLimit must be a whole number from 0 to 5"), "{message}");
    }

    #[test]
    fn an_address_that_is_a_secret_is_looked_at_when_it_is_known() {
        let metric = json!({"name": "m", "provider": {"web": {"url": "{{args.url}}"}}});
        let secret = json!({"name": "url", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}});
        let providers = Providers::for_checking();
        assert!(prepare(&spec(json!({"metrics": [metric], "args": [secret]})), None, &providers).is_ok());
        let literal = json!({"name": "url", "value": "temp"});
        let message = prepare(&spec(json!({"metrics": [metric], "args": [literal]})), None, &providers);
        assert!(message.unwrap_err().to_string().contains("url needs http://"));
    }

    #[test]
    fn a_status_survives_the_way_through_the_api() {
        let object = json!({
            "metadata": {"name": "r"}, "spec": {"metrics": []},
            "status": {"phase": "Running", "startedAt": "2026-01-01T00:00:00Z", "metricResults": [{
                "name": "m", "phase": "Running", "count": 2, "successful": 1, "failed": 1,
                "measurements": [{"phase": "Failed", "value": "0.2", "finishedAt": "2026-01-01T00:00:05Z"}],
            }]},
        });
        let run: AnalysisRun = serde_json::from_value(object).unwrap();
        let read = status(&run);
        assert_eq!(read.metric("m").unwrap().counters.failed, 1);
        let stored: AnalysisRunStatus = serde_json::from_value(serde_json::to_value(&read).unwrap()).unwrap();
        assert_eq!(stored.metric_results, run.status.unwrap().metric_results);
    }
}
