//! AWSTargetGroups that no config holds: their health is read once when they
//! appear and then seldom. Those that a config holds are told by its passes.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use kube::runtime::controller::Action;
use okra_api::{AWSTargetGroup, Lenient};
use okra_domain::TargetGroupArn;

use super::{Shared, again, health};
use crate::malformed;
use crate::writer::WriteError;

/// Share by which a sweep is lengthened at random, so that many groups are
/// not read together.
const SWEEP_JITTER: f64 = 0.2;
/// Wait after a read that AWS asked to make later.
const RETRY: Duration = Duration::from_secs(10);

/// Reads the health of one group, if nobody else does.
pub(crate) async fn reconcile(
    group: Arc<Lenient<AWSTargetGroup>>,
    shared: Arc<Shared>,
) -> Result<Action, WriteError> {
    let group = match group.as_ref() {
        Lenient::Valid(group) => group.as_ref(),
        Lenient::Malformed(malformed) => {
            malformed::tell::<AWSTargetGroup>(&shared.context, malformed).await?;
            return Ok(Action::await_change());
        }
    };
    let arn = match group.spec.arn.parse::<TargetGroupArn>() {
        Ok(arn) => arn,
        Err(error) => {
            let message = format!("spec.arn: {error}");
            let trouble = health::Trouble { reason: "InvalidTargetGroup", message, absent: false };
            health::write_trouble(&shared, group, trouble).await?;
            return Ok(Action::await_change());
        }
    };
    let settings = &shared.context.settings;
    let sweep = shared.context.entropy.jitter(settings.health_poll_idle, SWEEP_JITTER);
    if group.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    if is_held(&shared, &arn) || !is_due(&shared, group) {
        return Ok(again(sweep));
    }
    match health::one(&shared.context, &arn).await {
        Ok(read) => health::write(&shared, group, read).await?,
        // It passes, and the counts of before still stand.
        Err(error) if error.meaning.is_transient() => {
            tracing::debug!(%error, group = group.name_any(), "health was not read");
            return Ok(again(shared.context.entropy.jitter(RETRY, SWEEP_JITTER)));
        }
        Err(error) => health::write_trouble(&shared, group, health::Trouble::of(&error)).await?,
    }
    Ok(again(sweep))
}

/// A group changed or went meanwhile: its next event brings it back.
pub(crate) fn on_error(_: Arc<Lenient<AWSTargetGroup>>, error: &WriteError, shared: Arc<Shared>) -> Action {
    tracing::debug!(%error, "the health of a target group was not written");
    again(shared.context.entropy.jitter(shared.context.settings.health_poll, 1.0))
}

fn is_held(shared: &Shared, arn: &TargetGroupArn) -> bool {
    shared
        .configs
        .state()
        .iter()
        .filter_map(|config| config.valid())
        .any(|config| config.spec.target_groups().iter().any(|group| group.arn == arn.as_str()))
}

/// Never read, or not for a sweep's time.
fn is_due(shared: &Shared, group: &AWSTargetGroup) -> bool {
    let status = group.status.as_ref().filter(|status| status.healthy_targets.is_some());
    let Some(last) = status.and_then(|status| status.last_sync_time) else { return true };
    let age = shared.context.clock.now().duration_since(last);
    age.unsigned_abs() >= shared.context.settings.health_poll_idle
}
