//! The kinds this server answers for, built-in and custom, under one face.

mod custom;
mod registry;
mod version;

use std::borrow::Cow;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub(crate) use custom::{CrdNames, names_of, served_kinds};
pub(crate) use registry::{Document, GroupVersion, Kinds, Registry};

use crate::builtin::{BuiltinKind, GenerationPolicy, NameRule, event};
use crate::schema::Schema;
use crate::selector::SelectorError;
use crate::store::{Record, ResourceId, Revision};
use crate::table::Printer;

/// One kind in one served version.
pub(crate) struct Kind {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    /// Whether objects are kept; reviews are only created.
    pub(crate) stored: bool,
    pub(crate) status: bool,
    pub(crate) scale: Option<ScaleFields>,
    /// Where objects of all versions of this kind are kept.
    pub(crate) resource: ResourceId,
    pub(crate) printer: Printer,
    pub(crate) source: Source,
}

/// Where a kind's definition comes from.
pub(crate) enum Source {
    /// Compiled in.
    Builtin(&'static BuiltinKind),
    /// From a CustomResourceDefinition.
    Custom(Box<Custom>),
}

/// What a kind has because a CustomResourceDefinition made it.
pub(crate) struct Custom {
    pub(crate) schema: Schema,
    /// The schema as the definition writes it, for OpenAPI.
    pub(crate) open_api: Value,
    /// `selectableFields` as written.
    pub(crate) selectable: Option<Value>,
    pub(crate) storage_version: String,
    /// The apiVersions of all versions, also of those that are not served.
    pub(crate) versions: Vec<String>,
    /// Whether all versions have one schema: then what any of them stored fits all of them.
    pub(crate) uniform: bool,
    pub(crate) deprecation: Option<String>,
    /// Whether the definition is being deleted.
    pub(crate) terminating: bool,
    /// Objects stored later than this were written under this schema.
    pub(crate) since: Revision,
    /// Cancelled when the definition is gone.
    pub(crate) retired: CancellationToken,
}

/// The fields behind `/scale`, as segments of paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScaleFields {
    pub(crate) replicas: Vec<String>,
    pub(crate) status_replicas: Vec<String>,
    pub(crate) selector: Option<Vec<String>>,
}

impl Kind {
    pub(crate) fn builtin(definition: &'static BuiltinKind) -> Self {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let fields = |path: &str| path.trim_start_matches('.').split('.').map(str::to_owned).collect();
        // Events are one set of objects under two groups.
        let storage_group = if definition.group == "events.k8s.io" { "" } else { definition.group };
        Self {
            group: definition.group.to_owned(),
            version: definition.version.to_owned(),
            kind: definition.kind.to_owned(),
            list_kind: format!("{}List", definition.kind),
            plural: definition.plural.to_owned(),
            singular: definition.singular.to_owned(),
            short_names: names(definition.short_names),
            categories: names(definition.categories),
            namespaced: definition.namespaced,
            stored: definition.stored,
            status: definition.status,
            scale: definition.scale.map(|paths| ScaleFields {
                replicas: fields(paths.spec_replicas),
                status_replicas: fields(paths.status_replicas),
                selector: Some(fields(paths.selector)),
            }),
            resource: ResourceId::new(storage_group, definition.plural),
            printer: Printer::builtin(definition.group, definition.kind),
            source: Source::Builtin(definition),
        }
    }

