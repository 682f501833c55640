//! Protobuf request bodies (`spec/apiserver.md` 4.5): decoded to the JSON value, then handled like any other body.
//!
//! One decoder, driven by the type table. Upstream's encoder writes zero values of plain fields and leaves nil
//! pointers out, so a zero is kept where the field is a pointer and dropped elsewhere.

mod message;
#[cfg(test)]
mod tests;
mod wire;

use crate::builtin::type_name;
use serde_json::{Map, Value};
use wire::{Reader, Wire};

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// Why a body could not be decoded: 400 with this text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProtobufError(pub String);

impl ProtobufError {
    fn new(text: impl Into<String>) -> Self {
        ProtobufError(text.into())
    }
}

/// The envelope: what the message says it is, and its bytes.
#[derive(Debug, Default)]
struct Envelope<'b> {
    api_version: String,
    kind: String,
    raw: &'b [u8],
}

impl<'b> Envelope<'b> {
    fn read(body: &'b [u8]) -> Result<Self, ProtobufError> {
        let body = body.strip_prefix(MAGIC).ok_or_else(|| {
            ProtobufError::new(
                "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
            )
        })?;
        let mut envelope = Envelope::default();
        let mut reader = Reader::new(body);
        while let Some((number, wire)) = reader.next()? {
            match (number, wire) {
                (1, Wire::Bytes(meta)) => {
                    let mut reader = Reader::new(meta);
                    while let Some((number, wire)) = reader.next()? {
                        match (number, wire) {
                            (1, Wire::Bytes(text)) => envelope.api_version = wire::text(text)?,
                            (2, Wire::Bytes(text)) => envelope.kind = wire::text(text)?,
                            _ => {}
                        }
                    }
                }
                (2, Wire::Bytes(raw)) => envelope.raw = raw,
                _ => {}
            }
        }
        Ok(envelope)
    }
}

/// What a body says it is, apiVersion and kind; empty if it says nothing.
pub fn type_of(body: &[u8]) -> Result<(String, String), ProtobufError> {
    let envelope = Envelope::read(body)?;
    Ok((envelope.api_version, envelope.kind))
}

/// Decodes the envelope and its message. A body without TypeMeta is taken as `expected` (apiVersion, kind).
pub fn decode(body: &[u8], expected: (&str, &str)) -> Result<Value, ProtobufError> {
    let envelope = Envelope::read(body)?;
    let (api_version, kind) = match (envelope.api_version.as_str(), envelope.kind.as_str()) {
        ("", "") => expected,
        said => said,
    };
    let name = type_name(api_version, kind);
    let mut object = Map::new();
    object.insert("apiVersion".to_owned(), api_version.into());
    object.insert("kind".to_owned(), kind.into());
    match message::decode(&name, envelope.raw, 0)? {
        Some(fields) => object.extend(fields),
        None => {
            return Err(ProtobufError(format!(
                "no kind \"{kind}\" is registered for version \"{api_version}\""
            )));
        }
    }
    Ok(Value::Object(object))
}
