//! Elastic Load Balancing v2, API version 2015-12-01: Application Load
//! Balancers.
//!
//! Faithful in errors, limits and partial updates (`spec/aws.md` 1). What the
//! load balancer behind it cannot do yet is refused with a message that says
//! so, never stored and ignored, with two exceptions: authentication actions
//! are kept and passed as if every user were logged in, and HTTPS listeners are
//! kept without being served (no address, groups `unused`), since the region
//! has no certificates.
//!
//! Reading handlers get the state, writing ones a copy of it that counts only
//! if they succeed.

mod actions;
mod arn;
mod attributes;
mod conditions;
mod detail;
mod faults;
mod listeners;
mod load_balancers;
mod model;
mod paging;
mod rules;
mod tags;
mod target_groups;
mod targets;
mod topology;

use crate::context::Context;
use crate::wire::{Fault, Input, Members};

pub(crate) use arn::dimension;
pub(crate) use detail::detail;
pub(crate) use model::{Elb, Listener, LoadBalancer};
pub(crate) use topology::topology;

/// XML namespace of its answers.
pub(crate) const NAMESPACE: &str = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/";

/// The API version; clients state it in every request.
pub(crate) const VERSION: &str = "2015-12-01";

/// How an action is carried out.
pub(crate) enum Handler {
    Read(fn(&Elb, &Input<'_>, &Context<'_>) -> Result<Members, Fault>),
    Write(fn(&mut Elb, &Input<'_>, &Context<'_>) -> Result<Members, Fault>),
}

/// The handler of an action, if the region offers it.
pub(crate) fn handler(action: &str) -> Option<Handler> {
    use Handler::{Read, Write};
    Some(match action {
        "CreateLoadBalancer" => Write(load_balancers::create),
        "DescribeLoadBalancers" => Read(load_balancers::describe),
        "DeleteLoadBalancer" => Write(load_balancers::delete),
        "DescribeLoadBalancerAttributes" => Read(attributes::describe_load_balancer),
        "ModifyLoadBalancerAttributes" => Write(attributes::modify_load_balancer),
        "CreateListener" => Write(listeners::create),
        "DescribeListeners" => Read(listeners::describe),
        "ModifyListener" => Write(listeners::modify),
        "DeleteListener" => Write(listeners::delete),
        "CreateRule" => Write(rules::create),
        "DescribeRules" => Read(rules::describe),
        "ModifyRule" => Write(rules::modify),
        "DeleteRule" => Write(rules::delete),
        "SetRulePriorities" => Write(rules::set_priorities),
        "CreateTargetGroup" => Write(target_groups::create),
        "DescribeTargetGroups" => Read(target_groups::describe),
        "ModifyTargetGroup" => Write(target_groups::modify),
        "DeleteTargetGroup" => Write(target_groups::delete),
        "DescribeTargetGroupAttributes" => Read(attributes::describe_target_group),
        "ModifyTargetGroupAttributes" => Write(attributes::modify_target_group),
        "RegisterTargets" => Write(targets::register),
        "DeregisterTargets" => Write(targets::deregister),
        "DescribeTargetHealth" => Read(targets::describe_health),
        "DescribeTags" => Read(tags::describe),
        "AddTags" => Write(tags::add),
        "RemoveTags" => Write(tags::remove),
        "DescribeAccountLimits" => Read(limits),
        _ => return None,
    })
}

/// Quotas that the region holds, by AWS's names (`spec/aws.md` 1.12).
pub(crate) mod quota {
    pub(crate) const LOAD_BALANCERS: usize = 50;
    pub(crate) const LISTENERS_PER_LOAD_BALANCER: usize = 50;
    /// Default rules do not count.
    pub(crate) const RULES_PER_LOAD_BALANCER: usize = 100;
    pub(crate) const TARGET_GROUPS: usize = 3000;
    pub(crate) const TARGETS_PER_TARGET_GROUP: usize = 1000;
    pub(crate) const TARGETS_PER_LOAD_BALANCER: usize = 1000;
    pub(crate) const TARGET_GROUPS_PER_LOAD_BALANCER: usize = 100;
    pub(crate) const TARGET_GROUPS_PER_ACTION: usize = 5;
    pub(crate) const ACTIONS_PER_RULE: usize = 5;
    pub(crate) const CONDITION_VALUES_PER_RULE: usize = 5;
    pub(crate) const CONDITION_WILDCARDS_PER_RULE: usize = 5;
    pub(crate) const VALUES_PER_CONDITION: usize = 3;
    pub(crate) const TAGS_PER_RESOURCE: usize = 50;
    /// Of one DescribeTags, and of one DescribeLoadBalancers.
    pub(crate) const ARNS_PER_CALL: usize = 20;
}

fn limits(_: &Elb, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let limits = [
        ("application-load-balancers", quota::LOAD_BALANCERS),
        ("listeners-per-application-load-balancer", quota::LISTENERS_PER_LOAD_BALANCER),
        ("rules-per-application-load-balancer", quota::RULES_PER_LOAD_BALANCER),
        ("target-groups", quota::TARGET_GROUPS),
        ("targets-per-application-load-balancer", quota::TARGETS_PER_LOAD_BALANCER),
        ("target-groups-per-application-load-balancer", quota::TARGET_GROUPS_PER_LOAD_BALANCER),
        ("target-groups-per-action-on-application-load-balancer", quota::TARGET_GROUPS_PER_ACTION),
        ("condition-values-per-alb-rule", quota::CONDITION_VALUES_PER_RULE),
        ("condition-wildcards-per-alb-rule", quota::CONDITION_WILDCARDS_PER_RULE),
    ];
    let (limits, next) = paging::page(&limits, input)?;
    let limit =
        |(name, most): &&(&str, usize)| Members::new().with("Name", *name).with("Max", most.to_string());
    let limits: Vec<Members> = limits.iter().map(limit).collect();
    Ok(Members::new().with("Limits", limits).maybe("NextMarker", next))
}
