//! Whose a rule is (`spec/okra.md` 3.3.2-4).

use std::collections::BTreeMap;

use okra_api::names::{TAG_CLUSTER_ID, TAG_NAME, TAG_NAMESPACE};

/// Tags by which the AWS Load Balancer Controller marks what it manages
/// (`spec/aws.md` 4.3): it would write its own rules back.
const FOREIGN_TAGS: [&str; 3] = ["elbv2.k8s.aws/cluster", "ingress.k8s.aws/stack", "service.k8s.aws/stack"];

/// Who this okra and this object are, in tags.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    /// UID of the management API's `kube-system` namespace.
    pub(crate) cluster_id: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Identity {
    /// The tags of a rule of this object.
    pub(crate) fn tags(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (TAG_CLUSTER_ID.to_owned(), self.cluster_id.clone()),
            (TAG_NAMESPACE.to_owned(), self.namespace.clone()),
            (TAG_NAME.to_owned(), self.name.clone()),
        ])
    }
}

/// Whose a rule is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Ownership {
    /// This object's.
    Own,
    /// Nobody has marked it.
    Unmarked,
    /// Another object's, or another okra's.
    Other {
        /// Who, in words.
        owner: String,
    },
}

/// Whose a rule with these tags is.
pub(crate) fn ownership(tags: &BTreeMap<String, String>, identity: &Identity) -> Ownership {
    let Some(cluster) = tags.get(TAG_CLUSTER_ID) else { return Ownership::Unmarked };
    let tag = |key: &str| tags.get(key).map(String::as_str).unwrap_or_default();
    let (namespace, name) = (tag(TAG_NAMESPACE), tag(TAG_NAME));
    if *cluster != identity.cluster_id {
        return Ownership::Other { owner: format!("{namespace}/{name} of another okra ({cluster})") };
    }
    if namespace == identity.namespace && name == identity.name {
        Ownership::Own
    } else {
        Ownership::Other { owner: format!("{namespace}/{name}") }
    }
}

/// The mark of another controller on a load balancer.
pub(crate) fn foreign_controller(tags: &BTreeMap<String, String>) -> Option<String> {
    FOREIGN_TAGS.iter().find_map(|key| tags.get_key_value(*key)).map(|(key, value)| format!("{key}={value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(cluster_id: &str, name: &str) -> Identity {
        Identity { cluster_id: cluster_id.to_owned(), namespace: "ns".to_owned(), name: name.to_owned() }
    }

    #[test]
    fn h_81_a_rule_belongs_to_whom_its_tags_name() {
        let me = identity("c1", "cell1");
        assert_eq!(ownership(&me.tags(), &me), Ownership::Own);
        assert_eq!(ownership(&BTreeMap::new(), &me), Ownership::Unmarked);
        let neighbour = ownership(&identity("c1", "cell2").tags(), &me);
        assert_eq!(neighbour, Ownership::Other { owner: "ns/cell2".to_owned() });
        let other = ownership(&identity("c2", "cell1").tags(), &me);
        assert!(matches!(other, Ownership::Other { owner } if owner.contains("another okra (c2)")));
    }

    #[test]
    fn a_load_balancer_of_another_controller_is_seen_by_its_tags() {
        let tags = |key: &str| BTreeMap::from([(key.to_owned(), "k1".to_owned())]);
        assert_eq!(foreign_controller(&tags("team")), None);
        assert_eq!(
            foreign_controller(&tags("elbv2.k8s.aws/cluster")).as_deref(),
            Some("elbv2.k8s.aws/cluster=k1")
        );
    }
}
