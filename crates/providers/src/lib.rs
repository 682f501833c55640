//! What analysis measures with: CloudWatch and web endpoints (`spec/analysis.md` 4).
//!
//! ```text
//!   metric's settings (secrets in them) ──> Providers::measure ──> Measured { text, result, metadata }
//!                                              │                        │
//!                                  web ── http::Client               Conditions::judge ──> phase
//!                                  cloudWatch ── okra_aws::Metrics
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
mod cloudwatch;
mod conditions;
mod http;
mod jsonpath;
mod oauth2;
mod provider;
mod registry;
mod web;

pub use address::{AddressPolicy, Network, Refusal};
pub use cloudwatch::CloudWatch;
pub use conditions::{Conditions, InvalidCondition};
pub use http::{Client, Resolver, SystemResolver};
pub use jsonpath::{JsonPath, JsonPathError};
pub use provider::{Measured, Provider, ProviderError, Request};
pub use registry::Providers;
pub use web::Web;
