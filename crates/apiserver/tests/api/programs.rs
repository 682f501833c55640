//! What programs send that kubectl and plain client-go do not: Helm's releases, merges and waiting, and the partial
//! objects, locks and status applies of controller-runtime (spec/apiserver.md 3.3, 3.4). The requests are written
//! as those programs write them; the programs themselves are not at hand.

use http::{Method, StatusCode};
use kube::Client;
use okra_apiserver::{Options, Server, Storage};
use serde_json::{Value, json};

use crate::common::{
    CONFIG_MAPS, GIZMOS, config_map, delete, get, gizmo, gizmo_server, metadata, patch, post, put, send,
    server, until,
};
use crate::watches::Watch;

const SECRETS: &str = "/api/v1/namespaces/default/secrets";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const REPLICA_SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";

/// A release as Helm's driver stores it: packed JSON in base64, twice.
fn release(version: u64, status: &str, payload: &str) -> Value {
    json!({
        "metadata": {
            "name": format!("sh.helm.release.v1.web.v{version}"),
            "creationTimestamp": null,
            "labels": {
                "createdAt": "1774951200", "name": "web", "owner": "helm", "status": status,
                "version": version.to_string(),
            },
        },
        "data": {"release": payload},
        "type": "helm.sh/release.v1",
    })
}

#[tokio::test]
async fn helm_keeps_its_releases_in_secrets() {
    let (_server, client) = server().await;
    // Without kind and apiVersion: a typed client leaves them out, and the path says them.
    let payload = "QUJD".repeat(250_000);
    let (status, first) = post(&client, SECRETS, &release(1, "pending-install", &payload)).await;
    assert_eq!(status, StatusCode::CREATED, "{}", first["message"]);
    let mut deployed = release(1, "deployed", &payload);
    deployed["metadata"]["labels"]["modifiedAt"] = json!("1774951201");
    let path = format!("{SECRETS}/sh.helm.release.v1.web.v1");
    let (status, updated) = put(&client, &path, &deployed).await;
    assert_eq!((status, &updated["type"]), (StatusCode::OK, &json!("helm.sh/release.v1")));
    let (_, second) = post(&client, SECRETS, &release(2, "deployed", "QUJD")).await;
    assert_eq!(second["data"]["release"], "QUJD");
    put(&client, &path, &release(1, "superseded", "QUJD")).await;
    for (selector, wanted) in [
        ("name=web,owner=helm", vec!["sh.helm.release.v1.web.v1", "sh.helm.release.v1.web.v2"]),
        ("name=web,owner=helm,status=deployed", vec!["sh.helm.release.v1.web.v2"]),
        ("owner=helm,status in (pending-install,pending-upgrade)", vec![]),
    ] {
        let selector = form_urlencoded::byte_serialize(selector.as_bytes()).collect::<String>();
        let (_, list) = get(&client, &format!("{SECRETS}?labelSelector={selector}")).await;
        let names: Vec<&str> =
            list["items"].as_array().unwrap().iter().map(|item| metadata(item, "name")).collect();
        assert_eq!(names, wanted, "{selector}");
    }
    let mut other = release(2, "deployed", "QUJD");
    other["type"] = json!("Opaque");
    let (status, answer) = put(&client, &format!("{SECRETS}/sh.helm.release.v1.web.v2"), &other).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
    let (status, answer) = post(&client, SECRETS, &release(3, "deployed", &"QUJD".repeat(400_000))).await;
    assert_eq!(
        status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "a release beyond a megabyte: {}",
        answer["message"]
    );
}

fn deployment(image: &str, env: Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "web",
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {"meta.helm.sh/release-name": "web", "meta.helm.sh/release-namespace": "default"},
        },
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": image, "env": env}]},
            },
        },
    })
}

async fn simulated() -> (Server, Client) {
    let options = Options { simulate_workloads: true, ..Options::new(Storage::Memory) };
    let server = Server::open(options).await.expect("a server in memory opens");
    let client = Client::new(server.in_process(), "default");
    (server, client)
}

