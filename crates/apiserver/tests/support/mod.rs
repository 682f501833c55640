//! A server in a process of its own, and clients that cost little: for tests
//! that kill the server and for benchmarks that must not measure the client.

#![allow(dead_code, reason = "each user takes the part it needs")]

pub mod clock;
pub mod door;
pub mod process;
