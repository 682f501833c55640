//! The schemas of a document: those of its kinds and everything they refer to.

use super::{OpenApiKind, OpenApiSource};
use crate::builtin::type_name;
use crate::builtin::types::{Field, Kind, SCHEMA, Shape, types};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";

/// The names a kind's operations refer to.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) object: String,
    pub(super) list: String,
}

/// The schemas gathered so far, by component name.
#[derive(Debug, Default)]
pub(super) struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    pub(super) fn finish(self) -> Map<String, Value> {
        self.0.into_iter().collect()
    }

    /// Adds a kind and its list.
    pub(super) fn add_kind(&mut self, group: &str, version: &str, kind: &OpenApiKind<'_>) -> Names {
        let identity = json!([{"group": group, "version": version, "kind": kind.kind}]);
        let object = match kind.source {
            OpenApiSource::Builtin => {
                let api_version =
                    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
                self.add_builtin(&type_name(&api_version, kind.kind), &identity)
            }
            OpenApiSource::Custom { schema, selectable_fields } => {
                let name = custom_name(group, version, kind.kind);
                let mut schema = self.custom(schema);
                schema["x-kubernetes-group-version-kind"] = identity;
                if let Some(fields) = selectable_fields {
                    schema["x-kubernetes-selectable-fields"] = fields.clone();
                }
                self.0.insert(name.clone(), schema);
                name
            }
        };
        let list = format!("{object}List");
        let list_meta = self.meta("ListMeta");
        self.0.insert(
            list.clone(),
            json!({
                "description": format!("{}List is a list of {}", kind.kind, kind.kind),
                "type": "object",
                "required": ["items"],
                "properties": {
                    "apiVersion": text_schema(),
                    "kind": text_schema(),
                    "metadata": wrapped(&list_meta),
                    "items": {"type": "array", "items": wrapped(&object)},
                },
                "x-kubernetes-group-version-kind":
                    [{"group": group, "version": version, "kind": format!("{}List", kind.kind)}],
            }),
        );
        Names { object, list }
    }

    /// Adds a type that only an operation refers to, such as Scale or DeleteOptions.
    pub(super) fn add_type(&mut self, api_version: &str, kind: &str) -> String {
        self.add_named(&type_name(api_version, kind))
    }

    /// The component of one of the types every document may use.
    pub(super) fn meta(&mut self, name: &str) -> String {
        let component = format!("{META}{name}");
        if !self.0.contains_key(&component) {
            let schema = match name {
                "ListMeta" => list_meta(),
                "Status" => status(),
                _ => json!({"type": "object"}),
            };
            self.0.insert(component.clone(), schema);
        }
        component
    }

    fn add_builtin(&mut self, name: &str, identity: &Value) -> String {
        let component = self.add_named(name);
        if let Some(Value::Object(schema)) = self.0.get_mut(&component) {
            schema.insert("x-kubernetes-group-version-kind".to_owned(), identity.clone());
            if let Some(Value::Object(properties)) = schema.get_mut("properties") {
                properties.shift_insert(0, "kind".to_owned(), text_schema());
                properties.shift_insert(0, "apiVersion".to_owned(), text_schema());
            }
        }
        component
    }

    fn add_named(&mut self, name: &str) -> String {
        let component = component_name(name);
        if self.0.contains_key(&component) {
            return component;
        }
        // In place before its fields are written: a type may hold itself.
        self.0.insert(component.clone(), Value::Null);
        let mut properties = Map::new();
        self.add_fields(name, &mut properties);
        let mut schema = json!({"type": "object"});
        if !properties.is_empty() {
            schema["properties"] = Value::Object(properties);
        }
        self.0.insert(component.clone(), schema);
        component
    }

    fn add_fields(&mut self, name: &str, properties: &mut Map<String, Value>) {
        let Some(definition) = types().get(name) else { return };
        for field in &definition.fields {
            match field.kind {
                Kind::Named(inner) if field.inline => self.add_fields(inner, properties),
                _ => {
                    properties.insert(field.name.to_owned(), self.field(field));
                }
            }
        }
    }

    fn field(&mut self, field: &Field) -> Value {
        let one = self.value(field.kind);
        let mut schema = match field.shape {
            Shape::One => one,
            Shape::List => json!({"type": "array", "items": one}),
            Shape::Map => json!({"type": "object", "additionalProperties": one}),
        };
        for (name, value) in field.extensions() {
            schema[name] = value;
        }
        schema
    }

    fn value(&mut self, kind: Kind) -> Value {
        match kind {
            Kind::String => text_schema(),
            Kind::Int32 => json!({"type": "integer", "format": "int32"}),
            Kind::Int64 => json!({"type": "integer", "format": "int64"}),
            Kind::Double => json!({"type": "number", "format": "double"}),
            Kind::Bool => json!({"type": "boolean"}),
            Kind::Bytes => json!({"type": "string", "format": "byte"}),
            Kind::Time | Kind::MicroTime => json!({"type": "string", "format": "date-time"}),
            Kind::Duration => text_schema(),
            Kind::IntOrString => {
                json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]})
            }
            Kind::Quantity => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
            Kind::Raw => json!({"type": "object"}),
            Kind::Json => json!({}),
            Kind::Strings => json!({"type": "array", "items": {"type": "string"}}),
            Kind::SchemaOrArray | Kind::SchemaOrBool | Kind::SchemaOrStrings => {
                // A choice of shapes: said to be the schema, which is what everybody writes.
                let component = self.add_named(SCHEMA);
                wrapped(&component)
            }
            Kind::Named(name) => {
                let component = self.add_named(name);
                wrapped(&component)
            }
        }
    }

    /// The schema of a CRD with the fields every object has.
    fn custom(&mut self, written: &Value) -> Value {
        let meta = self.add_named("meta.v1.ObjectMeta");
        let mut schema = written.as_object().cloned().unwrap_or_default();
        schema.entry("type").or_insert_with(|| json!("object"));
        let mut properties = Map::new();
        properties.insert("apiVersion".to_owned(), text_schema());
        properties.insert("kind".to_owned(), text_schema());
        properties.insert("metadata".to_owned(), wrapped(&meta));
        for (name, property) in written["properties"].as_object().into_iter().flatten() {
            match name.as_str() {
                "metadata" => {}
                // The CRD's own words describe them better.
                "apiVersion" | "kind" => properties[name] = property.clone(),
                _ => {
                    properties.insert(name.clone(), property.clone());
                }
            }
        }
        schema.insert("properties".to_owned(), Value::Object(properties));
        Value::Object(schema)
    }
}

