//! Who owns whom, by uid: the garbage collector's index.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::object::Object;
use crate::store::{ObjectName, ResourceId};

/// One object as the index knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Node {
    pub(super) resource: ResourceId,
    pub(super) name: ObjectName,
    pub(super) uid: String,
}

#[derive(Default)]
pub(super) struct Graph {
    /// Living objects and the uids of their owners.
    nodes: BTreeMap<String, (Node, Vec<String>)>,
    dependents: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// Takes in the present state of an object.
    pub(super) fn set(&mut self, resource: &ResourceId, name: &ObjectName, object: &Value) {
        let uid = object.uid().to_owned();
        self.unlink(&uid);
        let owners: Vec<String> = object
            .owner_references()
            .iter()
            .filter_map(|owner| owner["uid"].as_str())
            .map(str::to_owned)
            .collect();
        for owner in &owners {
            self.dependents.entry(owner.clone()).or_default().insert(uid.clone());
        }
        let node = Node { resource: resource.clone(), name: name.clone(), uid: uid.clone() };
        self.nodes.insert(uid, (node, owners));
    }

    /// Forgets an object.
    pub(super) fn remove(&mut self, uid: &str) {
        self.unlink(uid);
        self.nodes.remove(uid);
    }

    fn unlink(&mut self, uid: &str) {
        let Some((_, owners)) = self.nodes.get(uid) else { return };
        for owner in owners {
            if let Some(dependents) = self.dependents.get_mut(owner) {
                dependents.remove(uid);
                if dependents.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
    }

    pub(super) fn node(&self, uid: &str) -> Option<&Node> {
        self.nodes.get(uid).map(|(node, _)| node)
    }

    /// The objects that name `uid` as an owner.
    pub(super) fn dependents(&self, uid: &str) -> Vec<Node> {
        let uids = self.dependents.get(uid).into_iter().flatten();
        uids.filter_map(|uid| self.node(uid)).cloned().collect()
    }

    /// Whether an owner of the object is not known to live, or lives where no
    /// reference leads: in another namespace.
    pub(super) fn misses_owner(&self, uid: &str) -> bool {
        let Some((node, owners)) = self.nodes.get(uid) else { return false };
        let reachable =
            |owner: &Node| owner.name.namespace.is_empty() || owner.name.namespace == node.name.namespace;
        owners.iter().any(|owner| !self.node(owner).is_some_and(reachable))
    }

    /// Objects with owners, for the first pass over a store.
    pub(super) fn owned(&self) -> Vec<Node> {
        let owned = self.nodes.values().filter(|(_, owners)| !owners.is_empty());
        owned.map(|(node, _)| node.clone()).collect()
    }

    pub(super) fn owners(&self, uid: &str) -> Vec<Node> {
        let owners = self.nodes.get(uid).map(|(_, owners)| owners.as_slice()).unwrap_or_default();
        owners.iter().filter_map(|owner| self.node(owner)).cloned().collect()
    }
}
