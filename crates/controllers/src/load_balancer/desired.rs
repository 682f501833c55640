//! What a config asks for, checked before any call (`spec/okra.md` 3.3.2-1).

use std::collections::{BTreeMap, BTreeSet};

use okra_api::alb_config::AWSApplicationLoadBalancerConfigSpec;
use okra_api::load_balancer::{ListenerRule, OVERWRITE_ALWAYS, WeightedTargetGroup};
use okra_aws::{Condition, Stickiness};
use okra_domain::{ListenerArn, LoadBalancerKind, TargetGroupArn};
use thiserror::Error;

/// Target groups of one forward action on an ALB; a quota that AWS does not raise.
pub(crate) const TARGET_GROUPS_MAX: usize = 5;
/// Priorities of rules on one listener.
const PRIORITY_MAX: i64 = 50_000;
/// Values of all conditions of a rule, and of one of them.
const RULE_VALUES_MAX: usize = 5;
const CONDITION_VALUES_MAX: usize = 3;
/// Characters of a value, and of a header's name.
const VALUE_CHARACTERS_MAX: usize = 128;
const HEADER_NAME_CHARACTERS_MAX: usize = 40;
/// The largest weight in a spec: that of `weightTotal: 1000`.
const WEIGHT_MAX: i64 = 1000;
/// The largest weight that ELBv2 takes. A lone 1000 is sent as this.
pub(crate) const AWS_WEIGHT_MAX: u32 = 999;

/// Why a spec cannot be carried out.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub(crate) enum InvalidSpec {
    #[error("spec.listenerARN: {0}")]
    Listener(#[source] okra_domain::ArnError),
    #[error("spec.listenerARN {0} is not a listener of an Application Load Balancer")]
    NotApplication(ListenerArn),
    #[error("spec.listener.rule.priority is {0}, not 1 to {PRIORITY_MAX}")]
    Priority(i64),
    #[error(
        "the rule has no condition: give hosts, pathPatterns, methods, sourceIPs, headers or queryStrings"
    )]
    NoCondition,
    #[error("the conditions of the rule have {0} values, at most {RULE_VALUES_MAX}")]
    TooManyValues(usize),
    #[error("{field} has {count} values, at most {CONDITION_VALUES_MAX}")]
    TooManyConditionValues { field: String, count: usize },
    #[error("{field} has a value of {length} characters, at most {VALUE_CHARACTERS_MAX}")]
    ValueTooLong { field: String, length: usize },
    #[error("{field} has an empty value")]
    EmptyValue { field: String },
    #[error("header name {name:?} has {length} characters, not 1 to {HEADER_NAME_CHARACTERS_MAX}")]
    HeaderName { name: String, length: usize },
    #[error("a condition on the header Host is written as hosts")]
    HostHeader,
    #[error("there is no target group")]
    NoTargetGroup,
    #[error("there are {0} target groups, at most {TARGET_GROUPS_MAX} in one action")]
    TooManyTargetGroups(usize),
    #[error("target group {name:?}: {source}")]
    TargetGroup { name: String, source: okra_domain::ArnError },
    #[error("target group {arn} is in {found}, its listener in {expected}")]
    Region { arn: TargetGroupArn, found: String, expected: String },
    #[error("target group {name:?} has weight {weight}, not 0 to {WEIGHT_MAX}")]
    Weight { name: String, weight: i64 },
    #[error("all weights are 0")]
    AllZero,
    #[error("stickiness needs durationSeconds")]
    StickinessDuration,
}

/// A target group with the weight it shall have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DesiredGroup {
    /// Name in the spec.
    pub(crate) name: String,
    pub(crate) arn: TargetGroupArn,
    pub(crate) weight: u32,
}

/// `spec.overwrite`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Overwrite {
    Nothing,
    Drift(String),
    Always,
}

/// A spec that can be carried out.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Desired {
    pub(crate) listener: ListenerArn,
    pub(crate) priority: u32,
    pub(crate) conditions: Vec<Condition>,
    /// In the order of the spec, one entry an ARN.
    pub(crate) groups: Vec<DesiredGroup>,
    /// `None` keeps what the rule has.
    pub(crate) stickiness: Option<Stickiness>,
    /// The user's own tags of the rule.
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) overwrite: Overwrite,
}

