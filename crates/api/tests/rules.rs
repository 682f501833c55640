//! Every rule of okra's definitions, on a server: an object that keeps it is accepted, one that breaks it is refused
//! with the rule's own words.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Method, Request, StatusCode};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::client::Body;
use okra_apiserver::{Options, Server, Storage};
use serde_json::{Value, json};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// How long a definition may take until it is served.
const PATIENCE: Duration = Duration::from_secs(20);

/// One rule: where it sits in a Cell, and a value there that keeps it and one that breaks it.
struct Case {
    rule: &'static str,
    pointer: &'static str,
    keeps: Value,
    breaks: Value,
    field: &'static str,
}

fn cases() -> Vec<Case> {
    let promote = json!({"promote": {}});
    vec![
        Case {
            rule: "!has(self.ramp) || !has(self.steps) || self.steps.size() == 0",
            pointer: "/updateStrategy/canary",
            keeps: json!({"ramp": {"stepWeight": 20, "interval": "1m"}, "steps": []}),
            breaks: json!({"ramp": {"stepWeight": 20, "interval": "1m"}, "steps": [{"setWeight": 10}]}),
            field: "spec.updateStrategy.canary",
        },
        Case {
            rule: "!has(self.steps) || self.steps.filter(step, has(step.promote)).size() <= 1",
            pointer: "/updateStrategy/blueGreen",
            keeps: json!({"steps": [{"pause": {}}, promote]}),
            breaks: json!({"steps": [promote, {"pause": {}}, promote]}),
            field: "spec.updateStrategy.blueGreen",
        },
        Case {
            rule: "[has(self.analysis), has(self.experiment), has(self.pause), has(self.promote)].filter(set, \
                   set).size() == 1",
            pointer: "/updateStrategy/blueGreen",
            keeps: json!({"steps": [promote]}),
            breaks: json!({"steps": [{"pause": {}, "promote": {}}]}),
            field: "spec.updateStrategy.blueGreen.steps[0]",
        },
    ]
}

async fn send(client: &Client, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let response =
        client.send(request.body(Body::from(body.to_string().into_bytes())).unwrap()).await.unwrap();
    let status = response.status();
    let bytes = response.into_body().collect_bytes().await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

async fn install(client: &Client, definitions: &[CustomResourceDefinition]) {
    for definition in definitions {
        let body = serde_json::to_value(definition).unwrap();
        let (status, answer) = send(client, Method::POST, DEFINITIONS, &body).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
    }
    let waiting = async {
        for definition in definitions {
            let path = format!("{DEFINITIONS}/{}", definition.metadata.name.as_deref().unwrap());
            while !is_established(&send(client, Method::GET, &path, &Value::Null).await.1) {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("all definitions are served in time");
}

fn is_established(definition: &Value) -> bool {
    let conditions = definition["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|one| one["type"] == "Established" && one["status"] == "True")
}

/// The rules of a schema with their messages.
fn rules(schema: &Value, found: &mut BTreeMap<String, String>) {
    match schema {
        Value::Object(fields) => {
            for rule in fields.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten()
            {
                let text = |name: &str| rule[name].as_str().unwrap_or_default().to_owned();
                found.insert(text("rule"), text("message"));
            }
            fields.values().for_each(|child| rules(child, found));
        }
        Value::Array(items) => items.iter().for_each(|item| rules(item, found)),
        _ => {}
    }
}

fn cell(name: &str, pointer: &str, value: &Value) -> Value {
    let mut object = json!({"apiVersion": "okra.mumo.co/v1alpha1", "kind": "Cell",
        "metadata": {"name": name}, "spec": {}});
    let mut place = &mut object["spec"];
    for field in pointer.split('/').skip(1) {
        place = &mut place[field];
    }
    *place = value.clone();
    object
}

#[tokio::test]
async fn every_rule_refuses_what_breaks_it_and_nothing_else() {
    let server = Server::open(Options::new(Storage::Memory)).await.unwrap();
    let client = Client::new(server.in_process(), "default");
    let mut definitions = okra_api::crds();
    definitions.extend(okra_api::analysis_crds());
    install(&client, &definitions).await;

    let mut stated = BTreeMap::new();
    definitions.iter().for_each(|definition| rules(&serde_json::to_value(definition).unwrap(), &mut stated));
    let cells = "/apis/okra.mumo.co/v1alpha1/namespaces/default/cells";
    for (number, case) in cases().iter().enumerate() {
        let message = stated.remove(case.rule);
        let message = message.unwrap_or_else(|| panic!("no definition states {}", case.rule));
        let good = cell(&format!("good{number}"), case.pointer, &case.keeps);
        let (status, answer) = send(&client, Method::POST, cells, &good).await;
        assert_eq!(status, StatusCode::CREATED, "{}: {answer}", case.rule);
        let bad = cell(&format!("bad{number}"), case.pointer, &case.breaks);
        let (status, answer) = send(&client, Method::POST, cells, &bad).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{}: {answer}", case.rule);
        let causes = answer["details"]["causes"].as_array().unwrap();
        let wanted = json!({"reason": "FieldValueInvalid", "field": case.field,
            "message": format!("Invalid value: {message}")});
        assert!(causes.contains(&wanted), "{wanted} in {answer}");
    }
    assert!(stated.is_empty(), "rules without a case here: {stated:?}");
}
