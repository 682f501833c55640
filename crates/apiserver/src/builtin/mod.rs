//! The built-in kinds (`spec/apiserver.md` 1.1, 9, 14): what they are called and how they behave beyond storage.

use crate::schema::{FieldError, Schema};
use serde_json::Value;

/// How often `metadata.generation` is counted (9.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GenerationPolicy {
    /// Not at all; a client's value is kept.
    None,
    /// Any change outside metadata and status.
    Spec,
    /// The same, and changes of annotations (Deployment).
    SpecAndAnnotations,
}

/// Where the scale subresource reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScalePaths {
    /// `.spec.replicas`
    pub spec_replicas: &'static str,
    /// `.status.replicas`
    pub status_replicas: &'static str,
    /// `.spec.selector` (a structured selector, given as text in the Scale).
    pub selector: &'static str,
}

/// One built-in kind in one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuiltinKind {
    /// API group, `""` for the core group.
    pub group: &'static str,
    /// Version, such as `v1`.
    pub version: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Plural resource name.
    pub plural: &'static str,
    /// Singular resource name.
    pub singular: &'static str,
    /// Short names.
    pub short_names: &'static [&'static str],
    /// Categories.
    pub categories: &'static [&'static str],
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Whether objects are stored; virtual kinds (reviews) only know create.
    pub stored: bool,
    /// Whether there is a `/status`.
    pub status: bool,
    /// Whether and how there is a `/scale`.
    pub scale: Option<ScalePaths>,
    /// Further subresources with the kind they take: `("token", "authentication.k8s.io/v1", "TokenRequest")`.
    pub subresources: &'static [(&'static str, &'static str, &'static str)],
    /// When generation counts.
    pub generation: GenerationPolicy,
    /// Whether a PUT without resourceVersion replaces (9.3).
    pub unconditional_update: bool,
    /// Whether a PUT of a missing object creates it (9.3).
    pub create_on_update: bool,
    /// Field selectors besides metadata.name and metadata.namespace (7.4).
    pub field_labels: &'static [&'static str],
}

/// All built-in kinds in the order of discovery.
pub fn kinds() -> &'static [BuiltinKind] {
    &[]
}

/// The kind of a group, version and plural name.
pub fn by_plural(group: &str, version: &str, plural: &str) -> Option<&'static BuiltinKind> {
    kinds().iter().find(|k| k.group == group && k.version == version && k.plural == plural)
}

impl BuiltinKind {
    /// The structural schema: prune, ownership, strategic merge keys.
    pub fn schema(&self) -> &'static Schema {
        unimplemented!()
    }
    /// The value a field selector compares for one of the kind's field labels.
    pub fn field_value(&self, _object: &Value, _label: &str) -> String {
        unimplemented!()
    }
    /// Whether the kind knows the field label; the error is the text of a 400.
    pub fn check_field_label(&self, _label: &str) -> Result<(), crate::selector::SelectorError> {
        unimplemented!()
    }
    /// Fills in defaults and derived fields of the body of a create or update (`old` given), before validation.
    pub fn default(&self, _object: &mut Value, _old: Option<&Value>) {
        unimplemented!()
    }
    /// The kind's own rules, with `old` on update.
    pub fn validate(&self, _object: &Value, _old: Option<&Value>) -> Vec<FieldError> {
        unimplemented!()
    }
}
