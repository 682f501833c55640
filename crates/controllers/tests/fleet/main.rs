//! The controllers of ClusterSet, AWSTargetGroupSet and AWSTargetGroupBinding
//! against a management API in this process, and behind their ports, test by
//! test: an account in memory with the faults that AWS has, the embedded
//! region with member clusters, or moto.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bindings;
mod cluster_sets;
mod fake;
mod moto;
#[path = "../support/nothing.rs"]
mod nothing;
mod on_moto;
mod region;
mod target_groups;
mod world;
