//! AWSTargetGroupBindings from a set's template, one for each selected
//! cluster (`spec/okra.md` 2.2, U-03). Pure.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt as _;
use kube::core::ObjectMeta;
use okra_api::AWSTargetGroupBinding;
use okra_api::aws_target_group_binding::{AWSTargetGroupBindingSpec, BindingTarget};
use okra_api::aws_target_group_set::BindingTemplate;
use okra_api::names::{LABEL_BINDING_CLUSTER, LABEL_TARGET_GROUP_SET};
use okra_api::template::{ClusterFacts, TemplateError, expand, expand_label};
use okra_api::write::label_value;
use serde_json::Value;

use super::plan::{Cluster, Observed};
use crate::applied::is_applied;
use crate::naming::object_name;

/// What to do about a set's bindings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bindings {
    /// To be applied, those equal to what is there left out.
    pub apply: Vec<AWSTargetGroupBinding>,
    /// Names of own ones whose cluster is selected no more.
    pub delete: Vec<String>,
    /// Clusters that have none, and why.
    pub skipped: Vec<String>,
}

/// Plans the bindings. A cluster counts while it has a secret and is selected,
/// whether it can be reached or not.
pub fn bindings(observed: &Observed<'_>, existing: &[AWSTargetGroupBinding]) -> Bindings {
    let mut plan = Bindings::default();
    let mut kept = BTreeSet::new();
    let template = observed.spec.binding_template.as_ref();
    for cluster in template.iter().flat_map(|_| &observed.clusters) {
        let Some(template) = template else { continue };
        let present = existing
            .iter()
            .filter(|one| is_own(observed, one))
            .find(|one| one.labels().get(LABEL_BINDING_CLUSTER) == Some(&label_value(&cluster.name)));
        kept.extend(present.map(kube::ResourceExt::name_any));
        match binding(observed, template, cluster) {
            Err(error) => plan.skipped.push(format!("{}: bindingTemplate: {error}", cluster.name)),
            Ok(binding) => {
                let name = binding.name_any();
                let taken = existing.iter().find(|one| one.name_any() == name);
                if taken.is_some_and(|one| !is_own(observed, one)) {
                    plan.skipped.push(format!("{}: {name} belongs to somebody else", cluster.name));
                    continue;
                }
                if present.is_some_and(|one| one.name_any() != name) {
                    // The name is the template's: it may have changed.
                    kept.retain(|kept| Some(kept) != present.map(kube::ResourceExt::name_any).as_ref());
                }
                kept.insert(name);
                if !taken.is_some_and(|one| is_applied(one, &binding)) {
                    plan.apply.push(binding);
                }
            }
        }
    }
    let own =
        existing.iter().filter(|one| is_own(observed, one) && one.metadata.deletion_timestamp.is_none());
    plan.delete = own.map(kube::ResourceExt::name_any).filter(|name| !kept.contains(name)).collect();
    plan.delete.sort();
    plan
}

fn is_own(observed: &Observed<'_>, binding: &AWSTargetGroupBinding) -> bool {
    binding.labels().get(LABEL_TARGET_GROUP_SET) == Some(&label_value(observed.set))
        && binding.owner_references().iter().any(|owner| owner.uid == observed.owner.uid)
}

