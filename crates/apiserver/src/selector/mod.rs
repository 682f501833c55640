//! Label and field selectors (`spec/apiserver.md` 7.4): text to requirements, requirements to a yes or no.

use serde_json::{Map, Value};

/// A selector text that cannot be understood; answered as 400 with this text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(pub String);

/// The conjunction of label requirements of one `labelSelector` parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSelector {}

impl LabelSelector {
    /// Parses the text of a `labelSelector` parameter; the empty text selects everything.
    pub fn parse(_text: &str) -> Result<Self, SelectorError> {
        unimplemented!()
    }
    /// Parses the structured form (`matchLabels`, `matchExpressions`); null or absent selects nothing upstream, so
    /// the caller decides; an empty object selects everything.
    pub fn from_object(_selector: &Value) -> Result<Self, SelectorError> {
        unimplemented!()
    }
    /// Whether every object matches.
    pub fn is_empty(&self) -> bool {
        unimplemented!()
    }
    /// Whether the labels in `object.metadata.labels` fulfil all requirements.
    pub fn matches(&self, _object: &Value) -> bool {
        unimplemented!()
    }
    /// The same for a bare map of labels.
    pub fn matches_labels(&self, _labels: Option<&Map<String, Value>>) -> bool {
        unimplemented!()
    }
}

/// The conjunction of field requirements of one `fieldSelector` parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSelector {}

impl FieldSelector {
    /// Parses the text of a `fieldSelector` parameter; the empty text selects everything.
    pub fn parse(_text: &str) -> Result<Self, SelectorError> {
        unimplemented!()
    }
    /// Whether every object matches.
    pub fn is_empty(&self) -> bool {
        unimplemented!()
    }
    /// The field labels the selector mentions, in order (to be checked against what the kind supports).
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }
    /// The value the field must equal, if one requirement pins it with `=` (authorisation, keyed reads).
    pub fn pinned(&self, _field: &str) -> Option<&str> {
        unimplemented!()
    }
    /// Whether all requirements hold for the values that `value_of` gives for each field label (absent is `""`).
    pub fn matches_with(&self, _value_of: impl Fn(&str) -> String) -> bool {
        unimplemented!()
    }
    /// [`Self::matches_with`] where each label is the dotted path of a scalar in the object.
    pub fn matches(&self, _object: &Value) -> bool {
        unimplemented!()
    }
}
