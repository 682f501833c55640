//! OpenAPI v3 documents (`spec/apiserver.md` 6.1): one per group and version, and the index of them.

use serde_json::Value;

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
pub fn document(_group: &str, _version: &str, _kinds: &[OpenApiKind<'_>]) -> Value {
    unimplemented!()
}

/// The hash of a document as the index and `ETag` show it: upper-case hex SHA-512 of its JSON.
pub fn hash(_document_json: &[u8]) -> String {
    unimplemented!()
}

/// The answer of `/openapi/v3` from pairs of path (`api/v1`, `apis/G/V`) and hash.
pub fn index(_documents: &[(String, String)]) -> Value {
    unimplemented!()
}
