//! The region through the clients that people use: the AWS SDK for Rust,
//! boto3, the `aws` command.

mod clients;
mod common;
mod eks;
mod metrics;
mod restart;
mod signatures;
mod world;
