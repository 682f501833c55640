//! ClusterSet, over an account in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use okra_api::foreign::cluster_secret::ClusterSecret;
use okra_api::{AWSTargetGroupSet, ClusterSet};
use okra_aws::{ClusterStatus, Meaning, Region, Role, Scope};
use serde_json::{Value, json};

use crate::fake::{FakeEks, own};
use crate::world::{NAMESPACE, Ports, World, encoded, management, until};

const MARKER: &str = "okra.mumo.co/clusterset";

/// Clusters tagged `role: web`, labelled `service: web`.
fn web() -> Value {
    json!({
        "generators": [{"awseks": {"selector": {"matchTags": {"role": "web"}}}}],
        "template": {"metadata": {"labels": {"service": "web"}}},
    })
}

async fn start(names: &[&str]) -> (Arc<FakeEks>, World) {
    let eks = Arc::new(FakeEks::default());
    names.iter().for_each(|name| eks.add(name));
    let world = World::start(Ports::of(eks.clone())).await;
    (eks, world)
}

/// Waits until this many more discoveries have begun, so that whatever the
/// ones before them led to has been written.
async fn discoveries(eks: &FakeEks, count: u32) {
    let before = eks.calls().0;
    until("more discoveries", || async { (eks.calls().0 >= before + count).then_some(()) }).await;
}

fn server(secret: &Secret) -> String {
    ClusterSecret::from_secret(secret).unwrap().server
}

