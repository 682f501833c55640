//! Sets of fields, as `fieldsV1` writes them (`spec/apiserver.md` 12.1).
//!
//! An element of a path is kept in its written form: `f:NAME`, `k:{"name":"x"}` (compact, keys sorted), `v:VALUE`,
//! `i:N`. Two elements are the same field exactly when their texts are equal.

use crate::number::plain;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write;

/// A tree of fields. A node is in the set when it is a member; nodes that are only on the way to members are not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSet {
    nodes: BTreeMap<String, Node>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) member: bool,
    pub(crate) below: FieldSet,
}

impl Node {
    fn is_empty(&self) -> bool {
        !self.member && self.below.is_empty()
    }
}

impl FieldSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub(crate) fn get(&self, element: &str) -> Option<&Node> {
        self.nodes.get(element)
    }

    pub(crate) fn remove(&mut self, element: &str) -> Option<Node> {
        self.nodes.remove(element)
    }

    /// Puts a node in place; an empty one is left out.
    pub(crate) fn put(&mut self, element: String, node: Node) {
        if !node.is_empty() {
            self.nodes.insert(element, node);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Node)> {
        self.nodes.iter()
    }

    /// Makes the node at a path a member. The empty path is the object itself, which nobody owns.
    pub(crate) fn insert(&mut self, path: &[String]) {
        let Some((first, rest)) = path.split_first() else { return };
        let node = self.nodes.entry(first.clone()).or_default();
        if rest.is_empty() {
            node.member = true;
        } else {
            node.below.insert(rest);
        }
    }

    pub(crate) fn union(&self, other: &FieldSet) -> FieldSet {
        let mut all = self.clone();
        all.extend(other);
        all
    }

    pub(crate) fn extend(&mut self, other: &FieldSet) {
        for (element, node) in &other.nodes {
            let own = self.nodes.entry(element.clone()).or_default();
            own.member |= node.member;
            own.below.extend(&node.below);
        }
    }

    /// The members that are not members of `other`; what lies below a removed member stays.
    pub(crate) fn difference(&self, other: &FieldSet) -> FieldSet {
        let mut rest = FieldSet::default();
        for (element, node) in &self.nodes {
            let left = match other.nodes.get(element) {
                None => node.clone(),
                Some(theirs) => Node {
                    member: node.member && !theirs.member,
                    below: node.below.difference(&theirs.below),
                },
            };
            rest.put(element.clone(), left);
        }
        rest
    }

    pub(crate) fn intersection(&self, other: &FieldSet) -> FieldSet {
        let mut both = FieldSet::default();
        for (element, node) in &self.nodes {
            if let Some(theirs) = other.nodes.get(element) {
                let common = Node {
                    member: node.member && theirs.member,
                    below: node.below.intersection(&theirs.below),
                };
                both.put(element.clone(), common);
            }
        }
        both
    }

    /// Every node on the way to a member becomes one too.
    pub(crate) fn with_parents(&self) -> FieldSet {
        let nodes = self.nodes.iter();
        let nodes = nodes.map(|(element, node)| {
            (element.clone(), Node { member: true, below: node.below.with_parents() })
        });
        FieldSet { nodes: nodes.collect() }
    }

    /// The paths of all members, `.spec.items[name="a"].x`.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect_paths(&mut String::new(), &mut paths);
        paths
    }

    fn collect_paths(&self, prefix: &mut String, paths: &mut Vec<String>) {
        for (element, node) in &self.nodes {
            let length = prefix.len();
            push_element(prefix, element);
            if node.member {
                paths.push(prefix.clone());
            }
            node.below.collect_paths(prefix, paths);
            prefix.truncate(length);
        }
    }

    /// The `fieldsV1` value.
    pub(crate) fn encode(&self) -> Value {
        let mut fields = Map::new();
        for (element, node) in &self.nodes {
            let mut value = node.below.encode();
            if node.member && !node.below.is_empty() {
                let Value::Object(below) = &mut value else { continue };
                below.shift_insert(0, ".".to_owned(), Value::Object(Map::new()));
            }
            fields.insert(element.clone(), value);
        }
        Value::Object(fields)
    }

    /// Reads a `fieldsV1` value; `None` if it is not one.
    pub(crate) fn decode(value: &Value) -> Option<FieldSet> {
        let mut set = FieldSet::default();
        for (element, below) in value.as_object()? {
            if element == "." {
                continue;
            }
            let fields = below.as_object()?;
            let node = Node {
                member: fields.is_empty() || fields.contains_key("."),
                below: FieldSet::decode(below)?,
            };
            set.put(canonical_element(element)?, node);
        }
        Some(set)
    }
}

