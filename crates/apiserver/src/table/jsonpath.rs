//! The subset of Kubernetes JSONPath that CRDs may use (`spec/apiserver.md` 13.6).

use serde_json::Value;

/// A path that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonPathError(pub String);

/// A parsed path.
#[derive(Debug, Clone)]
pub struct JsonPath {}

impl JsonPath {
    /// Parses `.spec.a['b'][0]`, `[*]` and `[?(@.type=="Ready")]`, with or without braces.
    pub fn parse(_text: &str) -> Result<Self, JsonPathError> {
        unimplemented!()
    }
    /// The first hit.
    pub fn first<'v>(&self, _value: &'v Value) -> Option<&'v Value> {
        unimplemented!()
    }
    /// All hits in order.
    pub fn all<'v>(&self, _value: &'v Value) -> Vec<&'v Value> {
        unimplemented!()
    }
    /// The path as plain fields (no index, no filter), as scale and selectable paths must be.
    pub fn as_fields(&self) -> Option<Vec<&str>> {
        unimplemented!()
    }
}