#[tokio::test]
async fn helm_upgrades_by_a_merge_of_three_and_waits() {
    let (_server, client) = simulated().await;
    let env = json!([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]);
    let (status, answer) =
        post(&client, &format!("{DEPLOYMENTS}?fieldManager=helm"), &deployment("web:1", env)).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    let path = format!("{DEPLOYMENTS}/web");
    // Somebody else's addition is not in the merge, and stays.
    let sidecar =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "side:1"}]}}}});
    patch(&client, &path, "strategic-merge-patch+json", &sidecar).await;
    let merge = json!({"spec": {"template": {"spec": {
        "$setElementOrder/containers": [{"name": "web"}],
        "containers": [{
            "name": "web", "image": "web:2",
            "$setElementOrder/env": [{"name": "A"}, {"name": "C"}],
            "env": [{"name": "B", "$patch": "delete"}, {"name": "C", "value": "3"}],
        }],
    }}}});
    let (status, merged) =
        patch(&client, &format!("{path}?fieldManager=helm"), "strategic-merge-patch+json", &merge).await;
    assert_eq!(status, StatusCode::OK, "{merged}");
    let containers = &merged["spec"]["template"]["spec"]["containers"];
    assert_eq!(containers.as_array().unwrap().len(), 2, "{containers}");
    let web = containers.as_array().unwrap().iter().find(|container| container["name"] == "web").unwrap();
    assert_eq!(web["image"], "web:2");
    assert_eq!(web["env"], json!([{"name": "A", "value": "1"}, {"name": "C", "value": "3"}]));
    assert!(!merged.to_string().contains('$'), "{merged}");

    // --wait: the Deployment, then its newest ReplicaSet by selector and owner.
    let ready = until(&client, &path, |_, live| {
        live["status"]["observedGeneration"] == live["metadata"]["generation"]
            && live["status"]["updatedReplicas"] == 2
            && live["status"]["availableReplicas"] == 2
    })
    .await;
    let (_, sets) = get(&client, &format!("{REPLICA_SETS}?labelSelector=app%3Dweb")).await;
    let own = |set: &&Value| set["metadata"]["ownerReferences"][0]["uid"] == ready["metadata"]["uid"];
    let sets: Vec<&Value> = sets["items"].as_array().unwrap().iter().filter(own).collect();
    let newest =
        sets.iter().find(|set| set["spec"]["template"]["spec"]["containers"].to_string().contains("web:2"));
    let newest = newest.expect("the ReplicaSet of the new template");
    assert_eq!(newest["status"]["readyReplicas"], 2, "{newest}");
    let revision = "deployment.kubernetes.io/revision";
    assert_eq!(newest["metadata"]["annotations"][revision], ready["metadata"]["annotations"][revision]);

    // Uninstall: DELETE with a policy in the body.
    let body = json!({"propagationPolicy": "Background"}).to_string();
    let (status, _) =
        send(&client, Method::DELETE, &path, &[("content-type", "application/json")], body).await;
    assert_eq!(status, StatusCode::OK);
    until(&client, &format!("{REPLICA_SETS}?labelSelector=app%3Dweb"), |_, list| list["items"] == json!([]))
        .await;
}

/// What the metadata client of client-go and controller-runtime accepts.
const PARTIAL: &str = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,\
                       application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
const PARTIAL_LIST: &str = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,\
                            application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

