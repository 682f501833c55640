//! Providers that check settings and measure nothing, for what works without a network.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use okra_aws::{
    AwsError, Meaning, MetricQuery, MetricSeries, MetricWindow, Metrics, Region, RequestSigner, Scope,
    SignedRequest, SigningIdentity,
};
use serde_json::Value as Json;

use crate::address::AddressPolicy;
use crate::http::Client;
use crate::job::{Created, JobClusters, JobPlace};
use crate::provider::ProviderError;
use crate::{CloudWatch, Datadog, Graphite, InfluxDb, Job, NewRelic, Prometheus, Providers, Web};

/// What stands for settings of okra itself that a template may rely on.
const SOME_ADDRESS: &str = "http://prometheus.invalid";
const SOME_REGION: &str = "us-east-1";

impl Providers {
    /// All providers, to check settings with; none of them reaches anything. What okra itself may
    /// be configured with, such as a region, counts as given.
    pub fn for_checking() -> Self {
        let client = Client::new(AddressPolicy::default());
        let prometheus = Prometheus::new(client.clone())
            .with_default_address(Some(SOME_ADDRESS.to_owned()))
            .with_signer(Arc::new(Nowhere));
        Self::new()
            .with("prometheus", Arc::new(prometheus))
            .with("datadog", Arc::new(Datadog::new(client.clone(), None)))
            .with("cloudWatch", Arc::new(CloudWatch::new(Arc::new(Nowhere), Some(Region::new(SOME_REGION)))))
            .with("web", Arc::new(Web::new(client.clone())))
            .with("newRelic", Arc::new(NewRelic::new(client.clone())))
            .with("graphite", Arc::new(Graphite::new(client.clone())))
            .with("influxdb", Arc::new(InfluxDb::new(client)))
            .with_background("job", Arc::new(Job::new(Arc::new(Nowhere))))
    }
}

/// Every port, leading nowhere.
#[derive(Debug, Clone, Copy)]
struct Nowhere;

fn nowhere<T>() -> Result<T, ProviderError> {
    Err(ProviderError::new("nothing is measured while checking"))
}

fn nowhere_on_aws<T>(operation: &'static str) -> Result<T, AwsError> {
    Err(AwsError::new(Meaning::Unavailable, operation, "Checking", "nothing is measured while checking"))
}

#[async_trait]
impl Metrics for Nowhere {
    async fn query(
        &self,
        _: &Scope,
        _: MetricWindow,
        _: &[MetricQuery],
    ) -> Result<Vec<MetricSeries>, AwsError> {
        nowhere_on_aws("cloudwatch:GetMetricData")
    }
}

#[async_trait]
impl RequestSigner for Nowhere {
    async fn sign(
        &self,
        _: &SigningIdentity,
        _: &str,
        _: &SignedRequest<'_>,
        _: Timestamp,
    ) -> Result<Vec<(String, String)>, AwsError> {
        nowhere_on_aws("sigv4")
    }
}

#[async_trait]
impl JobClusters for Nowhere {
    async fn create(&self, _: &JobPlace, _: &Json) -> Result<Created, ProviderError> {
        nowhere()
    }

    async fn job(&self, _: &JobPlace, _: &str) -> Result<Option<Json>, ProviderError> {
        nowhere()
    }

    async fn jobs(&self, _: &JobPlace, _: &str) -> Result<Vec<Json>, ProviderError> {
        nowhere()
    }

    async fn delete(&self, _: &JobPlace, _: &str) -> Result<(), ProviderError> {
        nowhere()
    }

    async fn pods(&self, _: &JobPlace, _: &str) -> Result<Vec<Json>, ProviderError> {
        nowhere()
    }

    async fn log(&self, _: &JobPlace, _: &str, _: &str, _: u32) -> Result<String, ProviderError> {
        nowhere()
    }
}
