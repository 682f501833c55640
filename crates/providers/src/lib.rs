//! What analysis measures with (`spec/analysis.md` 4), and what can be said against a template
//! before it does ([`lint()`]).
//!
//! ```text
//!   metric's settings (secrets in them) ──> Providers::measure ──> Measured { text, result, metadata }
//!                                              │                        │
//!       prometheus datadog web graphite        │                     Conditions::judge ──> phase
//!       influxdb newRelic ── http::Client ─────┤
//!       cloudWatch ── okra_aws::Metrics ───────┤
//!       job ── JobClusters (port) ─────────────┴──> Progress: its own verdict, later
//! ```
//!
//! What this crate never does:
//! - connect to an address that it has not checked after resolution: a template may be written by
//!   anyone with rights in one namespace, and okra runs where metadata services and its own
//!   listeners are near ([`AddressPolicy`]);
//! - wait without end or read without end: every call has a timeout and every body a limit;
//! - let a secret into a message, value or note: [`Providers`] redacts whatever leaves it;
//! - judge: phases come from `okra_domain::analysis`, of which [`Conditions`] is the caller.

mod address;
#[cfg(test)]
mod adversity;
mod background;
mod checking;
mod cloudwatch;
mod conditions;
mod datadog;
mod graphite;
mod grouped;
mod http;
mod influxdb;
mod job;
mod jsonpath;
mod lint;
mod new_relic;
mod no_data;
mod oauth2;
mod prometheus;
mod provider;
mod registry;
mod secrets;
mod settings;
#[cfg(test)]
mod testing;
mod web;

pub use address::{AddressPolicy, Network, Refusal};
pub use background::{BackgroundProvider, Begun, Progress};
pub use cloudwatch::CloudWatch;
pub use conditions::{Conditions, InvalidCondition};
pub use datadog::{Datadog, DatadogCredentials};
pub use graphite::Graphite;
pub use http::{Client, Proxies, Resolver, SystemResolver};
pub use influxdb::InfluxDb;
pub use job::{Created, Job, JobClusters, JobPlace, MANAGEMENT_CLUSTER};
pub use jsonpath::{JsonPath, JsonPathError};
pub use lint::{Finding, Severity, lint};
pub use new_relic::NewRelic;
pub use no_data::is_no_data;
pub use prometheus::Prometheus;
pub use provider::{Measured, Place, Provider, ProviderError, Request};
pub use registry::{Outcome, Providers, RETRIES_MAX, retry_limit};
pub use secrets::{NoSecrets, SecretScope, SecretStore, Secrets};
pub use web::Web;
