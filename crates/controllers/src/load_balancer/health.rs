//! The health of target groups, read and told.

use futures::future::join_all;
use kube::ResourceExt as _;
use okra_api::AWSTargetGroup;
use okra_api::aws_target_group::AWSTargetGroupStatus;
use okra_api::common::{ClusterNames, Condition, find_condition};
use okra_api::names::LABEL_BINDING_CLUSTER;
use okra_aws::{AwsError, Meaning};
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

/// Why the health of a group is not known.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    /// As one word.
    pub(crate) reason: &'static str,
    /// As a sentence.
    pub(crate) message: String,
    /// Whether there is no such group: then nothing in it is healthy.
    pub(crate) absent: bool,
}

impl Trouble {
    /// What AWS's answer means for a group.
    pub(crate) fn of(error: &AwsError) -> Self {
        let reason = match error.meaning {
            Meaning::Absent => "TargetGroupNotFound",
            Meaning::Denied => "AccessDenied",
            _ => "Refused",
        };
        Self { reason, message: error.to_string(), absent: error.meaning == Meaning::Absent }
    }
}

/// Writes `status.{registeredTargets, healthyTargets}`, and what they come to
/// in a word, where they changed.
pub(crate) async fn write(shared: &Shared, group: &AWSTargetGroup, read: Health) -> Result<(), WriteError> {
    let phase = match read {
        Health { registered: 0, .. } => "Empty",
        Health { healthy: 0, .. } => "Unhealthy",
        Health { registered, healthy } if healthy < registered => "Degraded",
        _ => "Healthy",
    };
    let counts = format!("{} of {} targets are healthy", read.healthy, read.registered);
    let ready = condition(shared, group, read.healthy > 0, phase, &counts);
    let status = AWSTargetGroupStatus {
        registered_targets: Some(i64::from(read.registered)),
        healthy_targets: Some(i64::from(read.healthy)),
        phase: Some(phase.to_owned()),
        reason: None,
        message: Some(counts),
        conditions: vec![ready],
        ..common(shared, group)
    };
    shared.context.writer().patch_status(group, group.status.as_ref(), &status).await.map(|_| ())
}

/// Writes why the health of a group is not known. The counts of before stand,
/// but where there is no such group they are 0: absent ones hold nobody back.
pub(crate) async fn write_trouble(
    shared: &Shared,
    group: &AWSTargetGroup,
    trouble: Trouble,
) -> Result<(), WriteError> {
    let ready = condition(shared, group, false, trouble.reason, &trouble.message);
    let before = group.status.as_ref();
    let counted = |before: Option<i64>| if trouble.absent { Some(0) } else { before };
    let status = AWSTargetGroupStatus {
        registered_targets: counted(before.and_then(|status| status.registered_targets)),
        healthy_targets: counted(before.and_then(|status| status.healthy_targets)),
        phase: Some("Error".to_owned()),
        reason: Some(trouble.reason.to_owned()),
        message: Some(trouble.message),
        conditions: vec![ready],
        ..common(shared, group)
    };
    shared.context.writer().patch_status(group, group.status.as_ref(), &status).await.map(|_| ())
}

/// What every status of a group says.
fn common(shared: &Shared, group: &AWSTargetGroup) -> AWSTargetGroupStatus {
    let cluster = group.labels().get(LABEL_BINDING_CLUSTER).filter(|cluster| !cluster.is_empty());
    AWSTargetGroupStatus {
        clusters: cluster.map(|cluster| ClusterNames { names: vec![cluster.clone()] }),
        observed_generation: group.metadata.generation,
        last_sync_time: Some(shared.context.clock.now()),
        ..AWSTargetGroupStatus::default()
    }
}

/// The condition `Ready`; its time moves only with its status.
fn condition(shared: &Shared, group: &AWSTargetGroup, holds: bool, reason: &str, message: &str) -> Condition {
    let status = if holds { "True" } else { "False" };
    let before = group.status.as_ref().and_then(|status| find_condition(&status.conditions, "Ready"));
    let same = before.filter(|one| one.status == status);
    Condition {
        type_: "Ready".to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: same
            .and_then(|one| one.last_transition_time)
            .or(Some(shared.context.clock.now())),
        observed_generation: group.metadata.generation,
    }
}
