//! Objects that every server and every namespace has (spec/apiserver.md 10.4).

use serde_json::{Value, json};

use crate::api::Api;
use crate::http::status::ApiError;

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Creates what is missing of the server's own objects.
pub(crate) async fn start(api: &Api) -> Result<(), ApiError> {
    for name in NAMESPACES {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        ensure(api, namespace).await?;
        furnish(api, name).await?;
    }
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
    ensure(api, service).await
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
    match api.create_own(object).await {
        Err(error) if !matches!(error.code, 403 | 404 | 409) => Err(error),
        _ => Ok(()),
    }
}
