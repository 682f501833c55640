//! A human's word (`spec/okra.md` 2.6.2b): one command in an annotation,
//! carried out at most once and answered in status.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::names::ANNOTATION_COMMAND;

/// Longest command text that is read, in bytes: a reason of a few paragraphs fits.
pub const COMMAND_BYTES_MAX: usize = 16 * 1024;

/// One command, as the annotation holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Command {
    /// Chosen by the writer; an id that was answered is never carried out again.
    pub id: String,
    /// `Promote`, `PromoteFull`, `Abort`, `Retry` or `Continue`.
    pub verb: String,
    /// The rollout that is meant.
    #[serde(rename = "rolloutID", skip_serializing_if = "Option::is_none")]
    pub rollout_id: Option<String>,
    /// The step that is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<i64>,
    /// The version that is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Who gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When; a command that is more than 10 minutes away is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// What became of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommandOutcome {
    /// Id of the command.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Its verb.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verb: Option<String>,
    /// `Done` or `Refused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The step that it named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<i64>,
    /// When it was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// The annotation does not hold a command.
#[derive(Debug, Error)]
pub enum CommandError {
    /// Not JSON, or not of the shape.
    #[error("annotation {ANNOTATION_COMMAND} is not a command")]
    Shape(#[source] serde_json::Error),
    /// Longer than [`COMMAND_BYTES_MAX`].
    #[error("annotation {ANNOTATION_COMMAND} has {0} bytes, more than {COMMAND_BYTES_MAX}")]
    TooLong(usize),
}

impl Command {
    /// The command among these annotations.
    ///
    /// # Errors
    /// When the annotation is there and is not a command.
    pub fn from_annotations(annotations: &BTreeMap<String, String>) -> Result<Option<Self>, CommandError> {
        let Some(text) = annotations.get(ANNOTATION_COMMAND).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        if text.len() > COMMAND_BYTES_MAX {
            return Err(CommandError::TooLong(text.len()));
        }
        serde_json::from_str(text).map(Some).map_err(CommandError::Shape)
    }

    /// The text for the annotation.
    pub fn to_annotation(&self) -> String {
        serde_json::to_string(self).expect("a command holds only text, numbers and times")
    }
}
