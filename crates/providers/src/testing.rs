//! How tests of providers take a measurement.

use std::sync::Arc;

use jiff::Timestamp;
use okra_domain::analysis::substitute::Redactor;

use crate::provider::{Measured, Place, Provider, Request};
use crate::registry::{Outcome, Providers};
use crate::secrets::{NoSecrets, SecretStore};

/// A time of the tests.
pub(crate) fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// A measurement of a provider, or its message with the query in it.
pub(crate) async fn measure(
    provider: impl Provider + 'static,
    settings: serde_json::Value,
) -> Result<Measured, String> {
    measure_as(Arc::new(provider), &settings, Arc::new(NoSecrets), now()).await
}

/// The same of a provider that goes on, with Secrets at a time.
pub(crate) async fn measure_as(
    provider: Arc<dyn Provider>,
    settings: &serde_json::Value,
    store: Arc<dyn SecretStore>,
    now: Timestamp,
) -> Result<Measured, String> {
    let providers = Providers::new().with("tested", provider).with_secrets(store);
    let redactor = Redactor::default();
    let place = Place { namespace: "shop".to_owned(), ..Place::default() };
    let request = Request { settings, redactor: &redactor, now, place: &place, retries: 0 };
    match providers.measure("tested", &request).await {
        Ok(Outcome::Measured(measured)) => Ok(measured),
        Ok(Outcome::Progress(progress)) => panic!("{progress:?} is no value"),
        Err(error) => Err(error.to_string()),
    }
}
