//! Whatever bytes come in, nothing panics and the work is bounded (`spec/apiserver.md` 22).
//!
//! Inputs are valid ones that were changed at random, and large ones made to hurt. Normal runs try a few hundred of
//! each; `OKRA_FUZZ_CASES=100000 cargo test -p okra-apiserver fuzz` looks further. There is no folder for `cargo fuzz`:
//! it needs a nightly compiler.

use crate::apply::{Writer, apply, track_update};
use crate::builtin::by_plural;
use crate::http::{json, query::Query, yaml};
use crate::patch::{JsonPatch, merge_patch, strategic_merge_patch};
use crate::protobuf;
use crate::schema::Schema;
use crate::selector::{FieldSelector, LabelSelector};
use crate::table::JsonPath;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

/// Cases of each target in a normal run.
const CASES: u32 = 300;
/// The size that inputs made to hurt have.
const LARGE: usize = 1 << 20;

fn config() -> Config {
    let cases = std::env::var("OKRA_FUZZ_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(CASES);
    Config { cases, failure_persistence: None, ..Config::default() }
}

/// One change to an input.
#[derive(Debug, Clone)]
enum Edit {
    Flip(usize, u8),
    Cut(usize, usize),
    Repeat(usize, usize, usize),
    Insert(usize, &'static str),
}

/// Pieces that mean something to one of the targets.
const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "\"",
    "'",
    ":",
    ",",
    "\n",
    "\\",
    "\\u0000",
    "null",
    "true",
    "-1",
    "1e309",
    "18446744073709551616",
    "$patch",
    "$setElementOrder/a",
    "&a ",
    "*a",
    "!!binary ",
    "<<: ",
    "%",
    "..",
    "[*]",
    "[?(@.a)]",
    " in (",
    "notin",
    "!=",
    "==",
    ">",
    "self",
    "oldSelf",
    ".all(x, ",
    "size()",
    "matches('",
    "?",
    "1/0",
    "\u{e9}",
    "~1",
    "-",
    "/metadata/name",
    "k8s\0",
    "\u{0}",
    "x-kubernetes-list-type",
];

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Edit::Flip(at, byte)),
        (any::<usize>(), 1usize..16).prop_map(|(at, length)| Edit::Cut(at, length)),
        (any::<usize>(), 1usize..16, 1usize..8)
            .prop_map(|(at, length, times)| Edit::Repeat(at, length, times)),
        (any::<usize>(), prop::sample::select(WORDS)).prop_map(|(at, word)| Edit::Insert(at, word)),
    ]
}

fn edited(seed: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for edit in edits {
        let place = |at: usize| if bytes.is_empty() { 0 } else { at % bytes.len() };
        match *edit {
            Edit::Flip(at, byte) => {
                let at = place(at);
                if let Some(old) = bytes.get_mut(at) {
                    *old ^= byte;
                }
            }
            Edit::Cut(at, length) => {
                let at = place(at);
                let end = (at + length).min(bytes.len());
                drop(bytes.drain(at..end));
            }
            Edit::Repeat(at, length, times) => {
                let at = place(at);
                let end = (at + length).min(bytes.len());
                let piece = bytes[at..end].repeat(times);
                drop(bytes.splice(end..end, piece));
            }
            Edit::Insert(at, word) => {
                let at = place(at);
                drop(bytes.splice(at..at, word.bytes()));
            }
        }
    }
    bytes
}

/// Runs a target on changed seeds.
fn fuzz(seeds: &[&[u8]], target: impl Fn(&[u8])) {
    let seeds: Vec<Vec<u8>> = seeds.iter().map(|seed| seed.to_vec()).collect();
    let inputs = (prop::sample::select(seeds), prop::collection::vec(edit(), 0..12));
    TestRunner::new(config())
        .run(&inputs, |(seed, edits)| {
            target(&edited(&seed, &edits));
            Ok(())
        })
        .unwrap();
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const OBJECT: &[u8] = br#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","labels":{"x":"y"},"finalizers":["a/b"]},
 "spec":{"containers":[{"name":"c","image":"i","ports":[{"containerPort":80}],"env":[{"name":"E","value":"1"}]}]}}"#;
