//! Where the keys of Datadog come from.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::http::Client;
use crate::provider::{Place, ProviderError};
use crate::secrets::{SecretScope, Secrets};

/// The Secret of okra's own namespace that is asked when nothing else is named.
const DEFAULT_SECRET: &str = "datadog";

/// Where Datadog answers, unless the credentials say otherwise.
const DEFAULT_ADDRESS: &str = "https://api.datadoghq.com";

/// The Secret that a metric names.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct SecretReference {
    name: String,
    namespaced: bool,
}

impl SecretReference {
    pub(super) fn checked(self) -> Result<Self, ProviderError> {
        if self.namespaced && self.name.is_empty() {
            return Err(ProviderError::new("secretRef.name is required when secretRef.namespaced is true"));
        }
        Ok(self)
    }
}

/// Keys and address of one Datadog account.
#[derive(Clone, PartialEq, Eq)]
pub struct DatadogCredentials {
    /// The address of the API; empty is that of the US site.
    pub address: String,
    /// The API key.
    pub api_key: String,
    /// The application key.
    pub app_key: String,
}

impl fmt::Debug for DatadogCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatadogCredentials").field("address", &self.address).finish_non_exhaustive()
    }
}

impl DatadogCredentials {
    /// The credentials of an environment: `DD_API_KEY`, `DD_APP_KEY` and `DD_ADDRESS`, if all
    /// three are set.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let filled = |name| variable(name).filter(|value| !value.is_empty());
        Some(Self {
            address: filled("DD_ADDRESS")?,
            api_key: filled("DD_API_KEY")?,
            app_key: filled("DD_APP_KEY")?,
        })
    }

    pub(super) fn address(&self) -> &str {
        if self.address.is_empty() { DEFAULT_ADDRESS } else { &self.address }
    }
}

/// The credentials of a measurement: of the Secret that the metric names, and of no other; else of
/// the environment; else of the Secret `datadog`.
pub(super) async fn find(
    reference: &SecretReference,
    own: Option<&DatadogCredentials>,
    place: &Place,
    secrets: &Secrets,
) -> Result<DatadogCredentials, ProviderError> {
    let named = Some(reference.name.as_str()).filter(|name| !name.is_empty());
    if let (None, Some(own)) = (named, own) {
        secrets.hide(&own.api_key);
        secrets.hide(&own.app_key);
        return Ok(own.clone());
    }
    let scope =
        if reference.namespaced { SecretScope::Namespace(&place.namespace) } else { SecretScope::Controller };
    let name = named.unwrap_or(DEFAULT_SECRET);
    let entries = secrets.read(scope, name, &["address"]).await?;
    let missing = |what: &str| {
        let message = format!("failed to find the credentials for datadog metrics provider: {what}");
        ProviderError::new(message)
    };
    let mut entries = entries.ok_or_else(|| missing(&format!("there is no secret '{name}'")))?;
    let address = entries.remove("address").unwrap_or_default().trim().to_owned();
    if !address.is_empty() {
        Client::check_url(&address)?;
    }
    let mut key =
        |key: &str| take(&mut entries, key).ok_or_else(|| missing(&format!("secret '{name}' has no {key}")));
    Ok(DatadogCredentials { address, api_key: key("api-key")?, app_key: key("app-key")? })
}

fn take(entries: &mut BTreeMap<String, String>, key: &str) -> Option<String> {
    entries.remove(key).filter(|value| !value.trim().is_empty())
}
