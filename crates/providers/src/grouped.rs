//! Notes that say which group or series had which value (`spec/analysis.md` 4.1, 4.2).

use okra_expr::Value;
use serde_json::{Map, Value as Json};

use crate::provider::Measured;

/// Groups that a note holds. Conditions always see all values.
const NOTED_MAX: usize = 100;

/// A value and what it belongs to.
pub(crate) struct Group {
    /// Key and name of what it belongs to.
    pub(crate) name: (&'static str, Json),
    /// Its value.
    pub(crate) value: f64,
}

/// The measurement with a note of its groups under `key`. Of too many, the lowest and the highest
/// are kept: one of them is why a condition failed.
pub(crate) fn noted(measured: Measured, key: &str, mut groups: Vec<Group>) -> Measured {
    let surplus = groups.len().saturating_sub(NOTED_MAX);
    if surplus > 0 {
        groups.sort_by(|left, right| left.value.total_cmp(&right.value));
        let half = NOTED_MAX / 2;
        groups.drain(half..half + surplus);
    }
    let listed: Vec<Json> = groups.into_iter().map(entry).collect();
    let measured = measured.noted(key, Json::Array(listed).to_string());
    if surplus > 0 { measured.noted(&format!("{key}_truncated"), "true") } else { measured }
}

fn entry(group: Group) -> Json {
    let (key, name) = group.name;
    // JSON has no word for NaN and infinities: they are texts.
    let value = serde_json::Number::from_f64(group.value)
        .map_or_else(|| Json::from(Value::Float(group.value).to_string()), Json::Number);
    Map::from_iter([(key.to_owned(), name), ("value".to_owned(), value)]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(count: i32) -> Measured {
        let group =
            |place: i32| Group { name: ("name", Json::from(format!("g{place}"))), value: f64::from(place) };
        // From high to low, so that an order of its own would show.
        noted(Measured::of(Value::Nil), "groups", (0..count).rev().map(group).collect())
    }

    #[test]
    fn few_groups_stay_in_their_order() {
        let note = measured(2).metadata;
        assert_eq!(note["groups"], r#"[{"name":"g1","value":1.0},{"name":"g0","value":0.0}]"#);
        assert!(!note.contains_key("groups_truncated"));
    }

    #[test]
    fn of_many_the_lowest_and_the_highest_are_kept() {
        let note = measured(101).metadata;
        let kept: Vec<Json> = serde_json::from_str(&note["groups"]).unwrap();
        assert_eq!((kept.len(), note["groups_truncated"].as_str()), (100, "true"));
        assert!(
            kept.iter().any(|group| group["name"] == "g49")
                && kept.iter().all(|group| group["name"] != "g50")
        );
        assert_eq!((kept[0]["name"].as_str(), kept[99]["name"].as_str()), (Some("g0"), Some("g100")));
    }

    #[test]
    fn what_json_cannot_hold_is_text() {
        let group = Group { name: ("name", Json::Null), value: f64::NAN };
        let note = noted(Measured::of(Value::Nil), "groups", vec![group]).metadata;
        assert_eq!(note["groups"], r#"[{"name":null,"value":"NaN"}]"#);
    }
}
