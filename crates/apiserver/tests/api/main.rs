//! The server as its clients see it: kube-rs in the same process and over TLS,
//! raw requests, and the real kubectl.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod apply;
mod common;
mod crud;
mod definitions;
mod deletion;
mod kubectl;
mod lists;
mod runtime;
mod transport;
mod watches;
