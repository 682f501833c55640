//! From the entries of a binding to targets: reads member clusters, each by
//! itself and each within its time.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::{Node, Pod, Secret};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use okra_api::aws_target_group_binding::BindingTarget;
use okra_aws::Target;

use super::eligible::{Selection, TargetType, nodes, pods};
use super::plan::Entry;
use crate::Context;
use crate::chain::chain;
use crate::members::client_of;
use crate::target_group_set::facts::{facts, is_leaving};

/// Time to read one member cluster. A dead one is known within it, and holds
/// up the targets of no other.
const CLUSTER_TIMEOUT: Duration = Duration::from_secs(10);
/// Namespace of pods, where none is named.
const NAMESPACE_DEFAULT: &str = "default";

/// What the target group takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// Instances or addresses.
    pub kind: TargetType,
    /// Port of its targets, where an entry names none.
    pub port: Option<u16>,
}

/// An entry that cannot be followed, whatever the clusters say.
///
/// # Errors
/// What is wrong with it, in a sentence.
pub fn check(entry: &BindingTarget, group: &Group) -> Result<(), String> {
    let name = &entry.name;
    let chooses_cluster = entry.cluster_name.is_some() || entry.cluster_selector.is_some();
    let chooses_nodes = entry.node_name.is_some() || entry.node_selector.is_some();
    if port(entry, group).is_none() {
        return Err(format!("targets {name:?}: the port is missing, or not 1 to 65535"));
    }
    if entry.ids.is_empty() && !chooses_cluster {
        return Err(format!("targets {name:?}: name ids, clusterName or clusterSelector"));
    }
    if !entry.ids.is_empty() && chooses_cluster {
        return Err(format!("targets {name:?}: ids and a cluster exclude each other"));
    }
    if entry.pod_selector.is_some() && chooses_nodes {
        return Err(format!("targets {name:?}: podSelector and nodes exclude each other"));
    }
    if entry.pod_selector.is_some() && group.kind != TargetType::Ip {
        return Err(format!("targets {name:?}: pods need a target group of type ip"));
    }
    Ok(())
}

fn port(entry: &BindingTarget, group: &Group) -> Option<u16> {
    match entry.port {
        None => group.port,
        Some(port) => u16::try_from(port).ok().filter(|port| *port > 0),
    }
}

/// What one entry asks for. Its port was checked before.
pub async fn resolve(context: &Context, secrets: &[Secret], entry: &BindingTarget, group: &Group) -> Entry {
    let mut resolved = Entry { name: entry.name.clone(), ..Entry::default() };
    let Some(port) = port(entry, group) else { return resolved };
    let target = |id: String| Target { id, port };
    resolved.targets.extend(entry.ids.iter().cloned().map(target));
    let chosen: Vec<&Secret> = secrets.iter().filter(|secret| chooses(entry, secret)).collect();
    if entry.cluster_name.is_some() && chosen.is_empty() {
        let wanted = entry.cluster_name.as_deref().unwrap_or_default();
        resolved.unknown = Some(format!("there is no cluster secret for {wanted}"));
    }
    let reads =
        chosen.iter().filter(|secret| !is_leaving(secret)).map(|secret| read(context, secret, entry, group));
    for (cluster, read) in join_all(reads).await {
        match read {
            Ok(selection) if selection.ready.is_empty() && selection.unready > 0 => {
                // The cluster's own view may be what is ill.
                let why = format!("{cluster}: none of {} is ready", selection.unready);
                resolved.unknown.get_or_insert(why);
            }
            Ok(selection) => resolved.targets.extend(selection.ready.into_iter().map(target)),
            Err(why) => {
                resolved.unknown.get_or_insert(format!("{cluster} cannot be read: {why}"));
            }
        }
        resolved.clusters.insert(cluster);
    }
    resolved
}