fn binding(
    observed: &Observed<'_>,
    template: &BindingTemplate,
    cluster: &Cluster,
) -> Result<AWSTargetGroupBinding, TemplateError> {
    let facts = &cluster.facts;
    let name = match &template.metadata.name {
        Some(name) => expand(name, facts)?,
        None => format!("{}-{}", observed.set, cluster.name),
    };
    let mut labels = expanded(&template.metadata.labels, facts)?;
    labels.insert(LABEL_TARGET_GROUP_SET.to_owned(), label_value(observed.set));
    labels.insert(LABEL_BINDING_CLUSTER.to_owned(), label_value(&cluster.name));
    let targets = template.spec.targets.iter().map(|target| {
        let named = expand(&target.cluster_name, facts)?;
        let selector: serde_json::Map<String, Value> = target
            .node_selector
            .iter()
            .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
            .collect();
        Ok(BindingTarget {
            name: target.name.clone(),
            cluster_name: Some(if named.is_empty() { cluster.name.clone() } else { named }),
            node_selector: (!selector.is_empty()).then_some(selector),
            port: target.port,
            ..BindingTarget::default()
        })
    });
    let spec = AWSTargetGroupBindingSpec {
        target_group_arn: template
            .spec
            .target_group_arn
            .as_ref()
            .map(|arn| expand(arn, facts))
            .transpose()?,
        targets: targets.collect::<Result<_, TemplateError>>()?,
    };
    let mut binding = AWSTargetGroupBinding::new(&object_name(&name), spec);
    binding.metadata = ObjectMeta {
        namespace: Some(observed.namespace.to_owned()),
        labels: Some(labels),
        owner_references: Some(vec![observed.owner.clone()]),
        ..binding.metadata
    };
    Ok(binding)
}

fn expanded(
    templates: &BTreeMap<String, String>,
    facts: &ClusterFacts,
) -> Result<BTreeMap<String, String>, TemplateError> {
    templates.iter().map(|(key, template)| Ok((key.clone(), expand_label(template, facts)?))).collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
    use okra_api::aws_target_group_set::AWSTargetGroupSetSpec;
    use serde_json::json;

    use super::super::plan::Unreachable;
    use super::*;

    fn run(template: Value, clusters: &[&str], existing: &[AWSTargetGroupBinding]) -> Bindings {
        let spec = json!({"generators": [{"awseks": {}}], "bindingTemplate": template});
        let spec: AWSTargetGroupSetSpec = serde_json::from_value(spec).unwrap();
        let owner = OwnerReference { uid: "u1".into(), ..OwnerReference::default() };
        let cluster = |name: &&str| Cluster {
            name: (*name).to_owned(),
            labels: BTreeMap::new(),
            facts: ClusterFacts {
                name: (*name).to_owned(),
                tags: [("arn".to_owned(), format!("arn:{name}"))].into(),
                ..ClusterFacts::default()
            },
            bindings: Err(Unreachable { message: "none".into() }),
        };
        let observed = Observed {
            set: "web",
            namespace: "default",
            owner: &owner,
            spec: &spec,
            clusters: clusters.iter().map(cluster).collect(),
            existing: &[],
            known_clusters: BTreeSet::new(),
        };
        bindings(&observed, existing)
    }

    fn template() -> Value {
        json!({"spec": {
            "targetGroupARN": "{{.tags.arn}}",
            "targets": [{"name": "nodes", "nodeSelector": {"role": "web"}, "port": 30080}],
        }})
    }

    #[test]
    fn every_selected_cluster_gets_a_binding_of_its_own() {
        let plan = run(template(), &["c1", "c2"], &[]);
        assert_eq!(plan.apply[1].name_any(), "web-c2");
        assert_eq!(plan.apply[1].spec.target_group_arn.as_deref(), Some("arn:c2"));
        assert_eq!(plan.apply[1].spec.targets[0].cluster_name.as_deref(), Some("c2"));
        assert_eq!(plan.apply[1].spec.targets[0].node_labels()["role"], "web");
        let gone = run(template(), &["c1"], &plan.apply);
        assert_eq!(gone.delete, ["web-c2"]);
        assert_eq!(run(Value::Null, &["c1"], &plan.apply).delete.len(), 2, "the template is gone");
    }

    #[test]
    fn others_bindings_stay_and_a_bad_template_names_its_cluster() {
        let by_hand = AWSTargetGroupBinding::new("web-c1", AWSTargetGroupBindingSpec::default());
        let plan = run(template(), &["c1"], std::slice::from_ref(&by_hand));
        assert_eq!((plan.apply.len(), plan.delete.len()), (0, 0));
        assert!(plan.skipped[0].contains("belongs to somebody else"), "{:?}", plan.skipped);
        let plan = run(json!({"metadata": {"name": "{{.tags.none}}"}}), &["c1"], &[]);
        assert!(plan.skipped[0].starts_with("c1: bindingTemplate: "), "{:?}", plan.skipped);
    }
}
