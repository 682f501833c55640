//! Conditions of a Cell (`spec/okra.md` 2.6.2).

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::phase::Phase;
use crate::reason::Reason;
use crate::text::{UnknownWord, words};

words! {
    /// What a condition is about.
    pub enum ConditionType("condition type") {
        /// True at rest without degradation.
        Ready,
        /// True while a rollout moves or waits; False when it waited too long.
        Progressing,
        /// Serves, but not as it should.
        Degraded,
        /// Held for a human.
        Paused,
        /// False when an AWSTargetGroup is illegal.
        TargetGroupsValid,
        /// A version waits for its complete set.
        WaitingForReplicas,
        /// A version that would be served is blocked.
        VersionBlocked,
        /// Something else changed the weights.
        DriftDetected,
        /// `setWeight` can be read in two ways.
        WeightModeAmbiguous,
    }
}

/// Why a condition is as it is. A condition must give a reason even when
/// nothing is wrong; then it is the phase, or `AsExpected`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionReason {
    /// One of the reasons.
    Reason(Reason),
    /// The phase says it.
    Phase(Phase),
    /// Nothing to say.
    AsExpected,
    /// `setWeight` without `weightMode`.
    WeightModeAmbiguous,
}

impl ConditionReason {
    const AS_EXPECTED: &'static str = "AsExpected";
    const AMBIGUOUS: &'static str = "WeightModeAmbiguous";

    /// The word as the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reason(reason) => reason.as_str(),
            Self::Phase(phase) => phase.as_str(),
            Self::AsExpected => Self::AS_EXPECTED,
            Self::WeightModeAmbiguous => Self::AMBIGUOUS,
        }
    }
}

impl fmt::Display for ConditionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ConditionReason {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            Self::AS_EXPECTED => Ok(Self::AsExpected),
            Self::AMBIGUOUS => Ok(Self::WeightModeAmbiguous),
            _ => text.parse().map(Self::Phase).or_else(|_: UnknownWord| text.parse().map(Self::Reason)),
        }
    }
}

impl From<Reason> for ConditionReason {
    fn from(reason: Reason) -> Self {
        Self::Reason(reason)
    }
}

/// A standard condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What it is about.
    pub kind: ConditionType,
    /// `True` or `False`; okra knows no `Unknown`.
    pub status: bool,
    /// Why, as one word.
    pub reason: ConditionReason,
    /// Why, as a sentence.
    pub message: String,
    /// When `status` last changed.
    pub last_transition_time: Timestamp,
    /// Generation of the Cell that was looked at.
    pub observed_generation: i64,
}

impl Condition {
    /// `status` as Kubernetes writes it.
    pub const fn status_text(&self) -> &'static str {
        if self.status { "True" } else { "False" }
    }
}
