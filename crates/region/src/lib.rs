//! An embedded AWS region with a real load balancer behind its API.
//!
//! ```text
//!  AWS SDK, boto3, aws ──SigV4──▶ one loopback port ─▶ ELBv2 ┐
//!                                                      EKS   ├─▶ state ─▶ snapshot file
//!                                                      STS   │     │
//!                                               CloudWatch ──┘     ▼ topology
//!  HTTP clients ─────────▶ listeners on loopback ──▶ data plane ─▶ targets on loopback
//! ```
//!
//! Every write copies the state, changes the copy, stores it and only then
//! publishes it to readers and to the data plane: a refused call changes
//! nothing, and an answered one survives a crash.
//!
//! It never listens on or connects to anything but loopback, never calls AWS,
//! never starts a cluster itself (a [`ClusterProvisioner`] does), and knows
//! nothing of Kubernetes or of okra's kinds. The one word of okra in it is the
//! tag `okra.mumo.co/address` on listeners (`spec/okra.md` 8).

mod calls;
pub mod clock;
mod cloudwatch;
mod context;
pub mod dataplane;
mod eks;
mod elbv2;
mod exposition;
mod faults;
mod identity;
mod journal;
mod options;
mod own;
mod protocol;
mod provision;
mod region;
mod server;
mod sigv4;
mod state;
mod sts;
mod wire;
mod world;

pub use clock::{Chance, Clock, SeededChance, SystemClock};
pub use faults::{FaultKind, FaultRate};
pub use journal::{
    Call, Detail, ForwardWeights, JOURNAL_CAPACITY, JOURNAL_PARAMETERS, Moment, Outcome, Subscription,
};
pub use options::{DEFAULT_ACCESS_KEY_ID, DEFAULT_SECRET_ACCESS_KEY, Options, StaticCredentials, Timing};
pub use provision::{ClusterEndpoint, ClusterProvisioner, ClusterRequest, ProvisionError};
pub use region::{
    Authenticator, ClusterAccess, ClusterSummary, ListenerSummary, LoadBalancerSummary, Region, StartError,
    TokenError,
};
