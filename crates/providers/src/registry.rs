//! The providers by their key in a metric.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use okra_domain::analysis::substitute::Redactor;

use crate::background::{BackgroundProvider, Begun, Progress};
use crate::provider::{Measured, Provider, ProviderError, Request};
use crate::secrets::{NoSecrets, SecretStore, Secrets};

/// Keys that templates may hold but okra does not measure with, and what to use instead.
const UNAVAILABLE: [(&str, &str); 4] = [
    ("wavefront", "query its chart API with web"),
    ("skywalking", "query its GraphQL API with web"),
    ("kayenta", "name a baseline query, or compare with two conditions on prometheus or cloudWatch"),
    (
        "plugin",
        "plugins speak a protocol of Go processes: offer the value over HTTP and use web, or run it as a job",
    ),
];

/// The wait before the first repetition of a call; each further one waits twice as long.
const FIRST_RETRY: Duration = Duration::from_millis(500);

/// The longest wait for a repetition. A server that asks for more gets its answer counted as an
/// error, and the metric's own schedule decides when it is asked again.
const RETRY_LONGEST: Duration = Duration::from_secs(30);

/// Most repetitions of one measurement, whatever the metric says: with the waits between them and
/// the providers' timeouts, one measurement then stays below half an hour.
pub const RETRIES_MAX: u32 = 5;

/// The field of a metric that says how often it tries again.
const RETRY_FIELD: &str = "providerRetryLimit";

/// Bytes of a message. Status keeps as many; a server's error page has more.
const MESSAGE_BYTES: usize = 800;

/// Bytes of a query that a message repeats; status has it whole.
const ASKED_BYTES: usize = 200;

/// What a measurement came to.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// A value, which conditions judge.
    Measured(Measured),
    /// A provider's own verdict, or that it is still working.
    Progress(Progress),
}

#[derive(Debug, Clone)]
enum Kind {
    Query(Arc<dyn Provider>),
    Background(Arc<dyn BackgroundProvider>),
}

/// All providers that can measure. What leaves it holds no secret.
#[derive(Debug, Clone)]
pub struct Providers {
    providers: BTreeMap<String, Kind>,
    store: Arc<dyn SecretStore>,
}

impl Default for Providers {
    fn default() -> Self {
        Self { providers: BTreeMap::new(), store: Arc::new(NoSecrets) }
    }
}

impl Providers {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more, under its key in a metric, such as `web`.
    #[must_use]
    pub fn with(mut self, key: &str, provider: Arc<dyn Provider>) -> Self {
        self.providers.insert(key.to_owned(), Kind::Query(provider));
        self
    }

    /// The same with one more that works in the background, such as `job`.
    #[must_use]
    pub fn with_background(mut self, key: &str, provider: Arc<dyn BackgroundProvider>) -> Self {
        self.providers.insert(key.to_owned(), Kind::Background(provider));
        self
    }

    /// The same with a place from which providers read their credentials.
    #[must_use]
    pub fn with_secrets(mut self, store: Arc<dyn SecretStore>) -> Self {
        self.store = store;
        self
    }

    /// Checks a provider's key and settings before any measurement.
    ///
    /// # Errors
    ///
    /// If the provider is not available, with what is, or its settings cannot work.
    pub fn check(&self, key: &str, settings: &serde_json::Value) -> Result<(), ProviderError> {
        match self.kind(key)? {
            Kind::Query(provider) => provider.check(settings),
            Kind::Background(provider) => provider.check(settings),
        }
    }

    /// Whether a provider of this key is there.
    pub fn has(&self, key: &str) -> bool {
        self.providers.contains_key(key)
    }

    /// Whether a provider begins measurements that end later.
    pub fn is_background(&self, key: &str) -> bool {
        matches!(self.providers.get(key), Some(Kind::Background(_)))
    }

    /// Takes a measurement, or begins one.
    ///
    /// # Errors
    ///
    /// With one message in which causes and the query follow, without secrets.
    pub async fn measure(&self, key: &str, request: &Request<'_>) -> Result<Outcome, ProviderError> {
        match self.kind(key)? {
            Kind::Query(provider) => self.query(provider.as_ref(), request).await.map(Outcome::Measured),
            Kind::Background(provider) => {
                shown(provider.start(request).await, request.redactor).map(Outcome::Progress)
            }
        }
    }

    /// Asks how far a measurement is that was begun.
    ///
    /// # Errors
    ///
    /// As [`Providers::measure`]; also if the provider never begins what it does not end.
    pub async fn resume(
        &self,
        key: &str,
        request: &Request<'_>,
        begun: Begun<'_>,
    ) -> Result<Progress, ProviderError> {
        shown(self.background(key)?.resume(request, begun).await, request.redactor)
    }

    /// Ends a measurement that was begun.
    ///
    /// # Errors
    ///
    /// As [`Providers::resume`].
    pub async fn stop(
        &self,
        key: &str,
        request: &Request<'_>,
        begun: Begun<'_>,
    ) -> Result<Progress, ProviderError> {
        shown(self.background(key)?.stop(request, begun).await, request.redactor)
    }

