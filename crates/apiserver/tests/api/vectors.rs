//! The vectors of server-side apply (spec/apiserver.md 12.9), read from `vectors.yaml` and sent to a server.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use kube::Client;
use okra_apiserver::apply::owners;
use serde_json::{Value, json};

use crate::common::{CONFIG_MAPS, DEFINITIONS, established, get, metadata, patch, post, put, send};
use crate::noop::clocked_server;

/// Every vector of the specification must be there.
const VECTORS: usize = 21;

/// A custom resource with a field of each type that ownership knows.
pub(crate) fn thing_definition() -> Value {
    let text = json!({"type": "string"});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}, "scale": {
                    "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {
                        "replicas": {"type": "integer"},
                        "s": text,
                        "d": {"type": "string", "default": "given"},
                        "n": {"type": "string", "nullable": true},
                        "m": {"type": "object", "additionalProperties": text},
                        "at": {"type": "array", "items": {"type": "integer"}},
                        "set": {"type": "array", "items": text, "x-kubernetes-list-type": "set"},
                        "lm": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                            "items": {"type": "object", "required": ["name"], "properties": {
                                "name": text, "v": {"type": "integer"}}}},
                    }},
                    "status": {"type": "object", "properties": {
                        "replicas": {"type": "integer"}, "phase": text}},
                }}},
            }],
        },
    })
}

pub(crate) const THINGS: &str = "/apis/example.com/v1/namespaces/default/things";

/// Path, apiVersion and kind of what a vector is about.
fn target(kind: &str) -> (&'static str, &'static str, &'static str) {
    match kind {
        "Thing" => (THINGS, "example.com/v1", "Thing"),
        "Deployment" => ("/apis/apps/v1/namespaces/default/deployments", "apps/v1", "Deployment"),
        _ => (CONFIG_MAPS, "v1", "ConfigMap"),
    }
}

fn merge(target: &mut Value, fields: &Value) {
    let Value::Object(fields) = fields else {
        *target = fields.clone();
        return;
    };
    for (name, value) in fields {
        if value.is_null() {
            drop(target.as_object_mut().unwrap().shift_remove(name));
        } else {
            merge(&mut target[name.as_str()], value);
        }
    }
}

struct Run<'a> {
    client: &'a Client,
    kind: (&'static str, &'static str, &'static str),
}

impl Run<'_> {
    fn path(&self) -> String {
        format!("{}/c", self.kind.0)
    }

    fn object(&self, fields: &Value) -> Value {
        let mut object = json!({"apiVersion": self.kind.1, "kind": self.kind.2, "metadata": {"name": "c"}});
        for (name, value) in fields.as_object().unwrap() {
            match name.as_str() {
                "metadata" => merge(&mut object["metadata"], value),
                _ => object[name.as_str()] = value.clone(),
            }
        }
        object
    }

    async fn send(&self, step: &Value) -> (StatusCode, Value) {
        let manager = step["by"].as_str().unwrap();
        let (path, query) = (self.path(), format!("fieldManager={manager}"));
        if let Some(fields) = step.get("apply") {
            let force = if step["force"] == true { "&force=true" } else { "" };
            let body = self.object(fields);
            return patch(self.client, &format!("{path}?{query}{force}"), "apply-patch+yaml", &body).await;
        }
        if let Some(fields) = step.get("post") {
            return post(self.client, &format!("{}?{query}", self.kind.0), &self.object(fields)).await;
        }
        if let Some(fields) = step.get("put") {
            let (_, mut object) = get(self.client, &path).await;
            merge(&mut object, fields);
            return put(self.client, &format!("{path}?{query}"), &object).await;
        }
        let (path, fields) = match step.get("scale") {
            Some(fields) => (format!("{path}/scale"), fields),
            None => (path, &step["merge"]),
        };
        patch(self.client, &format!("{path}?{query}"), "merge-patch+json", fields).await
    }

    async fn step(&self, name: &str, step: &Value) {
        let before = get(self.client, &self.path()).await.1;
        let list = get(self.client, self.kind.0).await.1;
        let (status, answer) = self.send(step).await;
        let wanted = step["code"].as_u64();
        let code = u64::from(status.as_u16());
        assert!(
            wanted.map_or(code == 200 || code == 201, |wanted| code == wanted),
            "{name}: {code} {answer}"
        );
        if let Some(text) = step["message"].as_str() {
            assert!(answer["message"].as_str().unwrap().contains(text), "{name}: {answer}");
        }
        if let Some(wanted) = step.get("conflict") {
            let causes = answer["details"]["causes"].as_array().unwrap();
            let found: Vec<Value> =
                causes.iter().map(|cause| json!([cause["message"], cause["field"]])).collect();
            assert_eq!(json!(found), *wanted, "{name}");
        }
        let after = get(self.client, &self.path()).await.1;
        if step["same"] == true || wanted.is_some_and(|code| code >= 400) {
            let now = get(self.client, self.kind.0).await.1;
            assert_eq!(after, before, "{name}");
            assert_eq!(metadata(&now, "resourceVersion"), metadata(&list, "resourceVersion"), "{name}");
        }
        check(name, step, &after);
    }
}

