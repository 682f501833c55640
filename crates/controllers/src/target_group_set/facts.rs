//! What a cluster secret tells of its cluster: what templates may name, and
//! whether it is going away. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use okra_api::foreign::cluster_secret::ClusterSecret;
use okra_api::names::{
    ANNOTATION_CLUSTER_STATUS, ANNOTATION_EKS_TAGS, ANNOTATION_KUBERNETES_VERSION, ANNOTATION_SOURCE,
};
use okra_api::template::ClusterFacts;

use crate::cluster_set::desired::DELETING;

/// Whether AWS is deleting the cluster: nothing of it counts any more.
pub fn is_leaving(secret: &Secret) -> bool {
    secret.annotations().get(ANNOTATION_CLUSTER_STATUS).is_some_and(|status| status == DELETING)
}

/// What templates may name of the cluster. A secret that no ClusterSet made
/// tells its name and address only.
pub fn facts(secret: &Secret) -> ClusterFacts {
    let annotation = |key: &str| secret.annotations().get(key).cloned().unwrap_or_default();
    let cluster = ClusterSecret::from_secret(secret).unwrap_or_default();
    let arn =
        Some(annotation(ANNOTATION_SOURCE)).filter(|source| source.starts_with("arn:")).unwrap_or_default();
    let part = |index: usize| arn.splitn(6, ':').nth(index).unwrap_or_default().to_owned();
    let tags: BTreeMap<String, String> =
        serde_json::from_str(&annotation(ANNOTATION_EKS_TAGS)).unwrap_or_default();
    let name = cluster.config.aws_auth_config.map(|aws| aws.cluster_name).filter(|name| !name.is_empty());
    ClusterFacts {
        name: name.unwrap_or(cluster.name),
        region: part(3),
        account_id: part(4),
        arn,
        version: annotation(ANNOTATION_KUBERNETES_VERSION),
        endpoint: cluster.server,
        tags,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_of_a_cluster_set_tells_what_discovery_knew() {
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": "web-1", "annotations": {
                ANNOTATION_SOURCE: "arn:aws:eks:eu-west-1:123456789012:cluster/Web_1",
                ANNOTATION_EKS_TAGS: r#"{"site":"north"}"#, ANNOTATION_KUBERNETES_VERSION: "1.36",
            }},
            "stringData": {
                "name": "Web_1", "server": "https://x", "config": r#"{"awsAuthConfig":{"clusterName":"Web_1"}}"#,
            },
        }))
        .unwrap();
        let facts = facts(&secret);
        assert_eq!((facts.name.as_str(), facts.region.as_str()), ("Web_1", "eu-west-1"));
        assert_eq!((facts.account_id.as_str(), facts.version.as_str()), ("123456789012", "1.36"));
        assert_eq!((facts.endpoint.as_str(), facts.tags["site"].as_str()), ("https://x", "north"));
        assert!(!is_leaving(&secret));
    }
}
