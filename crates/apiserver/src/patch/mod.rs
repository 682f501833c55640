//! JSON Patch, merge patch and strategic merge patch (`spec/apiserver.md` 11.2 to 11.4).

use crate::schema::Schema;
use serde_json::Value;

/// Why a patch was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The document is no patch: 400 with this text.
    #[error("error decoding patch: {0}")]
    Malformed(String),
    /// Too many operations: 413.
    #[error("The allowed maximum operations in a JSON patch is {limit}, got {count}")]
    TooManyOperations {
        /// How many are allowed.
        limit: usize,
        /// How many came.
        count: usize,
    },
    /// An operation failed or the patch does not fit: 422.
    #[error("{0}")]
    Rejected(String),
}

/// A parsed RFC 6902 document.
#[derive(Debug, Clone)]
pub struct JsonPatch {}

impl JsonPatch {
    /// Reads the document and checks its size.
    pub fn parse(_document: &Value) -> Result<Self, PatchError> {
        unimplemented!()
    }
    /// Applies all operations or none.
    pub fn apply(&self, _target: &Value) -> Result<Value, PatchError> {
        unimplemented!()
    }
}

/// Applies an RFC 7386 merge patch in place; the patch must be an object.
pub fn merge_patch(_target: &mut Value, _patch: &Value) -> Result<(), PatchError> {
    unimplemented!()
}

/// Applies a strategic merge patch to an object of a built-in kind; merge keys come from its schema.
pub fn strategic_merge_patch(_target: &mut Value, _patch: &Value, _schema: &Schema) -> Result<(), PatchError> {
    unimplemented!()
}
