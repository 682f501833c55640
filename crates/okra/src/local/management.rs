//! The management API: an embedded API server with okra's kinds installed.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use okra_apiserver::{Options, Server, Serving, Storage};
use okra_clock::SharedClock;

use super::clock::OneClock;
use super::files;
use super::members::install;
use super::ports::PortBook;

/// Name of the context in the kubeconfig that is written.
const CONTEXT_NAME: &str = "okra-local";

/// A running management API.
pub struct Management {
    server: Server,
    serving: Serving,
    url: String,
}

impl Management {
    /// Opens the store in `data_dir` (in memory without one), installs okra's
    /// kinds and serves on the port kept for it.
    ///
    /// # Errors
    /// When the store is damaged or used by another process, or no port is free.
    pub async fn start(
        data_dir: Option<&Path>,
        ports: &PortBook,
        clock: SharedClock,
    ) -> anyhow::Result<Self> {
        let storage = match data_dir {
            None => Storage::Memory,
            Some(folder) => {
                let own = folder.join("management");
                files::private_folder(&own)?;
                Storage::Directory(own)
            }
        };
        let options =
            Options { clock: Arc::new(OneClock(clock)), simulate_workloads: true, ..Options::new(storage) };
        let server = Server::open(options).await.context("the management API cannot be opened")?;
        let client = kube::Client::new(server.in_process(), "default");
        install(&client, &okra_api::crds()).await?;
        install(&client, &okra_api::analysis_crds()).await?;
        let listener = ports.bind("management").await?;
        let serving = server.serve(listener).await.context("the management API cannot be served")?;
        let url = format!("https://{}", serving.local_address());
        Ok(Self { server, serving, url })
    }

    /// Where it answers.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// An administrator's client, without a network.
    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.server.in_process(), "default")
    }

    /// A client with the rights of a service account, without a network.
    #[cfg(test)]
    pub fn client_of_service_account(&self, namespace: &str, name: &str) -> kube::Client {
        let user = okra_apiserver::User {
            name: format!("system:serviceaccount:{namespace}:{name}"),
            groups: vec!["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}")],
            ..okra_apiserver::User::default()
        };
        kube::Client::new(self.server.in_process().acting_as(user), "default")
    }

    /// A kubeconfig with an administrator's client certificate.
    pub fn kubeconfig(&self) -> String {
        self.server.kubeconfig(&self.url, CONTEXT_NAME)
    }

    /// Ends watches cleanly and closes the store.
    pub async fn shutdown(self) {
        self.serving.stop().await;
        self.server.shutdown().await;
    }
}
