//! Hard corners of writes and schemas (spec/apiserver.md 20), one test a row, at the door. Those about other parts, and
//! those that need no server, are beside what they are about; all carry their number.

use http::{Method, StatusCode};
use kube::Client;
use okra_apiserver::Server;
use serde_json::{Value, json};

use crate::common::{
    CONFIG_MAPS, DEFINITIONS, config_map, established, get, metadata, patch, post, put, send, server, until,
};
use crate::vectors::{THINGS, thing_definition};

async fn things() -> (Server, Client) {
    let (server, client) = server().await;
    post(&client, DEFINITIONS, &thing_definition()).await;
    established(&client, "things.example.com").await;
    (server, client)
}

fn thing(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": name}, "spec": spec})
}

/// Changes the schema of a field of `spec` and waits until it is served.
async fn change_schema(client: &Client, field: &str, schema: Value) {
    let path = format!("{DEFINITIONS}/things.example.com");
    let (_, mut definition) = get(client, &path).await;
    let root = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    root["properties"]["spec"]["properties"][field] = schema.clone();
    let (status, answer) = put(client, &path, &definition).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    until(client, "/openapi/v3/apis/example.com/v1", |_, document| {
        document["components"]["schemas"]["com.example.v1.Thing"]["properties"]["spec"]["properties"][field]
            == schema
    })
    .await;
}

#[tokio::test]
async fn corner_08_a_patched_scale_is_answered_with_a_scale() {
    let (_server, client) = things().await;
    post(&client, THINGS, &thing("t", json!({"replicas": 1}))).await;
    for (media, body) in [
        ("merge-patch+json", json!({"spec": {"replicas": 2}})),
        ("json-patch+json", json!([{"op": "replace", "path": "/spec/replicas", "value": 3}])),
    ] {
        let (status, scale) = patch(&client, &format!("{THINGS}/t/scale"), media, &body).await;
        assert_eq!((status, &scale["kind"]), (StatusCode::OK, &json!("Scale")), "{scale}");
        assert_eq!(scale["apiVersion"], "autoscaling/v1");
    }
    assert_eq!(get(&client, &format!("{THINGS}/t")).await.1["spec"]["replicas"], 3);
}

#[tokio::test]
async fn corner_24_an_apply_of_no_change_keeps_the_time() {
    let (_server, client, clock) = crate::noop::clocked_server().await;
    let path = format!("{CONFIG_MAPS}/c?fieldManager=a");
    let body = config_map("c", json!({"x": "1"}));
    let (_, once) = patch(&client, &path, "apply-patch+yaml", &body).await;
    clock.advance_minute();
    let (_, twice) = patch(&client, &path, "apply-patch+yaml", &body).await;
    assert_eq!(once, twice);
    let (_, more) = patch(&client, &path, "apply-patch+yaml", &config_map("c", json!({"x": "2"}))).await;
    let time = |object: &Value| object["metadata"]["managedFields"][0]["time"].clone();
    assert_ne!(time(&more), time(&once), "a change moves it");
}

#[tokio::test]
async fn corner_26_metadata_through_status_is_ignored() {
    let (_server, client) = things().await;
    let mut object = thing("t", json!({}));
    object["metadata"]["finalizers"] = json!(["example.com/hold"]);
    post(&client, THINGS, &object).await;
    let (_, mut live) = get(&client, &format!("{THINGS}/t")).await;
    live["metadata"]["finalizers"] = json!([]);
    live["metadata"]["labels"] = json!({"a": "b"});
    live["metadata"]["annotations"] = json!({"a": "b"});
    live["status"] = json!({"phase": "Ready"});
    let (status, after) = put(&client, &format!("{THINGS}/t/status"), &live).await;
    assert_eq!(status, StatusCode::OK, "{after}");
    assert_eq!(
        (&after["status"]["phase"], &after["metadata"]["finalizers"]),
        (&json!("Ready"), &json!(["example.com/hold"]))
    );
    assert_eq!((after["metadata"].get("labels"), after["metadata"].get("annotations")), (None, None));
}

#[tokio::test]
async fn corner_27_only_the_spec_counts_as_a_generation() {
    let (_server, client) = things().await;
    post(&client, THINGS, &thing("t", json!({}))).await;
    let path = format!("{THINGS}/t");
    let generation = async |path: &str, body: Value| {
        patch(&client, path, "merge-patch+json", &body).await.1["metadata"]["generation"].clone()
    };
    assert_eq!(generation(&path, json!({"metadata": {"labels": {"a": "b"}}})).await, 1);
    assert_eq!(generation(&format!("{path}/status"), json!({"status": {"phase": "Ready"}})).await, 1);
    assert_eq!(generation(&path, json!({"spec": {"s": "x"}})).await, 2);
    assert_eq!(generation(&path, json!({"spec": {"s": "x"}})).await, 2);
}