    /// Removes what is left of the metric's older measurements.
    ///
    /// # Errors
    ///
    /// As [`Providers::resume`]; a provider that leaves nothing behind has nothing to do.
    pub async fn clean_up(&self, key: &str, request: &Request<'_>, keep: usize) -> Result<(), ProviderError> {
        match self.kind(key)? {
            Kind::Query(_) => Ok(()),
            Kind::Background(provider) => provider.clean_up(request, keep).await.map_err(|error| {
                ProviderError::new(clipped(&request.redactor.redact(&error.chain()), MESSAGE_BYTES))
            }),
        }
    }

    async fn query(&self, provider: &dyn Provider, request: &Request<'_>) -> Result<Measured, ProviderError> {
        let secrets = Secrets::new(self.store.clone());
        let mut attempt = 0;
        loop {
            let error = match provider.measure(request, &secrets).await {
                Ok(measured) => return Ok(redacted(measured, &secrets.redactor(request.redactor))),
                Err(error) => error,
            };
            let Some(wait) = wait(&error, attempt).filter(|_| attempt < request.retries.min(RETRIES_MAX))
            else {
                let asked = provider.asked(request.settings);
                return Err(described(&error, asked, attempt, &secrets.redactor(request.redactor)));
            };
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    fn background(&self, key: &str) -> Result<&Arc<dyn BackgroundProvider>, ProviderError> {
        match self.kind(key)? {
            Kind::Background(provider) => Ok(provider),
            Kind::Query(_) => Err(ProviderError::new(format!("{key} does not work in the background"))),
        }
    }

    fn kind(&self, key: &str) -> Result<&Kind, ProviderError> {
        self.providers.get(key).ok_or_else(|| {
            let available = self.providers.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let hint = UNAVAILABLE.iter().find(|(name, _)| *name == key);
            let hint = hint.map(|(_, hint)| format!("; instead, {hint}")).unwrap_or_default();
            ProviderError::new(format!("provider {key:?} is not supported (supported are {available}){hint}"))
        })
    }
}

/// How often a metric tries again within one measurement (`spec/analysis.md` 2.10): 0 unless it
/// says so.
///
/// # Errors
///
/// If it says something else than a number up to [`RETRIES_MAX`].
pub fn retry_limit(metric: &serde_json::Value) -> Result<u32, ProviderError> {
    let number = match &metric[RETRY_FIELD] {
        serde_json::Value::Null => return Ok(0),
        serde_json::Value::String(text) if text.is_empty() => return Ok(0),
        serde_json::Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|number| u32::try_from(number).ok()),
    };
    number.filter(|number| *number <= RETRIES_MAX).ok_or_else(|| {
        let got = &metric[RETRY_FIELD];
        ProviderError::new(format!("{RETRY_FIELD} must be a whole number from 0 to {RETRIES_MAX}, got {got}"))
    })
}

/// How long to wait before the call is repeated, if that may help.
fn wait(error: &ProviderError, attempt: u32) -> Option<Duration> {
    let asked = error.retry_after()?;
    let backoff = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(attempt));
    Some(asked.max(backoff)).filter(|wait| *wait <= RETRY_LONGEST)
}

/// The error as status shows it. Texts are shortened only after secrets are hidden: half a secret
/// would not be found.
fn described(
    error: &ProviderError,
    asked: Option<String>,
    attempt: u32,
    redactor: &Redactor,
) -> ProviderError {
    let mut message = clipped(&redactor.redact(&error.chain()), MESSAGE_BYTES);
    if attempt > 0 {
        message.push_str(&format!(", {} times", attempt + 1));
    }
    if let Some(asked) = asked {
        message.push_str(&format!(" ({})", clipped(&redactor.redact(&asked), ASKED_BYTES)));
    }
    error.shown_as(message)
}

/// The text of the value is redacted too; only conditions see it whole.
fn redacted(measured: Measured, redactor: &Redactor) -> Measured {
    Measured {
        text: redactor.redact(&measured.text),
        result: measured.result,
        metadata: notes(measured.metadata, redactor),
        facts: notes(measured.facts, redactor),
    }
}

fn notes(notes: BTreeMap<String, String>, redactor: &Redactor) -> BTreeMap<String, String> {
    notes.into_iter().map(|(key, value)| (redactor.redact(&key), redactor.redact(&value))).collect()
}

fn shown(progress: Result<Progress, ProviderError>, redactor: &Redactor) -> Result<Progress, ProviderError> {
    match progress {
        Ok(progress) => Ok(Progress {
            message: clipped(&redactor.redact(&progress.message), MESSAGE_BYTES),
            metadata: notes(progress.metadata, redactor),
            ..progress
        }),
        Err(error) => Err(described(&error, None, 0, redactor)),
    }
}

/// The beginning of a text, on one line.
fn clipped(text: &str, bytes: usize) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.len() > bytes {
        let end = (0..=bytes).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests;
