//! The server as its clients see it: kube-rs in the same process and over TLS,
//! raw requests, and the real kubectl.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod apply;
mod common;
mod crud;
mod definitions;
mod deletion;
mod disk;
mod kubectl;
mod limits;
mod lists;
mod pages;
mod runtime;
mod streams;
mod transport;
mod watches;
