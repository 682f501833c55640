//! What a config's status says after a pass. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use okra_api::common::Condition;
use okra_api::load_balancer::{
    Drift, LoadBalancerConfigStatus, ObservedTargetGroup, PHASE_ERROR, PHASE_UPDATED, PHASE_UPDATING,
    WeightedTargetGroup,
};
use okra_domain::{ConditionReason, ConditionType, Reason, RuleArn, TargetGroupArn};

use super::compare::{Weights, desired_weights, same_shares};
use super::desired::Desired;
use super::plan::Found;

/// Targets of a group, counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Health {
    pub(crate) registered: u32,
    pub(crate) healthy: u32,
}

/// Health by target group, of those that could be read.
pub(crate) type HealthByGroup = BTreeMap<TargetGroupArn, Health>;

/// What a pass came to.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Outcome {
    /// AWS shows what is desired, seen at this moment.
    Confirmed { rule: RuleArn, seen_at: Timestamp },
    /// Nothing about the rule was looked at in this pass.
    Unchanged,
    /// Somebody else changed the rule.
    Drifted(Found),
    /// It is not done yet, and will be tried again.
    Pending { reason: Reason, message: String },
    /// It cannot be carried out as things are.
    Error { reason: Reason, message: String },
}

/// The status of an object whose spec cannot be carried out.
pub(crate) fn invalid(
    before: &LoadBalancerConfigStatus,
    generation: Option<i64>,
    reason: Reason,
    message: String,
    now: Timestamp,
) -> LoadBalancerConfigStatus {
    let mut status = before.clone();
    status.observed_generation = generation;
    say(&mut status, PHASE_ERROR, Some(reason), message);
    conclude(&mut status, before, now)
}

/// The status after a pass over a legal spec.
pub(crate) fn after(
    before: &LoadBalancerConfigStatus,
    desired: &Desired,
    outcome: &Outcome,
    health: &HealthByGroup,
    generation: Option<i64>,
    now: Timestamp,
) -> LoadBalancerConfigStatus {
    let mut status = before.clone();
    match outcome {
        Outcome::Confirmed { rule, seen_at } => {
            confirm(&mut status, desired, rule, *seen_at);
            status.observed_generation = generation;
            say(&mut status, PHASE_UPDATED, None, String::new());
        }
        Outcome::Unchanged => {}
        Outcome::Drifted(found) => {
            forget_generation_of_error(&mut status);
            status.drift = Some(drift_of(before.drift.as_ref(), desired, found, now));
            let message = format!(
                "the rule shows {} where okra wrote {}; drift {}",
                shown(&found.weights, desired),
                shown(&confirmed_weights(before), desired),
                found.id
            );
            say(&mut status, PHASE_UPDATING, Some(Reason::Drift), message);
        }
        Outcome::Pending { reason, message } => {
            forget_generation_of_error(&mut status);
            say(&mut status, PHASE_UPDATING, Some(*reason), message.clone());
        }
        Outcome::Error { reason, message } => {
            status.observed_generation = generation;
            say(&mut status, PHASE_ERROR, Some(*reason), message.clone());
        }
    }
    take_health(&mut status, health, now);
    hold_back_updated(&mut status);
    conclude(&mut status, before, now)
}

/// An error names the generation that it is about. Once it is over, that
/// generation must not be taken for a confirmed one.
fn forget_generation_of_error(status: &mut LoadBalancerConfigStatus) {
    if status.phase.as_deref() == Some(PHASE_ERROR) {
        status.observed_generation = None;
    }
}

/// The weights that were confirmed last, from a status.
pub(crate) fn confirmed_weights(status: &LoadBalancerConfigStatus) -> Weights {
    let weight = |group: &ObservedTargetGroup| {
        let weight = u32::try_from(group.weight.unwrap_or(0)).unwrap_or(0);
        Some((group.arn.parse().ok()?, weight))
    };
    status.target_groups.iter().filter_map(weight).collect()
}

