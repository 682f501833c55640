//! Role-based access: the union of what bindings grant (spec/apiserver.md 16.2).

use std::sync::Arc;

use serde_json::Value;

use super::{MASTERS, User};
use crate::api::Api;
use crate::http::path::ResourcePath;
use crate::http::status::ApiError;
use crate::store::{ObjectName, Record, ResourceId};

/// The API group of roles and bindings.
pub(crate) const GROUP: &str = "rbac.authorization.k8s.io";

/// What a user wants to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes {
    pub(crate) verb: String,
    pub(crate) group: String,
    /// `R` or `R/SUB`; empty for a path that is no resource.
    pub(crate) resource: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) path: String,
}

impl Attributes {
    pub(crate) fn resource(verb: &str, path: &ResourcePath, name: Option<&str>) -> Self {
        Self {
            verb: verb.to_owned(),
            group: path.group.clone(),
            resource: path.resource_and_subresource(),
            namespace: path.namespace.clone(),
            name: name.map(str::to_owned),
            path: String::new(),
        }
    }

    pub(crate) fn other(verb: &str, path: &str) -> Self {
        Self { verb: verb.to_owned(), path: path.to_owned(), ..Self::default() }
    }
}

/// Whether a request is allowed, and by what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) allowed: bool,
    pub(crate) reason: String,
}

impl Api {
    /// Refuses what no binding grants.
    pub(crate) fn authorize(&self, user: &User, wanted: &Attributes) -> Result<(), ApiError> {
        if self.decide(user, wanted).allowed {
            return Ok(());
        }
        Err(refusal(user, wanted))
    }

    pub(crate) fn decide(&self, user: &User, wanted: &Attributes) -> Decision {
        if user.in_group(MASTERS) {
            return Decision { allowed: true, reason: String::new() };
        }
        for binding in self.bindings(wanted.namespace.as_deref()) {
            let subjects = binding.value["subjects"].as_array().into_iter().flatten();
            let Some(subject) = subjects.into_iter().find(|subject| is_subject(subject, user)) else {
                continue;
            };
            let Some(role) = self.role(&binding.value) else { continue };
            if rules(&role.value).iter().any(|rule| grants(rule, wanted)) {
                return Decision { allowed: true, reason: reason(&binding.value, subject) };
            }
        }
        Decision::default()
    }

    /// The bindings that count in a namespace, or outside of any.
    fn bindings(&self, namespace: Option<&str>) -> Vec<Arc<Record>> {
        let list = |plural, namespace| self.store.list(&ResourceId::new(GROUP, plural), namespace).items;
        let mut found = list("clusterrolebindings", None);
        if let Some(namespace) = namespace {
            found.extend(list("rolebindings", Some(namespace)));
        }
        found.into_iter().map(|(_, record)| record).collect()
    }

    /// The role that a binding refers to.
    pub(super) fn role(&self, binding: &Value) -> Option<Arc<Record>> {
        let role = &binding["roleRef"];
        let name = role["name"].as_str().unwrap_or_default();
        let (plural, namespace) = match role["kind"].as_str() {
            Some("ClusterRole") => ("clusterroles", ""),
            Some("Role") => ("roles", binding["metadata"]["namespace"].as_str().unwrap_or_default()),
            _ => return None,
        };
        self.store.get(&ResourceId::new(GROUP, plural), &ObjectName::new(namespace, name))
    }

    /// Every rule that applies to a user in a namespace, or outside of any.
    pub(super) fn rules_of(&self, user: &User, namespace: Option<&str>) -> Vec<Value> {
        let applies = |binding: &Arc<Record>| {
            let subjects = binding.value["subjects"].as_array();
            subjects.into_iter().flatten().any(|subject| is_subject(subject, user))
        };
        let roles = self.bindings(namespace).into_iter().filter(applies);
        let roles = roles.filter_map(|binding| self.role(&binding.value));
        roles.flat_map(|role| rules(&role.value).to_vec()).collect()
    }
}

