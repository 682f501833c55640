//! Access entries and their policies (`spec/aws.md` 3.4).

use std::collections::BTreeMap;

use super::clusters::page;
use super::faults::{in_use, invalid_parameter, invalid_request, not_found};
use super::model::{AccessEntry, AccessPolicy, Cluster, Eks};
use super::tags::read_tags;
use crate::context::Context;
use crate::wire::{Fault, Input, Members};

const POLICY_PREFIX: &str = "arn:aws:eks::aws:cluster-access-policy/";
const ADMINISTRATOR_POLICY: &str = "AmazonEKSClusterAdminPolicy";

/// Policies that the region knows; the group that each stands for is named
/// after it, except for the cluster administrator, who is `system:masters`.
const POLICIES: &[&str] = &[
    ADMINISTRATOR_POLICY,
    "AmazonEKSAdminPolicy",
    "AmazonEKSAdminViewPolicy",
    "AmazonEKSEditPolicy",
    "AmazonEKSViewPolicy",
];

/// Entries of a cluster.
const MOST_ENTRIES: usize = 200;

/// The entry that the creator of a cluster gets.
pub(super) fn administrator(principal_arn: &str, context: &Context<'_>) -> AccessEntry {
    let policy = AccessPolicy {
        scope: "cluster".into(),
        namespaces: Vec::new(),
        associated: context.now,
        modified: context.now,
    };
    AccessEntry {
        policies: BTreeMap::from([(format!("{POLICY_PREFIX}{ADMINISTRATOR_POLICY}"), policy)]),
        ..new_entry(principal_arn, context)
    }
}

fn new_entry(principal_arn: &str, context: &Context<'_>) -> AccessEntry {
    AccessEntry {
        principal_arn: principal_arn.to_owned(),
        id: context.new_id(),
        groups: Vec::new(),
        username: principal_arn.to_owned(),
        kind: "STANDARD".into(),
        created: context.now,
        modified: context.now,
        tags: BTreeMap::new(),
        policies: BTreeMap::new(),
    }
}

/// The Kubernetes groups that an entry grants.
pub(super) fn groups(entry: &AccessEntry) -> Vec<String> {
    let mut groups = entry.groups.clone();
    for (arn, policy) in &entry.policies {
        let name = arn.trim_start_matches(POLICY_PREFIX);
        if name == ADMINISTRATOR_POLICY && policy.scope == "cluster" {
            groups.push("system:masters".into());
        } else if policy.scope == "cluster" {
            groups.push(format!("eks:{name}"));
        } else {
            groups.extend(policy.namespaces.iter().map(|namespace| format!("eks:{name}:{namespace}")));
        }
    }
    groups
}

pub(super) fn create(eks: &mut Eks, input: &Input<'_>, context: &Context<'_>) -> Result<Members, Fault> {
    let cluster = open_cluster(eks, input)?;
    let principal = input.member("principalArn").required_text()?;
    if !(principal.starts_with("arn:aws:iam::")
        && (principal.contains(":role/") || principal.contains(":user/")))
    {
        return Err(invalid_parameter(format!("The specified principalArn is invalid: {principal}"))
            .member("clusterName", &cluster.name));
    }
    if cluster.access_entries.contains_key(&principal) {
        let message = "The specified access entry resource is already in use on this cluster.";
        return Err(in_use(&cluster.name, message));
    }
    if cluster.access_entries.len() >= MOST_ENTRIES {
        let message = format!("The cluster has {MOST_ENTRIES} access entries, which is the limit");
        return Err(
            Fault::new("ResourceLimitExceededException", message).member("clusterName", &cluster.name)
        );
    }
    let kind = input.member("type").text()?.unwrap_or_else(|| "STANDARD".into());
    let mut entry = new_entry(&principal, context);
    entry.groups = read_groups(input)?.unwrap_or_default();
    entry.username = input.member("username").text()?.unwrap_or_else(|| default_username(&principal));
    entry.tags = read_tags(&input.member("tags"))?;
    entry.kind = kind;
    let rendered = render(cluster, &entry);
    cluster.access_entries.insert(principal, entry);
    Ok(Members::new().with("accessEntry", rendered))
}

