//! UpdateClusterVersion, DescribeUpdate, ListUpdates.

use super::clusters::{page, read_version};
use super::faults::{in_use, invalid_parameter, not_found};
use super::model::{Eks, Status, Update, UpdateStatus};
use crate::context::Context;
use crate::wire::{Fault, Input, Members};

/// Updates remembered of a cluster; AWS keeps them for weeks, okra asks for the last.
const UPDATES_KEPT: usize = 50;

pub(super) fn update_version(
    eks: &mut Eks,
    input: &Input<'_>,
    context: &Context<'_>,
) -> Result<Members, Fault> {
    let name = input.member("name").required_text()?;
    let version = input.member("version").required_text()?;
    let cluster = eks.cluster_mut(&name)?;
    if cluster.status != Status::Active {
        let message = format!("Cluster {name} is {} and cannot be updated now", cluster.status.as_str());
        return Err(in_use(&name, message));
    }
    let ((_, from), (_, to)) = (read_version(&cluster.version)?, read_version(&version)?);
    if to == from {
        return Err(invalid_parameter(format!(
            "Cluster is already at the desired configuration with version {version}"
        ))
        .member("clusterName", &name));
    }
    // One minor at a time (`spec/aws.md` 3.2).
    if to != from + 1 {
        let message =
            format!("Unsupported Kubernetes minor version update from {} to {version}", cluster.version);
        return Err(invalid_parameter(message).member("clusterName", &name));
    }
    let id = format!("{}-{}", context.new_id(), context.new_id());
    let update = Update { id, version, status: UpdateStatus::InProgress, created: context.now, error: None };
    let rendered = render(&update);
    cluster.status = Status::Updating;
    cluster.updates.push(update);
    let surplus = cluster.updates.len().saturating_sub(UPDATES_KEPT);
    cluster.updates.drain(..surplus);
    Ok(Members::new().with("update", rendered))
}

pub(super) fn describe(eks: &Eks, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let name = input.member("name").required_text()?;
    let id = input.member("updateId").required_text()?;
    let updates = &eks.cluster(&name)?.updates;
    let found = updates.iter().find(|update| update.id == id);
    let found = found
        .ok_or_else(|| not_found(format!("No update found for ID: {id}")).member("clusterName", &name))?;
    Ok(Members::new().with("update", render(found)))
}

pub(super) fn list(eks: &Eks, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let cluster = eks.cluster(&input.member("name").required_text()?)?;
    let mut ids: Vec<String> = cluster.updates.iter().map(|update| update.id.clone()).collect();
    ids.sort();
    let (ids, next) = page(ids, input)?;
    Ok(Members::new().with("updateIds", ids).maybe("nextToken", next))
}

fn render(update: &Update) -> Members {
    let status = match update.status {
        UpdateStatus::InProgress => "InProgress",
        UpdateStatus::Successful => "Successful",
        UpdateStatus::Failed => "Failed",
    };
    let version = Members::new().with("type", "Version").with("value", &update.version);
    let error = |message: &String| Members::new().with("errorCode", "Unknown").with("errorMessage", message);
    Members::new()
        .with("id", &update.id)
        .with("status", status)
        .with("type", "VersionUpdate")
        .with("params", vec![version])
        .with("createdAt", update.created)
        .with("errors", update.error.iter().map(error).collect::<Vec<_>>())
}
