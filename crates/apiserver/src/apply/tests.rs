//! The vectors of `spec/apiserver.md` 12.9, and properties that hold for every sequence of applies.

use super::{ApplyError, Outcome, Writer, apply, owners, track_update};
use crate::schema::Schema;
use proptest::prelude::*;
use serde_json::{Value, json};

fn schema() -> Schema {
    let text = json!({"type": "string", "nullable": true});
    let written = json!({"type": "object", "properties": {
        "data": {"type": "object", "additionalProperties": {"type": "string"}},
        "spec": {"type": "object", "properties": {
            "replicas": {"type": "integer"},
            "n": text,
            "m": {"type": "object", "additionalProperties": {"type": "string"}},
            "g": {"type": "object", "properties": {"x": {"type": "string"}, "y": {"type": "string"}}},
            "at": {"type": "array", "items": {"type": "integer"}},
            "set": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            "lm": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "required": ["name"], "properties": {
                    "name": {"type": "string"}, "v": {"type": "integer"}}}},
            "ports": {"type": "array", "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["port", "protocol"],
                "items": {"type": "object", "required": ["port"], "properties": {
                    "port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}}}},
        }},
        "status": {"type": "object", "properties": {"ready": {"type": "integer"}}},
    }});
    Schema::parse(&written, "spec").unwrap()
}

fn writer(manager: &str) -> Writer<'_> {
    at(manager, "2026-01-01T00:00:00Z")
}

fn at<'a>(manager: &'a str, time: &'a str) -> Writer<'a> {
    Writer { manager, api_version: "v1", subresource: "", time, has_status: true, versions: None }
}

fn body(fields: Value) -> Value {
    let mut body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}});
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn data(pairs: Value) -> Value {
    body(json!({"data": pairs}))
}

fn run(live: Option<&Value>, who: &str, applied: Value, force: bool) -> Result<Value, ApplyError> {
    match apply(&schema(), live, &applied, &writer(who), force)? {
        Outcome::Changed(object) => Ok(object),
        Outcome::Unchanged => Ok(live.unwrap().clone()),
    }
}

fn ok(live: Option<&Value>, who: &str, applied: Value) -> Value {
    run(live, who, applied, false).unwrap()
}

fn put(live: Option<&Value>, who: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut new = live.cloned().unwrap_or_else(|| data(json!({})));
    change(&mut new);
    track_update(&schema(), live, &mut new, &writer(who));
    new
}

fn owned_by(object: &Value, who: &str) -> Vec<String> {
    owners(object).into_iter().filter(|(manager, _)| manager == who).flat_map(|(_, paths)| paths).collect()
}

fn conflict(result: Result<Value, ApplyError>) -> Vec<(String, String)> {
    match result {
        Err(ApplyError::Conflicts(all)) => all.into_iter().map(|one| (one.manager, one.field)).collect(),
        other => panic!("expected a conflict, got {other:?}"),
    }
}

fn a1() -> Value {
    ok(None, "a", data(json!({"x": "1", "y": "2"})))
}

#[test]
fn a1_apply_creates_and_owns() {
    let object = a1();
    assert_eq!(object["data"], json!({"x": "1", "y": "2"}));
    assert_eq!(owned_by(&object, "a"), [".data.x", ".data.y"]);
    assert_eq!(object["metadata"]["managedFields"][0]["fieldsV1"], json!({"f:data": {"f:x": {}, "f:y": {}}}));
}

#[test]
fn a2_a_dropped_field_is_removed() {
    let object = ok(Some(&a1()), "a", data(json!({"x": "1"})));
    assert_eq!(object["data"], json!({"x": "1"}));
    let none = ok(Some(&a1()), "a", body(json!({})));
    assert!(none.get("data").is_none());
    assert!(none["metadata"].get("managedFields").is_none());
}