const YAML: &[u8] = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: &n a\n  labels: {x: *n}\ndata:\n  k: |\n    text\n  l: [1, 2.5, ~]\n";
const PATCH: &[u8] = br#"[{"op":"test","path":"/metadata/name","value":"a"},{"op":"add","path":"/spec/containers/-","value":{}},
 {"op":"move","from":"/metadata/labels","path":"/spec/l"},{"op":"copy","from":"/spec","path":"/metadata/c"},{"op":"remove","path":"/spec/containers/0"}]"#;
const STRATEGIC: &[u8] = br#"{"metadata":{"labels":{"x":null},"$deleteFromPrimitiveList/finalizers":["a/b"]},"spec":{
 "$setElementOrder/containers":[{"name":"d"},{"name":"c"}],"containers":[{"name":"d"},{"name":"c","$patch":"delete"}]}}"#;
const SCHEMA: &[u8] = br#"{"type":"object","properties":{"spec":{"type":"object","x-kubernetes-validations":[{"rule":"self.a == 1","message":"m"}],
 "properties":{"a":{"type":"integer","default":1,"minimum":0},"l":{"type":"array","maxItems":5,"x-kubernetes-list-type":"map",
 "x-kubernetes-list-map-keys":["n"],"items":{"type":"object","required":["n"],"properties":{"n":{"type":"string","pattern":"^a+$"}}}},
 "i":{"x-kubernetes-int-or-string":true},"r":{"type":"object","x-kubernetes-preserve-unknown-fields":true}},"oneOf":[{"required":["a"]}]}}}"#;
/// Namespace `n` as kubectl sends it, with a label.
const PROTOBUF: &[u8] =
    b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09Namespace\x12\x0d\x0a\x0b\x0a\x01n\x5a\x06\x0a\x01a\x12\x01b";

#[test]
fn fuzz_json_and_yaml() {
    fuzz(&[OBJECT, YAML, PATCH, STRATEGIC, b"", b"null"], |bytes| {
        let _ = json::decode(bytes);
        let _ = yaml::decode(bytes);
    });
}

#[test]
fn fuzz_protobuf() {
    fuzz(&[PROTOBUF, b"k8s\0"], |bytes| {
        for (version, kind) in
            [("v1", "Namespace"), ("v1", "Pod"), ("apiextensions.k8s.io/v1", "CustomResourceDefinition")]
        {
            let _ = protobuf::decode(bytes, (version, kind));
        }
    });
}

#[test]
fn fuzz_selectors_paths_and_parameters() {
    let seeds: [&[u8]; 6] = [
        b"a=b,c!=d,e in (x, y),f notin (z),g,!h,i>1",
        b"metadata.name=a,spec.x!=b\\,c",
        b".spec.a['b'][0][*][1:3][?(@.type==\"Ready\")].status",
        b"{..a.b}",
        b"limit=1&continue=abc&resourceVersion=0&fieldManager=x&dryRun=All&fieldValidation=Strict",
        b"",
    ];
    let object: Value = serde_json::from_slice(OBJECT).unwrap();
    fuzz(&seeds, |bytes| {
        let text = text(bytes);
        if let Ok(selector) = LabelSelector::parse(&text) {
            selector.matches(&object);
        }
        if let Ok(selector) = FieldSelector::parse(&text) {
            selector.matches(&object);
        }
        if let Ok(path) = JsonPath::parse(&text) {
            path.all(&object);
            path.first(&object);
        }
        let query = Query::parse(Some(&text));
        let _ =
            (query.integer("limit"), query.dry_run("CreateOptions"), query.field_manager("CreateOptions"));
        let _ = query.field_validation("CreateOptions");
    });
}

#[test]
fn fuzz_patches() {
    let pod = by_plural("", "v1", "pods").unwrap().schema();
    let object: Value = serde_json::from_slice(OBJECT).unwrap();
    fuzz(&[OBJECT, PATCH, STRATEGIC], |bytes| {
        let Ok(decoded) = json::decode(bytes) else { return };
        if let Ok(patch) = JsonPatch::parse(&decoded.value) {
            let _ = patch.apply(&object);
        }
        let _ = merge_patch(&mut object.clone(), &decoded.value);
        let _ = strategic_merge_patch(&mut object.clone(), &decoded.value, pod);
    });
}

