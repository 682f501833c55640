//! Which nodes and pods can be targets, and under which id. Pure.

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt as _;

/// What a target group takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetType {
    /// Ids of EC2 instances.
    Instance,
    /// IP addresses.
    Ip,
}

impl TargetType {
    /// From the word of ELBv2. Other types take no nodes and no pods.
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "instance" => Some(Self::Instance),
            "ip" => Some(Self::Ip),
            _ => None,
        }
    }
}

/// Labels by which a node asks to be left out, as AWS's own controller reads
/// them; with `Some` the value must be equal.
const EXCLUDED: [(&str, Option<&str>); 4] = [
    ("node.kubernetes.io/exclude-from-external-load-balancers", None),
    ("node-role.kubernetes.io/control-plane", None),
    ("node-role.kubernetes.io/master", None),
    // Its pods have addresses of their own; the node takes no traffic (SC-18).
    ("eks.amazonaws.com/compute-type", Some("fargate")),
];

/// Taints of nodes that an autoscaler is about to remove.
const LEAVING_TAINTS: [&str; 2] = ["ToBeDeletedByClusterAutoscaler", "karpenter.sh/disrupted"];

/// Nodes or pods of a selection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Ids of those that can take traffic.
    pub ready: Vec<String>,
    /// How many could, but are not ready.
    pub unready: usize,
}

/// The nodes that can be targets.
pub fn nodes(nodes: &[Node], kind: TargetType) -> Selection {
    let mut selection = Selection::default();
    for node in nodes.iter().filter(|node| is_offered(node)) {
        match node_id(node, kind).filter(|_| is_ready(node)) {
            Some(id) => selection.ready.push(id),
            None => selection.unready += 1,
        }
    }
    selection
}

fn is_offered(node: &Node) -> bool {
    let labels = node.labels();
    let excluded = EXCLUDED
        .iter()
        .any(|(key, value)| labels.get(*key).is_some_and(|found| value.is_none_or(|value| found == value)));
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    let leaving = taints.iter().any(|taint| LEAVING_TAINTS.contains(&taint.key.as_str()));
    !excluded && !leaving && node.metadata.deletion_timestamp.is_none()
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn node_id(node: &Node, kind: TargetType) -> Option<String> {
    match kind {
        TargetType::Instance => {
            // `aws:///eu-west-1a/i-0123456789abcdef0`
            let provider = node.spec.as_ref()?.provider_id.as_deref()?;
            let id = provider.strip_prefix("aws://")?.rsplit('/').next()?;
            id.starts_with("i-").then(|| id.to_owned())
        }
        TargetType::Ip => {
            let addresses = node.status.as_ref()?.addresses.as_deref()?;
            addresses.iter().find(|one| one.type_ == "InternalIP").map(|one| one.address.clone())
        }
    }
}

/// The pods that can be targets, by address. One that ends is none any more.
pub fn pods(pods: &[Pod]) -> Selection {
    let mut selection = Selection::default();
    for pod in pods.iter().filter(|pod| is_living(pod)) {
        let status = pod.status.as_ref();
        let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        let ready = conditions.iter().any(|one| one.type_ == "Ready" && one.status == "True");
        match status.and_then(|status| status.pod_ip.clone()).filter(|ip| ready && !ip.is_empty()) {
            Some(ip) => selection.ready.push(ip),
            None => selection.unready += 1,
        }
    }
    selection
}

fn is_living(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, "Succeeded" | "Failed")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn node(name: &str, ready: &str, labels: Value, taint: Option<&str>) -> Node {
        let taints: Vec<Value> =
            taint.iter().map(|key| json!({"key": key, "effect": "NoSchedule"})).collect();
        serde_json::from_value(json!({
            "metadata": {"name": name, "labels": labels},
            "spec": {"providerID": format!("aws:///eu-west-1a/i-{name}"), "taints": taints},
            "status": {
                "conditions": [{"type": "Ready", "status": ready}],
                "addresses": [
                    {"type": "Hostname", "address": name}, {"type": "InternalIP", "address": format!("10.0.0.{name}")},
                ],
            },
        }))
        .unwrap()
    }

    #[test]
    fn sc_18_nodes_that_take_no_traffic_are_left_out() {
        let all = [
            node("1", "True", json!({}), None),
            node("2", "False", json!({}), None),
            node("3", "True", json!({"eks.amazonaws.com/compute-type": "fargate"}), None),
            node("4", "True", json!({"eks.amazonaws.com/compute-type": "ec2"}), None),
            node("5", "True", json!({"node.kubernetes.io/exclude-from-external-load-balancers": ""}), None),
            node("6", "True", json!({}), Some("karpenter.sh/disrupted")),
            node("7", "True", json!({}), Some("dedicated")),
        ];
        let selection = nodes(&all, TargetType::Instance);
        assert_eq!((selection.ready, selection.unready), (vec!["i-1".into(), "i-4".into(), "i-7".into()], 1));
        assert_eq!(nodes(&all[..1], TargetType::Ip).ready, ["10.0.0.1"]);
    }

    #[test]
    fn a_node_without_an_instance_is_no_target_of_instances() {
        let mut kind = node("1", "True", json!({}), None);
        kind.spec.as_mut().unwrap().provider_id = Some("kind://docker/kind/1".into());
        assert_eq!(nodes(&[kind], TargetType::Instance), Selection { ready: vec![], unready: 1 });
    }

    #[test]
    fn only_ready_pods_that_live_are_targets() {
        let pod = |ip: &str, phase: &str, ready: &str, deleted: Option<&str>| -> Pod {
            serde_json::from_value(json!({
                "metadata": {"name": "p", "deletionTimestamp": deleted},
                "status": {"phase": phase, "podIP": ip, "conditions": [{"type": "Ready", "status": ready}]},
            }))
            .unwrap()
        };
        let all = [
            pod("10.0.0.1", "Running", "True", None),
            pod("10.0.0.2", "Running", "False", None),
            pod("10.0.0.3", "Running", "True", Some("2026-11-21T00:00:00Z")),
            pod("10.0.0.4", "Succeeded", "False", None),
        ];
        assert_eq!(pods(&all), Selection { ready: vec!["10.0.0.1".into()], unready: 1 });
    }
}
