//! The analysis controller in this process, with a Kubernetes API in memory
//! that holds nothing but the run: the same code as in a cluster, without one.

use anyhow::Context as _;
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::PostParams;
use kube::client::Body;
use kube::core::ObjectMeta;
use kube::{Api, Client};
use okra_apiserver::{InProcess, Options, Server, Storage};
use okra_clock::SystemClock;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use crate::local::members::install;
use crate::manager::{self, ControllerFlags};

/// The namespace that every Kubernetes has.
const DEFAULT_NAMESPACE: &str = "default";

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Answer = Response<UnsyncBoxBody<Bytes, Failure>>;

/// A controller and the API that it works on.
pub struct Laboratory {
    server: Server,
    client: Client,
    stop: CancellationToken,
    controller: JoinHandle<()>,
}

impl Laboratory {
    /// Starts them. Secrets are those of the cluster of `secrets`, read for each
    /// measurement and kept nowhere; without one there are none.
    ///
    /// # Errors
    /// When the API does not start.
    pub async fn open(
        flags: &ControllerFlags,
        namespace: &str,
        secrets: Option<Client>,
    ) -> anyhow::Result<Self> {
        let server = Server::open(Options::new(Storage::Memory)).await.context("no API can be started")?;
        let own = server.in_process();
        let client = match secrets {
            None => Client::new(own, namespace),
            Some(cluster) => {
                let route = move |request| routed(own.clone(), cluster.clone(), request);
                Client::new(tower::service_fn(route), namespace)
            }
        };
        install(&client, &okra_api::analysis_crds()).await?;
        if namespace != DEFAULT_NAMESPACE {
            let metadata = ObjectMeta { name: Some(namespace.to_owned()), ..ObjectMeta::default() };
            let made = Namespace { metadata, ..Namespace::default() };
            let namespaces: Api<Namespace> = Api::all(client.clone());
            namespaces.create(&PostParams::default(), &made).await.context("the namespace of the run")?;
        }
        let clock = SystemClock::shared();
        let sdk = flags.aws().connect(clock.clone()).await;
        let mut settings = flags.settings(manager::identity(), &[]);
        namespace.clone_into(&mut settings.metric_sources.namespace);
        let context = manager::context(client.clone(), &sdk, settings, clock, flags);
        let stop = CancellationToken::new();
        let controller = tokio::spawn(okra_controllers::analysis::run(context, stop.clone()));
        Ok(Self { server, client, stop, controller })
    }

    /// A client of the API.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Ends both.
    pub async fn close(self) {
        self.stop.cancel();
        if let Err(error) = self.controller.await {
            tracing::error!(%error, "the analysis controller ended by a panic");
        }
        self.server.shutdown().await;
    }
}

/// Reading a Secret goes to the cluster, everything else stays here.
fn routed(
    mut own: InProcess,
    cluster: Client,
    request: Request<Body>,
) -> BoxFuture<'static, Result<Answer, Failure>> {
    async move {
        if is_read_of_secret(&request) {
            let answer = cluster.send(request).await?;
            return Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync()));
        }
        let answer = own.call(request).await?;
        Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync()))
    }
    .boxed()
}

/// `GET /api/v1/namespaces/NAMESPACE/secrets/NAME`.
fn is_read_of_secret(request: &Request<Body>) -> bool {
    let parts: Vec<&str> = request.uri().path().split('/').collect();
    request.method() == Method::GET && matches!(parts[..], ["", "api", "v1", "namespaces", _, "secrets", _])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_single_secrets_are_read_elsewhere() {
        let asked = |method: Method, path: &str| {
            is_read_of_secret(&Request::builder().method(method).uri(path).body(Body::empty()).unwrap())
        };
        assert!(asked(Method::GET, "/api/v1/namespaces/web/secrets/token?x=y"));
        assert!(!asked(Method::GET, "/api/v1/namespaces/web/secrets"));
        assert!(!asked(Method::DELETE, "/api/v1/namespaces/web/secrets/token"));
        assert!(!asked(Method::GET, "/apis/argoproj.io/v1alpha1/namespaces/web/analysisruns/secrets"));
    }
}
