//! Events are one set of objects with two shapes (spec/apiserver.md 14): they
//! are kept as `v1` and translated for `events.k8s.io/v1`.

use serde_json::{Map, Value, json};

/// The same value under another name in the two shapes: `v1`, `events.k8s.io/v1`.
const RENAMED: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// A stored Event as `events.k8s.io/v1` shows it.
pub(crate) fn to_new(event: &Value) -> Value {
    translate(event, "events.k8s.io/v1", |key| {
        RENAMED.iter().find(|(core, _)| *core == key).map(|(_, new)| *new)
    })
}

/// An Event of `events.k8s.io/v1` as it is stored.
pub(crate) fn to_core(event: &Value) -> Value {
    let mut core =
        translate(event, "v1", |key| RENAMED.iter().find(|(_, new)| *new == key).map(|(core, _)| *core));
    // What a core Event always holds.
    if let Some(map) = core.as_object_mut() {
        map.entry("source").or_insert_with(|| json!({}));
        for field in ["firstTimestamp", "lastTimestamp", "eventTime"] {
            map.entry(field).or_insert(Value::Null);
        }
        for field in ["reportingComponent", "reportingInstance"] {
            map.entry(field).or_insert_with(|| json!(""));
        }
    }
    core
}

fn translate<'a>(event: &Value, api_version: &str, name: impl Fn(&str) -> Option<&'a str>) -> Value {
    let mut translated = Map::new();
    for (key, value) in event.as_object().into_iter().flatten() {
        let key = name(key).unwrap_or(key);
        translated.insert(key.to_owned(), value.clone());
    }
    translated.insert("apiVersion".to_owned(), json!(api_version));
    Value::Object(translated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hc_55_an_event_survives_the_way_through_both_shapes() {
        let new = json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": "e"},
            "regarding": {"kind": "Pod", "name": "p"},
            "note": "hello",
            "reportingController": "c",
            "reportingInstance": "i",
            "eventTime": "2026-01-02T03:04:05.000000Z",
        });
        let core = to_core(&new);
        assert_eq!(core["apiVersion"], "v1");
        assert_eq!(core["involvedObject"], json!({"kind": "Pod", "name": "p"}));
        assert_eq!((&core["message"], &core["reportingComponent"]), (&json!("hello"), &json!("c")));
        let back = to_new(&core);
        assert_eq!((&back["regarding"], &back["note"]), (&new["regarding"], &new["note"]));
        assert_eq!(back["reportingController"], "c");
    }
}
