use super::{JsonPatch, PatchError, merge_patch, strategic_merge_patch};
use crate::builtin::by_plural;
use proptest::prelude::*;
use serde_json::{Value, json};

fn patched(target: Value, patch: Value) -> Result<Value, PatchError> {
    JsonPatch::parse(&patch)?.apply(&target)
}

#[test]
fn the_six_operations() {
    let target = json!({"a": {"b": [1, 2, 3]}, "c": "x"});
    let ops = json!([
        {"op": "test", "path": "/c", "value": "x"},
        {"op": "add", "path": "/a/b/-", "value": 4},
        {"op": "add", "path": "/a/b/0", "value": 0},
        {"op": "remove", "path": "/a/b/1"},
        {"op": "replace", "path": "/a/b/-1", "value": 9},
        {"op": "copy", "from": "/a/b", "path": "/d"},
        {"op": "move", "from": "/c", "path": "/a/e~1f"},
    ]);
    let expected = json!({"a": {"b": [0, 2, 3, 9], "e/f": "x"}, "d": [0, 2, 3, 9]});
    assert_eq!(patched(target, ops).unwrap(), expected);
}

#[test]
fn corner_30_test_for_null_passes_on_a_missing_member() {
    let target = json!({"metadata": {"name": "a"}});
    for op in [
        json!({"op": "test", "path": "/metadata/finalizers", "value": null}),
        json!({"op": "test", "path": "/metadata/finalizers"}),
    ] {
        let ops = json!([op, {"op": "add", "path": "/metadata/finalizers", "value": ["f"]}]);
        assert_eq!(patched(target.clone(), ops).unwrap()["metadata"]["finalizers"], json!(["f"]));
    }
    let no_parent = json!([{"op": "test", "path": "/status/x", "value": null}]);
    assert!(patched(target.clone(), no_parent).is_err());
    let present = json!([{"op": "test", "path": "/metadata/name", "value": null}]);
    assert!(patched(target, present).is_err());
}

#[test]
fn replace_of_a_missing_member_sets_it() {
    let ops = json!([{"op": "replace", "path": "/a/b", "value": 1}]);
    assert_eq!(patched(json!({"a": {}}), ops.clone()).unwrap(), json!({"a": {"b": 1}}));
    assert!(patched(json!({}), ops).is_err());
}

#[test]
fn failing_operations_refuse_the_whole_patch() {
    for op in [
        json!({"op": "remove", "path": "/x"}),
        json!({"op": "add", "path": "/l/9", "value": 1}),
        json!({"op": "replace", "path": "/l/2", "value": 1}),
        json!({"op": "add", "path": "/s/x", "value": 1}),
        json!({"op": "frob", "path": "/l"}),
        json!({"op": "add", "value": 1}),
        json!({"op": "remove", "path": "/l/-3"}),
    ] {
        let target = json!({"l": [1, 2], "s": "text"});
        assert!(matches!(patched(target, json!([op.clone()])), Err(PatchError::Rejected(_))), "{op}");
    }
}

#[test]
fn documents_that_are_no_patch() {
    assert_eq!(patched(json!({"a": 1}), json!(null)).unwrap(), json!({"a": 1}));
    assert_eq!(patched(json!({"a": 1}), json!([])).unwrap(), json!({"a": 1}));
    assert_eq!(
        patched(json!({}), json!({})).unwrap_err().to_string(),
        "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
    );
    let many = vec![json!({"op": "test", "path": ""}); 10_001];
    assert_eq!(
        patched(json!({}), Value::Array(many)).unwrap_err().to_string(),
        "The allowed maximum operations in a JSON patch is 10000, got 10001"
    );
    assert_eq!(JsonPatch::unknown_fields(&json!([{"op": "add", "foo": 1}])), ["[0].foo"]);
}

