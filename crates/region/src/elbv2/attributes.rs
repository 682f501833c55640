//! Attributes of load balancers and target groups (`spec/aws.md` 1.8).

use std::collections::BTreeMap;

use super::model::{Elb, LoadBalancer, TargetGroup};
use crate::context::Context;
use crate::wire::{Fault, Input, Members};

/// Most attributes of one Modify call.
const MOST_ATTRIBUTES: usize = 20;

/// What an attribute may be. Those that would change how requests travel, and
/// that the data plane does not know, may only be what it does anyway; those
/// about logs, zones and DNS are kept and have no effect on loopback.
enum Domain {
    Boolean,
    Number(u32, u32),
    OneOf(&'static [&'static str]),
    Text,
}

struct Attribute {
    key: &'static str,
    default: &'static str,
    domain: Domain,
}

const fn attribute(key: &'static str, default: &'static str, domain: Domain) -> Attribute {
    Attribute { key, default, domain }
}

use Domain::{Boolean, Number, OneOf, Text};

/// Attributes of an Application Load Balancer.
const LOAD_BALANCER: &[Attribute] = &[
    attribute("access_logs.s3.bucket", "", Text),
    attribute("access_logs.s3.enabled", "false", Boolean),
    attribute("access_logs.s3.prefix", "", Text),
    attribute("client_keep_alive.seconds", "3600", Number(60, 604_800)),
    attribute("connection_logs.s3.bucket", "", Text),
    attribute("connection_logs.s3.enabled", "false", Boolean),
    attribute("connection_logs.s3.prefix", "", Text),
    attribute("deletion_protection.enabled", "false", Boolean),
    attribute("idle_timeout.timeout_seconds", "60", Number(1, 4000)),
    attribute("load_balancing.cross_zone.enabled", "true", OneOf(&["true"])),
    attribute(
        "routing.http.desync_mitigation_mode",
        "defensive",
        OneOf(&["monitor", "defensive", "strictest"]),
    ),
    attribute("routing.http.drop_invalid_header_fields.enabled", "false", Boolean),
    attribute("routing.http.preserve_host_header.enabled", "false", Boolean),
    attribute("routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false", Boolean),
    attribute("routing.http.xff_client_port.enabled", "false", OneOf(&["false"])),
    attribute("routing.http.xff_header_processing.mode", "append", OneOf(&["append"])),
    attribute("routing.http2.enabled", "true", Boolean),
    attribute("waf.fail_open.enabled", "false", Boolean),
    attribute("zonal_shift.config.enabled", "false", Boolean),
];

/// Attributes of a target group of an Application Load Balancer.
const TARGET_GROUP: &[Attribute] = &[
    attribute(DEREGISTRATION_DELAY, "300", Number(0, 3600)),
    attribute("load_balancing.algorithm.anomaly_mitigation", "off", OneOf(&["off"])),
    attribute(ALGORITHM, "round_robin", OneOf(&["round_robin", "least_outstanding_requests"])),
    attribute(
        "load_balancing.cross_zone.enabled",
        "use_load_balancer_configuration",
        OneOf(&["true", "use_load_balancer_configuration"]),
    ),
    attribute("slow_start.duration_seconds", "0", OneOf(&["0"])),
    attribute("stickiness.app_cookie.cookie_name", "", Text),
    attribute("stickiness.app_cookie.duration_seconds", "86400", Number(1, 604_800)),
    attribute(STICKINESS, "false", Boolean),
    attribute(COOKIE_DURATION, "86400", Number(1, 604_800)),
    attribute("stickiness.type", "lb_cookie", OneOf(&["lb_cookie"])),
    attribute("target_group_health.dns_failover.minimum_healthy_targets.count", "1", Text),
    attribute("target_group_health.dns_failover.minimum_healthy_targets.percentage", "off", Text),
    attribute(
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
        "1",
        OneOf(&["1"]),
    ),
    attribute(
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        "off",
        OneOf(&["off"]),
    ),
];

pub(super) const DEREGISTRATION_DELAY: &str = "deregistration_delay.timeout_seconds";
pub(super) const ALGORITHM: &str = "load_balancing.algorithm.type";
pub(super) const STICKINESS: &str = "stickiness.enabled";
pub(super) const COOKIE_DURATION: &str = "stickiness.lb_cookie.duration_seconds";

