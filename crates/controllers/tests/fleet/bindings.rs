//! AWSTargetGroupBinding over the embedded region, whose load balancer checks
//! the health of its targets for real.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use okra_api::{AWSTargetGroupBinding, ClusterSet};
use okra_aws::{
    Action, AlwaysAllowed, Condition, Forward, KeptTransforms, LoadBalancers as _, NewRule, Tags, Target,
    Targets as _, WeightedTargetGroup, Write,
};
use okra_domain::TargetGroupArn;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::region::{RegionWorld, SUBNETS};
use crate::world::until;

const WRITE: Write<'static> = Write { urgency: okra_aws::Urgency::Normal, gate: &AlwaysAllowed };

/// A backend on a loopback address that answers 200 to everything.
async fn backend(host: &str) -> SocketAddr {
    let listener = TcpListener::bind((host, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    .await;
            });
        }
    });
    address
}

/// Gives the group traffic, so that its targets are checked.
async fn attach(region: &RegionWorld, group: &TargetGroupArn) {
    let provisioning = region.sdk.provisioning(region.scope.clone());
    let listener = provisioning.load_balancer("web", &SUBNETS, 80).await.unwrap().parse().unwrap();
    let forward = Forward {
        order: None,
        target_groups: vec![WeightedTargetGroup { arn: group.clone(), weight: Some(1) }],
        stickiness: None,
    };
    let rule = NewRule {
        listener,
        priority: 10,
        conditions: vec![Condition::HostHeader(vec!["example.com".to_owned()])],
        actions: vec![Action::Forward(forward)],
        transforms: KeptTransforms::default(),
        tags: Tags::new(),
    };
    region.sdk.load_balancers().create_rule(WRITE, &rule).await.unwrap();
}

fn target(address: SocketAddr) -> Target {
    Target { id: address.ip().to_string(), port: address.port() }
}

async fn registered(region: &RegionWorld, group: &TargetGroupArn) -> BTreeSet<String> {
    let live = region.sdk.load_balancers().registered(group).await.unwrap();
    live.into_iter().map(|one| format!("{}:{}", one.id, one.port.unwrap())).collect()
}

async fn until_registered(region: &RegionWorld, group: &TargetGroupArn, wanted: &[SocketAddr]) {
    let wanted: BTreeSet<String> = wanted.iter().map(ToString::to_string).collect();
    until(&format!("targets {wanted:?}"), || async {
        (registered(region, group).await == wanted).then_some(())
    })
    .await;
}

fn ids(group: &TargetGroupArn, addresses: &[SocketAddr]) -> Value {
    let entries: Vec<Value> = addresses
        .iter()
        .enumerate()
        .map(|(index, address)| json!({"name": format!("t{index}"), "ids": [address.ip()], "port": address.port()}))
        .collect();
    json!({"targetGroupARN": group.as_str(), "targets": entries})
}

#[tokio::test]
async fn fixed_ids_are_registered_as_a_diff_and_foreign_ones_stay() {
    let region = RegionWorld::start().await;
    let group = region.group("web").await;
    let (a, b, foreign) =
        (backend("127.0.0.1").await, backend("127.0.0.1").await, backend("127.0.0.1").await);
    let targets = region.sdk.load_balancers();
    targets.register(WRITE, &group, &BTreeSet::from([target(foreign)])).await.unwrap();
    attach(&region, &group).await;
    region.world.create::<AWSTargetGroupBinding>("web", ids(&group, &[a, b])).await;
    until_registered(&region, &group, &[a, b, foreign]).await;
    let status = region
        .world
        .until_status::<AWSTargetGroupBinding>("web", |status| status["healthyTargets"] == 2)
        .await;
    assert_eq!(status["registered"].as_array().unwrap().len(), 2, "{status}");
    assert_eq!(status["targets"][0]["ids"], json!(["127.0.0.1"]));
    // One fewer: it drains, the others stay.
    region.world.patch::<AWSTargetGroupBinding>("web", json!({"spec": ids(&group, &[a])})).await;
    until_registered(&region, &group, &[a, foreign]).await;
    // Somebody takes one out; it comes back.
    targets.deregister(WRITE, &group, &BTreeSet::from([target(a)])).await.unwrap();
    until_registered(&region, &group, &[a, foreign]).await;
    region.world.delete::<AWSTargetGroupBinding>("web").await;
    until_registered(&region, &group, &[foreign]).await;
    until("the binding is gone", || async {
        let found = region.world.api::<AWSTargetGroupBinding>().get_opt("web").await.unwrap();
        found.is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn whoever_serves_is_let_go_only_when_another_is_healthy() {
    let region = RegionWorld::start().await;
    let group = region.group("web").await;
    attach(&region, &group).await;
    let old = backend("127.0.0.1").await;
    // A port that nobody listens at yet.
    let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let new = held.local_addr().unwrap();
    drop(held);
    region.world.create::<AWSTargetGroupBinding>("web", ids(&group, &[old])).await;
    region.world.until_status::<AWSTargetGroupBinding>("web", |status| status["healthyTargets"] == 1).await;
    region.world.patch::<AWSTargetGroupBinding>("web", json!({"spec": ids(&group, &[new])})).await;
    let status = region.world.until_reason::<AWSTargetGroupBinding>("web", "WaitingForHealth").await;
    assert!(status["message"].as_str().unwrap().contains(&old.to_string()), "{status}");
    until_registered(&region, &group, &[old, new]).await;
    let listener = TcpListener::bind(new).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ =
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        }
    });
    until_registered(&region, &group, &[new]).await;
}

