//! What analyses find, as metrics of the controller (`spec/analysis.md` 2.10-7).

use std::sync::atomic::{AtomicI64, AtomicU64};

use okra_domain::analysis::{Phase, Run, RunStatus};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What a measurement came to.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct MeasurementLabels {
    /// Key of the provider in the metric.
    pub provider: String,
    /// `Successful`, `Failed`, `Inconclusive` or `Error`.
    pub phase: &'static str,
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct PhaseLabels {
    /// `Successful`, `Failed`, `Inconclusive` or `Error`.
    pub phase: &'static str,
}

/// Which metric of which run. The series ends with the run.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct MetricLabels {
    /// Namespace of the run.
    pub namespace: String,
    /// Name of the run.
    pub run: String,
    /// Name of the metric.
    pub metric: String,
}

/// Figures of all runs.
#[derive(Debug, Default)]
pub struct AnalysisMetrics {
    measurements: Family<MeasurementLabels, Counter>,
    runs: Family<PhaseLabels, Counter>,
    value: Family<MetricLabels, Gauge<f64, AtomicU64>>,
    failed: Family<MetricLabels, Gauge<i64, AtomicI64>>,
    failure_limit: Family<MetricLabels, Gauge<i64, AtomicI64>>,
}

impl AnalysisMetrics {
    /// Adds them to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("analysis_measurements", "Measurements by outcome", self.measurements.clone());
        registry.register("analysis_runs", "Ended runs by outcome", self.runs.clone());
        registry.register("analysis_value", "Newest value of a metric under way", self.value.clone());
        registry.register(
            "analysis_failed",
            "Failed measurements of a metric under way",
            self.failed.clone(),
        );
        registry.register(
            "analysis_failure_limit",
            "Failed measurements that a metric under way bears; -1 is no limit",
            self.failure_limit.clone(),
        );
    }

    /// A finished measurement of the metric was entered, or is about to be;
    /// `status` has it.
    pub fn measured(&self, run: &Run, status: &RunStatus, labels: &MetricLabels) {
        let Some((metric, result)) = run.metric(&labels.metric).zip(status.metric(&labels.metric)) else {
            return;
        };
        let Some(last) = result.measurements.last().filter(|last| !last.is_unfinished()) else { return };
        let outcome = MeasurementLabels { provider: metric.provider.0.clone(), phase: last.phase.as_str() };
        self.measurements.get_or_create(&outcome).inc();
        if status.phase.is_terminal() {
            return;
        }
        if let Some(value) = number(&last.value) {
            self.value.get_or_create(labels).set(value);
        }
        self.failed.get_or_create(labels).set(result.counters.failed.into());
        self.failure_limit.get_or_create(labels).set(metric.spec.failure_limit);
    }

    /// A run ended: its series end too.
    pub fn ended(&self, phase: Phase, metrics: impl Iterator<Item = MetricLabels>) {
        self.runs.get_or_create(&PhaseLabels { phase: phase.as_str() }).inc();
        for labels in metrics {
            self.value.remove(&labels);
            self.failed.remove(&labels);
            self.failure_limit.remove(&labels);
        }
    }
}

/// The number in the text of a value: alone, or the only one of a list.
fn number(text: &str) -> Option<f64> {
    text.trim_start_matches('[').trim_end_matches(']').trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_is_a_figure_and_nothing_else() {
        assert_eq!((number("0.5"), number("[0.5]"), number("[[2]]")), (Some(0.5), Some(0.5), Some(2.0)));
        assert_eq!((number("[1, 2]"), number("{}"), number(""), number("fast")), (None, None, None, None));
        assert!(number("NaN").is_some_and(f64::is_nan));
    }
}