#[test]
fn a3_corner_57_equal_values_are_owned_together() {
    let both = ok(Some(&a1()), "b", data(json!({"x": "1"})));
    assert_eq!(owned_by(&both, "a"), [".data.x", ".data.y"]);
    assert_eq!(owned_by(&both, "b"), [".data.x"]);
    let dropped = ok(Some(&both), "a", data(json!({"y": "2"})));
    assert_eq!(dropped["data"], json!({"x": "1", "y": "2"}), "corner 58: what another manager owns stays");
    assert_eq!(owned_by(&dropped, "b"), [".data.x"]);
}

#[test]
fn a4_another_value_is_a_conflict() {
    let conflicts = run(Some(&a1()), "b", data(json!({"x": "2"})), false);
    assert_eq!(
        conflicts.as_ref().unwrap_err().to_string(),
        "Apply failed with 1 conflict: conflict with \"a\": .data.x"
    );
    assert_eq!(conflict(conflicts), [("\"a\"".to_owned(), ".data.x".to_owned())]);
}

#[test]
fn a5_force_takes_exactly_the_conflict() {
    let object = run(Some(&a1()), "b", data(json!({"x": "2"})), true).unwrap();
    assert_eq!(object["data"]["x"], "2");
    assert_eq!(owned_by(&object, "a"), [".data.y"]);
    assert_eq!(owned_by(&object, "b"), [".data.x"]);
}

#[test]
fn a6_an_update_takes_the_field() {
    let object = put(Some(&a1()), "u", |new| new["data"]["x"] = json!("3"));
    assert_eq!(owned_by(&object, "u"), [".data.x"]);
    assert_eq!(owned_by(&object, "a"), [".data.y"]);
    let again = run(Some(&object), "a", data(json!({"x": "1", "y": "2"})), false);
    assert_eq!(conflict(again), [("\"u\" using v1".to_owned(), ".data.x".to_owned())]);
}

