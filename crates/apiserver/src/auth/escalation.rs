//! Nobody grants more than they hold (spec/apiserver.md 14, 16.2): who writes
//! a role needs its rules, who binds one needs the rules of that role, or the
//! verbs `escalate` and `bind`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::rbac::{GROUP, rules};
use super::{Attributes, MASTERS, User};
use crate::api::Api;
use crate::http::status::ApiError;
use crate::kinds::Kind;
use crate::object::Object;

/// One permission: what a rule falls apart into.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Right {
    verb: String,
    target: Target,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Resource { group: String, resource: String, name: Option<String> },
    Path(String),
}

impl Api {
    /// Refuses a role or binding that gives away what its writer does not hold.
    pub(crate) fn check_escalation(
        &self,
        user: &User,
        kind: &Kind,
        object: &Value,
        old: Option<&Value>,
    ) -> Result<(), ApiError> {
        if kind.group != GROUP || user.in_group(MASTERS) {
            return Ok(());
        }
        let refuse = |why: String| Err(ApiError::forbidden(&kind.group, &kind.plural, object.name(), why));
        let (verb, granted) = if kind.kind.ends_with("Binding") {
            ("bind", None)
        } else {
            ("escalate", Some(rules(object).to_vec()))
        };
        if verb == "escalate" && old.is_some_and(|old| same_role(old, object)) {
            return Ok(());
        }
        if self.decide(user, &attributes(verb, kind, object)).allowed {
            return Ok(());
        }
        let namespace = Some(object.namespace()).filter(|namespace| !namespace.is_empty());
        let held = self.rules_of(user, namespace);
        if verb == "escalate"
            && object.get("aggregationRule").is_some()
            && let Err(missing) = check_covered(user, &held, &everything())
        {
            let why = format!("must have cluster-admin privileges to use the aggregationRule: {missing}");
            return refuse(why);
        }
        let granted = match granted {
            Some(granted) => granted,
            None => self.bound_rules(object)?,
        };
        check_covered(user, &held, &granted).or_else(refuse)
    }

    fn bound_rules(&self, binding: &Value) -> Result<Vec<Value>, ApiError> {
        let role = &binding["roleRef"];
        let plural = if role["kind"] == "Role" { "roles" } else { "clusterroles" };
        let name = role["name"].as_str().unwrap_or_default();
        let found = self.role(binding).ok_or_else(|| ApiError::not_found(GROUP, plural, name))?;
        Ok(rules(&found.value).to_vec())
    }
}

fn same_role(old: &Value, new: &Value) -> bool {
    rules(old) == rules(new) && old.get("aggregationRule") == new.get("aggregationRule")
}

/// What the verb is asked about: the role itself, or the role that a binding names.
fn attributes(verb: &str, kind: &Kind, object: &Value) -> Attributes {
    let role = &object["roleRef"];
    let (resource, name) = if verb == "bind" {
        let plural = if role["kind"] == "Role" { "roles" } else { "clusterroles" };
        (plural, role["name"].as_str().unwrap_or_default())
    } else {
        (kind.plural.as_str(), object.name())
    };
    Attributes {
        verb: verb.to_owned(),
        group: GROUP.to_owned(),
        resource: resource.to_owned(),
        namespace: Some(object.namespace().to_owned()).filter(|namespace| !namespace.is_empty()),
        name: Some(name.to_owned()),
        path: String::new(),
    }
}

fn everything() -> Vec<Value> {
    vec![
        json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}),
        json!({"verbs": ["*"], "nonResourceURLs": ["*"]}),
    ]
}

/// Whether `held` covers `granted`; the error is the text about what is missing.
fn check_covered(user: &User, held: &[Value], granted: &[Value]) -> Result<(), String> {
    let rights = granted.iter().flat_map(rights);
    let missing: Vec<Right> = rights.filter(|right| !held.iter().any(|rule| covers(rule, right))).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name,
        quoted(&user.all_groups()),
        described(&missing).into_iter().collect::<Vec<_>>().join("\n")
    ))
}

fn texts<'a>(rule: &'a Value, field: &str) -> Vec<&'a str> {
    rule[field].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A rule as single permissions.
