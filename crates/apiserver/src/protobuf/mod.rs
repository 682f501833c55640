//! Protobuf request bodies (`spec/apiserver.md` 4.5): decoded to the JSON value, then handled like any other body.

use serde_json::Value;

/// Why a body could not be decoded: 400 with this text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProtobufError(pub String);

/// Decodes the envelope and its message. A body without TypeMeta is taken as `expected` (apiVersion, kind).
pub fn decode(_body: &[u8], _expected: (&str, &str)) -> Result<Value, ProtobufError> {
    unimplemented!()
}