fn canonical_element(element: &str) -> Option<String> {
    match element.get(..2)? {
        "f:" => Some(element.to_owned()),
        "i:" => element[2..].parse::<i64>().ok().map(|index| format!("i:{index}")),
        "v:" => {
            let value: Value = serde_json::from_str(&element[2..]).ok()?;
            Some(value_element(&value))
        }
        "k:" => {
            let key: Value = serde_json::from_str(&element[2..]).ok()?;
            let fields = key.as_object()?;
            Some(key_element(fields.iter().map(|(name, value)| (name.as_str(), value)).collect()))
        }
        _ => None,
    }
}

/// `f:NAME`
pub(crate) fn field_element(name: &str) -> String {
    format!("f:{name}")
}

/// `v:VALUE`
pub(crate) fn value_element(value: &Value) -> String {
    format!("v:{}", plain(value))
}

/// `k:{"name":"x"}`
pub(crate) fn key_element(mut fields: Vec<(&str, &Value)>) -> String {
    fields.sort_by_key(|(name, _)| *name);
    let mut text = "k:{".to_owned();
    for (index, (name, value)) in fields.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(text, "{comma}{}:{}", crate::schema::quoted(name), plain(value));
    }
    text.push('}');
    text
}

/// Appends an element as messages show it: `.x`, `[name="a"]`, `[="a"]`, `[0]`.
pub(crate) fn push_element(text: &mut String, element: &str) {
    let (kind, rest) = element.split_at(element.len().min(2));
    let _ = match kind {
        "f:" => write!(text, ".{rest}"),
        "v:" => write!(text, "[={rest}]"),
        "k:" => {
            let fields: Map<String, Value> = serde_json::from_str(rest).unwrap_or_default();
            let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
            write!(text, "[{}]", pairs.join(","))
        }
        _ => write!(text, "[{rest}]"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_v1_reads_and_writes() {
        let written = json!({
            "f:data": {".": {}, "f:a": {}},
            "f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}},
            "f:set": {"v:\"x\"": {}, "v:1": {}},
        });
        let set = FieldSet::decode(&written).unwrap();
        assert_eq!(set.encode(), written);
        assert_eq!(
            set.paths(),
            [
                ".data",
                ".data.a",
                ".set[=\"x\"]",
                ".set[=1]",
                ".spec.ports[port=80,protocol=\"TCP\"]",
                ".spec.ports[port=80,protocol=\"TCP\"].port"
            ]
        );
    }

    #[test]
    fn keys_are_the_same_in_any_spelling() {
        let loose = json!({"k:{\"b\": 1, \"a\":\"x\"}": {}});
        let tight = json!({"k:{\"a\":\"x\",\"b\":1}": {}});
        assert_eq!(FieldSet::decode(&loose), FieldSet::decode(&tight));
        for broken in [json!({"x": {}}), json!({"k:": {}}), json!({"f:a": 1}), json!([])] {
            assert_eq!(FieldSet::decode(&broken), None, "{broken}");
        }
    }

    #[test]
    fn a_number_is_one_member_however_it_is_written() {
        let loose = json!({"v:1.0": {}, "k:{\"n\":2.0}": {}});
        let tight = json!({"v:1": {}, "k:{\"n\":2}": {}});
        assert_eq!(FieldSet::decode(&loose).unwrap().encode(), tight);
    }

    #[test]
    fn set_operations_look_at_members_only() {
        let left = FieldSet::decode(&json!({"f:a": {".": {}, "f:b": {}}, "f:c": {}})).unwrap();
        let right = FieldSet::decode(&json!({"f:a": {}, "f:d": {}})).unwrap();
        assert_eq!(left.difference(&right).encode(), json!({"f:a": {"f:b": {}}, "f:c": {}}));
        assert_eq!(left.intersection(&right).encode(), json!({"f:a": {}}));
        assert_eq!(left.union(&right).paths(), [".a", ".a.b", ".c", ".d"]);
    }
}
