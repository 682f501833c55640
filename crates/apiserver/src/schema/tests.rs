use super::{FieldReason, Schema};
use proptest::prelude::*;
use serde_json::{Value, json};

fn schema(spec: Value) -> Schema {
    Schema::parse(&json!({"type": "object", "properties": {"spec": spec}}), "schema").unwrap()
}

fn object(spec: Value) -> Value {
    json!({"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "n"}, "spec": spec})
}

fn errors(schema: &Schema, spec: Value, old: Option<Value>) -> Vec<String> {
    let old = old.map(object);
    schema.validate(&object(spec), old.as_ref()).iter().map(ToString::to_string).collect()
}

fn parse_errors(root: Value) -> Vec<String> {
    let path = "spec.validation.openAPIV3Schema";
    Schema::parse(&root, path).unwrap_err().iter().map(ToString::to_string).collect()
}

fn spec_of(properties: Value) -> Schema {
    schema(json!({"type": "object", "properties": properties}))
}

#[test]
fn pruning_removes_what_is_not_declared() {
    let schema = spec_of(json!({
        "a": {"type": "array", "items": {"type": "object", "properties": {"b": {"type": "string"}}}},
        "m": {"type": "object", "additionalProperties": {"type": "object", "properties": {"x": {"type": "integer"}}}},
        "raw": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
            "properties": {"known": {"type": "object", "properties": {"x": {"type": "integer"}}}}},
        "emb": {"type": "object", "x-kubernetes-embedded-resource": true, "properties": {
            "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}},
    }));
    let mut value = object(json!({
        "a": [{"b": "x", "c": 1}], "m": {"k": {"x": 1, "y": 2}}, "zz": 1,
        "raw": {"free": {"any": 1}, "known": {"x": 1, "gone": 2}},
        "emb": {"apiVersion": "v1", "kind": "P", "metadata": {"name": "a", "odd": 1}, "spec": {"x": 1}, "data": 1},
    }));
    value["metadata"]["odd"] = json!(1);
    let unknown = schema.prune(&mut value);
    assert_eq!(
        unknown,
        [
            "metadata.odd",
            "spec.a[0].c",
            "spec.m.k.y",
            "spec.zz",
            "spec.raw.known.gone",
            "spec.emb.metadata.odd",
            "spec.emb.data"
        ]
    );
    assert_eq!(value["spec"]["raw"], json!({"free": {"any": 1}, "known": {"x": 1}}));
    assert_eq!(value["spec"]["emb"]["metadata"], json!({"name": "a"}));
    assert!(schema.prune(&mut value).is_empty(), "pruning twice changes nothing");
}

#[test]
fn corner_43_defaults_fill_gaps_and_replace_nulls() {
    let schema = spec_of(json!({
        "n": {"type": "integer", "default": 3},
        "parent": {"type": "object", "default": {}, "properties": {"x": {"type": "string", "default": "d"}}},
        "absent": {"type": "object", "properties": {"x": {"type": "string", "default": "d"}}},
        "list": {"type": "array", "items": {"type": "object", "properties": {"y": {"type": "integer", "default": 1}}}},
        "map": {"type": "object", "additionalProperties": {"type": "object",
            "properties": {"z": {"type": "integer", "default": 2}}}},
        "plain": {"type": "string"},
        "may": {"type": "string", "nullable": true, "default": "d"},
    }));
    let mut value = object(json!({"n": null, "list": [{}], "map": {"k": {}}, "plain": null, "may": null}));
    schema.default(&mut value);
    assert_eq!(
        value["spec"],
        json!({"n": 3, "list": [{"y": 1}], "map": {"k": {"z": 2}}, "may": null, "parent": {"x": "d"}})
    );
    let mut nulls = object(json!({"plain": null}));
    schema.default_keeping_nulls(&mut nulls);
    assert_eq!(nulls["spec"]["plain"], Value::Null);
    let found: Vec<String> = schema.validate(&nulls, None).iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [r#"spec.plain: Invalid value: "null": spec.plain in body must be of type string: "null""#]
    );
}

#[test]
fn every_check_has_upstreams_words() {
    let one = |check: Value, value: Value| {
        let found = errors(&spec_of(json!({"x": check})), json!({"x": value}), None);
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    };
    let cases = [
        (
            json!({"type": "string"}),
            json!(5),
            r#"spec.x: Invalid value: "integer": spec.x in body must be of type string: "integer""#,
        ),
        (
            json!({"x-kubernetes-int-or-string": true}),
            json!(true),
            r#"spec.x: Invalid value: "boolean": spec.x in body must be of type integer,string: "boolean""#,
        ),
        (
            json!({"type": "integer", "minimum": 1}),
            json!(0),
            "spec.x: Invalid value: 0: spec.x in body should be greater than or equal to 1",
        ),
        (
            json!({"type": "integer", "maximum": 9}),
            json!(10),
            "spec.x: Invalid value: 10: spec.x in body should be less than or equal to 9",
        ),
        (
            json!({"type": "integer", "minimum": 1, "exclusiveMinimum": true}),
            json!(1),
            "spec.x: Invalid value: 1: spec.x in body should be greater than 1",
        ),
        (
            json!({"type": "integer", "maximum": 5, "exclusiveMaximum": true}),
            json!(5),
            "spec.x: Invalid value: 5: spec.x in body should be less than 5",
        ),
        (
            json!({"type": "integer", "multipleOf": 3}),
            json!(4),
            "spec.x: Invalid value: 4: spec.x in body should be a multiple of 3",
        ),
        (
            json!({"type": "string", "pattern": "^x+$"}),
            json!("y"),
            r#"spec.x: Invalid value: "y": spec.x in body should match '^x+$'"#,
        ),
        (
            json!({"type": "string", "minLength": 2}),
            json!("ä"),
            r#"spec.x: Invalid value: "ä": spec.x in body should be at least 2 chars long"#,
        ),
        (
            json!({"type": "string", "maxLength": 1}),
            json!("äö"),
            "spec.x: Too long: may not be more than 1 bytes",
        ),
        (
            json!({"type": "array", "items": {"type": "integer"}, "minItems": 1}),
            json!([]),
            "spec.x: Invalid value: 0: spec.x in body should have at least 1 items",
        ),
        (
            json!({"type": "array", "items": {"type": "integer"}, "maxItems": 1}),
            json!([1, 2]),
            "spec.x: Too many: 2: must have at most 1 items",
        ),
        (
            json!({"type": "object", "additionalProperties": true, "minProperties": 1}),
            json!({}),
            "spec.x: Invalid value: 0: spec.x in body should have at least 1 properties",
        ),
        (
            json!({"type": "string", "enum": ["a", "b"]}),
            json!("c"),
            r#"spec.x: Unsupported value: "c": supported values: "a", "b""#,
        ),
        (
            json!({"type": "object", "required": ["y"], "properties": {"y": {"type": "string"}}}),
            json!({}),
            "spec.x.y: Required value",
        ),
        (
            json!({"type": "string", "format": "date-time"}),
            json!("text"),
            r#"spec.x: Invalid value: "text": spec.x in body must be of type date-time: "text""#,
        ),
        (
            json!({"type": "integer", "format": "int32"}),
            json!(3_000_000_000u64),
            r#"<nil>: Invalid value: "": Checked value must be of type integer with format int32 in spec.x"#,
        ),
        (
            json!({"type": "string", "format": "password", "minLength": 9}),
            json!("secret"),
            r#"spec.x: Invalid value: "<masked>": spec.x in body should be at least 9 chars long"#,
        ),
        (
            json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"}),
            json!(["a", "a"]),
            r#"spec.x[1]: Duplicate value: "a""#,
        ),
        (
            json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "not": {"required": ["q"]}}),
            json!({"q": 1}),
            r#"<nil>: Invalid value: "": "spec.x" must not validate the schema (not)"#,
        ),
    ];
    for (check, value, expected) in cases {
        assert_eq!(one(check, value), expected);
    }
    let array = spec_of(json!({"x": {"type": "array", "items": {"type": "string"}}}));
    assert_eq!(
        errors(&array, json!({"x": [null]}), None),
        [r#"spec.x[0]: Invalid value: "null": spec.x[0] in body must be of type string: "null""#]
    );
    assert!(errors(&spec_of(json!({"x": {"type": "integer"}})), json!({"x": 2.0}), None).is_empty());
}

#[test]
fn junctors_count_valid_branches() {
    let one_of = |branches: Value| {
        spec_of(
            json!({"x": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            "oneOf": branches}}),
        )
    };
    let exclusive = one_of(json!([{"required": ["a"]}, {"required": ["b"]}]));
    assert!(errors(&exclusive, json!({"x": {"a": "1"}}), None).is_empty());
    assert_eq!(
        errors(&exclusive, json!({"x": {}}), None),
        [
            r#"<nil>: Invalid value: "": "spec.x" must validate one and only one schema (oneOf). Found none valid"#,
            "spec.x.a: Required value"
        ]
    );
    assert_eq!(
        errors(&exclusive, json!({"x": {"a": "1", "b": "2"}}), None),
        [
            r#"<nil>: Invalid value: "": "spec.x" must validate one and only one schema (oneOf). Found 2 valid alternatives"#
        ]
    );
    let any = spec_of(json!({"x": {"type": "integer", "anyOf": [{"minimum": 5}, {"enum": [1]}]}}));
    assert!(errors(&any, json!({"x": 1}), None).is_empty());
    assert_eq!(errors(&any, json!({"x": 2}), None).len(), 2);
    let all = spec_of(json!({"x": {"type": "integer", "allOf": [{"minimum": 5}, {"maximum": 3}]}}));
    assert!(errors(&all, json!({"x": 6}), None)[0].ends_with("must validate all the schemas (allOf)"));
}

#[test]
fn list_maps_are_unique_by_key() {
    let schema = spec_of(json!({"lm": {"type": "array", "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["k", "p"], "items": {"type": "object", "required": ["k"], "properties": {
            "k": {"type": "string"}, "p": {"type": "string", "default": "TCP"}}}}}));
    assert_eq!(
        errors(&schema, json!({"lm": [{"k": "a"}, {"k": "a", "p": "TCP"}]}), None),
        [r#"spec.lm[1]: Duplicate value: {"k":"a","p":"TCP"}"#]
    );
    assert!(errors(&schema, json!({"lm": [{"k": "a"}, {"k": "a", "p": "UDP"}]}), None).is_empty());
}

