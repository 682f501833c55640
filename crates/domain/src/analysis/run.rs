//! A run whose spec has been checked (`spec/analysis.md` 1.8, 1.9).

use std::collections::BTreeSet;

use jiff::SignedDuration;
use thiserror::Error;

use super::lifetime::TtlStrategy;
use super::{Consequence, MetricSpec, Phase, TerminatedBy, parse_duration};

/// A run as it is written, after substitution.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunSpec {
    /// What to measure.
    pub metrics: Vec<MetricSpec>,
    /// Patterns that name metrics without influence on the verdict.
    pub dry_run: Vec<String>,
    /// How many measurements to keep.
    pub retention: Vec<Retention>,
    /// Whether the run shall stop.
    pub terminate: bool,
    /// On whose word, where that is known; else a user's.
    pub terminated_by: Option<TerminatedBy>,
    /// When it is deleted after its end.
    pub ttl: TtlStrategy,
}

/// How many measurements to keep of the metrics whose name fits a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Pattern, matched anywhere in the name.
    pub pattern: String,
    /// How many; below 1 is the default.
    pub limit: i64,
}

/// A run that can be planned.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub(super) metrics: Vec<Metric>,
    pub(super) terminate: bool,
    pub(super) terminated_by: Option<TerminatedBy>,
    pub(super) ttl: TtlStrategy,
}

/// A metric that can be planned.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// The metric as it is written.
    pub spec: MetricSpec,
    /// Time between measurements.
    pub interval: Option<SignedDuration>,
    /// Time before the first measurement.
    pub initial_delay: Option<SignedDuration>,
    /// Measurements that end the metric; `None` is no end.
    pub count: Option<u32>,
    /// Key and settings of the provider.
    pub provider: (String, serde_json::Value),
    /// Whether it has no influence on the verdict.
    pub dry_run: bool,
    /// Measurements to keep.
    pub retention: usize,
}

/// A spec that cannot be run. The message is what status shows.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("Analysis spec invalid: {0}")]
pub struct InvalidRun(String);

/// Measurements kept of a metric that no rule names.
const DEFAULT_RETENTION: usize = 10;

/// Measurements kept at most: with 20 metrics, status then stays far below what the API accepts.
const MAX_RETENTION: usize = 100;

impl Run {
    /// Checks a spec. `name_matches` says whether a pattern is found in a name; a pattern that
    /// cannot be read matches nothing.
    ///
    /// # Errors
    ///
    /// With the first rule of `spec/analysis.md` 1.9 or 1.8 that is broken.
    pub fn new(spec: RunSpec, name_matches: impl Fn(&str, &str) -> bool) -> Result<Self, InvalidRun> {
        if spec.metrics.is_empty() {
            return Err(InvalidRun("no metrics specified".to_owned()));
        }
        let mut names = BTreeSet::new();
        let mut metrics = Vec::new();
        for (place, metric) in spec.metrics.iter().enumerate() {
            let invalid = |reason: String| InvalidRun(format!("metrics[{place}]: {reason}"));
            if !names.insert(&metric.name) {
                return Err(invalid(format!("duplicate name '{}'", metric.name)));
            }
            metrics.push(Metric::new(metric.clone()).map_err(invalid)?);
        }
        for (place, pattern) in spec.dry_run.iter().enumerate() {
            apply_rule("dryRun", place, pattern, &mut metrics, &name_matches, |metric| {
                metric.dry_run = true
            })?;
        }
        for (place, rule) in spec.retention.iter().enumerate() {
            let limit = usize::try_from(rule.limit).ok().filter(|limit| *limit > 0);
            apply_rule(
                "measurementRetention",
                place,
                &rule.pattern,
                &mut metrics,
                &name_matches,
                |metric| {
                    let kept = limit.unwrap_or(DEFAULT_RETENTION).min(MAX_RETENTION);
                    metric.retention = kept.max(metric.retention_needed());
                },
            )?;
        }
        let RunSpec { terminate, terminated_by, ttl, .. } = spec;
        Ok(Self { metrics, terminate, terminated_by, ttl })
    }

    /// The metrics in their order.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// The metric of a name.
    pub fn metric(&self, name: &str) -> Option<&Metric> {
        self.metrics.iter().find(|metric| metric.spec.name == name)
    }

    /// Whether every metric ends by itself; an inline step must not wait for one that does not.
    pub fn first_endless_metric(&self) -> Option<&Metric> {
        self.metrics.iter().find(|metric| metric.count.is_none())
    }

    /// What is allowed but hardly meant.
    pub fn warnings(&self) -> Vec<String> {
        let cannot_fail = self.metrics.iter().filter(|metric| {
            let limit = metric.spec.failure_limit;
            metric.count.is_some_and(|count| limit >= i64::from(count))
        });
        cannot_fail
            .map(|metric| {
                let (name, limit) = (&metric.spec.name, metric.spec.failure_limit);
                let count = metric.count.unwrap_or_default();
                format!("metric {name:?} cannot fail: failureLimit ({limit}) >= count ({count})")
            })
            .collect()
    }
}

