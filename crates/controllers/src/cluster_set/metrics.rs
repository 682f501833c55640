//! Counters of discovery.

use std::sync::atomic::AtomicI64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What a discovery came to.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct DiscoveryLabels {
    /// `complete` or the reason why not, an enum's word.
    pub outcome: &'static str,
}

/// What was done with a cluster secret.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct SecretLabels {
    /// `created`, `updated`, `adopted`, `deleted` or `failed`.
    pub outcome: &'static str,
}

/// Which ClusterSet. There are a handful of them.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct SetLabels {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub cluster_set: String,
}

/// Counters of all ClusterSets.
#[derive(Debug, Default)]
pub struct DiscoveryMetrics {
    /// Discoveries by outcome.
    pub discoveries: Family<DiscoveryLabels, Counter>,
    /// Writes and deletions of cluster secrets.
    pub secrets: Family<SecretLabels, Counter>,
    /// Clusters that a set selects.
    pub clusters: Family<SetLabels, Gauge<i64, AtomicI64>>,
    /// When a set was last read to its end, seconds since 1970.
    pub last_complete: Family<SetLabels, Gauge<i64, AtomicI64>>,
}

impl DiscoveryMetrics {
    /// Adds them to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("discoveries", "Discoveries by outcome", self.discoveries.clone());
        registry.register("cluster_secrets", "Writes of cluster secrets by outcome", self.secrets.clone());
        registry.register("discovered_clusters", "Clusters that a ClusterSet selects", self.clusters.clone());
        registry.register(
            "last_complete_discovery_timestamp_seconds",
            "When a ClusterSet was last read to its end",
            self.last_complete.clone(),
        );
    }

    /// Counts one discovery.
    pub fn discovered(&self, outcome: &'static str) {
        self.discoveries.get_or_create(&DiscoveryLabels { outcome }).inc();
    }

    /// Counts one secret.
    pub fn secret(&self, outcome: &'static str) {
        self.secrets.get_or_create(&SecretLabels { outcome }).inc();
    }

    /// Forgets a set that is gone.
    pub fn forget(&self, set: &SetLabels) {
        self.clusters.remove(set);
        self.last_complete.remove(set);
    }
}
