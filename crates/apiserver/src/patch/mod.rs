//! JSON Patch, merge patch and strategic merge patch (`spec/apiserver.md` 11.2 to 11.4).

mod json;
mod merge;
mod strategic;
#[cfg(test)]
mod tests;

pub use json::{COPY_LIMIT, JsonPatch, OPERATION_LIMIT, WORK_LIMIT};
pub use merge::merge_patch;
use merge::remove_nulls;
pub use strategic::strategic_merge_patch;

/// Why a patch was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The document is no patch: 400 with this text.
    #[error("error decoding patch: {0}")]
    Malformed(String),
    /// Too many operations: 413 `Request entity too large: ` and this text.
    #[error("The allowed maximum operations in a JSON patch is {limit}, got {count}")]
    TooManyOperations {
        /// How many are allowed.
        limit: usize,
        /// How many came.
        count: usize,
    },
    /// A strategic merge patch contradicts itself: 400 with this text.
    #[error("{0}")]
    BadRequest(String),
    /// An operation failed or the patch does not fit the object: 422. For a JSON patch the answer names no detail
    /// (11.2), the text is for the log.
    #[error("{0}")]
    Rejected(String),
}
