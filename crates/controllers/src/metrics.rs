//! Counters of the controllers, served by [`crate::health`].

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicI64;

use okra_aws::Meaning;
use okra_aws::sdk::CallObserver;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::analysis::AnalysisMetrics;
use crate::cluster_set::metrics::DiscoveryMetrics;

/// Buckets from 1 ms, doubled 14 times, to 16 s: a reconcile without a call
/// takes one, an AWS call that is given up 5,000.
const FIRST_BUCKET_SECONDS: f64 = 0.001;
const BUCKETS: u16 = 15;

/// What a reconcile of a kind came to.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct ReconcileLabels {
    /// Name of the controller.
    pub controller: &'static str,
    /// `ok` or the reason of the error, an enum's word.
    pub outcome: &'static str,
}

/// Which controller.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct ControllerLabels {
    /// Name of the controller.
    pub controller: &'static str,
}

/// What became of a call.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct CallLabels {
    /// IAM action, such as `elasticloadbalancing:ModifyRule`.
    pub operation: &'static str,
    /// `ok` or what the error means.
    pub outcome: &'static str,
}

/// What became of a write to the management API.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct WriteLabels {
    /// Kind of the object.
    pub kind: String,
    /// `ok`, `conflict`, `fenced` or `error`.
    pub outcome: &'static str,
}

/// All counters of the controllers.
pub struct Metrics {
    registry: Mutex<Registry>,
    /// Reconciles by outcome.
    pub reconciles: Family<ReconcileLabels, Counter>,
    /// How long reconciles take.
    pub reconcile_seconds: Family<ControllerLabels, Histogram, fn() -> Histogram>,
    /// Writes to the management API by outcome.
    pub writes: Family<WriteLabels, Counter>,
    /// Calls to AWS by outcome.
    pub aws_calls: Family<CallLabels, Counter>,
    /// How long calls to AWS take.
    pub aws_call_seconds: Family<ControllerLabels, Histogram, fn() -> Histogram>,
    /// Objects whose spec or status cannot be read.
    pub malformed_objects: Family<ControllerLabels, Gauge>,
    /// What analyses find.
    pub analysis: AnalysisMetrics,
    /// Discovery of clusters.
    pub discovery: DiscoveryMetrics,
    /// 1 while this process leads.
    pub leader: Gauge<i64, AtomicI64>,
    /// Epoch of the present or last term.
    pub leader_epoch: Gauge<i64, AtomicI64>,
}

fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(FIRST_BUCKET_SECONDS, 2.0, BUCKETS))
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Counters at zero.
    pub fn new() -> Self {
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("okra")),
            reconciles: Family::default(),
            reconcile_seconds: Family::new_with_constructor(histogram),
            writes: Family::default(),
            aws_calls: Family::default(),
            aws_call_seconds: Family::new_with_constructor(histogram),
            malformed_objects: Family::default(),
            analysis: AnalysisMetrics::default(),
            discovery: DiscoveryMetrics::default(),
            leader: Gauge::default(),
            leader_epoch: Gauge::default(),
        };
        metrics.register_all();
        metrics
    }

    fn register_all(&self) {
        self.register(|registry| {
            registry.register("reconciles", "Reconciles by outcome", self.reconciles.clone());
            registry.register(
                "reconcile_seconds",
                "How long reconciles take",
                self.reconcile_seconds.clone(),
            );
            registry.register(
                "kubernetes_writes",
                "Writes to the management API by outcome",
                self.writes.clone(),
            );
            registry.register("aws_calls", "Calls to AWS by outcome", self.aws_calls.clone());
            registry.register(
                "aws_call_seconds",
                "How long calls to AWS take",
                self.aws_call_seconds.clone(),
            );
            registry.register(
                "malformed_objects",
                "Objects whose spec or status cannot be read",
                self.malformed_objects.clone(),
            );
            self.analysis.register(registry);
            self.discovery.register(registry);
            registry.register("leader", "1 while this process leads", self.leader.clone());
            registry.register("leader_epoch", "Epoch of the present or last term", self.leader_epoch.clone());
        });
    }

    /// Adds metrics of a controller's own, below the prefix `okra_`.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A reconcile of `controller` ended.
    pub fn reconciled(&self, controller: &'static str, outcome: &'static str, seconds: f64) {
        self.reconciles.get_or_create(&ReconcileLabels { controller, outcome }).inc();
        self.reconcile_seconds.get_or_create(&ControllerLabels { controller }).observe(seconds);
    }

    /// All counters in the text format of Prometheus.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

impl CallObserver for Metrics {
    fn call_finished(&self, operation: &'static str, meaning: Option<Meaning>, seconds: f64) {
        let outcome = meaning.map_or("ok", outcome_of);
        self.aws_calls.get_or_create(&CallLabels { operation, outcome }).inc();
        let labels = ControllerLabels { controller: operation };
        self.aws_call_seconds.get_or_create(&labels).observe(seconds);
    }
}

fn outcome_of(meaning: Meaning) -> &'static str {
    match meaning {
        Meaning::Absent => "absent",
        Meaning::Exists => "exists",
        Meaning::Throttled => "throttled",
        Meaning::Denied => "denied",
        Meaning::Conflict => "conflict",
        Meaning::Invalid => "invalid",
        Meaning::ExpiredCredentials => "expired_credentials",
        Meaning::Unavailable => "unavailable",
        Meaning::UnknownOutcome => "unknown_outcome",
        Meaning::Unsupported => "unsupported",
        Meaning::NotLeader => "not_leader",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_carry_the_prefix_and_enum_words_only() {
        let metrics = Metrics::new();
        metrics.reconciled("cell", "ok", 0.01);
        metrics.call_finished("eks:ListClusters", Some(Meaning::Denied), 0.1);
        let text = metrics.text();
        assert!(text.contains(r#"okra_reconciles_total{controller="cell",outcome="ok"} 1"#), "{text}");
        let calls = r#"okra_aws_calls_total{operation="eks:ListClusters",outcome="denied"} 1"#;
        assert!(text.contains(calls), "{text}");
    }
}
