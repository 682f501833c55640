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

/// One rule: where it sits in an object, and a value there that keeps it and one that breaks it.
struct Case {
    rule: &'static str,
    kind: Kind,
    pointer: &'static str,
    keeps: Value,
    breaks: Value,
    field: &'static str,
}

/// A kind with rules.
#[derive(Clone, Copy)]
enum Kind {
    Cell,
    /// Whose metrics have the rules of all analysis kinds.
    AnalysisTemplate,
}

impl Kind {
    fn api(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Cell => ("okra.mumo.co", "Cell", "cells"),
            Self::AnalysisTemplate => ("argoproj.io", "AnalysisTemplate", "analysistemplates"),
        }
    }
}

/// A metric that keeps all rules, with these fields.
fn metric(fields: &Value) -> Value {
    let mut metric = json!({"name": "m", "provider": {"web": {}}});
    metric.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!([metric])
}

fn metric_cases() -> Vec<Case> {
    let baseline = |fields: Value| {
        let mut baseline = json!({"provider": {"web": {}}, "kind": "Proportion", "worse": "Higher"});
        baseline.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({"baseline": baseline})
    };
    let mut conditioned = baseline(json!({}));
    conditioned["successCondition"] = json!("result < 1");
    let case = |rule, keeps: &Value, breaks: &Value, field| Case {
        rule,
        kind: Kind::AnalysisTemplate,
        pointer: "/metrics",
        keeps: metric(keeps),
        breaks: metric(breaks),
        field,
    };
    vec![
        case(
            "!has(self.baseline) || ((!has(self.successCondition) || self.successCondition == '') && \
             (!has(self.failureCondition) || self.failureCondition == ''))",
            &baseline(json!({"alpha": 0.5, "minSamples": 1})),
            &conditioned,
            "spec.metrics[0]",
        ),
        case(
            "!has(self.consecutiveFailureLimit) || type(self.consecutiveFailureLimit) != int || \
             (self.consecutiveFailureLimit >= 0 && self.consecutiveFailureLimit < 100)",
            &json!({"consecutiveFailureLimit": "{{args.limit}}"}),
            &json!({"consecutiveFailureLimit": 100}),
            "spec.metrics[0]",
        ),
        case(
            "!has(self.providerRetryLimit) || type(self.providerRetryLimit) != int || \
             (self.providerRetryLimit >= 0 && self.providerRetryLimit <= 5)",
            &json!({"providerRetryLimit": 5}),
            &json!({"providerRetryLimit": 6}),
            "spec.metrics[0]",
        ),
        case(
            "has(self.provider) && has(self.kind) && has(self.worse)",
            &baseline(json!({})),
            &json!({"baseline": {"kind": "Mean"}}),
            "spec.metrics[0].baseline",
        ),
        case(
            "!has(self.minEffect) || !has(self.kind) || self.kind != 'Proportion' || self.minEffect <= 1.0",
            &baseline(json!({"minEffect": 2, "kind": "Mean"})),
            &baseline(json!({"minEffect": 2})),
            "spec.metrics[0].baseline",
        ),
    ]
}

fn cases() -> Vec<Case> {
    let promote = json!({"promote": {}});
    vec![
        Case {
            rule: "!has(self.ramp) || !has(self.steps) || self.steps.size() == 0",
            kind: Kind::Cell,
            pointer: "/updateStrategy/canary",
            keeps: json!({"ramp": {"stepWeight": 20, "interval": "1m"}, "steps": []}),
            breaks: json!({"ramp": {"stepWeight": 20, "interval": "1m"}, "steps": [{"setWeight": 10}]}),
            field: "spec.updateStrategy.canary",
        },
        Case {
            rule: "!has(self.steps) || self.steps.filter(step, has(step.promote)).size() <= 1",
            kind: Kind::Cell,
            pointer: "/updateStrategy/blueGreen",
            keeps: json!({"steps": [{"pause": {}}, promote]}),
            breaks: json!({"steps": [promote, {"pause": {}}, promote]}),
            field: "spec.updateStrategy.blueGreen",
        },
        Case {
            rule: "[has(self.analysis), has(self.experiment), has(self.pause), has(self.promote)].filter(set, \
                   set).size() == 1",
            kind: Kind::Cell,
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

fn object(name: &str, case: &Case, value: &Value) -> Value {
    let (group, kind, _) = case.kind.api();
    let mut object = json!({"apiVersion": format!("{group}/v1alpha1"), "kind": kind,
        "metadata": {"name": name}, "spec": {}});
    let mut place = &mut object["spec"];
    for field in case.pointer.split('/').skip(1) {
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
    for (number, case) in cases().into_iter().chain(metric_cases()).enumerate() {
        let (group, _, plural) = case.kind.api();
        let path = format!("/apis/{group}/v1alpha1/namespaces/default/{plural}");
        let message = stated.remove(case.rule);
        let message = message.unwrap_or_else(|| panic!("no definition states {}", case.rule));
        let good = object(&format!("good{number}"), &case, &case.keeps);
        let (status, answer) = send(&client, Method::POST, &path, &good).await;
        assert_eq!(status, StatusCode::CREATED, "{}: {answer}", case.rule);
        let bad = object(&format!("bad{number}"), &case, &case.breaks);
        let (status, answer) = send(&client, Method::POST, &path, &bad).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{}: {answer}", case.rule);
        let causes = answer["details"]["causes"].as_array().unwrap();
        let wanted = json!({"reason": "FieldValueInvalid", "field": case.field,
            "message": format!("Invalid value: {message}")});
        assert!(causes.contains(&wanted), "{wanted} in {answer}");
    }
    assert!(stated.is_empty(), "rules without a case here: {stated:?}");
}
