//! Words and rules of a swap, and the planners.
//!
//! ```text
//!   observed + desired + now ──> planner ──> plan (what to write, why, when to look again)
//! ```
//!
//! A planner is a synchronous function that leaves no choice open; whoever
//! carries the plan out adds none. The words (versions, weights, ARNs,
//! reasons) are types, parsed once at the border.
//!
//! This crate never does I/O: no async runtime, no Kubernetes client, no AWS,
//! no SQL, no files, no clock, no randomness. Time comes in as a value. Maps
//! that reach a decision are ordered.

pub mod analysis;
pub mod arn;
pub mod cell;
#[cfg(test)]
mod chance;
pub mod condition;
pub mod duration;
pub mod experiment;
pub mod phase;
pub mod reason;
pub mod rollout_id;
mod text;
pub mod version;
pub mod weight;

pub use arn::{Arn, ArnError, ListenerArn, LoadBalancerArn, LoadBalancerKind, RuleArn, TargetGroupArn};
pub use condition::{Condition, ConditionReason, ConditionType};
pub use phase::Phase;
pub use reason::Reason;
pub use rollout_id::RolloutId;
pub use text::UnknownWord;
pub use version::{ServedVersion, Version, VersionError};
pub use weight::{Percent, Weight, WeightTotal};
