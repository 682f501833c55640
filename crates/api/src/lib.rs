//! Every custom resource that okra serves or reads, and the way from their
//! words to the words of the domain and back.
//!
//! What is here:
//! - the kinds of `okra.mumo.co/v1alpha1` and, shared with Argo Rollouts, of
//!   `argoproj.io/v1alpha1`, with the definitions that `okra crds` prints;
//! - views of foreign objects ([`foreign`]);
//! - [`lenient`] decoding: one malformed object never stops a list or watch.
//!
//! What is never here: I/O, clocks, randomness and decisions. A spec that
//! cannot be carried out decodes all the same; saying so, in a condition of
//! that one object, is the work of validation, not of the schema.

pub mod alb_config;
pub mod analysis;
pub mod aws_target_group;
pub mod aws_target_group_binding;
pub mod aws_target_group_set;
pub mod cell;
pub mod cluster_set;
pub mod common;
pub mod convert;
mod definitions;
pub mod folder;
pub mod foreign;
pub mod lenient;
pub mod load_balancer;
pub mod manifests;
pub mod names;
pub mod nlb_config;
pub mod observe;
pub mod offline;
pub mod pause;
pub mod template;
pub mod version_blocklist;
pub mod write;

pub use alb_config::AWSApplicationLoadBalancerConfig;
pub use analysis::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate, Experiment};
pub use aws_target_group::AWSTargetGroup;
pub use aws_target_group_binding::AWSTargetGroupBinding;
pub use aws_target_group_set::AWSTargetGroupSet;
pub use cell::Cell;
pub use cluster_set::ClusterSet;
pub use definitions::{analysis_crds, crds};
pub use lenient::{Lenient, decode};
pub use nlb_config::AWSNetworkLoadBalancerConfig;
pub use pause::Pause;
pub use version_blocklist::VersionBlocklist;