fn text_schema() -> Value {
    json!({"type": "string"})
}

fn wrapped(component: &str) -> Value {
    json!({"allOf": [{"$ref": format!("#/components/schemas/{component}")}]})
}

/// `com.example.v1.Gizmo` for `example.com`.
fn custom_name(group: &str, version: &str, kind: &str) -> String {
    let reversed: Vec<&str> = group.rsplit('.').collect();
    format!("{}.{version}.{kind}", reversed.join("."))
}

/// The component of a type of the table: `io.k8s.api.core.v1.Pod`.
fn component_name(name: &str) -> String {
    match name.split_once('.') {
        Some(("meta", rest)) => format!("io.k8s.apimachinery.pkg.apis.meta.{rest}"),
        Some(("apiextensions", rest)) => {
            format!("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{rest}")
        }
        _ => format!("io.k8s.api.{name}"),
    }
}

fn list_meta() -> Value {
    json!({"type": "object", "properties": {
        "continue": {"type": "string"},
        "remainingItemCount": {"type": "integer", "format": "int64"},
        "resourceVersion": {"type": "string"},
        "selfLink": {"type": "string"},
    }})
}

fn status() -> Value {
    let cause = json!({"type": "object", "properties": {
        "field": {"type": "string"}, "message": {"type": "string"}, "reason": {"type": "string"}}});
    json!({"type": "object", "properties": {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": list_meta(),
        "status": {"type": "string"},
        "message": {"type": "string"},
        "reason": {"type": "string"},
        "code": {"type": "integer", "format": "int32"},
        "details": {"type": "object", "properties": {
            "name": {"type": "string"}, "group": {"type": "string"}, "kind": {"type": "string"},
            "uid": {"type": "string"}, "retryAfterSeconds": {"type": "integer", "format": "int32"},
            "causes": {"type": "array", "items": cause}}},
    }})
}