fn rights(rule: &Value) -> Vec<Right> {
    let mut targets = Vec::new();
    for group in texts(rule, "apiGroups") {
        for resource in texts(rule, "resources") {
            let names = texts(rule, "resourceNames");
            let names: Vec<Option<&str>> =
                if names.is_empty() { vec![None] } else { names.into_iter().map(Some).collect() };
            targets.extend(names.into_iter().map(|name| Target::Resource {
                group: group.to_owned(),
                resource: resource.to_owned(),
                name: name.map(str::to_owned),
            }));
        }
    }
    targets.extend(texts(rule, "nonResourceURLs").into_iter().map(|path| Target::Path(path.to_owned())));
    let verbs = texts(rule, "verbs");
    let of = |target: &Target| -> Vec<Right> {
        verbs.iter().map(|verb| Right { verb: (*verb).to_owned(), target: target.clone() }).collect()
    };
    targets.iter().flat_map(of).collect()
}

/// Whether a held rule includes a permission, wildcards and all.
fn covers(rule: &Value, right: &Right) -> bool {
    let has =
        |field: &str, wanted: &str| texts(rule, field).into_iter().any(|own| own == "*" || own == wanted);
    if !has("verbs", &right.verb) {
        return false;
    }
    match &right.target {
        Target::Path(path) => texts(rule, "nonResourceURLs")
            .into_iter()
            .any(|own| own == path || own.strip_suffix('*').is_some_and(|prefix| path.starts_with(prefix))),
        Target::Resource { group, resource, name } => {
            let below = resource.split_once('/').map(|(_, below)| format!("*/{below}"));
            let fits = has("resources", resource) || below.is_some_and(|below| has("resources", &below));
            let names = texts(rule, "resourceNames");
            let named = names.is_empty() || name.as_deref().is_some_and(|name| names.contains(&name));
            fits && named && has("apiGroups", group)
        }
    }
}

/// The missing permissions in upstream's words, verbs of one target together.
fn described(missing: &[Right]) -> BTreeSet<String> {
    let mut targets: Vec<(&Target, Vec<String>)> = Vec::new();
    for right in missing {
        match targets.iter_mut().find(|(target, _)| *target == &right.target) {
            Some((_, verbs)) => verbs.push(right.verb.clone()),
            None => targets.push((&right.target, vec![right.verb.clone()])),
        }
    }
    let one = |text: &str| quoted(&[text.to_owned()]);
    let describe = |(target, verbs): (&Target, Vec<String>)| {
        let target = match target {
            Target::Path(path) => format!("NonResourceURLs:{}", one(path)),
            Target::Resource { group, resource, name } => {
                let name = name.as_ref().map(|name| format!(", ResourceNames:{}", one(name)));
                let name = name.unwrap_or_default();
                format!("APIGroups:{}, Resources:{}{name}", one(group), one(resource))
            }
        };
        format!("{{{target}, Verbs:{}}}", quoted(&verbs))
    };
    targets.into_iter().map(describe).collect()
}

/// A list of texts as Go prints it.
fn quoted(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
    format!("[{}]", texts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bob() -> User {
        User { name: "bob".into(), ..User::default() }
    }

    #[test]
    fn what_is_missing_is_named_in_upstreams_words() {
        let granted = [json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]})];
        let text = check_covered(&bob(), &[], &granted).unwrap_err();
        let expected = "user \"bob\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC \
                        permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"secrets\"], \
                        Verbs:[\"get\" \"list\"]}";
        assert_eq!(text, expected);
    }

    #[test]
    fn wildcards_names_and_subresources_cover_what_they_say() {
        let held = [
            json!({"apiGroups": ["*"], "resources": ["*/scale", "pods"], "verbs": ["get"]}),
            json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"], "verbs": ["*"]}),
            json!({"nonResourceURLs": ["/metrics*"], "verbs": ["get"]}),
        ];
        let granted = |rule: Value| check_covered(&bob(), &held, &[rule]).is_ok();
        assert!(granted(
            json!({"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get"]})
        ));
        assert!(!granted(json!({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]})));
        assert!(granted(
            json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"], "verbs": ["list"]})
        ));
        assert!(!granted(json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]})));
        assert!(granted(json!({"nonResourceURLs": ["/metrics/x"], "verbs": ["get"]})));
        assert!(!granted(json!({"nonResourceURLs": ["/healthz"], "verbs": ["get"]})));
    }

    #[test]
    fn an_empty_role_grants_nothing() {
        assert_eq!(check_covered(&bob(), &[], &[]), Ok(()));
    }
}
