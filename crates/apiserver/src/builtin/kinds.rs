//! The list of built-in kinds.

use super::GenerationPolicy::{None as NotCounted, Spec, SpecAndAnnotations};
use super::{BuiltinKind, NameRule, ScalePaths};

const REPLICAS: ScalePaths = ScalePaths {
    spec_replicas: ".spec.replicas",
    status_replicas: ".status.replicas",
    selector: ".spec.selector",
};

/// A namespaced, stored kind without subresources, as most are.
const BASE: BuiltinKind = BuiltinKind {
    group: "",
    version: "v1",
    kind: "",
    plural: "",
    singular: "",
    short_names: &[],
    categories: &[],
    namespaced: true,
    stored: true,
    status: false,
    scale: None,
    subresources: &[],
    generation: NotCounted,
    unconditional_update: true,
    create_on_update: false,
    names: NameRule::Subdomain,
    field_labels: &[],
};

/// A kind that is asked, never stored.
const REVIEW: BuiltinKind = BuiltinKind { namespaced: false, stored: false, ..BASE };
const RBAC: BuiltinKind = BuiltinKind {
    group: "rbac.authorization.k8s.io",
    create_on_update: true,
    names: NameRule::PathSegment,
    ..BASE
};
const APPS: BuiltinKind =
    BuiltinKind { group: "apps", status: true, generation: Spec, categories: &["all"], ..BASE };
const AUTHORIZATION: BuiltinKind = BuiltinKind { group: "authorization.k8s.io", ..REVIEW };

const CORE_EVENT_LABELS: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];
const NEW_EVENT_LABELS: &[&str] = &[
    "regarding.kind",
    "regarding.namespace",
    "regarding.name",
    "regarding.uid",
    "regarding.apiVersion",
    "regarding.resourceVersion",
    "regarding.fieldPath",
    "reason",
    "reportingController",
    "type",
];
const POD_LABELS: &[&str] = &[
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
];

