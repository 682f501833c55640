//! Custom resources from the definition to the last object (spec/apiserver.md 13).

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::common::{
    DEFINITIONS, GIZMOS, delete, established, get, gizmo, gizmo_definition, gizmo_server, metadata, patch,
    post, put, send, server, until, until_gone,
};

#[tokio::test]
async fn corner_42_fields_are_pruned_defaulted_and_checked() {
    let (_server, client) = gizmo_server().await;
    let (status, object) = post(&client, GIZMOS, &gizmo("g", json!({"replicas": 1, "colour": 1}))).await;
    assert_eq!(status, StatusCode::CREATED, "{object}");
    assert_eq!(object["spec"], json!({"replicas": 1, "size": "small"}));
    let (status, answer) = post(&client, GIZMOS, &gizmo("h", json!({"size": "huge", "replicas": -1}))).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let mut fields: Vec<&str> = answer["details"]["causes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["field"].as_str().unwrap())
        .collect();
    fields.sort_unstable();
    assert_eq!(fields, ["spec.replicas", "spec.size"]);
    assert!(
        answer["message"].as_str().unwrap().starts_with("Gizmo.example.com \"h\" is invalid: "),
        "{answer}"
    );
}

#[tokio::test]
async fn bodies_of_another_type_are_refused() {
    let (_server, client) = gizmo_server().await;
    for (field, value, code) in
        [("kind", "Other", 422), ("apiVersion", "example.com/v2", 400), ("kind", "", 400)]
    {
        let mut body = gizmo("g", json!({}));
        body[field] = json!(value);
        let (status, answer) = post(&client, GIZMOS, &body).await;
        assert_eq!(status.as_u16(), code, "{field}={value}: {answer}");
    }
}

#[tokio::test]
async fn corner_47_an_established_definition_is_served_everywhere() {
    let (_server, client) = gizmo_server().await;
    let (status, list) = get(&client, "/apis/example.com/v1").await;
    assert_eq!(status, StatusCode::OK);
    let names: Vec<&str> =
        list["resources"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["gizmos", "gizmos/status", "gizmos/scale"]);
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let (_, groups) = send(&client, Method::GET, "/apis", &[("accept", accept)], "").await;
    assert_eq!(groups["apiVersion"], "apidiscovery.k8s.io/v2");
    let group =
        groups["items"].as_array().unwrap().iter().find(|g| metadata(g, "name") == "example.com").unwrap();
    assert_eq!(group["versions"][0]["resources"][0]["shortNames"], json!(["gz"]));
    let (_, index) = get(&client, "/openapi/v3").await;
    let url = index["paths"]["apis/example.com/v1"]["serverRelativeURL"].as_str().unwrap().to_owned();
    let (status, document) = get(&client, &url).await;
    assert_eq!(status, StatusCode::OK);
    let schema = &document["components"]["schemas"]["com.example.v1.Gizmo"];
    assert_eq!(schema["x-kubernetes-group-version-kind"][0]["kind"], "Gizmo");
}

#[tokio::test]
async fn corner_04_the_discovery_version_that_was_asked_for_is_given() {
    let (_server, client) = server().await;
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
    let (_, groups) = send(&client, Method::GET, "/apis", &[("accept", accept)], "").await;
    assert_eq!(groups["apiVersion"], "apidiscovery.k8s.io/v2beta1");
    let (_, groups) = get(&client, "/apis").await;
    assert_eq!(groups["kind"], "APIGroupList");
    let (_, core) = get(&client, "/api").await;
    assert_eq!(core["versions"], json!(["v1"]));
}

#[tokio::test]
async fn a_changed_schema_holds_for_the_next_write() {
    let (_server, client) = gizmo_server().await;
    let path = format!("{DEFINITIONS}/gizmos.example.com");
    let (_, mut definition) = get(&client, &path).await;
    let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    schema["properties"]["spec"]["properties"]["colour"] = json!({"type": "string"});
    assert_eq!(put(&client, &path, &definition).await.0, StatusCode::OK);
    until(&client, "/openapi/v3/apis/example.com/v1", |_, document| {
        document["components"]["schemas"]["com.example.v1.Gizmo"].to_string().contains("colour")
    })
    .await;
    let (_, object) = post(&client, GIZMOS, &gizmo("g", json!({"colour": "red"}))).await;
    assert_eq!(object["spec"]["colour"], "red");
}

#[tokio::test]
async fn two_definitions_cannot_share_a_kind() {
    let (_server, client) = gizmo_server().await;
    let mut other = gizmo_definition();
    other["metadata"]["name"] = json!("widgets.example.com");
    other["spec"]["names"] = json!({"plural": "widgets", "singular": "widget", "kind": "Gizmo"});
    post(&client, DEFINITIONS, &other).await;
    let definition = until(&client, &format!("{DEFINITIONS}/widgets.example.com"), |_, definition| {
        condition(definition, "NamesAccepted").is_some()
    })
    .await;
    assert_eq!(condition(&definition, "NamesAccepted").unwrap()["status"], "False");
    assert_eq!(condition(&definition, "Established").unwrap()["status"], "False");
    assert_eq!(get(&client, "/apis/example.com/v1/widgets").await.0, StatusCode::NOT_FOUND);
}

fn condition<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == name)
}

