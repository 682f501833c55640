//! The providers by their key in a metric.

use std::collections::BTreeMap;
use std::sync::Arc;

use okra_domain::analysis::substitute::Redactor;

use crate::provider::{Measured, Provider, ProviderError, Request};

/// Keys that templates may hold but okra does not measure with, and what to use instead.
const UNAVAILABLE: [(&str, &str); 10] = [
    ("prometheus", "query it with web and a jsonPath such as {$.data.result[0].value[1]}"),
    ("datadog", "query its API with web"),
    ("newRelic", "query its API with web"),
    ("graphite", "query its render API with web"),
    ("influxdb", "query its API with web"),
    ("wavefront", "query its API with web"),
    ("skywalking", "query its API with web"),
    ("kayenta", "compare with two conditions on web or cloudWatch"),
    ("job", "let the job's outcome be asked for with web"),
    ("plugin", "plugins speak a protocol of Go processes; offer the value over HTTP and use web"),
];

/// All providers that can measure. What leaves it holds no secret.
#[derive(Debug, Clone, Default)]
pub struct Providers {
    providers: BTreeMap<String, Arc<dyn Provider>>,
}

impl Providers {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more, under its key in a metric, such as `web`.
    #[must_use]
    pub fn with(mut self, key: &str, provider: Arc<dyn Provider>) -> Self {
        self.providers.insert(key.to_owned(), provider);
        self
    }

    /// Checks a provider's key and settings before any measurement.
    ///
    /// # Errors
    ///
    /// If the provider is not available, with what is, or its settings cannot work.
    pub fn check(&self, key: &str, settings: &serde_json::Value) -> Result<(), ProviderError> {
        self.provider(key)?.check(settings)
    }

    /// Takes a measurement.
    ///
    /// # Errors
    ///
    /// With one message in which causes follow, without secrets.
    pub async fn measure(&self, key: &str, request: Request<'_>) -> Result<Measured, ProviderError> {
        let redactor = request.redactor;
        match self.provider(key)?.measure(request).await {
            Ok(measured) => Ok(redacted(measured, redactor)),
            Err(error) => Err(ProviderError::new(redactor.redact(&error.chain()))),
        }
    }

    fn provider(&self, key: &str) -> Result<&Arc<dyn Provider>, ProviderError> {
        self.providers.get(key).ok_or_else(|| {
            let available = self.providers.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let hint = UNAVAILABLE.iter().find(|(name, _)| *name == key);
            let hint = hint.map(|(_, hint)| format!("; instead, {hint}")).unwrap_or_default();
            ProviderError::new(format!("provider {key:?} is not supported (supported are {available}){hint}"))
        })
    }
}

/// The text of the value is redacted too; only conditions see it whole.
fn redacted(measured: Measured, redactor: &Redactor) -> Measured {
    let notes = |notes: BTreeMap<String, String>| {
        let hidden = notes.into_iter().map(|(key, value)| (redactor.redact(&key), redactor.redact(&value)));
        hidden.collect()
    };
    Measured {
        text: redactor.redact(&measured.text),
        result: measured.result,
        metadata: notes(measured.metadata),
        facts: notes(measured.facts),
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use okra_expr::Value;

    use super::*;

    #[derive(Debug)]
    struct Leaky;

    #[async_trait]
    impl Provider for Leaky {
        fn check(&self, _: &serde_json::Value) -> Result<(), ProviderError> {
            Ok(())
        }

        async fn measure(&self, request: Request<'_>) -> Result<Measured, ProviderError> {
            if request.settings == &serde_json::json!("fail") {
                let cause = std::io::Error::other("no route for hunter2");
                return Err(ProviderError::caused_by("cannot reach http://h/?k=hunter2", cause));
            }
            let mut measured = Measured::new("hunter2", Value::from("hunter2"));
            measured.metadata.insert("query".to_owned(), "x hunter2".to_owned());
            measured.facts.insert("hunter2".to_owned(), "y".to_owned());
            Ok(measured)
        }
    }

    fn request<'a>(settings: &'a serde_json::Value, redactor: &'a Redactor) -> Request<'a> {
        Request { settings, redactor, now: jiff::Timestamp::UNIX_EPOCH }
    }

    #[tokio::test]
    async fn no_secret_leaves_in_text_notes_or_messages() {
        let providers = Providers::new().with("leaky", Arc::new(Leaky));
        let redactor = Redactor::new(["hunter2"]);
        let settings = serde_json::Value::Null;
        let measured = providers.measure("leaky", request(&settings, &redactor)).await.unwrap();
        assert_eq!(measured.text, "*****");
        assert_eq!(measured.metadata["query"], "x *****");
        assert!(measured.facts.contains_key("*****"));
        let failing = serde_json::json!("fail");
        let error = providers.measure("leaky", request(&failing, &redactor)).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot reach http://h/?k=*****: no route for *****");
        assert!(std::error::Error::source(&error).is_none());
    }

    #[test]
    fn what_is_not_supported_is_refused_with_what_is() {
        let providers = Providers::new().with("web", Arc::new(Leaky)).with("cloudWatch", Arc::new(Leaky));
        let settings = serde_json::Value::Null;
        let message = providers.check("datadog", &settings).unwrap_err().to_string();
        assert!(
            message.contains("\"datadog\" is not supported (supported are cloudWatch, web)"),
            "{message}"
        );
        for (key, hint) in UNAVAILABLE {
            assert!(providers.check(key, &settings).unwrap_err().to_string().contains(hint));
        }
        assert!(providers.check("web", &settings).is_ok());
    }
}
