//! Whether a rule says what a config asks for, in sets and shares
//! (`spec/okra.md` 3.3.2-5, H-82).

use std::collections::{BTreeMap, BTreeSet};

use okra_aws::{Action, Condition, Forward, Rule, Stickiness};
use okra_domain::TargetGroupArn;

use super::desired::{Desired, DesiredGroup};

/// Weights by target group.
pub(crate) type Weights = BTreeMap<TargetGroupArn, u32>;

/// Weights that a config asks for.
pub(crate) fn desired_weights(groups: &[DesiredGroup]) -> Weights {
    groups.iter().map(|group| (group.arn.clone(), group.weight)).collect()
}

/// Weights that AWS reports; one without a weight counts as 1, AWS's default.
pub(crate) fn reported_weights(forward: &Forward) -> Weights {
    let mut weights = Weights::new();
    for group in &forward.target_groups {
        *weights.entry(group.arn.clone()).or_default() += group.weight.unwrap_or(1);
    }
    weights
}

/// Whether two sets of weights divide traffic in the same way. For a single
/// target group the weight says nothing: AWS echoes 1, or none.
pub(crate) fn same_shares(left: &Weights, right: &Weights) -> bool {
    if !left.keys().eq(right.keys()) {
        return false;
    }
    if left.len() == 1 {
        return true;
    }
    let sum = |weights: &Weights| weights.values().map(|weight| u64::from(*weight)).sum::<u64>();
    let (left_sum, right_sum) = (sum(left), sum(right));
    left.values()
        .zip(right.values())
        .all(|(left, right)| u64::from(*left) * right_sum == u64::from(*right) * left_sum)
}

/// A condition in a form in which equal ones are equal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Normal {
    field: &'static str,
    header: String,
    values: BTreeSet<(Option<String>, String)>,
}

/// `None` for a kept condition, which has no form of ours.
fn normal(condition: &Condition) -> Option<Normal> {
    let plain = |values: &[String]| values.iter().map(|value| (None, value.clone())).collect();
    let lower = |values: &[String]| values.iter().map(|value| (None, value.to_lowercase())).collect();
    let (field, header, values) = match condition {
        Condition::HostHeader(values) => ("host-header", String::new(), lower(values)),
        Condition::PathPattern(values) => ("path-pattern", String::new(), plain(values)),
        Condition::HttpRequestMethod(values) => ("http-request-method", String::new(), plain(values)),
        Condition::SourceIp(values) => ("source-ip", String::new(), plain(values)),
        Condition::HttpHeader { name, values } => ("http-header", name.to_lowercase(), plain(values)),
        Condition::QueryString(pairs) => ("query-string", String::new(), pairs.iter().cloned().collect()),
        Condition::Kept(_) => return None,
    };
    Some(Normal { field, header, values })
}

fn normals(conditions: &[Condition]) -> BTreeSet<Normal> {
    conditions.iter().filter_map(normal).collect()
}

/// Whether conditions of ours are the same; those that okra cannot write are
/// left aside, since a write carries them along.
pub(crate) fn same_conditions(left: &[Condition], right: &[Condition]) -> bool {
    normals(left) == normals(right)
}

/// Whether a rule matches exactly what is desired and nothing besides: what a
/// rule must do to be adopted without a word.
pub(crate) fn exactly_conditions(rule: &[Condition], desired: &[Condition]) -> bool {
    let kept = rule.iter().any(|condition| matches!(condition, Condition::Kept(_)));
    !kept && same_conditions(rule, desired)
}

/// The conditions to write: those desired, and those of the rule that okra
/// cannot write itself.
pub(crate) fn conditions_to_write(rule: &Rule, desired: &[Condition]) -> Vec<Condition> {
    let kept = rule.conditions.iter().filter(|condition| matches!(condition, Condition::Kept(_)));
    desired.iter().chain(kept).cloned().collect()
}

fn same_stickiness(reported: Option<Stickiness>, desired: Option<Stickiness>) -> bool {
    let Some(desired) = desired else { return true };
    let off = Stickiness { enabled: false, duration_seconds: None };
    let reported = reported.unwrap_or(off);
    reported.enabled == desired.enabled
        && (!desired.enabled || reported.duration_seconds == desired.duration_seconds)
}

/// What about a rule differs from what is desired.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Difference {
    pub(crate) conditions: bool,
    pub(crate) weights: bool,
    pub(crate) stickiness: bool,
}

impl Difference {
    pub(crate) fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// Compares a rule with a config, against these weights.
pub(crate) fn difference(rule: &Rule, desired: &Desired, weights: &Weights) -> Difference {
    let forward = rule.forward();
    Difference {
        conditions: !same_conditions(&rule.conditions, &desired.conditions),
        weights: forward.is_none_or(|forward| !same_shares(&reported_weights(forward), weights)),
        stickiness: !same_stickiness(forward.and_then(|forward| forward.stickiness), desired.stickiness),
    }
}

/// The actions of a rule with another forward: what stands before it stays,
/// in its order; a redirect or fixed response gives way.
pub(crate) fn actions_with(rule: &[Action], mut forward: Forward) -> Vec<Action> {
    let routing = ["redirect", "fixed-response"];
    let mut actions: Vec<Action> = Vec::new();
    for action in rule {
        match action {
            Action::Forward(before) => {
                forward.order = before.order;
                forward.stickiness = forward.stickiness.or(before.stickiness);
            }
            Action::Kept(kept) if routing.contains(&kept.kind()) => forward.order = kept.order(),
            Action::Kept(_) => actions.push(action.clone()),
        }
    }
    // With a single action AWS reports an order that it does not need.
    actions.push(Action::Forward(forward));
    actions
}

#[cfg(test)]
mod tests {
    use okra_aws::{KeptAction, KeptCondition, WeightedTargetGroup};

