//! Label and field selectors (`spec/apiserver.md` 7.4): text to requirements, requirements to a yes or no.

mod field;
mod label;
#[cfg(test)]
mod tests;
mod text;

pub use field::{FieldSelector, field_text};
pub use label::LabelSelector;
pub(crate) use text::selector_text;

/// A selector text that cannot be understood; answered as 400 with this text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(pub String);
