//! How often a rule and its health are looked at. Pure.

use std::time::Duration;

use jiff::Timestamp;
use okra_api::load_balancer::{LoadBalancerConfigStatus, PHASE_UPDATED};

use crate::Settings;
use crate::failure::doubled;

/// How long a group at weight 0 without a healthy target is waited for: the
/// targets of a cluster that is starting come within minutes; those of one
/// that has gone never do.
const PATIENCE_SECONDS: i64 = 10 * 60;
/// First wait after a pass that did not come to its end, doubled up to the
/// longest (`spec/okra.md` 3).
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LONGEST: Duration = Duration::from_secs(120);
/// The first retry of a pass that only waits for AWS to show a write.
const RETRY_WAITING: Duration = Duration::from_millis(500);

/// Whether anybody waits for the health of this config's groups.
pub(crate) fn health_is_awaited(
    status: &LoadBalancerConfigStatus,
    rollout_runs: bool,
    now: Timestamp,
) -> bool {
    let awaited = |entry: &okra_api::load_balancer::ObservedTargetGroup| {
        let serves = entry.weight.unwrap_or(0) > 0;
        let since = entry.unhealthy_since.map_or(0, |since| now.as_second() - since.as_second());
        entry.healthy_targets.is_none_or(|healthy| healthy == 0) && (serves || since < PATIENCE_SECONDS)
    };
    rollout_runs || status.target_groups.iter().any(awaited)
}

/// Between two reads of health.
pub(crate) fn health_interval(settings: &Settings, awaited: bool) -> Duration {
    if awaited { settings.health_poll } else { settings.health_poll_idle }
}

/// Whether something is due that was last done at `last`.
pub(crate) fn is_due(last: Option<Duration>, interval: Duration, now: Duration) -> bool {
    last.is_none_or(|last| now.saturating_sub(last) >= interval)
}

/// How long until it is due.
pub(crate) fn until_due(last: Option<Duration>, interval: Duration, now: Duration) -> Duration {
    last.map_or(Duration::ZERO, |last| (last + interval).saturating_sub(now))
}

/// Whether the rule must be read in this pass: the spec is not confirmed, or
/// the last look is too old.
pub(crate) fn rule_is_due(
    status: &LoadBalancerConfigStatus,
    generation: Option<i64>,
    verified_at: Option<Duration>,
    settings: &Settings,
    now: Duration,
) -> bool {
    let confirmed =
        status.observed_generation == generation && status.phase.as_deref() == Some(PHASE_UPDATED);
    !confirmed || is_due(verified_at, settings.sync_period, now)
}

/// The wait after `failures` passes in a row that did not come to their end.
pub(crate) fn retry_after(failures: u32, waiting: bool) -> Duration {
    let first = if waiting { RETRY_WAITING } else { RETRY_FIRST };
    doubled(first, failures.saturating_sub(1), RETRY_LONGEST)
}

#[cfg(test)]
mod tests {
    use okra_api::load_balancer::ObservedTargetGroup;

    use super::*;

    fn status(weight: i64, healthy: Option<i64>, since: Option<i64>) -> LoadBalancerConfigStatus {
        let entry = ObservedTargetGroup {
            weight: Some(weight),
            healthy_targets: healthy,
            unhealthy_since: since.map(|second| Timestamp::from_second(second).unwrap()),
            ..ObservedTargetGroup::default()
        };
        LoadBalancerConfigStatus { target_groups: vec![entry], ..Default::default() }
    }

    #[test]
    fn health_is_read_often_while_somebody_waits_for_it() {
        let now = Timestamp::from_second(1000).unwrap();
        let awaited = |weight, healthy, since| health_is_awaited(&status(weight, healthy, since), false, now);
        assert!(!awaited(100, Some(2), None));
        assert!(awaited(100, Some(0), Some(0)), "it serves and is down");
        assert!(awaited(0, Some(0), Some(900)), "it was just attached");
        assert!(!awaited(0, Some(0), Some(300)), "its cluster has gone");
        assert!(awaited(0, None, None), "never read");
        assert!(health_is_awaited(&status(100, Some(2), None), true, now), "a rollout runs");
    }

    #[test]
    fn retries_wait_longer_each_time_up_to_two_minutes() {
        let waits: Vec<u64> = (1..=9).map(|failures| retry_after(failures, false).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 120, 120]);
        assert_eq!(retry_after(1, true), RETRY_WAITING);
        assert_eq!(retry_after(u32::MAX, false), RETRY_LONGEST);
    }

    #[test]
    fn the_rule_is_read_once_a_verification_interval() {
        let settings = Settings::new("test");
        let mut status = LoadBalancerConfigStatus {
            phase: Some(PHASE_UPDATED.to_owned()),
            observed_generation: Some(2),
            ..Default::default()
        };
        let due = |status: &LoadBalancerConfigStatus, generation, now| {
            let verified_at = Some(Duration::from_secs(100));
            rule_is_due(status, Some(generation), verified_at, &settings, Duration::from_secs(now))
        };
        assert!(!due(&status, 2, 129));
        assert!(due(&status, 2, 130));
        assert!(due(&status, 3, 101), "a new spec is not waited with");
        status.phase = Some("Updating".to_owned());
        assert!(due(&status, 2, 101));
    }
}
