//! OpenAPI documents (`spec/apiserver.md` 6): version 3, one per group and version, and the index of them; version 2,
//! one for all.
//!
//! kubectl reads them for `explain`, for deciding whether the server checks unknown fields, and for the kinds of
//! patch it may send. The documents do not offer strategic merge patch: they do not carry its list keys, and a
//! client that trusted them would replace whole lists. kubectl then uses the keys it was built with.

mod components;
mod paths;
#[cfg(test)]
mod tests;
mod v2;

pub use v2::{protobuf, swagger};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha512};

/// What a document must know of one kind.
#[derive(Debug, Clone)]
pub struct OpenApiKind<'a> {
    /// Kind.
    pub kind: &'a str,
    /// Plural name.
    pub plural: &'a str,
    /// Whether it lives in namespaces.
    pub namespaced: bool,
    /// Whether there is a `/status`.
    pub status: bool,
    /// Whether there is a `/scale`.
    pub scale: bool,
    /// Where the schema comes from.
    pub source: OpenApiSource<'a>,
}

/// The source of a kind's schema.
#[derive(Debug, Clone, Copy)]
pub enum OpenApiSource<'a> {
    /// `openAPIV3Schema` of the CRD version, and its `selectableFields`.
    Custom {
        /// The schema as written in the CRD.
        schema: &'a Value,
        /// `selectableFields`, if any.
        selectable_fields: Option<&'a Value>,
    },
    /// A built-in kind.
    Builtin,
}

/// The document of one group and version.
pub fn document(group: &str, version: &str, kinds: &[OpenApiKind<'_>]) -> Value {
    let mut schemas = components::Schemas::default();
    let mut all_paths = Map::new();
    for kind in kinds {
        let names = schemas.add_kind(group, version, kind);
        paths::add(&mut all_paths, group, version, kind, &names, &mut schemas);
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "unversioned"},
        "paths": all_paths,
        "components": {"schemas": schemas.finish()},
    })
}

/// The hash of a document as the index and `ETag` show it: upper-case hex SHA-512 of its JSON.
pub fn hash(document_json: &[u8]) -> String {
    Sha512::digest(document_json).iter().map(|byte| format!("{byte:02X}")).collect()
}

/// The answer of `/openapi/v3` from pairs of path (`api/v1`, `apis/G/V`) and hash.
pub fn index(documents: &[(String, String)]) -> Value {
    let entries = documents.iter().map(|(path, hash)| {
        (path.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}")}))
    });
    json!({"paths": entries.collect::<Map<_, _>>()})
}
