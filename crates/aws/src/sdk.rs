//! The adapters of the ports on the AWS SDK.

mod call;
mod clients;
mod clusters;
mod convert;
mod credentials;
mod failure;
mod identity;
mod limiter;
mod load_balancers;
mod metrics;
mod pages;
mod provisioning;
mod rules;
mod settings;
mod signer;
mod targets;

use std::sync::Arc;

use okra_clock::{Entropy, SharedClock};

pub use clusters::SdkClusters;
pub use identity::{CallerIdentity, SdkIdentity};
pub use limiter::Budget;
pub use load_balancers::SdkLoadBalancers;
pub use metrics::SdkMetrics;
pub use provisioning::{NewTargetGroup, SdkProvisioning};
pub use settings::{AccessKey, SdkSettings, StaticKeys};
pub use signer::SdkSigner;

use crate::{Meaning, Region, Scope};
use call::Caller;
use clients::Clients;

/// Told about every call, for metrics and logs.
pub trait CallObserver: Send + Sync + 'static {
    /// A request was answered or failed. `meaning` is `None` on success;
    /// `seconds` is the time from sending to the answer, without waiting for
    /// the budget.
    fn call_finished(&self, operation: &'static str, meaning: Option<Meaning>, seconds: f64);
}

/// An observer that does not look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl CallObserver for Unobserved {
    fn call_finished(&self, _: &'static str, _: Option<Meaning>, _: f64) {}
}

/// All adapters, sharing credentials and connections.
#[derive(Clone)]
pub struct Sdk {
    clients: Arc<Clients>,
    parts: Parts,
    budget: Budget,
}

/// What every adapter needs besides the clients.
#[derive(Clone)]
struct Parts {
    clock: SharedClock,
    entropy: Arc<dyn Entropy>,
    observer: Arc<dyn CallObserver>,
}

impl Sdk {
    /// Reads the configuration (environment, profile files) and makes the
    /// adapters. No request is sent: wrong credentials show with the first call.
    pub async fn load(
        settings: SdkSettings,
        clock: SharedClock,
        entropy: Arc<dyn Entropy>,
        observer: Arc<dyn CallObserver>,
    ) -> Self {
        let budget = settings.budget;
        let clients = Arc::new(Clients::load(settings).await);
        Self { clients, parts: Parts { clock, entropy, observer }, budget }
    }

    /// The region of the environment, profile or settings, if one is named.
    pub fn default_region(&self) -> Option<Region> {
        self.clients.default_region()
    }

    /// Load balancers of all regions.
    pub fn load_balancers(&self) -> SdkLoadBalancers {
        SdkLoadBalancers::new(self.caller())
    }

    /// EKS clusters.
    pub fn clusters(&self) -> SdkClusters {
        SdkClusters::new(self.caller())
    }

    /// CloudWatch.
    pub fn metrics(&self) -> SdkMetrics {
        SdkMetrics::new(self.caller())
    }

    /// Who okra is on AWS, and logins to member clusters.
    pub fn identity(&self) -> SdkIdentity {
        SdkIdentity::new(self.caller())
    }

    /// Signatures for services that okra calls by hand.
    pub fn signer(&self) -> SdkSigner {
        SdkSigner::new(self.caller())
    }

    /// Makes load balancers, target groups and clusters: for demo and rehearsal.
    pub fn provisioning(&self, scope: Scope) -> SdkProvisioning {
        SdkProvisioning::new(self.caller(), scope)
    }

    /// A caller with buckets of its own: AWS counts each service apart.
    fn caller(&self) -> Caller {
        Caller::new(self.clients.clone(), self.parts.clone(), self.budget)
    }
}

impl std::fmt::Debug for Sdk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sdk").field("budget", &self.budget).finish_non_exhaustive()
    }
}
