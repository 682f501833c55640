//! What every provider of measurements keeps to (`spec/analysis.md` 4.0).

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use okra_domain::analysis::substitute::Redactor;
use okra_expr::Value;

/// One measurement to be taken.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The provider's settings after substitution, secrets included.
    pub settings: &'a serde_json::Value,
    /// Hides those secrets.
    pub redactor: &'a Redactor,
    /// The time that windows end at.
    pub now: Timestamp,
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
}

/// Why nothing was measured: the message of an Error measurement.
#[derive(Debug)]
pub struct ProviderError {
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl ProviderError {
    /// An error without a cause below it.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }

    /// An error with its cause.
    pub fn caused_by(message: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { message: message.into(), source: Some(source.into()) }
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

    /// Takes a measurement, within the time that the settings or the provider's default allow.
    ///
    /// # Errors
    ///
    /// If there is no answer, or not one that holds a value.
    async fn measure(&self, request: Request<'_>) -> Result<Measured, ProviderError>;
}
