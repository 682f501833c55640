//! The adapter on EKS.

use async_trait::async_trait;
use aws_sdk_eks::types as sdk;

use super::call::Caller;
use super::convert::{incomplete, timestamp};
use super::pages;
use crate::{AwsError, ClusterDescription, ClusterStatus, Clusters, Scope};

const LIST_CLUSTERS: &str = "eks:ListClusters";
const DESCRIBE_CLUSTER: &str = "eks:DescribeCluster";

/// EKS through the AWS SDK.
pub struct SdkClusters {
    caller: Caller,
}

impl SdkClusters {
    pub(super) fn new(caller: Caller) -> Self {
        Self { caller }
    }
}

#[async_trait]
impl Clusters for SdkClusters {
    async fn list(&self, scope: &Scope) -> Result<Vec<String>, AwsError> {
        let names = pages::all(LIST_CLUSTERS, |token| async move {
            let page = self
                .caller
                .read(scope, LIST_CLUSTERS, |clients| {
                    let request = clients.eks.list_clusters().set_next_token(token.clone());
                    async move { request.send().await }
                })
                .await?;
            Ok((page.clusters.unwrap_or_default(), page.next_token))
        });
        let mut names = names.await?;
        names.sort();
        names.dedup();
        Ok(names)
    }

    async fn describe(&self, scope: &Scope, name: &str) -> Result<ClusterDescription, AwsError> {
        let answer = self.caller.read(scope, DESCRIBE_CLUSTER, |clients| {
            let request = clients.eks.describe_cluster().name(name);
            async move { request.send().await }
        });
        let cluster = answer.await?.cluster;
        description_from(cluster.ok_or_else(|| incomplete(DESCRIBE_CLUSTER, "the cluster"))?)
    }
}

fn description_from(cluster: sdk::Cluster) -> Result<ClusterDescription, AwsError> {
    let name = cluster.name;
    let authority = cluster.certificate_authority.and_then(|authority| authority.data);
    Ok(ClusterDescription {
        name: name.ok_or_else(|| incomplete(DESCRIBE_CLUSTER, "the name of the cluster"))?,
        arn: cluster.arn.unwrap_or_default(),
        status: cluster
            .status
            .map_or_else(|| ClusterStatus::Other(String::new()), |status| status_from(status.as_str())),
        endpoint: cluster.endpoint.filter(|endpoint| !endpoint.is_empty()),
        certificate_authority: authority.filter(|data| !data.is_empty()),
        version: cluster.version,
        created: cluster.created_at.as_ref().and_then(timestamp),
        tags: cluster.tags.unwrap_or_default().into_iter().collect(),
    })
}

fn status_from(status: &str) -> ClusterStatus {
    match status {
        "CREATING" => ClusterStatus::Creating,
        "ACTIVE" => ClusterStatus::Active,
        "UPDATING" => ClusterStatus::Updating,
        "DELETING" => ClusterStatus::Deleting,
        "FAILED" => ClusterStatus::Failed,
        "PENDING" => ClusterStatus::Pending,
        other => ClusterStatus::Other(other.to_owned()),
    }
}