const KINDS: &[BuiltinKind] = &[
    BuiltinKind {
        kind: "ConfigMap",
        plural: "configmaps",
        singular: "configmap",
        short_names: &["cm"],
        ..BASE
    },
    BuiltinKind {
        kind: "Endpoints",
        plural: "endpoints",
        singular: "endpoints",
        short_names: &["ep"],
        create_on_update: true,
        ..BASE
    },
    BuiltinKind {
        kind: "Event",
        plural: "events",
        singular: "event",
        short_names: &["ev"],
        create_on_update: true,
        field_labels: CORE_EVENT_LABELS,
        ..BASE
    },
    BuiltinKind {
        kind: "Namespace",
        plural: "namespaces",
        singular: "namespace",
        short_names: &["ns"],
        namespaced: false,
        status: true,
        subresources: &[("finalize", "v1", "Namespace")],
        names: NameRule::Label,
        field_labels: &["status.phase"],
        ..BASE
    },
    BuiltinKind {
        kind: "Node",
        plural: "nodes",
        singular: "node",
        short_names: &["no"],
        namespaced: false,
        status: true,
        field_labels: &["spec.unschedulable"],
        ..BASE
    },
    BuiltinKind {
        kind: "PersistentVolumeClaim",
        plural: "persistentvolumeclaims",
        singular: "persistentvolumeclaim",
        short_names: &["pvc"],
        status: true,
        ..BASE
    },
    BuiltinKind {
        kind: "PersistentVolume",
        plural: "persistentvolumes",
        singular: "persistentvolume",
        short_names: &["pv"],
        namespaced: false,
        status: true,
        ..BASE
    },
    BuiltinKind {
        kind: "Pod",
        plural: "pods",
        singular: "pod",
        short_names: &["po"],
        categories: &["all"],
        status: true,
        subresources: &[("binding", "v1", "Binding"), ("eviction", "policy/v1", "Eviction")],
        generation: Spec,
        field_labels: POD_LABELS,
        ..BASE
    },
    BuiltinKind {
        kind: "ReplicationController",
        plural: "replicationcontrollers",
        singular: "replicationcontroller",
        short_names: &["rc"],
        categories: &["all"],
        status: true,
        generation: Spec,
        scale: Some(REPLICAS),
        field_labels: &["status.replicas"],
        ..BASE
    },
    BuiltinKind { kind: "Secret", plural: "secrets", singular: "secret", field_labels: &["type"], ..BASE },
    BuiltinKind {
        kind: "ServiceAccount",
        plural: "serviceaccounts",
        singular: "serviceaccount",
        short_names: &["sa"],
        subresources: &[("token", "authentication.k8s.io/v1", "TokenRequest")],
        ..BASE
    },
    BuiltinKind {
        kind: "Service",
        plural: "services",
        singular: "service",
        short_names: &["svc"],
        categories: &["all"],
        status: true,
        create_on_update: true,
        names: NameRule::Label,
        field_labels: &["spec.clusterIP", "spec.type"],
        ..BASE
    },
    BuiltinKind {
        kind: "DaemonSet",
        plural: "daemonsets",
        singular: "daemonset",
        short_names: &["ds"],
        ..APPS
    },
    BuiltinKind {
        kind: "Deployment",
        plural: "deployments",
        singular: "deployment",
        short_names: &["deploy"],
        generation: SpecAndAnnotations,
        scale: Some(REPLICAS),
        ..APPS
    },
    BuiltinKind {
        kind: "ReplicaSet",
        plural: "replicasets",
        singular: "replicaset",
        short_names: &["rs"],
        scale: Some(REPLICAS),
        ..APPS
    },
    BuiltinKind {
        kind: "StatefulSet",
        plural: "statefulsets",
        singular: "statefulset",
        short_names: &["sts"],
        scale: Some(REPLICAS),
        ..APPS
    },
    BuiltinKind {
        group: "batch",
        kind: "CronJob",
        plural: "cronjobs",
        singular: "cronjob",
        short_names: &["cj"],
        ..APPS
    },
    BuiltinKind {
        group: "batch",
        kind: "Job",
        plural: "jobs",
        singular: "job",
        field_labels: &["status.successful"],
        ..APPS
    },
    BuiltinKind {
        group: "coordination.k8s.io",
        kind: "Lease",
        plural: "leases",
        singular: "lease",
        unconditional_update: false,
        create_on_update: true,
        ..BASE
    },
    BuiltinKind {
        group: "discovery.k8s.io",
        kind: "EndpointSlice",
        plural: "endpointslices",
        singular: "endpointslice",
        generation: Spec,
        ..BASE
    },
    BuiltinKind {
        group: "events.k8s.io",
        kind: "Event",
        plural: "events",
        singular: "event",
        short_names: &["ev"],
        create_on_update: true,
        field_labels: NEW_EVENT_LABELS,
        ..BASE
    },
    BuiltinKind {
        group: "networking.k8s.io",
        kind: "Ingress",
        plural: "ingresses",
        singular: "ingress",
        short_names: &["ing"],
        status: true,
        generation: Spec,
        ..BASE
    },
    BuiltinKind {
        group: "policy",
        kind: "PodDisruptionBudget",
        plural: "poddisruptionbudgets",
        singular: "poddisruptionbudget",
        short_names: &["pdb"],
        status: true,
        generation: Spec,
        ..BASE
    },
    BuiltinKind {
        kind: "ClusterRoleBinding",
        plural: "clusterrolebindings",
        singular: "clusterrolebinding",
        namespaced: false,
        ..RBAC
    },
    BuiltinKind {
        kind: "ClusterRole",
        plural: "clusterroles",
        singular: "clusterrole",
        namespaced: false,
        ..RBAC
    },
    BuiltinKind { kind: "RoleBinding", plural: "rolebindings", singular: "rolebinding", ..RBAC },
    BuiltinKind { kind: "Role", plural: "roles", singular: "role", ..RBAC },
    BuiltinKind {
        group: "authentication.k8s.io",
        kind: "SelfSubjectReview",
        plural: "selfsubjectreviews",
        singular: "selfsubjectreview",
        ..REVIEW
    },
    BuiltinKind {
        group: "authentication.k8s.io",
        kind: "TokenReview",
        plural: "tokenreviews",
        singular: "tokenreview",
        ..REVIEW
    },
    BuiltinKind {
        kind: "LocalSubjectAccessReview",
        plural: "localsubjectaccessreviews",
        singular: "localsubjectaccessreview",
        namespaced: true,
        ..AUTHORIZATION
    },
    BuiltinKind {
        kind: "SelfSubjectAccessReview",
        plural: "selfsubjectaccessreviews",
        singular: "selfsubjectaccessreview",
        ..AUTHORIZATION
    },
    BuiltinKind {
        kind: "SelfSubjectRulesReview",
        plural: "selfsubjectrulesreviews",
        singular: "selfsubjectrulesreview",
        ..AUTHORIZATION
    },
    BuiltinKind {
        kind: "SubjectAccessReview",
        plural: "subjectaccessreviews",
        singular: "subjectaccessreview",
        ..AUTHORIZATION
    },
    BuiltinKind {
        group: "apiextensions.k8s.io",
        kind: "CustomResourceDefinition",
        plural: "customresourcedefinitions",
        singular: "customresourcedefinition",
        short_names: &["crd", "crds"],
        categories: &["api-extensions"],
        namespaced: false,
        status: true,
        generation: Spec,
        ..BASE
    },
];

/// All built-in kinds, the core group first.
pub fn kinds() -> &'static [BuiltinKind] {
    KINDS
}
