//! A Deployment's ReplicaSets: one for each template it has had, the present
//! one at full size, the others at zero, numbered in the order in which they
//! were last in use. It is what `kubectl rollout history` and `undo` read.

use std::borrow::Cow;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::status::replicas;
use crate::api::Api;
use crate::control::Change;
use crate::http::status::ApiError;
use crate::object::Object;
use crate::store::{ObjectName, ResourceId};
use crate::write::{DeleteOptions, Policy};

/// The number of a rollout, on the Deployment and on its ReplicaSets.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// The label that tells the Pods of one template from those of another.
const HASH: &str = "pod-template-hash";

/// Characters of a hash in names: no vowels, nothing that looks like another.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Characters of a hash, as many as upstream's usually have.
const HASH_CHARACTERS: usize = 10;

/// Longest name of a Deployment in front of the hash, so that both fit a label.
const NAME_CHARACTERS: usize = 52;

/// Old ReplicaSets that are kept when the Deployment does not say.
const HISTORY: u64 = 10;

/// Brings the ReplicaSets of one Deployment in line with its template.
pub(super) async fn roll(api: &Api, name: &ObjectName) -> Result<(), ApiError> {
    let deployments = ResourceId::new("apps", "deployments");
    let Some(live) = api.store.get(&deployments, name) else { return Ok(()) };
    let deployment: &Value = &live.value;
    if deployment.is_deleting() || deployment["spec"]["paused"] == true {
        return Ok(());
    }
    let sets = replica_sets(api, deployment);
    let current = sets.iter().find(|set| template(set) == deployment["spec"]["template"]);
    let newest = sets.iter().map(revision).max().unwrap_or(0);
    let number = match current {
        Some(set) if revision(set) == newest => newest,
        _ => newest + 1,
    };
    match current {
        Some(set) => {
            let wanted = annotations(deployment, number);
            resize(api, set, replicas(deployment), Some(&wanted)).await?;
        }
        None => drop(api.create_own(replica_set(deployment, number)).await?),
    }
    for set in sets.iter().filter(|set| current.is_none_or(|current| current.uid() != set.uid())) {
        resize(api, set, 0, None).await?;
    }
    number_deployment(api, name, number).await?;
    forget_old(api, deployment, &sets, current).await
}

fn replica_sets(api: &Api, deployment: &Value) -> Vec<Value> {
    let list = api.store.list(&ResourceId::new("apps", "replicasets"), Some(deployment.namespace()));
    let owned = |set: &Value| {
        let mut owners = set.owner_references().iter();
        owners.any(|owner| owner["controller"] == true && owner["uid"] == deployment.uid())
    };
    let sets = list.items.iter().map(|(_, record)| record.peek());
    sets.filter(|set| owned(set)).map(Cow::into_owned).collect()
}

/// A ReplicaSet's template as the Deployment wrote it.
fn template(set: &Value) -> Value {
    let mut template = set["spec"]["template"].clone();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.shift_remove(HASH);
    }
    template
}

fn revision(object: &Value) -> u64 {
    let text = object["metadata"]["annotations"][REVISION].as_str().unwrap_or_default();
    text.parse().unwrap_or(0)
}

fn hash(template: &Value) -> String {
    let digest = Sha256::digest(template.to_string());
    let characters = digest.iter().take(HASH_CHARACTERS);
    characters.map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect()
}

fn replica_set(deployment: &Value, number: u64) -> Value {
    let hash = hash(&deployment["spec"]["template"]);
    let base: String = deployment.name().chars().take(NAME_CHARACTERS).collect();
    let mut template = deployment["spec"]["template"].clone();
    template["metadata"]["labels"][HASH] = json!(hash);
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"][HASH] = json!(hash);
    json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": format!("{base}-{hash}"),
            "namespace": deployment.namespace(),
            "labels": template["metadata"]["labels"],
            "annotations": annotations(deployment, number),
            "ownerReferences": [{
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": deployment.name(),
                "uid": deployment.uid(),
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "spec": {
            "replicas": replicas(deployment),
            "selector": selector,
            "template": template,
        },
    })
}

