//! What analysis measures with, put together.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Secret;
use okra_aws::RequestSigner;
use okra_providers::{
    AddressPolicy, Client, CloudWatch, Datadog, DatadogCredentials, Graphite, InfluxDb, Job, Network,
    NewRelic, Prometheus, ProviderError, Providers, Proxies, SecretScope, SecretStore, Web,
};

use super::jobs::KubeJobs;
use crate::Context;

/// What providers of metrics know besides what a metric says; the variables
/// are those of Argo Rollouts.
#[derive(Clone)]
pub struct MetricSources {
    /// okra's own namespace, in which the Secrets of `datadog`, `newRelic`
    /// and `influxdb` are, unless a metric names one of its own.
    pub namespace: String,
    /// For `prometheus` metrics without an address.
    pub prometheus_address: Option<String>,
    /// For all `job` metrics, instead of the namespace of their run.
    pub job_namespace: Option<String>,
    /// For `datadog` metrics that name no Secret.
    pub datadog: Option<DatadogCredentials>,
    /// Through which metrics reach the network.
    pub proxies: Proxies,
    /// For `prometheus` metrics that ask for `sigv4`.
    pub signer: Option<Arc<dyn RequestSigner>>,
}

impl Default for MetricSources {
    fn default() -> Self {
        Self {
            namespace: "default".to_owned(),
            prometheus_address: None,
            job_namespace: None,
            datadog: None,
            proxies: Proxies::none(),
            signer: None,
        }
    }
}

impl fmt::Debug for MetricSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricSources").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl MetricSources {
    /// What environment variables say, from a look-up of them.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            prometheus_address: variable("ARGO_ROLLOUTS_PROMETHEUS_ADDRESS"),
            job_namespace: variable("ARGO_ROLLOUTS_ANALYSIS_JOB_NAMESPACE"),
            datadog: DatadogCredentials::from_variables(variable),
            ..Self::default()
        }
    }
}

/// All providers. A network that cannot be read allows nothing.
pub fn providers(context: &Context) -> Providers {
    let allowed = context.settings.metric_addresses.iter().filter_map(|text| {
        let parsed: Result<Network, _> = text.parse();
        parsed.inspect_err(|error| tracing::warn!(text, %error, "not a network; it is not allowed")).ok()
    });
    let sources = &context.settings.metric_sources;
    let client = Client::through(AddressPolicy::allowing(allowed), sources.proxies.clone());
    let mut prometheus =
        Prometheus::new(client.clone()).with_default_address(sources.prometheus_address.clone());
    if let Some(signer) = &sources.signer {
        prometheus = prometheus.with_signer(signer.clone());
    }
    let jobs = Job::new(Arc::new(KubeJobs::new(context.clone()))).in_namespace(sources.job_namespace.clone());
    Providers::new()
        .with("prometheus", Arc::new(prometheus))
        .with("datadog", Arc::new(Datadog::new(client.clone(), sources.datadog.clone())))
        .with("cloudWatch", Arc::new(CloudWatch::new(context.cloudwatch.clone(), context.region.clone())))
        .with("web", Arc::new(Web::new(client.clone())))
        .with("newRelic", Arc::new(NewRelic::new(client.clone())))
        .with("graphite", Arc::new(Graphite::new(client.clone())))
        .with("influxdb", Arc::new(InfluxDb::new(client)))
        .with_background("job", Arc::new(jobs))
        .with_secrets(Arc::new(ApiSecrets { context: context.clone() }))
}

/// Secrets of the management API.
struct ApiSecrets {
    context: Context,
}

impl fmt::Debug for ApiSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiSecrets")
    }
}

#[async_trait]
impl SecretStore for ApiSecrets {
    async fn read(
        &self,
        scope: SecretScope<'_>,
        name: &str,
    ) -> Result<Option<BTreeMap<String, String>>, ProviderError> {
        let namespace = match scope {
            SecretScope::Namespace(namespace) => namespace,
            SecretScope::Controller => &self.context.settings.metric_sources.namespace,
        };
        let secret = self.context.namespaced::<Secret>(namespace).get_opt(name).await;
        let secret = secret
            .map_err(|error| ProviderError::caused_by(format!("secret '{name}' cannot be read"), error))?;
        Ok(secret.map(|secret| {
            let entries = secret.data.unwrap_or_default().into_iter();
            entries.filter_map(|(key, value)| Some((key, String::from_utf8(value.0).ok()?))).collect()
        }))
    }
}