#[tokio::test]
async fn every_selected_cluster_gets_a_secret_that_argo_cd_can_use() {
    let (eks, world) = start(&["web-1", "web-2"]).await;
    eks.add_to(&own("us-east-1"), "123456789012", "elsewhere");
    let set: ClusterSet = world.create("web", web()).await;
    world.until_secrets(&["web-1", "web-2"]).await;
    let status = world.until_reason::<ClusterSet>("web", "Synced").await;
    assert_eq!((&status["secrets"], &status["clusters"]["names"]), (&json!(2), &json!(["web-1", "web-2"])));
    assert!(status["lastDiscoveryTime"].is_string(), "{status}");
    assert_eq!(status["conditions"][1]["type"], "Discovered");

    let secret = world.secret("web-1").await;
    assert_eq!((secret.labels()[MARKER].as_str(), secret.labels()["service"].as_str()), ("web", "web"));
    assert_eq!(secret.owner_references()[0].uid, set.uid().unwrap());
    assert_eq!(secret.annotations()["okra.mumo.co/eks-tags"], r#"{"role":"web"}"#);
    let managers: Vec<_> = secret.managed_fields().iter().filter_map(|entry| entry.manager.clone()).collect();
    assert_eq!(managers, ["okra"]);
    let config = String::from_utf8(secret.data.clone().unwrap()["config"].0.clone()).unwrap();
    assert_eq!(
        config,
        r#"{"awsAuthConfig":{"clusterName":"web-1"},"tlsClientConfig":{"insecure":false,"caData":"Q0E="}}"#
    );

    // A world at rest is not written to.
    discoveries(&eks, 3).await;
    assert_eq!(world.secret("web-1").await.resource_version(), secret.resource_version());
    world.until_events("web", &["Synced", "ClusterAdded"]).await;
    let text = world.metrics.text();
    for line in [
        r#"okra_cluster_secrets_total{outcome="created"} 2"#,
        r#"okra_discovered_clusters{namespace="default",cluster_set="web"} 2"#,
        r#"okra_discoveries_total{outcome="complete"}"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn h_51_a_cluster_goes_after_two_complete_discoveries_and_what_fails_proves_nothing() {
    let (eks, world) = start(&["web-1", "web-2"]).await;
    let elsewhere = own("us-east-1");
    let spec = json!({"generators": [
        {"awseks": {"regions": ["eu-west-1"]}}, {"awseks": {"regions": ["us-east-1"]}},
    ]});
    world.create::<ClusterSet>("web", spec).await;
    world.until_secrets(&["web-1", "web-2"]).await;
    eks.refuse(&elsewhere, Meaning::Denied, "AccessDeniedException");
    world.until_reason::<ClusterSet>("web", "AccessDenied").await;
    eks.remove("web-2");
    discoveries(&eks, 4).await;
    assert_eq!(world.secret_names().await, ["web-1", "web-2"], "one region is dark");
    eks.relent();
    world.until_secrets(&["web-1"]).await;
    world.until_reason::<ClusterSet>("web", "Synced").await;
    world.until_event("web", "ClusterRemoved").await;
}

#[tokio::test]
async fn h_51_an_empty_answer_deletes_nothing_until_somebody_says_so() {
    let (eks, world) = start(&["web-1", "web-2", "web-3"]).await;
    world.create::<ClusterSet>("web", web()).await;
    world.until_secrets(&["web-1", "web-2", "web-3"]).await;
    ["web-1", "web-2", "web-3"].iter().for_each(|name| eks.remove(name));
    let status = world.until_reason::<ClusterSet>("web", "DeletionRefused").await;
    let message = status["message"].as_str().unwrap();
    assert!(message.contains("3 of 3 clusters were not found"), "{message}");
    discoveries(&eks, 3).await;
    assert_eq!(world.secret_names().await.len(), 3);
    world.patch::<ClusterSet>("web", json!({"spec": {"maxDeletionPercent": 100}})).await;
    world.until_secrets(&[]).await;
}

#[tokio::test]
async fn h_51_secrets_of_others_stay_byte_for_byte() {
    let (eks, world) = start(&["web-1", "web-2"]).await;
    let labels = json!({"argocd.argoproj.io/secret-type": "cluster", "service": "web"});
    let by_hand = world.put_secret("by-hand", labels.clone(), json!({"server": "https://hand"})).await;
    let taken = world.put_secret("web-2", labels, json!({"server": "https://other", "config": "{}"})).await;
    let hidden = world.put_secret("web-3", json!({}), json!({"password": "x"})).await;
    eks.add("web-3");
    world.create::<ClusterSet>("web", web()).await;
    world.until_secrets(&["by-hand", "web-1", "web-2"]).await;
    let status = world.until_reason::<ClusterSet>("web", "Conflict").await;
    let left_out: Vec<&str> =
        status["leftOut"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(left_out, ["web-2", "web-3"]);
    discoveries(&eks, 3).await;
    for before in [by_hand, taken, hidden] {
        assert_eq!(world.secret(&before.name_any()).await, before);
    }
}

#[tokio::test]
async fn a_secret_of_the_go_program_is_adopted_for_the_same_server() {
    let (_eks, world) = start(&["web-1"]).await;
    let labels = json!({"argocd.argoproj.io/secret-type": "cluster", "service": "web"});
    let data =
        json!({"server": "https://web-1.eu-west-1.123456789012/", "namespaces": "a,b", "config": "{}"});
    world.put_secret("web-1", labels, data).await;
    world.create::<ClusterSet>("web", web()).await;
    world.until_reason::<ClusterSet>("web", "Synced").await;
    let secret = world.secret("web-1").await;
    assert_eq!(secret.labels()[MARKER], "web");
    let cluster = ClusterSecret::from_secret(&secret).unwrap();
    assert_eq!(cluster.namespaces, ["a", "b"], "what okra does not write stays");
    assert!(cluster.config.aws_auth_config.is_some());
    world.until_event("web", "ClusterAdopted").await;
}

/// The period is an hour: what is put right here was woken by a watch.
#[tokio::test]
async fn h_52_what_is_changed_or_deleted_by_hand_is_put_right_at_once() {
    let eks = Arc::new(FakeEks::default());
    eks.add("web-1");
    let (server_, client) = management().await;
    let world = World::start_on(server_, client, Ports::of(eks.clone()), Duration::from_secs(3600)).await;
    world.create::<ClusterSet>("web", web()).await;
    world.until_secrets(&["web-1"]).await;
    let right = server(&world.secret("web-1").await);
    world.patch::<Secret>("web-1", json!({"data": encoded(&json!({"server": "https://elsewhere"}))})).await;
    until("the server is put right", || async {
        (server(&world.secret("web-1").await) == right).then_some(())
    })
    .await;
    world.patch::<Secret>("web-1", json!({"metadata": {"labels": {"service": null, "mine": "1"}}})).await;
    until("the label is back", || async { world.secret("web-1").await.labels().get("service").cloned() })
        .await;
    assert_eq!(world.secret("web-1").await.labels()["mine"], "1", "what okra does not write stays");
    world.delete::<Secret>("web-1").await;
    world.until_secrets(&["web-1"]).await;
    assert_eq!(eks.calls(), (1, 1), "AWS was asked once");
}

#[tokio::test]
async fn h_59_regions_and_accounts_are_told_apart_and_the_role_becomes_the_login() {
    let (eks, world) = start(&["web-1"]).await;
    let role = Role {
        external_id: Some("x-1".to_owned()),
        session_name: Some("okra-web".to_owned()),
        ..Role::new("arn:aws:iam::210987654321:role/spoke")
    };
    let spoke = Scope { region: Region::new("us-east-1"), role: Some(role) };
    eks.add_to(&spoke, "210987654321", "web-1");
    let spec = json!({"generators": [{"awseks": {}}, {"awseks": {
        "regions": ["us-east-1"], "roleARN": "arn:aws:iam::210987654321:role/spoke",
        "externalID": "x-1", "sessionName": "okra-web",
    }}]});
    world.create::<ClusterSet>("web", spec).await;
    world.until_reason::<ClusterSet>("web", "Synced").await;
    let secrets = world.secrets().await;
    assert_eq!(secrets.len(), 2);
    let clusters: Vec<ClusterSecret> =
        secrets.iter().map(|secret| ClusterSecret::from_secret(secret).unwrap()).collect();
    let foreign = clusters.iter().find(|cluster| cluster.server.contains("210987654321")).unwrap();
    let aws = foreign.config.aws_auth_config.clone().unwrap();
    assert_eq!(aws.role_arn.as_deref(), Some("arn:aws:iam::210987654321:role/spoke"));
    assert_eq!((foreign.region.as_deref(), foreign.external_id.as_deref()), (Some("us-east-1"), Some("x-1")));
    assert_eq!(secrets[0].name_any(), "web-1");
    assert!(secrets[1].name_any().starts_with("web-1-"));
}

#[tokio::test]
async fn credentials_that_fail_are_the_trouble_of_one_set_alone() {
    let (eks, world) = start(&["web-1"]).await;
    let role = Scope { region: Region::new("eu-west-1"), role: Some(Role::new("arn:aws:iam::2:role/none")) };
    eks.refuse(&role, Meaning::Denied, "AccessDenied");
    let denied = json!({"generators": [{"awseks": {"roleARN": "arn:aws:iam::2:role/none"}}]});
    world.create::<ClusterSet>("denied", denied).await;
    world.create::<ClusterSet>("web", web()).await;
    world.until_secrets(&["web-1"]).await;
    world.until_reason::<ClusterSet>("web", "Synced").await;
    let status = world.until_reason::<ClusterSet>("denied", "AccessDenied").await;
    let message = status["message"].as_str().unwrap();
    assert!(
        message.contains("eu-west-1 as arn:aws:iam::2:role/none: eks:ListClusters: AccessDenied"),
        "{message}"
    );
    assert_eq!(status["phase"], "Degraded");
    assert!(world.metrics.text().contains(r#"okra_discoveries_total{outcome="AccessDenied"}"#));
    eks.relent();
    world.until_reason::<ClusterSet>("denied", "Synced").await;
    world.until_events("denied", &["AccessDenied", "Synced"]).await;
}

#[tokio::test]
async fn h_04_a_set_without_a_source_is_invalid_and_a_full_one_goes_on() {
    let (_eks, world) = start(&["web-1"]).await;
    for (name, spec, word) in [
        ("none", json!({"generators": []}), "generators"),
        ("empty", json!({"generators": [{}]}), "generators"),
    ] {
        world.create::<ClusterSet>(name, spec).await;
        let status = world.until_reason::<ClusterSet>(name, "InvalidSpec").await;
        assert!(status["message"].as_str().unwrap().contains(word), "{status}");
    }
    world.create::<AWSTargetGroupSet>("none", json!({"generators": []})).await;
    world.until_reason::<AWSTargetGroupSet>("none", "InvalidSpec").await;
    world.create::<ClusterSet>("old", json!({"selector": {"eksTags": {"role": "web"}}})).await;
    world.until_secrets(&["web-1"]).await;
}

#[tokio::test]
async fn h_58_templates_are_expanded_and_one_that_cannot_be_stops_one_cluster() {
    let (eks, world) = start(&["web-1"]).await;
    eks.add_to(&own("eu-west-1"), "123456789012", "Web_2");
    let labels = json!({"cluster": "{{ .awseks.cluster.name }}", "where": "{{.awseks.cluster.region}}"});
    world.create::<ClusterSet>("web", json!({
        "generators": [{"awseks": {}}], "versionFrom": {"tag": "role"},
        "template": {"metadata": {"labels": labels, "annotations": {"api": "{{.awseks.cluster.endpoint}}"}}},
    })).await;
    world.until_reason::<ClusterSet>("web", "Synced").await;
    let secret = world.secret("web-1").await;
    assert_eq!(
        (secret.labels()["cluster"].as_str(), secret.labels()["where"].as_str()),
        ("web-1", "eu-west-1")
    );
    assert_eq!(secret.labels()["okra.mumo.co/version"], "web");
    assert!(secret.annotations()["api"].starts_with("https://web-1"));
    // A capital and `_` are no name of a secret.
    let names = world.secret_names().await;
    assert!(names[1].starts_with("web-2-"), "{names:?}");
    let bad = json!({"spec": {"template": {"metadata": {"labels": {"site": "{{.tags.site}}"}}}}});
    world.patch::<ClusterSet>("web", bad).await;
    let status = world.until_reason::<ClusterSet>("web", "InvalidTemplate").await;
    assert!(status["leftOut"][0]["message"].as_str().unwrap().contains(".tags.site is unknown"), "{status}");
    assert_eq!(world.secret_names().await, names, "what is there stays");
}

#[tokio::test]
async fn sc_33_a_cluster_being_deleted_is_marked_at_once() {
    let (eks, world) = start(&["web-1", "web-2"]).await;
    world.create::<ClusterSet>("web", web()).await;
    world.until_secrets(&["web-1", "web-2"]).await;
    eks.set_status("web-2", ClusterStatus::Deleting);
    let mark = "okra.mumo.co/cluster-status";
    until("the mark", || async { world.secret("web-2").await.annotations().get(mark).cloned() }).await;
    let status =
        world.until_status::<ClusterSet>("web", |status| status["leftOut"][0]["reason"] == "Deleting").await;
    assert_eq!(status["reason"], "Synced", "a cluster that goes is no trouble");
    eks.remove("web-2");
    world.until_secrets(&["web-1"]).await;
}

#[tokio::test]
async fn a_cluster_that_is_not_aws_stands_beside_the_others() {
    let (_eks, world) = start(&["web-1"]).await;
    let kubeconfig = "clusters: [{name: c, cluster: {server: 'https://edge:6443'}}]\n\
                      contexts: [{name: x, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {token: t}}]";
    world.put_secret("edge-kubeconfig", json!({"site": "north"}), json!({"kubeconfig": kubeconfig})).await;
    world
        .put_secret("bad-kubeconfig", json!({"site": "north"}), json!({"kubeconfig": "users: secret-word"}))
        .await;
    let spec = json!({
        "generators": [{"awseks": {}}, {"kubeconfig": {"secretSelector": {"matchLabels": {"site": "north"}}}}],
        "template": {"metadata": {"labels": {"service": "web"}}},
    });
    world.create::<ClusterSet>("web", spec).await;
    world.until_secrets(&["edge", "web-1"]).await;
    let edge = ClusterSecret::from_secret(&world.secret("edge").await).unwrap();
    assert_eq!((edge.server.as_str(), edge.config.bearer_token.as_deref()), ("https://edge:6443", Some("t")));
    assert_eq!(edge.config.aws_auth_config, None);
    let status = world.until_reason::<ClusterSet>("web", "InvalidKubeconfig").await;
    assert_eq!(status["leftOut"][0]["name"], "bad");
    assert!(!status.to_string().contains("secret-word"));
    world.delete::<Secret>("edge-kubeconfig").await;
    world.until_secrets(&["web-1"]).await;
}

#[tokio::test]
async fn h_62_secrets_outlive_their_set_unless_it_says_otherwise() {
    let (_eks, world) = start(&["web-1"]).await;
    let metadata = json!({"name": "web", "finalizers": ["okra.mumo.co"]});
    let set: ClusterSet = world.create_with(metadata, web()).await;
    world.until_secrets(&["web-1"]).await;
    // Argo CD prunes in the foreground, which deletes what has no other owner.
    let foreground = DeleteParams::foreground();
    world.api::<ClusterSet>().delete("web", &foreground).await.unwrap();
    until("the set is gone", || async {
        world.api::<ClusterSet>().get_opt("web").await.unwrap().is_none().then_some(())
    })
    .await;
    until("its reference is gone", || async {
        let secret = world.secret("web-1").await;
        secret
            .owner_references()
            .iter()
            .all(|owner| Some(&owner.uid) != set.metadata.uid.as_ref())
            .then_some(())
    })
    .await;
    // A set of that name takes its secrets up again, and may be told to take them along.
    let mut spec = web();
    spec["deletionPolicy"] = json!("Delete");
    let again: ClusterSet = world.create("web", spec).await;
    until("the secret is taken up", || async {
        let secret = world.secret("web-1").await;
        (secret.owner_references().len() == 1 && secret.owner_references()[0].uid == again.uid().unwrap())
            .then_some(())
    })
    .await;
    world.delete::<ClusterSet>("web").await;
    world.until_secrets(&[]).await;
}

#[tokio::test]
async fn h_59_secrets_may_be_in_the_namespace_of_argo_cd() {
    let (_eks, world) = start(&["web-1"]).await;
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let argocd: Namespace = serde_json::from_value(json!({"metadata": {"name": "argocd"}})).unwrap();
    namespaces.create(&PostParams::default(), &argocd).await.unwrap();
    let mut spec = web();
    spec["template"]["metadata"]["namespace"] = json!("argocd");
    spec["deletionPolicy"] = json!("Delete");
    world.create::<ClusterSet>("web", spec).await;
    until("the secret", || async { (world.secrets_in("argocd").await.len() == 1).then_some(()) }).await;
    let secret = &world.secrets_in("argocd").await[0];
    assert!(secret.owner_references().is_empty(), "no reference leads into another namespace");
    let set = world.api::<ClusterSet>().get("web").await.unwrap();
    assert_eq!(set.finalizers(), ["okra.mumo.co/finalizer"]);
    world.delete::<ClusterSet>("web").await;
    until("set and secret are gone", || async {
        let gone = world.api::<ClusterSet>().get_opt("web").await.unwrap().is_none();
        (gone && world.secrets_in("argocd").await.is_empty()).then_some(())
    })
    .await;
    assert!(world.secrets_in(NAMESPACE).await.is_empty());
}

#[tokio::test]
async fn h_65_a_cluster_that_is_known_is_described_seldom_and_two_sets_share() {
    let names: Vec<String> = (0..60).map(|n| format!("web-{n:02}")).collect();
    let eks = Arc::new(FakeEks::default());
    names.iter().for_each(|name| eks.add(name));
    let world = World::start(Ports::of(eks.clone())).await;
    world.create::<ClusterSet>("web", web()).await;
    until("60 secrets", || async { (world.secret_names().await.len() == 60).then_some(()) }).await;
    let before = eks.calls();
    discoveries(&eks, 5).await;
    let after = eks.calls();
    let (lists, describes) = (after.0 - before.0, after.1 - before.1);
    assert!(describes <= (lists + 1) * 20, "{describes} descriptions in {lists} discoveries of 60 clusters");
}

#[tokio::test]
async fn a_set_that_another_manager_wrote_into_keeps_what_is_not_okras() {
    let (eks, world) = start(&["web-1"]).await;
    world.create::<ClusterSet>("web", web()).await;
    world.until_secrets(&["web-1"]).await;
    let shard = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web-1"}, "data": encoded(&json!({"shard": "1"}))});
    let params = PatchParams::apply("somebody");
    world.api::<Secret>().patch("web-1", &params, &Patch::Apply(&shard)).await.unwrap();
    eks.set_status("web-1", ClusterStatus::Deleting);
    let mark = "okra.mumo.co/cluster-status";
    until("the mark", || async { world.secret("web-1").await.annotations().get(mark).cloned() }).await;
    let data: BTreeMap<_, _> = world.secret("web-1").await.data.unwrap();
    assert_eq!(data["shard"].0, b"1");
}