#[test]
fn fuzz_applied_configurations() {
    let pod = by_plural("", "v1", "pods").unwrap().schema();
    let writer = Writer {
        manager: "a",
        api_version: "v1",
        subresource: "",
        time: "2026-01-01T00:00:00Z",
        has_status: true,
        versions: None,
    };
    let mut live: Value = serde_json::from_slice(OBJECT).unwrap();
    track_update(pod, None, &mut live, &writer);
    let managed = live.to_string();
    fuzz(&[OBJECT, managed.as_bytes()], |bytes| {
        let Ok(decoded) = json::decode(bytes) else { return };
        let _ = apply(pod, Some(&live), &decoded.value, &writer, true);
        let _ = apply(pod, None, &decoded.value, &writer, false);
        let mut new = decoded.value;
        track_update(pod, Some(&live), &mut new, &writer);
    });
}

#[test]
fn fuzz_schemas() {
    let object = json!({"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "n"},
        "spec": {"a": 1, "l": [{"n": "a"}, {"n": null}], "i": "5%", "r": {"x": [1]}}});
    fuzz(&[SCHEMA], |bytes| {
        let Ok(decoded) = json::decode(bytes) else { return };
        let Ok(schema) = Schema::parse(&decoded.value, "p") else { return };
        let mut object = object.clone();
        schema.prune(&mut object);
        schema.default(&mut object);
        schema.validate(&object, Some(&json!({"spec": {"a": 2}})));
    });
}

fn rule(text: &str) -> Value {
    json!({"type": "object", "properties": {
        "s": {"type": "string"}, "n": {"type": "integer"}, "d": {"type": "number"}, "b": {"type": "boolean"},
        "l": {"type": "array", "maxItems": 10, "items": {"type": "integer"}},
        "m": {"type": "object", "maxProperties": 10, "additionalProperties": {"type": "string"}},
        "o": {"type": "object", "properties": {"x": {"type": "string"}}}},
        "x-kubernetes-validations": [{"rule": text, "messageExpression": "'m' + self.s"}]})
}

#[test]
fn fuzz_rules() {
    let object =
        json!({"s": "text", "n": 3, "d": 0.5, "b": true, "l": [1, 2, 3], "m": {"k": "v"}, "o": {"x": "y"}});
    let seeds: [&[u8]; 5] = [
        b"self.l.all(x, x > 0 && x < self.n) || has(self.o.x) && self.o.x.startsWith('y')",
        b"self.m.exists(k, self.m[k] == 'v') ? self.s.matches('^t.*') : size(self.l) == 3",
        b"oldSelf.n <= self.n && [1, 2].map(i, i * 2).filter(j, j > 2).size() == 1",
        b"self.l.transformList(i, x, i + x).sum() == 9 && {'a': 1}.transformMap(k, v, v + 1)['a'] == 2",
        b"quantity('1Gi').isGreaterThan(quantity('1Mi')) && optional.of(1).orValue(2) == 1 && duration('1h') > duration('1m')",
    ];
    fuzz(&seeds, |bytes| {
        if let Ok(schema) = Schema::parse(&rule(&text(bytes)), "p") {
            schema.validate(&object, Some(&object));
            schema.validate(&object, Some(&json!({"n": 1})));
        }
    });
}

/// A text of brackets, signs or words that is as long as [`LARGE`].
fn large(piece: &str) -> String {
    piece.repeat(LARGE / piece.len())
}

#[test]
fn large_documents_end_soon() {
    for piece in [
        "[", "{\"a\":", "\"a", "[[],", "1,", "\\u0000", "- ", "? ", "a: ", "&a ", "*a ", "{{", "|\n", "\"\\",
        "- - ", "\t",
    ] {
        let body = large(piece);
        let _ = json::decode(body.as_bytes());
        let _ = yaml::decode(body.as_bytes());
    }
    let duplicates = format!("{{{}\"a\":1}}", large("\"a\":1,"));
    assert!(json::decode(duplicates.as_bytes()).unwrap().duplicates.len() > 100_000);
    let wide = format!("[{}0]", large("0,"));
    assert!(json::decode(wide.as_bytes()).is_ok());
    for byte in [0u8, 0x0a, 0x12, 0xff, 0x08] {
        let body = [b"k8s\0".as_slice(), &vec![byte; LARGE]].concat();
        let _ = protobuf::decode(&body, ("v1", "Pod"));
    }
}

#[test]
fn large_selectors_and_paths_end_soon() {
    let object: Value = serde_json::from_slice(OBJECT).unwrap();
    for piece in [
        "a,",
        "!a,",
        "a in (b),",
        "a=b,",
        "(",
        "\\,",
        "a in (b,",
        ".a",
        "[0]",
        "..",
        "[*]",
        "[?(@.a)]",
        "['a']",
        "=",
    ] {
        let text = large(piece);
        if let Ok(selector) = LabelSelector::parse(&text) {
            selector.matches(&object);
        }
        if let Ok(selector) = FieldSelector::parse(&text) {
            selector.matches(&object);
        }
        if let Ok(path) = JsonPath::parse(&text) {
            path.all(&object);
        }
        Query::parse(Some(&text));
    }
}

