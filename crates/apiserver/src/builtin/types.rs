//! The type table of the built-in kinds: read once from `types/*.txt`, used to decode protobuf, to build schemas
//! and to write OpenAPI.
//!
//! A line is `NUMBER NAME TYPE [FLAG...]`. TYPE is a scalar, the name of a type in the table, `[]T` or `map[T]`
//! (keys are always texts). Flags:
//!
//! - `ptr`: the Go field is a pointer, so an explicit zero in protobuf means something (`spec/apiserver.md` 4.5)
//! - `value`: a struct that is no pointer: an empty one says nothing, and nobody owns that it exists
//! - `inline`: the fields of the message are fields of the object around it
//! - `set`, `keys=A,B`: `x-kubernetes-list-type`; without either a list is atomic
//! - `atomic`: a struct or map that is owned as a whole
//! - `merge`, `merge=KEY`: strategic merge patch merges the list
//! - `=JSON`: the default

use crate::schema::{ListType, Properties, Schema, Strategy, Type, object_meta, resource_fields};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, OnceLock};

const SOURCES: &[&str] = &[
    include_str!("types/apiextensions.txt"),
    include_str!("types/apps.txt"),
    include_str!("types/authentication.txt"),
    include_str!("types/authorization.txt"),
    include_str!("types/autoscaling.txt"),
    include_str!("types/batch.txt"),
    include_str!("types/coordination.txt"),
    include_str!("types/core.txt"),
    include_str!("types/discovery.txt"),
    include_str!("types/events.txt"),
    include_str!("types/meta.txt"),
    include_str!("types/networking.txt"),
    include_str!("types/policy.txt"),
    include_str!("types/rbac.txt"),
    include_str!("types/volumes.txt"),
];

/// The type of every `metadata`.
const OBJECT_META: &str = "meta.v1.ObjectMeta";

/// What a single value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    String,
    Int32,
    Int64,
    Double,
    Bool,
    Bytes,
    Time,
    MicroTime,
    Duration,
    IntOrString,
    Quantity,
    /// JSON bytes of an object (RawExtension, FieldsV1).
    Raw,
    /// JSON bytes of any value.
    Json,
    /// A message whose only field is a list of texts.
    Strings,
    /// A schema, or a list of them.
    SchemaOrArray,
    /// A schema, or true or false.
    SchemaOrBool,
    /// A schema, or a list of names.
    SchemaOrStrings,
    /// A type of the table.
    Named(&'static str),
}

/// How many of them a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    One,
    List,
    Map,
}

/// One field of a type.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) number: u32,
    /// The JSON name; `-` for an inline message.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) shape: Shape,
    pub(crate) pointer: bool,
    pub(crate) value: bool,
    pub(crate) inline: bool,
    pub(crate) atomic: bool,
    list_type: ListType,
    strategy: Strategy,
    default: Option<Value>,
}

/// One struct of the API.
#[derive(Debug, Clone, Default)]
pub(crate) struct TypeDef {
    atomic: bool,
    pub(crate) fields: Vec<Field>,
}

impl TypeDef {
    /// The field with a protobuf number.
    pub(crate) fn by_number(&self, number: u32) -> Option<&Field> {
        self.fields.iter().find(|field| field.number == number)
    }
}

/// All types by name, such as `core.v1.PodSpec`.
pub(crate) fn types() -> &'static BTreeMap<&'static str, TypeDef> {
    static TYPES: LazyLock<BTreeMap<&'static str, TypeDef>> = LazyLock::new(|| {
        let mut types: BTreeMap<&'static str, TypeDef> = BTreeMap::new();
        let mut current = "";
        for line in SOURCES.iter().flat_map(|source| source.lines()) {
            let words: Vec<&'static str> = line.split(' ').collect();
            match words.as_slice() {
                [""] | ["#", ..] => {}
                ["type", name, flags @ ..] => {
                    current = name;
                    types.insert(name, TypeDef { atomic: flags.contains(&"atomic"), fields: Vec::new() });
                }
                [number, name, kind, flags @ ..] => {
                    let field = Field::parse(number, name, kind, flags);
                    types.entry(current).or_default().fields.push(field);
                }
                _ => panic!("the type table has a line that is none: {line}"),
            }
        }
        types
    });
    &TYPES
}

