//! Providers that work for a while and judge by themselves, as a Kubernetes Job does
//! (`spec/analysis.md` 4.5).

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use okra_domain::analysis::Phase;

use crate::provider::{ProviderError, Request};

/// How far a measurement is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Running, or what it came to: Successful, Failed or Inconclusive.
    pub phase: Phase,
    /// Why.
    pub message: String,
    /// When to ask again, while it is running.
    pub resume_at: Option<Timestamp>,
    /// Notes on this measurement, from which it is found again.
    pub metadata: BTreeMap<String, String>,
}

/// What is known of a measurement that has begun.
#[derive(Debug, Clone, Copy)]
pub struct Begun<'a> {
    /// The notes of its last progress.
    pub metadata: &'a BTreeMap<String, String>,
    /// When it began.
    pub started_at: Timestamp,
}

/// A source of verdicts that come later.
#[async_trait]
pub trait BackgroundProvider: Send + Sync + fmt::Debug {
    /// What is wrong with settings, as far as it can be known without asking anyone.
    ///
    /// # Errors
    ///
    /// With the first fault.
    fn check(&self, settings: &serde_json::Value) -> Result<(), ProviderError>;

    /// Begins a measurement. To begin the same one again finds what was begun.
    ///
    /// # Errors
    ///
    /// If it cannot be begun.
    async fn start(&self, request: &Request<'_>) -> Result<Progress, ProviderError>;

    /// Asks how far a measurement is.
    ///
    /// # Errors
    ///
    /// If what was begun is gone, or nobody answers.
    async fn resume(&self, request: &Request<'_>, begun: Begun<'_>) -> Result<Progress, ProviderError>;

    /// Ends a measurement before its time.
    ///
    /// # Errors
    ///
    /// If it cannot be ended.
    async fn stop(&self, request: &Request<'_>, begun: Begun<'_>) -> Result<Progress, ProviderError>;

    /// Removes what is left of the metric's older measurements, all but the newest `keep`.
    ///
    /// # Errors
    ///
    /// If they cannot be listed or removed; the next call tries again.
    async fn clean_up(&self, request: &Request<'_>, keep: usize) -> Result<(), ProviderError>;
}