/// What a ReplicaSet takes over of the Deployment's annotations, such as the
/// cause of a change, but not the text that kubectl applied; and its number.
fn annotations(deployment: &Value, number: u64) -> Value {
    let mut annotations = deployment["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    annotations.shift_remove("kubectl.kubernetes.io/last-applied-configuration");
    annotations.insert("deployment.kubernetes.io/desired-replicas".to_owned(), text(replicas(deployment)));
    annotations.insert("deployment.kubernetes.io/max-replicas".to_owned(), text(replicas(deployment)));
    annotations.insert(REVISION.to_owned(), Value::String(number.to_string()));
    Value::Object(annotations)
}

fn text(number: i64) -> Value {
    Value::String(number.to_string())
}

async fn resize(api: &Api, set: &Value, size: i64, annotations: Option<&Value>) -> Result<(), ApiError> {
    let change = |live: &Value| {
        let mut live = live.clone();
        if live["spec"]["replicas"] != size {
            live["spec"]["replicas"] = json!(size);
            let generation = live["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
            live.set_metadata("generation", json!(generation));
        }
        for (key, value) in annotations.and_then(Value::as_object).into_iter().flatten() {
            live["metadata"]["annotations"][key.as_str()] = value.clone();
        }
        Change::Put(live)
    };
    let name = ObjectName::new(set.namespace(), set.name());
    api.amend(&ResourceId::new("apps", "replicasets"), &name, change).await.map(drop)
}

async fn number_deployment(api: &Api, name: &ObjectName, number: u64) -> Result<(), ApiError> {
    let change = |live: &Value| {
        let mut live = live.clone();
        live["metadata"]["annotations"][REVISION] = json!(number.to_string());
        Change::Put(live)
    };
    api.amend(&ResourceId::new("apps", "deployments"), name, change).await.map(drop)
}

/// Deletes the oldest ReplicaSets beyond the history that is kept.
async fn forget_old(
    api: &Api,
    deployment: &Value,
    sets: &[Value],
    current: Option<&Value>,
) -> Result<(), ApiError> {
    let kept = deployment["spec"]["revisionHistoryLimit"].as_u64().unwrap_or(HISTORY);
    let mut old: Vec<&Value> =
        sets.iter().filter(|set| current.is_none_or(|current| current.uid() != set.uid())).collect();
    old.sort_by_key(|set| revision(set));
    let surplus = old.len().saturating_sub(usize::try_from(kept).unwrap_or(usize::MAX));
    let Some(kind) = api.kinds.current().find("apps", "v1", "replicasets") else { return Ok(()) };
    for set in old.into_iter().take(surplus) {
        let uid = Some(set.uid().to_owned());
        let options = DeleteOptions { policy: Some(Policy::Background), uid, ..DeleteOptions::default() };
        api.delete_quietly(&kind, &set.object_name(), &options).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment() -> Value {
        json!({
            "metadata": {"name": "web", "namespace": "a", "uid": "u", "annotations": {
                "kubernetes.io/change-cause": "first",
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
            }},
            "spec": {
                "replicas": 3,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}},
            },
        })
    }

    #[test]
    fn a_replica_set_is_the_template_with_a_hash() {
        let (deployment, set) = (deployment(), replica_set(&deployment(), 2));
        let hash = set["metadata"]["labels"][HASH].as_str().unwrap();
        assert_eq!(hash.len(), HASH_CHARACTERS);
        assert_eq!(set["spec"]["selector"]["matchLabels"], json!({"app": "web", HASH: hash}));
        assert_eq!(set["spec"]["template"]["metadata"]["labels"][HASH], hash);
        assert_eq!(template(&set), deployment["spec"]["template"]);
        assert_eq!(revision(&set), 2);
        let annotations = &set["metadata"]["annotations"];
        assert_eq!(annotations["kubernetes.io/change-cause"], "first");
        assert_eq!(annotations["kubectl.kubernetes.io/last-applied-configuration"], Value::Null);
    }

    #[test]
    fn another_template_has_another_name() {
        let mut changed = deployment();
        changed["spec"]["template"]["spec"]["containers"] = json!([{"name": "c"}]);
        assert_ne!(
            replica_set(&changed, 1)["metadata"]["name"],
            replica_set(&deployment(), 1)["metadata"]["name"]
        );
    }
}