#[test]
fn copies_may_not_explode() {
    let mut ops = vec![json!({"op": "add", "path": "/a", "value": "x".repeat(1024)})];
    for _ in 0..100 {
        ops.push(json!({"op": "copy", "from": "", "path": "/b"}));
    }
    assert!(matches!(patched(json!({}), Value::Array(ops)), Err(PatchError::Rejected(_))));
}

#[test]
fn operations_cannot_move_without_end_nor_build_any_depth() {
    let long: Vec<u32> = (0..100_000).collect();
    let front: Vec<Value> = (0..1_000).map(|_| json!({"op": "remove", "path": "/l/0"})).collect();
    assert!(matches!(patched(json!({"l": long}), Value::Array(front)), Err(PatchError::Rejected(_))));
    let mut deeper = vec![json!({"op": "add", "path": "/a", "value": {}})];
    for _ in 0..500 {
        deeper.push(json!({"op": "add", "path": "/b", "value": {}}));
        deeper.push(json!({"op": "move", "from": "/a", "path": "/b/a"}));
        deeper.push(json!({"op": "move", "from": "/b", "path": "/a"}));
    }
    assert!(matches!(patched(json!({}), Value::Array(deeper)), Err(PatchError::Rejected(_))));
}

#[test]
fn long_lists_are_merged_without_searching_them() {
    // A search of one list for each item of the other would take minutes.
    let names: Vec<String> = (0..20_000).map(|number| format!("example.com/f{number}")).collect();
    let live = json!({"metadata": {"finalizers": names}});
    let mut turned = names.clone();
    turned.reverse();
    let patch = json!({"metadata": {"$setElementOrder/finalizers": turned, "finalizers": turned}});
    let merged = strategic(("", "pods"), live, patch).unwrap();
    assert_eq!(merged["metadata"]["finalizers"], json!(turned));
    let containers = |image: &str| -> Vec<Value> {
        (0..20_000).map(|number| json!({"name": format!("c{number}"), "image": image})).collect()
    };
    let merged = strategic(("", "pods"), pod(json!(containers("1"))), pod(json!(containers("2")))).unwrap();
    assert_eq!(merged, pod(json!(containers("2"))));
}

#[test]
fn merge_patch_follows_rfc_7386() {
    let mut target = json!({"a": "b", "c": {"d": "e", "f": "g"}, "l": [1, {"x": 2}], "m": 1});
    let patch = json!({"a": "z", "c": {"f": null}, "l": [3], "m": {"n": null, "o": 1}, "metadata": null});
    merge_patch(&mut target, &patch).unwrap();
    assert_eq!(target, json!({"a": "z", "c": {"d": "e"}, "l": [3], "m": {"o": 1}}));
    assert_eq!(
        merge_patch(&mut target, &json!([])).unwrap_err().to_string(),
        "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"
    );
}

fn strategic(kind: (&str, &str), mut target: Value, patch: Value) -> Result<Value, PatchError> {
    let schema = by_plural(kind.0, "v1", kind.1).unwrap().schema();
    strategic_merge_patch(&mut target, &patch, schema)?;
    Ok(target)
}

fn pod(containers: Value) -> Value {
    json!({"spec": {"containers": containers}})
}