impl Field {
    fn parse(number: &str, name: &'static str, kind: &'static str, flags: &[&'static str]) -> Self {
        let (shape, kind) = match (kind.strip_prefix("[]"), kind.strip_prefix("map[")) {
            (Some(item), _) => (Shape::List, item),
            (_, Some(value)) => (Shape::Map, value.trim_end_matches(']')),
            _ => (Shape::One, kind),
        };
        let mut field = Field {
            number: number.parse().expect("the type table numbers its fields"),
            name,
            kind: Kind::parse(kind),
            shape,
            pointer: false,
            value: false,
            inline: false,
            atomic: false,
            list_type: ListType::Atomic,
            strategy: Strategy::default(),
            default: None,
        };
        for flag in flags {
            match flag.split_once('=') {
                None => match *flag {
                    "ptr" => field.pointer = true,
                    "value" => field.value = true,
                    "inline" => field.inline = true,
                    "atomic" => field.atomic = true,
                    "set" => field.list_type = ListType::Set,
                    "merge" => field.strategy.merge = true,
                    other => panic!("the type table has an unknown flag {other} at {name}"),
                },
                Some(("keys", keys)) => {
                    field.list_type = ListType::Map(keys.split(',').map(str::to_owned).collect());
                }
                Some(("merge", key)) => field.strategy = Strategy { merge: true, key: Some(key.to_owned()) },
                Some((_, default)) => {
                    let default = serde_json::from_str(default).expect("defaults in the type table are JSON");
                    field.default = Some(default);
                }
            }
        }
        field
    }

    /// The `x-kubernetes-` words and the default of the field, as a schema writes them.
    pub(crate) fn extensions(&self) -> Vec<(&'static str, Value)> {
        let mut words = Vec::new();
        match (&self.list_type, self.shape) {
            (ListType::Map(keys), _) => {
                words.push(("x-kubernetes-list-type", json!("map")));
                words.push(("x-kubernetes-list-map-keys", json!(keys)));
            }
            (ListType::Set, _) => words.push(("x-kubernetes-list-type", json!("set"))),
            (ListType::Atomic, Shape::List) => words.push(("x-kubernetes-list-type", json!("atomic"))),
            (ListType::Atomic, _) => {}
        }
        if self.atomic {
            words.push(("x-kubernetes-map-type", json!("atomic")));
        }
        if let Some(default) = &self.default {
            words.push(("default", default.clone()));
        }
        words
    }

    fn schema(&self, shared: &Shared) -> Schema {
        let one = match self.kind {
            Kind::Named(OBJECT_META) => object_meta().clone(),
            kind => kind.schema(shared),
        };
        let mut schema = match self.shape {
            Shape::One => one,
            Shape::List => Schema { items: Some(Box::new(one)), ..Schema::of(Type::Array) },
            Shape::Map => {
                // Go reads null in a map of texts as the empty text.
                let default = (self.kind == Kind::String).then(|| json!(""));
                Schema { additional: Some(Box::new(Schema { default, ..one })), ..Schema::of(Type::Object) }
            }
        };
        schema.list_type = self.list_type.clone();
        schema.strategy = self.strategy.clone();
        schema.atomic |= self.atomic;
        schema.always_present = self.value;
        schema.default = self.default.clone();
        schema
    }
}

impl Kind {
    fn parse(text: &'static str) -> Kind {
        match text {
            "string" => Kind::String,
            "int32" => Kind::Int32,
            "int64" => Kind::Int64,
            "double" => Kind::Double,
            "bool" => Kind::Bool,
            "bytes" => Kind::Bytes,
            "Time" => Kind::Time,
            "MicroTime" => Kind::MicroTime,
            "Duration" => Kind::Duration,
            "IntOrString" => Kind::IntOrString,
            "Quantity" => Kind::Quantity,
            "Raw" => Kind::Raw,
            "JSON" => Kind::Json,
            "Strings" => Kind::Strings,
            "SchemaOrArray" => Kind::SchemaOrArray,
            "SchemaOrBool" => Kind::SchemaOrBool,
            "SchemaOrStrings" => Kind::SchemaOrStrings,
            name => Kind::Named(name),
        }
    }

