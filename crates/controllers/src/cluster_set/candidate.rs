//! What a source offers: clusters, in one shape for all kinds of source. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use okra_api::cluster_set::AwsEksClusters;
use okra_api::foreign::cluster_secret::ClusterSecret;
use okra_api::foreign::kubeconfig;
use okra_api::template::ClusterFacts;
use okra_aws::{ClusterDescription, ClusterStatus, Scope};

/// Keys under which a secret holds a kubeconfig: people's, and Cluster API's.
const KUBECONFIG_KEYS: [&str; 2] = ["kubeconfig", "value"];
/// What tools put behind the name of a cluster to name such a secret.
const KUBECONFIG_SUFFIX: &str = "-kubeconfig";
/// Label by which Cluster API names the cluster of a secret.
const CLUSTER_API_NAME: &str = "cluster.x-k8s.io/cluster-name";

/// A cluster that a source of a ClusterSet offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its identity: an ARN, or `secret/NAME`.
    pub source: String,
    /// What templates may name.
    pub facts: ClusterFacts,
    /// Whether and how it is reached.
    pub state: State,
}

/// Whether a cluster can have a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It serves, and this is how.
    Ready(Box<ClusterSecret>),
    /// It is going away.
    Deleting,
    /// It cannot have one (yet). A secret that it has stays as it is.
    NotReady {
        /// Why, as one word.
        reason: &'static str,
        /// Why, as a sentence.
        message: String,
    },
}

/// Whether a generator selects a cluster by its tags.
pub fn is_selected(source: &AwsEksClusters, cluster: &ClusterDescription) -> bool {
    source.match_tags().iter().all(|(key, value)| cluster.tags.get(key) == Some(value))
}

/// An EKS cluster of a region and account (`spec/okra.md` 3.1.5-2, H-08).
pub fn of_eks(scope: &Scope, cluster: &ClusterDescription) -> Candidate {
    let arn: Vec<&str> = cluster.arn.splitn(6, ':').collect();
    let part = |index: usize| arn.get(index).copied().unwrap_or_default().to_owned();
    let facts = ClusterFacts {
        name: cluster.name.clone(),
        arn: cluster.arn.clone(),
        region: scope.region.as_str().to_owned(),
        account_id: part(4),
        version: cluster.version.clone().unwrap_or_default(),
        endpoint: cluster.endpoint.clone().unwrap_or_default(),
        tags: cluster.tags.clone(),
    };
    Candidate { source: cluster.arn.clone(), state: eks_state(scope, cluster), facts }
}

fn eks_state(scope: &Scope, cluster: &ClusterDescription) -> State {
    let not_ready = |message: String| State::NotReady { reason: "NotReady", message };
    match (&cluster.status, &cluster.endpoint, &cluster.certificate_authority) {
        (ClusterStatus::Deleting, _, _) => State::Deleting,
        (ClusterStatus::Active | ClusterStatus::Updating, Some(endpoint), Some(authority)) => {
            State::Ready(Box::new(eks_secret(scope, &cluster.name, endpoint, authority)))
        }
        (ClusterStatus::Active | ClusterStatus::Updating, _, _) => {
            not_ready("it has no endpoint or no certificate authority yet".to_owned())
        }
        (status, _, _) => not_ready(format!("its EKS status is {status}")),
    }
}

fn eks_secret(scope: &Scope, name: &str, endpoint: &str, authority: &str) -> ClusterSecret {
    let role = scope.role.as_ref();
    ClusterSecret {
        region: Some(scope.region.as_str().to_owned()),
        external_id: role.and_then(|role| role.external_id.clone()),
        ..ClusterSecret::of_eks(name, endpoint, authority, role.map(|role| role.arn.clone()))
    }
}

/// A cluster of any kind, from a secret that holds a kubeconfig. The labels
/// of that secret stand for the tags that AWS would have.
pub fn of_kubeconfig(secret: &Secret) -> Candidate {
    let own = secret.name_any();
    let name = secret.labels().get(CLUSTER_API_NAME).cloned().unwrap_or_else(|| {
        own.strip_suffix(KUBECONFIG_SUFFIX).filter(|name| !name.is_empty()).unwrap_or(&own).to_owned()
    });
    // Its own secret cannot bear the name of the one that it is made from.
    let name = if name == own { format!("{name}-cluster") } else { name };
    let data = KUBECONFIG_KEYS.iter().find_map(|key| secret.data.as_ref()?.get(*key));
    let text = data.map(|bytes| String::from_utf8(bytes.0.clone()));
    let read = match text {
        None => Err(format!(
            "the secret {own} has neither key {:?} nor {:?}",
            KUBECONFIG_KEYS[0], KUBECONFIG_KEYS[1]
        )),
        Some(Err(_)) => Err(format!("the kubeconfig in the secret {own} is not UTF-8")),
        Some(Ok(text)) => kubeconfig::read(&name, &text)
            .map_err(|error| format!("the kubeconfig in the secret {own} cannot be used: {error}")),
    };
    let (state, endpoint) = match read {
        Ok(cluster) => {
            let server = cluster.server.clone();
            (State::Ready(Box::new(cluster)), server)
        }
        Err(message) => (State::NotReady { reason: "InvalidKubeconfig", message }, String::new()),
    };
    let tags: BTreeMap<String, String> = secret.labels().clone();
    let facts = ClusterFacts { name, endpoint, tags, ..ClusterFacts::default() };
    Candidate { source: format!("secret/{own}"), facts, state }
}

