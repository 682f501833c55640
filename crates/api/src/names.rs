//! Every group, label, annotation, finalizer and fixed name that okra writes
//! or looks for (`spec/okra.md` 2.11), in one place so that no two modules
//! spell one differently.

/// The API group of okra's own kinds.
pub const GROUP: &str = "okra.mumo.co";
/// The group that older documentation shows; read from files, never stored.
pub const DOCUMENTED_GROUP: &str = "okra.mumoshu.github.io";
/// The group of argocd-clusterset's ClusterSet, whose spec okra reads as it is.
pub const CLUSTERSET_GROUP: &str = "clusterset.mumo.co";
/// The one version of okra's own kinds.
pub const VERSION: &str = "v1alpha1";
/// The group of the analysis kinds, shared with Argo Rollouts.
pub const ARGO_GROUP: &str = "argoproj.io";
/// The version of the analysis kinds.
pub const ARGO_VERSION: &str = "v1alpha1";

/// Field manager of every server-side apply.
pub const FIELD_MANAGER: &str = "okra";

/// Label of an Argo CD cluster secret; its value is [`SECRET_TYPE_CLUSTER`].
pub const LABEL_SECRET_TYPE: &str = "argocd.argoproj.io/secret-type";
/// Value of [`LABEL_SECRET_TYPE`] on cluster secrets.
pub const SECRET_TYPE_CLUSTER: &str = "cluster";
/// Selects the cluster secrets: [`LABEL_SECRET_TYPE`] is [`SECRET_TYPE_CLUSTER`].
pub const CLUSTER_SECRETS: &str = "argocd.argoproj.io/secret-type=cluster";

/// Semantic version of a target group, a binding or a cluster.
pub const LABEL_VERSION: &str = "okra.mumo.co/version";
/// The documented spelling of [`LABEL_VERSION`].
pub const LABEL_VERSION_DOCUMENTED: &str = "okra.mumoshu.github.io/version";
/// Where a version is looked for when a Cell names no label: first non-empty wins.
pub const DEFAULT_VERSION_LABELS: [&str; 2] = [LABEL_VERSION, LABEL_VERSION_DOCUMENTED];

/// Name of the cluster secret that an AWSTargetGroup was found in.
pub const LABEL_BINDING_CLUSTER: &str = "okra.mumo.co/target-group-binding-cluster";
/// Namespace of the binding that an AWSTargetGroup was made from.
pub const LABEL_BINDING_NAMESPACE: &str = "okra.mumo.co/target-group-binding-namespace";
/// Name of the binding that an AWSTargetGroup was made from.
pub const LABEL_BINDING_NAME: &str = "okra.mumo.co/target-group-binding-name";
/// Marker: the AWSTargetGroupSet that made this AWSTargetGroup.
pub const LABEL_TARGET_GROUP_SET: &str = "okra.mumo.co/awstargetgroupset";
/// Marker: the ClusterSet that made this cluster secret.
pub const LABEL_CLUSTER_SET: &str = "okra.mumo.co/clusterset";

/// Unqualified Cell label of components written by the Go program; read only.
pub const LABEL_LEGACY_CELL: &str = "cell";
/// The Cell that a component belongs to.
pub const LABEL_CELL: &str = "okra.mumo.co/cell";
/// The rollout that a component belongs to (`status.rolloutID`).
pub const LABEL_ROLLOUT_ID: &str = "okra.mumo.co/rollout-id";
/// Decimal step index of a component, or [`STEP_BACKGROUND`].
pub const LABEL_STEP_INDEX: &str = "okra.mumo.co/step-index";
/// Value of [`LABEL_STEP_INDEX`] on the background run.
pub const STEP_BACKGROUND: &str = "bg";
/// Written by the Go program; opaque.
pub const LABEL_CELL_STATE_HASH: &str = "okra.mumo.co/cell-state-hash";
/// Written by the Go program, on components a label, on configs an annotation; opaque.
pub const TEMPLATE_HASH: &str = "okra.mumo.co/template-hash";
/// Written by the Go program on the load balancer config; opaque.
pub const ANNOTATION_ALB_CONFIG_HASH: &str = "alb-config-hash";

/// Which controller executes an AnalysisRun or Experiment.
pub const LABEL_CONTROLLER_INSTANCE_ID: &str = "argo-rollouts.argoproj.io/controller-instance-id";
/// Value of [`LABEL_CONTROLLER_INSTANCE_ID`] on what okra executes.
pub const CONTROLLER_INSTANCE_ID: &str = "okra";