    fn schema(self, shared: &Shared) -> Schema {
        match self {
            Kind::String | Kind::Bytes | Kind::Time | Kind::MicroTime | Kind::Duration => {
                Schema::of(Type::String)
            }
            Kind::Int32 | Kind::Int64 => Schema::of(Type::Integer),
            Kind::Double => Schema::of(Type::Number),
            Kind::Bool => Schema::of(Type::Boolean),
            Kind::IntOrString => Schema::of(Type::IntOrString),
            // Written as text or number.
            Kind::Quantity => Schema::of(Type::Any),
            Kind::Raw | Kind::Json => Schema::anything(),
            Kind::Strings => {
                Schema { items: Some(Box::new(Schema::of(Type::String))), ..Schema::of(Type::Array) }
            }
            Kind::SchemaOrArray | Kind::SchemaOrBool | Kind::SchemaOrStrings => {
                Schema { kind: Type::Any, ..Kind::Named(SCHEMA).schema(shared) }
            }
            Kind::Named(name) => Schema {
                properties: Properties::Shared(Arc::clone(&shared[name])),
                atomic: types()[name].atomic,
                ..Schema::of(Type::Object)
            },
        }
    }
}

/// The type of a JSON schema inside a CRD.
pub(crate) const SCHEMA: &str = "apiextensions.v1.JSONSchemaProps";

type Shared = BTreeMap<&'static str, Arc<OnceLock<BTreeMap<String, Schema>>>>;

/// The fields of every type as schemas; types refer to each other through shared cells, so that a type may hold
/// itself.
fn shared() -> &'static Shared {
    static SHARED: LazyLock<Shared> = LazyLock::new(|| {
        let cells: Shared = types().keys().map(|name| (*name, Arc::new(OnceLock::new()))).collect();
        for name in types().keys() {
            let filled = cells[name].set(fields_of(name, &cells));
            assert!(filled.is_ok(), "each type is filled once");
        }
        cells
    });
    &SHARED
}

fn fields_of(name: &str, cells: &Shared) -> BTreeMap<String, Schema> {
    let mut fields = BTreeMap::new();
    for field in &types()[name].fields {
        match field.kind {
            Kind::Named(inner) if field.inline => fields.extend(fields_of(inner, cells)),
            _ => {
                fields.insert(field.name.to_owned(), field.schema(cells));
            }
        }
    }
    fields
}

/// The schema of a whole object of a type.
pub(crate) fn root_schema(name: &str) -> Schema {
    let mut fields = shared()[name].get().cloned().unwrap_or_default();
    for (name, schema) in resource_fields() {
        fields.entry(name).or_insert(schema);
    }
    Schema { properties: Properties::Own(fields), resource: true, ..Schema::of(Type::Object) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_type_exists() {
        for (name, definition) in types() {
            for field in &definition.fields {
                if let Kind::Named(inner) = field.kind {
                    assert!(types().contains_key(inner), "{name}.{} is of unknown type {inner}", field.name);
                }
            }
        }
    }

    #[test]
    fn metadata_is_the_same_in_both_places() {
        let table: Vec<&str> = types()[OBJECT_META].fields.iter().map(|field| field.name).collect();
        let schema = object_meta().properties();
        assert_eq!(schema.len(), table.len());
        for name in table {
            assert!(schema.contains_key(name), "{name}");
        }
    }

    #[test]
    fn list_types_and_merge_keys_come_from_the_table() {
        let pod = root_schema("core.v1.Pod");
        let containers = pod.at(&["spec", "containers"]).unwrap();
        assert_eq!(containers.merge_key(), Some("name"));
        assert_eq!(containers.list_type, ListType::Map(vec!["name".to_owned()]));
        let ports = containers.items().unwrap().property("ports").unwrap();
        assert_eq!(ports.merge_key(), Some("containerPort"));
        assert_eq!(ports.list_type, ListType::Map(vec!["containerPort".to_owned(), "protocol".to_owned()]));
        let volume = pod.at(&["spec", "volumes"]).unwrap().items().unwrap();
        assert!(volume.property("configMap").is_some(), "volume sources are inline");
        assert!(pod.at(&["spec", "tolerations"]).unwrap().merge_key().is_none());
    }

    #[test]
    fn schemas_of_crds_hold_themselves() {
        let crd = root_schema("apiextensions.v1.CustomResourceDefinition");
        let version = crd.at(&["spec", "versions"]).unwrap().items().unwrap();
        let schema = version.at(&["schema", "openAPIV3Schema", "properties"]).unwrap();
        assert!(schema.at(&["x", "properties", "y", "items", "properties", "z", "$ref"]).is_some());
        let mut crd = json!({"spec": {"versions": [{"schema": {"openAPIV3Schema": {"properties": {"a": {
            "items": {"typo": 1, "type": "object"}, "additionalProperties": true}}}}}]}});
        let unknown = super::root_schema("apiextensions.v1.CustomResourceDefinition").prune(&mut crd);
        assert_eq!(unknown, ["spec.versions[0].schema.openAPIV3Schema.properties.a.items.typo"]);
    }
}
