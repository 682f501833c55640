//! An embedded Kubernetes API server on SQLite.
//!
//! It answers kubectl, kube-rs and client-go programs: objects of the built-in
//! kinds and of custom resources, lists, watches, patches, server-side apply,
//! finalizers, owner garbage collection, discovery and schemas. It is a
//! project of its own: it knows none of the kinds of the program around it.
//!
//! ```text
//! TLS listener ─┐                       ┌─ discovery, OpenAPI (kinds)
//!               ├─ http ─ auth ─ router ┼─ read: get, list, watch ── state in memory
//! in-process ───┘                       └─ write pipeline ── store: one writer, SQLite log
//!                                            gc, namespaces, workloads ─┘
//! ```
//!
//! - The committed state and a window of its history live in memory; SQLite
//!   holds the same log on disk and is read at the start only.
//! - A revision is never given to two states, also not across a crash.
//! - Watches read the committed log, in revision order; a slow reader falls
//!   behind and is told so, it never holds up a writer.
//!
//! What it never does: run containers, schedule pods, speak plain HTTP on a
//! socket, read the clock or random numbers outside [`clock`], or use SQL
//! outside `store`.

mod admission;
mod api;
mod audit;
pub mod auth;
mod bootstrap;
pub mod clock;
mod control;
mod discovery;
#[cfg(test)]
mod fuzz_tests;
mod health;
mod http;
mod inprocess;
mod kinds;
mod limits;
mod list;
mod listen;
mod metrics;
mod number;
mod object;
mod present;
mod read;
mod router;
mod server;
mod services;
mod stack;
mod store;
mod subresources;
mod tls;
mod usage;
mod watch;
mod write;

pub mod apply;
pub mod builtin;
pub mod openapi;
pub mod patch;
pub mod protobuf;
pub mod schema;
pub mod selector;
pub mod table;

pub use audit::AuditLog;
pub use auth::{TokenAuthenticator, User};
pub use clock::{Chance, Clock};
pub use http::reply::ResponseBody;
pub use inprocess::InProcess;
pub use listen::{ServeError, Serving};
pub use server::{OpenError, Options, Server, Storage};
pub use store::StoreError;
pub use tls::CertificateError;