    use super::*;

    fn arn(name: &str) -> TargetGroupArn {
        format!("arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/{name}/73e2")
            .parse()
            .unwrap()
    }

    fn weights(entries: &[(&str, u32)]) -> Weights {
        entries.iter().map(|(name, weight)| (arn(name), *weight)).collect()
    }

    #[test]
    fn weights_are_compared_as_shares_of_their_sum() {
        type Entries = &'static [(&'static str, u32)];
        let cases: [(Entries, Entries, bool); 8] = [
            (&[("a", 90), ("b", 10)], &[("b", 10), ("a", 90)], true),
            (&[("a", 90), ("b", 10)], &[("a", 900), ("b", 100)], true),
            (&[("a", 999), ("b", 0)], &[("a", 100), ("b", 0)], true),
            (&[("a", 90), ("b", 10)], &[("a", 91), ("b", 9)], false),
            (&[("a", 100), ("b", 0)], &[("a", 100)], false),
            (&[("a", 1)], &[("a", 100)], true),
            (&[("a", 1)], &[("b", 1)], false),
            (&[("a", 33), ("b", 33), ("c", 34)], &[("a", 1), ("b", 1), ("c", 1)], false),
        ];
        for (left, right, same) in cases {
            assert_eq!(same_shares(&weights(left), &weights(right)), same, "{left:?} {right:?}");
            assert_eq!(same_shares(&weights(right), &weights(left)), same, "{right:?} {left:?}");
        }
    }

    #[test]
    fn h_82_conditions_are_compared_as_sets() {
        let host = |values: &[&str]| Condition::HostHeader(values.iter().map(|v| (*v).to_owned()).collect());
        let path = |values: &[&str]| Condition::PathPattern(values.iter().map(|v| (*v).to_owned()).collect());
        let header =
            |name: &str| Condition::HttpHeader { name: name.to_owned(), values: vec!["a".to_owned()] };
        let query = |pairs: &[(&str, &str)]| {
            Condition::QueryString(
                pairs.iter().map(|(key, value)| (Some((*key).to_owned()), (*value).to_owned())).collect(),
            )
        };
        let cases = [
            (vec![host(&["a.com", "b.com"])], vec![host(&["B.com", "A.com"])], true),
            (vec![path(&["/a"])], vec![path(&["/A"])], false),
            (vec![header("X-A"), header("X-B")], vec![header("x-b"), header("x-a")], true),
            (vec![query(&[("a", "1"), ("b", "2")])], vec![query(&[("b", "2"), ("a", "1")])], true),
            (vec![query(&[("a", "1")])], vec![query(&[("a", "2")])], false),
            (vec![host(&["a.com"])], vec![host(&["a.com"]), path(&["/a"])], false),
            (vec![host(&["a.com"])], vec![path(&["a.com"])], false),
        ];
        for (left, right, same) in cases {
            assert_eq!(same_conditions(&left, &right), same, "{left:?} {right:?}");
        }
    }

    #[test]
    fn a_rule_with_more_than_okra_can_say_is_not_adopted_without_a_word() {
        let host = Condition::HostHeader(vec!["a.com".to_owned()]);
        let kept = Condition::Kept(KeptCondition::host_regex(["^a$".to_owned()]));
        let desired = [host.clone()];
        assert!(exactly_conditions(&desired, &desired));
        assert!(!exactly_conditions(&[host, kept], &desired));
    }

    #[test]
    fn h_83_authentication_order_and_stickiness_survive() {
        let oidc = Action::Kept(KeptAction::authenticate_oidc(1, "https://login.example.com", "okra"));
        let sticky = Some(Stickiness { enabled: true, duration_seconds: Some(300) });
        let group = |name: &str, weight| WeightedTargetGroup { arn: arn(name), weight: Some(weight) };
        let before = Forward { order: Some(2), target_groups: vec![group("a", 100)], stickiness: sticky };
        let new =
            Forward { order: None, target_groups: vec![group("a", 50), group("b", 50)], stickiness: None };
        let actions = actions_with(&[oidc.clone(), Action::Forward(before)], new.clone());
        let expected = Forward { order: Some(2), stickiness: sticky, ..new.clone() };
        assert_eq!(actions, [oidc, Action::Forward(expected)]);

        let fixed = Action::Kept(KeptAction::fixed_response(503));
        assert_eq!(actions_with(&[fixed], new.clone()), [Action::Forward(new)]);
    }
}
