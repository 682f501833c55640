//! From `openAPIV3Schema` to a [`Schema`], refusing what is not structural (`spec/apiserver.md` 13.1, 13.2).

use super::checks::{Bound, Checks};
use super::format::Format;
use super::metadata::resource_fields;
use super::{FieldError, ListType, Path, Properties, Schema, Type, quoted, rules};
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Most bytes a compiled pattern may take; a pattern comes from whoever may write CRDs.
const PATTERN_SIZE_LIMIT: usize = 1 << 20;

/// Most different patterns of one schema: each takes time to compile and memory to keep.
const PATTERN_COUNT_LIMIT: usize = 1_000;

/// Words of JSON Schema that a structural schema may not use.
const FORBIDDEN: &[&str] =
    &["$ref", "definitions", "id", "deprecated", "patternProperties", "additionalItems", "dependencies"];

/// Words that make no sense inside a junctor, where only the value is checked.
const STRUCTURE_WORDS: &[&str] =
    &["type", "default", "title", "description", "nullable", "additionalProperties"];

type Object = Map<String, Value>;

impl Schema {
    /// Parses `openAPIV3Schema` of a CRD version and checks that it is structural. `path` is the field path of the
    /// schema inside the CRD, for the errors.
    pub fn parse(schema: &Value, path: &str) -> Result<Schema, Vec<FieldError>> {
        let mut parser = Parser::default();
        let base = Path::Base(path);
        let fields = schema.as_object().cloned().unwrap_or_default();
        let mut root = parser.node(&fields, &base, Place::Root);
        add_resource_fields(&mut root, &base, &mut parser.errors);
        parser.check_defaults(&root, &base);
        root.has_rules = mark_rules(&mut root);
        rules::compile(&root, &base, &mut parser.errors);
        root.warnings = parser.warnings;
        if parser.errors.is_empty() { Ok(root) } else { Err(parser.errors) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Field,
    Item,
}

#[derive(Default)]
struct Parser {
    errors: Vec<FieldError>,
    warnings: Vec<String>,
    /// The patterns met so far; quantities and names repeat the same few.
    patterns: BTreeMap<String, Regex>,
}

fn flag(fields: &Object, name: &str) -> bool {
    fields.get(name).and_then(Value::as_bool).unwrap_or(false)
}

fn number(fields: &Object, name: &str) -> Option<u64> {
    fields.get(name).and_then(|value| value.as_u64().or_else(|| value.as_f64().map(|number| number as u64)))
}

fn list<'v>(fields: &'v Object, name: &str) -> &'v [Value] {
    fields.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

impl Parser {
    fn node(&mut self, fields: &Object, path: &Path<'_>, place: Place) -> Schema {
        self.refuse_words(fields, path);
        let mut schema = Schema {
            kind: self.kind(fields, path, place),
            nullable: flag(fields, "nullable"),
            default: fields.get("default").filter(|default| !default.is_null()).cloned(),
            preserve_unknown: flag(fields, "x-kubernetes-preserve-unknown-fields"),
            resource: place == Place::Root || flag(fields, "x-kubernetes-embedded-resource"),
            atomic: fields.get("x-kubernetes-map-type").and_then(Value::as_str) == Some("atomic"),
            rules: rules::read(fields, path, &mut self.errors),
            ..Default::default()
        };
        self.children(&mut schema, fields, path);
        self.list_type(&mut schema, fields, path);
        let checks = self.checks(fields, path, Some(&schema));
        schema.checks = (!checks.is_empty()).then(|| Box::new(checks));
        if schema.resource && place != Place::Root {
            add_resource_fields(&mut schema, path, &mut self.errors);
        }
        schema
    }

    fn refuse_words(&mut self, fields: &Object, path: &Path<'_>) {
        for word in FORBIDDEN {
            if fields.get(*word).is_some_and(|value| !value.is_null() && *value != Value::Bool(false)) {
                self.errors.push(FieldError::forbidden(path.field(word), format!("{word} is not supported")));
            }
        }
        if flag(fields, "uniqueItems") {
            let why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
            self.errors.push(FieldError::forbidden(path.field("uniqueItems"), why));
        }
    }

