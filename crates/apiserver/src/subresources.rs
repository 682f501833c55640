//! Subresources that are neither status nor scale (spec/apiserver.md 1.2):
//! tokens of accounts, the binding and eviction of Pods, and those that only a
//! node could answer.

use serde_json::{Value, json};

use crate::api::{Api, Call};
use crate::http::body::{check_subresource_type, decode_object};
use crate::http::reply::Reply;
use crate::http::status::ApiError;
use crate::kinds::Kind;
use crate::store::ObjectName;

/// What only a running container or a node could answer.
const OF_NODES: [&str; 6] = ["attach", "exec", "log", "portforward", "proxy", "ephemeralcontainers"];

impl Api {
    /// Answers a POST to one of a kind's own subresources.
    pub(crate) async fn create_below(
        &self,
        call: &Call,
        kind: &Kind,
        name: &ObjectName,
        subresource: &str,
    ) -> Result<Reply, ApiError> {
        match subresource {
            "token" => self.request_token(call, kind, name).await,
            "binding" => self.bind_pod(call, kind, name).await,
            "eviction" => self.evict_pod(call, kind, name).await,
            _ => Err(ApiError::no_such_resource()),
        }
    }

    /// Puts a Pod on a node.
    async fn bind_pod(&self, call: &Call, kind: &Kind, name: &ObjectName) -> Result<Reply, ApiError> {
        let mut binding = decode_object(&call.media, &call.body, "v1", "Binding", true)?.value;
        check_subresource_type(&mut binding, "v1", "Binding")?;
        let node = binding["target"]["name"].as_str().unwrap_or_default().to_owned();
        if node.is_empty() {
            let error = crate::schema::FieldError::required("target.name", "");
            return Err(ApiError::invalid("", "Binding", &name.name, &[error]));
        }
        let live = self.existing(kind, name)?;
        let placed = live.value["spec"]["nodeName"].as_str().unwrap_or_default();
        if !placed.is_empty() {
            let why = format!("pod {} is already assigned to node {placed:?}", name.name);
            return Err(ApiError::conflict("", "pods/binding", &name.name, why));
        }
        let change = |live: &Value| {
            let mut live = live.clone();
            live["spec"]["nodeName"] = json!(node);
            crate::control::Change::Put(live)
        };
        self.amend(&kind.resource, name, change).await?;
        Ok(success(call))
    }

    /// Deletes a Pod on behalf of somebody who empties a node.
    async fn evict_pod(&self, call: &Call, kind: &Kind, name: &ObjectName) -> Result<Reply, ApiError> {
        let mut eviction = decode_object(&call.media, &call.body, "policy/v1", "Eviction", true)?.value;
        check_subresource_type(&mut eviction, "policy/v1", "Eviction")?;
        self.existing(kind, name)?;
        let options =
            if eviction["deleteOptions"].is_object() { eviction["deleteOptions"].take() } else { json!({}) };
        self.delete_with(call, kind, name, &options).await?;
        Ok(success(call))
    }
}

fn success(call: &Call) -> Reply {
    let status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "code": 201,
    });
    Reply::value(201, &status, call.form)
}

/// The answer to a subresource that this server can never have.
pub(crate) fn of_nodes(kind: &Kind, name: &ObjectName, subresource: &str) -> Option<ApiError> {
    let asked = kind.group.is_empty()
        && ["Pod", "Node", "Service"].contains(&kind.kind.as_str())
        && OF_NODES.contains(&subresource);
    asked.then(|| {
        let text = format!(
            "{}/{subresource} of {:?} cannot be served: this server runs no containers and has no nodes",
            kind.plural, name.name
        );
        ApiError::new(405, "MethodNotAllowed", text)
    })
}
