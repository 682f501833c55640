//! The region through the clients that people use: the AWS SDK for Rust,
//! boto3, the `aws` command.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod clients;
mod common;
mod eks;
mod faults;
mod metrics;
mod restart;
mod signatures;
mod world;