    fn kind(&mut self, fields: &Object, path: &Path<'_>, place: Place) -> Type {
        let int_or_string = flag(fields, "x-kubernetes-int-or-string");
        let written = fields.get("type").and_then(Value::as_str).unwrap_or_default();
        let kind = match written {
            "object" => Type::Object,
            "array" => Type::Array,
            "string" => Type::String,
            "integer" => Type::Integer,
            "number" => Type::Number,
            "boolean" => Type::Boolean,
            "" if int_or_string => Type::IntOrString,
            "" => {
                let free = flag(fields, "x-kubernetes-preserve-unknown-fields");
                let detail = match place {
                    Place::Root => "must not be empty at the root",
                    Place::Field => "must not be empty for specified object fields",
                    Place::Item => "must not be empty for specified array items",
                };
                if place == Place::Root || !free {
                    self.errors.push(FieldError::required(path.field("type"), detail));
                }
                Type::Any
            }
            other => {
                let known = ["array", "boolean", "integer", "number", "object", "string"];
                self.errors.push(FieldError::not_one_of(path.field("type"), &Value::from(other), &known));
                Type::Any
            }
        };
        if int_or_string && !written.is_empty() {
            let why = "must be empty if x-kubernetes-int-or-string is true";
            self.errors.push(FieldError::forbidden(path.field("type"), why));
        }
        if place == Place::Root && !written.is_empty() && kind != Type::Object {
            let why = "must be object at the root";
            self.errors.push(FieldError::invalid_str(path.field("type"), written, why));
        }
        kind
    }

    fn children(&mut self, schema: &mut Schema, fields: &Object, path: &Path<'_>) {
        let properties = fields.get("properties").and_then(Value::as_object);
        let additional = fields.get("additionalProperties").filter(|value| !value.is_null());
        if properties.is_some_and(|properties| !properties.is_empty()) && additional.is_some() {
            let why = "additionalProperties and properties are mutual exclusive";
            self.errors.push(FieldError::forbidden(path.field("additionalProperties"), why));
        }
        let place = path.field("properties");
        let mut known = BTreeMap::new();
        for (name, property) in properties.into_iter().flatten() {
            let fields = property.as_object().cloned().unwrap_or_default();
            known.insert(name.clone(), self.node(&fields, &place.key(name), Place::Field));
        }
        schema.properties = Properties::Own(known);
        let place = path.field("additionalProperties");
        schema.additional = match additional {
            None => None,
            Some(Value::Bool(true)) => Some(Box::new(Schema::anything())),
            Some(Value::Bool(false)) => {
                let why = "additionalProperties cannot be set to false";
                self.errors.push(FieldError::forbidden(place, why));
                None
            }
            Some(values) => {
                let fields = values.as_object().cloned().unwrap_or_default();
                Some(Box::new(self.node(&fields, &place, Place::Field)))
            }
        };
        let place = path.field("items");
        match fields.get("items").filter(|items| !items.is_null()) {
            Some(Value::Object(items)) => {
                schema.items = Some(Box::new(self.node(items, &place, Place::Item)))
            }
            Some(_) => {
                let why = "items must be a schema object and not an array";
                self.errors.push(FieldError::forbidden(place, why));
            }
            None if schema.kind == Type::Array => {
                self.errors.push(FieldError::required(place, "must be specified"));
            }
            None => {}
        }
    }

    fn list_type(&mut self, schema: &mut Schema, fields: &Object, path: &Path<'_>) {
        let keys: Vec<String> = list(fields, "x-kubernetes-list-map-keys")
            .iter()
            .filter_map(|key| key.as_str().map(str::to_owned))
            .collect();
        match fields.get("x-kubernetes-list-type").and_then(Value::as_str) {
            None | Some("atomic") => {}
            Some("set") => schema.list_type = ListType::Set,
            Some("map") => {
                if keys.is_empty() {
                    let why = "must not be empty if x-kubernetes-list-type is map";
                    self.errors.push(FieldError::required(path.field("x-kubernetes-list-map-keys"), why));
                }
                self.list_keys(schema, &keys, fields, path);
                schema.list_type = ListType::Map(keys);
            }
            Some(other) => self.errors.push(FieldError::not_one_of(
                path.field("x-kubernetes-list-type"),
                &Value::from(other),
                &["atomic", "map", "set"],
            )),
        }
    }