#[test]
fn what_a_lost_version_recorded_is_forgotten() {
    let versions = ["v1".to_owned(), "v2".to_owned()];
    let of = |manager, api_version| Writer { api_version, versions: Some(&versions), ..writer(manager) };
    let mut object = data(json!({"x": "1", "y": "2"}));
    track_update(&schema(), None, &mut object, &Writer { api_version: "v0", ..writer("old") });
    let applied = data(json!({"x": "1"}));
    let Ok(Outcome::Changed(both)) = apply(&schema(), Some(&object), &applied, &of("a", "v1"), false) else {
        panic!("it is applied")
    };
    assert!(owned_by(&both, "old").is_empty(), "{both}");
    // An update forgets it as well, and keeps what other versions of today recorded.
    let mut new = object.clone();
    let entry = json!({"manager": "b", "operation": "Apply", "apiVersion": "v2", "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {"f:x": {}}}});
    object["metadata"]["managedFields"].as_array_mut().unwrap().push(entry);
    new["metadata"]["managedFields"] = object["metadata"]["managedFields"].clone();
    new["data"]["y"] = json!("3");
    track_update(&schema(), Some(&object), &mut new, &of("u", "v1"));
    let owners: Vec<String> = owners(&new).into_iter().map(|(manager, _)| manager).collect();
    assert_eq!(owners, ["b", "u"]);
    // A field of the lost version can be taken over without a word.
    let taken = apply(&schema(), Some(&object), &data(json!({"y": "9"})), &of("c", "v1"), false);
    assert!(taken.is_ok(), "{taken:?}");
}

#[test]
fn numbers_are_known_by_their_value_not_by_how_they_are_written() {
    let spec = |replicas: Value, at: Value| body(json!({"spec": {"replicas": replicas, "at": at}}));
    let object = ok(None, "a", spec(json!(1.0), json!([1.0, 2])));
    let both = ok(Some(&object), "b", spec(json!(1), json!([1, 2.0])));
    assert_eq!(both["spec"], object["spec"], "what is the same is not written again");
    assert_eq!(owned_by(&both, "a"), owned_by(&both, "b"));
    let updated = put(Some(&both), "u", |new| new["spec"]["replicas"] = json!(1));
    assert!(owned_by(&updated, "u").is_empty());
    for other in [spec(json!(2.0), json!([1, 2])), spec(json!(1), json!([2, 1])), spec(json!(1), json!([1]))]
    {
        assert_eq!(conflict(run(Some(&both), "c", other, false)).len(), 2, "one field of two owners");
    }
}

#[test]
fn a7_corner_24_the_same_body_again_changes_nothing() {
    let later = at("a", "2027-01-01T00:00:00Z");
    let again = apply(&schema(), Some(&a1()), &data(json!({"x": "1", "y": "2"})), &later, false).unwrap();
    assert_eq!(again, Outcome::Unchanged);
}

fn names(object: &Value) -> Vec<&str> {
    object["spec"]["lm"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

fn list(names: &[&str]) -> Value {
    let items: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
    body(json!({"spec": {"lm": items}}))
}

#[test]
fn a8_list_maps_merge_by_key() {
    let start = body(json!({"spec": {"lm": [{"name": "p", "v": 1}, {"name": "q", "v": 2}]}}));
    let object = ok(Some(&ok(None, "a", start)), "b", list(&["r"]));
    assert_eq!(names(&object), ["p", "q", "r"]);
    let dropped = ok(Some(&object), "a", body(json!({"spec": {"lm": [{"name": "q", "v": 2}]}})));
    assert_eq!(names(&dropped), ["q", "r"]);
}

#[test]
fn corner_59_the_applied_order_decides_and_live_items_keep_their_neighbours() {
    let first = ok(None, "a", list(&["q", "r"]));
    let second = ok(Some(&first), "a", list(&["new", "r", "q"]));
    assert_eq!(names(&second), ["new", "r", "q"]);
    let third = ok(Some(&second), "b", list(&["zz", "q"]));
    assert_eq!(names(&third), ["new", "r", "zz", "q"]);
}

#[test]
fn a9_the_default_of_a_key_field_is_part_of_the_key() {
    let ports = |items: Value| body(json!({"spec": {"ports": items}}));
    let start = ok(None, "a", ports(json!([{"port": 80}])));
    let object = ok(Some(&start), "b", ports(json!([{"port": 80, "protocol": "UDP"}])));
    assert_eq!(object["spec"]["ports"].as_array().unwrap().len(), 2);
    assert!(owned_by(&object, "a").contains(&".spec.ports[port=80,protocol=\"TCP\"]".to_owned()));
}

#[test]
fn a10_sets_merge_by_value() {
    let set = |items: Value| body(json!({"spec": {"set": items}}));
    let start = ok(None, "a", set(json!(["a", "b"])));
    let object = ok(Some(&start), "b", set(json!(["c", "a"])));
    assert_eq!(object["spec"]["set"], json!(["c", "a", "b"]));
    assert!(owned_by(&object, "a").contains(&".spec.set[=\"a\"]".to_owned()));
    assert!(owned_by(&object, "b").contains(&".spec.set[=\"a\"]".to_owned()));
}

#[test]
fn a11_atomic_lists_are_one_value() {
    let atomic = |items: Value| body(json!({"spec": {"at": items}}));
    let start = ok(None, "a", atomic(json!([1, 2])));
    let both = ok(Some(&start), "b", atomic(json!([1, 2])));
    assert_eq!(owned_by(&both, "b"), [".spec.at"]);
    let other = run(Some(&start), "b", atomic(json!([1])), false);
    assert_eq!(conflict(other), [("\"a\"".to_owned(), ".spec.at".to_owned())]);
}

#[test]
fn a12_a_removed_field_belongs_to_nobody() {
    let start = ok(None, "a", body(json!({"spec": {"m": {"k": "1", "l": "2"}}})));
    let object = put(Some(&start), "u", |new| {
        new["spec"]["m"].as_object_mut().unwrap().remove("k");
    });
    assert_eq!(owned_by(&object, "a"), [".spec.m.l"]);
    assert!(owned_by(&object, "u").is_empty());
}

#[test]
fn a13_a_subset_of_what_a_post_wrote_is_shared() {
    let posted = put(None, "u", |new| new["data"] = json!({"x": "1", "y": "2"}));
    assert_eq!(owned_by(&posted, "u"), [".data", ".data.x", ".data.y"]);
    let object = ok(Some(&posted), "a", data(json!({"x": "1"})));
    assert_eq!(owned_by(&object, "a"), [".data.x"]);
    assert_eq!(owned_by(&object, "u"), [".data", ".data.x", ".data.y"]);
}

#[test]
fn a14_an_untracked_object_belongs_to_before_first_apply() {
    let live = data(json!({"x": "1"}));
    let other = run(Some(&live), "a", data(json!({"x": "2"})), false);
    assert_eq!(conflict(other), [("\"before-first-apply\" using v1".to_owned(), ".data.x".to_owned())]);
}

#[test]
fn a15_managed_fields_can_be_erased() {
    for reset in [json!([{}]), json!([])] {
        let erased = put(Some(&a1()), "u", |new| new["metadata"]["managedFields"] = reset);
        assert!(erased["metadata"].get("managedFields").is_none());
        let still = put(Some(&erased), "u", |new| new["data"]["z"] = json!("1"));
        assert!(still["metadata"].get("managedFields").is_none(), "untracked until the next apply");
        let applied = ok(Some(&still), "b", data(json!({"x": "1"})));
        assert_eq!(owned_by(&applied, "before-first-apply"), [".data", ".data.x", ".data.y", ".data.z"]);
    }
}

#[test]
fn a16_the_oldest_updates_are_merged() {
    let schema = schema();
    let mut object = data(json!({"k0": "0"}));
    let names: Vec<String> = (0..13).map(|index| format!("m{index:02}")).collect();
    track_update(&schema, None, &mut object, &at(&names[0], "2026-01-01T00:00:00Z"));
    for (index, name) in names.iter().enumerate().skip(1) {
        let old = object.clone();
        object["data"][format!("k{index}")] = json!("1");
        let time = format!("2026-01-01T00:00:{index:02}Z");
        track_update(&schema, Some(&old), &mut object, &at(name, &time));
    }
    let managers: Vec<String> = owners(&object).into_iter().map(|(name, _)| name).collect();
    assert_eq!(managers.len(), 10);
    assert_eq!(managers[0], "ancient-changes");
    assert_eq!(managers[1..], names[4..]);
    assert_eq!(
        owned_by(&object, "ancient-changes"),
        [".data", ".data.k0", ".data.k1", ".data.k2", ".data.k3"]
    );
}

#[test]
fn a17_scale_takes_replicas() {
    let schema = schema();
    let start = ok(None, "a", body(json!({"spec": {"replicas": 1}})));
    let mut scaled = start.clone();
    scaled["spec"]["replicas"] = json!(5);
    track_update(&schema, Some(&start), &mut scaled, &Writer { subresource: "scale", ..writer("s") });
    let again = run(Some(&scaled), "a", body(json!({"spec": {"replicas": 2}})), false);
    assert_eq!(
        conflict(again),
        [("\"s\" with subresource \"scale\" using v1".to_owned(), ".spec.replicas".to_owned())]
    );
    let omitted = ok(Some(&scaled), "a", body(json!({})));
    assert_eq!(omitted["spec"]["replicas"], 5);
}

#[test]
fn a18_null_is_a_value_of_its_own() {
    let object = ok(None, "a", body(json!({"spec": {"n": null}})));
    assert_eq!(object["spec"]["n"], Value::Null);
    assert_eq!(owned_by(&object, "a"), [".spec.n"]);
    let again = apply(&schema(), Some(&object), &body(json!({"spec": {"n": null}})), &writer("a"), false);
    assert_eq!(again, Ok(Outcome::Unchanged));
}

#[test]
fn a19_a_post_by_another_conflicts_until_forced() {
    let posted = put(None, "u", |new| new["data"] = json!({"x": "1"}));
    let other = run(Some(&posted), "a", data(json!({"x": "2"})), false);
    assert_eq!(conflict(other), [("\"u\" using v1".to_owned(), ".data.x".to_owned())]);
    let forced = run(Some(&posted), "a", data(json!({"x": "2"})), true).unwrap();
    assert_eq!(owned_by(&forced, "a"), [".data.x"]);
    assert_eq!(owned_by(&forced, "u"), [".data"]);
}

fn client_side(value: &str) -> Value {
    let last = data(json!({"x": value})).to_string();
    put(None, "kubectl-client-side-apply", |new| {
        new["data"] = json!({"x": value});
        new["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": last});
    })
}

#[test]
fn a20_kubectl_takes_over_its_client_side_fields() {
    let object = ok(Some(&client_side("1")), "kubectl", data(json!({"x": "2"})));
    assert_eq!(object["data"]["x"], "2");
    let annotation =
        object["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"].as_str();
    assert_eq!(
        annotation,
        Some(
            "{\"apiVersion\":\"v1\",\"data\":{\"x\":\"2\"},\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c\"}}\n"
        )
    );
    let other = run(Some(&client_side("1")), "b", data(json!({"x": "2"})), false);
    assert_eq!(conflict(other).len(), 1, "no other manager may");
}

#[test]
fn a21_kubectl_does_not_take_what_somebody_changed_since() {
    let changed = put(Some(&client_side("1")), "u", |new| new["data"]["x"] = json!("5"));
    let other = run(Some(&changed), "kubectl", data(json!({"x": "2"})), false);
    assert_eq!(conflict(other), [("\"u\" using v1".to_owned(), ".data.x".to_owned())]);
}

#[test]
fn corner_60_apply_and_update_of_one_name_are_two_entries() {
    let object = put(Some(&a1()), "a", |new| new["data"]["z"] = json!("1"));
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let operations: Vec<&str> = entries.iter().map(|entry| entry["operation"].as_str().unwrap()).collect();
    assert_eq!(operations, ["Apply", "Update"]);
}

#[test]
fn status_has_a_door_of_its_own() {
    let applied = body(json!({"spec": {"replicas": 1}, "status": {"ready": 1}}));
    let object = ok(None, "a", applied.clone());
    assert!(object.get("status").is_none());
    assert_eq!(owned_by(&object, "a"), [".spec.replicas"]);
    let status = Writer { subresource: "status", ..writer("a") };
    let Outcome::Changed(object) = apply(&schema(), Some(&object), &applied, &status, false).unwrap() else {
        panic!("the status changes")
    };
    assert_eq!(object["status"]["ready"], 1);
    assert_eq!(owners(&object).len(), 2);
    assert_eq!(object["metadata"]["managedFields"][1]["subresource"], "status");
}

#[test]
fn bodies_that_do_not_fit_are_named() {
    let fault = |fields: Value| run(None, "a", body(fields), false).unwrap_err().to_string();
    let start = "failed to create typed patch object (/c; /v1, Kind=ConfigMap): ";
    assert_eq!(fault(json!({"spec": {"zz": 1}})), format!("{start}.spec.zz: field not declared in schema"));
    assert_eq!(
        fault(json!({"spec": {"lm": [{"name": "a"}, {"name": "a"}]}})),
        format!("{start}.spec.lm: duplicate entries for key [name=\"a\"]")
    );
    assert_eq!(
        fault(json!({"spec": {"set": ["a", "a"]}})),
        format!("{start}.spec.set: duplicate entries for key [=\"a\"]")
    );
    assert_eq!(
        fault(json!({"spec": {"n": 1}})),
        format!("{start}.spec.n: expected string, got &value.valueUnstructured{{Value:1}}")
    );
    assert!(fault(json!({"spec": {"lm": [{"v": 1}]}})).contains(
        ".spec.lm: element 0: associative list with keys has an element that omits all key fields [\"name\"]"
    ));
    let managed = json!({"metadata": {"name": "c", "managedFields": []}});
    assert_eq!(fault(managed), "metadata.managedFields must be nil");
}

#[test]
fn several_conflicts_are_listed_by_manager() {
    let object = put(Some(&a1()), "u", |new| new["data"]["x"] = json!("3"));
    let result = run(Some(&object), "b", data(json!({"x": "9", "y": "9"})), false);
    assert_eq!(
        result.unwrap_err().to_string(),
        "Apply failed with 2 conflicts: conflicts with \"a\":\n- .data.y\nconflicts with \"u\" using v1:\n- .data.x"
    );
}

#[test]
fn a_schema_that_turned_atomic_collapses_the_paths() {
    let start = ok(None, "a", body(json!({"spec": {"g": {"x": "1"}}})));
    let mut atomic = schema();
    if let crate::schema::Properties::Own(root) = &mut atomic.properties
        && let crate::schema::Properties::Own(spec) = &mut root.get_mut("spec").unwrap().properties
    {
        spec.get_mut("g").unwrap().atomic = true;
    }
    let other = body(json!({"spec": {"g": {"x": "2"}}}));
    match apply(&atomic, Some(&start), &other, &writer("b"), false) {
        Err(ApplyError::Conflicts(conflicts)) => assert_eq!(conflicts[0].field, ".spec.g"),
        other => panic!("expected a conflict, got {other:?}"),
    }
}

#[test]
fn a_list_item_stays_with_its_key_while_anybody_owns_a_part_of_it() {
    let start = ok(None, "a", body(json!({"spec": {"lm": [{"name": "p"}]}})));
    let touched = put(Some(&start), "u", |new| new["spec"]["lm"][0]["v"] = json!(7));
    let dropped = ok(Some(&touched), "a", body(json!({"spec": {}})));
    assert_eq!(dropped["spec"]["lm"], json!([{"name": "p", "v": 7}]));
}

fn any_body() -> impl Strategy<Value = Value> {
    let text = "[12]";
    let pairs = prop::collection::btree_map("[xyz]", text, 0..3);
    let items = prop::collection::btree_map("[pqrs]", prop::option::of(0i64..2), 0..4);
    let set = prop::collection::btree_set("[abc]", 0..3);
    let atomic = prop::collection::vec(0i64..2, 0..2);
    let g = prop::collection::btree_map("x|y", text, 0..3);
    (prop::option::of(pairs), prop::option::of(items), prop::option::of(set), prop::option::of(atomic), g)
        .prop_map(|(pairs, items, set, atomic, g)| {
            let mut spec = json!({});
            if let Some(items) = items {
                spec["lm"] = items
                    .into_iter()
                    .map(|(name, v)| match v {
                        Some(v) => json!({"name": name, "v": v}),
                        None => json!({"name": name}),
                    })
                    .collect();
            }
            if let Some(set) = set {
                spec["set"] = json!(set);
            }
            if let Some(atomic) = atomic {
                spec["at"] = json!(atomic);
            }
            if !g.is_empty() {
                spec["g"] = json!(g);
            }
            let mut object = body(json!({"spec": spec}));
            if let Some(pairs) = pairs {
                object["data"] = json!(pairs);
            }
            object
        })
}

fn history() -> impl Strategy<Value = Vec<(String, Value)>> {
    prop::collection::vec(("[abc]", any_body()), 1..6)
}

fn replay(history: &[(String, Value)]) -> Option<Value> {
    let mut live: Option<Value> = None;
    for (manager, body) in history {
        live = Some(run(live.as_ref(), manager, body.clone(), true).unwrap());
    }
    live
}

/// Every path in `part` must have the same value in `whole`; list items by key, sets by value.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part.iter().all(|(name, value)| match name.as_str() {
            "lm" => value.as_array().unwrap().iter().all(|item| {
                whole[name]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|live| live["name"] == item["name"] && contains(live, item))
            }),
            "set" => {
                value.as_array().unwrap().iter().all(|item| whole[name].as_array().unwrap().contains(item))
            }
            _ => whole.get(name).is_some_and(|whole| contains(whole, value)) || *value == json!({}),
        }),
        (whole, part) => whole == part,
    }
}

