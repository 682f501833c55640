//! The built-in kinds (`spec/apiserver.md` 1.1, 9, 14): what they are called and how they behave beyond storage.
//!
//! Shapes come from the type table, defaults that hold always too; this module adds the defaults that depend on
//! other fields, and the rules. Pure functions: names, addresses and times are given out by the caller.

mod config;
pub mod crd;
pub mod event;
mod kinds;
mod lease;
mod metadata;
mod namespace;
mod pod;
mod rbac;
mod service;
#[cfg(test)]
mod tests;
pub(crate) mod types;
mod volume;
mod workload;

use crate::schema::{FieldError, Schema};
use crate::selector::{SelectorError, field_text};
pub use kinds::kinds;
pub use metadata::{ANNOTATIONS_LIMIT, NameRule, validate_metadata};
use serde_json::{Map, Value};
pub use service::needs_cluster_ip;
use std::collections::BTreeMap;
use std::sync::LazyLock;

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
    /// Further subresources with apiVersion and kind of what they take: `("token", "authentication.k8s.io/v1",
    /// "TokenRequest")`.
    pub subresources: &'static [(&'static str, &'static str, &'static str)],
    /// When generation counts.
    pub generation: GenerationPolicy,
    /// Whether a PUT without resourceVersion replaces (9.3).
    pub unconditional_update: bool,
    /// Whether a PUT of a missing object creates it (9.3).
    pub create_on_update: bool,
    /// What a name must look like (9.2).
    pub names: NameRule,
    /// Field selectors besides metadata.name and metadata.namespace (7.4).
    pub field_labels: &'static [&'static str],
}

/// The kind of a group, version and plural name.
pub fn by_plural(group: &str, version: &str, plural: &str) -> Option<&'static BuiltinKind> {
    kinds().iter().find(|kind| kind.group == group && kind.version == version && kind.plural == plural)
}

/// The schema of a type that is no kind of its own, by apiVersion and kind: what a subresource takes, DeleteOptions.
pub fn schema_of(api_version: &str, kind: &str) -> Option<&'static Schema> {
    schemas().get(type_name(api_version, kind).as_str())
}

/// The name in the type table: `apps/v1`, `Deployment` is `apps.v1.Deployment`.
pub(crate) fn type_name(api_version: &str, kind: &str) -> String {
    if kind == "DeleteOptions" {
        return "meta.v1.DeleteOptions".to_owned();
    }
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("core", api_version));
    let package = group.split('.').next().unwrap_or(group);
    format!("{package}.{version}.{kind}")
}

fn schemas() -> &'static BTreeMap<&'static str, Schema> {
    static SCHEMAS: LazyLock<BTreeMap<&'static str, Schema>> = LazyLock::new(|| {
        let roots = types::types().iter().filter(|(name, definition)| {
            let has_metadata = definition.fields.iter().any(|field| field.name == "metadata");
            has_metadata || name.ends_with(".DeleteOptions")
        });
        roots.map(|(name, _)| (*name, types::root_schema(name))).collect()
    });
    &SCHEMAS
}

