//! Ports are chosen once and kept (`spec/okra.md` 8): a kubeconfig that
//! worked yesterday works today.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::Context as _;
use tokio::net::TcpListener;

/// Remembers which purpose listens on which loopback port.
#[derive(Debug)]
pub struct PortBook {
    /// `None` keeps the book in memory only.
    file: Option<PathBuf>,
    ports: Mutex<BTreeMap<String, u16>>,
}

impl PortBook {
    /// The book of a data directory; a missing file is an empty book.
    ///
    /// # Errors
    /// When the file exists and cannot be read.
    pub fn open(data_dir: Option<&Path>) -> anyhow::Result<Self> {
        let file = data_dir.map(|folder| folder.join("ports.json"));
        let ports = match &file {
            None => BTreeMap::new(),
            Some(path) => match std::fs::read(path) {
                Ok(bytes) => serde_json::from_slice(&bytes)
                    .with_context(|| format!("{} is damaged", path.display()))?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
            },
        };
        Ok(Self { file, ports: Mutex::new(ports) })
    }

    /// The port kept for `purpose`, if it was ever bound.
    pub fn kept(&self, purpose: &str) -> Option<u16> {
        self.ports.lock().expect("no holder of the book panics").get(purpose).copied()
    }

    /// Binds the port kept for `purpose`, or any free one when there is none
    /// yet or somebody else took it, and remembers the choice.
    ///
    /// # Errors
    /// When no loopback port can be bound or the book cannot be written.
    pub async fn bind(&self, purpose: &str) -> anyhow::Result<TcpListener> {
        let listener = match self.kept(purpose) {
            Some(port) => match TcpListener::bind(("127.0.0.1", port)).await {
                Ok(listener) => listener,
                Err(error) => {
                    tracing::warn!(purpose, port, %error, "the port of the last start is taken; choosing another");
                    any_port().await?
                }
            },
            None => any_port().await?,
        };
        self.remember(purpose, listener.local_addr().context("a bound listener has an address")?)?;
        Ok(listener)
    }

    /// Forgets a purpose that is gone for good.
    ///
    /// # Errors
    /// When the book cannot be written.
    pub fn forget(&self, purpose: &str) -> anyhow::Result<()> {
        let mut ports = self.ports.lock().expect("no holder of the book panics");
        if ports.remove(purpose).is_some() {
            self.write(&ports)?;
        }
        Ok(())
    }

    fn remember(&self, purpose: &str, address: SocketAddr) -> anyhow::Result<()> {
        let mut ports = self.ports.lock().expect("no holder of the book panics");
        if ports.insert(purpose.to_owned(), address.port()) != Some(address.port()) {
            self.write(&ports)?;
        }
        Ok(())
    }

    fn write(&self, ports: &BTreeMap<String, u16>) -> anyhow::Result<()> {
        let Some(path) = &self.file else { return Ok(()) };
        let bytes = serde_json::to_vec_pretty(ports).context("a map of ports is JSON")?;
        super::files::replace(path, &bytes)
    }
}

async fn any_port() -> anyhow::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", 0)).await.context("no loopback port is free")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_is_kept_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let first = PortBook::open(Some(folder.path())).unwrap().bind("management").await.unwrap();
        let port = first.local_addr().unwrap().port();
        drop(first);
        let again = PortBook::open(Some(folder.path())).unwrap();
        assert_eq!(again.kept("management"), Some(port));
        assert_eq!(again.bind("management").await.unwrap().local_addr().unwrap().port(), port);
    }

    #[tokio::test]
    async fn a_taken_port_is_replaced_and_remembered() {
        let book = PortBook::open(None).unwrap();
        let holder = book.bind("management").await.unwrap();
        let other = book.bind("management").await.unwrap();
        assert_ne!(holder.local_addr().unwrap(), other.local_addr().unwrap());
        assert_eq!(book.kept("management"), Some(other.local_addr().unwrap().port()));
    }
}