fn confirm(status: &mut LoadBalancerConfigStatus, desired: &Desired, rule: &RuleArn, seen_at: Timestamp) {
    let weights = desired_weights(&desired.groups);
    let known = confirmed_weights(status);
    if status.weights_since.is_none() || !same_shares(&known, &weights) {
        status.weights_since = Some(seen_at);
    }
    let before = std::mem::take(&mut status.target_groups);
    let entry = |group: &super::desired::DesiredGroup| {
        let arn = group.arn.as_str();
        let old = before.iter().find(|old| old.arn == arn).cloned().unwrap_or_default();
        ObservedTargetGroup {
            name: group.name.clone(),
            arn: arn.to_owned(),
            // AWS shows the same shares; the number is the one of the spec.
            weight: Some(i64::from(group.weight)),
            healthy_targets: old.healthy_targets,
            unhealthy_since: old.unhealthy_since,
        }
    };
    status.target_groups = desired.groups.iter().map(entry).collect();
    status.rule_arn = Some(rule.to_string());
    status.drift = None;
}

fn take_health(status: &mut LoadBalancerConfigStatus, health: &HealthByGroup, now: Timestamp) {
    for entry in &mut status.target_groups {
        let read = entry.arn.parse().ok().and_then(|arn: TargetGroupArn| health.get(&arn));
        let Some(read) = read else { continue };
        entry.healthy_targets = Some(i64::from(read.healthy));
        entry.unhealthy_since = if read.healthy > 0 { None } else { entry.unhealthy_since.or(Some(now)) };
    }
}

/// With `phase: Updated` no entry lacks its health (`spec/okra.md` 3.3.2-6).
fn hold_back_updated(status: &mut LoadBalancerConfigStatus) {
    let unread = status.target_groups.iter().find(|entry| entry.healthy_targets.is_none());
    if let Some(entry) = unread.filter(|_| status.phase.as_deref() == Some(PHASE_UPDATED)) {
        let message = format!("the health of target group {} is not read yet", entry.name);
        say(status, PHASE_UPDATING, Some(Reason::WaitingForHealth), message);
    }
}

fn drift_of(before: Option<&Drift>, desired: &Desired, found: &Found, now: Timestamp) -> Drift {
    let seen_at = before.filter(|drift| drift.id == found.id).and_then(|drift| drift.seen_at);
    let name = |arn: &TargetGroupArn| {
        let group = desired.groups.iter().find(|group| group.arn == *arn);
        group.map(|group| group.name.clone()).unwrap_or_default()
    };
    let groups = found.weights.iter().map(|(arn, weight)| WeightedTargetGroup {
        name: name(arn),
        arn: arn.to_string(),
        weight: Some(i64::from(*weight)),
    });
    Drift { id: found.id.clone(), seen_at: seen_at.or(Some(now)), target_groups: groups.collect() }
}