    fn list_keys(&mut self, schema: &Schema, keys: &[String], fields: &Object, path: &Path<'_>) {
        let required =
            fields.get("items").and_then(Value::as_object).map_or(&[][..], |items| list(items, "required"));
        let items = path.field("items");
        let properties = items.field("properties");
        for (index, key) in keys.iter().enumerate() {
            match schema.items().and_then(|items| items.property(key)) {
                None => {
                    let place = path.field("x-kubernetes-list-map-keys");
                    let why = "entries must all be names of item properties";
                    self.errors.push(FieldError::invalid_str(place.index(index), key, why));
                }
                Some(property) => {
                    let named = required.iter().any(|name| name.as_str() == Some(key));
                    if !named && property.default.is_none() {
                        let place = properties.key(key);
                        let why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a \
                                   required property";
                        self.errors.push(FieldError::required(place.field("default"), why));
                    }
                }
            }
        }
    }

    /// The value checks of a node; inside a junctor (`outside` is none) also those of the fields below.
    fn checks(&mut self, fields: &Object, path: &Path<'_>, outside: Option<&Schema>) -> Checks {
        let bound = |name: &str, exclusive: &str| match fields.get(name) {
            Some(Value::Number(limit)) => {
                Some(Bound { limit: limit.clone(), exclusive: flag(fields, exclusive) })
            }
            _ => None,
        };
        let int_or_string = outside.is_some_and(|schema| schema.kind == Type::IntOrString);
        let mut checks = Checks {
            required: list(fields, "required")
                .iter()
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect(),
            enumeration: list(fields, "enum").to_vec(),
            minimum: bound("minimum", "exclusiveMinimum"),
            maximum: bound("maximum", "exclusiveMaximum"),
            multiple_of: fields.get("multipleOf").and_then(Value::as_f64),
            min_length: number(fields, "minLength"),
            max_length: number(fields, "maxLength"),
            pattern: self.pattern(fields, path),
            min_items: number(fields, "minItems"),
            max_items: number(fields, "maxItems"),
            min_properties: number(fields, "minProperties"),
            max_properties: number(fields, "maxProperties"),
            ..Checks::default()
        };
        self.format(&mut checks, fields);
        checks.any_of = self.branches(fields, "anyOf", path, outside, int_or_string);
        checks.all_of = self.branches(fields, "allOf", path, outside, int_or_string);
        checks.one_of = self.branches(fields, "oneOf", path, outside, false);
        if let Some(Value::Object(not)) = fields.get("not") {
            checks.not = Some(Box::new(self.junctor(not, &path.field("not"), outside)));
        }
        checks
    }

