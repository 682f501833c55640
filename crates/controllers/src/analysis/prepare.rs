//! From an AnalysisRun as it is stored to one that can be planned and
//! measured (`spec/analysis.md` 1.7 to 1.9).

use okra_api::AnalysisRun;
use okra_api::analysis::{AnalysisRunSpec, AnalysisRunStatus, Argument, ExtensionError};
use okra_domain::analysis::substitute::{
    ArgumentSource, Arguments, PLANNING_SECRET, SecretKey, SubstitutionError, Values,
};
use okra_domain::analysis::{
    InvalidMetric, InvalidRun, MetricSpec, Retention, Run, RunSpec, RunStatus, TtlStrategy,
};
use okra_providers::{Conditions, InvalidCondition, ProviderError, Providers, retry_limit};
use regex::Regex;
use serde_json::Value;
use thiserror::Error;

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
    prepare(&run.effective_spec()?, providers)
}

/// A run that can be planned: everything that can be checked before the first
/// measurement is checked, with placeholders in place of secrets.
///
/// # Errors
/// With the first fault.
fn prepare(spec: &AnalysisRunSpec, providers: &Providers) -> Result<Run, Unusable> {
    let values = arguments(spec).for_planning()?;
    let metrics = spec
        .metrics
        .iter()
        .enumerate()
        .map(|(index, metric)| metric_spec(index, metric, &values))
        .collect::<Result<Vec<_>, _>>()?;
    let run = Run::new(run_spec(spec, metrics), name_matches)?;
    for (metric, raw) in run.metrics().iter().zip(&spec.metrics) {
        let name = || metric.spec.name.clone();
        let retries = values.substitute(raw).map(|raw| retry_limit(&raw))?;
        retries.map_err(|error| Unusable::Provider { metric: name(), error })?;
        Conditions::compile(&metric.spec.success_condition, &metric.spec.failure_condition)
            .map_err(|error| Unusable::Condition { metric: name(), error })?;
        let (key, settings) = &metric.provider;
        // With a secret in it, an address may be right that looks wrong now.
        let hidden = settings.to_string().contains(PLANNING_SECRET) && providers.has(key);
        if let Err(error) = providers.check(key, settings)
            && !hidden
        {
            return Err(Unusable::Provider { metric: name(), error });
        }
    }
    Ok(run)
}

fn metric_spec(index: usize, metric: &Value, values: &Values) -> Result<MetricSpec, Unusable> {
    let metric = values.substitute(metric)?;
    MetricSpec::from_json(&metric).map_err(|error| Unusable::Metric { index, error })
}

fn run_spec(spec: &AnalysisRunSpec, metrics: Vec<MetricSpec>) -> RunSpec {
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
        terminated_by: None,
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
}

/// The metric of this name, for measuring.
///
/// # Errors
/// When the metric is gone or an argument has no value.
pub fn metric_for_measuring(run: &AnalysisRun, name: &str, values: &Values) -> Result<Measurable, Unusable> {
    for (index, metric) in run.effective_spec()?.metrics.iter().enumerate() {
        let metric = values.substitute(metric)?;
        let spec = MetricSpec::from_json(&metric).map_err(|error| Unusable::Metric { index, error })?;
        if spec.name == name {
            let retries = retry_limit(&metric)
                .map_err(|error| Unusable::Provider { metric: name.to_owned(), error })?;
            return Ok(Measurable { spec, retries });
        }
    }
    Err(SubstitutionError::Unknown(name.to_owned()).into())
}

/// The recorded state of a run. A status that cannot be read counts as none:
/// the run then begins anew, which is safe, as it only measures.
pub fn status(run: &AnalysisRun) -> RunStatus {
    let stored = serde_json::to_value(run.status.clone().unwrap_or_default()).unwrap_or_default();
    serde_json::from_value(stored).unwrap_or_default()
}

/// The same in the words of the API.
pub fn stored(status: &RunStatus) -> AnalysisRunStatus {
    let value = serde_json::to_value(status).expect("a status holds only text, numbers and times");
    serde_json::from_value(value).expect("the domain writes the shape of the API")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(value: Value) -> AnalysisRunSpec {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_run_without_a_value_for_an_argument_is_unusable() {
        let spec =
            spec(json!({"args": [{"name": "limit"}], "metrics": [{"name": "m", "count": "{{args.limit}}"}]}));
        let message = prepare(&spec, &Providers::new()).unwrap_err().to_string();
        assert_eq!(message, "Unable to resolve metric arguments: argument \"limit\" was not supplied");
    }

    #[test]
    fn conditions_and_providers_are_checked_before_the_first_measurement() {
        let metric =
            |condition: &str| json!({"name": "m", "successCondition": condition, "provider": {"web": {}}});
        let run = spec(json!({"metrics": [metric("reslt < 1")]}));
        let message = prepare(&run, &Providers::new()).unwrap_err().to_string();
        assert!(message.contains("unknown name reslt"), "{message}");
        let run = spec(json!({"metrics": [metric("result < 1")]}));
        let message = prepare(&run, &Providers::new()).unwrap_err().to_string();
        assert!(message.contains("\"web\" is not supported"), "{message}");
        let mut run = spec(json!({"metrics": [metric("result < 1")]}));
        run.metrics[0]["providerRetryLimit"] = json!(50);
        let message = prepare(&run, &Providers::new()).unwrap_err().to_string();
        assert!(message.contains("providerRetryLimit must be a whole number from 0 to 5"), "{message}");
    }

    #[test]
    fn an_address_that_is_a_secret_is_looked_at_when_it_is_known() {
        let metric = json!({"name": "m", "provider": {"web": {"url": "{{args.url}}"}}});
        let secret = json!({"name": "url", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}});
        let providers = Providers::for_checking();
        assert!(prepare(&spec(json!({"metrics": [metric], "args": [secret]})), &providers).is_ok());
        let literal = json!({"name": "url", "value": "temp"});
        let message = prepare(&spec(json!({"metrics": [metric], "args": [literal]})), &providers);
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
        assert_eq!(stored(&read).metric_results, run.status.unwrap().metric_results);
    }
}