/// Consent to take over a rule, listener or config that okra did not make: `"true"`.
pub const ANNOTATION_ADOPT: &str = "okra.mumo.co/adopt";
/// One command of a human, JSON ([`crate::cell::Command`]).
pub const ANNOTATION_COMMAND: &str = "okra.mumo.co/command";
/// The last change of a Cell's spec by a verb: JSON `{verb, by, reason, at,
/// version}`, for people and for the history.
pub const ANNOTATION_LAST_CHANGE: &str = "okra.mumo.co/last-change";
/// The cluster in which an AnalysisRun's jobs or an Experiment's pods run.
pub const ANNOTATION_CLUSTER: &str = "okra.mumo.co/cluster";
/// Metric fields that an installed upstream CRD would prune (`spec/analysis.md` 2.10).
pub const ANNOTATION_METRICS: &str = "okra.mumo.co/metrics";
/// Who asked an AnalysisRun to stop: `RolloutFinished`, `Abort` or `User`; a
/// user when absent.
pub const ANNOTATION_TERMINATED_BY: &str = "okra.mumo.co/terminated-by";
/// The Experiment that an object belongs to.
pub const LABEL_EXPERIMENT: &str = "okra.mumo.co/experiment";
/// Tells the pods of one template of an Experiment from all others.
pub const LABEL_EXPERIMENT_SET: &str = "okra.mumo.co/experiment-set";
/// Time since which a cluster has been seen without traffic, on its secret.
pub const ANNOTATION_RETIRED: &str = "okra.mumo.co/retired";
/// JSON of the EKS tags of a cluster, on its secret.
pub const ANNOTATION_EKS_TAGS: &str = "okra.mumo.co/eks-tags";
/// EKS status of a cluster that is going away, on its secret.
pub const ANNOTATION_CLUSTER_STATUS: &str = "okra.mumo.co/cluster-status";

/// Where a cluster secret was made from, its identity: the ARN of an EKS
/// cluster, or `secret/NAME` of a kubeconfig.
pub const ANNOTATION_SOURCE: &str = "okra.mumo.co/source";
/// UID of the ClusterSet of a cluster secret in another namespace, where an
/// owner reference cannot lead.
pub const ANNOTATION_OWNER_UID: &str = "okra.mumo.co/owner-uid";
/// Region in which the token of an EKS cluster is signed, on its secret.
pub const ANNOTATION_REGION: &str = "okra.mumo.co/region";
/// What the role of a cluster secret demands as `sts:ExternalId`.
pub const ANNOTATION_EXTERNAL_ID: &str = "okra.mumo.co/external-id";
/// Kubernetes version of a cluster, on its secret.
pub const ANNOTATION_KUBERNETES_VERSION: &str = "okra.mumo.co/kubernetes-version";

/// Tag of AWS resources: UID of the management API's `kube-system` namespace.
pub const TAG_CLUSTER_ID: &str = "okra.mumo.co/cluster-id";
/// Tag of AWS resources: namespace of the owning config.
pub const TAG_NAMESPACE: &str = "okra.mumo.co/namespace";
/// Tag of AWS resources: name of the owning config.
pub const TAG_NAME: &str = "okra.mumo.co/name";

/// The finalizer of new objects that need clean-up.
pub const FINALIZER: &str = "okra.mumo.co/finalizer";
/// The finalizer of the Go program: accepted, never added, removed on deletion.
pub const FINALIZER_LEGACY: &str = "okra.mumo.co";
/// The finalizer of argocd-clusterset, whose ClusterSets are converted: likewise.
pub const FINALIZER_CLUSTERSET_LEGACY: &str = "runner.clusterset.mumo.co";

/// Prefixes that a member cluster may not set on objects of the management API.
pub const RESERVED_LABEL_PREFIXES: [&str; 3] = ["okra.mumo.co/", "argocd.argoproj.io/", "kubernetes.io/"];

/// Longest label value that Kubernetes accepts, in characters.
pub const LABEL_VALUE_MAX: usize = 63;
/// Longest object name that Kubernetes accepts, in characters.
pub const OBJECT_NAME_MAX: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selector_of_cluster_secrets_is_their_label() {
        assert_eq!(CLUSTER_SECRETS, format!("{LABEL_SECRET_TYPE}={SECRET_TYPE_CLUSTER}"));
    }
}