#[test]
fn corner_44_an_unchanged_value_is_not_refused_again() {
    let schema = spec_of(json!({
        "a": {"type": "string", "enum": ["x"]},
        "b": {"type": "integer"},
        "lm": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
            "items": {"type": "object", "required": ["k"], "properties": {
                "k": {"type": "string"}, "v": {"type": "integer", "maximum": 1}, "w": {"type": "string"}}}},
        "l": {"type": "array", "items": {"type": "integer", "maximum": 1}},
        "r": {"type": "object", "required": ["must"], "properties": {"must": {"type": "string"}, "o": {"type": "string"}}},
    }));
    let old = json!({"a": "old", "b": 1, "lm": [{"k": "1", "v": 5}], "l": [7], "r": {"o": "1"}});
    let mut new = old.clone();
    new["b"] = json!(2);
    new["lm"][0]["w"] = json!("new");
    assert_eq!(errors(&schema, new.clone(), Some(old.clone())), Vec::<String>::new());
    assert!(errors(&schema, new.clone(), None).len() >= 4, "a create is refused");
    new["l"] = json!([7, 0]);
    assert_eq!(
        errors(&schema, new.clone(), Some(old.clone())).len(),
        1,
        "lists without keys ratchet as a whole"
    );
    new["l"] = json!([7]);
    new["r"]["o"] = json!("2");
    assert_eq!(errors(&schema, new, Some(old)), ["spec.r.must: Required value"]);
}

