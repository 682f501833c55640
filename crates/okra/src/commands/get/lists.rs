//! The lists of the Go program (`spec/okra.md` 4.2), as tables instead of
//! dumps (H-95), with labels in a fixed order.

use std::collections::BTreeMap;

use anyhow::Context as _;
use clap::Args;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, ObjectList};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt as _};
use okra_api::AWSTargetGroup;
use okra_api::foreign::cluster_secret::ClusterSecret;
use okra_api::foreign::target_group_binding::api_resources;
use okra_api::names::{
    ANNOTATION_CLUSTER_STATUS, ANNOTATION_RETIRED, CLUSTER_SECRETS, DEFAULT_VERSION_LABELS,
    LABEL_BINDING_CLUSTER,
};
use okra_domain::Version;
use serde_json::{Value, json};

use crate::cli::Target;
use crate::commands::connect::{Connection, connect};
use crate::commands::members::member_client;
use crate::look::columns;
use crate::manager::AwsFlags;
use crate::output::{self, Exit, Format};

/// Flags of `okra get cluster` and `okra cluster list`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  okra cluster list\n  okra cluster list -l service=web -o name")]
pub struct ClusterArgs {
    #[command(flatten)]
    target: Target,
    /// Labels of the cluster secrets
    #[arg(long, short = 'l', alias = "selectoro", value_name = "KEY=VALUE,…")]
    selector: Option<String>,
    /// How to print it
    #[arg(long, short = 'o', default_value = "table")]
    output: Format,
}

/// Flags of `okra get awstargetgroups`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra get awstargetgroups -l role=web")]
pub struct TargetGroupArgs {
    #[command(flatten)]
    target: Target,
    /// Labels of the AWSTargetGroups
    #[arg(long, short = 'l', value_name = "KEY=VALUE,…")]
    selector: Option<String>,
    /// How to print it
    #[arg(long, short = 'o', default_value = "table")]
    output: Format,
}

/// Flags of `okra get latestawstargetgroups`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra get latestawstargetgroups -l role=web")]
pub struct LatestArgs {
    #[command(flatten)]
    list: TargetGroupArgs,
    /// This version instead of the newest
    #[arg(long, value_name = "VERSION")]
    version: Option<Version>,
    /// Label that holds the version; the first that is set counts
    #[arg(long, value_name = "KEY")]
    semver_label_key: Vec<String>,
}

/// Flags of `okra get targetgroupbindings`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra get targetgroupbindings --cluster-name web-1-v2")]
pub struct BindingArgs {
    #[command(flatten)]
    target: Target,
    /// Name of the cluster secret
    #[arg(long, value_name = "NAME")]
    cluster_name: String,
    /// How to print it
    #[arg(long, short = 'o', default_value = "table")]
    output: Format,
    #[command(flatten)]
    aws: AwsFlags,
}

fn selected(selector: Option<&String>) -> ListParams {
    selector.map_or_else(ListParams::default, |labels| ListParams::default().labels(labels))
}

/// Labels as `k=v,k=v`, in their order.
pub fn labels(labels: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if pairs.is_empty() { "-".to_owned() } else { pairs.join(",") }
}

/// Prints rows of a list: a table, or its objects.
fn print(
    format: Format,
    kind: &str,
    header: &[&str],
    rows: &[Vec<String>],
    objects: &Value,
) -> anyhow::Result<()> {
    match format {
        Format::Json => output::print(&output::json(objects)?),
        Format::Yaml => output::print(&serde_saphyr::to_string(objects)?),
        Format::Name => {
            output::print(&rows.iter().map(|row| format!("{kind}/{}\n", row[0])).collect::<String>())
        }
        Format::Table | Format::Wide if rows.is_empty() => {
            output::remark("None.");
            Ok(())
        }
        Format::Table | Format::Wide => {
            let header = header.iter().map(|word| (*word).to_owned()).collect();
            output::print(&columns(&[vec![header], rows.to_vec()].concat()))
        }
    }
}

/// The cluster secrets of the namespace.
///
/// # Errors
/// When they cannot be listed.
pub async fn cluster_secrets(
    connection: &Connection,
    selector: Option<&String>,
) -> anyhow::Result<Vec<Secret>> {
    let labels = selector
        .map_or_else(|| CLUSTER_SECRETS.to_owned(), |selector| format!("{CLUSTER_SECRETS},{selector}"));
    let secrets: Api<Secret> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let list = secrets.list(&ListParams::default().labels(&labels)).await;
    Ok(list.context("cannot list cluster secrets")?.items)
}

