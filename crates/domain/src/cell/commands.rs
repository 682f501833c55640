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
#[expect(clippy::large_enum_variant, reason = "there is one a Cell, never a list of them")]
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

/// What is to be done with the command at hand.
#[derive(Clone, Debug)]
pub(super) enum Received<'a> {
    /// None, or one that was answered before.
    Nothing,
    /// It must not be carried out, whatever the state; why.
    Refused(&'a Command, String),
    /// It may be carried out, if there is something to act on.
    Order(&'a Command, Verb),
}

/// Judges the command as far as it can be without the state of the rollout.
pub(super) fn receive<'a>(
    observation: Option<&'a CommandObservation>,
    status: &super::status::Status,
    now: Timestamp,
) -> Received<'a> {
    let Some(CommandObservation::Command(command)) = observation else { return Received::Nothing };
    let last = status.last_command.as_ref().map(|outcome| &outcome.id);
    if status.command_ids.contains(&command.id) || last == Some(&command.id) || command.id.is_empty() {
        return Received::Nothing;
    }
    let verb = match &command.verb {
        Ok(verb) => *verb,
        Err(error) => return Received::Refused(command, error.to_string()),
    };
    let Some(at) = command.at else {
        return Received::Refused(command, "it does not say when it was given (at)".to_owned());
    };
    let away = now.duration_since(at).as_secs().abs();
    if away > COMMAND_AGE_SECONDS_MAX {
        let message =
            format!("it was given at {at}, {away} s away; the limit is {COMMAND_AGE_SECONDS_MAX} s");
        return Received::Refused(command, message);
    }
    if let Some(meant) =
        command.rollout_id.as_ref().filter(|meant| status.rollout_id.as_ref() != Some(*meant))
    {
        let present = status.rollout_id.as_ref().map_or("none", RolloutId::as_str);
        return Received::Refused(command, format!("it names rollout {meant}; the present one is {present}"));
    }
    let present_step = status.current_step_index;
    if let (Some(meant), Some(present)) = (command.step, present_step)
        && meant != present
    {
        return Received::Refused(command, format!("it names step {meant}; the present one is {present}"));
    }
    Received::Order(command, verb)
}

/// Answers a command in status, and remembers its id.
pub(super) fn answer(
    status: &mut super::status::Status,
    command: &Command,
    done: bool,
    message: impl Into<String>,
    now: Timestamp,
) {
    status.last_command = Some(CommandOutcome {
        id: command.id.clone(),
        verb: match &command.verb {
            Ok(verb) => verb.to_string(),
            Err(unknown) => unknown.text.clone(),
        },
        done,
        message: message.into(),
        by: command.by.clone(),
        step: command.step,
        at: Some(now),
    });
    status.command_ids.insert(0, command.id.clone());
    status.command_ids.truncate(COMMAND_IDS_MAX);
}
