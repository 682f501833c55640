//! The server as its owner sees it: open, serve, shut down.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::api::Api;
use crate::audit::AuditLog;
use crate::auth::{Authenticator, TokenAuthenticator};
use crate::bootstrap;
use crate::clock::{Chance, Clock, SystemChance, SystemClock};
use crate::control::{self, Definitions};
use crate::inprocess::InProcess;
use crate::kinds::Kinds;
use crate::limits::Limits;
use crate::listen::{ServeError, Serving};
use crate::metrics::Metrics;
use crate::store::{Store, StoreError, Window};
use crate::tls::{Authority, CertificateError, Credentials, kubeconfig_data};

/// Names of the serving certificate that every server has, the last ones for
/// clients that believe to run inside a cluster.
const SERVER_NAMES: [&str; 6] =
    ["localhost", "127.0.0.1", "::1", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];

/// Changes in memory in front of a log: whoever follows within seconds never waits for the disk.
const HISTORY_IN_MEMORY: usize = 20_000;

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
    /// A bearer token of an administrator; only its digest is kept.
    pub admin_token: Option<String>,
    /// Judges bearer tokens that this server did not issue.
    pub token_authenticator: Option<Arc<dyn TokenAuthenticator>>,
    /// Whether Deployments, ReplicaSets, StatefulSets, Jobs and Pods become
    /// ready or complete by themselves.
    pub simulate_workloads: bool,
    /// Takes the audit log: who wrote what, and who read Secrets.
    pub audit_log: Option<Arc<dyn AuditLog>>,
    /// Of the history in a directory, how many of the newest changes are kept in
    /// memory as well; what is older and not yet compacted is read from there.
    pub history_in_memory: usize,
    /// Further host names and addresses for the serving certificate.
    pub server_names: Vec<String>,
}

impl Options {
    /// The machine's clock and chance, no tokens, no simulated workloads.
    pub fn new(storage: Storage) -> Self {
        Self {
            storage,
            clock: Arc::new(SystemClock::new()),
            chance: Arc::new(SystemChance),
            admin_token: None,
            token_authenticator: None,
            simulate_workloads: false,
            audit_log: None,
            history_in_memory: HISTORY_IN_MEMORY,
            server_names: Vec::new(),
        }
    }
}

/// Why a server could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The certificate authority cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The server's own first objects were refused.
    #[error("the first objects could not be created: {0}")]
    Bootstrap(String),
}

/// A running API server.
pub struct Server {
    api: Arc<Api>,
    authority: Authority,
    admin: Credentials,
    server_names: Vec<String>,
    controllers: Vec<JoinHandle<()>>,
    /// A server that is dropped without [`Server::shutdown`] ends its tasks all the same.
    _stop: DropGuard,
}

impl Server {
    /// Opens the store, creates the bootstrap objects and starts the
    /// controllers (garbage collector, namespaces, custom resources).
    pub async fn open(options: Options) -> Result<Server, OpenError> {
        let (store, authority) = open_storage(&options).await?;
        let admin = authority.admin()?;
        let stopping = CancellationToken::new();
        let folder = match &options.storage {
            Storage::Memory => None,
            Storage::Directory(folder) => Some(folder.clone()),
        };
        let foreign = options.token_authenticator.clone();
        let authenticator = Authenticator::new(options.admin_token.as_deref(), foreign, folder);
        let api = Arc::new(Api {
            store,
            kinds: Kinds::new(),
            clock: options.clock,
            chance: options.chance,
            authenticator,
            certificate_authority: authority.certificate_pem().to_owned(),
            limits: Limits::default(),
            metrics: Arc::new(Metrics::new()),
            audit_log: options.audit_log,
            stopping: stopping.clone(),
        });
        let definitions = Definitions::load(&api);
        bootstrap::start(&api).await.map_err(|error| OpenError::Bootstrap(error.message))?;
        let controllers = control::start(&api, definitions, options.simulate_workloads);
        let mut server_names: Vec<String> = SERVER_NAMES.map(str::to_owned).to_vec();
        server_names.extend(options.server_names);
        Ok(Self { api, authority, admin, server_names, controllers, _stop: stopping.drop_guard() })
    }

    /// A client transport without a network, as an administrator.
    pub fn in_process(&self) -> InProcess {
        InProcess::new(self.api.clone())
    }

    /// Serves TLS on `listener` until [`Serving::stop`] or [`Server::shutdown`].
    /// A server may have several listeners.
    pub async fn serve(&self, listener: TcpListener) -> Result<Serving, ServeError> {
        let config = self.authority.server_config(&self.server_names)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Serving::start(self.api.clone(), listener, acceptor, self.authority.verifier()?)
    }

    /// The certificate authority that signed the serving certificate.
    pub fn certificate_authority_pem(&self) -> &str {
        self.authority.certificate_pem()
    }

    /// A kubeconfig with an administrator's client certificate.
    pub fn kubeconfig(&self, endpoint_url: &str, context_name: &str) -> String {
        // JSON strings are YAML strings, whatever characters a name has.
        let (name, server) = (json!(context_name), json!(endpoint_url));
        let authority = kubeconfig_data(self.authority.certificate_pem());
        let certificate = kubeconfig_data(&self.admin.certificate_pem);
        let key = kubeconfig_data(&self.admin.key_pem);
        format!(
            "apiVersion: v1\n\
             kind: Config\n\
             clusters:\n\
             - name: {name}\n  \
               cluster:\n    \
                 server: {server}\n    \
                 certificate-authority-data: {authority}\n\
             users:\n\
             - name: {name}\n  \
               user:\n    \
                 client-certificate-data: {certificate}\n    \
                 client-key-data: {key}\n\
             contexts:\n\
             - name: {name}\n  \
               context:\n    \
                 cluster: {name}\n    \
                 user: {name}\n\
             current-context: {name}\n"
        )
    }

    /// Copies the database to a new file, which must not exist yet, as it is at
    /// this moment; clients go on writing. Secrets in it are sealed: keep the
    /// file `secrets.key` of the folder with it. A server opened on the copy goes on
    /// with revisions that this one will not reach, and tells watchers of this
    /// one that their position is too old.
    pub async fn back_up(&self, file: &Path) -> Result<(), StoreError> {
        let (api, file) = (self.api.clone(), file.to_owned());
        let copied = tokio::task::spawn_blocking(move || api.store.copy_to(&file)).await;
        copied.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    /// Ends watches cleanly, finishes writes and closes the store.
    pub async fn shutdown(self) {
        self.api.stopping.cancel();
        for controller in self.controllers {
            if let Err(error) = controller.await {
                tracing::error!(%error, "a controller ended badly");
            }
        }
        let api = self.api.clone();
        let closed = tokio::task::spawn_blocking(move || api.store.close());
        if let Err(error) = closed.await {
            tracing::error!(%error, "the store could not be closed");
        }
    }
}

async fn open_storage(options: &Options) -> Result<(Store, Authority), OpenError> {
    let now = options.clock.now();
    let folder = match &options.storage {
        Storage::Memory => {
            return Ok((Store::memory(options.clock.clone()), Authority::generate(now)?));
        }
        Storage::Directory(folder) => folder.clone(),
    };
    let (clock, chance) = (options.clock.clone(), options.chance.clone());
    let window = Window::in_front_of_a_log(options.history_in_memory);
    let opened = tokio::task::spawn_blocking(move || -> Result<_, OpenError> {
        let store = Store::open(&folder, clock, chance, window)?;
        let authority = Authority::open(&folder, now)?;
        Ok((store, authority))
    });
    opened.await.map_err(|error| OpenError::Bootstrap(error.to_string()))?
}
