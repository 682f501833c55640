//! Create, read, update, patch: what every client relies on.

use http::{Method, StatusCode};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::common::{
    CONFIG_MAPS, GIZMOS, config_map, get, gizmo, gizmo_server, metadata, patch, post, put, send, server,
};

#[tokio::test]
async fn a_typed_client_creates_reads_updates_and_deletes() {
    let (_server, client) = server().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client);
    let map: ConfigMap = serde_json::from_value(config_map("a", json!({"x": "1"}))).unwrap();
    let created = maps.create(&PostParams::default(), &map).await.unwrap();
    assert!(created.metadata.uid.is_some() && created.metadata.creation_timestamp.is_some());

    let mut changed = maps.get("a").await.unwrap();
    changed.data = Some([("x".to_owned(), "2".to_owned())].into());
    let updated = maps.replace("a", &PostParams::default(), &changed).await.unwrap();
    assert_ne!(updated.metadata.resource_version, created.metadata.resource_version);
    let stale = maps.replace("a", &PostParams::default(), &changed).await.unwrap_err();
    assert!(matches!(stale, kube::Error::Api(status) if status.code == 409 && status.reason == "Conflict"));

    let merge = Patch::Merge(json!({"data": {"x": null, "y": "3"}}));
    let patched = maps.patch("a", &PatchParams::default(), &merge).await.unwrap();
    assert_eq!(patched.data, Some([("y".to_owned(), "3".to_owned())].into()));

    maps.delete("a", &DeleteParams::default()).await.unwrap();
    let missing = maps.get("a").await.unwrap_err();
    assert!(matches!(missing, kube::Error::Api(status) if status.code == 404));
}

#[tokio::test]
async fn server_fields_are_the_servers() {
    let (_server, client) = gizmo_server().await;
    let mut body = gizmo("g", json!({"size": "large"}));
    body["metadata"]["uid"] = json!("mine");
    body["metadata"]["creationTimestamp"] = json!(null);
    body["metadata"]["generation"] = json!(7);
    body["status"] = json!({"phase": "Made up"});
    let (status, created) = post(&client, GIZMOS, &body).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    assert_ne!(metadata(&created, "uid"), "mine");
    assert_eq!(created["metadata"]["generation"], 1);
    assert_eq!(created.get("status"), None);
}

