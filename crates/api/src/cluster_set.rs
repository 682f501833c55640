//! `ClusterSet`: which clusters exist (`spec/okra.md` 2.1).

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{ClusterNames, Condition, LabelSelector, ObjectTemplate, is_default};

/// Discovers clusters and writes one Argo CD cluster secret for each.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "okra.mumo.co",
    version = "v1alpha1",
    kind = "ClusterSet",
    plural = "clustersets",
    namespaced,
    category = "okra",
    status = "ClusterSetStatus",
    derive = "PartialEq",
    doc = "Discovers clusters and writes one Argo CD cluster secret for each.",
    printcolumn(name = "Last Sync", type_ = "date", json_path = ".status.lastSyncTime")
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSetSpec {
    /// Sources of clusters; the set is their union.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub generators: Vec<ClusterGenerator>,
    /// Older shape of a generator: `selector.eksTags`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<EksTagSelector>,
    /// Shape of the generated secrets.
    #[serde(default, skip_serializing_if = "is_default")]
    pub template: ObjectTemplate,
    /// Where a secret's version label comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_from: Option<VersionFrom>,
    /// What happens to the secrets when the ClusterSet is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["Delete", "Retain"]))]
    pub deletion_policy: Option<String>,
    /// Largest share of the set's secrets, in percent, that one discovery may
    /// delete. When absent any number may go but never all of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub max_deletion_percent: Option<i64>,
}

/// One source of clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterGenerator {
    /// EKS clusters of an account and region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub awseks: Option<AwsEksClusters>,
    /// Clusters of any kind, described by kubeconfigs in secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<KubeconfigClusters>,
}

/// Clusters described by secrets that hold a kubeconfig under the key
/// `kubeconfig` or, as Cluster API writes it, `value`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubeconfigClusters {
    /// Selects secrets in the namespace of the set. An empty one selects none:
    /// a secret becomes a cluster only by somebody's word.
    #[serde(default, skip_serializing_if = "is_default")]
    pub secret_selector: LabelSelector,
}

/// EKS clusters selected by tags.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsEksClusters {
    /// Tags that a cluster must have; absent or empty selects every cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<TagSelector>,
    /// Documented spelling of `selector`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_selector: Option<TagSelector>,
    /// Regions to look in; that of the environment when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// Role to assume for discovery, copied into the secret.
    #[serde(rename = "roleARN", skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// What the role's trust policy demands as `sts:ExternalId`.
    #[serde(rename = "externalID", skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Name of the role's sessions in CloudTrail; `okra` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_name: Option<String>,
}

impl AwsEksClusters {
    /// The tags to match, whichever spelling was used; both together add up.
    pub fn match_tags(&self) -> BTreeMap<String, String> {
        [&self.cluster_selector, &self.selector]
            .into_iter()
            .flatten()
            .flat_map(|selector| selector.match_tags.clone())
            .collect()
    }
}

/// Equality of tags.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TagSelector {
    /// Every pair must be a tag of the cluster.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_tags: BTreeMap<String, String>,
}

/// The shape that argocd-clusterset used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EksTagSelector {
    /// Every pair must be a tag of the cluster.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub eks_tags: BTreeMap<String, String>,
}

/// Where a version comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionFrom {
    /// Name of the EKS tag that holds the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// What the last discovery found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSetStatus {
    /// Selected clusters, whether they have a secret or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clusters: Option<ClusterNames>,
    /// Cluster secrets that the set holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<i64>,
    /// Selected clusters without a secret, or with one that is not kept up to
    /// date, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOutCluster>,
    /// Secrets whose cluster the last complete discovery did not find. They
    /// are deleted when the next one does not find it either.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<MissingCluster>,
    /// The last discovery that read every source to its end; told within five
    /// minutes of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_discovery_time: Option<Timestamp>,
    /// When another field of the status last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_time: Option<Timestamp>,
    /// Summary of the conditions as one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Why, as one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Generation that was acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Standard conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A cluster that the set selects but does not keep a secret for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeftOutCluster {
    /// Name of the cluster.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Why, as one word.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Why, as a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// A secret whose cluster was not found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MissingCluster {
    /// Name of the secret.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub secret: String,
    /// The first complete discovery that did not find its cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

impl ClusterSetSpec {
    /// All EKS sources of clusters, the older shape included.
    pub fn sources(&self) -> Vec<AwsEksClusters> {
        let older = self.selector.iter().map(|selector| AwsEksClusters {
            selector: Some(TagSelector { match_tags: selector.eks_tags.clone() }),
            ..AwsEksClusters::default()
        });
        self.generators.iter().filter_map(|generator| generator.awseks.clone()).chain(older).collect()
    }

    /// All sources of kubeconfigs.
    pub fn kubeconfigs(&self) -> Vec<KubeconfigClusters> {
        self.generators.iter().filter_map(|generator| generator.kubeconfig.clone()).collect()
    }
}
