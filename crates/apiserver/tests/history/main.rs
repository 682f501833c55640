//! Random writers, watchers and lists against one server, and a checker that
//! knows what they were told (spec/apiserver.md 8.6).
//!
//! In one test the server is a process that is killed (`kill -9`) and started
//! again on the same files, hundreds of times; in the others everything runs in
//! one thread from a seed, so that a failure can be repeated, and a crash is a
//! copy of the files at that moment.
//!
//! `OKRA_HISTORY_CYCLES` sets the number of crashes, `OKRA_HISTORY_SEED` the
//! seed; a failure prints the seed.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "--nocapture shows how much was judged")]
#![allow(clippy::disallowed_methods, reason = "the killed process keeps real time")]

#[path = "../support/mod.rs"]
mod support;

mod actors;
mod crashes;
mod ledger;
mod objects;
mod random;
mod seeds;
mod verify;