proptest! {
    #[test]
    fn applying_twice_changes_nothing(history in history(), last in any_body()) {
        let live = replay(&history);
        let once = run(live.as_ref(), "a", last.clone(), true).unwrap();
        let again = apply(&schema(), Some(&once), &last, &at("a", "2027-01-01T00:00:00Z"), false);
        prop_assert_eq!(again, Ok(Outcome::Unchanged));
    }

    #[test]
    fn the_object_holds_what_was_applied_and_its_owner_owns_it(history in history()) {
        let live = replay(&history).unwrap();
        let (manager, last) = history.last().unwrap();
        prop_assert!(contains(&live, last), "{live} lacks parts of {last}");
        let mut expected = super::specified(Some(&schema()), last);
        super::strip_set(&mut expected, &writer(manager));
        let own = super::Managers::of(&live);
        let own = own.0.iter().find(|entry| entry.name == *manager).map(|entry| entry.set.clone());
        prop_assert_eq!(own.unwrap_or_default(), expected);
    }

    #[test]
    fn the_owners_cover_every_leaf_and_own_nothing_that_is_gone(history in history()) {
        let live = replay(&history).unwrap();
        let mut leaves = super::specified(Some(&schema()), &live);
        super::strip_set(&mut leaves, &writer("a"));
        let owned = super::Managers::of(&live).union();
        let missing = leaves.difference(&owned.with_parents());
        prop_assert!(missing.is_empty(), "nobody owns {:?} of {}", missing.paths(), live);
        let ghosts = owned.difference(&super::present(Some(&schema()), &live));
        prop_assert!(ghosts.is_empty(), "owned but gone: {:?}", ghosts.paths());
    }

    #[test]
    fn force_takes_exactly_the_conflicts(history in history(), last in any_body()) {
        let live = replay(&history).unwrap();
        let before = super::Managers::of(&live);
        let free = run(Some(&live), "z", last.clone(), false);
        let forced = run(Some(&live), "z", last, true).unwrap();
        let after = super::Managers::of(&forced);
        let lost: usize = before.0.iter().map(|old| {
            let now = after.position(old).map(|at| after.0[at].set.clone()).unwrap_or_default();
            old.set.difference(&now).paths().len()
        }).sum();
        match free {
            Ok(object) => { prop_assert_eq!(lost, 0); prop_assert_eq!(object, forced); }
            Err(ApplyError::Conflicts(conflicts)) => prop_assert_eq!(lost, conflicts.len()),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn an_update_leaves_every_changed_leaf_with_the_writer(history in history(), change in any_body()) {
        let live = replay(&history).unwrap();
        let mut new = change;
        new["metadata"] = live["metadata"].clone();
        track_update(&schema(), Some(&live), &mut new, &writer("u"));
        let mut comparison = super::compare(&schema(), &live, &new);
        super::strip_set(&mut comparison.added, &writer("u"));
        let own = super::Managers::of(&new);
        if own.0.is_empty() { return Ok(()); }
        let own = own.0.iter().find(|entry| entry.name == "u").map(|entry| entry.set.clone()).unwrap_or_default();
        prop_assert!(comparison.added.difference(&own).is_empty());
    }
}
