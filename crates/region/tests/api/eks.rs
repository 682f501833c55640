//! Clusters, their life, and the tokens that open them.

use std::sync::Arc;

use aws_sdk_eks as eks;
use aws_sdk_sts as sts;
use eks::error::ProvideErrorMetadata as _;
use eks::types::{AccessScope, AccessScopeType, ClusterStatus, VpcConfigRequest};
use okra_region::{Options, Region};

use crate::common::{Clusters, region, sdk, sdk_with, until};

async fn create(client: &eks::Client, name: &str) -> eks::types::Cluster {
    let network = VpcConfigRequest::builder().subnet_ids("subnet-1a").subnet_ids("subnet-1b").build();
    let created = client
        .create_cluster()
        .name(name)
        .version("1.34")
        .role_arn("arn:aws:iam::123456789012:role/eks")
        .resources_vpc_config(network)
        .tags("role", "web")
        .send()
        .await
        .unwrap();
    created.cluster().unwrap().clone()
}

async fn describe(client: &eks::Client, name: &str) -> Option<eks::types::Cluster> {
    let described = client.describe_cluster().name(name).send().await;
    match described {
        Ok(described) => described.cluster().cloned(),
        Err(error) => {
            assert_eq!(error.code(), Some("ResourceNotFoundException"));
            assert_eq!(error.raw_response().unwrap().status().as_u16(), 404);
            None
        }
    }
}

async fn until_status(client: &eks::Client, name: &str, status: ClusterStatus) {
    until("the status", || async { describe(client, name).await.unwrap().status() == Some(&status) }).await;
}

#[tokio::test]
async fn a_cluster_lives_from_creating_to_gone() {
    let clusters = Arc::new(Clusters::default());
    let region = Region::start(Options::new(clusters.clone())).await.unwrap();
    let client = eks::Client::new(&sdk(&region));
    let created = create(&client, "web-1").await;
    assert_eq!((created.status(), created.endpoint()), (Some(&ClusterStatus::Creating), None));
    until_status(&client, "web-1", ClusterStatus::Active).await;
    let cluster = describe(&client, "web-1").await.unwrap();
    assert_eq!(cluster.endpoint(), Some("https://127.0.0.1:6443/web-1"));
    assert!(
        cluster
            .certificate_authority()
            .unwrap()
            .data()
            .unwrap()
            .starts_with("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0t")
    );
    assert_eq!(cluster.tags().unwrap()["role"], "web");

    let arn = cluster.arn().unwrap();
    client.tag_resource().resource_arn(arn).tags("version", "1").send().await.unwrap();
    client.untag_resource().resource_arn(arn).tag_keys("role").send().await.unwrap();
    let tags = client.list_tags_for_resource().resource_arn(arn).send().await.unwrap();
    assert_eq!(tags.tags().unwrap().len(), 1);

    let skipped = client.update_cluster_version().name("web-1").version("1.36").send().await.unwrap_err();
    assert_eq!(skipped.code(), Some("InvalidParameterException"));
    let update = client.update_cluster_version().name("web-1").version("1.35").send().await.unwrap();
    let id = update.update().unwrap().id().unwrap().to_owned();
    until_status(&client, "web-1", ClusterStatus::Active).await;
    let update = client.describe_update().name("web-1").update_id(id).send().await.unwrap();
    assert_eq!(update.update().unwrap().status().unwrap().as_str(), "Successful");
    assert_eq!(describe(&client, "web-1").await.unwrap().version(), Some("1.35"));

    let deleted = client.delete_cluster().name("web-1").send().await.unwrap();
    assert_eq!(deleted.cluster().unwrap().status(), Some(&ClusterStatus::Deleting));
    until("the cluster is gone", || async { describe(&client, "web-1").await.is_none() }).await;
    assert_eq!(*clusters.asked.lock().unwrap(), ["create web-1 1.34", "version web-1 1.35", "delete web-1"]);
    region.shutdown().await;
}

#[tokio::test]
async fn clusters_are_listed_by_page_and_failures_shown() {
    let region = region().await;
    let client = eks::Client::new(&sdk(&region));
    for name in ["a", "b", "broken"] {
        create(&client, name).await;
    }
    let names: Vec<String> = client
        .list_clusters()
        .into_paginator()
        .page_size(2)
        .items()
        .send()
        .collect::<Result<_, _>>()
        .await
        .unwrap();
    assert_eq!(names, ["a", "b", "broken"]);
    until_status(&client, "broken", ClusterStatus::Failed).await;
    let broken = describe(&client, "broken").await.unwrap();
    let issue = broken.health().unwrap().issues()[0].message().unwrap().to_owned();
    assert!(issue.contains("no port is left"), "{issue}");
    let network = VpcConfigRequest::builder().build();
    let again = client.create_cluster().name("a").role_arn("arn:aws:iam::123456789012:role/eks");
    let again = again.resources_vpc_config(network).send().await.unwrap_err();
    assert_eq!(again.code(), Some("ResourceInUseException"));
    assert_eq!(again.raw_response().unwrap().status().as_u16(), 409);
    region.shutdown().await;
}

#[tokio::test]
async fn assumed_roles_sign_and_access_entries_let_them_in() {
    let region = region().await;
    let own = sdk(&region);
    let client = eks::Client::new(&own);
    create(&client, "web-1").await;
    let sts_client = sts::Client::new(&own);
    let role = "arn:aws:iam::123456789012:role/okra-member";
    let assumed = sts_client.assume_role().role_arn(role).role_session_name("demo").send().await.unwrap();
    let keys = assumed.credentials().unwrap();
    let token = Some(keys.session_token());
    let as_role = sdk_with(&region, keys.access_key_id(), keys.secret_access_key(), token);
    let identity = sts::Client::new(&as_role).get_caller_identity().send().await.unwrap();
    assert_eq!(identity.arn(), Some("arn:aws:sts::123456789012:assumed-role/okra-member/demo"));
    assert_eq!(identity.account(), Some("123456789012"));

    let without_token = sdk_with(&region, keys.access_key_id(), keys.secret_access_key(), None);
    let refused = sts::Client::new(&without_token).get_caller_identity().send().await.unwrap_err();
    assert_eq!(refused.code(), Some("InvalidClientTokenId"));

    client
        .create_access_entry()
        .cluster_name("web-1")
        .principal_arn(role)
        .kubernetes_groups("okra:reader")
        .send()
        .await
        .unwrap();
    let scope = AccessScope::builder().r#type(AccessScopeType::Cluster).build();
    client
        .associate_access_policy()
        .cluster_name("web-1")
        .principal_arn(role)
        .policy_arn("arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy")
        .access_scope(scope)
        .send()
        .await
        .unwrap();
    let entries = client.list_access_entries().cluster_name("web-1").send().await.unwrap();
    assert_eq!(entries.access_entries(), [role, "arn:aws:iam::123456789012:user/okra-local"]);
    region.shutdown().await;
}