/// `okra get cluster`, `okra cluster list`: never shows what the secrets keep.
///
/// # Errors
/// When they cannot be listed.
pub async fn clusters(args: ClusterArgs) -> anyhow::Result<Exit> {
    let connection = connect(&args.target).await?;
    let secrets = cluster_secrets(&connection, args.selector.as_ref()).await?;
    let shown: Vec<Value> = secrets.iter().map(cluster_json).collect();
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or("-").to_owned();
    let rows: Vec<Vec<String>> = secrets
        .iter()
        .zip(&shown)
        .map(|(secret, shown)| {
            let fields = ["name", "version", "state", "server"].map(|field| text(shown, field));
            let mut row = fields.to_vec();
            if args.output == Format::Wide {
                row.push(labels(secret.labels()));
            }
            row
        })
        .collect();
    let header = ["NAME", "VERSION", "STATE", "SERVER", "LABELS"];
    let header = if args.output == Format::Wide { &header[..] } else { &header[..4] };
    print(args.output, "cluster", header, &rows, &Value::Array(shown))?;
    Ok(Exit::Ok)
}

/// What may be shown of a cluster secret.
fn cluster_json(secret: &Secret) -> Value {
    let described = ClusterSecret::from_secret(secret);
    let version = DEFAULT_VERSION_LABELS.iter().find_map(|key| secret.labels().get(*key));
    let state = match (&described, secret.annotations()) {
        (Err(error), _) => format!("unusable: {error}"),
        (_, notes) if notes.contains_key(ANNOTATION_RETIRED) => "retired".to_owned(),
        (_, notes) => notes.get(ANNOTATION_CLUSTER_STATUS).cloned().unwrap_or_else(|| "-".to_owned()),
    };
    let login = described.as_ref().ok().map(|cluster| {
        let config = &cluster.config;
        match (&config.aws_auth_config, &config.exec_provider_config, &config.bearer_token) {
            (Some(_), ..) => "eks",
            (_, Some(_), _) => "exec",
            (.., Some(_)) => "token",
            _ if config.username.is_some() => "basic",
            _ => "certificate",
        }
    });
    json!({
        "name": secret.name_any(),
        "namespace": secret.namespace(),
        "server": described.ok().map(|cluster| cluster.server),
        "login": login,
        "version": version,
        "state": state,
        "retiredAt": secret.annotations().get(ANNOTATION_RETIRED),
        "labels": secret.labels(),
    })
}

/// `okra get awstargetgroups`.
///
/// # Errors
/// When they cannot be listed.
pub async fn target_groups(args: TargetGroupArgs) -> anyhow::Result<Exit> {
    let connection = connect(&args.target).await?;
    let groups: Api<AWSTargetGroup> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let list = groups.list(&selected(args.selector.as_ref())).await;
    print_groups(&list.context("cannot list AWSTargetGroups")?.items, args.output)
}

fn print_groups(groups: &[AWSTargetGroup], format: Format) -> anyhow::Result<Exit> {
    let count = |value: Option<i64>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
    let rows: Vec<Vec<String>> = groups
        .iter()
        .map(|group| {
            let status = group.status.clone().unwrap_or_default();
            let label = |key: &str| group.labels().get(key).cloned().unwrap_or_else(|| "-".to_owned());
            let version = version_text(group, &[]).unwrap_or("-").to_owned();
            let health = format!("{}/{}", count(status.healthy_targets), count(status.registered_targets));
            let mut row = vec![group.name_any(), version, label(LABEL_BINDING_CLUSTER), health];
            if format == Format::Wide {
                row.push(group.spec.arn.clone());
            }
            row
        })
        .collect();
    let header = ["NAME", "VERSION", "CLUSTER", "HEALTHY", "ARN"];
    let header = if format == Format::Wide { &header[..] } else { &header[..4] };
    print(format, "awstargetgroup", header, &rows, &serde_json::to_value(groups)?)?;
    Ok(Exit::Ok)
}

