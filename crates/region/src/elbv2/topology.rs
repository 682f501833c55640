//! What the data plane shall serve, taken from the state.

use std::time::Duration;

use super::actions::{ActionKind, FixedResponse, Forward, Redirect};
use super::attributes::{
    ALGORITHM, COOKIE_DURATION, DEREGISTRATION_DELAY, STICKINESS, load_balancer_attribute,
    target_group_attribute,
};
use super::model::{Elb, Listener, Rule, TargetGroup};
use crate::dataplane;

/// The whole picture. HTTPS listeners are left out: there is nothing to serve
/// them with.
pub(crate) fn topology(elb: &Elb) -> dataplane::Topology {
    let load_balancer = |lb: &super::LoadBalancer| dataplane::LoadBalancer {
        arn: lb.arn.clone(),
        idle_timeout: seconds(load_balancer_attribute(lb, "idle_timeout.timeout_seconds")),
        listeners: elb.listeners_of(&lb.arn).into_iter().filter_map(|one| listener(elb, one)).collect(),
    };
    dataplane::Topology {
        load_balancers: elb.load_balancers.values().map(load_balancer).collect(),
        target_groups: elb.target_groups.values().map(target_group).collect(),
    }
}

/// The value of an attribute that was checked to be a number.
fn seconds(value: &str) -> Duration {
    Duration::from_secs(value.parse().unwrap_or_default())
}

fn listener(elb: &Elb, listener: &Listener) -> Option<dataplane::Listener> {
    let rule = |rule: &&Rule| {
        Some(dataplane::Rule {
            priority: rule.priority?,
            conditions: rule.conditions.iter().map(|condition| condition.for_data_plane()).collect(),
            action: action(rule),
        })
    };
    Some(dataplane::Listener {
        arn: listener.arn.clone(),
        address: listener.address?,
        rules: elb.rules_of(&listener.arn).iter().filter_map(rule).collect(),
        default_action: action(elb.default_rule(&listener.arn)),
    })
}

/// The routing action, which is the last one.
fn action(rule: &Rule) -> dataplane::Action {
    let routing = rule.actions.iter().rfind(|action| action.is_routing());
    match routing.map(|action| &action.kind) {
        Some(ActionKind::Forward(forward)) => dataplane::Action::Forward(self::forward(forward)),
        Some(ActionKind::Redirect(redirect)) => dataplane::Action::Redirect(self::redirect(redirect)),
        Some(ActionKind::FixedResponse(fixed)) => dataplane::Action::FixedResponse(self::fixed(fixed)),
        Some(ActionKind::Authenticate { .. }) | None => {
            unreachable!("a rule without routing action is refused when it is written")
        }
    }
}

fn forward(forward: &Forward) -> dataplane::Forward {
    let group = |group: &super::actions::WeightedGroup| dataplane::WeightedGroup {
        arn: group.arn.clone(),
        weight: group.weight,
    };
    let stickiness = forward.stickiness_seconds.filter(|_| forward.stickiness_enabled);
    dataplane::Forward {
        groups: forward.groups.iter().map(group).collect(),
        stickiness: stickiness.map(|seconds| Duration::from_secs(seconds.into())),
    }
}

fn redirect(redirect: &Redirect) -> dataplane::Redirect {
    dataplane::Redirect {
        status: if redirect.permanent { 301 } else { 302 },
        protocol: redirect.protocol.clone(),
        host: redirect.host.clone(),
        port: redirect.port.clone(),
        path: redirect.path.clone(),
        query: redirect.query.clone(),
    }
}

fn fixed(fixed: &FixedResponse) -> dataplane::FixedResponse {
    dataplane::FixedResponse {
        status: fixed.status,
        content_type: fixed.content_type.clone(),
        body: fixed.body.clone(),
    }
}

fn target_group(group: &TargetGroup) -> dataplane::TargetGroup {
    let check = &group.health_check;
    let algorithm = match target_group_attribute(group, ALGORITHM) {
        "least_outstanding_requests" => dataplane::Algorithm::LeastOutstandingRequests,
        _ => dataplane::Algorithm::RoundRobin,
    };
    let sticky = target_group_attribute(group, STICKINESS) == "true";
    dataplane::TargetGroup {
        arn: group.arn.clone(),
        protocol: dataplane::Protocol::Http,
        health_check: dataplane::HealthCheck {
            enabled: true,
            port: check.port.parse().ok(),
            path: check.path.clone(),
            interval: Duration::from_secs(check.interval_seconds.into()),
            timeout: Duration::from_secs(check.timeout_seconds.into()),
            healthy_threshold: check.healthy_threshold,
            unhealthy_threshold: check.unhealthy_threshold,
            matcher: check.matcher.parse().unwrap_or_default(),
        },
        deregistration_delay: seconds(target_group_attribute(group, DEREGISTRATION_DELAY)),
        algorithm,
        lb_cookie: sticky.then(|| seconds(target_group_attribute(group, COOKIE_DURATION))),
        targets: group
            .targets
            .iter()
            .map(|target| dataplane::Target { ip: target.ip, port: target.port })
            .collect(),
    }
}
