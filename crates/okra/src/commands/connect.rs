//! One lookup of the management API for every command (`spec/okra.md` 4,
//! H-76): flag or KUBECONFIG, in-cluster, home.

use anyhow::Context as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use okra_api::Cell;

use crate::cli::Target;

/// A client and the namespace to work in.
pub struct Connection {
    /// The client.
    pub client: Client,
    /// The namespace of the flag, or of the context.
    pub namespace: String,
}

impl Connection {
    /// The Cells of the namespace.
    pub fn cells(&self) -> Api<Cell> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A Cell by its name.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub async fn cell(&self, name: &str) -> anyhow::Result<Cell> {
        let found = self.cells().get_opt(name).await;
        found.with_context(|| format!("cannot read Cell {name}"))?.with_context(|| self.absent(name))
    }

    /// What is said of a Cell that is not there.
    pub fn absent(&self, name: &str) -> String {
        format!("there is no Cell {name} in namespace {}", self.namespace)
    }
}

/// Connects as the flags say.
///
/// # Errors
/// When no kubeconfig is found or it is damaged.
pub async fn connect(target: &Target) -> anyhow::Result<Connection> {
    let config = config(target).await?;
    let namespace = target.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config).context("the kubeconfig cannot be used")?;
    Ok(Connection { client, namespace })
}

async fn config(target: &Target) -> anyhow::Result<Config> {
    let options = KubeConfigOptions { context: target.context.clone(), ..KubeConfigOptions::default() };
    let Some(path) = &target.kubeconfig else {
        if target.context.is_none()
            && let Ok(config) = Config::incluster()
        {
            return Ok(config);
        }
        return Config::from_kubeconfig(&options).await.context(
            "no management API: give --kubeconfig FILE or set KUBECONFIG (`okra local up` writes one)",
        );
    };
    // KUBECONFIG may name several files, as for kubectl.
    let mut merged = Kubeconfig::default();
    for file in std::env::split_paths(path) {
        let one = Kubeconfig::read_from(&file).with_context(|| format!("cannot read {}", file.display()))?;
        merged = merged.merge(one).with_context(|| format!("{} does not fit the others", file.display()))?;
    }
    Config::from_custom_kubeconfig(merged, &options)
        .await
        .with_context(|| format!("the kubeconfig {} cannot be used", path.display()))
}