/// Roles are told apart by session, users by their own ARN.
fn default_username(principal: &str) -> String {
    let parts: Vec<&str> = principal.splitn(6, ':').collect();
    match parts[..] {
        [_, partition, "iam", _, account, resource] if resource.starts_with("role/") => {
            let name = resource.rsplit('/').next().unwrap_or_default();
            format!("arn:{partition}:sts::{account}:assumed-role/{name}/{{{{SessionName}}}}")
        }
        _ => principal.to_owned(),
    }
}

fn read_groups(input: &Input<'_>) -> Result<Option<Vec<String>>, Fault> {
    let given = input.member("kubernetesGroups");
    if !given.is_given() {
        return Ok(None);
    }
    let groups = given.texts()?;
    if let Some(reserved) = groups.iter().find(|group| group.starts_with("system:")) {
        return Err(invalid_parameter(format!(
            "The kubernetes group name {reserved} is invalid, it cannot start with system:"
        )));
    }
    Ok(Some(groups))
}

pub(super) fn list(eks: &Eks, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let cluster = eks.cluster(&input.member("clusterName").required_text()?)?;
    let policy = input.member("associatedPolicyArn").text()?;
    let wanted = |entry: &&AccessEntry| policy.as_ref().is_none_or(|arn| entry.policies.contains_key(arn));
    let names =
        cluster.access_entries.values().filter(wanted).map(|entry| entry.principal_arn.clone()).collect();
    let (names, next) = page(names, input)?;
    Ok(Members::new().with("accessEntries", names).maybe("nextToken", next))
}

pub(super) fn describe(eks: &Eks, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let cluster = eks.cluster(&input.member("clusterName").required_text()?)?;
    let principal = input.member("principalArn").required_text()?;
    let entry = cluster.access_entries.get(&principal).ok_or_else(|| no_entry(cluster, &principal))?;
    Ok(Members::new().with("accessEntry", render(cluster, entry)))
}

pub(super) fn update(eks: &mut Eks, input: &Input<'_>, context: &Context<'_>) -> Result<Members, Fault> {
    let (groups, username) = (read_groups(input)?, input.member("username").text()?);
    let cluster = open_cluster(eks, input)?;
    let entry = entry_mut(cluster, input)?;
    if let Some(groups) = groups {
        entry.groups = groups;
    }
    if let Some(username) = username {
        entry.username = username;
    }
    entry.modified = context.now;
    let entry = entry.clone();
    Ok(Members::new().with("accessEntry", render(cluster, &entry)))
}

pub(super) fn delete(eks: &mut Eks, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let cluster = open_cluster(eks, input)?;
    let principal = entry_mut(cluster, input)?.principal_arn.clone();
    cluster.access_entries.remove(&principal);
    Ok(Members::new())
}

pub(super) fn associate(eks: &mut Eks, input: &Input<'_>, context: &Context<'_>) -> Result<Members, Fault> {
    let arn = input.member("policyArn").required_text()?;
    if !arn.strip_prefix(POLICY_PREFIX).is_some_and(|name| POLICIES.contains(&name)) {
        return Err(invalid_parameter(format!("The policyArn parameter format is not valid: {arn}")));
    }
    let scope = input.member("accessScope");
    let kind = scope.member("type").choice(&["cluster", "namespace"])?;
    let kind = kind.ok_or_else(|| invalid_parameter("The accessScope must have a type"))?;
    let namespaces = scope.member("namespaces").texts()?;
    if (kind == "namespace") == namespaces.is_empty() {
        return Err(invalid_parameter(
            "Namespaces belong to an accessScope of type namespace, and only there",
        ));
    }
    let cluster = open_cluster(eks, input)?;
    let name = cluster.name.clone();
    let entry = entry_mut(cluster, input)?;
    let associated = entry.policies.get(&arn).map_or(context.now, |before| before.associated);
    let policy = AccessPolicy { scope: kind.into(), namespaces, associated, modified: context.now };
    let rendered = render_policy(&arn, &policy);
    entry.policies.insert(arn, policy);
    Ok(Members::new()
        .with("clusterName", name)
        .with("principalArn", &entry.principal_arn)
        .with("associatedAccessPolicy", rendered))
}

