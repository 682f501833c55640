//! What is written to Kubernetes APIs, seen on its way: for commands that tell
//! what they did, and for dry runs, in which every write is marked as one, so
//! that the API checks it and stores nothing.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use okra_api::foreign::cluster_secret::ClusterSecret;
use okra_controllers::Context;
use okra_controllers::fence::Fence;
use okra_controllers::members::{MemberClients, MemberError};
use serde_json::Value;

/// Writes that are kept; later ones are logged alone.
const LINES_MAX: usize = 10_000;
/// What is written beside objects, and is not told of.
const UNTOLD: [&str; 2] = ["events", "leases"];

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Writes as they pass.
#[derive(Debug, Default)]
pub struct Ledger {
    dry_run: bool,
    lines: Mutex<Vec<String>>,
}

impl Ledger {
    /// Nothing was written yet. In a dry run nothing will be.
    pub fn new(dry_run: bool) -> Arc<Self> {
        Arc::new(Self { dry_run, lines: Mutex::default() })
    }

    /// Whether nothing is written.
    pub fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// A client whose writes are seen.
    pub fn through(self: &Arc<Self>, client: Client) -> Client {
        let (ledger, namespace) = (self.clone(), client.default_namespace().to_owned());
        let service = tower::service_fn(move |request| ledger.clone().send(client.clone(), request));
        Client::new(service, namespace)
    }

    /// What controllers are handed, with all their writes seen. In a dry run
    /// AWS is only read.
    pub fn over(self: &Arc<Self>, context: Context) -> Context {
        let fence = if self.dry_run { Fence::rehearsal(context.clock.clone()) } else { context.fence };
        let members = Arc::new(Seen { ledger: self.clone(), members: context.members });
        Context { client: self.through(context.client), members, fence, ..context }
    }

    /// What was written, or would have been, in the order of the answers:
    /// `cell/web patched`, `awstargetgroup/a would be created`.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn send(
        self: Arc<Self>,
        client: Client,
        request: Request<Body>,
    ) -> BoxFuture<'static, Result<Response<Body>, Failure>> {
        async move {
            if request.method() == Method::GET {
                return Ok(client.send(request).await?);
            }
            let (mut parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let write = Write::of(&parts, &body);
            if self.dry_run {
                parts.uri = with_dry_run(&parts.uri)?;
            }
            let answer = client.send(Request::from_parts(parts, Body::from(body))).await?;
            self.note(&write, answer.status());
            Ok(answer)
        }
        .boxed()
    }

    fn note(&self, write: &Write, status: StatusCode) {
        if !status.is_success() || UNTOLD.contains(&write.resource.as_str()) {
            return;
        }
        let line = write.line(status, self.dry_run);
        if self.dry_run {
            tracing::info!(write = write.content, "dry run: {line}");
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() < LINES_MAX {
            lines.push(line);
        }
    }
}

struct Seen {
    ledger: Arc<Ledger>,
    members: Arc<dyn MemberClients>,
}

#[async_trait]
impl MemberClients for Seen {
    async fn client(&self, cluster: &ClusterSecret) -> Result<Client, MemberError> {
        self.members.client(cluster).await.map(|client| self.ledger.through(client))
    }

    async fn principal(&self, cluster: &ClusterSecret) -> Option<String> {
        self.members.principal(cluster).await
    }
}

/// A write as its request has it.
#[derive(Debug)]
struct Write {
    /// `cells`, `secrets`.
    resource: String,
    name: String,
    subresource: Option<String>,
    method: Method,
    is_apply: bool,
    /// What is written; of Secrets only that they are.
    content: String,
}

impl Write {
    fn of(parts: &http::request::Parts, body: &Bytes) -> Self {
        let path = parts.uri.path().trim_start_matches('/');
        let mut words = path.split('/');
        // `api/v1/…` or `apis/GROUP/VERSION/…`, then perhaps a namespace.
        let skipped = if words.next() == Some("api") { 1 } else { 2 };
        let mut words = words.skip(skipped).peekable();
        let mut resource = words.next().unwrap_or_default();
        let mut name = words.next();
        if resource == "namespaces"
            && words.peek().is_some_and(|next| *next != "status" && *next != "finalize")
        {
            resource = words.next().unwrap_or_default();
            name = words.next();
        }
        let read: Value = serde_json::from_slice(body).unwrap_or_default();
        let own = read["metadata"]["name"].as_str();
        let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        Self {
            resource: resource.to_owned(),
            name: name.or(own).unwrap_or("-").to_owned(),
            subresource: words.next().map(str::to_owned),
            method: parts.method.clone(),
            is_apply: kind.starts_with("application/apply-patch"),
            content: if resource == "secrets" { String::new() } else { read.to_string() },
        }
    }

