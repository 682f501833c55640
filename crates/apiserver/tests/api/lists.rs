//! Lists: pages, revisions, selectors, tables (spec/apiserver.md 4, 7).

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::common::{
    CONFIG_MAPS, GIZMOS, config_map, delete, get, gizmo, gizmo_server, metadata, post, put, send, server,
};

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| metadata(item, "name")).collect()
}

async fn five() -> (okra_apiserver::Server, kube::Client) {
    let (server, client) = gizmo_server().await;
    for name in ["a", "b", "c", "d", "e"] {
        let mut body = gizmo(name, json!({"size": if name < "c" { "small" } else { "large" }}));
        body["metadata"]["labels"] = json!({"name": name});
        post(&client, GIZMOS, &body).await;
    }
    (server, client)
}

#[tokio::test]
async fn hc_19_all_pages_show_the_state_of_the_first() {
    let (_server, client) = five().await;
    let (_, first) = get(&client, &format!("{GIZMOS}?limit=2")).await;
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 3);
    delete(&client, &format!("{GIZMOS}/c")).await;
    post(&client, GIZMOS, &gizmo("bb", json!({}))).await;
    let token = metadata(&first, "continue");
    let (_, second) = get(&client, &format!("{GIZMOS}?limit=2&continue={token}")).await;
    assert_eq!(names(&second), ["c", "d"]);
    assert_eq!(metadata(&second, "resourceVersion"), metadata(&first, "resourceVersion"));
    let token = metadata(&second, "continue");
    let (_, third) = get(&client, &format!("{GIZMOS}?limit=2&continue={token}")).await;
    assert_eq!(names(&third), ["e"]);
    assert_eq!(third["metadata"].get("continue"), None);
    let (_, now) = get(&client, GIZMOS).await;
    assert_eq!(names(&now), ["a", "b", "bb", "d", "e"]);
}

#[tokio::test]
async fn a_list_at_an_exact_revision_is_what_was_then() {
    let (_server, client) = five().await;
    let (_, now) = get(&client, GIZMOS).await;
    let revision = metadata(&now, "resourceVersion");
    delete(&client, &format!("{GIZMOS}/a")).await;
    let exact = format!("{GIZMOS}?resourceVersion={revision}&resourceVersionMatch=Exact");
    assert_eq!(names(&get(&client, &exact).await.1).len(), 5);
    let newer = format!("{GIZMOS}?resourceVersion={revision}&resourceVersionMatch=NotOlderThan");
    assert_eq!(names(&get(&client, &newer).await.1).len(), 4);
    for (query, code) in [
        ("resourceVersionMatch=Exact", 422),
        ("resourceVersion=0&resourceVersionMatch=Exact", 422),
        ("resourceVersion=5&resourceVersionMatch=Foo", 422),
        ("resourceVersion=abc", 400),
        ("limit=abc", 400),
        ("continue=abc", 400),
        ("sendInitialEvents=true", 422),
        ("labelSelector=a%20b", 400),
        ("fieldSelector=spec.notes%3Dx", 400),
    ] {
        let (status, answer) = get(&client, &format!("{GIZMOS}?{query}")).await;
        assert_eq!(status.as_u16(), code, "{query}: {answer}");
    }
}

