//! The secret that a cluster shall have (`spec/okra.md` 3.1.3 to 3.1.5). Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::ObjectMeta;
use okra_api::cluster_set::ClusterSetSpec;
use okra_api::foreign::cluster_secret::ClusterSecret;
use okra_api::names::{
    ANNOTATION_CLUSTER_STATUS, ANNOTATION_EKS_TAGS, ANNOTATION_KUBERNETES_VERSION, ANNOTATION_OWNER_UID,
    ANNOTATION_SOURCE, LABEL_CLUSTER_SET, LABEL_VERSION,
};
use okra_api::template::{ClusterFacts, TemplateError, expand, expand_label, is_label_value};
use okra_api::write::label_value;
use thiserror::Error;

/// EKS status of a cluster that is going away, in the annotation that says so.
pub const DELETING: &str = "DELETING";

/// How the secrets of a set name their owner.
#[derive(Clone, Debug, PartialEq)]
pub enum Owner {
    /// In the namespace of the set: owner references.
    References(Vec<OwnerReference>),
    /// In another namespace, where no reference leads: an annotation.
    Uid(String),
}

/// What all secrets of a set have in common.
#[derive(Clone, Debug)]
pub struct Common<'a> {
    /// Name of the set.
    pub set: &'a str,
    /// Its spec.
    pub spec: &'a ClusterSetSpec,
    /// Where the secrets are.
    pub namespace: &'a str,
    /// How they name their owner.
    pub owner: &'a Owner,
}

/// A secret cannot be generated. It concerns that one cluster, never the set.
#[derive(Debug, Error)]
pub enum DesiredError {
    /// A value of the template.
    #[error("{key}: {source}")]
    Template {
        /// Key of the label or annotation.
        key: String,
        /// What is wrong with its value.
        source: TemplateError,
    },
    /// The tag that holds the version holds none.
    #[error("the tag {tag:?} holds {value:?}, which is no label value")]
    Version {
        /// Name of the tag.
        tag: String,
        /// What it holds.
        value: String,
    },
}

/// The secret named `name` of a cluster that is reached by `access`.
///
/// # Errors
/// When a template cannot be expanded or gives no legal label.
pub fn desired(
    common: &Common<'_>,
    facts: &ClusterFacts,
    source: &str,
    access: &ClusterSecret,
    name: &str,
    deleting: bool,
) -> Result<Secret, DesiredError> {
    let owner_references = match common.owner {
        Owner::References(references) => Some(references.clone()),
        Owner::Uid(_) => None,
    };
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(common.namespace.to_owned()),
        labels: Some(labels(common, facts)?),
        annotations: Some(annotations(common, facts, source, deleting)?),
        owner_references,
        ..ObjectMeta::default()
    };
    Ok(access.to_secret(metadata))
}

/// The template's labels, the version, and over them what is okra's own.
fn labels(common: &Common<'_>, facts: &ClusterFacts) -> Result<BTreeMap<String, String>, DesiredError> {
    let mut labels = expanded(&common.spec.template.metadata.labels, |value| expand_label(value, facts))?;
    if let Some(version) = version(common.spec, facts)? {
        labels.insert(LABEL_VERSION.to_owned(), version);
    }
    labels.insert(LABEL_CLUSTER_SET.to_owned(), label_value(common.set));
    Ok(labels)
}

fn annotations(
    common: &Common<'_>,
    facts: &ClusterFacts,
    source: &str,
    deleting: bool,
) -> Result<BTreeMap<String, String>, DesiredError> {
    let mut annotations = expanded(&common.spec.template.metadata.annotations, |value| expand(value, facts))?;
    let tags = serde_json::to_string(&facts.tags).expect("a map of texts is JSON");
    annotations.insert(ANNOTATION_EKS_TAGS.to_owned(), tags);
    annotations.insert(ANNOTATION_SOURCE.to_owned(), source.to_owned());
    if !facts.version.is_empty() {
        annotations.insert(ANNOTATION_KUBERNETES_VERSION.to_owned(), facts.version.clone());
    }
    if let Owner::Uid(uid) = common.owner {
        annotations.insert(ANNOTATION_OWNER_UID.to_owned(), uid.clone());
    }
    if deleting {
        annotations.insert(ANNOTATION_CLUSTER_STATUS.to_owned(), DELETING.to_owned());
    }
    Ok(annotations)
}

