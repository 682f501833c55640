//! A human's word: one command, carried out at most once and answered in
//! status (`spec/okra.md` 2.6.2b).

use jiff::Timestamp;

use crate::rollout_id::RolloutId;
use crate::text::{UnknownWord, words};
use crate::version::Version;

/// A command whose `at` is further away than this is refused: it comes from a
/// restored or re-applied manifest.
pub const COMMAND_AGE_SECONDS_MAX: i64 = 600;

/// How many command ids are remembered.
pub const COMMAND_IDS_MAX: usize = 20;

words! {
    /// What a command asks for.
    pub enum Verb("verb") {
        /// End the wait of the present step.
        Promote,
        /// Skip to the end.
        PromoteFull,
        /// Stable 100, canary 0, version blocked.
        Abort,
        /// Unblock and start a new attempt.
        Retry,
        /// Go on with okra's plan.
        Continue,
    }
}

/// What the annotation holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandObservation {
    /// A command.
    Command(Command),
    /// Something that is none; it is reported and ignored.
    Malformed(String),
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Chosen by the writer.
    pub id: String,
    /// What it asks for.
    pub verb: Result<Verb, UnknownWord>,
    /// The rollout that is meant.
    pub rollout_id: Option<RolloutId>,
    /// The step that is meant.
    pub step: Option<usize>,
    /// The version that is meant.
    pub version: Option<Version>,
    /// Who says it.
    pub by: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// When it was said.
    pub at: Option<Timestamp>,
}

/// `status.lastCommand`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandOutcome {
    /// Id of the command.
    pub id: String,
    /// Its verb, as it was written.
    pub verb: String,
    /// Done or refused.
    pub done: bool,
    /// Why it was refused, or what it did.
    pub message: String,
    /// Who said it.
    pub by: Option<String>,
    /// The step it named.
    pub step: Option<usize>,
    /// When it was answered.
    pub at: Option<Timestamp>,
}

impl CommandOutcome {
    /// `Done` or `Refused`.
    pub const fn outcome_text(&self) -> &'static str {
        if self.done { "Done" } else { "Refused" }
    }
}