#[tokio::test]
async fn a_deleted_definition_takes_its_objects_with_it() {
    let (_server, client) = gizmo_server().await;
    let mut held = gizmo("held", json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    post(&client, GIZMOS, &held).await;
    post(&client, GIZMOS, &gizmo("free", json!({}))).await;
    let definition = format!("{DEFINITIONS}/gizmos.example.com");
    let (status, answer) = delete(&client, &definition).await;
    assert_eq!((status, &answer["kind"]), (StatusCode::OK, &json!("CustomResourceDefinition")));
    until_gone(&client, &format!("{GIZMOS}/free")).await;
    let (status, answer) = post(&client, GIZMOS, &gizmo("late", json!({}))).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
    let free = json!({"metadata": {"finalizers": null}});
    patch(&client, &format!("{GIZMOS}/held"), "merge-patch+json", &free).await;
    until_gone(&client, &definition).await;
    assert_eq!(get(&client, GIZMOS).await, (StatusCode::NOT_FOUND, json!("404 page not found\n")));
}

#[tokio::test]
async fn a_version_that_is_gone_owns_nothing() {
    let (_server, client) = server().await;
    let mut definition = gizmo_definition();
    let mut old = definition["spec"]["versions"][0].clone();
    old["name"] = json!("v0");
    old["storage"] = json!(false);
    definition["spec"]["versions"].as_array_mut().unwrap().push(old);
    post(&client, DEFINITIONS, &definition).await;
    established(&client, "gizmos.example.com").await;
    let at = |version: &str, replicas: u64| {
        let mut object = gizmo("g", json!({"replicas": replicas}));
        object["apiVersion"] = json!(format!("example.com/{version}"));
        object
    };
    let path = |version: &str, manager: &str| {
        format!("/apis/example.com/{version}/namespaces/default/gizmos/g?fieldManager={manager}")
    };
    let apply = "apply-patch+yaml";
    let (status, made) = patch(&client, &path("v0", "old"), apply, &at("v0", 1)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let (status, answer) = patch(&client, &path("v1", "new"), apply, &at("v1", 2)).await;
    assert_eq!(status, StatusCode::CONFLICT, "as long as there is that version: {answer}");

    let definition = format!("{DEFINITIONS}/gizmos.example.com");
    let fewer = json!([{"op": "remove", "path": "/spec/versions/1"}]);
    let (status, answer) = patch(&client, &definition, "json-patch+json", &fewer).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    until(&client, "/apis/example.com/v0", |status, _| status == StatusCode::NOT_FOUND).await;
    let (status, taken) = patch(&client, &path("v1", "new"), apply, &at("v1", 2)).await;
    assert_eq!(status, StatusCode::OK, "{taken}");
    let managers: Vec<&str> = taken["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["manager"].as_str().unwrap())
        .collect();
    assert_eq!(managers, ["new"]);
}