#[cfg(test)]
mod tests {
    use okra_aws::{Region, Role};
    use serde_json::json;

    use super::*;

    fn cluster(status: ClusterStatus) -> ClusterDescription {
        ClusterDescription {
            name: "web-1".into(),
            arn: "arn:aws:eks:eu-west-1:123456789012:cluster/web-1".into(),
            status,
            endpoint: Some("https://x/".into()),
            certificate_authority: Some("Q0E=".into()),
            version: Some("1.36".into()),
            created: None,
            tags: [("role".to_owned(), "web".to_owned())].into(),
        }
    }

    fn scope() -> Scope {
        let role = Role { external_id: Some("x1".into()), ..Role::new("arn:aws:iam::1:role/r") };
        Scope { region: Region::new("eu-west-1"), role: Some(role) }
    }

    #[test]
    fn h_08_only_what_serves_becomes_a_secret() {
        let state = |status| of_eks(&scope(), &cluster(status)).state;
        for status in [ClusterStatus::Active, ClusterStatus::Updating] {
            assert!(matches!(state(status), State::Ready(_)));
        }
        for status in [ClusterStatus::Creating, ClusterStatus::Failed, ClusterStatus::Pending] {
            assert!(matches!(state(status), State::NotReady { reason: "NotReady", .. }));
        }
        assert_eq!(state(ClusterStatus::Deleting), State::Deleting);
        let mut half = cluster(ClusterStatus::Active);
        half.endpoint = None;
        assert!(matches!(of_eks(&scope(), &half).state, State::NotReady { .. }));
    }

    #[test]
    fn the_role_of_the_discovery_is_the_role_of_the_login() {
        let State::Ready(secret) = of_eks(&scope(), &cluster(ClusterStatus::Active)).state else { panic!() };
        let aws = secret.config.aws_auth_config.unwrap();
        assert_eq!(
            (aws.cluster_name.as_str(), aws.role_arn.as_deref()),
            ("web-1", Some("arn:aws:iam::1:role/r"))
        );
        assert_eq!(
            (secret.region.as_deref(), secret.external_id.as_deref()),
            (Some("eu-west-1"), Some("x1"))
        );
        assert_eq!(secret.server, "https://x");
    }

    #[test]
    fn every_pair_must_match_and_none_selects_all() {
        let source = |value| serde_json::from_value::<AwsEksClusters>(value).unwrap();
        let one = cluster(ClusterStatus::Active);
        assert!(is_selected(&source(json!({})), &one));
        assert!(is_selected(&source(json!({"selector": {"matchTags": {"role": "web"}}})), &one));
        assert!(is_selected(&source(json!({"clusterSelector": {"matchTags": {"role": "web"}}})), &one));
        let both = json!({"selector": {"matchTags": {"role": "web", "a": "b"}}});
        assert!(!is_selected(&source(both), &one));
    }

    fn kubeconfig(name: &str, labels: serde_json::Value, key: &str, text: &str) -> Candidate {
        let secret = json!({"metadata": {"name": name, "labels": labels}, "data": {key: k8s_openapi::ByteString(text.into())}});
        of_kubeconfig(&serde_json::from_value(secret).unwrap())
    }

    #[test]
    fn a_cluster_that_is_not_aws_is_named_after_its_kubeconfig() {
        let text = "clusters: [{name: c, cluster: {server: 'https://c'}}]\n\
                    contexts: [{name: x, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {token: t}}]";
        let edge = kubeconfig("edge-kubeconfig", json!({"site": "north"}), "kubeconfig", text);
        assert_eq!((edge.facts.name.as_str(), edge.source.as_str()), ("edge", "secret/edge-kubeconfig"));
        assert_eq!(edge.facts.tags["site"], "north");
        assert!(matches!(edge.state, State::Ready(_)));
        assert_eq!(kubeconfig("edge", json!({}), "kubeconfig", text).facts.name, "edge-cluster");
        let capi = kubeconfig("x-kubeconfig", json!({CLUSTER_API_NAME: "prod"}), "value", text);
        assert_eq!(capi.facts.name, "prod");
        let none = kubeconfig("x-kubeconfig", json!({}), "other", text);
        assert!(matches!(none.state, State::NotReady { reason: "InvalidKubeconfig", .. }));
    }
}
