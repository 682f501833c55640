//! What an operator can set about the controllers.

use std::time::Duration;

use okra_domain::cell::WeightMode;

use crate::analysis::MetricSources;

/// Flags of the controllers; every default is that of `spec/okra.md` 4.1 and 8,
/// that of the delay of metrics is `spec/aws.md` 5.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How often what has no watch is verified: rules on AWS, discovery.
    pub sync_period: Duration,
    /// How often target health is read while somebody waits for it.
    pub health_poll: Duration,
    /// How often target health is read otherwise.
    pub health_poll_idle: Duration,
    /// How late the points of CloudWatch may come.
    pub metric_delay: Duration,
    /// For Cells that name no weight mode.
    pub weight_mode: WeightMode,
    /// Only objects of this namespace; all when absent.
    pub watch_namespace: Option<String>,
    /// CIDR blocks that web metrics may reach although they are loopback,
    /// link-local and so on (`spec/analysis.md` 3).
    pub metric_addresses: Vec<String>,
    /// What providers of metrics know besides what a metric says.
    pub metric_sources: MetricSources,
    /// Name of this process in leases and events, unique for each start.
    pub identity: String,
}

impl Settings {
    /// The defaults, for a process of this name.
    pub fn new(identity: impl Into<String>) -> Self {
        Self {
            sync_period: Duration::from_secs(30),
            health_poll: Duration::from_secs(2),
            health_poll_idle: Duration::from_secs(5 * 60),
            metric_delay: Duration::from_secs(3 * 60),
            weight_mode: WeightMode::Absolute,
            watch_namespace: None,
            metric_addresses: Vec::new(),
            metric_sources: MetricSources::default(),
            identity: identity.into(),
        }
    }
}
