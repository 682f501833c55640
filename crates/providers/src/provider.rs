//! What every provider of measurements keeps to (`spec/analysis.md` 4.0).

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use okra_domain::analysis::substitute::Redactor;
use okra_expr::Value;

use crate::secrets::Secrets;

/// One measurement to be taken.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The provider's settings after substitution, secrets included.
    pub settings: &'a serde_json::Value,
    /// Hides those secrets.
    pub redactor: &'a Redactor,
    /// The time that windows end at.
    pub now: Timestamp,
    /// Which measurement it is.
    pub place: &'a Place,
    /// How often a failure that may pass by itself is met with another try before it counts.
    pub retries: u32,
}

/// Which measurement of which run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Namespace of the run.
    pub namespace: String,
    /// Name of the run.
    pub run: String,
    /// UID of the run.
    pub run_uid: String,
    /// Name of the metric.
    pub metric: String,
    /// The measurement's number: 1 for the first of the metric.
    pub number: u32,
    /// The cluster in which jobs work: `management`, `canary`, `stable` or the name of a cluster
    /// secret; empty is `management`.
    pub cluster: String,
}

/// What was measured.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The value as people read it: numbers in plain decimal.
    pub text: String,
    /// The value as conditions see it.
    pub result: Value,
    /// Notes on this measurement.
    pub metadata: BTreeMap<String, String>,
    /// Notes on the metric as a whole, such as the resolved query.
    pub facts: BTreeMap<String, String>,
}

impl Measured {
    /// A value without notes.
    pub fn new(text: impl Into<String>, result: Value) -> Self {
        Self { text: text.into(), result, metadata: BTreeMap::new(), facts: BTreeMap::new() }
    }

    /// A value whose text is its compact form, without notes.
    pub fn of(result: Value) -> Self {
        Self::new(result.to_string(), result)
    }

    /// The same with a note on this measurement.
    #[must_use]
    pub fn noted(mut self, key: &str, value: impl Into<String>) -> Self {
        self.metadata.insert(key.to_owned(), value.into());
        self
    }

    /// The same with a fact about the metric.
    #[must_use]
    pub fn fact(mut self, key: &str, value: impl Into<String>) -> Self {
        self.facts.insert(key.to_owned(), value.into());
        self
    }
}

/// Why nothing was measured: the message of an Error measurement.
#[derive(Debug)]
pub struct ProviderError {
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
    retry_after: Option<Duration>,
    no_data: bool,
}

impl ProviderError {
    /// An error without a cause below it.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None, retry_after: None, no_data: false }
    }

    /// An error with its cause.
    pub fn caused_by(message: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { message: message.into(), source: Some(source.into()), retry_after: None, no_data: false }
    }

    /// An error that says no more than that the query found nothing.
    pub fn no_data(message: impl Into<String>) -> Self {
        Self { no_data: true, ..Self::new(message) }
    }

    /// Whether the query worked and found nothing, which a metric may judge by its `noData`.
    pub fn is_no_data(&self) -> bool {
        self.no_data
    }

    /// The same error with another message in place of its own and its causes'.
    pub(crate) fn shown_as(&self, message: String) -> Self {
        Self { message, source: None, retry_after: self.retry_after, no_data: self.no_data }
    }

    /// The same error, marked as one that may pass by itself, no sooner than after this time.
    #[must_use]
    pub fn passing(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// The time after which the same call may succeed; `None` if it will not.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The message and those of the causes, each once.
    pub fn chain(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = self.source();
        while let Some(error) = cause {
            let part = error.to_string();
            if !part.is_empty() && !text.contains(&part) {
                text.push_str(": ");
                text.push_str(&part);
            }
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ProviderError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// A source of measurements.
#[async_trait]
pub trait Provider: Send + Sync + fmt::Debug {
    /// What is wrong with settings, as far as it can be known without asking anyone. Secrets may
    /// still be placeholders.
    ///
    /// # Errors
    ///
    /// With the first fault.
    fn check(&self, settings: &serde_json::Value) -> Result<(), ProviderError>;

    /// What settings ask for, in words that a message can end with: the query, or the call.
    /// Secrets in it are hidden by whoever shows it.
    fn asked(&self, settings: &serde_json::Value) -> Option<String>;

    /// Takes a measurement, within the time that the settings or the provider's default allow.
    ///
    /// # Errors
    ///
    /// If there is no answer, or not one that holds a value.
    async fn measure(&self, request: &Request<'_>, secrets: &Secrets) -> Result<Measured, ProviderError>;
}
