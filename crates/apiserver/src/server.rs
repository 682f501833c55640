//! The server as its owner sees it: open, serve, shut down.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body::Body;
use tokio::net::TcpListener;

use crate::auth::TokenAuthenticator;
use crate::clock::{Chance, Clock, SystemChance, SystemClock};

/// Where objects are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In memory only: for tests and simulations. Runs no thread of its own.
    Memory,
    /// In a SQLite database inside this folder, which also holds the keys.
    Directory(PathBuf),
}

/// Everything a server is made of.
#[derive(Clone)]
pub struct Options {
    /// Where objects are kept.
    pub storage: Storage,
    /// The source of time.
    pub clock: Arc<dyn Clock>,
    /// The source of random bytes.
    pub chance: Arc<dyn Chance>,
    /// Judges bearer tokens that this server did not issue.
    pub token_authenticator: Option<Arc<dyn TokenAuthenticator>>,
    /// Whether Deployments, ReplicaSets, StatefulSets, Jobs and Pods become
    /// ready or complete by themselves.
    pub simulate_workloads: bool,
    /// Further host names and addresses for the serving certificate.
    pub server_names: Vec<String>,
}

impl Options {
    /// The machine's clock and chance, no foreign tokens, no simulated workloads.
    pub fn new(storage: Storage) -> Self {
        Self {
            storage,
            clock: Arc::new(SystemClock::new()),
            chance: Arc::new(SystemChance),
            token_authenticator: None,
            simulate_workloads: false,
            server_names: Vec::new(),
        }
    }
}

/// Why a server could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A part is missing in this state of the code.
    #[error("the server cannot be opened yet")]
    Unfinished,
}

/// Why a listener could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A part is missing in this state of the code.
    #[error("the server cannot serve yet")]
    Unfinished,
}

/// The body of an answer; a watch's body ends when the watch does.
pub type ResponseBody = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

/// A running API server.
pub struct Server {
    certificate_authority_pem: String,
}

impl Server {
    /// Opens the store, creates the bootstrap objects and starts the
    /// controllers (garbage collector, namespaces, custom resources).
    pub async fn open(_options: Options) -> Result<Server, OpenError> {
        Err(OpenError::Unfinished)
    }

    /// A client transport without a network, as an administrator.
    pub fn in_process(&self) -> InProcess {
        InProcess {}
    }

    /// Serves TLS on `listener` until [`Serving::stop`] or [`Server::shutdown`].
    pub async fn serve(&self, _listener: TcpListener) -> Result<Serving, ServeError> {
        Err(ServeError::Unfinished)
    }

    /// The certificate authority that signed the serving certificate.
    pub fn certificate_authority_pem(&self) -> &str {
        &self.certificate_authority_pem
    }

    /// A kubeconfig with an administrator's client certificate.
    pub fn kubeconfig(&self, _endpoint_url: &str, _context_name: &str) -> String {
        String::new()
    }

    /// Ends watches cleanly, finishes writes and closes the store.
    pub async fn shutdown(self) {}
}

/// A listener being served.
pub struct Serving {
    local_address: SocketAddr,
}

impl Serving {
    /// The address that clients reach.
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Stops accepting, ends this listener's watches and waits for its requests.
    pub async fn stop(self) {}
}

/// A client transport without a network: `kube::Client::new(in_process, "default")`.
#[derive(Clone)]
pub struct InProcess {}

impl<B> tower::Service<Request<B>> for InProcess
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _request: Request<B>) -> Self::Future {
        Box::pin(async { Ok(Response::new(ResponseBody::default())) })
    }
}
