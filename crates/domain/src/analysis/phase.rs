//! Phases of measurements, metrics and runs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How far something is, and how it ended. Ordered from best to worst: the worst metric decides
/// a run (`spec/analysis.md` 1.4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    /// Nothing has happened; an empty text in status.
    #[default]
    #[serde(rename = "")]
    New,
    /// Ended well.
    Successful,
    /// Under way.
    Running,
    /// Not yet begun.
    Pending,
    /// Ended without saying yes or no.
    Inconclusive,
    /// Ended because it could not be measured.
    Error,
    /// Ended badly.
    Failed,
}

impl Phase {
    /// Whether this is an end.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Successful | Self::Inconclusive | Self::Error | Self::Failed)
    }

    /// Whether this is an end that stops the other metrics of the run.
    pub fn is_unsuccessful(self) -> bool {
        self.is_terminal() && self != Self::Successful
    }

    /// The phase as status writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "",
            Self::Successful => "Successful",
            Self::Running => "Running",
            Self::Pending => "Pending",
            Self::Inconclusive => "Inconclusive",
            Self::Error => "Error",
            Self::Failed => "Failed",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