impl Desired {
    /// Checks a spec.
    pub(crate) fn of(spec: &AWSApplicationLoadBalancerConfigSpec) -> Result<Self, InvalidSpec> {
        let listener: ListenerArn = spec.listener_arn.parse().map_err(InvalidSpec::Listener)?;
        if listener.kind() != LoadBalancerKind::Application {
            return Err(InvalidSpec::NotApplication(listener));
        }
        let rule = spec.rule().ok_or(InvalidSpec::NoCondition)?;
        let groups = desired_groups(spec.target_groups(), listener.region())?;
        Ok(Self {
            priority: priority_of(rule)?,
            conditions: conditions_of(rule)?,
            groups,
            stickiness: stickiness_of(rule)?,
            tags: rule.tags.clone(),
            overwrite: match spec.overwrite.as_deref() {
                None | Some("") => Overwrite::Nothing,
                Some(OVERWRITE_ALWAYS) => Overwrite::Always,
                Some(id) => Overwrite::Drift(id.to_owned()),
            },
            listener,
        })
    }
}

/// Listener and priority alone: what two objects may not share.
pub(crate) fn place_of(spec: &AWSApplicationLoadBalancerConfigSpec) -> Option<(&str, i64)> {
    Some((spec.listener_arn.as_str(), spec.rule()?.effective_priority()))
}

fn priority_of(rule: &ListenerRule) -> Result<u32, InvalidSpec> {
    let priority = rule.effective_priority();
    u32::try_from(priority)
        .ok()
        .filter(|_| (1..=PRIORITY_MAX).contains(&priority))
        .ok_or(InvalidSpec::Priority(priority))
}

fn desired_groups(groups: &[WeightedTargetGroup], region: &str) -> Result<Vec<DesiredGroup>, InvalidSpec> {
    let mut desired: Vec<DesiredGroup> = Vec::new();
    for group in groups {
        let name = if group.name.is_empty() { &group.arn } else { &group.name };
        let arn: TargetGroupArn =
            group.arn.parse().map_err(|source| InvalidSpec::TargetGroup { name: name.clone(), source })?;
        if arn.region() != region {
            let found = arn.region().to_owned();
            return Err(InvalidSpec::Region { arn, found, expected: region.to_owned() });
        }
        let weight = group.weight.unwrap_or(0);
        let checked = u32::try_from(weight).ok().filter(|_| weight <= WEIGHT_MAX);
        let weight = checked.ok_or(InvalidSpec::Weight { name: name.clone(), weight })?;
        match desired.iter_mut().find(|other| other.arn == arn) {
            Some(other) => other.weight += weight,
            None => desired.push(DesiredGroup { name: name.clone(), arn, weight }),
        }
    }
    match desired.len() {
        0 => Err(InvalidSpec::NoTargetGroup),
        count if count > TARGET_GROUPS_MAX => Err(InvalidSpec::TooManyTargetGroups(count)),
        _ if desired.iter().all(|group| group.weight == 0) => Err(InvalidSpec::AllZero),
        _ => Ok(desired),
    }
}

fn stickiness_of(rule: &ListenerRule) -> Result<Option<Stickiness>, InvalidSpec> {
    let Some(stickiness) = rule.forward.as_ref().and_then(|forward| forward.stickiness.as_ref()) else {
        return Ok(None);
    };
    let enabled = stickiness.enabled.unwrap_or(false);
    let duration_seconds = stickiness.duration_seconds.and_then(|seconds| u32::try_from(seconds).ok());
    if enabled && duration_seconds.is_none() {
        return Err(InvalidSpec::StickinessDuration);
    }
    Ok(Some(Stickiness { enabled, duration_seconds }))
}

