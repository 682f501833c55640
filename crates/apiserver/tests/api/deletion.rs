//! Deletes, finalizers, owners, namespaces (spec/apiserver.md 10).

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::common::{
    CONFIG_MAPS, config_map, delete, get, metadata, patch, post, put, send, server, until, until_gone,
};

fn map(name: &str) -> String {
    format!("{CONFIG_MAPS}/{name}")
}

fn owned_by(name: &str, owners: &[&Value]) -> Value {
    let mut object = config_map(name, json!({}));
    let references: Vec<Value> = owners
        .iter()
        .map(|owner| {
            json!({
                "apiVersion": owner["apiVersion"],
                "kind": owner["kind"],
                "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"],
                "blockOwnerDeletion": true,
            })
        })
        .collect();
    object["metadata"]["ownerReferences"] = json!(references);
    object
}

async fn create(client: &kube::Client, object: &Value) -> Value {
    let (status, created) = post(client, CONFIG_MAPS, object).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    created
}

async fn delete_with(client: &kube::Client, path: &str, options: &Value) -> (StatusCode, Value) {
    send(client, Method::DELETE, path, &[("content-type", "application/json")], options.to_string()).await
}

#[tokio::test]
async fn hc_31_hc_32_finalizers_hold_an_object_and_cannot_be_added_late() {
    let (_server, client) = server().await;
    let mut object = config_map("a", json!({}));
    object["metadata"]["finalizers"] = json!(["example.com/hold"]);
    create(&client, &object).await;
    let (status, answer) = delete(&client, &map("a")).await;
    assert_eq!((status, &answer["kind"]), (StatusCode::OK, &json!("ConfigMap")));
    assert_ne!(metadata(&answer, "deletionTimestamp"), "");
    let again = delete(&client, &map("a")).await.1;
    assert_eq!(metadata(&again, "resourceVersion"), metadata(&answer, "resourceVersion"));

    let more = json!({"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}});
    let (status, refusal) = patch(&client, &map("a"), "merge-patch+json", &more).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refusal["message"].as_str().unwrap().contains("no new finalizers can be added"), "{refusal}");

    let none = json!({"metadata": {"finalizers": null}});
    let (status, last) = patch(&client, &map("a"), "merge-patch+json", &none).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(metadata(&last, "resourceVersion"), metadata(&answer, "resourceVersion"));
    assert_eq!(get(&client, &map("a")).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn hc_3_delete_bodies_come_in_every_form() {
    let (_server, client) = server().await;
    let options = r#"{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Background"}"#;
    let forms: [(Option<&str>, &str); 4] = [
        (None, ""),
        (Some("application/json"), "{}"),
        (Some("application/json"), options),
        (Some("application/yaml"), "propagationPolicy: Background\n"),
    ];
    for (media, body) in forms {
        let headers: Vec<_> = media.map(|media| ("content-type", media)).into_iter().collect();
        create(&client, &config_map("a", json!({}))).await;
        let (status, answer) = send(&client, Method::DELETE, &map("a"), &headers, body).await;
        assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("Success")), "{answer}");
        assert_eq!(answer["details"]["kind"], "configmaps");
    }
}

#[tokio::test]
async fn preconditions_are_checked() {
    let (_server, client) = server().await;
    let object = create(&client, &config_map("a", json!({}))).await;
    for wrong in [json!({"uid": "x"}), json!({"resourceVersion": "1"})] {
        let (status, answer) = delete_with(&client, &map("a"), &json!({"preconditions": wrong})).await;
        assert_eq!((status, &answer["reason"]), (StatusCode::CONFLICT, &json!("Conflict")), "{answer}");
    }
    let right = json!({"preconditions": {"uid": object["metadata"]["uid"]}});
    assert_eq!(delete_with(&client, &map("a"), &right).await.0, StatusCode::OK);
    let (status, _) = delete_with(&client, &map("a"), &json!({"propagationPolicy": "Foo"})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn hc_34_dependents_go_with_the_last_owner_by_uid() {
    let (_server, client) = server().await;
    let first = create(&client, &config_map("first", json!({}))).await;
    let second = create(&client, &config_map("second", json!({}))).await;
    create(&client, &owned_by("child", &[&first, &second])).await;
    let child = metadata(&get(&client, &map("child")).await.1, "uid").to_owned();
    let grandchild = owned_by(
        "grandchild",
        &[&json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "child", "uid": child},
        })],
    );
    create(&client, &grandchild).await;

    delete(&client, &map("first")).await;
    until(&client, &map("child"), |_, child| {
        child["metadata"]["ownerReferences"].as_array().is_some_and(|owners| owners.len() == 1)
    })
    .await;
    // The same name again is another owner.
    create(&client, &config_map("first", json!({}))).await;
    delete(&client, &map("second")).await;
    until_gone(&client, &map("child")).await;
    until_gone(&client, &map("grandchild")).await;
    assert_eq!(get(&client, &map("first")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_object_born_without_its_owner_is_collected() {
    let (_server, client) = server().await;
    let ghost =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ghost", "uid": "no-such-uid"}});
    create(&client, &owned_by("child", &[&ghost])).await;
    until_gone(&client, &map("child")).await;
}

#[tokio::test]
async fn hc_35_an_owner_of_an_unknown_kind_counts_as_present() {
    let (_server, client) = server().await;
    let unknown =
        json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "x", "uid": "u"}});
    create(&client, &owned_by("child", &[&unknown])).await;
    // The collector has looked once it has collected something younger.
    let ghost =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ghost", "uid": "no-such-uid"}});
    create(&client, &owned_by("younger", &[&ghost])).await;
    until_gone(&client, &map("younger")).await;
    assert_eq!(get(&client, &map("child")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_foreground_delete_waits_for_its_dependents() {
    let (_server, client) = server().await;
    let owner = create(&client, &config_map("owner", json!({}))).await;
    let mut child = owned_by("child", &[&owner]);
    child["metadata"]["finalizers"] = json!(["example.com/hold"]);
    create(&client, &child).await;
    delete_with(&client, &map("owner"), &json!({"propagationPolicy": "Foreground"})).await;
    until(&client, &map("child"), |_, child| !metadata(child, "deletionTimestamp").is_empty()).await;
    let (_, owner) = get(&client, &map("owner")).await;
    assert_eq!(owner["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    patch(&client, &map("child"), "merge-patch+json", &json!({"metadata": {"finalizers": null}})).await;
    until_gone(&client, &map("owner")).await;
}

#[tokio::test]
async fn an_orphaning_delete_leaves_the_dependents() {
    let (_server, client) = server().await;
    let owner = create(&client, &config_map("owner", json!({}))).await;
    create(&client, &owned_by("child", &[&owner])).await;
    delete_with(&client, &map("owner"), &json!({"propagationPolicy": "Orphan"})).await;
    until_gone(&client, &map("owner")).await;
    let (status, child) = get(&client, &map("child")).await;
    assert_eq!((status, child["metadata"].get("ownerReferences")), (StatusCode::OK, None));
}

#[tokio::test]
async fn a_collection_can_be_deleted_by_label() {
    let (_server, client) = server().await;
    for name in ["a", "b", "c"] {
        let mut object = config_map(name, json!({}));
        object["metadata"]["labels"] = json!({"go": if name == "b" { "no" } else { "yes" }});
        create(&client, &object).await;
    }
    let (status, list) = delete(&client, &format!("{CONFIG_MAPS}?labelSelector=go%3Dyes")).await;
    assert_eq!((status, list["items"].as_array().unwrap().len()), (StatusCode::OK, 2));
    assert_eq!(get(&client, &map("a")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(get(&client, &map("b")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn hc_37_a_namespace_goes_with_everything_in_it() {
    let (_server, client) = server().await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}});
    let (_, created) = post(&client, "/api/v1/namespaces", &namespace).await;
    assert_eq!(created["spec"]["finalizers"], json!(["kubernetes"]));
    assert_eq!(created["metadata"]["labels"]["kubernetes.io/metadata.name"], "n");
    until(&client, "/api/v1/namespaces/n/serviceaccounts/default", |status, _| status == StatusCode::OK)
        .await;
    let mut held = config_map("held", json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    post(&client, "/api/v1/namespaces/n/configmaps", &held).await;
    post(&client, "/api/v1/namespaces/n/configmaps", &config_map("free", json!({}))).await;

    let (status, answer) = delete(&client, "/api/v1/namespaces/n").await;
    assert_eq!((status, &answer["status"]["phase"]), (StatusCode::OK, &json!("Terminating")));
    until_gone(&client, "/api/v1/namespaces/n/configmaps/free").await;
    let (status, refusal) =
        post(&client, "/api/v1/namespaces/n/configmaps", &config_map("late", json!({}))).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(refusal["details"]["causes"][0]["reason"], "NamespaceTerminating");
    until(&client, "/api/v1/namespaces/n", |_, namespace| {
        let conditions = namespace["status"]["conditions"].as_array();
        conditions.into_iter().flatten().any(|condition| {
            condition["type"] == "NamespaceFinalizersRemaining" && condition["status"] == "True"
        })
    })
    .await;
    let (_, mut held) = get(&client, "/api/v1/namespaces/n/configmaps/held").await;
    held["metadata"]["finalizers"] = json!([]);
    put(&client, "/api/v1/namespaces/n/configmaps/held", &held).await;
    until_gone(&client, "/api/v1/namespaces/n").await;
}

#[tokio::test]
async fn the_servers_own_namespaces_stay() {
    let (_server, client) = server().await;
    let (status, answer) = delete(&client, "/api/v1/namespaces/default").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(answer["message"], "namespaces \"default\" is forbidden: this namespace may not be deleted");
}