#[tokio::test]
async fn a_cache_of_partial_objects_is_filled_and_followed() {
    let (_server, client) = gizmo_server().await;
    post(&client, GIZMOS, &gizmo("a", json!({"replicas": 1}))).await;
    let (_, list) = send(&client, Method::GET, GIZMOS, &[("accept", PARTIAL_LIST)], "").await;
    assert_eq!(
        (&list["kind"], &list["apiVersion"]),
        (&json!("PartialObjectMetadataList"), &json!("meta.k8s.io/v1"))
    );
    assert_eq!(list["items"][0].get("spec"), None);
    let from = metadata(&list, "resourceVersion");
    let path =
        format!("{GIZMOS}?allowWatchBookmarks=true&resourceVersion={from}&timeoutSeconds=400&watch=true");
    let mut events = Watch::open(&client, &path, PARTIAL).await;
    let merge = json!({"metadata": {"labels": {"seen": "yes"}}});
    let headers = [("accept", PARTIAL), ("content-type", "application/merge-patch+json")];
    let (status, patched) =
        send(&client, Method::PATCH, &format!("{GIZMOS}/a"), &headers, merge.to_string()).await;
    assert_eq!((status, &patched["kind"]), (StatusCode::OK, &json!("PartialObjectMetadata")));
    let event = events.next().await.expect("the watch goes on");
    assert_eq!(
        (&event["type"], &event["object"]["kind"]),
        (&json!("MODIFIED"), &json!("PartialObjectMetadata"))
    );
    assert_eq!(event["object"]["metadata"]["labels"], json!({"seen": "yes"}));
    assert_eq!((event["object"].get("spec"), event["object"].get("status")), (None, None));

    // The streamed form, as of client-go 0.35.
    let path = format!(
        "{GIZMOS}?allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&watch=true"
    );
    let mut events = Watch::open(&client, &path, PARTIAL).await;
    assert_eq!(events.told().await, ("ADDED".to_owned(), "a".to_owned()));
    let bookmark = events.next().await.expect("the watch goes on");
    assert_eq!(
        (&bookmark["type"], &bookmark["object"]["kind"]),
        (&json!("BOOKMARK"), &json!("PartialObjectMetadata"))
    );
    assert_eq!(bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
}

#[tokio::test]
async fn a_status_is_written_in_each_of_the_ways_controllers_do() {
    let (_server, client) = gizmo_server().await;
    let (_, made) = post(&client, GIZMOS, &gizmo("a", json!({"replicas": 1}))).await;
    let path = format!("{GIZMOS}/a/status");
    // Status().Update: the whole object as it was read.
    let mut object = made.clone();
    object["status"] = json!({"phase": "New"});
    let (status, updated) = put(&client, &path, &object).await;
    assert_eq!((status, &updated["status"]), (StatusCode::OK, &json!({"phase": "New"})));
    // Status().Patch with an optimistic lock on a version that is over.
    let stale = json!({"metadata": {"resourceVersion": metadata(&made, "resourceVersion")}, "status": {"phase": "x"}});
    let (status, answer) = patch(&client, &path, "merge-patch+json", &stale).await;
    assert_eq!((status, &answer["reason"]), (StatusCode::CONFLICT, &json!("Conflict")));
    // Status().Patch(client.Apply) with ownership forced; by another owner of another field.
    let apply = |manager: &str| format!("{path}?fieldManager={manager}&force=true");
    let of = |status: Value| {
        json!({"apiVersion": "example.com/v1", "kind": "Gizmo",
            "metadata": {"name": "a", "namespace": "default"}, "status": status})
    };
    let (status, applied) =
        patch(&client, &apply("one"), "apply-patch+yaml", &of(json!({"phase": "Ready"}))).await;
    assert_eq!((status, &applied["status"]["phase"]), (StatusCode::OK, &json!("Ready")));
    let (_, both) = patch(&client, &apply("two"), "apply-patch+yaml", &of(json!({"replicas": 1}))).await;
    assert_eq!(both["status"], json!({"phase": "Ready", "replicas": 1}));
    assert_eq!(both["metadata"]["generation"], 1);
    let (_, less) = patch(&client, &apply("one"), "apply-patch+yaml", &of(json!({}))).await;
    assert_eq!(less["status"], json!({"replicas": 1}), "what it applies no longer goes");
}

#[tokio::test]
async fn create_or_update_writes_once_and_finalizers_hold() {
    let (_server, client) = server().await;
    let path = format!("{CONFIG_MAPS}/c");
    let (status, answer) = get(&client, &path).await;
    assert_eq!((status, &answer["details"]["kind"]), (StatusCode::NOT_FOUND, &json!("configmaps")));
    let mut map = config_map("c", json!({"x": "1"}));
    map["metadata"]["finalizers"] = json!(["example.com/hold"]);
    let (_, made) = post(&client, CONFIG_MAPS, &map).await;
    let (status, same) = put(&client, &path, &made).await;
    assert_eq!((status, &same), (StatusCode::OK, &made), "an update without a change is none");
    let (_, going) = delete(&client, &path).await;
    assert_eq!(going["kind"], "ConfigMap", "it waits: {going}");
    // RemoveFinalizer and Update, with the version that was read.
    let mut freed = going.clone();
    freed["metadata"]["finalizers"] = json!([]);
    let (status, _) = put(&client, &path, &freed).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(get(&client, &path).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_mapper_finds_new_kinds_and_schemas() {
    let (_server, client) = gizmo_server().await;
    // Helm's validator asks for version 2 as protobuf and takes a refusal; old clients take JSON.
    let protobuf = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let (status, _) =
        send(&client, Method::GET, "/openapi/v2?timeout=32s", &[("accept", protobuf)], "").await;
    assert_eq!(status, StatusCode::OK);
    let (_, document) = get(&client, "/openapi/v2").await;
    assert!(document["definitions"].get("com.example.v1.Gizmo").is_some());
    // A mapper that asks for one group alone, and for one that is not there.
    let (_, group) = get(&client, "/apis/example.com").await;
    assert_eq!(group["preferredVersion"]["groupVersion"], "example.com/v1");
    let (_, resources) = get(&client, "/apis/example.com/v1?timeout=32s").await;
    assert_eq!(resources["kind"], "APIResourceList");
    assert_eq!(get(&client, "/apis/nowhere.example.com/v1").await.0, StatusCode::NOT_FOUND);
}
