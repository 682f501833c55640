//! The roles that clients expect to find (spec/apiserver.md 16.2): `admin`,
//! `edit` and `view` gather what other roles offer them by label, so that a
//! definition of custom resources can bring its own rules.

use futures::future::try_join_all;
use serde_json::{Value, json};

use super::ensure;
use crate::api::Api;
use crate::auth::{AUTHENTICATED, MASTERS, RBAC_GROUP};
use crate::control::aggregate_roles;
use crate::http::status::ApiError;
use crate::object::Object;
use crate::store::ResourceId;

/// The annotation of roles that the server puts right at every start.
const AUTO_UPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

const READ: &[&str] = &["get", "list", "watch"];
const CHANGE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];
const ALL: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// Creates the roles that are missing and puts back what was taken from the others.
pub(super) async fn ensure_all(api: &Api) -> Result<(), ApiError> {
    try_join_all(roles().into_iter().map(|role| put_right(api, role))).await?;
    try_join_all(bindings().into_iter().map(|binding| ensure(api, binding))).await?;
    aggregate_roles(api).await
}

/// Creates a role, or gives a kept one the rules of this version, unless its
/// owner has switched that off. Rules that were added stay.
async fn put_right(api: &Api, role: Value) -> Result<(), ApiError> {
    let name = role.object_name();
    ensure(api, role.clone()).await?;
    let change = |live: &Value| {
        if live["metadata"]["annotations"][AUTO_UPDATE] != "true" {
            return crate::control::Change::Keep;
        }
        let mut live = live.clone();
        if role.get("aggregationRule").is_some() {
            live["aggregationRule"] = role["aggregationRule"].clone();
        } else {
            let wanted = role["rules"].as_array().into_iter().flatten();
            let mut rules = live["rules"].as_array().cloned().unwrap_or_default();
            let missing: Vec<&Value> = wanted.filter(|rule| !rules.contains(rule)).collect();
            rules.extend(missing.into_iter().cloned());
            live["rules"] = Value::Array(rules);
        }
        for (key, value) in role["metadata"]["labels"].as_object().into_iter().flatten() {
            live["metadata"]["labels"][key.as_str()] = value.clone();
        }
        crate::control::Change::Put(live)
    };
    api.amend(&ResourceId::new(RBAC_GROUP, "clusterroles"), &name, change).await.map(drop)
}

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": resources, "verbs": verbs})
}

fn paths(paths: &[&str]) -> Value {
    json!({"nonResourceURLs": paths, "verbs": ["get"]})
}

fn object(kind: &str, name: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
            "annotations": {AUTO_UPDATE: "true"},
        },
    })
}

fn role(name: &str, rules: Vec<Value>) -> Value {
    let mut role = object("ClusterRole", name);
    role["rules"] = Value::Array(rules);
    role
}

/// The label by which a role offers its rules to another.
fn offer(name: &str) -> String {
    format!("rbac.authorization.k8s.io/aggregate-to-{name}")
}

fn offered(name: &str, to: &str, rules: Vec<Value>) -> Value {
    let mut role = role(name, rules);
    role["metadata"]["labels"][offer(to)] = json!("true");
    role
}

/// A role that gathers; `edit` also offers itself to `admin`, and `view` to `edit`.
fn gathering(name: &str, to: Option<&str>) -> Value {
    let mut role = object("ClusterRole", name);
    if let Some(to) = to {
        role["metadata"]["labels"][offer(to)] = json!("true");
    }
    role["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {offer(name): "true"}}]});
    role["rules"] = json!([]);
    role
}

fn roles() -> Vec<Value> {
    let everything = vec![
        json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}),
        json!({"nonResourceURLs": ["*"], "verbs": ["*"]}),
    ];
    let health = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
    let discovery =
        ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz"];
    let monitoring =
        ["/healthz", "/healthz/*", "/livez", "/livez/*", "/metrics", "/metrics/slis", "/readyz", "/readyz/*"];
    let own = vec![
        rule("authorization.k8s.io", &["selfsubjectaccessreviews", "selfsubjectrulesreviews"], &["create"]),
        rule("authentication.k8s.io", &["selfsubjectreviews"], &["create"]),
    ];
    vec![
        role("cluster-admin", everything),
        role("system:discovery", vec![paths(&[&discovery[..], &["/version", "/version/"]].concat())]),
        role("system:public-info-viewer", vec![paths(&health)]),
        role("system:monitoring", vec![paths(&monitoring)]),
        role("system:basic-user", own),
        gathering("admin", None),
        gathering("edit", Some("admin")),
        gathering("view", Some("edit")),
        offered("system:aggregate-to-admin", "admin", admin_rules()),
        offered("system:aggregate-to-edit", "edit", edit_rules()),
        offered("system:aggregate-to-view", "view", view_rules()),
    ]
}

fn admin_rules() -> Vec<Value> {
    vec![
        rule("authorization.k8s.io", &["localsubjectaccessreviews"], &["create"]),
        rule(RBAC_GROUP, &["roles", "rolebindings"], ALL),
    ]
}

fn edit_rules() -> Vec<Value> {
    vec![
        rule("", &["secrets"], READ),
        rule("", &["serviceaccounts"], &["impersonate"]),
        rule("", &["serviceaccounts/token"], &["create"]),
        rule("", &["pods/eviction"], &["create"]),
        rule("", &["configmaps", "events", "pods", "secrets", "serviceaccounts", "services"], CHANGE),
        rule(
            "apps",
            &[
                "daemonsets",
                "deployments",
                "deployments/scale",
                "replicasets",
                "replicasets/scale",
                "statefulsets",
                "statefulsets/scale",
            ],
            CHANGE,
        ),
        rule("batch", &["cronjobs", "jobs"], CHANGE),
        rule("networking.k8s.io", &["ingresses"], CHANGE),
        rule("coordination.k8s.io", &["leases"], ALL),
    ]
}

fn view_rules() -> Vec<Value> {
    vec![
        rule(
            "",
            &[
                "configmaps",
                "endpoints",
                "events",
                "namespaces/status",
                "pods",
                "pods/status",
                "serviceaccounts",
                "services",
                "services/status",
            ],
            READ,
        ),
        rule("", &["namespaces"], READ),
        rule("discovery.k8s.io", &["endpointslices"], READ),
        rule(
            "apps",
            &[
                "daemonsets",
                "daemonsets/status",
                "deployments",
                "deployments/scale",
                "deployments/status",
                "replicasets",
                "replicasets/scale",
                "replicasets/status",
                "statefulsets",
                "statefulsets/scale",
                "statefulsets/status",
            ],
            READ,
        ),
        rule("batch", &["cronjobs", "cronjobs/status", "jobs", "jobs/status"], READ),
        rule("networking.k8s.io", &["ingresses", "ingresses/status"], READ),
    ]
}

fn bindings() -> Vec<Value> {
    let bound = [
        ("cluster-admin", MASTERS),
        ("system:discovery", AUTHENTICATED),
        ("system:basic-user", AUTHENTICATED),
        ("system:public-info-viewer", AUTHENTICATED),
        ("system:monitoring", "system:monitoring"),
    ];
    let binding = |(role, group): (&str, &str)| {
        let mut binding = object("ClusterRoleBinding", role);
        binding["subjects"] = json!([{"apiGroup": RBAC_GROUP, "kind": "Group", "name": group}]);
        binding["roleRef"] = json!({"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": role});
        binding
    };
    bound.into_iter().map(binding).collect()
}
