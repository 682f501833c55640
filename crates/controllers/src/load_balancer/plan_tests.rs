use okra_aws::{Action, Forward, KeptTransforms, RulePriority, WeightedTargetGroup};
use okra_domain::TargetGroupArn;
use proptest::prelude::*;

use super::*;
use crate::load_balancer::desired::DesiredGroup;

const ELB: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012";

fn arn(name: &str) -> TargetGroupArn {
    format!("{ELB}:targetgroup/{name}/73e2").parse().unwrap()
}

fn rule_arn(id: &str) -> RuleArn {
    format!("{ELB}:listener-rule/app/web/50dc/f2f7/{id}").parse().unwrap()
}

fn weights(entries: &[(&str, u32)]) -> Weights {
    entries.iter().map(|(name, weight)| (arn(name), *weight)).collect()
}

fn hosts(names: &[&str]) -> Vec<Condition> {
    vec![Condition::HostHeader(names.iter().map(|name| (*name).to_owned()).collect())]
}

fn desired(entries: &[(&str, u32)]) -> Desired {
    Desired {
        listener: format!("{ELB}:listener/app/web/50dc/f2f7").parse().unwrap(),
        priority: 10,
        conditions: hosts(&["example.com"]),
        groups: entries
            .iter()
            .map(|(name, weight)| DesiredGroup { name: (*name).to_owned(), arn: arn(name), weight: *weight })
            .collect(),
        stickiness: None,
        tags: Default::default(),
        overwrite: Overwrite::Nothing,
    }
}

fn rule(id: &str, entries: &[(&str, u32)]) -> Rule {
    let target_groups = entries
        .iter()
        .map(|(name, weight)| WeightedTargetGroup { arn: arn(name), weight: Some(*weight) })
        .collect();
    Rule {
        arn: rule_arn(id),
        priority: RulePriority::Number(10),
        conditions: hosts(&["example.com"]),
        actions: vec![Action::Forward(Forward { order: None, target_groups, stickiness: None })],
        transforms: KeptTransforms::default(),
    }
}

/// A config whose rule `r1` was confirmed with a 90, b 10 and is now asked
/// for a 50, b 50.
struct Case {
    desired: Desired,
    rule: Option<Rule>,
    ownership: Ownership,
    adopt: bool,
    foreign: Option<String>,
    recorded: Option<RuleArn>,
    confirmed: Weights,
    spec_confirmed: bool,
    written: Option<State>,
    replaced: Option<State>,
}

impl Case {
    fn step_pending() -> Self {
        Self {
            desired: desired(&[("a", 50), ("b", 50)]),
            rule: Some(rule("r1", &[("a", 90), ("b", 10)])),
            ownership: Ownership::Own,
            adopt: false,
            foreign: None,
            recorded: Some(rule_arn("r1")),
            confirmed: weights(&[("a", 90), ("b", 10)]),
            spec_confirmed: false,
            written: None,
            replaced: None,
        }
    }

    /// A config that nothing was ever done for, and a rule somebody made.
    fn first_seen() -> Self {
        Self {
            ownership: Ownership::Unmarked,
            recorded: None,
            confirmed: Weights::new(),
            ..Self::step_pending()
        }
    }

    fn at_rest() -> Self {
        Self {
            rule: Some(rule("r1", &[("a", 50), ("b", 50)])),
            confirmed: weights(&[("a", 50), ("b", 50)]),
            spec_confirmed: true,
            ..Self::step_pending()
        }
    }

    fn shows(mut self, entries: &[(&str, u32)]) -> Self {
        self.rule = Some(rule("r1", entries));
        self
    }

    fn plan(&self) -> Step {
        plan(&View {
            desired: &self.desired,
            rule: self.rule.as_ref(),
            ownership: self.ownership.clone(),
            adopt: self.adopt,
            foreign: self.foreign.as_deref(),
            recorded: self.recorded.as_ref(),
            confirmed: &self.confirmed,
            spec_confirmed: self.spec_confirmed,
            written: self.written.as_ref(),
            replaced: self.replaced.as_ref(),
        })
    }
}

const WEIGHTS: Difference = Difference { conditions: false, weights: true, stickiness: false };

