//! The ports to AWS that okra owns, and their adapters on the AWS SDK.
//!
//! ```text
//!   controllers ──> LoadBalancers  Targets  Clusters  Metrics  ClusterTokens     (ports: traits and values)
//!                        │             │        │           │
//!                   sdk::{load_balancers, clusters, metrics, identity}  (adapters)
//!                        └──── one attempt: limiter, gate, SDK call, error meaning ────> AWS
//! ```
//!
//! What this crate never does:
//! - let a type of the AWS SDK out: what okra must keep without understanding
//!   it travels inside values with a private field ([`KeptAction`]);
//! - decide anything about a swap: it reads, writes and says what an error
//!   means ([`Meaning`]);
//! - repeat a write: a write of unknown outcome is for the caller to read
//!   back ([`Meaning::UnknownOutcome`]).

mod clusters;
mod eks_token;
mod error;
pub mod iam;
mod load_balancers;
mod metrics;
mod scope;
pub mod sdk;
mod signing;
mod targets;
mod tokens;
mod write;

pub use clusters::{ClusterDescription, ClusterStatus, Clusters};
pub use eks_token::{SigningKeys, eks_token, sts_endpoint};
pub use error::{Access, AwsError, Meaning, meaning_of};
pub use load_balancers::{
    Action, Condition, Forward, KeptAction, KeptCondition, KeptTransforms, Listener, LoadBalancers, NewRule,
    Rule, RuleChange, RulePriority, Stickiness, Tags, TargetGroup, TargetHealth, TargetState,
    WeightedTargetGroup,
};
pub use metrics::{MetricQuery, MetricSeries, MetricSource, MetricWindow, Metrics, SeriesStatus};
pub use scope::{Region, Role, Scope};
pub use signing::{RequestSigner, SignedRequest, SigningIdentity};
pub use targets::{Target, Targets};
pub use tokens::{ClusterToken, ClusterTokens};
pub use write::{AlwaysAllowed, Urgency, Write, WriteGate};
