//! The objects of the test and the scopes in which they are looked at.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::random::Random;

pub type Revision = u64;

pub const NAMESPACES: [&str; 2] = ["default", "kube-public"];
pub const GROUPS: [&str; 3] = ["a", "b", "c"];

/// Names per namespace: few, so that writers meet each other.
const NAMES: u64 = 12;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub namespace: String,
    pub name: String,
}

impl Key {
    pub fn any(random: &Random) -> Self {
        let namespace = (*random.pick(&NAMESPACES)).to_owned();
        Self { namespace, name: format!("m{}", random.below(NAMES)) }
    }

    pub fn path(&self) -> String {
        format!("/api/v1/namespaces/{}/configmaps/{}", self.namespace, self.name)
    }
}

/// What the test looks at of an object. The tag is unique to a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub revision: Revision,
    pub uid: String,
    pub tag: String,
    pub group: Option<String>,
}

pub fn revision_of(object: &Value) -> Revision {
    let text = object["metadata"]["resourceVersion"].as_str().expect("a resourceVersion");
    text.parse().expect("a resourceVersion is a number")
}

/// The key and state of a ConfigMap of the test; `None` for the server's own.
pub fn read(object: &Value) -> Option<(Key, State)> {
    let metadata = &object["metadata"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let key = Key { namespace: text(&metadata["namespace"])?, name: text(&metadata["name"])? };
    let state = State {
        revision: revision_of(object),
        uid: text(&metadata["uid"])?,
        tag: text(&object["data"]["tag"])?,
        group: text(&metadata["labels"]["group"]),
    };
    Some((key, state))
}

/// The objects that a list or watch is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    namespace: Option<&'static str>,
    groups: Groups,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Groups {
    #[default]
    All,
    Only(&'static str),
    In(&'static str, &'static str),
    Not(&'static str),
    None,
    /// One name, whatever its group.
    Name(String),
}

impl Scope {
    pub fn any(random: &Random) -> Self {
        let namespace = random.one_in(2).then(|| *random.pick(&NAMESPACES));
        let group = || *random.pick(&GROUPS);
        let groups = match random.below(6) {
            0 => Groups::Only(group()),
            1 => Groups::In(group(), group()),
            2 => Groups::Not(group()),
            3 => Groups::None,
            4 => Groups::Name(Key::any(random).name),
            _ => Groups::All,
        };
        Self { namespace, groups }
    }

    pub fn holds(&self, key: &Key, state: &State) -> bool {
        let group = state.group.as_deref();
        self.namespace.is_none_or(|namespace| namespace == key.namespace)
            && match &self.groups {
                Groups::All => true,
                Groups::Only(only) => group == Some(only),
                Groups::In(one, other) => group == Some(one) || group == Some(other),
                Groups::Not(not) => group != Some(not),
                Groups::None => group.is_none(),
                Groups::Name(name) => *name == key.name,
            }
    }

    /// The path of a list, with its first parameter.
    pub fn path(&self) -> String {
        let place = self.namespace.map(|namespace| format!("namespaces/{namespace}/")).unwrap_or_default();
        let selector = match &self.groups {
            Groups::All => "labelSelector=".to_owned(),
            Groups::Only(only) => format!("labelSelector=group%3D{only}"),
            Groups::In(one, other) => format!("labelSelector=group%20in%20({one},{other})"),
            Groups::Not(not) => format!("labelSelector=group!%3D{not}"),
            Groups::None => "labelSelector=!group".to_owned(),
            Groups::Name(name) => format!("fieldSelector=metadata.name%3D{name}"),
        };
        format!("/api/v1/{place}configmaps?{selector}")
    }
}

/// The objects of a list answer that belong to the test.
pub fn items(list: &Value) -> BTreeMap<Key, State> {
    list["items"].as_array().expect("items").iter().filter_map(read).collect()
}
