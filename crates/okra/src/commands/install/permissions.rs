//! What the controllers may ask of the management API: the one list from
//! which the roles are printed. A test runs the controllers, records every
//! call, and holds this list to it: each call is allowed, and each verb is
//! used or says here why it is there (`spare`).

use serde_json::{Value, json};

use okra_api::names::{ARGO_GROUP, GROUP};

/// What may be done with one resource.
#[derive(Debug, Clone, Copy)]
pub struct Permission {
    /// API group; empty for the core.
    pub group: &'static str,
    /// Resource, with its subresource.
    pub resource: &'static str,
    /// Verbs that every swap uses.
    pub verbs: &'static [&'static str],
    /// Verbs that are used seldom, each with the moment.
    pub spare: &'static [(&'static str, &'static str)],
}

/// Reading of a kind that is watched.
const WATCHED: &[&str] = &["list", "watch"];
/// Writing of a status.
const STATUS: &[&str] = &["patch"];

const OWNER: (&str, &str) =
    ("update", "clusters that check who may block the deletion of an owner ask for it");
const FINALIZER: (&str, &str) = ("patch", "the finalizer of an object whose deletion has to do something");
const REREAD: (&str, &str) =
    ("get", "an object is read again before a write that was refused is tried again");

const fn okra(
    resource: &'static str,
    verbs: &'static [&'static str],
    spare: &'static [(&'static str, &'static str)],
) -> Permission {
    Permission { group: GROUP, resource, verbs, spare }
}

const fn argo(
    resource: &'static str,
    verbs: &'static [&'static str],
    spare: &'static [(&'static str, &'static str)],
) -> Permission {
    Permission { group: ARGO_GROUP, resource, verbs, spare }
}

const fn of_core(
    resource: &'static str,
    verbs: &'static [&'static str],
    spare: &'static [(&'static str, &'static str)],
) -> Permission {
    Permission { group: "", resource, verbs, spare }
}

/// In every namespace that is watched.
pub const WATCHING: &[Permission] = &[
    okra("cells", &["get", "list", "watch"], &[]),
    okra("cells/status", STATUS, &[]),
    okra("cells/finalizers", &[], &[OWNER]),
    okra(
        "awsapplicationloadbalancerconfigs",
        &["get", "list", "watch", "create", "update"],
        &[("patch", "the finalizer of a config that deletes its rule, or of the Go program")],
    ),
    okra("awsapplicationloadbalancerconfigs/status", STATUS, &[]),
    okra("awsnetworkloadbalancerconfigs", &["get"], &[]),
    okra(
        "awstargetgroups",
        &["list", "watch", "patch"],
        &[REREAD, ("delete", "a binding or its cluster is gone")],
    ),
    okra("awstargetgroups/status", STATUS, &[]),
    okra("awstargetgroupbindings", WATCHED, &[REREAD, FINALIZER]),
    okra("awstargetgroupbindings/status", &[], &[("patch", "targets of a binding were registered")]),
    okra("clustersets", WATCHED, &[REREAD, FINALIZER]),
    okra("clustersets/status", &[], &[("patch", "clusters were looked for")]),
    okra("clustersets/finalizers", &[], &[OWNER]),
    okra("awstargetgroupsets", WATCHED, &[]),
    okra("awstargetgroupsets/status", STATUS, &[]),
    okra("awstargetgroupsets/finalizers", &[], &[OWNER]),
    okra("pauses", &["list", "watch", "create", "delete"], &[]),
    okra("pauses/status", STATUS, &[]),
    okra(
        "versionblocklists",
        &["get", "list", "watch", "create"],
        &[("update", "a second version is blocked")],
    ),
    argo(
        "analysisruns",
        &["get", "list", "watch", "create", "patch"],
        &[("delete", "the history limit of a Cell or a time to live has passed")],
    ),
    argo(
        "experiments",
        WATCHED,
        &[
            ("create", "a step is an experiment"),
            ("patch", "an experiment is ended with its rollout"),
            ("delete", "the history limit of a Cell has passed"),
        ],
    ),
    argo("analysistemplates", &["list"], &[]),
    of_core(
        "secrets",
        &["list", "watch"],
        &[
            ("get", "a secret that an analysis names as an argument"),
            ("patch", "a cluster is marked as retired, or its secret follows its ClusterSet"),
            ("create", "a ClusterSet has found a cluster"),
            ("delete", "a cluster of a ClusterSet is gone"),
        ],
    ),
    Permission { group: "events.k8s.io", resource: "events", verbs: &["create"], spare: &[] },
    Permission {
        group: "apps",
        resource: "replicasets",
        verbs: &[],
        spare: &[
            ("get", "an experiment names a ReplicaSet as its template, or has its own"),
            ("create", "an experiment begins"),
            ("patch", "an experiment gives its pods life, or ends"),
        ],
    },
    of_core("services", &[], &[("create", "a template of an experiment asks for a service")]),
];

/// In no namespace.
pub const CLUSTER_WIDE: &[Permission] = &[
    argo("clusteranalysistemplates", &["list"], &[]),
    // kube-system, whose UID names this okra in tags of AWS resources; and that
    // of a ClusterSet, which also owns the secrets that outlive the set.
    of_core("namespaces", &["get"], &[]),
];

/// In the namespace of the controllers.
pub const OWN_NAMESPACE: &[Permission] = &[
    Permission {
        group: "coordination.k8s.io",
        resource: "leases",
        verbs: &["get", "create", "update"],
        spare: &[],
    },
    of_core("configmaps", &[], &[("get", "the lock of the Go program is looked for before the start")]),
];

/// One rule of a role.
fn rule(permission: &Permission) -> Value {
    let spare = permission.spare.iter().map(|(verb, _)| *verb);
    let verbs: Vec<&str> = permission.verbs.iter().copied().chain(spare).collect();
    json!({"apiGroups": [permission.group], "resources": [permission.resource], "verbs": verbs})
}

/// Rules of a role that allows all of these.
pub fn rules<'a>(permissions: impl IntoIterator<Item = &'a Permission>) -> Vec<Value> {
    permissions.into_iter().map(rule).collect()
}
