//! The definitions that `okra crds` prints.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

use crate::{
    AWSApplicationLoadBalancerConfig, AWSNetworkLoadBalancerConfig, AWSTargetGroup, AWSTargetGroupBinding,
    AWSTargetGroupSet, AnalysisRun, AnalysisTemplate, Cell, ClusterAnalysisTemplate, ClusterSet, Experiment,
    Pause, VersionBlocklist,
};

/// Definitions of okra's own kinds, in the order in which they build on each other.
pub fn crds() -> Vec<CustomResourceDefinition> {
    [
        ClusterSet::crd(),
        AWSTargetGroupSet::crd(),
        AWSTargetGroup::crd(),
        AWSTargetGroupBinding::crd(),
        AWSApplicationLoadBalancerConfig::crd(),
        AWSNetworkLoadBalancerConfig::crd(),
        Cell::crd(),
        Pause::crd(),
        VersionBlocklist::crd(),
    ]
    .into_iter()
    .map(published)
    .collect()
}

/// Definitions of the analysis kinds, from okra's own types. Not to be
/// applied where Argo Rollouts has installed its own.
pub fn analysis_crds() -> Vec<CustomResourceDefinition> {
    [AnalysisTemplate::crd(), ClusterAnalysisTemplate::crd(), AnalysisRun::crd(), Experiment::crd()]
        .into_iter()
        .map(published)
        .map(without_subresources)
        .collect()
}

/// As upstream, whose clients patch status on the main resource
/// (`spec/analysis.md` 1.1).
fn without_subresources(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        version.subresources = None;
    }
    crd
}

fn published(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            publish(schema);
        }
    }
    crd
}

/// Optional fields come out of the derive as nullable. Without that word the
/// API server drops a null on arrival, so that null and absent are one thing.
/// Descriptions are wrapped in the source and are not in the definition.
fn publish(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if let Some(description) = &mut schema.description {
        *description = description.replace('\n', " ");
    }
    schema.properties.iter_mut().flatten().for_each(|(_, property)| publish(property));
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        publish(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        publish(values);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// What kubectl and the API server see of okra; a change here is a change
    /// of the public interface.
    #[test]
    fn definitions() {
        for crd in crds().into_iter().chain(analysis_crds()) {
            let name = crd.metadata.name.clone().unwrap_or_default();
            insta::assert_yaml_snapshot!(name, serde_json::to_value(crd).unwrap());
        }
    }

    fn walk(path: &str, value: &Value, seen: &mut impl FnMut(&str, &Value)) {
        seen(path, value);
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(key, member)| walk(&format!("{path}.{key}"), member, seen));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(path, item, seen)),
            _ => {}
        }
    }

    /// `spec/okra.md` 2.0: no defaults, which would rewrite stored objects;
    /// nothing required but inside new fields and conditions, or old objects
    /// could not be written again.
    #[test]
    fn schemas_are_lenient() {
        for crd in crds() {
            let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
            walk("", &schema, &mut |path, value| {
                let Some(schema) = value.as_object() else { return };
                if path.ends_with(".properties") {
                    return;
                }
                assert!(!schema.contains_key("default"), "{path} has a default");
                assert!(!schema.contains_key("nullable"), "{path} is nullable");
                let new = path.contains(".conditions") || path.ends_with(".ramp") || path.ends_with("Schema");
                let new =
                    new || path.ends_with("dryRun.items") || path.ends_with("measurementRetention.items");
                assert!(new || !schema.contains_key("required"), "{path} requires fields");
            });
        }
    }

    /// Structural schemas: every value has a type, or says that it has none.
    #[test]
    fn schemas_are_structural() {
        for crd in crds().into_iter().chain(analysis_crds()) {
            let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
            walk("", &schema, &mut |path, value| {
                let Some(schema) = value.as_object() else { return };
                let is_schema = path.ends_with(".items")
                    || path.ends_with(".additionalProperties")
                    || path.rsplit_once('.').is_some_and(|(parent, _)| parent.ends_with(".properties"));
                if is_schema && !path.ends_with(".properties") {
                    let free = schema.contains_key("x-kubernetes-preserve-unknown-fields");
                    let either = schema.contains_key("x-kubernetes-int-or-string");
                    assert!(schema.contains_key("type") || free || either, "{path} has no type: {value}");
                    for word in ["anyOf", "oneOf", "allOf", "$ref"] {
                        assert!(!schema.contains_key(word) || either, "{path} has {word}");
                    }
                }
            });
        }
    }

    #[test]
    fn the_analysis_kinds_have_no_status_subresource_and_okras_have_one() {
        assert!(analysis_crds().iter().all(|crd| crd.spec.versions[0].subresources.is_none()));
        for crd in crds() {
            let subresources = crd.spec.versions[0].subresources.as_ref();
            assert!(subresources.is_some_and(|subresources| subresources.status.is_some()));
            assert_eq!(crd.spec.names.categories, Some(vec!["okra".to_owned()]));
            assert_eq!(crd.spec.names.short_names, None);
        }
    }
}
