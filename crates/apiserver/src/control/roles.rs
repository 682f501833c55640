//! ClusterRoles that gather the rules of others by label
//! (spec/apiserver.md 14, 16.2).

use std::sync::Arc;

use serde_json::Value;

use super::{Change, complain};
use crate::api::Api;
use crate::auth::RBAC_GROUP;
use crate::http::status::ApiError;
use crate::object::Object;
use crate::selector::LabelSelector;
use crate::store::ResourceId;

/// How often one pass may follow roles that gather roles that gather.
const DEPTH: usize = 8;

pub(super) async fn run(api: Arc<Api>) {
    let mut changed = api.store.subscribe(&resource());
    loop {
        changed.mark_unchanged();
        if let Err(error) = aggregate_roles(&api).await {
            tracing::warn!(error = error.message, "cluster roles could not be aggregated");
        }
        tokio::select! {
            biased;
            () = api.stopping.cancelled() => return,
            result = changed.changed() => if result.is_err() { return },
        }
    }
}

fn resource() -> ResourceId {
    ResourceId::new(RBAC_GROUP, "clusterroles")
}

/// Gives every gathering role the rules that are offered to it.
pub(crate) async fn aggregate_roles(api: &Api) -> Result<(), ApiError> {
    for _ in 0..DEPTH {
        let roles = api.store.list(&resource(), None).items;
        let values: Vec<&Value> = roles.iter().map(|(_, record)| &*record.value).collect();
        let mut settled = true;
        for (name, record) in &roles {
            let Some(rules) = gathered(&record.value, &values) else { continue };
            if record.value["rules"].as_array() == Some(&rules) {
                continue;
            }
            settled = false;
            let change = |live: &Value| {
                let mut live = live.clone();
                live["rules"] = Value::Array(rules.clone());
                Change::Put(live)
            };
            if let Err(error) = api.amend(&resource(), name, change).await {
                complain("a cluster role could not be aggregated", name, &error);
            }
        }
        if settled {
            return Ok(());
        }
    }
    Ok(())
}

/// The rules that other roles offer to `role`, each once; `None` for a role
/// that gathers nothing.
fn gathered(role: &Value, others: &[&Value]) -> Option<Vec<Value>> {
    let selectors = role["aggregationRule"]["clusterRoleSelectors"].as_array()?;
    let mut rules: Vec<Value> = Vec::new();
    for selector in selectors {
        let Ok(selector) = LabelSelector::from_object(selector) else { continue };
        let offering = others.iter().filter(|other| {
            other.name() != role.name() && selector.matches_labels(other["metadata"]["labels"].as_object())
        });
        for rule in offering.flat_map(|other| other["rules"].as_array().into_iter().flatten()) {
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
    }
    Some(rules)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rules_are_gathered_by_label_and_once() {
        let rule = |name: &str| json!({"apiGroups": [""], "resources": [name], "verbs": ["get"]});
        let role = |name: &str, label: &str, rules: Value| json!({"metadata": {"name": name, "labels": {label: "true"}}, "rules": rules});
        let mut all = role("all", "to-all", json!([rule("stale")]));
        all["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {"to-all": "true"}}]});
        let a = role("a", "to-all", json!([rule("pods"), rule("secrets")]));
        let b = role("b", "to-all", json!([rule("secrets"), rule("nodes")]));
        let c = role("c", "to-others", json!([rule("leases")]));
        let found = gathered(&all, &[&a, &all, &b, &c]).unwrap();
        assert_eq!(found, [rule("pods"), rule("secrets"), rule("nodes")]);
        assert_eq!(gathered(&a, &[&b]), None);
    }
}
