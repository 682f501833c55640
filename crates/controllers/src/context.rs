//! What every controller is handed.

use std::fmt::Debug;
use std::sync::Arc;

use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use okra_aws::{Clusters, LoadBalancers, Metrics as CloudWatch, Region, Targets};
use okra_clock::{Entropy, SharedClock};

use crate::events::Events;
use crate::fence::Fence;
use crate::members::MemberClients;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::writer::Writer;

/// Client, ports, time, chance and settings. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The management API.
    pub client: Client,
    /// Load balancers of all regions.
    pub load_balancers: Arc<dyn LoadBalancers>,
    /// Targets of target groups of all regions.
    pub targets: Arc<dyn Targets>,
    /// EKS clusters.
    pub clusters: Arc<dyn Clusters>,
    /// CloudWatch.
    pub cloudwatch: Arc<dyn CloudWatch>,
    /// The region of environment, profile or flag, for what names none.
    pub region: Option<Region>,
    /// Clients for member clusters.
    pub members: Arc<dyn MemberClients>,
    /// Time.
    pub clock: SharedClock,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// Flags.
    pub settings: Arc<Settings>,
    /// Whether this process may still write.
    pub fence: Fence,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

impl Context {
    /// The same for another term of leadership.
    pub fn with_fence(mut self, fence: Fence) -> Self {
        self.fence = fence;
        self
    }

    /// Objects of a kind in the watched namespaces.
    pub fn watched<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        match &self.settings.watch_namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    /// Objects of a kind in one namespace.
    pub fn namespaced<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Writes to the management API, each through the fence.
    pub fn writer(&self) -> Writer {
        Writer::new(self.client.clone(), self.fence.clone(), self.metrics.clone())
    }

    /// Events of a controller named `controller`.
    pub fn events(&self, controller: &'static str) -> Events {
        Events::new(
            self.client.clone(),
            self.clock.clone(),
            self.fence.clone(),
            controller,
            self.settings.identity.clone(),
        )
    }
}

impl Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("settings", &self.settings)
            .field("fence", &self.fence)
            .finish_non_exhaustive()
    }
}