    fn format(&mut self, checks: &mut Checks, fields: &Object) {
        let Some(name) = fields.get("format").and_then(Value::as_str) else { return };
        checks.format = Format::parse(name);
        checks.secret = name == "password";
        if !Format::is_known(name) {
            let warning = format!("unrecognized format {}", quoted(name));
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    fn pattern(&mut self, fields: &Object, path: &Path<'_>) -> Option<Regex> {
        let text = fields.get("pattern").and_then(Value::as_str).filter(|text| !text.is_empty())?;
        if let Some(known) = self.patterns.get(text) {
            return Some(known.clone());
        }
        if self.patterns.len() == PATTERN_COUNT_LIMIT {
            let why = format!("a schema may have {PATTERN_COUNT_LIMIT} different patterns at most");
            self.errors.push(FieldError::forbidden(path.field("pattern"), why));
            return None;
        }
        match RegexBuilder::new(text).size_limit(PATTERN_SIZE_LIMIT).build() {
            Ok(pattern) => {
                self.patterns.insert(text.to_owned(), pattern.clone());
                Some(pattern)
            }
            Err(error) => {
                let error = error.to_string();
                let line = error.lines().last().unwrap_or_default();
                let why = format!("must be a valid regular expression, but isn't: {line}");
                self.errors.push(FieldError::invalid_str(path.field("pattern"), text, why));
                None
            }
        }
    }

    fn branches(
        &mut self,
        fields: &Object,
        word: &str,
        path: &Path<'_>,
        outside: Option<&Schema>,
        int_or_string: bool,
    ) -> Vec<Checks> {
        let place = path.field(word);
        let mut branches = Vec::new();
        for (index, branch) in list(fields, word).iter().enumerate() {
            let Some(branch) = branch.as_object() else { continue };
            // `anyOf: [{type: integer}, {type: string}]`, alone or inside `allOf`, says what int-or-string says.
            let says_type = branch.len() == 1 && branch.contains_key("type");
            let wraps = branch.len() == 1
                && list(branch, "anyOf").iter().all(|inner| inner.get("type").is_some())
                && !list(branch, "anyOf").is_empty();
            if int_or_string && (says_type || (word == "allOf" && wraps)) {
                continue;
            }
            branches.push(self.junctor(branch, &place.index(index), outside));
        }
        branches
    }

    fn junctor(&mut self, fields: &Object, path: &Path<'_>, outside: Option<&Schema>) -> Checks {
        for word in STRUCTURE_WORDS {
            let empty = matches!(fields.get(*word), None | Some(Value::Null | Value::Bool(false)));
            if !empty {
                self.errors.push(FieldError::forbidden(path.field(word), "must be empty to be structural"));
            }
        }
        for word in fields.keys().filter(|word| word.starts_with("x-kubernetes-")) {
            self.errors.push(FieldError::forbidden(path.field(word), "must be empty to be structural"));
        }
        self.refuse_words(fields, path);
        let mut checks = self.checks(fields, path, None);
        // Nested junctors see the same outside node.
        if let Some(outside) = outside {
            self.junctor_children(&mut checks, fields, path, outside);
        }
        checks
    }

    fn junctor_children(&mut self, checks: &mut Checks, fields: &Object, path: &Path<'_>, outside: &Schema) {
        let place = path.field("properties");
        for (name, property) in fields.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let Some(property) = property.as_object() else { continue };
            match outside.property(name) {
                Some(schema) => {
                    let inner = self.junctor(property, &place.key(name), Some(schema));
                    checks.properties.insert(name.clone(), inner);
                }
                None if outside.resource && ["metadata", "apiVersion", "kind"].contains(&name.as_str()) => {}
                None => {
                    let why = format!("because it is defined in {}", place.key(name));
                    self.errors.push(FieldError::required(place.key(name), &why));
                }
            }
        }
        if let (Some(Value::Object(items)), Some(schema)) = (fields.get("items"), outside.items()) {
            checks.items = Some(Box::new(self.junctor(items, &path.field("items"), Some(schema))));
        }
    }

    /// Every default must survive pruning and be valid (13.3).
    fn check_defaults(&mut self, schema: &Schema, path: &Path<'_>) {
        if let Some(default) = &schema.default {
            let place = path.field("default");
            if !schema.unknown_fields(default).is_empty() {
                self.errors.push(FieldError::invalid(place, default, "must not have unknown fields"));
            }
            let mut filled = default.clone();
            schema.default(&mut filled);
            for error in schema.validate_structure(&filled, None, &Path::Root) {
                self.errors.push(FieldError { path: place.to_string(), ..error });
            }
        }
        let properties = path.field("properties");
        for (name, child) in schema.properties() {
            if !(schema.resource && name == "metadata") {
                self.check_defaults(child, &properties.key(name));
            }
        }
        if let Some(values) = &schema.additional {
            self.check_defaults(values, &path.field("additionalProperties"));
        }
        if let Some(items) = schema.items() {
            self.check_defaults(items, &path.field("items"));
        }
    }
}

/// Gives the root and embedded resources `apiVersion`, `kind` and `metadata`; of a written `metadata` only checks of
/// `name` and `generateName` count.
fn add_resource_fields(schema: &mut Schema, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut implied = resource_fields();
    let Properties::Own(properties) = &mut schema.properties else { return };
    if let Some(mut written) = properties.remove("metadata") {
        let place = path.field("properties");
        let place = place.key("metadata");
        let Properties::Own(restricted) = &mut written.properties else { return };
        if restricted.keys().any(|name| name != "name" && name != "generateName") {
            let why = "must not specify anything other than name and generateName, but metadata is implicitly specified";
            errors.push(FieldError::forbidden(place, why));
        }
        let Some(Schema { properties: Properties::Own(meta), .. }) = implied.get_mut("metadata") else {
            return;
        };
        for name in ["name", "generateName"] {
            if let (Some(known), Some(written)) = (meta.get_mut(name), restricted.remove(name)) {
                known.checks = written.checks;
            }
        }
    }
    for (name, child) in implied {
        if let Some(written) = properties.get_mut(&name) {
            written.kind = child.kind;
            continue;
        }
        properties.insert(name, child);
    }
}

/// Marks the way to every rule and says whether there is one.
fn mark_rules(schema: &mut Schema) -> bool {
    let mut found = !schema.rules.is_empty();
    if let Properties::Own(properties) = &mut schema.properties {
        for child in properties.values_mut() {
            found |= mark_rules(child);
        }
    }
    for child in [&mut schema.additional, &mut schema.items].into_iter().flatten() {
        found |= mark_rules(child);
    }
    schema.has_rules = found;
    found
}