/// Conditions in the order in which the Go program wrote them.
fn conditions_of(rule: &ListenerRule) -> Result<Vec<Condition>, InvalidSpec> {
    let mut conditions = Vec::new();
    let mut values = 0;
    let mut add = |field: &str, found: &[String], condition: fn(Vec<String>) -> Condition| {
        let distinct = checked_values(field, found)?;
        values += distinct.len();
        if !distinct.is_empty() {
            conditions.push(condition(distinct));
        }
        Ok(())
    };
    add("hosts", &rule.hosts, Condition::HostHeader)?;
    add("pathPatterns", &rule.path_patterns, Condition::PathPattern)?;
    let methods: Vec<String> = rule.methods.iter().map(|method| method.to_uppercase()).collect();
    add("methods", &methods, Condition::HttpRequestMethod)?;
    add("sourceIPs", &rule.source_ips, Condition::SourceIp)?;
    for (name, found) in &rule.headers {
        let distinct = checked_header(name, found)?;
        values += distinct.len();
        if !distinct.is_empty() {
            conditions.push(Condition::HttpHeader { name: name.clone(), values: distinct });
        }
    }
    if !rule.query_strings.is_empty() {
        let found: Vec<String> = rule.query_strings.values().cloned().collect();
        checked_values("queryStrings", &found)?;
        values += found.len();
        let pairs = rule.query_strings.iter();
        let pair = |(key, value): (&String, &String)| {
            (Some(key.clone()).filter(|key| !key.is_empty()), value.clone())
        };
        conditions.push(Condition::QueryString(pairs.map(pair).collect()));
    }
    match values {
        0 => Err(InvalidSpec::NoCondition),
        count if count > RULE_VALUES_MAX => Err(InvalidSpec::TooManyValues(count)),
        _ => Ok(conditions),
    }
}

fn checked_header(name: &str, values: &[String]) -> Result<Vec<String>, InvalidSpec> {
    let length = name.chars().count();
    if length == 0 || length > HEADER_NAME_CHARACTERS_MAX {
        return Err(InvalidSpec::HeaderName { name: name.to_owned(), length });
    }
    if name.eq_ignore_ascii_case("host") {
        return Err(InvalidSpec::HostHeader);
    }
    checked_values(&format!("headers.{name}"), values)
}

