//! Hard corners of the wire (spec/apiserver.md 20) that no other file holds;
//! the table of all of them is in `main.rs`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{Method, Request, StatusCode};
use kube::Client;
use kube::client::Body;
use okra_apiserver::{Chance, Options, Server, Storage, User};
use serde_json::{Value, json};

use crate::common::{
    CONFIG_MAPS, GIZMOS, MovableClock, config_map, delete, get, gizmo, gizmo_server, metadata, patch, post,
    put, send, server, until, until_gone,
};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// A message of kind `kind` in the envelope of protobuf bodies.
fn envelope(api_version: &str, kind: &str, message: &[u8]) -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| {
        let length = u8::try_from(bytes.len()).expect("tests send short messages");
        [&[number << 3 | 2, length][..], bytes].concat()
    };
    let meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
    [b"k8s\0".to_vec(), field(1, &meta), field(2, message)].concat()
}

#[tokio::test]
async fn corner_02_zero_of_a_pointer_counts_and_zero_of_a_value_does_not() {
    let (_server, client) = server().await;
    let headers = [("content-type", PROTOBUF)];
    // Lease "l": holderIdentity "" (a pointer); metadata.namespace "" (a value).
    let lease = b"\x0a\x05\x0a\x01l\x1a\x00\x12\x02\x0a\x00";
    let path = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    let body = envelope("coordination.k8s.io/v1", "Lease", lease);
    let (status, made) = send(&client, Method::POST, path, &headers, body).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(made["spec"], json!({"holderIdentity": ""}));
    assert_eq!(metadata(&made, "namespace"), "default");
    assert!(made["metadata"].get("generateName").is_none());
}

#[tokio::test]
async fn corner_03_protobuf_delete_options_delete_custom_resources_too() {
    let (_server, client) = gizmo_server().await;
    post(&client, GIZMOS, &gizmo("g", json!({}))).await;
    // DeleteOptions: propagationPolicy (field 4) is "Background".
    let body = envelope("v1", "DeleteOptions", b"\x22\x0aBackground");
    let path = format!("{GIZMOS}/g");
    let (status, answer) = send(&client, Method::DELETE, &path, &[("content-type", PROTOBUF)], body).await;
    assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("Success")), "{answer}");
    assert_eq!(get(&client, &path).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn corner_05_corner_06_schemas_offer_validation_and_no_strategic_patch() {
    let (_server, client) = gizmo_server().await;
    let (_, index) = get(&client, "/openapi/v3").await;
    for (document, path, kind) in [
        ("api/v1", "/api/v1/namespaces/{namespace}/configmaps/{name}", "ConfigMap"),
        ("apis/example.com/v1", "/apis/example.com/v1/namespaces/{namespace}/gizmos/{name}", "Gizmo"),
    ] {
        let url = index["paths"][document]["serverRelativeURL"].as_str().expect("the index has it");
        let (_, document) = get(&client, url).await;
        let operation = &document["paths"][path]["patch"];
        assert_eq!(operation["x-kubernetes-group-version-kind"]["kind"], kind);
        let parameters = operation["parameters"].as_array().unwrap();
        assert!(parameters.iter().any(|parameter| parameter["name"] == "fieldValidation"));
        let media = operation["requestBody"]["content"].as_object().unwrap();
        assert!(media.contains_key("application/apply-patch+yaml"));
        assert!(!media.contains_key("application/strategic-merge-patch+json"));
    }
    // Version 2 offers no operation at all, and knows every kind.
    let (status, swagger) = get(&client, "/openapi/v2").await;
    assert_eq!((status, &swagger["paths"]), (StatusCode::OK, &json!({})));
    assert!(swagger["definitions"]["com.example.v1.Gizmo"].is_object());
    let accept = [("accept", "application/vnd.nonsense")];
    assert_eq!(send(&client, Method::GET, "/openapi/v2", &accept, "").await.0, StatusCode::NOT_ACCEPTABLE);
}

#[tokio::test]
async fn corner_08_a_patched_scale_is_answered_with_the_scale() {
    let (_server, client) = gizmo_server().await;
    post(&client, GIZMOS, &gizmo("g", json!({"replicas": 1}))).await;
    let path = format!("{GIZMOS}/g/scale");
    let (status, scale) = patch(&client, &path, "merge-patch+json", &json!({"spec": {"replicas": 4}})).await;
    assert_eq!(
        (status, &scale["kind"], &scale["apiVersion"]),
        (StatusCode::OK, &json!("Scale"), &json!("autoscaling/v1"))
    );
    assert_eq!(scale["spec"], json!({"replicas": 4}));
    assert_eq!(get(&client, &format!("{GIZMOS}/g")).await.1["spec"]["replicas"], 4);
}

#[tokio::test]
async fn corner_26_metadata_does_not_pass_through_the_status_of_a_custom_resource() {
    let (_server, client) = gizmo_server().await;
    let mut held = gizmo("g", json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    let (_, mut made) = post(&client, GIZMOS, &held).await;
    made["metadata"]["finalizers"] = json!([]);
    made["metadata"]["labels"] = json!({"a": "b"});
    made["status"] = json!({"phase": "Ready"});
    let (status, answer) = put(&client, &format!("{GIZMOS}/g/status"), &made).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let (_, live) = get(&client, &format!("{GIZMOS}/g")).await;
    assert_eq!(live["status"]["phase"], "Ready");
    assert_eq!(live["metadata"]["finalizers"], json!(["example.com/hold"]));
    assert_eq!(live["metadata"].get("labels"), None);
}

#[tokio::test]
async fn corner_36_an_owner_in_another_namespace_is_reported_and_waited_for() {
    let clock = Arc::new(MovableClock::default());
    let options = Options { clock: clock.clone(), ..Options::new(Storage::Memory) };
    let server = Server::open(options).await.unwrap();
    let client = Client::new(server.in_process(), "default");
    let other = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}});
    post(&client, "/api/v1/namespaces", &other).await;
    let (_, owner) =
        post(&client, "/api/v1/namespaces/other/configmaps", &config_map("owner", json!({}))).await;
    let mut dependent = config_map("dependent", json!({}));
    dependent["metadata"]["ownerReferences"] = json!([
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": metadata(&owner, "uid")},
    ]);
    post(&client, CONFIG_MAPS, &dependent).await;
    let told = |list: &Value| -> Vec<Value> {
        let events = list["items"].as_array().cloned().unwrap_or_default();
        events.into_iter().filter(|event| event["reason"] == "OwnerRefInvalidNamespace").collect()
    };
    let events = "/api/v1/namespaces/default/events";
    let list = until(&client, events, |_, list| !told(list).is_empty()).await;
    let event = &told(&list)[0];
    assert_eq!((&event["type"], &event["involvedObject"]["name"]), (&json!("Warning"), &json!("dependent")));
    let path = format!("{CONFIG_MAPS}/dependent");
    clock.ahead.store(59 * 60, Ordering::Relaxed);
    // A round through the collector: what has no owner at all is collected at once.
    let mut orphan = config_map("orphan", json!({}));
    orphan["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "none", "uid": "none"}]);
    post(&client, CONFIG_MAPS, &orphan).await;
    until_gone(&client, &format!("{CONFIG_MAPS}/orphan")).await;
    assert_eq!(get(&client, &path).await.0, StatusCode::OK);
    clock.ahead.store(61 * 60, Ordering::Relaxed);
    until_gone(&client, &path).await;
}

