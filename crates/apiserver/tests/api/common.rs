//! A server, a client and a little patience.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::{Method, Request, StatusCode};
use kube::Client;
use kube::client::Body;
use okra_apiserver::clock::SystemClock;
use okra_apiserver::{Clock, Options, Server, Storage};
use serde_json::{Value, json};

/// How long a test waits for a state before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn server() -> (Server, Client) {
    let server = Server::open(Options::new(Storage::Memory)).await.expect("a server in memory opens");
    let client = Client::new(server.in_process(), "default");
    (server, client)
}

/// Sends one request and reads the whole answer.
pub(crate) async fn send(
    client: &Client,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Vec<u8>>,
) -> (StatusCode, Value) {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.into())).expect("a request");
    let response = client.send(request).await.expect("an answer");
    let status = response.status();
    let bytes = response.into_body().collect_bytes().await.expect("a whole body");
    let value = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    (status, value)
}

pub(crate) async fn get(client: &Client, path: &str) -> (StatusCode, Value) {
    send(client, Method::GET, path, &[], Vec::new()).await
}

pub(crate) async fn post(client: &Client, path: &str, body: &Value) -> (StatusCode, Value) {
    send(client, Method::POST, path, &[("content-type", "application/json")], body.to_string()).await
}

pub(crate) async fn put(client: &Client, path: &str, body: &Value) -> (StatusCode, Value) {
    send(client, Method::PUT, path, &[("content-type", "application/json")], body.to_string()).await
}

pub(crate) async fn patch(client: &Client, path: &str, media: &str, body: &Value) -> (StatusCode, Value) {
    let media = format!("application/{media}");
    send(client, Method::PATCH, path, &[("content-type", &media)], body.to_string()).await
}

pub(crate) async fn delete(client: &Client, path: &str) -> (StatusCode, Value) {
    send(client, Method::DELETE, path, &[], Vec::new()).await
}

/// Reads `path` until `wanted` accepts the answer.
pub(crate) async fn until(client: &Client, path: &str, wanted: impl Fn(StatusCode, &Value) -> bool) -> Value {
    let mut last = Value::Null;
    let waiting = async {
        loop {
            let (status, value) = get(client, path).await;
            if wanted(status, &value) {
                return value;
            }
            last = value;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(value) => value,
        Err(_) => panic!("{path} never became what was wanted; last: {last}"),
    }
}

pub(crate) async fn until_gone(client: &Client, path: &str) {
    until(client, path, |status, _| status == StatusCode::NOT_FOUND).await;
}

pub(crate) fn config_map(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

pub(crate) const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// The definition of a kind with defaults, rules, status and scale.
pub(crate) fn gizmo_definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "gizmos.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "gizmos", "singular": "gizmo", "kind": "Gizmo", "shortNames": ["gz"]},
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "subresources": {
                    "status": {},
                    "scale": {
                        "specReplicasPath": ".spec.replicas",
                        "statusReplicasPath": ".status.replicas",
                    },
                },
                "additionalPrinterColumns": [
                    {"name": "Size", "type": "string", "jsonPath": ".spec.size"},
                    {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"},
                ],
                "selectableFields": [{"jsonPath": ".spec.size"}],
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "properties": {
                        "spec": {
                            "type": "object",
                            "description": "What is wanted.",
                            "properties": {
                                "size": {"type": "string", "enum": ["small", "large"], "default": "small"},
                                "replicas": {"type": "integer", "minimum": 0},
                                "notes": {"type": "array", "items": {"type": "string"}},
                            },
                        },
                        "status": {
                            "type": "object",
                            "properties": {
                                "phase": {"type": "string"},
                                "replicas": {"type": "integer"},
                            },
                        },
                    },
                }},
            }],
        },
    })
}

pub(crate) const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
pub(crate) const GIZMOS: &str = "/apis/example.com/v1/namespaces/default/gizmos";

pub(crate) fn gizmo(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Gizmo", "metadata": {"name": name}, "spec": spec})
}

/// Creates the definition and waits until it is served.
pub(crate) async fn install_gizmos(client: &Client) {
    let (status, answer) = post(client, DEFINITIONS, &gizmo_definition()).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    established(client, "gizmos.example.com").await;
}

pub(crate) async fn established(client: &Client, name: &str) {
    until(client, &format!("{DEFINITIONS}/{name}"), |_, definition| {
        let conditions = definition["status"]["conditions"].as_array();
        conditions
            .into_iter()
            .flatten()
            .any(|condition| condition["type"] == "Established" && condition["status"] == "True")
    })
    .await;
}

/// A server with the gizmo kind.
pub(crate) async fn gizmo_server() -> (Server, Client) {
    let (server, client) = server().await;
    install_gizmos(&client).await;
    (server, client)
}

pub(crate) fn metadata<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// The machine's clock, which can be moved ahead; sleepers notice.
#[derive(Default)]
pub(crate) struct MovableClock {
    system: SystemClock,
    /// Seconds.
    pub(crate) ahead: AtomicU64,
}

#[async_trait]
impl Clock for MovableClock {
    fn now(&self) -> jiff::Timestamp {
        self.system.now()
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic() + Duration::from_secs(self.ahead.load(Ordering::Relaxed))
    }

    async fn sleep(&self, duration: Duration) {
        let end = self.monotonic() + duration;
        while self.monotonic() < end {
            self.system.sleep(Duration::from_millis(5).min(duration)).await;
        }
    }
}