/// Values without repetition, in order, if each is legal.
fn checked_values(field: &str, values: &[String]) -> Result<Vec<String>, InvalidSpec> {
    let mut seen = BTreeSet::new();
    let mut distinct = Vec::new();
    for value in values {
        let length = value.chars().count();
        if length == 0 {
            return Err(InvalidSpec::EmptyValue { field: field.to_owned() });
        }
        if length > VALUE_CHARACTERS_MAX {
            return Err(InvalidSpec::ValueTooLong { field: field.to_owned(), length });
        }
        if seen.insert(value.clone()) {
            distinct.push(value.clone());
        }
    }
    if distinct.len() > CONDITION_VALUES_MAX {
        let (field, count) = (field.to_owned(), distinct.len());
        return Err(InvalidSpec::TooManyConditionValues { field, count });
    }
    Ok(distinct)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ELB: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012";

    fn group(name: &str, weight: i64) -> Value {
        json!({"name": name, "arn": format!("{ELB}:targetgroup/{name}/73e2"), "weight": weight})
    }

    fn desired(rule: Value, groups: &[Value]) -> Result<Desired, InvalidSpec> {
        let mut rule = rule;
        rule["forward"] = json!({"targetGroups": groups});
        of(&json!({"listenerARN": format!("{ELB}:listener/app/web/50dc/f2f7"), "listener": {"rule": rule}}))
    }

    fn of(spec: &Value) -> Result<Desired, InvalidSpec> {
        Desired::of(&serde_json::from_value(spec.clone()).expect("a spec"))
    }

    fn with_rule(rule: Value) -> Result<Desired, InvalidSpec> {
        desired(rule, &[group("blue", 100)])
    }

    #[test]
    fn a_whole_spec_becomes_what_is_desired() {
        let rule = json!({
            "priority": 10, "hosts": ["example.com"], "methods": ["get", "GET"],
            "headers": {"X-Env": ["a"]}, "queryStrings": {"v": "2"},
        });
        let desired = desired(rule, &[group("blue", 80), group("green", 20)]).unwrap();
        assert_eq!(desired.priority, 10);
        assert_eq!(
            desired.conditions,
            [
                Condition::HostHeader(vec!["example.com".to_owned()]),
                Condition::HttpRequestMethod(vec!["GET".to_owned()]),
                Condition::HttpHeader { name: "X-Env".to_owned(), values: vec!["a".to_owned()] },
                Condition::QueryString(vec![(Some("v".to_owned()), "2".to_owned())]),
            ]
        );
        let weights: Vec<_> =
            desired.groups.iter().map(|group| (group.name.as_str(), group.weight)).collect();
        assert_eq!(weights, [("blue", 80), ("green", 20)]);
        assert_eq!((desired.stickiness, desired.overwrite), (None, Overwrite::Nothing));
    }

    #[test]
    fn the_flat_spelling_means_the_same() {
        let desired = of(&json!({
            "listenerARN": format!("{ELB}:listener/app/web/50dc/f2f7"),
            "listener": {"rule": {"hosts": ["example.com"]}},
            "forwardTargetGroups": [group("blue", 1)],
            "overwrite": "Always",
        }))
        .unwrap();
        assert_eq!((desired.priority, desired.groups.len()), (100, 1));
        assert_eq!(desired.overwrite, Overwrite::Always);
    }

    #[test]
    fn duplicate_arns_are_merged_by_adding_their_weights() {
        let mut twin = group("blue", 30);
        twin["name"] = json!("twin");
        let hosts = json!({"hosts": ["example.com"]});
        let desired = desired(hosts, &[group("blue", 20), twin, group("green", 50)]).unwrap();
        let weights: Vec<_> =
            desired.groups.iter().map(|group| (group.name.as_str(), group.weight)).collect();
        assert_eq!(weights, [("blue", 50), ("green", 50)]);
    }

    #[test]
    fn h_84_every_limit_is_checked_before_aws_is_asked() {
        let hosts = json!({"hosts": ["example.com"]});
        let long = "x".repeat(129);
        let six: Vec<Value> = (0..6).map(|n| group(&format!("g{n}"), 1)).collect();
        let message = |outcome: Result<Desired, InvalidSpec>| outcome.unwrap_err().to_string();
        let cases = [
            (with_rule(json!({})), "the rule has no condition"),
            (with_rule(json!({"hosts": ["a.b"], "priority": 50_001})), "priority is 50001, not 1 to 50000"),
            (with_rule(json!({"hosts": ["a.b"], "priority": -1})), "priority is -1"),
            (with_rule(json!({"hosts": ["a.b", "c.d", "e.f", "g.h"]})), "hosts has 4 values, at most 3"),
            (
                with_rule(json!({"hosts": ["a.b", "c.d", "e.f"], "methods": ["A", "B", "C"]})),
                "have 6 values, at most 5",
            ),
            (with_rule(json!({"pathPatterns": [long]})), "a value of 129 characters, at most 128"),
            (with_rule(json!({"pathPatterns": [""]})), "pathPatterns has an empty value"),
            (with_rule(json!({"headers": {"host": ["a"]}})), "written as hosts"),
            (with_rule(json!({"headers": {"x".repeat(41): ["a"]}})), "has 41 characters, not 1 to 40"),
            (desired(hosts.clone(), &[]), "there is no target group"),
            (desired(hosts.clone(), &six), "there are 6 target groups, at most 5"),
            (desired(hosts.clone(), &[group("blue", 0)]), "all weights are 0"),
            (desired(hosts.clone(), &[group("blue", 1001)]), "has weight 1001, not 0 to 1000"),
            (desired(hosts.clone(), &[group("blue", -1)]), "has weight -1"),
            (desired(hosts.clone(), &[json!({"name": "x", "arn": "y", "weight": 1})]), "target group \"x\""),
            (
                desired(
                    hosts,
                    &[
                        json!({"arn": format!("{}:targetgroup/a/b", ELB.replace("eu-west-1", "us-east-1")), "weight": 1}),
                    ],
                ),
                "is in us-east-1, its listener in eu-west-1",
            ),
            (of(&json!({"listenerARN": "arn:aws:s3:::b"})), "spec.listenerARN"),
            (
                of(
                    &json!({"listenerARN": format!("{ELB}:listener/net/web/50dc/f2f7"), "listener": {"rule": {}}}),
                ),
                "is not a listener of an Application Load Balancer",
            ),
        ];
        for (outcome, expected) in cases {
            let message = message(outcome);
            assert!(message.contains(expected), "{message:?} lacks {expected:?}");
        }
    }
}