/// The value of an attribute, changed or by default.
pub(super) fn load_balancer_attribute<'a>(lb: &'a LoadBalancer, key: &str) -> &'a str {
    value(&lb.attributes, LOAD_BALANCER, key)
}

/// The value of an attribute, changed or by default.
pub(super) fn target_group_attribute<'a>(group: &'a TargetGroup, key: &str) -> &'a str {
    value(&group.attributes, TARGET_GROUP, key)
}

fn value<'a>(changed: &'a BTreeMap<String, String>, known: &[Attribute], key: &str) -> &'a str {
    let default = || known.iter().find(|attribute| attribute.key == key).map(|attribute| attribute.default);
    changed.get(key).map(String::as_str).or_else(default).unwrap_or_default()
}

pub(super) fn describe_load_balancer(
    elb: &Elb,
    input: &Input<'_>,
    _: &Context<'_>,
) -> Result<Members, Fault> {
    let lb = elb.load_balancer(&input.member("LoadBalancerArn").required_text()?)?;
    Ok(render(&lb.attributes, LOAD_BALANCER))
}

pub(super) fn modify_load_balancer(
    elb: &mut Elb,
    input: &Input<'_>,
    _: &Context<'_>,
) -> Result<Members, Fault> {
    let lb = elb.load_balancer_mut(&input.member("LoadBalancerArn").required_text()?)?;
    change(&mut lb.attributes, LOAD_BALANCER, "Load balancer", input)?;
    Ok(render(&lb.attributes, LOAD_BALANCER))
}

pub(super) fn describe_target_group(elb: &Elb, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let group = elb.target_group(&input.member("TargetGroupArn").required_text()?)?;
    Ok(render(&group.attributes, TARGET_GROUP))
}

pub(super) fn modify_target_group(
    elb: &mut Elb,
    input: &Input<'_>,
    _: &Context<'_>,
) -> Result<Members, Fault> {
    let arn = input.member("TargetGroupArn").required_text()?;
    let group = elb.target_group_mut(&arn)?;
    change(&mut group.attributes, TARGET_GROUP, "Target group", input)?;
    let answer = render(&group.attributes, TARGET_GROUP);
    let rules = elb.rules.values().filter(|rule| rule.target_groups().any(|named| named == arn));
    for action in rules.flat_map(|rule| &rule.actions) {
        action.check_stickiness(elb)?;
    }
    Ok(answer)
}

fn change(
    changed: &mut BTreeMap<String, String>,
    known: &[Attribute],
    what: &str,
    input: &Input<'_>,
) -> Result<(), Fault> {
    for given in input.member("Attributes").required_list(1, MOST_ATTRIBUTES)? {
        let key = given.member("Key").required_text()?;
        let value = given.member("Value").text()?.unwrap_or_default();
        let Some(attribute) = known.iter().find(|attribute| attribute.key == key) else {
            return Err(Fault::validation(format!("{what} attribute key '{key}' is not recognized")));
        };
        check(attribute, &value)?;
        changed.insert(key, value);
    }
    Ok(())
}

fn check(attribute: &Attribute, value: &str) -> Result<(), Fault> {
    let number_in =
        |least: u32, most: u32| value.parse().is_ok_and(|number: u32| (least..=most).contains(&number));
    let (good, rule) = match attribute.domain {
        Boolean => (matches!(value, "true" | "false"), "must be 'true' or 'false'".to_owned()),
        Number(least, most) => (number_in(least, most), format!("must be between {least} and {most}")),
        OneOf(choices) => {
            (choices.contains(&value), format!("must be one of [{}] in this region", choices.join(", ")))
        }
        Text => (true, String::new()),
    };
    if good {
        return Ok(());
    }
    Err(Fault::new(
        "InvalidConfigurationRequest",
        format!("The value '{value}' of attribute '{}' is not valid: it {rule}", attribute.key),
    ))
}

fn render(changed: &BTreeMap<String, String>, known: &[Attribute]) -> Members {
    let one = |attribute: &Attribute| {
        let value = changed.get(attribute.key).map_or(attribute.default, String::as_str);
        Members::new().with("Key", attribute.key).with("Value", value)
    };
    // AWS leaves out attributes that have no value.
    let given = |attribute: &&Attribute| {
        !matches!(attribute.key, "stickiness.app_cookie.cookie_name") || changed.contains_key(attribute.key)
    };
    Members::new().with("Attributes", known.iter().filter(given).map(one).collect::<Vec<_>>())
}
