//! Ports behind which there is nothing, for tests and benchmarks that do not
//! use them.

use std::collections::BTreeSet;

use async_trait::async_trait;
use kube::Client;
use okra_api::foreign::cluster_secret::ClusterSecret;
use okra_aws::{
    AwsError, ClusterDescription, Clusters, MetricQuery, MetricSeries, MetricWindow, Metrics, Scope, Target,
    TargetHealth, Targets, Write,
};
use okra_controllers::members::{MemberClients, MemberError};
use okra_domain::TargetGroupArn;

/// An account without clusters; whoever asks for more fails the test.
pub(crate) struct Nothing;

pub(crate) const UNASKED: &str = "nobody here asks this port";

#[async_trait]
impl Clusters for Nothing {
    async fn list(&self, _: &Scope) -> Result<Vec<String>, AwsError> {
        Ok(Vec::new())
    }

    async fn describe(&self, _: &Scope, _: &str) -> Result<ClusterDescription, AwsError> {
        unreachable!("{UNASKED}")
    }
}

#[async_trait]
impl Targets for Nothing {
    async fn registered(&self, _: &TargetGroupArn) -> Result<Vec<TargetHealth>, AwsError> {
        unreachable!("{UNASKED}")
    }

    async fn register(&self, _: Write<'_>, _: &TargetGroupArn, _: &BTreeSet<Target>) -> Result<(), AwsError> {
        unreachable!("{UNASKED}")
    }

    async fn deregister(
        &self,
        _: Write<'_>,
        _: &TargetGroupArn,
        _: &BTreeSet<Target>,
    ) -> Result<(), AwsError> {
        unreachable!("{UNASKED}")
    }
}

#[async_trait]
impl Metrics for Nothing {
    async fn query(
        &self,
        _: &Scope,
        _: MetricWindow,
        _: &[MetricQuery],
    ) -> Result<Vec<MetricSeries>, AwsError> {
        unreachable!("{UNASKED}")
    }
}

#[async_trait]
impl MemberClients for Nothing {
    async fn client(&self, _: &ClusterSecret) -> Result<Client, MemberError> {
        unreachable!("{UNASKED}")
    }
}