fn expanded(
    templates: &BTreeMap<String, String>,
    expand: impl Fn(&str) -> Result<String, TemplateError>,
) -> Result<BTreeMap<String, String>, DesiredError> {
    let one = |(key, template): (&String, &String)| match expand(template) {
        Ok(value) => Ok((key.clone(), value)),
        Err(source) => Err(DesiredError::Template { key: key.clone(), source }),
    };
    templates.iter().map(one).collect()
}

/// The version in the tag that `versionFrom` names, if the cluster has it.
/// `_` stands for the `+` of build metadata, which no label can hold.
fn version(spec: &ClusterSetSpec, facts: &ClusterFacts) -> Result<Option<String>, DesiredError> {
    let tag = spec.version_from.as_ref().and_then(|from| from.tag.as_ref());
    let Some((tag, value)) = tag.and_then(|tag| Some((tag, facts.tags.get(tag)?))) else { return Ok(None) };
    let version = value.trim().replace('+', "_");
    if version.is_empty() {
        return Ok(None);
    }
    if !is_label_value(&version) {
        return Err(DesiredError::Version { tag: tag.clone(), value: value.clone() });
    }
    Ok(Some(version))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret(
        spec: serde_json::Value,
        tags: &[(&str, &str)],
        deleting: bool,
    ) -> Result<Secret, DesiredError> {
        let spec: ClusterSetSpec = serde_json::from_value(spec).unwrap();
        let owner = Owner::Uid("u1".to_owned());
        let common = Common { set: "web", spec: &spec, namespace: "argocd", owner: &owner };
        let facts = ClusterFacts {
            name: "web-1".to_owned(),
            version: "1.36".to_owned(),
            tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            ..ClusterFacts::default()
        };
        let access = ClusterSecret { server: "https://x".to_owned(), ..ClusterSecret::default() };
        desired(&common, &facts, "arn:x", &access, "web-1", deleting)
    }

    fn label(secret: &Secret, key: &str) -> Option<String> {
        secret.metadata.labels.as_ref()?.get(key).cloned()
    }

    #[test]
    fn h_58_templates_are_expanded_and_cannot_replace_what_is_okras() {
        let template = json!({"metadata": {
            "labels": {"service": "{{ .tags.Service }}", LABEL_CLUSTER_SET: "other"},
            "annotations": {"note": "{{.clustername}} of {{.tags.Service}}", ANNOTATION_SOURCE: "x"},
        }});
        let secret = secret(json!({"template": template}), &[("Service", "web")], false).unwrap();
        assert_eq!(label(&secret, "service").as_deref(), Some("web"));
        assert_eq!(label(&secret, LABEL_CLUSTER_SET).as_deref(), Some("web"));
        assert_eq!(label(&secret, "argocd.argoproj.io/secret-type").as_deref(), Some("cluster"));
        let annotations = secret.metadata.annotations.unwrap();
        assert_eq!(annotations["note"], "web-1 of web");
        assert_eq!(annotations[ANNOTATION_SOURCE], "arn:x");
        assert_eq!(annotations[ANNOTATION_EKS_TAGS], r#"{"Service":"web"}"#);
        assert_eq!(annotations[ANNOTATION_KUBERNETES_VERSION], "1.36");
        assert_eq!(annotations[ANNOTATION_OWNER_UID], "u1");
        assert!(!annotations.contains_key(ANNOTATION_CLUSTER_STATUS));
    }

    #[test]
    fn what_cannot_be_expanded_names_its_label() {
        let template = json!({"metadata": {"labels": {"service": "{{ .tags.None }}"}}});
        let error = secret(json!({"template": template}), &[], false).unwrap_err().to_string();
        assert!(error.starts_with("service: template"), "{error}");
    }

    #[test]
    fn the_version_comes_from_its_tag() {
        let from = json!({"versionFrom": {"tag": "version"}});
        let version =
            |value| label(&secret(from.clone(), &[("version", value)], false).unwrap(), LABEL_VERSION);
        assert_eq!(version("1.2.0").as_deref(), Some("1.2.0"));
        assert_eq!(version("1.2.0+b7").as_deref(), Some("1.2.0_b7"));
        assert_eq!(label(&secret(from.clone(), &[], false).unwrap(), LABEL_VERSION), None);
        assert!(matches!(secret(from, &[("version", "a b")], false), Err(DesiredError::Version { .. })));
    }

    #[test]
    fn a_cluster_that_goes_is_marked() {
        let annotations = secret(json!({}), &[], true).unwrap().metadata.annotations.unwrap();
        assert_eq!(annotations[ANNOTATION_CLUSTER_STATUS], "DELETING");
    }
}