impl BuiltinKind {
    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// The structural schema: prune, types, ownership, strategic merge keys.
    pub fn schema(&self) -> &'static Schema {
        schema_of(&self.api_version(), self.kind).expect("every kind of the list is in the type table")
    }

    /// The value a field selector compares for one of the kind's field labels.
    pub fn field_value(&self, object: &Value, label: &str) -> String {
        let text = field_text(object, label);
        match (self.kind, label) {
            ("Event", "source") => {
                let component = field_text(object, "source.component");
                if component.is_empty() { field_text(object, "reportingComponent") } else { component }
            }
            ("Job", "status.successful") => or(field_text(object, "status.succeeded"), "0"),
            ("Node", "spec.unschedulable") | ("Pod", "spec.hostNetwork") => or(text, "false"),
            ("Pod", "status.podIPs") => {
                let ips = object["status"]["podIPs"].as_array().into_iter().flatten();
                ips.filter_map(|ip| ip["ip"].as_str()).collect::<Vec<_>>().join(",")
            }
            _ => text,
        }
    }

    /// Whether the kind knows the field label; the error is the text of a 400.
    pub fn check_field_label(&self, label: &str) -> Result<(), SelectorError> {
        let known = label == "metadata.name"
            || (label == "metadata.namespace" && self.namespaced)
            || self.field_labels.contains(&label);
        if known {
            return Ok(());
        }
        Err(SelectorError(match (self.kind, self.field_labels) {
            ("Job", _) => format!("field label \"{label}\" not supported for Job"),
            (_, []) => format!(
                "\"{label}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
            ),
            _ => format!("field label not supported: {label}"),
        }))
    }

    /// Fills in defaults and derived fields of the body of a create or update (`old` given), before validation. On
    /// create the caller has set `metadata.uid` already (a Job selects its pods by it).
    pub fn default(&self, object: &mut Value, old: Option<&Value>) {
        workload::before_defaults(self, object);
        self.schema().default(object);
        match (self.group, self.kind) {
            ("", "Namespace") => namespace::default(object, old),
            ("", "Secret") => config::default_secret(object),
            ("", "Service") => service::default(object, old),
            ("", "Pod") => pod::default_pod(object, old),
            ("", "PersistentVolume" | "PersistentVolumeClaim") => volume::default_volume(object, old),
            ("", "ReplicationController") => volume::default_controller(object),
            ("apps" | "batch", _) => workload::default(self, object, old),
            ("rbac.authorization.k8s.io", _) => rbac::default(object),
            ("apiextensions.k8s.io", _) => crd::default(object, old),
            _ => {}
        }
    }

    /// The kind's own rules, with `old` on update. Metadata is checked by [`validate_metadata`].
    pub fn validate(&self, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let mut errors = Vec::new();
        match (self.group, self.kind) {
            ("", "Secret") => config::validate_secret(object, old, &mut errors),
            ("", "ConfigMap") => config::validate_config_map(object, old, &mut errors),
            ("", "Service") => service::validate(object, old, &mut errors),
            ("", "Pod") => pod::validate_pod(object, old, &mut errors),
            ("", "PersistentVolume") => volume::validate_volume(object, &mut errors),
            ("", "PersistentVolumeClaim") => volume::validate_claim(object, &mut errors),
            ("", "ReplicationController") => volume::validate_controller(object, &mut errors),
            ("", "Event") => event::validate_core(object, &mut errors),
            ("events.k8s.io", "Event") => event::validate_new(object, old, &mut errors),
            ("coordination.k8s.io", "Lease") => lease::validate(object, &mut errors),
            ("apps" | "batch", _) => workload::validate(self, object, old, &mut errors),
            ("rbac.authorization.k8s.io", _) => rbac::validate(self.kind, object, old, &mut errors),
            ("apiextensions.k8s.io", _) => errors.extend(crd::validate(object, old)),
            _ => {}
        }
        errors
    }
}

fn or(text: String, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text }
}

/// The object at a field, made if it is missing or null.
fn object_at<'v>(value: &'v mut Value, field: &str) -> Option<&'v mut Map<String, Value>> {
    let slot = value.as_object_mut()?.entry(field).or_insert(Value::Null);
    if slot.is_null() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut()
}

/// Sets a field that is missing or empty.
fn set_default(fields: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    let missing = match fields.get(name) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    };
    if missing {
        fields.insert(name.to_owned(), value.into());
    }
}

/// `field is immutable`, if the value at the path differs from the old one.
fn check_immutable(object: &Value, old: &Value, path: &[&str], errors: &mut Vec<FieldError>) {
    let at = |object| {
        path.iter().try_fold(object, |value: &Value, name| value.get(name)).unwrap_or(&Value::Null).clone()
    };
    let (new, old) = (at(object), at(old));
    if new != old {
        errors.push(FieldError::invalid(path.join("."), &new, "field is immutable"));
    }
}