#[tokio::test]
async fn corner_40_large_integers_keep_their_digits() {
    let (_server, client) = things().await;
    let body = r#"{"apiVersion":"example.com/v1","kind":"Thing","metadata":{"name":"t"},"spec":{"replicas":9007199254740993}}"#;
    let (status, created) =
        send(&client, Method::POST, THINGS, &[("content-type", "application/json")], body).await;
    assert_eq!(
        (status, created["spec"]["replicas"].to_string()),
        (StatusCode::CREATED, "9007199254740993".to_owned())
    );
}

#[tokio::test]
async fn corner_41_a_new_default_shows_in_old_objects() {
    let (_server, client) = things().await;
    let (_, created) = post(&client, THINGS, &thing("t", json!({"replicas": 1}))).await;
    change_schema(&client, "colour", json!({"type": "string", "default": "red"})).await;
    let (_, shown) = get(&client, &format!("{THINGS}/t")).await;
    assert_eq!(shown["spec"]["colour"], "red");
    assert_eq!(
        metadata(&shown, "resourceVersion"),
        metadata(&created, "resourceVersion"),
        "nothing was written"
    );
    let (_, list) = get(&client, THINGS).await;
    assert_eq!(list["items"][0]["spec"]["colour"], "red");
    let (_, patched) = patch(&client, &format!("{THINGS}/t"), "merge-patch+json", &json!({})).await;
    assert_ne!(metadata(&patched, "resourceVersion"), metadata(&created, "resourceVersion"), "now it is");
}

#[tokio::test]
async fn corner_43_a_default_wins_over_an_explicit_null() {
    let (_server, client) = things().await;
    let (status, created) =
        post(&client, THINGS, &thing("t", json!({"d": null, "n": null, "s": null}))).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    assert_eq!(created["spec"], json!({"d": "given", "n": null}), "default, nullable, dropped");
}