#[tokio::test]
async fn generate_name_appends_five_characters() {
    let (_server, client) = server().await;
    let mut body = config_map("", json!({}));
    body["metadata"] = json!({"generateName": "job-"});
    let (status, first) = post(&client, CONFIG_MAPS, &body).await;
    assert_eq!(status, StatusCode::CREATED, "{first}");
    let (_, second) = post(&client, CONFIG_MAPS, &body).await;
    let (first, second) = (metadata(&first, "name"), metadata(&second, "name"));
    assert_ne!(first, second);
    assert!(first.starts_with("job-") && first.len() == 9, "{first}");
    let (status, answer) =
        post(&client, CONFIG_MAPS, &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let text = "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required";
    assert_eq!(answer["message"], text);
}

#[tokio::test]
async fn refusals_say_what_is_wrong() {
    let (_server, client) = server().await;
    post(&client, CONFIG_MAPS, &config_map("a", json!({}))).await;
    let (status, answer) = post(&client, CONFIG_MAPS, &config_map("a", json!({}))).await;
    assert_eq!((status, answer["reason"].as_str()), (StatusCode::CONFLICT, Some("AlreadyExists")));
    assert_eq!(answer["message"], "configmaps \"a\" already exists");

    let (status, answer) = post(&client, CONFIG_MAPS, &config_map("Not_A_Name", json!({}))).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer["message"].as_str().unwrap().contains("a lowercase RFC 1123 subdomain must"), "{answer}");

    let nowhere = "/api/v1/namespaces/nope/configmaps";
    let (status, answer) = post(&client, nowhere, &config_map("a", json!({}))).await;
    assert_eq!(
        (status, &answer["message"]),
        (StatusCode::NOT_FOUND, &json!("namespaces \"nope\" not found"))
    );

    let (status, answer) = put(&client, &format!("{CONFIG_MAPS}/b"), &config_map("c", json!({}))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(answer["message"], "the name of the object (c) does not match the name on the URL (b)");

    let (status, answer) = get(&client, "/api/v1/namespaces/default/nothings").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(answer["message"], "the server could not find the requested resource");
    let (status, answer) = get(&client, "/apis/no.such.group/v1/things").await;
    assert_eq!((status, answer), (StatusCode::NOT_FOUND, json!("404 page not found\n")));
}

#[tokio::test]
async fn a_replace_that_changes_nothing_changes_no_revision() {
    let (_server, client) = gizmo_server().await;
    let (_, created) = post(&client, GIZMOS, &gizmo("g", json!({}))).await;
    let path = format!("{GIZMOS}/g");
    let (status, same) = put(&client, &path, &created).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(metadata(&same, "resourceVersion"), metadata(&created, "resourceVersion"));
    let (_, same) = patch(&client, &path, "merge-patch+json", &json!({"spec": {"size": "small"}})).await;
    assert_eq!(metadata(&same, "resourceVersion"), metadata(&created, "resourceVersion"));
}

#[tokio::test]
async fn corner_28_a_custom_resource_is_not_replaced_without_a_revision() {
    let (_server, client) = gizmo_server().await;
    post(&client, GIZMOS, &gizmo("g", json!({}))).await;
    let (status, answer) = put(&client, &format!("{GIZMOS}/g"), &gizmo("g", json!({"size": "large"}))).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let text = "gizmos.example.com \"g\" is invalid: metadata.resourceVersion: Invalid value: 0: must be \
                specified for an update";
    assert_eq!(answer["message"], text);
    post(&client, CONFIG_MAPS, &config_map("a", json!({}))).await;
    let (status, _) = put(&client, &format!("{CONFIG_MAPS}/a"), &config_map("a", json!({"x": "1"}))).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn corner_25_corner_27_status_and_spec_have_their_own_doors() {
    let (_server, client) = gizmo_server().await;
    let path = format!("{GIZMOS}/g");
    post(&client, GIZMOS, &gizmo("g", json!({}))).await;
    let both =
        json!({"status": {"phase": "Ready"}, "spec": {"size": "large"}, "metadata": {"labels": {"a": "b"}}});
    let (status, object) = patch(&client, &format!("{path}/status"), "merge-patch+json", &both).await;
    assert_eq!(status, StatusCode::OK, "{object}");
    assert_eq!((&object["status"]["phase"], &object["spec"]["size"]), (&json!("Ready"), &json!("small")));
    assert_eq!(object["metadata"].get("labels"), None);
    assert_eq!(object["metadata"]["generation"], 1);

    let both =
        json!({"status": {"phase": "Lost"}, "spec": {"size": "large"}, "metadata": {"labels": {"a": "b"}}});
    let (_, object) = patch(&client, &path, "merge-patch+json", &both).await;
    assert_eq!((&object["status"]["phase"], &object["spec"]["size"]), (&json!("Ready"), &json!("large")));
    assert_eq!(object["metadata"]["generation"], 2);
    let (_, object) =
        patch(&client, &path, "merge-patch+json", &json!({"metadata": {"labels": {"a": "c"}}})).await;
    assert_eq!(object["metadata"]["generation"], 2, "labels are no spec");
}

#[tokio::test]
async fn corner_29_versions_inside_a_patch_are_checked() {
    let (_server, client) = gizmo_server().await;
    let path = format!("{GIZMOS}/g");
    let (_, created) = post(&client, GIZMOS, &gizmo("g", json!({}))).await;
    let pinned =
        |revision: &str| json!({"metadata": {"resourceVersion": revision}, "spec": {"size": "large"}});
    let (status, _) = patch(&client, &path, "merge-patch+json", &pinned("1")).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let own = pinned(metadata(&created, "resourceVersion"));
    let (status, _) = patch(&client, &path, "merge-patch+json", &own).await;
    assert_eq!(status, StatusCode::OK);
    let (status, answer) =
        patch(&client, &path, "merge-patch+json", &json!({"metadata": {"uid": "other"}})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
}

#[tokio::test]
async fn corner_30_a_test_for_null_passes_on_a_missing_member() {
    let (_server, client) = gizmo_server().await;
    let path = format!("{GIZMOS}/g");
    post(&client, GIZMOS, &gizmo("g", json!({}))).await;
    let add = json!([
        {"op": "test", "path": "/metadata/finalizers", "value": null},
        {"op": "add", "path": "/metadata/finalizers", "value": ["example.com/hold"]},
    ]);
    let (status, object) = patch(&client, &path, "json-patch+json", &add).await;
    assert_eq!(status, StatusCode::OK, "{object}");
    assert_eq!(object["metadata"]["finalizers"], json!(["example.com/hold"]));
    let (status, answer) = patch(&client, &path, "json-patch+json", &add).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer["message"], "the server rejected our request due to an error in our request");
}

#[tokio::test]
async fn corner_07_strategic_patches_are_for_built_in_kinds() {
    let (_server, client) = gizmo_server().await;
    post(&client, GIZMOS, &gizmo("g", json!({}))).await;
    let body = json!({"metadata": {"labels": {"a": "b"}}});
    let (status, _) = patch(&client, &format!("{GIZMOS}/g"), "strategic-merge-patch+json", &body).await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    post(&client, CONFIG_MAPS, &config_map("a", json!({}))).await;
    let (status, _) = patch(&client, &format!("{CONFIG_MAPS}/a"), "strategic-merge-patch+json", &body).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_dry_run_answers_and_stores_nothing() {
    let (_server, client) = server().await;
    let path = format!("{CONFIG_MAPS}?dryRun=All");
    let (status, answer) = post(&client, &path, &config_map("a", json!({"x": "1"}))).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_ne!(metadata(&answer, "uid"), "");
    assert_eq!(answer["metadata"].get("resourceVersion"), None);
    assert_eq!(get(&client, &format!("{CONFIG_MAPS}/a")).await.0, StatusCode::NOT_FOUND);
    let (status, answer) =
        post(&client, &format!("{CONFIG_MAPS}?dryRun=x"), &config_map("a", json!({}))).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
}

#[tokio::test]
async fn corner_46_unknown_fields_are_refused_warned_of_or_ignored() {
    let (_server, client) = gizmo_server().await;
    let body = gizmo("g", json!({"colour": "red"}));
    let (status, answer) = post(&client, &format!("{GIZMOS}?fieldValidation=Strict"), &body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let text = "Gizmo in version \"v1\" cannot be handled as a Gizmo: strict decoding error: unknown field \
                \"spec.colour\"";
    assert_eq!(answer["message"], text);
    let (status, created) = post(&client, GIZMOS, &body).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(created["spec"], json!({"size": "small"}));
}

#[tokio::test]
async fn corner_39_a_secrets_plain_text_is_never_shown() {
    let (_server, client) = server().await;
    let secrets: Api<Secret> = Api::default_namespaced(client);
    let secret: Secret = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"password": "geheim"},
    }))
    .unwrap();
    let created = secrets.create(&PostParams::default(), &secret).await.unwrap();
    assert_eq!(created.string_data, None);
    assert_eq!(created.data.unwrap()["password"].0, b"geheim");
    assert_eq!(created.type_.as_deref(), Some("Opaque"));
}

