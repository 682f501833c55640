//! What is wrong with one field of an object: the unit of a 422 answer (`spec/apiserver.md` 15.3).

use serde_json::Value;

/// Why a field was refused; the text is the `reason` of a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldReason {
    /// `FieldValueRequired`
    Required,
    /// `FieldValueInvalid`
    Invalid,
    /// `FieldValueNotSupported`
    NotSupported,
    /// `FieldValueDuplicate`
    Duplicate,
    /// `FieldValueForbidden`
    Forbidden,
    /// `FieldValueTooLong`
    TooLong,
    /// `FieldValueTooMany`
    TooMany,
    /// `FieldValueTypeInvalid`
    TypeInvalid,
    /// `FieldValueNotFound`
    NotFound,
}

/// One refused field. Its `Display` is `PATH: DETAIL` as in the message of the Status.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldError {
    /// The path, such as `spec.items[0].name`; `<nil>` for the root.
    pub path: String,
    /// The kind of refusal.
    pub reason: FieldReason,
    /// The text behind `PATH: `, complete.
    pub message: String,
}

impl FieldError {
    /// The entry of `details.causes`: `{reason, message, field}`.
    pub fn cause(&self) -> Value {
        unimplemented!()
    }
    /// The text behind `KIND "NAME" is invalid: ` for a list of errors: one error, or `[e1, e2]`, equal ones once.
    pub fn aggregate(_errors: &[FieldError]) -> String {
        unimplemented!()
    }
}