/// Whether an entry means the cluster of a secret: by the name of the secret
/// or of the cluster, or by the labels of the secret.
fn chooses(entry: &BindingTarget, secret: &Secret) -> bool {
    let by_name = entry.cluster_name.as_ref().is_some_and(|name| {
        let names = BTreeSet::from([secret.name_any(), facts(secret).name]);
        names.contains(name)
    });
    by_name || entry.cluster_selector.as_ref().is_some_and(|selector| selector.matches(secret.labels()))
}

async fn read(
    context: &Context,
    secret: &Secret,
    entry: &BindingTarget,
    group: &Group,
) -> (String, Result<Selection, String>) {
    let reading = select(context, secret, entry, group);
    let outcome = tokio::select! {
        outcome = reading => outcome,
        () = context.clock.sleep(CLUSTER_TIMEOUT) => {
            Err(format!("no answer within {} s", CLUSTER_TIMEOUT.as_secs()))
        }
    };
    (secret.name_any(), outcome)
}

async fn select(
    context: &Context,
    secret: &Secret,
    entry: &BindingTarget,
    group: &Group,
) -> Result<Selection, String> {
    let client = client_of(context, secret).await?;
    if let Some(selector) = &entry.pod_selector {
        let namespace = entry.namespace.as_deref().unwrap_or(NAMESPACE_DEFAULT);
        let api: Api<Pod> = Api::namespaced(client, namespace);
        let found = api.list(&labelled(&selector.match_labels)).await.map_err(|error| chain(&error))?;
        return Ok(pods(&found.items));
    }
    let mut params = labelled(&entry.node_labels());
    if let Some(name) = &entry.node_name {
        params = params.fields(&format!("metadata.name={name}"));
    }
    let api: Api<Node> = Api::all(client);
    let found = api.list(&params).await.map_err(|error| chain(&error))?;
    Ok(nodes(&found.items, group.kind))
}

fn labelled(labels: &std::collections::BTreeMap<String, String>) -> ListParams {
    let wanted: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if wanted.is_empty() { ListParams::default() } else { ListParams::default().labels(&wanted.join(",")) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const GROUP: Group = Group { kind: TargetType::Instance, port: Some(80) };

    fn entry(value: Value) -> BindingTarget {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn an_entry_that_cannot_be_followed_says_why() {
        let why = |value: Value, group: &Group| check(&entry(value), group).unwrap_err();
        assert!(why(json!({"name": "a"}), &GROUP).contains("name ids, clusterName or clusterSelector"));
        assert!(why(json!({"ids": ["i-1"], "clusterName": "c"}), &GROUP).contains("exclude"));
        assert!(why(json!({"ids": ["i-1"], "port": 70000}), &GROUP).contains("1 to 65535"));
        assert!(why(json!({"ids": ["i-1"]}), &Group { port: None, ..GROUP }).contains("port is missing"));
        let pods = json!({"clusterName": "c", "podSelector": {"matchLabels": {"app": "web"}}});
        assert!(why(pods.clone(), &GROUP).contains("type ip"));
        assert!(check(&entry(pods), &Group { kind: TargetType::Ip, ..GROUP }).is_ok());
        assert!(check(&entry(json!({"ids": ["i-1"], "port": 8080})), &GROUP).is_ok());
    }

    #[test]
    fn a_cluster_is_meant_by_name_of_secret_by_its_own_name_or_by_labels() {
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": "web-1-0a", "labels": {"service": "web"}},
            "stringData": {"server": "https://x", "config": r#"{"awsAuthConfig":{"clusterName":"Web_1"}}"#},
        }))
        .unwrap();
        for wanted in [
            json!({"clusterName": "web-1-0a"}),
            json!({"clusterName": "Web_1"}),
            json!({"clusterSelector": {"matchLabels": {"service": "web"}}}),
        ] {
            assert!(chooses(&entry(wanted), &secret));
        }
        assert!(!chooses(&entry(json!({"clusterName": "web-2"})), &secret));
        assert!(!chooses(&entry(json!({"ids": ["i-1"]})), &secret));
    }
}