/// The same byte again and again, so that generated names collide.
struct Monotone;

impl Chance for Monotone {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

#[tokio::test]
async fn corner_38_a_generated_name_that_is_taken_is_tried_again_a_few_times() {
    let options = Options { chance: Arc::new(Monotone), ..Options::new(Storage::Memory) };
    let server = Server::open(options).await.unwrap();
    let client = Client::new(server.in_process(), "default");
    let named = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "a-"}});
    let (status, made) = post(&client, CONFIG_MAPS, &named).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(metadata(&made, "name").len(), "a-".len() + 5);
    let (status, answer) = post(&client, CONFIG_MAPS, &named).await;
    assert_eq!((status, &answer["reason"]), (StatusCode::CONFLICT, &json!("AlreadyExists")), "{answer}");
    assert_eq!(answer["details"]["retryAfterSeconds"], 1);
}

#[tokio::test]
async fn corner_51_impersonation_needs_its_verb_and_takes_on_the_rights() {
    let (server, admin) = server().await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "as-bob"},
        "rules": [{"apiGroups": [""], "resources": ["users"], "resourceNames": ["bob"], "verbs": ["impersonate"]}],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "as-bob"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "as-bob"},
        "subjects": [{"kind": "User", "name": "alice"}],
    });
    post(&admin, &format!("{rbac}/clusterroles"), &role).await;
    post(&admin, &format!("{rbac}/clusterrolebindings"), &binding).await;
    let alice = User { name: "alice".into(), ..User::default() };
    let alice = Client::new(server.in_process().acting_as(alice), "default");
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}).to_string();
    let reviews = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    for (name, expected) in [("bob", StatusCode::CREATED), ("root", StatusCode::FORBIDDEN)] {
        let headers = [("content-type", "application/json"), ("impersonate-user", name)];
        let (status, answer) = send(&alice, Method::POST, reviews, &headers, review.clone()).await;
        assert_eq!(status, expected, "{answer}");
        if status == StatusCode::CREATED {
            assert_eq!(answer["status"]["userInfo"]["username"], "bob");
        }
    }
    // The rights are bob's now, also where alice or the administrator has more.
    let headers = [("impersonate-user", "bob")];
    assert_eq!(send(&admin, Method::GET, CONFIG_MAPS, &headers, "").await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn corner_54_a_watch_ends_with_its_time_and_without_an_error() {
    let (_server, client) = server().await;
    let (_, list) = get(&client, CONFIG_MAPS).await;
    let from = metadata(&list, "resourceVersion");
    let path = format!("{CONFIG_MAPS}?watch=true&timeoutSeconds=1&resourceVersion={from}");
    let request = Request::builder().uri(path).body(Body::empty()).unwrap();
    let answer = client.send(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let body = answer.into_body().collect_bytes().await.expect("the stream ends, it does not break");
    assert_eq!(&body[..], b"");
}

#[tokio::test]
async fn corner_55_an_event_of_the_new_group_is_found_in_the_old_one() {
    let (_server, client) = server().await;
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"},
        "eventTime": "2026-01-02T03:04:05.000000Z", "reportingController": "example.com/c",
        "reportingInstance": "c-0", "action": "Look", "reason": "Seen", "type": "Normal",
        "regarding": {"kind": "ConfigMap", "namespace": "default", "name": "a"}, "note": "well",
    });
    let (status, answer) = post(&client, "/apis/events.k8s.io/v1/namespaces/default/events", &event).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    let (_, core) = get(&client, "/api/v1/namespaces/default/events/e").await;
    assert_eq!((&core["message"], &core["involvedObject"]["name"]), (&json!("well"), &json!("a")));
    let (_, found) =
        get(&client, "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Da").await;
    assert_eq!(found["items"].as_array().map(Vec::len), Some(1));
    delete(&client, "/api/v1/namespaces/default/events/e").await;
    let (status, _) = get(&client, "/apis/events.k8s.io/v1/namespaces/default/events/e").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