fn apply_rule(
    list: &str,
    place: usize,
    pattern: &str,
    metrics: &mut [Metric],
    name_matches: &impl Fn(&str, &str) -> bool,
    apply: impl Fn(&mut Metric),
) -> Result<(), InvalidRun> {
    let mut applied = false;
    for metric in metrics.iter_mut().filter(|metric| name_matches(pattern, &metric.spec.name)) {
        apply(metric);
        applied = true;
    }
    if applied {
        return Ok(());
    }
    Err(InvalidRun(format!("{list}[{place}]: Rule didn't match any metric name(s)")))
}

impl Metric {
    fn new(spec: MetricSpec) -> Result<Self, String> {
        check_limits(&spec)?;
        check_count(&spec)?;
        let duration = |text: &str, message: &str| match text {
            "" => Ok(None),
            text => parse_duration(text).map(Some).map_err(|error| format!("{message}: {error}")),
        };
        let interval = duration(&spec.interval, "invalid interval string")?;
        let initial_delay = duration(&spec.initial_delay, "invalid startDelay string")?;
        let initial_delay = initial_delay.or_else(|| first_window(&spec, interval));
        if spec.baseline.is_some() && initial_delay.is_none() {
            return Err(
                "baseline needs an interval or an initialDelay: before, there is no window".to_owned()
            );
        }
        let mut providers = spec.providers.iter();
        let provider = match (providers.next(), providers.next()) {
            (None, _) => return Err("no provider specified".to_owned()),
            (Some(_), Some(_)) => return Err("multiple providers specified".to_owned()),
            (Some((key, settings)), None) => (key.clone(), settings.clone()),
        };
        let count = match (spec.count, interval) {
            (..1, Some(_)) => None,
            (..1, None) => Some(1),
            (count, _) => Some(u32::try_from(count).unwrap_or(u32::MAX)),
        };
        let metric = Self { spec, interval, initial_delay, count, provider, dry_run: false, retention: 0 };
        Ok(Self { retention: DEFAULT_RETENTION.max(metric.retention_needed()), ..metric })
    }

    /// Measurements that must be kept for failures in a row to be counted.
    fn retention_needed(&self) -> usize {
        let limit = self.spec.consecutive_failure_limit.and_then(|limit| usize::try_from(limit).ok());
        limit.map_or(0, |limit| limit.saturating_add(1))
    }

    /// What an end of this metric means for the run (`spec/analysis.md` 2.10-2).
    pub(super) fn consequence(&self, phase: Phase) -> Phase {
        let chosen = match phase {
            Phase::Inconclusive => self.spec.on_inconclusive,
            Phase::Error => self.spec.on_error,
            _ => None,
        };
        match chosen {
            None => phase,
            Some(Consequence::Pause) => Phase::Inconclusive,
            // An error stays one by name; what ends badly is all the same to a rollout.
            Some(Consequence::Abort) if phase == Phase::Error => Phase::Error,
            Some(Consequence::Abort) => Phase::Failed,
            Some(Consequence::Continue) => Phase::Successful,
        }
    }
}

/// A comparison looks at the time since the last look: the first one needs some too.
fn first_window(spec: &MetricSpec, interval: Option<SignedDuration>) -> Option<SignedDuration> {
    interval.filter(|_| spec.baseline.is_some())
}

fn check_limits(spec: &MetricSpec) -> Result<(), String> {
    if spec.consecutive_success_limit < 0 {
        return Err("consecutiveSuccessLimit must be >= 0".to_owned());
    }
    if spec.failure_limit < -1 {
        return Err("failureLimit must be >= 0, or -1 to be disabled".to_owned());
    }
    let no_failure_limit = spec.failure_limit == -1 && spec.consecutive_failure_limit.is_none();
    if no_failure_limit && spec.consecutive_success_limit == 0 {
        return Err("failureLimit and consecutiveSuccessLimit cannot both be disabled".to_owned());
    }
    if spec.inconclusive_limit < 0 {
        return Err("inconclusiveLimit must be >= 0".to_owned());
    }
    if spec.consecutive_error_limit < 0 {
        return Err("consecutiveErrorLimit must be >= 0".to_owned());
    }
    let streak = i64::try_from(MAX_RETENTION).unwrap_or(i64::MAX);
    if spec.consecutive_failure_limit.is_some_and(|limit| !(0..streak).contains(&limit)) {
        return Err(format!("consecutiveFailureLimit must be >= 0 and < {streak}"));
    }
    if spec.baseline.is_some() && !(spec.success_condition.is_empty() && spec.failure_condition.is_empty()) {
        return Err("baseline judges in place of conditions: both cannot be set".to_owned());
    }
    Ok(())
}

fn check_count(spec: &MetricSpec) -> Result<(), String> {
    let (count, failures, successes) = (spec.count, spec.failure_limit, spec.consecutive_success_limit);
    if count > 0 {
        if failures >= 0 && count < failures + successes {
            return Err(format!(
                "count ({count}) must be >= failureLimit + consecutiveSuccessLimit \
                 ({failures} + {successes}) if both >= 0"
            ));
        }
        if count < successes {
            return Err("count must be >= consecutiveSuccessLimit".to_owned());
        }
        if count < spec.inconclusive_limit {
            return Err("count must be >= inconclusiveLimit".to_owned());
        }
    }
    if count > 1 && spec.interval.is_empty() {
        return Err("interval must be specified when count > 1".to_owned());
    }
    Ok(())
}