async fn put_node(member: &Client, name: &str, address: &str, labels: Value) {
    let node = json!({
        "metadata": {"name": name, "labels": labels},
        "spec": {"providerID": format!("aws:///us-east-1a/i-{name}")},
    });
    let api: Api<Node> = Api::all(member.clone());
    let node: Node = serde_json::from_value(node).unwrap();
    api.create(&PostParams::default(), &node).await.unwrap();
    let status = json!({"status": {
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": address}],
    }});
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
}

async fn put_pod(member: &Client, name: &str, address: &str) {
    let pod = json!({
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "web"}]},
    });
    let api: Api<Pod> = Api::namespaced(member.clone(), "default");
    let pod: Pod = serde_json::from_value(pod).unwrap();
    api.create(&PostParams::default(), &pod).await.unwrap();
    let status = json!({"status": {
        "phase": "Running", "podIP": address, "conditions": [{"type": "Ready", "status": "True"}],
    }});
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
}

#[tokio::test]
async fn nodes_and_pods_of_several_clusters_fill_one_group() {
    let region = RegionWorld::start().await;
    for name in ["web-1", "web-2"] {
        region.cluster(name, &[("service", "web")]).await;
    }
    let set = json!({
        "generators": [{"awseks": {}}], "template": {"metadata": {"labels": {"service": "web"}}},
    });
    region.world.create::<ClusterSet>("web", set).await;
    region.world.until_secrets(&["web-1", "web-2"]).await;
    put_node(&region.member("web-1"), "n1", "127.0.0.11", json!({"role": "web"})).await;
    put_node(&region.member("web-2"), "n2", "127.0.0.12", json!({"role": "web"})).await;
    put_node(&region.member("web-2"), "n3", "127.0.0.13", json!({"role": "other"})).await;
    put_pod(&region.member("web-2"), "p1", "127.0.0.21").await;
    let group = region.group("web").await;
    let spec = json!({"targetGroupARN": group.as_str(), "targets": [
        {"name": "nodes", "clusterSelector": {"matchLabels": {"service": "web"}},
         "nodeSelector": {"matchLabels": {"role": "web"}}, "port": 30080},
        {"name": "pods", "clusterName": "web-2", "podSelector": {"matchLabels": {"app": "web"}}, "port": 8080},
    ]});
    region.world.create::<AWSTargetGroupBinding>("web", spec).await;
    let at = |text: &str| text.parse::<SocketAddr>().unwrap();
    let all = [at("127.0.0.11:30080"), at("127.0.0.12:30080"), at("127.0.0.21:8080")];
    until_registered(&region, &group, &all).await;
    let status =
        region.world.until_status::<AWSTargetGroupBinding>("web", |status| status["phase"] == "Synced").await;
    assert_eq!(status["targets"][0]["clusters"], json!(["web-1", "web-2"]));
    // A node and a pod go; those of the other cluster stay.
    Api::<Node>::all(region.member("web-1")).delete("n1", &Default::default()).await.unwrap();
    put_pod(&region.member("web-2"), "p2", "127.0.0.22").await;
    until_registered(&region, &group, &[all[1], all[2], at("127.0.0.22:8080")]).await;
    // A member that is cut off keeps what it has.
    region.cut_off("web-2").await;
    let status = region.world.until_reason::<AWSTargetGroupBinding>("web", "ClusterUnreachable").await;
    assert!(status["message"].as_str().unwrap().contains("web-2"), "{status}");
    assert_eq!(registered(&region, &group).await.len(), 3);
}

#[tokio::test]
async fn what_cannot_be_followed_is_said_and_the_others_go_on() {
    let region = RegionWorld::start().await;
    let group = region.group("web").await;
    let gone = group.as_str().replace("targetgroup/web/", "targetgroup/gone/");
    for (name, spec, reason) in [
        ("none", json!({"targets": []}), "InvalidSpec"),
        ("rule", json!({"targetGroupARN": "arn:aws:iam::1:role/r"}), "InvalidSpec"),
        ("gone", json!({"targetGroupARN": gone, "targets": []}), "TargetGroupNotFound"),
        ("vague", json!({"targetGroupARN": group.as_str(), "targets": [{"name": "a"}]}), "InvalidSpec"),
    ] {
        region.world.create::<AWSTargetGroupBinding>(name, spec).await;
        let status = region.world.until_reason::<AWSTargetGroupBinding>(name, reason).await;
        assert_eq!(status["phase"], "Error", "{status}");
    }
    let a = backend("127.0.0.1").await;
    region.world.create::<AWSTargetGroupBinding>("web", ids(&group, &[a])).await;
    until_registered(&region, &group, &[a]).await;
    // Each can be deleted, whatever is wrong with it.
    for name in ["none", "rule", "gone", "vague"] {
        region.world.delete::<AWSTargetGroupBinding>(name).await;
        until("it is gone", || async {
            region.world.api::<AWSTargetGroupBinding>().get_opt(name).await.unwrap().is_none().then_some(())
        })
        .await;
    }
}