/// The rules of a role.
pub(super) fn rules(role: &Value) -> &[Value] {
    role["rules"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn is_subject(subject: &Value, user: &User) -> bool {
    let name = subject["name"].as_str().unwrap_or_default();
    match subject["kind"].as_str() {
        Some("User") => name == user.name || name == "*",
        Some("Group") => user.in_group(name),
        Some("ServiceAccount") => {
            let namespace = subject["namespace"].as_str().unwrap_or_default();
            user.name == format!("system:serviceaccount:{namespace}:{name}")
        }
        _ => false,
    }
}

fn grants(rule: &Value, wanted: &Attributes) -> bool {
    let has = |field: &str, accepts: &dyn Fn(&str) -> bool| {
        let entries = rule[field].as_array();
        entries.into_iter().flatten().filter_map(Value::as_str).any(accepts)
    };
    let is = |value: &str, entry: &str| entry == "*" || entry == value;
    if !has("verbs", &|entry| is(&wanted.verb, entry)) {
        return false;
    }
    if wanted.resource.is_empty() {
        return has("nonResourceURLs", &|entry| match entry.strip_suffix('*') {
            Some(prefix) => wanted.path.starts_with(prefix),
            None => entry == wanted.path,
        });
    }
    let subresource = wanted.resource.split_once('/').map(|(_, subresource)| format!("*/{subresource}"));
    let resource =
        |entry: &str| entry == "*" || entry == wanted.resource || Some(entry) == subresource.as_deref();
    let named = match rule["resourceNames"].as_array() {
        Some(names) if !names.is_empty() => {
            names.iter().any(|name| name.as_str().is_some() && name.as_str() == wanted.name.as_deref())
        }
        _ => true,
    };
    named && has("apiGroups", &|entry| is(&wanted.group, entry)) && has("resources", &resource)
}

fn reason(binding: &Value, subject: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = text(&binding["metadata"]["name"]);
    let namespace = text(&binding["metadata"]["namespace"]);
    let (kind, place) = if namespace.is_empty() {
        ("ClusterRoleBinding", name)
    } else {
        ("RoleBinding", format!("{name}/{namespace}"))
    };
    let (role_kind, role) = (text(&binding["roleRef"]["kind"]), text(&binding["roleRef"]["name"]));
    let (subject_kind, subject) = (text(&subject["kind"]), text(&subject["name"]));
    format!("RBAC: allowed by {kind} {place:?} of {role_kind} {role:?} to {subject_kind} {subject:?}")
}

fn refusal(user: &User, wanted: &Attributes) -> ApiError {
    if wanted.resource.is_empty() {
        let text = format!("forbidden: User {:?} cannot {} path {:?}", user.name, wanted.verb, wanted.path);
        return ApiError::new(403, "Forbidden", text);
    }
    let place = match &wanted.namespace {
        Some(namespace) => format!("in the namespace {namespace:?}"),
        None => "at the cluster scope".to_owned(),
    };
    let why = format!(
        "User {:?} cannot {} resource {:?} in API group {:?} {place}",
        user.name, wanted.verb, wanted.resource, wanted.group
    );
    let plural = wanted.resource.split('/').next().unwrap_or_default();
    let nameless = matches!(wanted.verb.as_str(), "list" | "watch" | "create" | "deletecollection");
    let name = if nameless { "" } else { wanted.name.as_deref().unwrap_or_default() };
    ApiError::forbidden(&wanted.group, plural, name, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wanted(verb: &str, group: &str, resource: &str, name: Option<&str>) -> Attributes {
        Attributes {
            verb: verb.into(),
            group: group.into(),
            resource: resource.into(),
            namespace: Some("a".into()),
            name: name.map(str::to_owned),
            path: String::new(),
        }
    }

    #[test]
    fn a_rule_grants_what_it_names_and_nothing_else() {
        let rule = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods", "*/status"]});
        assert!(grants(&rule, &wanted("get", "", "pods", None)));
        assert!(grants(&rule, &wanted("get", "", "nodes/status", None)));
        assert!(!grants(&rule, &wanted("get", "", "pods/exec", None)));
        assert!(!grants(&rule, &wanted("list", "", "pods", None)));
        assert!(!grants(&rule, &wanted("get", "apps", "pods", None)));
    }

    #[test]
    fn resource_names_limit_a_rule() {
        let rule = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "resourceNames": ["x"]});
        assert!(grants(&rule, &wanted("get", "", "pods", Some("x"))));
        assert!(!grants(&rule, &wanted("get", "", "pods", Some("y"))));
        assert!(!grants(&rule, &wanted("create", "", "pods", None)));
    }

    #[test]
    fn refusals_say_who_what_and_where() {
        let user = User { name: "bob".into(), ..User::default() };
        let error = refusal(&user, &wanted("get", "apps", "deployments/scale", Some("web")));
        let text = "deployments.apps \"web\" is forbidden: User \"bob\" cannot get resource \
                    \"deployments/scale\" in API group \"apps\" in the namespace \"a\"";
        assert_eq!(error.message, text);
    }
}
