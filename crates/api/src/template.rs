//! Templates in generated labels and annotations (`spec/okra.md` 3.1.4):
//! `{{ .awseks.cluster.name }}`, `{{ .tags.KEY }}`,
//! `{{ index .awseks.cluster.tags "a/b" }}`.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::names::LABEL_VALUE_MAX;

/// What a template may name of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterFacts {
    /// Name of the EKS cluster.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its region.
    pub region: String,
    /// Its account.
    pub account_id: String,
    /// Its Kubernetes version.
    pub version: String,
    /// Address of its API.
    pub endpoint: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// A value cannot be generated. It concerns that one object, never the set.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// `{{` without `}}`.
    #[error("template {0:?}: {{{{ is not closed")]
    Unclosed(String),
    /// Nothing of that name.
    #[error("template {template:?}: {path} is unknown")]
    UnknownPath {
        /// The whole value.
        template: String,
        /// What it names.
        path: String,
    },
    /// The result is no label value.
    #[error(
        "template {template:?} gives {value:?}, which is no label value (at most {LABEL_VALUE_MAX} letters, \
         digits, '-', '_' and '.', with a letter or digit at both ends)"
    )]
    NotALabelValue {
        /// The whole value.
        template: String,
        /// What it gives.
        value: String,
    },
}

/// The value with everything in braces replaced.
///
/// # Errors
/// When braces are not closed or name something unknown.
pub fn expand(template: &str, cluster: &ClusterFacts) -> Result<String, TemplateError> {
    let mut expanded = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (expression, after) =
            after.split_once("}}").ok_or_else(|| TemplateError::Unclosed(template.to_owned()))?;
        let value = lookup(expression.trim(), cluster).ok_or_else(|| TemplateError::UnknownPath {
            template: template.to_owned(),
            path: expression.trim().to_owned(),
        })?;
        expanded.push_str(before);
        expanded.push_str(value);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// The same for a label, which must be legal.
///
/// # Errors
/// As [`expand`], and when the result is no label value.
pub fn expand_label(template: &str, cluster: &ClusterFacts) -> Result<String, TemplateError> {
    let value = expand(template, cluster)?;
    if is_label_value(&value) {
        return Ok(value);
    }
    Err(TemplateError::NotALabelValue { template: template.to_owned(), value })
}

/// Whether Kubernetes accepts a text as the value of a label.
pub fn is_label_value(text: &str) -> bool {
    let legal = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let ends = text.starts_with(|letter: char| letter.is_ascii_alphanumeric())
        && text.ends_with(|letter: char| letter.is_ascii_alphanumeric());
    text.is_empty() || (text.len() <= LABEL_VALUE_MAX && text.chars().all(legal) && ends)
}

fn lookup<'a>(expression: &str, cluster: &'a ClusterFacts) -> Option<&'a str> {
    if let Some(arguments) = expression.strip_prefix("index ") {
        let (map, key) = arguments.trim().split_once(char::is_whitespace)?;
        let key = key.trim().strip_prefix('"')?.strip_suffix('"')?;
        let tags = [".awseks.cluster.tags", ".tags"].contains(&map);
        return if tags { cluster.tags.get(key).map(String::as_str) } else { None };
    }
    if expression == ".clustername" {
        return Some(&cluster.name);
    }
    let path = expression.strip_prefix(".awseks.cluster.").or_else(|| {
        // The short form knows tags alone.
        expression.strip_prefix('.').filter(|path| path.starts_with("tags."))
    })?;
    match path {
        "name" => Some(&cluster.name),
        "arn" => Some(&cluster.arn),
        "region" => Some(&cluster.region),
        "accountID" => Some(&cluster.account_id),
        "version" => Some(&cluster.version),
        "endpoint" => Some(&cluster.endpoint),
        _ => cluster.tags.get(path.strip_prefix("tags.")?).map(String::as_str),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> ClusterFacts {
        ClusterFacts {
            name: "web-1".to_owned(),
            arn: "arn:aws:eks:eu-west-1:1:cluster/web-1".to_owned(),
            region: "eu-west-1".to_owned(),
            account_id: "1".to_owned(),
            version: "1.36".to_owned(),
            endpoint: "https://x".to_owned(),
            tags: [("Service", "web"), ("a/b", "slash")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        }
    }

    #[test]
    fn h_58_every_documented_variable_is_expanded() {
        for (template, expected) in [
            ("plain", "plain"),
            ("{{.awseks.cluster.name}}", "web-1"),
            ("{{ .awseks.cluster.region }}-{{ .awseks.cluster.version }}", "eu-west-1-1.36"),
            ("{{.awseks.cluster.accountID}}", "1"),
            ("{{.awseks.cluster.tags.Service}}", "web"),
            ("{{.tags.Service}}", "web"),
            ("x-{{.clustername}}", "x-web-1"),
            ("{{ index .awseks.cluster.tags \"a/b\" }}", "slash"),
            ("{{ index .tags \"a/b\" }}", "slash"),
        ] {
            assert_eq!(expand_label(template, &cluster()).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_is_unknown_or_illegal_is_named() {
        for (template, expected) in [
            ("{{.name}}", "template \"{{.name}}\": .name is unknown"),
            ("{{.tags.None}}", "template \"{{.tags.None}}\": .tags.None is unknown"),
            (
                "{{ index .other \"a\" }}",
                "template \"{{ index .other \\\"a\\\" }}\": index .other \"a\" is unknown",
            ),
            ("{{.clustername", "template \"{{.clustername\": {{ is not closed"),
        ] {
            assert_eq!(expand(template, &cluster()).unwrap_err().to_string(), expected);
        }
        assert!(matches!(
            expand_label("{{.awseks.cluster.endpoint}}", &cluster()),
            Err(TemplateError::NotALabelValue { .. })
        ));
        assert_eq!(expand("{{.awseks.cluster.endpoint}}", &cluster()).as_deref(), Ok("https://x"));
    }
}
