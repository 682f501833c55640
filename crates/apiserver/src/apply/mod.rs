//! Server-side apply and field ownership (`spec/apiserver.md` 12).

use crate::schema::Schema;
use serde_json::Value;

/// Who writes, through which door and when.
#[derive(Debug, Clone, Copy)]
pub struct Writer<'a> {
    /// The field manager.
    pub manager: &'a str,
    /// The apiVersion of the request.
    pub api_version: &'a str,
    /// `""`, `"status"` or `"scale"`.
    pub subresource: &'a str,
    /// Now, as RFC 3339 with seconds.
    pub time: &'a str,
    /// Whether the kind has a status subresource (then the main door never owns `status`).
    pub has_status: bool,
}

/// One field another manager owns with another value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// `"u" using v1` or `"s" with subresource "scale" using g.io/v1`.
    pub manager: String,
    /// The path with a leading dot, `.spec.replicas`.
    pub field: String,
}

/// Why an apply was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The body does not fit the schema (422).
    #[error("{0}")]
    Unfit(String),
    /// Other managers own fields with other values (409).
    #[error("{}", conflict_message(.0))]
    Conflicts(Vec<Conflict>),
    /// `metadata.managedFields must be nil` and the like (400).
    #[error("{0}")]
    BadRequest(String),
}

/// The Status message of a conflict (12.4).
pub fn conflict_message(_conflicts: &[Conflict]) -> String {
    unimplemented!()
}

/// What an apply leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Nothing at all changes: answer with the live object untouched.
    Unchanged,
    /// The object to store, managedFields included; defaults not yet filled in.
    Changed(Value),
}

/// Merges the applied configuration into the live object.
pub fn apply(
    _schema: &Schema,
    _live: Option<&Value>,
    _applied: &Value,
    _writer: &Writer<'_>,
    _force: bool,
) -> Result<Outcome, ApplyError> {
    unimplemented!()
}

/// Records in `new.metadata.managedFields` what a create, replace or patch changed.
pub fn track_update(_schema: &Schema, _old: Option<&Value>, _new: &mut Value, _writer: &Writer<'_>) {
    unimplemented!()
}

/// Whether two objects differ at most in the times of their managedFields (a write that may be dropped).
pub fn same_but_times(_a: &Value, _b: &Value) -> bool {
    unimplemented!()
}