fn check(name: &str, step: &Value, object: &Value) {
    for (pointer, wanted) in step["has"].as_object().into_iter().flatten() {
        assert_eq!(object.pointer(pointer).unwrap_or(&Value::Null), wanted, "{name}: {pointer} in {object}");
    }
    for pointer in step["nulls"].as_array().into_iter().flatten() {
        assert_eq!(object.pointer(pointer.as_str().unwrap()), Some(&Value::Null), "{name}: {object}");
    }
    if let Some(wanted) = step.get("owns") {
        let found: BTreeMap<String, Vec<String>> = owners(object).into_iter().collect();
        assert_eq!(json!(found), *wanted, "{name}");
    }
}

#[tokio::test]
async fn all_vectors_hold() {
    let vectors: Value = serde_saphyr::from_str(include_str!("vectors.yaml")).unwrap();
    let vectors = vectors.as_array().unwrap();
    for number in 1..=VECTORS {
        let found = vectors.iter().any(|vector| {
            vector["no"].as_str().unwrap().split(' ').next() == Some(format!("A{number}").as_str())
        });
        assert!(found, "vector A{number} is missing");
    }
    for vector in vectors {
        let (_server, client, clock) = clocked_server().await;
        post(&client, DEFINITIONS, &thing_definition()).await;
        established(&client, "things.example.com").await;
        let run = Run { client: &client, kind: target(vector["kind"].as_str().unwrap_or_default()) };
        for (index, step) in vector["steps"].as_array().unwrap().iter().enumerate() {
            clock.advance_minute();
            run.step(&format!("{} step {}", vector["no"], index + 1), step).await;
        }
    }
}

#[tokio::test]
async fn a_scale_can_be_applied() {
    let (_server, client, clock) = clocked_server().await;
    post(&client, DEFINITIONS, &thing_definition()).await;
    established(&client, "things.example.com").await;
    let deployment = json!({"spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    for (kind, first) in [("Thing", json!({"spec": {"replicas": 1}})), ("Deployment", deployment)] {
        let run = Run { client: &client, kind: target(kind) };
        run.step(kind, &json!({"apply": first, "by": "a", "code": 201})).await;
        let scale = |replicas: Value| {
            json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "c"},
                "spec": {"replicas": replicas}})
        };
        let path = format!("{}/scale", run.path());
        let apply = async |manager: &str, force: bool, replicas: Value| {
            let query = format!("{path}?fieldManager={manager}&force={force}");
            patch(&client, &query, "apply-patch+yaml", &scale(replicas)).await
        };
        clock.advance_minute();
        let (code, answer) = apply("s", false, json!(3)).await;
        assert_eq!(code, StatusCode::CONFLICT, "{answer}");
        assert_eq!(answer["details"]["causes"][0]["field"], ".spec.replicas");
        let (code, answer) = apply("s", false, json!("many")).await;
        assert_eq!(code, StatusCode::BAD_REQUEST, "{answer}");
        let (code, answer) = apply("s", true, json!(-1)).await;
        assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
        let (code, answer) = apply("s", true, json!(3)).await;
        assert_eq!(
            (code, &answer["kind"], &answer["spec"]["replicas"]),
            (StatusCode::OK, &json!("Scale"), &json!(3))
        );
        let (_, object) = get(&client, &run.path()).await;
        let entries = object["metadata"]["managedFields"].as_array().unwrap();
        let entry = entries.iter().find(|entry| entry["manager"] == "s").unwrap();
        assert_eq!((&entry["operation"], &entry["subresource"]), (&json!("Apply"), &json!("scale")));
        assert_eq!(entry["apiVersion"], run.kind.1);
        assert_eq!(entry["fieldsV1"], json!({"f:spec": {"f:replicas": {}}}));
        clock.advance_minute();
        apply("s", false, json!(3)).await;
        assert_eq!(get(&client, &run.path()).await.1, object, "again: nothing");
    }
    let wrong = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}});
    let (code, _) =
        patch(&client, &format!("{THINGS}/c/scale?fieldManager=s"), "apply-patch+yaml", &wrong).await;
    assert_eq!(code, StatusCode::BAD_REQUEST);
    let headers = [("content-type", "application/json")];
    let scale = r#"{"metadata": {"name": "c"}, "spec": {"replicas": "five"}}"#;
    let (code, answer) = send(&client, Method::PUT, &format!("{THINGS}/c/scale"), &headers, scale).await;
    assert_eq!(code, StatusCode::BAD_REQUEST, "a text is no number of replicas: {answer}");
    let five = json!({"spec": {"replicas": "five"}});
    let (code, _) = patch(&client, &format!("{THINGS}/c/scale"), "merge-patch+json", &five).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
}