pub(super) fn disassociate(eks: &mut Eks, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let arn = input.member("policyArn").required_text()?;
    let cluster = open_cluster(eks, input)?;
    let entry = entry_mut(cluster, input)?;
    if entry.policies.remove(&arn).is_none() {
        return Err(not_found(format!("The policy {arn} is not associated with {}", entry.principal_arn)));
    }
    Ok(Members::new())
}

pub(super) fn list_policies(eks: &Eks, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let cluster = eks.cluster(&input.member("clusterName").required_text()?)?;
    let principal = input.member("principalArn").required_text()?;
    let entry = cluster.access_entries.get(&principal).ok_or_else(|| no_entry(cluster, &principal))?;
    let (arns, next) = page(entry.policies.keys().cloned().collect(), input)?;
    let policies: Vec<Members> = arns.iter().map(|arn| render_policy(arn, &entry.policies[arn])).collect();
    Ok(Members::new()
        .with("clusterName", &cluster.name)
        .with("principalArn", principal)
        .maybe("nextToken", next)
        .with("associatedAccessPolicies", policies))
}

/// The cluster, if its authentication mode has access entries.
fn open_cluster<'a>(eks: &'a mut Eks, input: &Input<'_>) -> Result<&'a mut Cluster, Fault> {
    let name = input.member("clusterName").required_text()?;
    let cluster = eks.cluster_mut(&name)?;
    if cluster.authentication_mode == "CONFIG_MAP" {
        let message = "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.";
        return Err(invalid_request(message).member("clusterName", &name));
    }
    Ok(cluster)
}

fn entry_mut<'a>(cluster: &'a mut Cluster, input: &Input<'_>) -> Result<&'a mut AccessEntry, Fault> {
    let principal = input.member("principalArn").required_text()?;
    let missing = no_entry(cluster, &principal);
    cluster.access_entries.get_mut(&principal).ok_or(missing)
}

fn no_entry(cluster: &Cluster, principal: &str) -> Fault {
    not_found(format!("The specified principalArn could not be found: {principal}"))
        .member("clusterName", &cluster.name)
}

fn render(cluster: &Cluster, entry: &AccessEntry) -> Members {
    let kind = if entry.principal_arn.contains(":user/") { "user" } else { "role" };
    let account = cluster.arn.split(':').nth(4).unwrap_or_default();
    let name = entry.principal_arn.rsplit('/').next().unwrap_or_default();
    let base = cluster.arn.replacen(":cluster/", ":access-entry/", 1);
    Members::new()
        .with("clusterName", &cluster.name)
        .with("principalArn", &entry.principal_arn)
        .with("kubernetesGroups", &entry.groups)
        .with("accessEntryArn", format!("{base}/{kind}/{account}/{name}/{}", entry.id))
        .with("createdAt", entry.created)
        .with("modifiedAt", entry.modified)
        .with("tags", &entry.tags)
        .with("username", &entry.username)
        .with("type", &entry.kind)
}

fn render_policy(arn: &str, policy: &AccessPolicy) -> Members {
    let scope = Members::new().with("type", &policy.scope).with("namespaces", &policy.namespaces);
    Members::new()
        .with("policyArn", arn)
        .with("accessScope", scope)
        .with("associatedAt", policy.associated)
        .with("modifiedAt", policy.modified)
}
