//! Objects that every server and every namespace has (spec/apiserver.md 10.4).

mod roles;

use futures::future::try_join_all;
use serde_json::{Value, json};

use crate::api::Api;
use crate::http::status::ApiError;
use crate::object::Object;

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Creates what is missing of the server's own objects, as much as possible at
/// once: each commit waits for the disk.
pub(crate) async fn start(api: &Api) -> Result<(), ApiError> {
    let namespace = |name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    try_join_all(NAMESPACES.map(|name| ensure(api, namespace(name)))).await?;
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {"ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}]},
    });
    let furnished = try_join_all(NAMESPACES.map(|name| furnish(api, name)));
    tokio::try_join!(furnished, ensure(api, service), roles::ensure_all(api)).map(drop)
}

/// Creates what every namespace has.
pub(crate) async fn furnish(api: &Api, namespace: &str) -> Result<(), ApiError> {
    let metadata = |name: &str| json!({"name": name, "namespace": namespace});
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata("default")});
    ensure(api, account).await?;
    let authority = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata("kube-root-ca.crt"),
        "data": {"ca.crt": api.certificate_authority},
    });
    ensure(api, authority).await
}

/// Creates an object if there is none of its name; a namespace that goes away
/// meanwhile needs nothing any more.
async fn ensure(api: &Api, object: Value) -> Result<(), ApiError> {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let kind = api.kinds.current().find_kind(text("apiVersion"), text("kind"));
    let there = kind.and_then(|kind| api.store.get(&kind.resource, &object.object_name()));
    if there.is_some() {
        return Ok(());
    }
    match api.create_own(object).await {
        Err(error) if !matches!(error.code, 403 | 404 | 409) => Err(error),
        _ => Ok(()),
    }
}
