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
fn corner_45_a_transition_rule_runs_only_on_a_change() {
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

/// Rules that must hold on one object of many types.
#[test]
fn the_language_as_kubernetes_speaks_it() {
    let properties = json!({
        "s": {"type": "string"}, "n": {"type": "integer"}, "d": {"type": "number"}, "b": {"type": "boolean"},
        "none": {"type": "string", "nullable": true}, "gone": {"type": "string"},
        "bytes": {"type": "string", "format": "byte"}, "day": {"type": "string", "format": "date"},
        "l": {"type": "array", "maxItems": 10, "items": {"type": "integer"}},
        "set": {"type": "array", "maxItems": 10, "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "other": {"type": "array", "maxItems": 10, "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "lm": {"type": "array", "maxItems": 10, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
            "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}, "v": {"type": "integer"}}}},
        "m": {"type": "object", "maxProperties": 10, "additionalProperties": {"type": "integer"}},
        "o": {"type": "object", "properties": {"x": {"type": "string"}}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    });
    let spec = json!({"s": "stra\u{df}e", "n": 3, "d": 1.5, "b": true, "none": null, "bytes": "aGk=", "day": "2026-01-02",
        "l": [3, 1, 2], "set": ["a", "b"], "other": ["b", "a"], "lm": [{"k": "x", "v": 1}, {"k": "y"}],
        "m": {"one": 1, "two": 2}, "o": {"x": "y"}, "free": {"hidden": 1}});
    for rule in [
        "size(self.s) == 6 && self.s.size() == 6",
        "self.s.contains('ra') && self.s.startsWith('st') && self.s.endsWith('e') && self.s.matches('^str')",
        "self.s.find('[a-r]+') == 'ra' && self.s.findAll('[a-z]').size() == 5",
        "has(self.o.x) && !has(self.gone) && has(self.none) && self.none == null",
        "!has(self.free.hidden) || true",
        "self.bytes == b'hi' && size(self.bytes) == 2",
        "self.day < timestamp('2026-01-03T00:00:00Z') && self.day.getFullYear() == 2026",
        "self.n / 2 == 1 && self.n % 2 == 1 && -self.n == -3 && self.d * 2.0 == 3.0",
        "self.n > 2 && self.n >= 3 && self.d < 2.0 && self.n < 3.5 && 'a' < 'b'",
        "self.l[0] == 3 && 2 in self.l && !(9 in self.l) && 'one' in self.m && self.m['two'] == 2",
        "self.l.all(x, x > 0) && self.l.exists(x, x == 2) && self.l.exists_one(x, x > 2)",
        "self.l.map(x, x * 2) == [6, 2, 4] && self.l.map(x, x > 1, x) == [3, 2] && self.l.filter(x, x < 3) == [1, 2]",
        "self.m.all(k, self.m[k] > 0) && self.m.map(k, k).size() == 2",
        // Two variables.
        "self.l.all(i, x, i < 3 && x > 0) && self.l.exists(i, x, i == 1 && x == 1)",
        "self.l.existsOne(i, x, x == i + 3) && self.m.all(k, v, v > 0 && k.size() == 3)",
        "self.l.transformList(i, x, i + x) == [3, 2, 4] && self.l.transformList(i, x, i > 0, x) == [1, 2]",
        "self.m.transformMap(k, v, v * 10) == {'one': 10, 'two': 20}",
        "self.m.transformMap(k, v, v > 1, v) == {'two': 2}",
        "self.l.transformMapEntry(i, x, {x: i}) == {3: 0, 1: 1, 2: 2}",
        "self.lm.all(i, x, self.lm.all(j, y, i == j || x.k != y.k))",
        // Lists by their type.
        "self.set == self.other && self.set + ['c'] == ['a', 'b', 'c'] && (self.set + self.other).size() == 2",
        "(self.lm + [{'k': 'x', 'v': 5}]).exists(e, e.k == 'x' && e.v == 5) && (self.lm + [{'k': 'x'}]).size() == 2",
        // Optionals.
        "self.?gone.orValue('d') == 'd' && self.?s.hasValue() && self.o.?x.value() == 'y'",
        "self.?gone.optMap(x, x + '!').orValue('none') == 'none' && self.?s.optMap(x, x.size()).value() == 6",
        "optional.none().or(optional.of(1)).value() == 1 && self.m[?'three'].orValue(3) == 3",
        "[?self.?gone, 'x'] == ['x'] && {?'a': self.?gone} == {}",
        // Errors give way to a decision.
        "1 / 0 == 1 || true",
        "true || self.m['three'] == 1",
        "!(false && 1 / 0 == 1)",
        "[1, 0, 2].exists(x, 2 / x == 1)",
        // Types and conversions.
        "type(self.n) == int && type(self.s) == string && type(self.l) == list && type(1u) == uint",
        "int('7') == 7 && string(self.n) == '3' && double(1) == 1.0 && dyn(self.n) == 3 && bool('true')",
        // Libraries.
        "self.l.sum() == 6 && self.l.min() == 1 && self.l.max() == 3 && self.l.indexOf(1) == 1 && ![2, 1].isSorted()",
        "' A,b '.trim().lowerAscii().split(',') == ['a', 'b'] && ['a', 'b'].join('-') == 'a-b'",
        "'hello'.substring(1, 3) == 'el' && 'a-b'.replace('-', '+') == 'a+b' && 'abc'.charAt(1) == 'b'",
        "'%s has %d'.format(['x', 2]) == 'x has 2'",
        "sets.contains(self.set, ['a']) && sets.intersects(self.set, ['b', 'z'])",
        "url('https://example.com:8080/p').getPort() == '8080' && isURL('https://example.com')",
        "ip('10.0.0.1').family() == 4 && cidr('10.0.0.0/8').containsIP('10.1.2.3') && !isIP('x')",
        "quantity('1Gi').compareTo(quantity('1024Mi')) == 0 && isQuantity('5m')",
        "semver('1.2.3').isLessThan(semver('1.10.0')) && isSemver('1.0.0')",
        "!format.dns1123Label().validate('ok').hasValue()",
        "duration('90m') == duration('1h30m') && duration('1h').getMinutes() == 60",
        "timestamp('2026-01-01T00:00:00Z') + duration('24h') == timestamp('2026-01-02T00:00:00Z')",
    ] {
        let written =
            json!({"type": "object", "properties": properties, "x-kubernetes-validations": [{"rule": rule}]});
        match parse(written) {
            Ok(schema) => assert_eq!(check(&schema, spec.clone(), None), Vec::<String>::new(), "{rule}"),
            Err(errors) => assert!(rule.contains("hidden"), "{rule}: {errors:?}"),
        }
    }
}

#[test]
fn rules_of_the_wrong_types_are_refused() {
    let properties = json!({"s": {"type": "string"}, "n": {"type": "integer"}, "o": {"type": "object",
        "properties": {"x": {"type": "string"}}}, "l": {"type": "array", "maxItems": 3, "items": {"type": "string"}}});
    for (rule, why) in [
        ("self.s + self.n == 'x'", "found no matching overload for '_+_' applied to '(string, int)'"),
        ("self.s == self.n", "found no matching overload for '_==_' applied to '(string, int)'"),
        ("self.s < 1", "found no matching overload for '_<_' applied to '(string, int)'"),
        ("foo == 1", "undeclared reference to 'foo' (in container '')"),
        ("foo(self.n)", "undeclared reference to 'foo' (in container '')"),
        ("self.s.frobnicate()", "undeclared reference to 'frobnicate' (in container '')"),
        ("self.o.y == 'a'", "undefined field 'y'"),
        ("self.s.x == 'a'", "type 'string' does not support field selection"),
        ("self.l.all(x, x.y)", "type 'string' does not support field selection"),
        ("self.l.all(i, x, x > i)", "found no matching overload for '_>_' applied to '(string, int)'"),
        ("self.n.all(x, true)", "expression of type 'int' cannot be range of a comprehension"),
        ("self.s.matches('(')", "error parsing regexp"),
        ("self.n", "cel expression must evaluate to a bool"),
        ("self.o", "cel expression must evaluate to a bool"),
        ("self.l.map(x, x)", "cel expression must evaluate to a bool"),
        ("self.l.transformMap(k, v)", "invalid arguments of transformMap"),
    ] {
        let written =
            json!({"type": "object", "properties": properties, "x-kubernetes-validations": [{"rule": rule}]});
        let errors = parse(written).map(|_| ()).unwrap_err();
        assert!(errors.len() == 1 && errors[0].contains(why), "{rule}: {errors:?}");
    }
    let number = json!({"type": "object", "properties": properties, "x-kubernetes-validations": [
        {"rule": "self.n == 1", "messageExpression": "self.n"}]});
    let errors = parse(number).map(|_| ()).unwrap_err();
    assert!(errors[0].contains(".messageExpression: Invalid value: "), "{errors:?}");
    assert!(errors[0].ends_with("messageExpression must evaluate to a string"), "{errors:?}");
}

#[test]
fn a_rule_pays_for_what_it_looks_at() {
    let schema = with_rules(
        json!({"s": {"type": "string"}, "l": {"type": "array", "maxItems": 1000, "items": {"type": "integer"}}}),
        json!([{"rule": "self.l.all(x, self.s.size() > x)"}]),
    );
    let numbers: Vec<i64> = (0..1000).collect();
    assert!(
        check(&schema, json!({"s": "x".repeat(2_000), "l": numbers}), None).is_empty(),
        "within the budget"
    );
    let found = check(&schema, json!({"s": "x".repeat(1 << 20), "l": numbers}), None);
    assert!(
        found[0].contains("running out of cost budget"),
        "the same loop over a text of a megabyte: {found:?}"
    );
}

#[test]
fn all_rules_of_an_object_share_a_budget() {
    let rules: Vec<Value> =
        (0..30).map(|n| json!({"rule": format!("self.l.all(x, self.l.all(y, x + y + {n} >= 0))")})).collect();
    let schema = with_rules(
        json!({"l": {"type": "array", "maxItems": 400, "items": {"type": "integer"}}}),
        json!(rules),
    );
    let numbers: Vec<i64> = (0..200).collect();
    let found = check(&schema, json!({"l": numbers}), None);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("running out of cost budget"), "{found:?}");
}

#[test]
fn the_rules_of_a_schema_are_estimated_together() {
    let rules: Vec<Value> = (0..120).map(|_| json!({"rule": "self.l.all(x, x > 0)"})).collect();
    let written = json!({"type": "object", "properties": {"l": {"type": "array", "items": {"type": "integer"}}},
        "x-kubernetes-validations": rules});
    let errors = parse(written).map(|_| ()).unwrap_err();
    assert!(
        errors[0].contains("estimated rule cost total for entire OpenAPIv3 schema exceeds budget"),
        "{errors:?}"
    );
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
