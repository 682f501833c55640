//! OpenAPI v2 (`spec/apiserver.md` 6.2): one document of all kinds, made from the schemas of version 3, as JSON and in
//! the protobuf form that kubectl asks for.
//!
//! kubectl needs it to check a `kind: List` before it takes it apart. The document has no paths: a client that found
//! strategic merge patch offered there would use this document's list keys instead of its own.

use serde_json::{Map, Value, json};

/// What a field of version 3 means here when it is taken over as it is.
const KEPT: [&str; 6] = ["description", "type", "format", "required", "default", "enum"];

/// The document, from the component schemas of all documents of version 3.
pub fn swagger(schemas: &Map<String, Value>) -> Value {
    let definitions: Map<String, Value> =
        schemas.iter().map(|(name, schema)| (name.clone(), converted(schema))).collect();
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "unversioned"},
        "paths": {},
        "definitions": definitions,
    })
}

/// A schema in the words of version 2, which knows no choices.
fn converted(schema: &Value) -> Value {
    if let Some(reference) = reference(schema) {
        return json!({"$ref": format!("#/definitions/{reference}")});
    }
    let mut out: Map<String, Value> =
        KEPT.iter().filter_map(|key| Some(((*key).to_owned(), schema.get(*key)?.clone()))).collect();
    for (key, value) in schema.as_object().into_iter().flatten() {
        if key.starts_with("x-kubernetes-") {
            out.insert(key.clone(), value.clone());
        }
    }
    if schema["format"] == "int-or-string" || schema.get("oneOf").is_some() {
        // A text, by the rules of version 2: its readers take numbers for texts.
        out.insert("type".to_owned(), json!("string"));
        return Value::Object(out);
    }
    let open = |key: &str| schema[key] == true;
    let no_items = schema["type"] == "array" && schema.get("items").is_none();
    let any_value = open("nullable")
        || open("x-kubernetes-preserve-unknown-fields")
        || open("x-kubernetes-embedded-resource")
        || open("x-kubernetes-int-or-string")
        || no_items;
    if any_value {
        for key in ["type", "format", "required"] {
            out.shift_remove(key);
        }
        return Value::Object(out);
    }
    if let Some(properties) = schema["properties"].as_object() {
        let properties: Map<String, Value> =
            properties.iter().map(|(name, schema)| (name.clone(), converted(schema))).collect();
        out.insert("properties".to_owned(), Value::Object(properties));
    }
    for key in ["items", "additionalProperties"] {
        match &schema[key] {
            Value::Null => {}
            flag @ Value::Bool(_) => drop(out.insert(key.to_owned(), flag.clone())),
            inner => drop(out.insert(key.to_owned(), converted(inner))),
        }
    }
    Value::Object(out)
}

/// The component that a schema only refers to.
fn reference(schema: &Value) -> Option<&str> {
    let direct = schema["$ref"].as_str();
    let wrapped = schema["allOf"].as_array().filter(|all| all.len() == 1);
    let found = direct.or_else(|| wrapped.and_then(|all| all[0]["$ref"].as_str()))?;
    found.strip_prefix("#/components/schemas/")
}

/// The document in the protobuf form of its description language.
pub fn protobuf(document: &Value) -> Vec<u8> {
    let mut out = Message::default();
    out.text(1, &document["swagger"]);
    let mut info = Message::default();
    info.text(1, &document["info"]["title"]);
    info.text(2, &document["info"]["version"]);
    out.message(2, &info);
    out.message(9, &named_schemas(&document["definitions"]));
    out.0
}

/// The bytes of one message.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn bytes(&mut self, number: u64, bytes: &[u8]) {
        self.varint(number << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, number: u64, value: &Value) {
        if let Some(text) = value.as_str().filter(|text| !text.is_empty()) {
            self.bytes(number, text.as_bytes());
        }
    }

    fn message(&mut self, number: u64, message: &Message) {
        self.bytes(number, &message.0);
    }

    /// A value of any kind, as YAML text: JSON is that.
    fn any(&mut self, number: u64, value: &Value) {
        let mut any = Message::default();
        any.bytes(2, value.to_string().as_bytes());
        self.message(number, &any);
    }
}

fn named_schemas(schemas: &Value) -> Message {
    let mut out = Message::default();
    for (name, value) in schemas.as_object().into_iter().flatten() {
        let mut named = Message::default();
        named.bytes(1, name.as_bytes());
        named.message(2, &schema(value));
        out.message(1, &named);
    }
    out
}

fn schema(value: &Value) -> Message {
    let mut out = Message::default();
    out.text(1, &value["$ref"]);
    out.text(2, &value["format"]);
    out.text(4, &value["description"]);
    if let Some(default) = value.get("default") {
        out.any(5, default);
    }
    for required in value["required"].as_array().into_iter().flatten() {
        out.text(19, required);
    }
    for allowed in value["enum"].as_array().into_iter().flatten() {
        out.any(20, allowed);
    }
    match &value["additionalProperties"] {
        Value::Null => {}
        Value::Bool(allowed) => {
            let mut item = Message::default();
            item.varint(2 << 3);
            item.varint(u64::from(*allowed));
            out.message(21, &item);
        }
        inner => {
            let mut item = Message::default();
            item.message(1, &schema(inner));
            out.message(21, &item);
        }
    }
    if let Some(kind) = value["type"].as_str() {
        let mut item = Message::default();
        item.bytes(1, kind.as_bytes());
        out.message(22, &item);
    }
    if let Some(items) = value.get("items") {
        let mut item = Message::default();
        item.message(1, &schema(items));
        out.message(23, &item);
    }
    if value.get("properties").is_some() {
        out.message(25, &named_schemas(&value["properties"]));
    }
    for (key, extension) in value.as_object().into_iter().flatten() {
        if key.starts_with("x-") {
            let mut named = Message::default();
            named.bytes(1, key.as_bytes());
            named.any(2, extension);
            out.message(31, &named);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schemas(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn references_and_choices_are_said_in_the_words_of_version_2() {
        let document = swagger(&schemas(json!({
            "a.Pod": {"type": "object", "properties": {
                "metadata": {"allOf": [{"$ref": "#/components/schemas/a.Meta"}]},
                "port": {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            }},
            "a.Meta": {"type": "object"},
        })));
        let properties = &document["definitions"]["a.Pod"]["properties"];
        assert_eq!(properties["metadata"], json!({"$ref": "#/definitions/a.Meta"}));
        assert_eq!(properties["port"]["type"], "string");
        assert_eq!(properties["free"]["type"], Value::Null);
    }

    #[test]
    fn the_protobuf_form_holds_names_and_extensions() {
        let document = json!({"swagger": "2.0", "info": {}, "definitions": {
            "A": {"type": "object", "x-k": [1]},
        }});
        let expected: Vec<u8> = [
            &b"\x0a\x032.0\x12\x00"[..],
            // definitions, the named schema, its name
            b"\x4a\x21\x0a\x1f\x0a\x01A",
            // the schema: type object, then the extension as YAML text
            b"\x12\x1a\xb2\x01\x08\x0a\x06object\xfa\x01\x0c\x0a\x03x-k\x12\x05\x12\x03[1]",
        ]
        .concat();
        assert_eq!(protobuf(&document), expected);
    }
}
