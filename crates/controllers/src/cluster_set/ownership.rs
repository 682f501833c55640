//! Whose a cluster secret is (`spec/okra.md` 3.1.5-3, 4; H-51). Pure.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt as _;
use okra_api::foreign::cluster_secret::ClusterSecret;
use okra_api::names::{ANNOTATION_OWNER_UID, LABEL_CLUSTER_SET};
use okra_api::write::label_value;

/// Kind of the owner reference.
const KIND: &str = "ClusterSet";

/// The ClusterSet that asks.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its UID.
    pub uid: &'a str,
    /// UIDs of all other ClusterSets that there are.
    pub others: &'a BTreeSet<String>,
}

/// Whose a secret is, in the eyes of a ClusterSet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// It bears the set's marker and its UID.
    Own,
    /// Nobody's, or left by a set of that name which is gone.
    Free,
    /// Another ClusterSet's.
    OtherSet(String),
    /// Another controller's.
    Controlled(String),
}

/// Whose the secret is.
pub fn ownership(asker: &Asker<'_>, secret: &Secret) -> Ownership {
    let marker = secret.labels().get(LABEL_CLUSTER_SET);
    let owner = owner_uid(secret);
    match marker {
        Some(marker) if *marker != label_value(asker.name) => return Ownership::OtherSet(marker.clone()),
        Some(_) if owner == Some(asker.uid) => return Ownership::Own,
        Some(marker) if owner.is_some_and(|uid| asker.others.contains(uid)) => {
            return Ownership::OtherSet(format!("{marker} of another namespace"));
        }
        _ => {}
    }
    match secret.owner_references().iter().find(|owner| owner.controller == Some(true) && owner.kind != KIND)
    {
        Some(controller) => Ownership::Controlled(format!("{} {}", controller.kind, controller.name)),
        None => Ownership::Free,
    }
}

/// UID of the ClusterSet that a secret names as its owner.
fn owner_uid(secret: &Secret) -> Option<&str> {
    let reference = secret.owner_references().iter().find(|owner| owner.kind == KIND);
    let annotation = || secret.annotations().get(ANNOTATION_OWNER_UID).map(String::as_str);
    reference.map(|owner| owner.uid.as_str()).or_else(annotation)
}

/// The address in a secret, if it describes a cluster.
pub fn server_of(secret: &Secret) -> Option<String> {
    ClusterSecret::from_secret(secret).ok().map(|cluster| cluster.server)
}

/// What becomes of the secrets when their ClusterSet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterlife {
    /// They stay, as those of the Go program did.
    Retain,
    /// They go with it.
    Delete,
}

/// The owner references of a secret in the namespace of its set.
///
/// A secret that outlives its set has its namespace for a second owner: the
/// garbage collector then drops the reference to the set and leaves the
/// secret, also when somebody deletes the set in the foreground. No finalizer
/// is needed, and none can hang.
pub fn owner_references(
    set: &OwnerReference,
    namespace: &OwnerReference,
    afterlife: Afterlife,
) -> Vec<OwnerReference> {
    match afterlife {
        Afterlife::Retain => vec![set.clone(), namespace.clone()],
        Afterlife::Delete => vec![set.clone()],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn secret(labels: Value, owners: Value) -> Secret {
        serde_json::from_value(
            json!({"metadata": {"name": "c", "labels": labels, "ownerReferences": owners}}),
        )
        .unwrap()
    }

    fn owner(kind: &str, uid: &str) -> Value {
        json!({"apiVersion": "x/v1", "kind": kind, "name": "web", "uid": uid, "controller": true})
    }

    #[test]
    fn h_51_only_marker_and_owner_together_make_a_secret_the_sets_own() {
        let others = BTreeSet::from(["u2".to_owned()]);
        let asker = Asker { name: "web", uid: "u1", others: &others };
        let marked = json!({LABEL_CLUSTER_SET: "web"});
        for (labels, owners, expected) in [
            (marked.clone(), json!([owner(KIND, "u1")]), Ownership::Own),
            (json!({}), json!([owner(KIND, "u1")]), Ownership::Free),
            (marked.clone(), json!([]), Ownership::Free),
            (marked.clone(), json!([owner(KIND, "gone")]), Ownership::Free),
            (marked, json!([owner(KIND, "u2")]), Ownership::OtherSet("web of another namespace".to_owned())),
            (json!({LABEL_CLUSTER_SET: "api"}), json!([]), Ownership::OtherSet("api".to_owned())),
            (
                json!({}),
                json!([owner("ExternalSecret", "e")]),
                Ownership::Controlled("ExternalSecret web".to_owned()),
            ),
        ] {
            assert_eq!(ownership(&asker, &secret(labels, owners)), expected);
        }
    }
}