#[tokio::test]
async fn corner_44_a_tightened_schema_does_not_hold_what_is_unchanged() {
    let (_server, client) = things().await;
    let mut object = thing("t", json!({"s": "long and old", "replicas": 1}));
    object["metadata"]["finalizers"] = json!(["example.com/hold"]);
    post(&client, THINGS, &object).await;
    change_schema(&client, "s", json!({"type": "string", "maxLength": 3})).await;
    let path = format!("{THINGS}/t");
    let (status, answer) =
        patch(&client, &path, "merge-patch+json", &json!({"metadata": {"finalizers": null}})).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let (status, answer) = patch(&client, &path, "merge-patch+json", &json!({"spec": {"replicas": 2}})).await;
    assert_eq!(status, StatusCode::OK, "a neighbour may change: {answer}");
    let (status, answer) =
        patch(&client, &path, "merge-patch+json", &json!({"spec": {"s": "new and long"}})).await;
    assert_eq!(
        (status, &answer["details"]["causes"][0]["reason"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("FieldValueTooLong"))
    );
}

#[tokio::test]
async fn corner_45_an_immutable_field_can_be_created() {
    let (_server, client) = things().await;
    let immutable = json!({"type": "string", "x-kubernetes-validations": [
        {"rule": "self == oldSelf", "message": "may not change", "reason": "FieldValueForbidden"}]});
    change_schema(&client, "s", immutable).await;
    let (status, created) = post(&client, THINGS, &thing("t", json!({"s": "a"}))).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    let path = format!("{THINGS}/t");
    let (status, answer) = patch(&client, &path, "merge-patch+json", &json!({"spec": {"s": "b"}})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let cause =
        json!({"reason": "FieldValueForbidden", "message": "Forbidden: may not change", "field": "spec.s"});
    assert_eq!(answer["details"]["causes"], json!([cause]));
    let (status, _) = patch(&client, &path, "merge-patch+json", &json!({"spec": {"replicas": 1}})).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn corner_57_equal_values_are_no_conflict() {
    let (_server, client) = things().await;
    let spec = json!({"s": "x", "m": {"k": "1"}, "set": ["a"], "lm": [{"name": "p", "v": 1}]});
    for manager in ["a", "b", "c"] {
        let path = format!("{THINGS}/t?fieldManager={manager}");
        let (status, answer) = patch(&client, &path, "apply-patch+yaml", &thing("t", spec.clone())).await;
        assert!(status.is_success(), "{manager}: {answer}");
    }
}

#[tokio::test]
async fn corner_58_what_another_manager_owns_is_not_pruned() {
    let (_server, client) = things().await;
    let apply = async |manager: &str, spec: Value| {
        let path = format!("{THINGS}/t?fieldManager={manager}");
        patch(&client, &path, "apply-patch+yaml", &thing("t", spec)).await.1
    };
    apply("a", json!({"m": {"k": "1", "l": "2"}, "set": ["x", "y"], "lm": [{"name": "p", "v": 1}]})).await;
    apply("b", json!({"m": {"k": "1"}, "set": ["x"], "lm": [{"name": "p"}]})).await;
    let left = apply("a", json!({})).await;
    assert_eq!(left["spec"]["m"], json!({"k": "1"}));
    assert_eq!(left["spec"]["set"], json!(["x"]));
    assert_eq!(left["spec"]["lm"], json!([{"name": "p"}]));
}

#[tokio::test]
async fn bodies_that_do_not_fit_the_types_are_refused_in_gos_words() {
    let (_server, client) = things().await;
    let (status, answer) = post(&client, CONFIG_MAPS, &config_map("c", json!({"x": 1}))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let text = "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go \
                struct field ConfigMap.data of type string";
    assert_eq!((&answer["reason"], &answer["message"]), (&json!("BadRequest"), &json!(text)));
    let mut object = thing("t", json!({}));
    object["metadata"]["labels"] = json!(5);
    let (status, answer) = post(&client, THINGS, &object).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    assert_eq!(post(&client, THINGS, &thing("t", json!({"s": 5}))).await.0, StatusCode::UNPROCESSABLE_ENTITY);

    post(&client, CONFIG_MAPS, &config_map("c", json!({}))).await;
    for media in ["merge-patch+json", "strategic-merge-patch+json"] {
        let body = json!({"metadata": {"labels": 5}});
        let (status, answer) = patch(&client, &format!("{CONFIG_MAPS}/c"), media, &body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
        let causes = answer["details"]["causes"].as_array().unwrap();
        assert_eq!((causes.len(), &causes[0]["field"]), (1, &json!("patch")));
        assert!(
            answer["message"].as_str().unwrap().starts_with(" \"\" is invalid: patch: Invalid value: "),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn patches_that_contradict_themselves_say_why() {
    let (_server, client) = server().await;
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    post(&client, deployments, &deployment).await;
    let strategic = async |body: Value| {
        patch(&client, &format!("{deployments}/d"), "strategic-merge-patch+json", &body).await
    };
    let (status, answer) =
        strategic(json!({"spec": {"template": {"spec": {"containers": [{"image": "q"}]}}}})).await;
    assert_eq!((status, &answer["reason"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("Invalid")));
    assert_eq!(answer["message"], "map: map[image:q] does not contain declared merge key: name");
    let (status, answer) = strategic(json!({"spec": {"$patch": "frob"}})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer["message"], "unknown patch type: frob in map: map[$patch:frob]");
    let (status, answer) =
        strategic(json!({"spec": {"strategy": {"$retainKeys": [], "type": "Recreate"}}})).await;
    assert_eq!(
        (status, &answer["message"]),
        (StatusCode::BAD_REQUEST, &json!("invalid patch format of retainKeys"))
    );
    let unknown = json!([{"op": "add", "path": "/metadata/labels", "value": {}, "foo": 1}]);
    let path = format!("{deployments}/d?fieldValidation=Strict");
    let (status, answer) = patch(&client, &path, "json-patch+json", &unknown).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer["message"].as_str().unwrap().contains("json patch unknown field \"[0].foo\""), "{answer}");
}

#[tokio::test]
async fn an_applied_configuration_that_does_not_fit_is_named_once() {
    let (_server, client) = things().await;
    let path = format!("{THINGS}/t?fieldManager=a");
    let (status, answer) = patch(&client, &path, "apply-patch+yaml", &thing("t", json!({"zz": 1}))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let text = "failed to create typed patch object (/t; example.com/v1, Kind=Thing): .spec.zz: field not \
                declared in schema";
    assert_eq!(answer["message"], text);
    let headers = [("content-type", "application/apply-patch+yaml")];
    let twice = "apiVersion: example.com/v1\nkind: Thing\nmetadata:\n  name: t\nspec:\n  s: a\n  s: b\n";
    let (status, answer) = send(&client, Method::PATCH, &path, &headers, twice).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let text = "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  line 7: key \"s\" \
                already set in map";
    assert_eq!(answer["message"], text);
    let unnamed = "apiVersion: example.com/v1\nkind: Thing\n";
    let (status, _) = send(&client, Method::PATCH, &path, &headers, unnamed).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "a name may be left out only where there is an object");
}

#[tokio::test]
async fn deep_and_aliased_bodies_are_refused() {
    let (_server, client) = server().await;
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
    let json = [("content-type", "application/json")];
    let (status, answer) = send(&client, Method::POST, CONFIG_MAPS, &json, deep).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer["message"].as_str().unwrap().contains("exceeded max depth"), "{}", answer["reason"]);
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        bomb += &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", "));
    }
    let yaml = [("content-type", "application/yaml")];
    let (status, _) = send(&client, Method::POST, CONFIG_MAPS, &yaml, bomb).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_object_as_deep_as_allowed_goes_all_the_way() {
    let (_server, client) = things().await;
    change_schema(&client, "free", json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}))
        .await;
    let deep = (0..115).fold(json!("core"), |inner, _| json!({"a": inner}));
    let path = format!("{THINGS}/t");
    let (status, answer) = post(&client, THINGS, &thing("t", json!({"free": deep}))).await;
    assert_eq!(status, StatusCode::CREATED, "{}", answer["message"]);
    assert_eq!(get(&client, &path).await.1["spec"]["free"], deep);
    assert_eq!(get(&client, THINGS).await.1["items"][0]["spec"]["free"], deep);
    let (_, object) =
        patch(&client, &path, "merge-patch+json", &json!({"spec": {"free": {"b": deep["a"]}}})).await;
    assert_eq!(object["spec"]["free"]["b"], deep["a"]);
    let apply = format!("{path}?fieldManager=a&force=true");
    let (status, _) =
        patch(&client, &apply, "apply-patch+yaml", &thing("t", json!({"free": {"c": deep["a"]}}))).await;
    assert_eq!(status, StatusCode::OK);
    let copy = json!([{"op": "copy", "from": "/spec/free", "path": "/spec/free/a/a/a/a"}]);
    let (status, _) = patch(&client, &path, "json-patch+json", &copy).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "no patch makes it deeper");
}

#[tokio::test]
async fn an_object_too_large_with_its_managers_is_stored_without_them() {
    let (_server, client) = server().await;
    // The object fits, and so does it with one manager; its hundred thousand keys under two do not.
    let data: serde_json::Map<String, Value> =
        (0..30_000).map(|n| (format!("key-{n:012}"), json!("0123456789"))).collect();
    let (status, answer) =
        post(&client, &format!("{CONFIG_MAPS}?fieldManager=u"), &config_map("c", json!(data))).await;
    assert_eq!(status, StatusCode::CREATED, "{}", answer["message"]);
    assert_eq!(answer["metadata"].get("managedFields"), None);
    assert_eq!(answer["data"].as_object().unwrap().len(), 30_000);
}

#[tokio::test]
async fn a_definition_says_that_its_names_are_accepted_before_it_is_established() {
    let (_server, client) = server().await;
    let (_, created) = post(&client, DEFINITIONS, &thing_definition()).await;
    assert_eq!(created["status"]["conditions"], Value::Null);
    established(&client, "things.example.com").await;
    // All states of it, from the watch.
    let from = metadata(&created, "resourceVersion");
    let path = format!(
        "{DEFINITIONS}?watch=1&resourceVersion={from}&timeoutSeconds=1&fieldSelector=metadata.name=things.example.com"
    );
    let (_, events) = send(&client, Method::GET, &path, &[], "").await;
    let lines = match events {
        Value::String(lines) => lines,
        single => single.to_string(),
    };
    let states: Vec<(Value, Value)> = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .map(|event| {
            let of = |name: &str| {
                let conditions = event["object"]["status"]["conditions"].as_array().into_iter().flatten();
                let mut found = conditions.filter(|condition| condition["type"] == name);
                found.next().map_or(Value::Null, |condition| condition["reason"].clone())
            };
            (of("NamesAccepted"), of("Established"))
        })
        .collect();
    assert_eq!(
        states,
        [(json!("NoConflicts"), json!("Installing")), (json!("NoConflicts"), json!("InitialNamesAccepted"))]
    );
}

#[tokio::test]
async fn conversion_by_webhook_is_refused_where_it_would_be_needed() {
    let (_server, client) = server().await;
    let mut definition = thing_definition();
    definition["spec"]["conversion"] = json!({"strategy": "Webhook", "webhook": {
        "conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://example.com/convert"}}});
    let mut older = definition["spec"]["versions"][0].clone();
    older["name"] = json!("v1beta1");
    older["storage"] = json!(false);
    let mut two = definition.clone();
    two["spec"]["versions"].as_array_mut().unwrap().push(older);
    let (status, answer) = post(&client, DEFINITIONS, &two).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let cause = &answer["details"]["causes"][0];
    assert_eq!(
        (&cause["reason"], &cause["field"]),
        (&json!("FieldValueForbidden"), &json!("spec.conversion.strategy"))
    );
    let (status, answer) = post(&client, DEFINITIONS, &definition).await;
    assert_eq!(status, StatusCode::CREATED, "one version needs no conversion: {answer}");
}