fn refused(step: &Step) -> Option<Reason> {
    match step {
        Step::Refuse { reason, .. } => Some(*reason),
        _ => None,
    }
}

fn drifted(step: &Step) -> Option<&Found> {
    match step {
        Step::Drifted(found) => Some(found),
        _ => None,
    }
}

#[test]
fn a_missing_rule_is_made() {
    let case = Case { rule: None, ..Case::first_seen() };
    assert_eq!(case.plan(), Step::Create(weights(&[("a", 50), ("b", 50)])));
}

#[test]
fn a_rule_that_vanished_comes_back_with_its_confirmed_weights() {
    let case = Case { rule: None, ..Case::step_pending() };
    assert_eq!(case.plan(), Step::Create(weights(&[("a", 90), ("b", 10)])));

    let mut grown = Case { rule: None, ..Case::step_pending() };
    grown.desired = desired(&[("a", 50), ("b", 25), ("c", 25)]);
    assert_eq!(grown.plan(), Step::Create(weights(&[("a", 90), ("b", 10), ("c", 0)])));

    let mut gone = Case { rule: None, ..Case::step_pending() };
    gone.desired = desired(&[("b", 100)]);
    assert_eq!(gone.plan(), Step::Create(weights(&[("b", 100)])), "a is not asked for any more");

    let mut failed = Case { rule: None, ..Case::step_pending() };
    failed.desired = desired(&[("a", 100), ("b", 0)]);
    failed.desired.overwrite = Overwrite::Always;
    assert_eq!(failed.plan(), Step::Create(weights(&[("a", 100), ("b", 0)])), "a failure does not wait");
}

#[test]
fn h_81_a_rule_is_adopted_only_if_nobody_can_mind() {
    assert_eq!(Case::first_seen().plan(), Step::Adopt, "it does what is desired");

    let mut other = Case::first_seen();
    other.desired.conditions = hosts(&["other.com"]);
    assert_eq!(refused(&other.plan()), Some(Reason::PriorityInUse));
    other.adopt = true;
    assert_eq!(other.plan(), Step::Adopt, "somebody said so");
    other.adopt = false;
    other.recorded = Some(rule_arn("r1"));
    assert_eq!(other.plan(), Step::Adopt, "only its tags were lost");

    let owner = "ns/cell2".to_owned();
    let taken = Case { ownership: Ownership::Other { owner }, adopt: true, ..Case::first_seen() };
    assert_eq!(refused(&taken.plan()), Some(Reason::PriorityInUse), "whatever is said");
}

#[test]
fn a_load_balancer_of_another_controller_is_refused_unless_somebody_said_so() {
    let mut case = Case::step_pending();
    case.foreign = Some("elbv2.k8s.aws/cluster=k1".to_owned());
    assert_eq!(refused(&case.plan()), Some(Reason::ForeignController));
    case.adopt = true;
    assert_eq!(case.plan(), Step::Modify(WEIGHTS));
}

#[test]
fn an_adopted_rule_is_brought_to_the_spec() {
    let case = Case { ownership: Ownership::Own, ..Case::first_seen() };
    assert_eq!(case.plan(), Step::Modify(WEIGHTS));
}

#[test]
fn a_new_spec_replaces_the_weights_that_were_confirmed() {
    assert_eq!(Case::step_pending().plan(), Step::Modify(WEIGHTS));
}

#[test]
fn what_aws_shows_already_is_not_written() {
    assert_eq!(Case::at_rest().plan(), Step::Settled { retire: None });
    let scaled = Case::at_rest().shows(&[("b", 500), ("a", 500)]);
    assert_eq!(scaled.plan(), Step::Settled { retire: None });
    let crashed_after_the_write = Case::step_pending().shows(&[("a", 50), ("b", 50)]);
    assert_eq!(crashed_after_the_write.plan(), Step::Settled { retire: None });
}

#[test]
fn h_85_an_old_rule_is_left_to_delete_once_the_new_one_serves() {
    let moved = Case { recorded: Some(rule_arn("r0")), ..Case::at_rest() };
    assert_eq!(moved.plan(), Step::Settled { retire: Some(rule_arn("r0")) });
}

