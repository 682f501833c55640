//! What to do about a rule, from what was seen of it. Pure.

use std::fmt::Write as _;

use okra_aws::{Condition, Rule};
use okra_domain::{Reason, RuleArn};
use sha2::{Digest as _, Sha256};

use super::compare::{
    Difference, Weights, desired_weights, difference, exactly_conditions, reported_weights, same_conditions,
    same_shares,
};
use super::desired::{Desired, Overwrite};
use super::ownership::Ownership;

/// Hexadecimal digits of a drift's id: enough that two states differ, few
/// enough to be typed.
const DRIFT_ID_BYTES: usize = 8;

/// Weights and conditions of a rule at some moment.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct State {
    pub(crate) weights: Weights,
    pub(crate) conditions: Vec<Condition>,
}

impl State {
    /// Those of a rule as AWS reports it.
    pub(crate) fn of(rule: &Rule) -> Self {
        let weights = rule.forward().map(reported_weights).unwrap_or_default();
        Self { weights, conditions: rule.conditions.clone() }
    }

    fn is_shown_by(&self, rule: &Rule) -> bool {
        let found = Self::of(rule);
        same_shares(&found.weights, &self.weights) && same_conditions(&found.conditions, &self.conditions)
    }
}

/// All that a plan depends on.
#[derive(Clone, Debug)]
pub(crate) struct View<'a> {
    pub(crate) desired: &'a Desired,
    /// The rule at the listener and priority of the config.
    pub(crate) rule: Option<&'a Rule>,
    /// Whose that rule is.
    pub(crate) ownership: Ownership,
    /// The annotation `okra.mumo.co/adopt: "true"`.
    pub(crate) adopt: bool,
    /// Mark of another controller on the load balancer.
    pub(crate) foreign: Option<&'a str>,
    /// `status.ruleARN`.
    pub(crate) recorded: Option<&'a RuleArn>,
    /// `status.targetGroups`: the weights that AWS showed when they were
    /// last confirmed.
    pub(crate) confirmed: &'a Weights,
    /// Whether the spec as it is now was confirmed before.
    pub(crate) spec_confirmed: bool,
    /// What this process wrote last, confirmed or not.
    pub(crate) written: Option<&'a State>,
    /// What that write replaced, for as long as a read may still show it.
    pub(crate) replaced: Option<&'a State>,
}

/// What was found in place of okra's weights.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    /// Hash of it.
    pub(crate) id: String,
    pub(crate) weights: Weights,
}

/// The next thing to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Nothing may be written.
    Refuse { reason: Reason, message: String },
    /// Make the rule, with these weights.
    Create(Weights),
    /// Mark the rule as this object's, then plan again.
    Adopt,
    /// Change what differs.
    Modify(Difference),
    /// Somebody else changed the rule: hold.
    Drifted(Found),
    /// AWS shows what was just replaced: read again.
    Stale,
    /// AWS shows what is desired. An old rule of this object may be left to delete.
    Settled { retire: Option<RuleArn> },
}

/// Plans.
pub(crate) fn plan(view: &View<'_>) -> Step {
    if let Some(mark) = view.foreign.filter(|_| !view.adopt) {
        let message = format!(
            "the load balancer is managed by another controller ({mark}); \
             annotate okra.mumo.co/adopt: \"true\" to write its rules all the same"
        );
        return Step::Refuse { reason: Reason::ForeignController, message };
    }
    let Some(rule) = view.rule else { return Step::Create(weights_for_new_rule(view)) };
    match &view.ownership {
        Ownership::Own => owned(view, rule),
        Ownership::Unmarked if may_adopt(view, rule) => Step::Adopt,
        Ownership::Unmarked => in_use(view, "that okra did not make and whose conditions differ"),
        Ownership::Other { owner } => in_use(view, &format!("of {owner}")),
    }
}

/// A rule without marks is taken when nobody can mind: it does what is
/// desired, somebody said so, or it was this object's before.
fn may_adopt(view: &View<'_>, rule: &Rule) -> bool {
    view.adopt
        || view.recorded == Some(&rule.arn)
        || exactly_conditions(&rule.conditions, &view.desired.conditions)
}

fn in_use(view: &View<'_>, whose: &str) -> Step {
    let message = format!("priority {} holds a rule {whose}", view.desired.priority);
    Step::Refuse { reason: Reason::PriorityInUse, message }
}

/// A rule that vanished comes back with the weights that were confirmed, so
/// that its return is not also a step; where they do not fit the spec any
/// more, with those of the spec.
fn weights_for_new_rule(view: &View<'_>) -> Weights {
    let desired = desired_weights(&view.desired.groups);
    let serves = view.confirmed.values().any(|weight| *weight > 0);
    let fits = view.confirmed.keys().all(|arn| desired.contains_key(arn));
    let overwritten = view.desired.overwrite == Overwrite::Always;
    if view.recorded.is_none() || view.spec_confirmed || !serves || !fits || overwritten {
        return desired;
    }
    desired.into_keys().map(|arn| (arn.clone(), view.confirmed.get(&arn).copied().unwrap_or(0))).collect()
}

fn owned(view: &View<'_>, rule: &Rule) -> Step {
    let desired = view.desired;
    let difference = difference(rule, desired, &desired_weights(&desired.groups));
    if difference.is_none() {
        let retire = view.recorded.filter(|recorded| **recorded != rule.arn).cloned();
        return Step::Settled { retire };
    }
    let drift_possible = difference.weights || difference.conditions;
    if !drift_possible || is_expected(view, rule) {
        return Step::Modify(difference);
    }
    if view.replaced.is_some_and(|replaced| replaced.is_shown_by(rule)) {
        return Step::Stale;
    }
    let found = found(rule);
    match &desired.overwrite {
        Overwrite::Always => Step::Modify(difference),
        Overwrite::Drift(id) if *id == found.id => Step::Modify(difference),
        _ => Step::Drifted(found),
    }
}

/// Whether a rule that differs from the spec is one that okra left so.
fn is_expected(view: &View<'_>, rule: &Rule) -> bool {
    // Nothing was ever confirmed on this rule: it was just adopted or made.
    if view.recorded != Some(&rule.arn) || view.confirmed.is_empty() {
        return true;
    }
    if view.spec_confirmed {
        return false;
    }
    let found = State::of(rule);
    let confirmed = same_shares(&found.weights, view.confirmed)
        && view.written.is_none_or(|written| same_conditions(&found.conditions, &written.conditions));
    confirmed || view.written.is_some_and(|written| written.is_shown_by(rule))
}

/// What a rule shows, with an id that is the same for the same weights and
/// conditions in whatever order.
fn found(rule: &Rule) -> Found {
    let weights = State::of(rule).weights;
    let mut text = String::new();
    for (arn, weight) in &weights {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{arn} {weight}");
    }
    let mut conditions: Vec<String> =
        rule.conditions.iter().map(|condition| format!("{condition:?}")).collect();
    conditions.sort();
    for condition in conditions {
        let _ = writeln!(text, "{condition}");
    }
    let digest = Sha256::digest(text.as_bytes());
    let id = digest.iter().take(DRIFT_ID_BYTES).fold(String::new(), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    });
    Found { id, weights }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