/// Weights in words: names where the spec has them.
fn shown(weights: &Weights, desired: &Desired) -> String {
    if weights.is_empty() {
        return "no target group".to_owned();
    }
    let one = |(arn, weight): (&TargetGroupArn, &u32)| {
        let group = desired.groups.iter().find(|group| group.arn == *arn);
        format!("{} {weight}", group.map_or(arn.name(), |group| group.name.as_str()))
    };
    weights.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn say(status: &mut LoadBalancerConfigStatus, phase: &str, reason: Option<Reason>, message: String) {
    status.phase = Some(phase.to_owned());
    status.reason = reason.map(|reason| reason.to_string());
    status.message = Some(message).filter(|message| !message.is_empty());
}

/// Conditions and time, from all the rest.
fn conclude(
    status: &mut LoadBalancerConfigStatus,
    before: &LoadBalancerConfigStatus,
    now: Timestamp,
) -> LoadBalancerConfigStatus {
    let ready = status.phase.as_deref() == Some(PHASE_UPDATED);
    let as_expected = ConditionReason::AsExpected.as_str();
    let ready_reason = status.reason.clone().unwrap_or_else(|| as_expected.to_owned());
    let drift = status.drift.is_some();
    let drift_reason = if drift { Reason::Drift.as_str() } else { as_expected };
    let message = status.message.clone().unwrap_or_default();
    let generation = status.observed_generation;
    status.conditions = vec![
        condition(ConditionType::Ready, ready, &ready_reason, &message, generation),
        condition(ConditionType::DriftDetected, drift, drift_reason, "", generation),
    ];
    for new in &mut status.conditions {
        let old = before.conditions.iter().find(|old| old.type_ == new.type_);
        let kept = old.filter(|old| old.status == new.status).and_then(|old| old.last_transition_time);
        new.last_transition_time = kept.or(Some(now));
    }
    status.last_sync_time = Some(now);
    status.clone()
}

fn condition(
    type_: ConditionType,
    is: bool,
    reason: &str,
    message: &str,
    generation: Option<i64>,
) -> Condition {
    Condition {
        type_: type_.to_string(),
        status: if is { "True" } else { "False" }.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: None,
        observed_generation: generation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load_balancer::desired::{DesiredGroup, Overwrite};

    const ELB: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012";

    fn arn(name: &str) -> TargetGroupArn {
        format!("{ELB}:targetgroup/{name}/73e2").parse().unwrap()
    }

    fn rule() -> RuleArn {
        format!("{ELB}:listener-rule/app/web/50dc/f2f7/9683").parse().unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn desired(entries: &[(&str, u32)]) -> Desired {
        Desired {
            listener: format!("{ELB}:listener/app/web/50dc/f2f7").parse().unwrap(),
            priority: 10,
            conditions: vec![],
            groups: entries
                .iter()
                .map(|(name, weight)| DesiredGroup {
                    name: (*name).to_owned(),
                    arn: arn(name),
                    weight: *weight,
                })
                .collect(),
            stickiness: None,
            tags: Default::default(),
            overwrite: Overwrite::Nothing,
        }
    }

    fn health(entries: &[(&str, u32)]) -> HealthByGroup {
        entries
            .iter()
            .map(|(name, healthy)| (arn(name), Health { registered: 2, healthy: *healthy }))
            .collect()
    }

    fn confirmed(
        before: &LoadBalancerConfigStatus,
        entries: &[(&str, u32)],
        healthy: &[(&str, u32)],
        second: i64,
    ) -> LoadBalancerConfigStatus {
        let outcome = Outcome::Confirmed { rule: rule(), seen_at: at(second) };
        after(before, &desired(entries), &outcome, &health(healthy), Some(3), at(second))
    }

    fn found(entries: &[(&str, u32)]) -> Found {
        let weights = entries.iter().map(|(name, weight)| (arn(name), *weight)).collect();
        Found { id: "d1".to_owned(), weights }
    }

    #[test]
    fn h_87_what_aws_shows_is_told_with_its_time() {
        let status = confirmed(&Default::default(), &[("a", 90), ("b", 10)], &[("a", 2), ("b", 0)], 100);
        assert_eq!(status.phase.as_deref(), Some("Updated"));
        assert_eq!((status.observed_generation, status.weights_since), (Some(3), Some(at(100))));
        let entries: Vec<_> = status
            .target_groups
            .iter()
            .map(|entry| (entry.name.as_str(), entry.weight, entry.healthy_targets, entry.unhealthy_since))
            .collect();
        assert_eq!(entries, [("a", Some(90), Some(2), None), ("b", Some(10), Some(0), Some(at(100)))]);
        assert_eq!(status.conditions[0].status, "True");
    }

    #[test]
    fn the_time_of_weights_moves_with_the_weights_only() {
        let all = [("a", 1), ("b", 1)];
        let first = confirmed(&Default::default(), &[("a", 90), ("b", 10)], &all, 100);
        let again = confirmed(&first, &[("a", 900), ("b", 100)], &all, 130);
        assert_eq!(again.weights_since, Some(at(100)));
        let step = confirmed(&again, &[("a", 50), ("b", 50)], &all, 160);
        assert_eq!(step.weights_since, Some(at(160)));
    }

    #[test]
    fn a_group_is_unhealthy_since_it_was_first_seen_so() {
        let weights = [("a", 90), ("b", 10)];
        let first = confirmed(&Default::default(), &weights, &[("a", 1), ("b", 0)], 100);
        let second = confirmed(&first, &weights, &[("a", 1), ("b", 0)], 110);
        assert_eq!(second.target_groups[1].unhealthy_since, Some(at(100)));
        let healed = confirmed(&second, &weights, &[("a", 1), ("b", 1)], 120);
        assert_eq!(healed.target_groups[1].unhealthy_since, None);
    }

    #[test]
    fn updated_waits_for_the_health_of_every_group() {
        let weights = [("a", 90), ("b", 10)];
        let partial = confirmed(&Default::default(), &weights, &[("a", 1)], 100);
        assert_eq!(partial.phase.as_deref(), Some("Updating"));
        assert_eq!(partial.reason.as_deref(), Some("WaitingForHealth"));
        let unread = confirmed(&confirmed(&partial, &weights, &[("b", 1)], 101), &weights, &[], 102);
        assert_eq!(unread.phase.as_deref(), Some("Updated"), "what was read once is kept");
    }

    #[test]
    fn drift_keeps_the_confirmed_weights_and_the_generation() {
        let before = confirmed(&Default::default(), &[("a", 90), ("b", 10)], &[("a", 1), ("b", 1)], 100);
        let outcome = Outcome::Drifted(found(&[("a", 70), ("b", 30)]));
        let next = desired(&[("a", 50), ("b", 50)]);
        let status = after(&before, &next, &outcome, &health(&[]), Some(4), at(200));
        assert_eq!(status.observed_generation, Some(3));
        assert_eq!(confirmed_weights(&status), confirmed_weights(&before));
        let drift = status.drift.clone().unwrap();
        assert_eq!((drift.id.as_str(), drift.seen_at), ("d1", Some(at(200))));
        assert_eq!(drift.target_groups[1].weight, Some(30));
        assert_eq!(
            status.message.as_deref(),
            Some("the rule shows a 70, b 30 where okra wrote a 90, b 10; drift d1")
        );
        assert_eq!(
            (status.conditions[1].type_.as_str(), status.conditions[1].status.as_str()),
            ("DriftDetected", "True")
        );
        let still = after(&status, &next, &outcome, &health(&[]), Some(4), at(300));
        assert_eq!(still.drift.unwrap().seen_at, Some(at(200)));
        let over = confirmed(&status, &[("a", 50), ("b", 50)], &[("a", 1), ("b", 1)], 400);
        assert_eq!(over.drift, None);
    }

    #[test]
    fn an_error_keeps_what_aws_showed() {
        let before = confirmed(&Default::default(), &[("a", 1)], &[("a", 1)], 100);
        let status = invalid(&before, Some(5), Reason::InvalidSpec, "all weights are 0".to_owned(), at(110));
        assert_eq!(status.phase.as_deref(), Some("Error"));
        assert_eq!((status.reason.as_deref(), status.observed_generation), (Some("InvalidSpec"), Some(5)));
        assert_eq!(status.target_groups, before.target_groups);
        let ready = &status.conditions[0];
        assert_eq!((ready.status.as_str(), ready.last_transition_time), ("False", Some(at(110))));
    }

    #[test]
    fn a_pass_without_news_changes_nothing_but_the_time() {
        let before = confirmed(&Default::default(), &[("a", 1)], &[("a", 1)], 100);
        let mut same = after(
            &before,
            &desired(&[("a", 1)]),
            &Outcome::Unchanged,
            &health(&[("a", 1)]),
            Some(3),
            at(150),
        );
        same.last_sync_time = before.last_sync_time;
        assert_eq!(same, before);
    }
}
