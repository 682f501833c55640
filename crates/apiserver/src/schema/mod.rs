//! Structural schemas (`spec/apiserver.md` 13.2 to 13.5): prune, default, validate.
//!
//! One type serves custom resources (parsed from a CRD) and built-in kinds (built from the type table), so that
//! pruning, defaulting, ownership tracking and OpenAPI have one code path.

mod field;

pub use field::{FieldError, FieldReason};
use serde_json::Value;

/// A node of a structural schema; the root of one is the schema of an object.
#[derive(Debug, Clone)]
pub struct Schema {}

impl Schema {
    /// Parses `openAPIV3Schema` of a CRD version and checks that it is structural. `path` is the field path of the
    /// schema inside the CRD, for the errors.
    pub fn parse(_schema: &Value, _path: &str) -> Result<Schema, Vec<FieldError>> {
        unimplemented!()
    }
    /// Warnings about the schema that do not refuse it, such as unknown formats.
    pub fn warnings(&self) -> &[String] {
        unimplemented!()
    }
    /// Removes every field the schema does not know and returns their paths (`spec.a[0].b`), in document order.
    pub fn prune(&self, _object: &mut Value) -> Vec<String> {
        unimplemented!()
    }
    /// Fills in defaults; explicit nulls of fields that are not nullable are dropped or replaced (13.3).
    pub fn default(&self, _object: &mut Value) {
        unimplemented!()
    }
    /// Checks the object; with `old` (an update) errors of unchanged values are dropped (13.4) and transition rules
    /// run (13.5).
    pub fn validate(&self, _object: &Value, _old: Option<&Value>) -> Vec<FieldError> {
        unimplemented!()
    }
}