    fn line(&self, status: StatusCode, dry_run: bool) -> String {
        let verb = match (&self.method, status) {
            (&Method::POST, _) | (_, StatusCode::CREATED) => "created",
            (&Method::DELETE, _) => "deleted",
            (&Method::PUT, _) => "replaced",
            _ if self.is_apply => "applied",
            _ => "patched",
        };
        let place = self.subresource.as_ref().map(|word| format!(" ({word})")).unwrap_or_default();
        let would = if dry_run { "would be " } else { "" };
        format!("{}/{}{place} {would}{verb}", self.resource, self.name)
    }
}

fn with_dry_run(uri: &Uri) -> Result<Uri, Failure> {
    let sign = if uri.query().is_some() { '&' } else { '?' };
    Ok(format!("{uri}{sign}dryRun=All").parse::<Uri>()?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
    use kube::{Api, core::ObjectMeta};
    use okra_apiserver::{Options, Server, Storage};

    use super::*;

    fn map(value: &str) -> ConfigMap {
        ConfigMap {
            metadata: ObjectMeta { name: Some("a".to_owned()), ..ObjectMeta::default() },
            data: Some(BTreeMap::from([("key".to_owned(), value.to_owned())])),
            ..ConfigMap::default()
        }
    }

    /// Creates, applies, patches and deletes; and what then is there.
    async fn write(client: Client) -> usize {
        let maps: Api<ConfigMap> = Api::default_namespaced(client);
        maps.create(&PostParams::default(), &map("1")).await.unwrap();
        let patch = Patch::Merge(serde_json::json!({"data": {"key": "2"}}));
        let _ = maps.patch("a", &PatchParams::default(), &patch).await;
        let _ = maps.delete("a", &DeleteParams::default()).await;
        let mut applied = map("3");
        applied.metadata.name = Some("b".to_owned());
        maps.patch("b", &PatchParams::apply("test"), &Patch::Apply(&applied)).await.unwrap();
        maps.list(&ListParams::default()).await.unwrap().items.len()
    }

    #[tokio::test]
    async fn writes_are_told_and_in_a_dry_run_nothing_is_stored() {
        let server = Server::open(Options::new(Storage::Memory)).await.unwrap();
        let client = || Client::new(server.in_process(), "default");
        let before = Api::<ConfigMap>::default_namespaced(client()).list(&ListParams::default()).await;
        let before = before.unwrap().items.len();

        let dry = Ledger::new(true);
        assert_eq!(write(dry.through(client())).await, before);
        // What was only tried cannot be patched or deleted afterwards.
        assert_eq!(dry.lines(), ["configmaps/a would be created", "configmaps/b would be created"]);

        let real = Ledger::new(false);
        assert_eq!(write(real.through(client())).await, before + 1);
        let lines =
            ["configmaps/a created", "configmaps/a patched", "configmaps/a deleted", "configmaps/b created"];
        assert_eq!(real.lines(), lines);
    }

    fn read(method: Method, path: &str, body: &str) -> String {
        let request = Request::builder().method(method).uri(path).body(()).unwrap();
        let write = Write::of(&request.into_parts().0, &Bytes::copy_from_slice(body.as_bytes()));
        assert!(!write.content.contains("hidden"), "{write:?}");
        write.line(StatusCode::OK, false)
    }

    #[test]
    fn a_write_is_named_by_its_path() {
        let body = r#"{"metadata": {"name": "x"}, "data": {"token": "hidden"}}"#;
        assert_eq!(
            read(Method::PATCH, "/apis/okra.mumo.co/v1alpha1/namespaces/n/cells/web/status?a=b", "{}"),
            "cells/web (status) patched"
        );
        assert_eq!(read(Method::POST, "/api/v1/namespaces/n/secrets", body), "secrets/x created");
        assert_eq!(read(Method::PUT, "/api/v1/namespaces/n", "{}"), "namespaces/n replaced");
        assert_eq!(read(Method::DELETE, "/apis/g/v1/clusterroles/r", ""), "clusterroles/r deleted");
        let uri: Uri = "/api/v1/pods?fieldManager=okra".parse().unwrap();
        assert_eq!(with_dry_run(&uri).unwrap().to_string(), "/api/v1/pods?fieldManager=okra&dryRun=All");
    }
}