#[test]
fn strategic_merge_puts_new_items_first_and_keeps_the_others() {
    let live = pod(json!([{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]));
    let patch = pod(json!([{"name": "b", "image": "2"}, {"name": "c", "image": "1"}]));
    let expected =
        pod(json!([{"name": "a", "image": "1"}, {"name": "b", "image": "2"}, {"name": "c", "image": "1"}]));
    let merged = strategic(("", "pods"), live.clone(), patch).unwrap();
    assert_eq!(merged, expected);
    let fresh = strategic(("", "pods"), live, pod(json!([{"name": "c", "image": "1"}]))).unwrap();
    assert_eq!(fresh["spec"]["containers"][0]["name"], "c");
}

#[test]
fn strategic_directives() {
    let live = pod(json!([{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]));
    let deleted =
        strategic(("", "pods"), live.clone(), pod(json!([{"name": "a", "$patch": "delete"}]))).unwrap();
    assert_eq!(deleted, pod(json!([{"name": "b", "image": "1"}])));
    let replaced =
        strategic(("", "pods"), live.clone(), pod(json!([{"$patch": "replace"}, {"name": "z"}]))).unwrap();
    assert_eq!(replaced, pod(json!([{"name": "z"}])));
    let ordered = json!({"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
        "containers": [{"name": "b", "image": "3"}]}});
    assert_eq!(
        strategic(("", "pods"), live.clone(), ordered).unwrap(),
        pod(json!([{"name": "b", "image": "3"}, {"name": "a", "image": "1"}]))
    );
    let unordered = json!({"spec": {"$setElementOrder/containers": [{"name": "a"}],
        "containers": [{"name": "b", "image": "3"}]}});
    assert!(
        strategic(("", "pods"), live.clone(), unordered).unwrap_err().to_string().contains("doesn't match")
    );
    let keyless = pod(json!([{"image": "q"}]));
    assert_eq!(
        strategic(("", "pods"), live.clone(), keyless).unwrap_err().to_string(),
        "map: map[image:q] does not contain declared merge key: name"
    );
    let unknown = json!({"spec": {"$patch": "frob"}});
    assert_eq!(
        strategic(("", "pods"), live.clone(), unknown).unwrap_err().to_string(),
        "unknown patch type: frob in map: map[$patch:frob]"
    );
    let whole = json!({"spec": {"$patch": "replace", "nodeName": "n"}});
    assert_eq!(strategic(("", "pods"), live, whole).unwrap(), json!({"spec": {"nodeName": "n"}}));
}

#[test]
fn strategic_retain_keys_and_primitive_lists() {
    let live = json!({"metadata": {"finalizers": ["a", "b"]},
        "spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
    let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"]},
        "spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
    assert_eq!(
        strategic(("apps", "deployments"), live.clone(), patch).unwrap(),
        json!({"metadata": {"finalizers": ["c", "b"]}, "spec": {"strategy": {"type": "Recreate"}}})
    );
    let stray = json!({"spec": {"strategy": {"$retainKeys": [], "type": "Recreate"}}});
    assert_eq!(
        strategic(("apps", "deployments"), live, stray).unwrap_err(),
        PatchError::BadRequest("invalid patch format of retainKeys".to_owned())
    );
}

#[test]
fn lists_without_a_merge_key_are_replaced_and_nothing_of_a_directive_is_stored() {
    let live = pod(json!([{"name": "a", "args": ["x"], "env": [{"name": "E", "value": "1"}]}]));
    let patch = pod(json!([{"name": "a", "args": ["y"], "env": [{"name": "E", "value": null}]},
        {"name": "n", "env": [{"name": "F", "$patch": "delete"}], "image": null}]));
    assert_eq!(
        strategic(("", "pods"), live, patch).unwrap(),
        pod(json!([{"name": "a", "args": ["y"], "env": [{"name": "E"}]}, {"name": "n", "env": []}]))
    );
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..3).prop_map(Value::from),
        "[ab]{0,2}".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map(
                "a|b|name|op|path|\\$patch|\\$retainKeys|\\$setElementOrder/a|containers|spec",
                inner,
                0..4
            )
            .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_patch_makes_us_panic(target in any_value(), patch in any_value()) {
        let _ = patched(target.clone(), Value::Array(vec![patch.clone()]));
        let _ = merge_patch(&mut target.clone(), &patch);
        let _ = strategic(("", "pods"), target, patch);
    }

    #[test]
    fn a_merge_patch_applied_twice_changes_nothing_more(target in any_value(), patch in any_value()) {
        let mut once = target;
        if merge_patch(&mut once, &patch).is_ok() {
            let mut twice = once.clone();
            merge_patch(&mut twice, &patch).unwrap();
            prop_assert_eq!(once, twice);
        }
    }
}
