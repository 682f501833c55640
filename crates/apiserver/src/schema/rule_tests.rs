use super::Schema;
use serde_json::{Value, json};

fn parse(spec: Value) -> Result<Schema, Vec<String>> {
    let root = json!({"type": "object", "properties": {"spec": spec}});
    Schema::parse(&root, "s").map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

fn with_rules(properties: Value, rules: Value) -> Schema {
    parse(json!({"type": "object", "properties": properties, "x-kubernetes-validations": rules})).unwrap()
}

fn check(schema: &Schema, spec: Value, old: Option<Value>) -> Vec<String> {
    let object = |spec| json!({"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "n"}, "spec": spec});
    let old = old.map(object);
    schema.validate(&object(spec), old.as_ref()).iter().map(ToString::to_string).collect()
}

#[test]
fn a_rule_that_fails_says_its_message() {
    let properties = json!({"min": {"type": "integer"}, "max": {"type": "integer"}});
    let rule = |rule: Value| with_rules(properties.clone(), json!([rule]));
    let bad = json!({"min": 3, "max": 1});
    let plain = rule(json!({"rule": "self.min <= self.max"}));
    assert!(check(&plain, json!({"min": 1, "max": 1}), None).is_empty());
    assert_eq!(check(&plain, bad.clone(), None), ["spec: Invalid value: failed rule: self.min <= self.max"]);
    let named = rule(json!({"rule": "self.min <= self.max", "message": "min above max"}));
    assert_eq!(check(&named, bad.clone(), None), ["spec: Invalid value: min above max"]);
    let dynamic = rule(json!({"rule": "self.min <= self.max", "message": "m",
        "messageExpression": "'min ' + string(self.min) + ' above ' + string(self.max)"}));
    assert_eq!(check(&dynamic, bad.clone(), None), ["spec: Invalid value: min 3 above 1"]);
    let forbidden = rule(
        json!({"rule": "self.min <= self.max", "message": "m", "reason": "FieldValueForbidden", "fieldPath": ".min"}),
    );
    assert_eq!(check(&forbidden, bad, None), ["spec.min: Forbidden: m"]);
}

#[test]
fn rules_sit_at_scalars_items_and_map_values() {
    let odd = json!([{"rule": "self % 2 == 1", "message": "odd"}]);
    let schema = parse(json!({"type": "object", "properties": {
        "l": {"type": "array", "items": {"type": "integer", "x-kubernetes-validations": odd}},
        "m": {"type": "object", "additionalProperties": {"type": "integer", "x-kubernetes-validations": odd}}}}))
    .unwrap();
    assert_eq!(
        check(&schema, json!({"l": [1, 2], "m": {"k": 4}}), None),
        ["spec.l[1]: Invalid value: 2: odd", "spec.m[k]: Invalid value: 4: odd"]
    );
}

#[test]
fn h_45_a_transition_rule_runs_only_on_a_change() {
    let properties = json!({"size": {"type": "integer", "x-kubernetes-validations": [
        {"rule": "self >= oldSelf", "message": "may not shrink"}]}});
    let schema = with_rules(properties, json!([]));
    assert!(check(&schema, json!({"size": 1}), None).is_empty(), "a create has nothing to compare with");
    assert!(check(&schema, json!({"size": 1}), Some(json!({}))).is_empty());
    assert!(check(&schema, json!({}), Some(json!({"size": 5}))).is_empty(), "removing is no transition");
    assert_eq!(
        check(&schema, json!({"size": 1}), Some(json!({"size": 5}))),
        ["spec.size: Invalid value: 1: may not shrink"]
    );
    let optional = with_rules(
        json!({"a": {"type": "string"}}),
        json!([{"rule": "oldSelf.hasValue() || self.a == 'first'", "optionalOldSelf": true, "message": "m"}]),
    );
    assert_eq!(check(&optional, json!({"a": "x"}), None), ["spec: Invalid value: m"]);
    assert!(check(&optional, json!({"a": "x"}), Some(json!({"a": "y"}))).is_empty());
}

#[test]
fn an_unchanged_value_is_not_refused_again() {
    let schema = with_rules(
        json!({"a": {"type": "string", "x-kubernetes-validations": [{"rule": "self == 'x'"}]}, "b": {"type": "string"}}),
        json!([]),
    );
    assert_eq!(check(&schema, json!({"a": "old", "b": "1"}), None).len(), 1);
    assert!(check(&schema, json!({"a": "old", "b": "1"}), Some(json!({"a": "old"}))).is_empty());
}

#[test]
fn names_types_and_libraries() {
    let properties = json!({
        "namespace": {"type": "string"},
        "a-b": {"type": "integer"},
        "at": {"type": "string", "format": "date-time"},
        "wait": {"type": "string", "format": "duration"},
        "iors": {"x-kubernetes-int-or-string": true},
        "ratio": {"type": "number"},
        "list": {"type": "array", "items": {"type": "string"}},
        "map": {"type": "object", "additionalProperties": {"type": "string"}},
    });
    let spec = json!({"namespace": "n", "a-b": 2, "at": "2026-01-02T03:04:05Z", "wait": "90s", "iors": "5%",
        "ratio": 2, "list": ["b", "a"], "map": {"k-1": "v"}});
    for rule in [
        "self.__namespace__ == 'n'",
        "self.a__dash__b == 2",
        "self.at < timestamp('2027-01-01T00:00:00Z')",
        "self.wait == duration('1m30s')",
        "type(self.iors) == string ? self.iors.endsWith('%') : self.iors > 0",
        "self.ratio == 2.0",
        "self.list.all(x, x.size() == 1) && self.list.exists(x, x == 'a')",
        "!self.list.isSorted()",
        "self.map['k-1'] == 'v'",
        "self.namespace__ == 'n' || true",
        "has(self.ratio) && self.list.map(x, x + x).size() == 2",
        "self.__namespace__.lowerAscii().matches('^[a-z]$')",
        "quantity('1Gi').isGreaterThan(quantity('500Mi'))",
        "isURL('https://example.com')",
    ] {
        let written =
            json!({"type": "object", "properties": properties, "x-kubernetes-validations": [{"rule": rule}]});
        match parse(written) {
            Ok(schema) => assert_eq!(check(&schema, spec.clone(), None), Vec::<String>::new(), "{rule}"),
            Err(errors) => assert!(rule.contains("namespace__ =="), "{rule}: {errors:?}"),
        }
    }
    let root = json!({"type": "object", "x-kubernetes-validations": [{"rule": "self.metadata.name == 'm' && self.kind == 'K'"}]});
    let schema = Schema::parse(&root, "").unwrap();
    let found = schema.validate(&json!({"apiVersion": "v", "kind": "K", "metadata": {"name": "n"}}), None);
    assert_eq!(found[0].path, "<nil>");
}

#[test]
fn evaluation_errors_are_told() {
    let schema = with_rules(json!({"n": {"type": "integer"}}), json!([{"rule": "1 / self.n == 1"}]));
    assert_eq!(
        check(&schema, json!({"n": 0}), None),
        ["spec: Invalid value: \"object\": division by zero evaluating rule: 1 / self.n == 1"]
    );
}

#[test]
fn rules_wait_until_the_value_is_usable() {
    let schema = with_rules(json!({"n": {"type": "integer"}}), json!([{"rule": "self.n == 1"}]));
    let found = check(&schema, json!({"n": "x"}), None);
    assert_eq!(found.len(), 2);
    assert!(found[1].starts_with("<nil>: Invalid value: null: some validation rules were not checked"));
}

#[test]
fn rules_that_cannot_be_are_refused() {
    let refusal = |rule: Value| {
        let written = json!({"type": "object", "properties": {"a": {"type": "string"},
            "l": {"type": "array", "items": {"type": "string"}}}, "x-kubernetes-validations": [rule]});
        parse(written).unwrap_err().remove(0)
    };
    let place = "s.properties[spec].x-kubernetes-validations[0]";
    let undefined = refusal(json!({"rule": "self.zz == 1"}));
    assert!(
        undefined.starts_with(&format!("{place}.rule: Invalid value: {{\"Rule\":\"self.zz == 1\"")),
        "{undefined}"
    );
    assert!(
        undefined.ends_with("compilation failed: ERROR: <input>:1:5: undefined field 'zz'"),
        "{undefined}"
    );
    assert!(refusal(json!({"rule": "self.a"})).ends_with("cel expression must evaluate to a bool"));
    assert!(refusal(json!({"rule": "1 +"})).contains("compilation failed: ERROR: <input>:1:"));
    assert!(refusal(json!({"rule": "Foo{a: 1} == 1"})).contains("compilation failed"));
    assert_eq!(refusal(json!({"rule": " "})), format!("{place}.rule: Required value: rule is not specified"));
    let nested = refusal(json!({"rule": "self.l.all(x, self.l.all(y, x == y))"}));
    assert!(
        nested.contains(".rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x"),
        "{nested}"
    );
    assert!(refusal(json!({"rule": "true", "message": "a\nb"})).contains("must not contain line breaks"));
    assert!(
        refusal(json!({"rule": "true", "fieldPath": ".zz"})).contains(".fieldPath: Invalid value: \".zz\"")
    );
}

#[test]
fn a_runaway_rule_is_stopped() {
    let items = json!({"type": "array", "maxItems": 3000, "items": {"type": "integer"}});
    let schema =
        with_rules(json!({"l": items}), json!([{"rule": "self.l.all(x, self.l.all(y, x + y >= 0))"}]));
    let numbers: Vec<i64> = (0..3000).collect();
    let found = check(&schema, json!({"l": numbers}), None);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("running out of cost budget"), "{found:?}");
    assert!(check(&schema, json!({"l": [1, 2, 3]}), None).is_empty(), "the next object has its own budget");
}
