//! The health of target groups, read and told.

use futures::future::join_all;
use kube::ResourceExt as _;
use okra_api::AWSTargetGroup;
use okra_api::aws_target_group::AWSTargetGroupStatus;
use okra_aws::AwsError;
use okra_domain::TargetGroupArn;

use super::Shared;
use super::status::{Health, HealthByGroup};
use crate::Context;
use crate::writer::WriteError;

/// Reads the health of these groups, all at once. What cannot be read is
/// missing from the answer; the first error says why.
pub(crate) async fn read(
    context: &Context,
    groups: impl Iterator<Item = &TargetGroupArn>,
) -> (HealthByGroup, Option<AwsError>) {
    let reads = groups.map(|arn| async move { (arn.clone(), one(context, arn).await) });
    let mut health = HealthByGroup::new();
    let mut failed = None;
    for (arn, read) in join_all(reads).await {
        match read {
            Ok(read) => {
                health.insert(arn, read);
            }
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    (health, failed)
}

/// Reads the health of one group.
pub(crate) async fn one(context: &Context, arn: &TargetGroupArn) -> Result<Health, AwsError> {
    let targets = context.load_balancers.target_health(arn).await?;
    let count = |counted: usize| u32::try_from(counted).unwrap_or(u32::MAX);
    Ok(Health {
        registered: count(targets.iter().filter(|target| target.is_registered()).count()),
        healthy: count(targets.iter().filter(|target| target.is_healthy()).count()),
    })
}

/// Tells the AWSTargetGroups of a namespace what was read of their groups.
/// One that changed meanwhile is told in the next pass.
pub(crate) async fn tell(shared: &Shared, namespace: &str, health: &HealthByGroup) {
    for group in shared.groups.state() {
        let Some(group) = group.valid().filter(|group| group.namespace().as_deref() == Some(namespace))
        else {
            continue;
        };
        let read = group.spec.arn.parse().ok().and_then(|arn: TargetGroupArn| health.get(&arn));
        let Some(read) = read else { continue };
        match write(shared, group, *read).await {
            Ok(()) | Err(WriteError::Stale) => {}
            Err(error) => tracing::debug!(%error, group = group.name_any(), "health was not written"),
        }
    }
}

/// Writes `status.{registeredTargets, healthyTargets}` where they changed.
pub(crate) async fn write(shared: &Shared, group: &AWSTargetGroup, read: Health) -> Result<(), WriteError> {
    let before = group.status.clone().unwrap_or_default();
    let status = AWSTargetGroupStatus {
        registered_targets: Some(i64::from(read.registered)),
        healthy_targets: Some(i64::from(read.healthy)),
        observed_generation: group.metadata.generation,
        last_sync_time: Some(shared.context.clock.now()),
        ..before
    };
    shared.context.writer().patch_status(group, group.status.as_ref(), &status).await.map(|_| ())
}