#[tokio::test]
async fn corner_01_protobuf_bodies_are_understood() {
    let (_server, client) = server().await;
    // Namespace "n": the envelope, then ObjectMeta.name.
    let mut body = b"k8s\0".to_vec();
    body.extend(b"\x0a\x0f\x0a\x02v1\x12\x09Namespace");
    body.extend(b"\x12\x05\x0a\x03\x0a\x01n");
    let headers = [("content-type", "application/vnd.kubernetes.protobuf"), ("accept", "application/json")];
    let (status, answer) = send(&client, Method::POST, "/api/v1/namespaces", &headers, body).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    assert_eq!(answer["status"]["phase"], "Active");
}

#[tokio::test]
async fn scale_is_a_small_object_in_front_of_a_large_one() {
    let (_server, client) = gizmo_server().await;
    post(&client, GIZMOS, &gizmo("g", json!({"replicas": 2}))).await;
    let path = format!("{GIZMOS}/g/scale");
    let (status, scale) = get(&client, &path).await;
    assert_eq!((status, &scale["kind"]), (StatusCode::OK, &json!("Scale")));
    assert_eq!(scale["spec"], json!({"replicas": 2}));
    let (status, scale) = patch(&client, &path, "merge-patch+json", &json!({"spec": {"replicas": 5}})).await;
    assert_eq!((status, &scale["kind"]), (StatusCode::OK, &json!("Scale")), "hc 8");
    let (_, object) = get(&client, &format!("{GIZMOS}/g")).await;
    assert_eq!((&object["spec"]["replicas"], &object["metadata"]["generation"]), (&json!(5), &json!(2)));
    let (status, _) = patch(&client, &path, "merge-patch+json", &json!({"spec": {"replicas": -1}})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
}