#[test]
fn large_patches_end_soon() {
    let many: Vec<Value> = (0..50_000).map(|number| json!(number)).collect();
    let fields = |value: &Value| -> Value {
        (0..50_000)
            .map(|number| (format!("k{number}"), value.clone()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let mut object = json!({"data": fields(&json!("1")), "list": many});
    merge_patch(&mut object, &json!({"data": fields(&Value::Null)})).unwrap();
    assert_eq!(object["data"], json!({}));
    for operation in [
        json!({"op": "remove", "path": "/list/0"}),
        json!({"op": "add", "path": "/list/0", "value": 1}),
        json!({"op": "copy", "from": "", "path": "/x"}),
        json!({"op": "move", "from": "/list", "path": "/list"}),
        json!({"op": "test", "path": "/list/49999", "value": 49999}),
    ] {
        let patch = JsonPatch::parse(&Value::Array(vec![operation; 10_000])).unwrap();
        let _ = patch.apply(&object);
    }
}

#[test]
fn large_rules_end_soon() {
    for piece in [
        "(", "!", "-", "[", "a.", "1+", "a?b:", "x.all(y,", "'a'+", "{'a':", "a||", "a&&", "\\", "\"",
        "a.b().",
    ] {
        assert!(Schema::parse(&rule(&large(piece)), "p").is_err(), "{piece}");
        let within = piece.repeat(2_000 / piece.len());
        let _ = Schema::parse(&rule(&within), "p");
    }
}

/// Rules that would take long or much memory if nothing counted.
#[test]
fn rules_on_large_objects_stay_within_their_budget() {
    let numbers: Vec<u32> = (0..100_000).collect();
    let object = json!({"l": numbers, "s": "x".repeat(LARGE), "m": {}, "o": {}});
    let mut written = rule("true");
    for name in ["l", "m"] {
        written["properties"][name].as_object_mut().unwrap().retain(|word, _| !word.starts_with("max"));
    }
    for text in [
        "self.l.all(x, self.s.size() > x)",
        "self.l.all(x, self.s.contains(string(x)))",
        "self.l.all(x, x in self.l)",
        "self.l.map(x, self.s + string(x)).size() > 0",
        "self.l.map(x, x).map(x, x).map(x, x).size() > 0",
        "self.l == self.l.map(x, x)",
        "lists.range(1000000000).size() > 0",
        "self.s.replace('', self.s).size() > 0",
        "'%.999999999f'.format([1.0]).size() > 0",
        "self.s.matches('(x*)*(x*)*y')",
        "sets.contains(self.l, self.l)",
        "self.l.distinct().size() > 0",
        "self.s.split('').size() > 0",
        "self.s.indexOf(self.s + 'y') < 0",
        "[self.s, self.s, self.s].map(s, s + s).map(s, s + s).map(s, s + s).map(s, s + s).size() > 0",
    ] {
        written["x-kubernetes-validations"] = json!([{"rule": text}]);
        match Schema::parse(&written, "p") {
            Ok(schema) => drop(schema.validate(&object, None)),
            Err(errors) => panic!("{text}: {errors:?}"),
        }
    }
}

#[test]
fn large_objects_are_checked_soon() {
    let list = json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"], "items": {
        "type": "object", "required": ["n"], "properties": {"n": {"type": "string", "x-kubernetes-validations": [
            {"rule": "self != ''"}]}, "v": {"type": "integer"}}}});
    let schema = Schema::parse(&json!({"type": "object", "properties": {"l": list}}), "p").unwrap();
    let items = |value: Value| -> Value {
        let items = (0..50_000).map(|number| json!({"n": format!("x{number}"), "v": value}));
        json!({"l": items.collect::<Vec<_>>()})
    };
    let old = items(json!(1));
    assert!(schema.validate(&items(json!(2)), Some(&old)).is_empty(), "each item finds its past");
    let errors = schema.validate(&items(json!("text")), None);
    assert!((1_000..1_010).contains(&errors.len()), "{}", errors.len());
    crate::schema::FieldError::aggregate(&errors);
}
