//! Server-side apply at the door (spec/apiserver.md 12); its rules are tested
//! beside the code.

use http::StatusCode;
use serde_json::{Value, json};

use crate::common::{
    CONFIG_MAPS, DEFINITIONS, GIZMOS, config_map, get, gizmo, gizmo_server, metadata, patch, post, server,
};

async fn apply(client: &kube::Client, path: &str, query: &str, body: &Value) -> (StatusCode, Value) {
    patch(client, &format!("{path}?{query}"), "apply-patch+yaml", body).await
}

fn data(x: &Value) -> Value {
    config_map("a", x.clone())
}

#[tokio::test]
async fn a1_a2_a7_apply_creates_removes_and_settles() {
    let (_server, client) = server().await;
    let path = format!("{CONFIG_MAPS}/a");
    let (status, created) =
        apply(&client, &path, "fieldManager=a", &data(&json!({"x": "1", "y": "2"}))).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    let (status, same) = apply(&client, &path, "fieldManager=a", &data(&json!({"x": "1", "y": "2"}))).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(same, created, "hc 23, hc 24");
    let (_, less) = apply(&client, &path, "fieldManager=a", &data(&json!({"x": "1"}))).await;
    assert_eq!(less["data"], json!({"x": "1"}));
}

#[tokio::test]
async fn a4_a5_another_manager_is_a_conflict_unless_forced() {
    let (_server, client) = server().await;
    let path = format!("{CONFIG_MAPS}/a");
    apply(&client, &path, "fieldManager=a", &data(&json!({"x": "1", "y": "2"}))).await;
    let (status, answer) = apply(&client, &path, "fieldManager=b", &data(&json!({"x": "2"}))).await;
    assert_eq!((status, &answer["reason"]), (StatusCode::CONFLICT, &json!("Conflict")), "{answer}");
    let cause = &answer["details"]["causes"][0];
    assert_eq!((&cause["reason"], &cause["field"]), (&json!("FieldManagerConflict"), &json!(".data.x")));
    let (status, object) =
        apply(&client, &path, "fieldManager=b&force=true", &data(&json!({"x": "2"}))).await;
    assert_eq!((status, &object["data"]), (StatusCode::OK, &json!({"x": "2", "y": "2"})));
}

#[tokio::test]
async fn corner_60_an_update_takes_fields_from_their_applier() {
    let (_server, client) = server().await;
    let path = format!("{CONFIG_MAPS}/a");
    apply(&client, &path, "fieldManager=a", &data(&json!({"x": "1"}))).await;
    let merge = json!({"data": {"x": "3"}});
    patch(&client, &format!("{path}?fieldManager=u"), "merge-patch+json", &merge).await;
    let (status, answer) = apply(&client, &path, "fieldManager=a", &data(&json!({"x": "1"}))).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(answer["message"].as_str().unwrap().contains("conflict with \"u\" using v1"), "{answer}");
}

#[tokio::test]
async fn limits_of_a_definition_are_numbers_whoever_writes_them() {
    let (_server, client) = server().await;
    let path = format!("{DEFINITIONS}/ratios.example.com");
    let definition = |minimum: Value, default: Value| {
        let ratio = json!({"type": "number", "minimum": minimum, "default": default, "enum": [default, 7]});
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "ratios.example.com"},
            "spec": {
                "group": "example.com", "scope": "Namespaced", "names": {"plural": "ratios", "kind": "Ratio"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema":
                    {"type": "object", "properties": {"spec": {"type": "object", "properties": {"ratio": ratio}}}},
                }}],
            },
        })
    };
    let (status, made) = apply(&client, &path, "fieldManager=a", &definition(json!(0.0), json!(1.0))).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let ratio = &made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        ["ratio"];
    assert_eq!((&ratio["minimum"], &ratio["enum"]), (&json!(0), &json!([1, 7])), "as Go writes them");
    let (status, both) = apply(&client, &path, "fieldManager=b", &definition(json!(0), json!(1))).await;
    assert_eq!(status, StatusCode::OK, "{both}");
    let (_, again) = apply(&client, &path, "fieldManager=a", &definition(json!(0.0), json!(1.0))).await;
    assert_eq!(again["metadata"]["generation"], made["metadata"]["generation"]);
    let (status, answer) = apply(&client, &path, "fieldManager=b", &definition(json!(0.5), json!(1))).await;
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
}

#[tokio::test]
async fn a_status_is_applied_through_its_own_door() {
    let (_server, client) = gizmo_server().await;
    let path = format!("{GIZMOS}/g");
    let (status, answer) =
        apply(&client, &format!("{path}/status"), "fieldManager=c", &gizmo("g", json!({}))).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{answer}");
    apply(&client, &path, "fieldManager=a", &gizmo("g", json!({"replicas": 1}))).await;
    let applied = json!({
        "apiVersion": "example.com/v1", "kind": "Gizmo", "metadata": {"name": "g"},
        "status": {"phase": "Ready"}, "spec": {"replicas": 9},
    });
    let (status, object) =
        apply(&client, &format!("{path}/status"), "fieldManager=c&force=true", &applied).await;
    assert_eq!(status, StatusCode::OK, "{object}");
    assert_eq!((&object["status"]["phase"], &object["spec"]["replicas"]), (&json!("Ready"), &json!(1)));
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let status_entry = entries.iter().find(|entry| entry["subresource"] == "status").unwrap();
    assert_eq!((&status_entry["manager"], &status_entry["operation"]), (&json!("c"), &json!("Apply")));
    let (_, again) = apply(&client, &format!("{path}/status"), "fieldManager=c&force=true", &applied).await;
    assert_eq!(metadata(&again, "resourceVersion"), metadata(&object, "resourceVersion"));
}

#[tokio::test]
async fn an_apply_says_who_applies_and_what() {
    let (_server, client) = server().await;
    let path = format!("{CONFIG_MAPS}/a");
    let (status, answer) = apply(&client, &path, "", &data(&json!({}))).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let text =
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
    assert_eq!(answer["message"], text);
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}});
    let (status, answer) = apply(&client, &path, "fieldManager=a", &secret).await;
    assert_eq!(
        (status, &answer["message"]),
        (StatusCode::BAD_REQUEST, &json!("invalid object type: /v1, Kind=Secret"))
    );
    let (status, _) = patch(&client, &format!("{path}?force=true"), "merge-patch+json", &json!({})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn defaults_of_a_definition_belong_to_no_applier() {
    let (_server, client) = gizmo_server().await;
    let path = format!("{GIZMOS}/g");
    let (_, object) = apply(&client, &path, "fieldManager=a", &gizmo("g", json!({"replicas": 1}))).await;
    assert_eq!(object["spec"], json!({"replicas": 1, "size": "small"}));
    let fields = &object["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"];
    assert_eq!((fields.get("f:size"), fields["f:replicas"].is_object()), (None, true), "{fields}");
}

#[tokio::test]
async fn a13_a_created_object_is_its_creators() {
    let (_server, client) = server().await;
    post(&client, &format!("{CONFIG_MAPS}?fieldManager=u"), &data(&json!({"x": "1"}))).await;
    let path = format!("{CONFIG_MAPS}/a");
    let (status, _) = apply(&client, &path, "fieldManager=a", &data(&json!({"x": "1"}))).await;
    assert_eq!(status, StatusCode::OK, "equal values are owned together");
    let (status, _) = apply(&client, &path, "fieldManager=b", &data(&json!({"x": "2"}))).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(get(&client, &path).await.1["data"]["x"], "1");
}
