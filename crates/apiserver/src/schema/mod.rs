//! Structural schemas (`spec/apiserver.md` 13.2 to 13.5): prune, default, validate.
//!
//! One type serves custom resources (parsed from a CRD) and built-in kinds (built from the type table), so that
//! pruning, defaulting, ownership tracking and OpenAPI have one code path. A schema knows nothing of groups and
//! kinds; the root of one is the schema of a whole object and knows `apiVersion`, `kind` and `metadata`.

mod cel;
mod checks;
mod default;
mod field;
mod format;
mod metadata;
pub mod names;
mod parse;
mod prune;
#[cfg(test)]
mod rule_tests;
mod rules;
#[cfg(test)]
mod tests;
mod types;
mod validate;

pub(crate) use checks::Checks;
pub use field::{FieldError, FieldReason};
pub(crate) use field::{Path, quoted};
pub use format::{parse_go_duration, parse_timestamp};
pub(crate) use metadata::{object_meta, resource_fields};

use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
pub use types::TypeMismatch;

/// The JSON type a node demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Type {
    /// Anything (only below `x-kubernetes-preserve-unknown-fields`).
    #[default]
    Any,
    /// A struct or a map.
    Object,
    /// A list.
    Array,
    /// A text.
    String,
    /// A whole number; 2.0 is one.
    Integer,
    /// Any number.
    Number,
    /// true or false.
    Boolean,
    /// `x-kubernetes-int-or-string`.
    IntOrString,
}

/// What identifies the items of a list (`x-kubernetes-list-type`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ListType {
    /// The list is one value.
    #[default]
    Atomic,
    /// Items are scalars, each at most once.
    Set,
    /// Items are objects with these fields as key.
    Map(Vec<String>),
}

/// How strategic merge patch treats a field (built-in kinds only).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Strategy {
    /// Lists merge instead of being replaced.
    pub(crate) merge: bool,
    /// The merge key of a list of objects.
    pub(crate) key: Option<String>,
}

/// The declared fields of an object node.
#[derive(Clone)]
pub(crate) enum Properties {
    /// Declared at the node.
    Own(BTreeMap<String, Schema>),
    /// Those of a named type, shared by every place that uses it, possibly from inside itself.
    Shared(Arc<OnceLock<BTreeMap<String, Schema>>>),
}

impl std::fmt::Debug for Properties {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Properties::Own(properties) => properties.fmt(f),
            // A shared type may hold itself.
            Properties::Shared(_) => f.write_str("Shared"),
        }
    }
}

/// A node of a structural schema; the root of one is the schema of an object.
#[derive(Debug, Clone)]
pub struct Schema {
    pub(crate) kind: Type,
    pub(crate) properties: Properties,
    /// The schema of map values; with `any_value` a map of anything.
    pub(crate) additional: Option<Box<Schema>>,
    pub(crate) items: Option<Box<Schema>>,
    pub(crate) nullable: bool,
    pub(crate) default: Option<Value>,
    pub(crate) preserve_unknown: bool,
    /// The root of an object, or `x-kubernetes-embedded-resource`.
    pub(crate) resource: bool,
    pub(crate) list_type: ListType,
    /// `x-kubernetes-map-type: atomic`.
    pub(crate) atomic: bool,
    /// A struct that is always there in upstream's Go type: nobody owns the fact that it exists (12.1).
    pub(crate) always_present: bool,
    pub(crate) strategy: Strategy,
    pub(crate) checks: Option<Box<Checks>>,
    pub(crate) rules: Vec<rules::Rule>,
    /// Whether any rule sits at or below this node: the rule walk stays out of the rest.
    pub(crate) has_rules: bool,
    /// Findings about the schema that do not refuse it; only at the root.
    pub(crate) warnings: Vec<String>,
}

impl Default for Schema {
    fn default() -> Self {
        Schema {
            kind: Type::Any,
            properties: Properties::Own(BTreeMap::new()),
            additional: None,
            items: None,
            nullable: false,
            default: None,
            preserve_unknown: false,
            resource: false,
            list_type: ListType::Atomic,
            atomic: false,
            always_present: false,
            strategy: Strategy::default(),
            checks: None,
            rules: Vec::new(),
            has_rules: false,
            warnings: Vec::new(),
        }
    }
}

impl Schema {
    /// A node of a type with nothing else said about it.
    pub(crate) fn of(kind: Type) -> Self {
        Schema { kind, ..Default::default() }
    }

    /// A node that takes anything and keeps it.
    pub(crate) fn anything() -> Self {
        Schema { preserve_unknown: true, nullable: true, ..Default::default() }
    }

    /// Warnings about the schema that do not refuse it, such as unknown formats.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The declared fields of the node.
    pub(crate) fn properties(&self) -> &BTreeMap<String, Schema> {
        static EMPTY: BTreeMap<String, Schema> = BTreeMap::new();
        match &self.properties {
            Properties::Own(properties) => properties,
            Properties::Shared(shared) => shared.get().unwrap_or(&EMPTY),
        }
    }

    /// The schema of a declared field.
    pub fn property(&self, name: &str) -> Option<&Schema> {
        self.properties().get(name)
    }

    /// The schema of a declared field or of the values of a map.
    pub(crate) fn child(&self, name: &str) -> Option<&Schema> {
        self.property(name).or(self.additional.as_deref())
    }

    /// The schema of the items of a list.
    pub(crate) fn items(&self) -> Option<&Schema> {
        self.items.as_deref()
    }

    /// Whether strategic merge patch merges this list.
    pub(crate) fn merges_lists(&self) -> bool {
        self.strategy.merge
    }

    /// The field that identifies items in a strategic merge patch.
    pub(crate) fn merge_key(&self) -> Option<&str> {
        self.strategy.key.as_deref()
    }

    /// Follows plain field names; `None` as soon as one is not declared.
    pub fn at(&self, fields: &[&str]) -> Option<&Schema> {
        fields.iter().try_fold(self, |schema, field| schema.child(field))
    }

    /// The JSON type the node demands.
    pub fn kind(&self) -> Type {
        self.kind
    }
}