#[tokio::test]
async fn hc_21_a_future_revision_is_waited_for_and_then_refused() {
    let (_server, client) = five().await;
    let (_, now) = get(&client, GIZMOS).await;
    let next = metadata(&now, "resourceVersion").parse::<u64>().unwrap() + 1;
    let path = format!("{GIZMOS}?resourceVersion={next}");
    let (answer, ()) = tokio::join!(get(&client, &path), async {
        post(&client, GIZMOS, &gizmo("f", json!({}))).await;
    });
    assert_eq!(names(&answer.1).len(), 6, "it waited for the revision");
    let (status, answer) = get(&client, &format!("{GIZMOS}/a?resourceVersion=100000")).await;
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(answer["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    assert_eq!(answer["details"]["retryAfterSeconds"], 1);
}

#[tokio::test]
async fn hc_49_selectors_choose_by_labels_and_fields() {
    let (_server, client) = five().await;
    for (query, wanted) in [
        ("labelSelector=name%3Da", vec!["a"]),
        ("labelSelector=name+in+(a,b)", vec!["a", "b"]),
        ("labelSelector=name!%3Da,name", vec!["b", "c", "d", "e"]),
        ("labelSelector=other!%3Dx", vec!["a", "b", "c", "d", "e"]),
        ("fieldSelector=metadata.name%3Dc", vec!["c"]),
        ("fieldSelector=spec.size%3Dsmall", vec!["a", "b"]),
        ("fieldSelector=metadata.namespace%3Delsewhere", vec![]),
    ] {
        let (_, list) = get(&client, &format!("{GIZMOS}?{query}")).await;
        assert_eq!(names(&list), wanted, "{query}");
    }
    let (_, list) = get(&client, "/apis/example.com/v1/gizmos?fieldSelector=metadata.name%3Dc").await;
    assert_eq!(names(&list), ["c"]);
}

#[tokio::test]
async fn hc_48_an_empty_list_is_a_list() {
    let (_server, client) = gizmo_server().await;
    let (_, list) = get(&client, GIZMOS).await;
    assert_eq!((&list["items"], &list["kind"]), (&json!([]), &json!("GizmoList")));
    assert_ne!(metadata(&list, "resourceVersion"), "");
}

#[tokio::test]
async fn items_of_built_in_lists_do_not_repeat_their_type() {
    let (_server, client) = five().await;
    post(&client, CONFIG_MAPS, &config_map("m", json!({"x": "1"}))).await;
    let (_, list) = get(&client, CONFIG_MAPS).await;
    assert_eq!(list["kind"], "ConfigMapList");
    for item in list["items"].as_array().unwrap() {
        assert_eq!((item.get("kind"), item.get("apiVersion")), (None, None));
    }
    let (_, list) = get(&client, GIZMOS).await;
    assert_eq!(list["items"][0]["kind"], "Gizmo");
}

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

#[tokio::test]
async fn a_table_has_the_columns_of_the_definition() {
    let (_server, client) = five().await;
    let (_, table) = send(&client, Method::GET, GIZMOS, &[("accept", TABLE)], "").await;
    assert_eq!((&table["kind"], &table["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
    let columns: Vec<&str> =
        table["columnDefinitions"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(columns, ["Name", "Size", "Replicas"]);
    assert_eq!(table["rows"][2]["cells"], json!(["c", "large", null]));
    assert_eq!(table["rows"][2]["object"]["kind"], "PartialObjectMetadata");
    let path = format!("{GIZMOS}?includeObject=Object");
    let (_, table) = send(&client, Method::GET, &path, &[("accept", TABLE)], "").await;
    assert_eq!(table["rows"][0]["object"]["kind"], "Gizmo");
    let path = format!("{GIZMOS}/a");
    let (_, table) = send(&client, Method::GET, &path, &[("accept", TABLE)], "").await;
    assert_eq!(table["rows"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn metadata_alone_can_be_listed() {
    let (_server, client) = five().await;
    let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let (_, list) = send(&client, Method::GET, GIZMOS, &[("accept", accept)], "").await;
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"][0].get("spec"), None);
    assert_eq!(metadata(&list["items"][0], "name"), "a");
}

#[tokio::test]
async fn a_new_default_shows_up_in_old_objects() {
    let (_server, client) = five().await;
    let path = format!("{}/gizmos.example.com", crate::common::DEFINITIONS);
    let (_, mut definition) = get(&client, &path).await;
    let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    schema["properties"]["spec"]["properties"]["colour"] = json!({"type": "string", "default": "red"});
    let (status, answer) = put(&client, &path, &definition).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let object =
        crate::common::until(&client, &format!("{GIZMOS}/a"), |_, object| object["spec"]["colour"] == "red")
            .await;
    assert_eq!(object["spec"]["size"], "small");
}

#[tokio::test]
async fn forms_that_nobody_offers_are_refused() {
    let (_server, client) = server().await;
    let (status, _) = send(&client, Method::GET, CONFIG_MAPS, &[("accept", "text/html")], "").await;
    assert_eq!(status, StatusCode::NOT_ACCEPTABLE);
    let (status, yaml) = send(&client, Method::GET, CONFIG_MAPS, &[("accept", "application/yaml")], "").await;
    assert_eq!(status, StatusCode::OK);
    assert!(yaml.as_str().unwrap().contains("kind: ConfigMapList"), "{yaml}");
}