#[test]
fn embedded_resources_say_what_they_are() {
    let schema = spec_of(json!({"emb": {"type": "object", "x-kubernetes-embedded-resource": true,
        "x-kubernetes-preserve-unknown-fields": true}}));
    let found = errors(&schema, json!({"emb": {"metadata": {"labels": {"a b": "c"}}}}), None);
    assert!(found[0].starts_with("spec.emb.apiVersion: Required value"), "{found:?}");
    assert!(found[1].starts_with("spec.emb.kind: Required value"));
    assert!(found[2].starts_with("spec.emb.metadata.labels: Invalid value: \"a b\""));
}

#[test]
fn metadata_may_be_restricted_by_name() {
    let schema = Schema::parse(
        &json!({"type": "object", "properties": {"metadata": {"type": "object", "properties": {
            "name": {"type": "string", "maxLength": 3}}}}}),
        "",
    )
    .unwrap();
    let found = schema.validate(&json!({"metadata": {"name": "long"}}), None);
    assert_eq!(found[0].path, "metadata.name");
    assert_eq!(found[0].reason, FieldReason::TooLong);
    let other = json!({"type": "object", "properties": {"metadata": {"type": "object", "properties": {
        "labels": {"type": "object"}}}}});
    assert!(parse_errors(other)[0].contains("must not specify anything other than name and generateName"));
}

