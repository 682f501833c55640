//! Every call to the API, as a stream: what a demo measures from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::broadcast;

/// Calls kept for a subscriber that reads slowly. Older ones are lost to it,
/// and it learns how many (`RecvError::Lagged`). At 50 ms health polls of ten
/// target groups this is about 20 seconds.
pub const JOURNAL_CAPACITY: usize = 4096;

/// Parameters kept of one call. A call with more (PutMetricData) keeps the
/// first in alphabetical order; nobody measures the rest.
pub const JOURNAL_PARAMETERS: usize = 64;

/// A stream of calls, in the order in which they were answered.
pub type Subscription = broadcast::Receiver<Arc<Call>>;

/// One call to the API and how it was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Signing name of the service: `elasticloadbalancing`, `eks`, `sts`, `monitoring`.
    pub service: &'static str,
    /// Name of the operation, as `ModifyRule`; empty when the request was refused before it was known.
    pub action: String,
    /// ARN of the caller, where the signature was good.
    pub caller: Option<String>,
    /// When the last byte of the request had arrived.
    pub received: Moment,
    /// When the answer was ready.
    pub answered: Moment,
    /// Accepted or refused.
    pub outcome: Outcome,
    /// Parameters in dotted form (`Actions.member.1.Type`); never a secret.
    pub parameters: BTreeMap<String, String>,
    /// What the answer said or the write did, for the calls that are measured.
    pub detail: Detail,
}

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Wall clock.
    pub wall: Timestamp,
    /// Monotonic time of the clock the region was given.
    pub monotonic: Duration,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Accepted,
    /// Refused with this error code.
    Rejected {
        /// The code, as `RuleNotFound`.
        code: String,
    },
}

/// What the answer of a measured call said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// Nothing beyond the parameters.
    None,
    /// Forward weights that a CreateRule, ModifyRule, CreateListener,
    /// ModifyListener or a Describe of them answered, in the order of the answer.
    Weights(Vec<ForwardWeights>),
    /// Target states that DescribeTargetHealth answered.
    TargetHealth {
        /// The target group.
        target_group_arn: String,
        /// Each target (`127.0.0.1:9001`) with its state, as `healthy`.
        targets: Vec<(String, String)>,
    },
}

/// The weights of one rule (or default action).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardWeights {
    /// ARN of the rule, or of the listener for its default action.
    pub arn: String,
    /// Target group ARN and weight, in the order of the action.
    pub target_groups: Vec<(String, u32)>,
}

/// The sending half.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    sender: broadcast::Sender<Arc<Call>>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self { sender: broadcast::channel(JOURNAL_CAPACITY).0 }
    }

    pub(crate) fn subscribe(&self) -> Subscription {
        self.sender.subscribe()
    }

    pub(crate) fn record(&self, call: Call) {
        // An error means only that nobody is listening.
        let _ = self.sender.send(Arc::new(call));
    }
}