#[test]
fn weights_of_somebody_else_are_drift() {
    for case in [Case::at_rest(), Case::step_pending()] {
        let case = case.shows(&[("a", 70), ("b", 30)]);
        let step = case.plan();
        let found = drifted(&step).expect("drift");
        assert_eq!(found.weights, weights(&[("a", 70), ("b", 30)]));
    }
    let attached = Case::at_rest().shows(&[("a", 50), ("b", 50), ("c", 0)]);
    assert!(drifted(&attached.plan()).is_some(), "an entry more is drift too");
    let mut redirected = Case::at_rest();
    let rule = redirected.rule.as_mut().unwrap();
    rule.actions = vec![Action::Kept(okra_aws::KeptAction::fixed_response(503))];
    assert!(drifted(&redirected.plan()).is_some(), "no forward at all");
}

#[test]
fn conditions_of_somebody_else_are_drift() {
    let mut case = Case::at_rest();
    case.rule.as_mut().unwrap().conditions = hosts(&["other.com"]);
    assert!(drifted(&case.plan()).is_some());
}

#[test]
fn conditions_changed_in_the_spec_are_written() {
    let mut case = Case::at_rest();
    case.spec_confirmed = false;
    case.desired.conditions = hosts(&["new.example.com"]);
    let conditions = Difference { conditions: true, weights: false, stickiness: false };
    assert_eq!(case.plan(), Step::Modify(conditions));
}

#[test]
fn drift_is_overwritten_by_its_id_or_always() {
    let mut case = Case::at_rest().shows(&[("a", 70), ("b", 30)]);
    let id = drifted(&case.plan()).expect("drift").id.clone();
    case.spec_confirmed = false;
    case.desired.overwrite = Overwrite::Drift("another".to_owned());
    assert!(drifted(&case.plan()).is_some());
    case.desired.overwrite = Overwrite::Drift(id);
    assert_eq!(case.plan(), Step::Modify(WEIGHTS));
    case = case.shows(&[("a", 71), ("b", 29)]);
    assert!(drifted(&case.plan()).is_some(), "the consent was to another state");
    case.desired.overwrite = Overwrite::Always;
    assert_eq!(case.plan(), Step::Modify(WEIGHTS));
}

#[test]
fn a_read_of_what_was_just_replaced_is_not_drift() {
    let mut case = Case::at_rest().shows(&[("a", 90), ("b", 10)]);
    case.replaced = Some(State::of(&rule("r1", &[("a", 90), ("b", 10)])));
    assert_eq!(case.plan(), Step::Stale);
    case.replaced = None;
    assert!(drifted(&case.plan()).is_some(), "5 seconds later it is");
}

#[test]
fn a_write_that_was_not_confirmed_is_okras_own() {
    let mut case = Case::step_pending().shows(&[("a", 80), ("b", 20)]);
    assert!(drifted(&case.plan()).is_some());
    case.written = Some(State::of(&rule("r1", &[("a", 80), ("b", 20)])));
    assert_eq!(case.plan(), Step::Modify(WEIGHTS));
}

#[test]
fn stickiness_alone_is_written_without_asking() {
    let mut case = Case::at_rest();
    case.desired.stickiness = Some(okra_aws::Stickiness { enabled: true, duration_seconds: Some(60) });
    let stickiness = Difference { conditions: false, weights: false, stickiness: true };
    assert_eq!(case.plan(), Step::Modify(stickiness));
}

proptest! {
    #[test]
    fn the_id_of_a_drift_does_not_depend_on_order(weight in 1u32..49) {
        let entries = [("a", 50 + weight), ("b", 50 - weight)];
        let mirrored = [entries[1], entries[0]];
        let first = Case::at_rest().shows(&entries).plan();
        let second = Case::at_rest().shows(&mirrored).plan();
        prop_assert!(drifted(&first).is_some());
        prop_assert_eq!(first, second);
    }

    #[test]
    fn nothing_foreign_is_ever_changed(adopt: bool, spec_confirmed: bool, weight in 0u32..=100) {
        let mut case = Case { adopt, spec_confirmed, ..Case::first_seen() };
        case.ownership = Ownership::Other { owner: "ns/cell2".to_owned() };
        case = case.shows(&[("a", weight), ("b", 100 - weight)]);
        prop_assert_eq!(refused(&case.plan()), Some(Reason::PriorityInUse));
    }
}