    /// `v1` or `GROUP/VERSION`.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    pub(crate) fn custom(&self) -> Option<&Custom> {
        match &self.source {
            Source::Custom(custom) => Some(custom),
            Source::Builtin(_) => None,
        }
    }

    pub(crate) fn schema(&self) -> &Schema {
        match &self.source {
            Source::Builtin(definition) => definition.schema(),
            Source::Custom(custom) => &custom.schema,
        }
    }

    pub(crate) fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }

    pub(crate) fn generation(&self) -> GenerationPolicy {
        match &self.source {
            Source::Builtin(definition) => definition.generation,
            Source::Custom(_) => GenerationPolicy::Spec,
        }
    }

    /// Further subresources: name, and apiVersion and kind of what they take.
    pub(crate) fn own_subresources(&self) -> &'static [(&'static str, &'static str, &'static str)] {
        match &self.source {
            Source::Builtin(definition) => definition.subresources,
            Source::Custom(_) => &[],
        }
    }

    pub(crate) fn own_subresource(&self, name: &str) -> Option<(&'static str, &'static str)> {
        let found = self.own_subresources().iter().find(|(own, _, _)| *own == name);
        found.map(|(_, api_version, kind)| (*api_version, *kind))
    }

    /// What names of objects must look like.
    pub(crate) fn name_rule(&self) -> NameRule {
        match &self.source {
            Source::Builtin(definition) => definition.names,
            Source::Custom(_) => NameRule::Subdomain,
        }
    }

    /// Whether an update without resourceVersion replaces whatever is there.
    pub(crate) fn unconditional_update(&self) -> bool {
        matches!(&self.source, Source::Builtin(definition) if definition.unconditional_update)
    }

    pub(crate) fn create_on_update(&self) -> bool {
        matches!(&self.source, Source::Builtin(definition) if definition.create_on_update)
    }

    /// Whether a field selector may name `label`.
    pub(crate) fn check_field_label(&self, label: &str) -> Result<(), SelectorError> {
        match (&self.source, label) {
            (Source::Builtin(definition), _) => definition.check_field_label(label),
            (Source::Custom(_), "metadata.name") => Ok(()),
            (Source::Custom(_), "metadata.namespace") if self.namespaced => Ok(()),
            (Source::Custom(custom), _) if custom.selects(label) => Ok(()),
            _ => Err(SelectorError(format!("field label not supported: {label}"))),
        }
    }

    /// The value a field selector compares.
    pub(crate) fn field_value(&self, object: &Value, label: &str) -> String {
        if let Source::Builtin(definition) = &self.source
            && !label.starts_with("metadata.")
        {
            return definition.field_value(object, label);
        }
        let found = label.split('.').try_fold(object, |value, field| value.get(field));
        match found {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        }
    }

    /// A stored object as this version shows it.
    pub(crate) fn view<'a>(&self, record: &'a Record) -> Cow<'a, Value> {
        match &self.source {
            Source::Builtin(definition) if definition.group == "events.k8s.io" => {
                Cow::Owned(event::to_new(&record.peek()))
            }
            Source::Builtin(_) => record.peek(),
            Source::Custom(custom) => custom.view(record, self),
        }
    }

    /// The form of an object of this version that is stored.
    pub(crate) fn stored_form(&self, mut object: Value) -> Value {
        match &self.source {
            Source::Builtin(definition) if definition.group == "events.k8s.io" => event::to_core(&object),
            Source::Builtin(_) => object,
            Source::Custom(custom) => {
                if custom.storage_version != self.version {
                    object["apiVersion"] = format!("{}/{}", self.group, custom.storage_version).into();
                }
                object
            }
        }
    }

    /// Whether stored bytes can be sent as they are.
    pub(crate) fn is_stored_form(&self, record: &Record) -> bool {
        match &self.source {
            Source::Builtin(definition) => definition.group != "events.k8s.io",
            Source::Custom(custom) => custom.is_stored_form(record, self),
        }
    }

    /// The text of the warning for a deprecated version.
    pub(crate) fn deprecation(&self) -> Option<&str> {
        self.custom()?.deprecation.as_deref()
    }

    pub(crate) fn terminating(&self) -> bool {
        self.custom().is_some_and(|custom| custom.terminating)
    }
}

impl Custom {
    fn selects(&self, label: &str) -> bool {
        let paths = self.selectable.as_ref().and_then(Value::as_array).into_iter().flatten();
        paths.filter_map(|field| field["jsonPath"].as_str()).any(|path| path.trim_start_matches('.') == label)
    }

    fn is_stored_form(&self, record: &Record, kind: &Kind) -> bool {
        self.storage_version == kind.version && self.uniform && record.revision > self.since
    }

    fn view<'a>(&self, record: &'a Record, kind: &Kind) -> Cow<'a, Value> {
        if self.is_stored_form(record, kind) {
            return record.peek();
        }
        let mut value = record.peek().into_owned();
        value["apiVersion"] = kind.api_version().into();
        self.schema.prune(&mut value);
        self.schema.default(&mut value);
        Cow::Owned(value)
    }
}
