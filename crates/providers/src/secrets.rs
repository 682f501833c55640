//! Secrets that a provider reads by itself, and what must therefore not leave a measurement.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use okra_domain::analysis::substitute::Redactor;

use crate::provider::ProviderError;

/// Where a Secret is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretScope<'a> {
    /// In this namespace: that of the run.
    Namespace(&'a str),
    /// In the namespace of okra itself.
    Controller,
}

/// The port to Secrets.
#[async_trait]
pub trait SecretStore: Send + Sync + fmt::Debug {
    /// The entries of a Secret that are text; `None` if there is no such Secret.
    ///
    /// # Errors
    ///
    /// If it cannot be read. The message names the Secret and holds nothing of it.
    async fn read(
        &self,
        scope: SecretScope<'_>,
        name: &str,
    ) -> Result<Option<BTreeMap<String, String>>, ProviderError>;
}

/// No Secrets at all, as outside a cluster.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSecrets;

#[async_trait]
impl SecretStore for NoSecrets {
    async fn read(
        &self,
        _: SecretScope<'_>,
        _: &str,
    ) -> Result<Option<BTreeMap<String, String>>, ProviderError> {
        Ok(None)
    }
}

/// The Secrets of one measurement. What is read through it is hidden in whatever the measurement
/// says, without the provider's doing.
pub struct Secrets {
    store: Arc<dyn SecretStore>,
    seen: Mutex<Vec<String>>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

impl Secrets {
    /// Reads from a store; nothing is hidden yet.
    pub fn new(store: Arc<dyn SecretStore>) -> Self {
        Self { store, seen: Mutex::default() }
    }

    /// The entries of a Secret. All but those named `open` are hidden from now on: an address or a
    /// region is no secret, and hiding a word as short as `us` would make every message unreadable.
    ///
    /// # Errors
    ///
    /// If the Secret cannot be read.
    pub async fn read(
        &self,
        scope: SecretScope<'_>,
        name: &str,
        open: &[&str],
    ) -> Result<Option<BTreeMap<String, String>>, ProviderError> {
        let entries = self.store.read(scope, name).await?;
        let secret = entries.iter().flatten().filter(|(key, _)| !open.contains(&key.as_str()));
        secret.for_each(|(_, value)| self.hide(value));
        Ok(entries)
    }

    /// Hides a text that is secret though no Secret holds it, such as a token.
    pub fn hide(&self, text: &str) {
        self.seen().push(text.to_owned());
    }

    /// What hides these secrets besides those that are known already.
    pub(crate) fn redactor(&self, known: &Redactor) -> Redactor {
        known.and(self.seen().iter().map(String::as_str))
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        // A push leaves the list whole, whoever panics beside it.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Secrets by scope and name, as `namespace/name` or `/name` for okra's own.
    #[derive(Debug, Default)]
    pub(crate) struct Shelf(BTreeMap<String, BTreeMap<String, String>>);

    impl Shelf {
        pub(crate) fn with(mut self, place: &str, entries: &[(&str, &str)]) -> Self {
            let entries = entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            self.0.insert(place.to_owned(), entries.collect());
            self
        }
    }

    #[async_trait]
    impl SecretStore for Shelf {
        async fn read(
            &self,
            scope: SecretScope<'_>,
            name: &str,
        ) -> Result<Option<BTreeMap<String, String>>, ProviderError> {
            let place = match scope {
                SecretScope::Namespace(namespace) => format!("{namespace}/{name}"),
                SecretScope::Controller => format!("/{name}"),
            };
            Ok(self.0.get(&place).cloned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Shelf;
    use super::*;

    #[tokio::test]
    async fn what_is_read_is_hidden_but_for_what_is_no_secret() {
        let shelf = Shelf::default().with("/datadog", &[("api-key", "hunter2"), ("address", "https://dd")]);
        let secrets = Secrets::new(Arc::new(shelf));
        let read = secrets.read(SecretScope::Controller, "datadog", &["address"]).await.unwrap().unwrap();
        assert_eq!(read["api-key"], "hunter2");
        assert!(secrets.read(SecretScope::Namespace("ns"), "datadog", &[]).await.unwrap().is_none());
        secrets.hide("t0ken");
        let redactor = secrets.redactor(&Redactor::new(["known"]));
        assert_eq!(redactor.redact("known hunter2 https://dd t0ken"), "***** ***** https://dd *****");
        assert!(!format!("{secrets:?}").contains("hunter2"));
    }
}