#[test]
fn schemas_that_are_not_structural_are_refused() {
    let root = "spec.validation.openAPIV3Schema";
    let spec = |spec: Value| parse_errors(json!({"type": "object", "properties": {"a": spec}}));
    let cases = [
        (json!({}), ".properties[a].type: Required value: must not be empty for specified object fields"),
        (json!({"type": "array"}), ".properties[a].items: Required value: must be specified"),
        (
            json!({"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": {"type": "string"}}),
            ".properties[a].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
        ),
        (json!({"type": "string", "$ref": "x"}), ".properties[a].$ref: Forbidden: $ref is not supported"),
        (
            json!({"type": "object", "default": {"z": 1}}),
            ".properties[a].default: Invalid value: {\"z\":1}: must not have unknown fields",
        ),
        (
            json!({"type": "string", "default": 1}),
            ".properties[a].default: Invalid value: \"integer\":  in body must be of type string: \"integer\"",
        ),
        (
            json!({"type": "string", "anyOf": [{"type": "string"}]}),
            ".properties[a].anyOf[0].type: Forbidden: must be empty to be structural",
        ),
        (
            json!({"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map"}),
            ".properties[a].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map",
        ),
        (
            json!({"type": "array", "items": {"type": "object", "properties": {"n": {"type": "string"}}},
                "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"]}),
            ".properties[a].items.properties[n].default: Required value: this property is in \
             x-kubernetes-list-map-keys, so it must have a default or be a required property",
        ),
    ];
    for (written, expected) in cases {
        assert_eq!(spec(written), [format!("{root}{expected}")]);
    }
    assert_eq!(
        parse_errors(json!({})),
        [format!("{root}.type: Required value: must not be empty at the root")]
    );
    let pattern = spec(json!({"type": "string", "pattern": "("}));
    assert!(pattern[0].starts_with(&format!(
        "{root}.properties[a].pattern: Invalid value: \"(\": must be a valid regular expression, but isn't: "
    )));
}

#[test]
fn unknown_formats_only_warn() {
    let schema = spec_of(json!({"a": {"type": "string", "format": "zzz"}}));
    assert_eq!(schema.warnings(), ["unrecognized format \"zzz\""]);
    assert!(errors(&schema, json!({"a": "anything"}), None).is_empty());
}

#[test]
fn wrong_json_types_are_named_as_go_names_them() {
    let schema = spec_of(json!({"m": {"type": "object", "additionalProperties": {"type": "string"}}}));
    let found = schema.check_types("Gizmo", &object(json!({"m": {"k": 1}}))).unwrap_err();
    assert_eq!(
        found.to_string(),
        "json: cannot unmarshal number into Go struct field Gizmo.spec.m of type string"
    );
    let labels = schema.check_types("Gizmo", &json!({"metadata": {"labels": 5}})).unwrap_err();
    assert_eq!(labels.expected, "map[string]string");
    let only_metadata = schema.check_metadata_types("Gizmo", &object(json!({"m": {"k": 1}})));
    assert!(only_metadata.is_ok(), "below metadata the schema speaks");
    assert!(schema.check_metadata_types("Gizmo", &json!({"metadata": {"name": 1}})).is_err());
    assert!(schema.check_types("Gizmo", &object(json!({"m": null}))).is_ok());
}

#[test]
fn corner_40_large_integers_keep_their_digits() {
    let schema =
        spec_of(json!({"n": {"type": "integer", "format": "int64", "maximum": 9007199254740993i64}}));
    assert!(errors(&schema, json!({"n": 9007199254740993i64}), None).is_empty());
    assert_eq!(errors(&schema, json!({"n": 9007199254740994i64}), None).len(), 1);
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-c]{0,3}".prop_map(Value::from)
    ];
    leaf.prop_recursive(5, 48, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map("a|b|m|raw|emb|spec|metadata|labels|zz|n", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn wide() -> Schema {
    spec_of(json!({
        "a": {"type": "array", "items": {"type": "object", "properties": {"b": {"type": "string", "default": "x"}}}},
        "m": {"type": "object", "additionalProperties": {"type": "integer", "default": 1}},
        "n": {"type": "integer", "default": 1, "minimum": 0},
        "raw": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        "emb": {"type": "object", "x-kubernetes-embedded-resource": true},
    }))
}

proptest! {
    #[test]
    fn pruning_and_defaulting_settle_at_once(value in any_value()) {
        let schema = wide();
        let mut once = object(value);
        schema.prune(&mut once);
        schema.default(&mut once);
        let mut twice = once.clone();
        prop_assert!(schema.prune(&mut twice).is_empty());
        schema.default(&mut twice);
        prop_assert_eq!(&once, &twice);
        schema.validate(&once, Some(&twice));
    }

    #[test]
    fn no_schema_makes_the_parser_panic(value in any_value()) {
        let _ = Schema::parse(&json!({"type": "object", "properties": value}), "p");
    }
}
