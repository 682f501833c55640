//! AWSTargetGroupSet over member clusters of the embedded region: real API
//! servers, reached over TLS with tokens that the region's STS judges.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use okra_api::{AWSTargetGroup, AWSTargetGroupSet, ClusterSet};
use serde_json::{Value, json};

use crate::region::RegionWorld;
use crate::world::until;

fn clusters() -> Value {
    json!({
        "generators": [{"awseks": {"selector": {"matchTags": {"service": "web"}}}}],
        "template": {"metadata": {"labels": {"service": "web"}}},
    })
}

fn groups() -> Value {
    json!({
        "generators": [{"awseks": {
            "clusterSelector": {"matchLabels": {"service": "web"}},
            "bindingSelector": {"matchLabels": {"role": "web"}},
        }}],
        "template": {"metadata": {"labels": {"site": "{{.tags.site}}"}}},
    })
}

/// Two members with a binding each, discovered and gathered.
async fn two_members() -> RegionWorld {
    let region = RegionWorld::start().await;
    for (name, site) in [("web-1", "north"), ("web-2", "south")] {
        region.cluster(name, &[("service", "web"), ("site", site)]).await;
        let group = region.group(name).await;
        let labels = json!({"role": "web", "okra.mumo.co/version": "1.0.0"});
        region.bind(name, "web", labels, &group).await;
    }
    region.world.create::<ClusterSet>("web", clusters()).await;
    region.world.create::<AWSTargetGroupSet>("web", groups()).await;
    region.world.until_groups(&["web-1-default-web", "web-2-default-web"]).await;
    region
}

#[tokio::test]
async fn h_53_equal_bindings_of_two_clusters_become_two_groups() {
    let region = two_members().await;
    region.world.until_reason::<AWSTargetGroupSet>("web", "Synced").await;
    let groups = region.world.groups().await;
    assert_eq!(groups[0].labels()["okra.mumo.co/target-group-binding-cluster"], "web-1");
    assert_eq!(
        (groups[0].labels()["site"].as_str(), groups[1].labels()["site"].as_str()),
        ("north", "south")
    );
    assert_eq!(groups[0].labels()["okra.mumo.co/version"], "1.0.0");
    assert_ne!(groups[0].spec.arn, groups[1].spec.arn);
    // What a member says no more is said no more; what somebody else says stays.
    let mine = json!({"metadata": {"labels": {"mine": "1"}}});
    region.world.patch::<AWSTargetGroup>("web-1-default-web", mine).await;
    let group = groups[0].spec.arn.parse().unwrap();
    region
        .bind("web-1", "web", json!({"role": "web", "okra.mumo.co/version": "2.0.0", "new": "1"}), &group)
        .await;
    until("the new version", || async {
        let labels = region.world.groups().await[0].labels().clone();
        (labels["okra.mumo.co/version"] == "2.0.0" && labels["mine"] == "1").then_some(())
    })
    .await;
    region.bind("web-1", "web", json!({"role": "web", "okra.mumo.co/version": "2.0.0"}), &group).await;
    until("the label is gone", || async {
        (!region.world.groups().await[0].labels().contains_key("new")).then_some(())
    })
    .await;
    region.unbind("web-1", "web").await;
    region.world.until_groups(&["web-2-default-web"]).await;
}

#[tokio::test]
async fn h_57_a_member_that_cannot_be_reached_keeps_its_groups() {
    let region = two_members().await;
    region.cut_off("web-1").await;
    let status = region.world.until_reason::<AWSTargetGroupSet>("web", "ClusterUnreachable").await;
    assert_eq!(status["clusters"]["unreachable"], json!(["web-1"]));
    let group = region.group("more").await;
    region.bind("web-2", "more", json!({"role": "web"}), &group).await;
    region.world.until_groups(&["web-1-default-web", "web-2-default-more", "web-2-default-web"]).await;
}

#[tokio::test]
async fn sc_33_groups_of_a_cluster_being_deleted_go_at_once() {
    let region = two_members().await;
    let mark = json!({"metadata": {"annotations": {"okra.mumo.co/cluster-status": "DELETING"}}});
    // By somebody else's hand, as ClusterSet's own mark needs a cluster that goes.
    let params = PatchParams::default();
    region.world.api::<Secret>().patch("web-1", &params, &Patch::Merge(mark)).await.unwrap();
    region.world.until_groups(&["web-2-default-web"]).await;
}

#[tokio::test]
async fn a_cluster_that_is_deleted_takes_its_groups_and_then_its_secret() {
    let region = two_members().await;
    region.sdk.provisioning(region.scope.clone()).delete_cluster("web-1").await.unwrap();
    region.world.until_groups(&["web-2-default-web"]).await;
    region.world.until_secrets(&["web-2"]).await;
    region.world.until_reason::<ClusterSet>("web", "Synced").await;
}

/// The role has no access entry in the cluster: creator-only access.
#[tokio::test]
async fn sc_12_a_role_that_is_not_let_in_is_told_the_command_and_then_let_in() {
    let region = RegionWorld::start().await;
    region.cluster("web-1", &[("service", "web")]).await;
    let group = region.group("web-1").await;
    region.bind("web-1", "web", json!({"role": "web"}), &group).await;
    let role = "arn:aws:iam::123456789012:role/spoke";
    let mut journal = region.region.journal();
    let mut spec = clusters();
    spec["generators"][0]["awseks"]["roleARN"] = json!(role);
    spec["generators"][0]["awseks"]["externalID"] = json!("x-1");
    spec["generators"][0]["awseks"]["sessionName"] = json!("okra-web");
    region.world.create::<ClusterSet>("web", spec).await;
    let mut wanted = groups();
    wanted["template"] = json!({});
    region.world.create::<AWSTargetGroupSet>("web", wanted).await;
    let status = region
        .world
        .until_status::<AWSTargetGroupSet>("web", |status| {
            status["message"].as_str().is_some_and(|text| text.contains("create-access-entry"))
        })
        .await;
    let command = format!(
        "aws eks create-access-entry --cluster-name web-1 --principal-arn {role} \
         --kubernetes-groups okra:reader --region us-east-1"
    );
    assert!(status["message"].as_str().unwrap().contains(&command), "{status}");
    assert!(region.world.groups().await.is_empty());
    let provisioning = region.sdk.provisioning(region.scope.clone());
    provisioning.access_entry("web-1", role, &["okra:reader"]).await.unwrap();
    // Known now, but not yet allowed to read.
    region
        .world
        .until_status::<AWSTargetGroupSet>("web", |status| {
            status["message"].as_str().is_some_and(|text| text.contains("bound to a ClusterRole"))
        })
        .await;
    region.let_read("web-1", "okra:reader").await;
    region.world.until_groups(&["web-1-default-web"]).await;
    // Every session was asked for with the external id of the set.
    let mut sessions = 0;
    while let Ok(call) = journal.try_recv() {
        if call.action == "AssumeRole" {
            sessions += 1;
            assert_eq!(call.parameters["ExternalId"], "x-1");
            assert_eq!(call.parameters["RoleArn"], role);
        }
    }
    assert!(sessions > 0);
}

#[tokio::test]
async fn h_62_the_groups_of_a_set_go_with_it_also_under_the_go_programs_finalizer() {
    let region = two_members().await;
    let finalizer = json!({"metadata": {"finalizers": ["okra.mumo.co"]}});
    region.world.patch::<AWSTargetGroupSet>("web", finalizer).await;
    region.world.delete::<AWSTargetGroupSet>("web").await;
    region.world.until_groups(&[]).await;
}