/// The version label of a group, by these keys or the usual ones.
pub fn version_text<'a>(group: &'a AWSTargetGroup, keys: &[String]) -> Option<&'a str> {
    let labels = group.labels();
    let own = keys.iter().map(String::as_str);
    let usual = DEFAULT_VERSION_LABELS.into_iter().filter(|_| keys.is_empty());
    own.chain(usual).filter_map(|key| labels.get(key)).map(String::as_str).find(|text| !text.is_empty())
}

/// `okra get latestawstargetgroups`.
///
/// # Errors
/// When they cannot be listed, or none has a version.
pub async fn latest(args: LatestArgs) -> anyhow::Result<Exit> {
    let connection = connect(&args.list.target).await?;
    let groups: Api<AWSTargetGroup> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let list: ObjectList<AWSTargetGroup> =
        groups.list(&selected(args.list.selector.as_ref())).await.context("cannot list AWSTargetGroups")?;
    let found = of_version(list.items, &args.semver_label_key, args.version.as_ref());
    print_groups(&found, args.list.output)
}

/// The groups of one version, or of the greatest. A group without a legal
/// version counts for nothing and hides no other (H-60).
fn of_version(groups: Vec<AWSTargetGroup>, keys: &[String], wanted: Option<&Version>) -> Vec<AWSTargetGroup> {
    let version = |group: &AWSTargetGroup| version_text(group, keys)?.parse::<Version>().ok();
    let wanted = wanted.cloned().or_else(|| groups.iter().filter_map(&version).max());
    groups.into_iter().filter(|group| version(group).is_some() && version(group) == wanted).collect()
}

/// `okra get targetgroupbindings`.
///
/// # Errors
/// When the cluster is not known or does not answer.
pub async fn bindings(args: BindingArgs) -> anyhow::Result<Exit> {
    let connection = connect(&args.target).await?;
    let client = member_client(&connection, &args.cluster_name, &args.aws).await?;
    let mut found: Vec<DynamicObject> = Vec::new();
    for resource in api_resources() {
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        match api.list(&ListParams::default()).await {
            Ok(list) => found.extend(list.items),
            // A cluster serves one of the two groups, or both.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cluster {} does not answer", args.cluster_name));
            }
        }
    }
    let text =
        |binding: &DynamicObject, field: &str| binding.data["spec"][field].as_str().unwrap_or("-").to_owned();
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|binding| {
            let namespace = binding.namespace().unwrap_or_default();
            vec![binding.name_any(), namespace, text(binding, "targetGroupARN"), labels(binding.labels())]
        })
        .collect();
    let header = ["NAME", "NAMESPACE", "ARN", "LABELS"];
    print(args.output, "targetgroupbinding", &header, &rows, &serde_json::to_value(&found)?)?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str, key: &str, version: &str) -> AWSTargetGroup {
        let mut group = AWSTargetGroup::new(name, Default::default());
        group.metadata.labels = Some(BTreeMap::from([(key.to_owned(), version.to_owned())]));
        group
    }

    #[test]
    fn h_60_a_group_without_a_version_hides_no_other() {
        let groups = vec![
            group("a", "okra.mumo.co/version", "1.9.0"),
            group("b", "okra.mumoshu.github.io/version", "v1.10"),
            group("c", "okra.mumo.co/version", "newest"),
            group("d", "role", "web"),
        ];
        let names = |found: Vec<AWSTargetGroup>| -> Vec<String> {
            found.iter().map(kube::ResourceExt::name_any).collect()
        };
        assert_eq!(names(of_version(groups.clone(), &[], None)), ["b"]);
        let wanted: Version = "1.9".parse().unwrap();
        assert_eq!(names(of_version(groups.clone(), &[], Some(&wanted))), ["a"]);
        assert!(of_version(groups, &["role".to_owned()], None).is_empty());
    }

    #[test]
    fn h_95_labels_have_one_order() {
        let pairs = [("service", "web"), ("a", "b")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(labels(&BTreeMap::from(pairs)), "a=b,service=web");
        assert_eq!(labels(&BTreeMap::new()), "-");
    }

    #[test]
    fn credentials_of_a_cluster_are_not_shown() {
        let secret = Secret {
            string_data: Some(BTreeMap::from([
                ("server".to_owned(), "https://example.com".to_owned()),
                ("config".to_owned(), r#"{"bearerToken":"hunter2"}"#.to_owned()),
            ])),
            ..Secret::default()
        };
        let shown = cluster_json(&secret).to_string();
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
