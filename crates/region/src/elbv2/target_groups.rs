//! CreateTargetGroup, DescribeTargetGroups, ModifyTargetGroup, DeleteTargetGroup.

use std::collections::{BTreeMap, BTreeSet};

use super::attributes::DEREGISTRATION_DELAY;
use super::faults::target_group_not_found;
use super::load_balancers::{check_name, is_id};
use super::model::{Elb, HealthCheckSettings, TargetGroup, TargetGroupSettings};
use super::{arn, paging, quota, tags};
use crate::context::Context;
use crate::dataplane::SuccessCodes;
use crate::wire::{Fault, Input, Members};

const TRAFFIC_PORT: &str = "traffic-port";
const PROTOCOLS: &[&str] = &["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP", "GENEVE", "QUIC", "TCP_QUIC"];

/// AWS's defaults for a group of an Application Load Balancer (`spec/aws.md` 1.7).
const DEFAULT_HEALTHY_THRESHOLD: u32 = 5;
const DEFAULT_UNHEALTHY_THRESHOLD: u32 = 2;

pub(super) fn create(elb: &mut Elb, input: &Input<'_>, context: &Context<'_>) -> Result<Members, Fault> {
    let settings = read_settings(input)?;
    let health_check = read_health_check(input, default_health_check(context))?;
    let tags = tags::read_new(input)?;
    if let Some(existing) = elb.target_groups.values().find(|group| group.settings.name == settings.name) {
        if existing.settings == settings && existing.health_check == health_check {
            return Ok(answer(vec![render(elb, existing)]));
        }
        return Err(Fault::new(
            "DuplicateTargetGroupName",
            format!(
                "A target group with the same name '{}' exists, but with different settings",
                settings.name
            ),
        ));
    }
    if elb.target_groups.len() >= quota::TARGET_GROUPS {
        return Err(Fault::new(
            "TooManyTargetGroups",
            format!("The maximum number of target groups, {}, has been reached", quota::TARGET_GROUPS),
        ));
    }
    let mut attributes = BTreeMap::new();
    let delay = context.options.timing.deregistration_delay.as_secs().to_string();
    if delay != "300" {
        attributes.insert(DEREGISTRATION_DELAY.to_owned(), delay);
    }
    let arn = arn::target_group(context, &settings.name, &context.new_id());
    let new = TargetGroup { arn, settings, health_check, attributes, tags, targets: BTreeSet::new() };
    let rendered = render(elb, &new);
    elb.target_groups.insert(new.arn.clone(), new);
    Ok(answer(vec![rendered]))
}

pub(super) fn describe(elb: &Elb, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let load_balancer = input.member("LoadBalancerArn").text()?;
    let arns = input.member("TargetGroupArns").texts()?;
    let names = input.member("Names").texts()?;
    let given = [load_balancer.is_some(), !arns.is_empty(), !names.is_empty()];
    if given.iter().filter(|given| **given).count() > 1 {
        return Err(Fault::validation(
            "Only one of load balancer ARN, target group ARNs and target group names can be specified",
        ));
    }
    for arn in &arns {
        elb.target_group(arn)?;
    }
    for name in &names {
        if !elb.target_groups.values().any(|group| group.settings.name == *name) {
            return Err(target_group_not_found(name));
        }
    }
    let attached = match &load_balancer {
        Some(arn) => elb.target_groups_of(&elb.load_balancer(arn)?.arn),
        None => BTreeSet::new(),
    };
    let wanted = |group: &&TargetGroup| match given {
        [true, ..] => attached.contains(group.arn.as_str()),
        [_, true, _] => arns.contains(&group.arn),
        [.., true] => names.contains(&group.settings.name),
        _ => true,
    };
    let all: Vec<&TargetGroup> = elb.target_groups.values().filter(wanted).collect();
    let (page, next) = paging::page(&all, input)?;
    let rendered = page.into_iter().map(|group| render(elb, group)).collect();
    Ok(answer(rendered).maybe("NextMarker", next))
}

pub(super) fn modify(elb: &mut Elb, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let arn = input.member("TargetGroupArn").required_text()?;
    let before = elb.target_group(&arn)?.health_check.clone();
    elb.target_group_mut(&arn)?.health_check = read_health_check(input, before)?;
    Ok(answer(vec![render(elb, elb.target_group(&arn)?)]))
}

/// A target group that is not there is a success.
pub(super) fn delete(elb: &mut Elb, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let arn = input.member("TargetGroupArn").required_text()?;
    match elb.target_group(&arn) {
        Ok(_) => {}
        Err(fault) if fault.code == "TargetGroupNotFound" => return Ok(Members::new()),
        Err(fault) => return Err(fault),
    }
    if elb.load_balancer_of_group(&arn).is_some() {
        return Err(Fault::new(
            "ResourceInUse",
            format!("Target group '{arn}' is currently in use by a listener or a rule"),
        ));
    }
    elb.target_groups.remove(&arn);
    Ok(Members::new())
}

fn read_settings(input: &Input<'_>) -> Result<TargetGroupSettings, Fault> {
    let name = input.member("Name").required_text()?;
    check_name("Target group", &name)?;
    let target_type = input.member("TargetType").choice(&["instance", "ip", "lambda", "alb"])?;
    let target_type = target_type.unwrap_or("instance");
    if !matches!(target_type, "instance" | "ip") {
        return Err(region_lacks(&format!("targets of type '{target_type}'")));
    }
    let protocol = input.member("Protocol").choice(PROTOCOLS)?;
    match protocol {
        None => return Err(Fault::validation("A protocol must be specified")),
        Some("HTTP") => {}
        Some(other) => return Err(region_lacks(&format!("target groups of protocol '{other}'"))),
    }
    let version = input.member("ProtocolVersion").text()?.unwrap_or_else(|| "HTTP1".into());
    if version != "HTTP1" {
        return Err(region_lacks(&format!("protocol version '{version}'")));
    }
    let port = input.member("Port").integer_in(1u16..=65535)?;
    let port = port.ok_or_else(|| Fault::validation("A port must be specified"))?;
    let vpc = input.member("VpcId").text()?.ok_or_else(|| Fault::validation("A VPC ID must be specified"))?;
    if !is_id(&vpc, "vpc-") {
        return Err(Fault::validation(format!("The VPC ID '{vpc}' is not found")));
    }
    let address_type = input.member("IpAddressType").choice(&["ipv4", "ipv6"])?.unwrap_or("ipv4");
    Ok(TargetGroupSettings {
        name,
        port,
        vpc_id: vpc,
        target_type: target_type.into(),
        ip_address_type: address_type.into(),
    })
}

fn region_lacks(what: &str) -> Fault {
    Fault::new(
        "InvalidConfigurationRequest",
        format!("This region does not have {what} yet: it speaks HTTP/1.1 to ip targets"),
    )
}

fn default_health_check(context: &Context<'_>) -> HealthCheckSettings {
    let seconds = |duration: std::time::Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
    HealthCheckSettings {
        port: TRAFFIC_PORT.into(),
        path: "/".into(),
        interval_seconds: seconds(context.options.timing.health_check_interval),
        timeout_seconds: seconds(context.options.timing.health_check_timeout),
        healthy_threshold: DEFAULT_HEALTHY_THRESHOLD,
        unhealthy_threshold: DEFAULT_UNHEALTHY_THRESHOLD,
        matcher: "200".into(),
    }
}

/// What is given replaces what was there.
fn read_health_check(input: &Input<'_>, before: HealthCheckSettings) -> Result<HealthCheckSettings, Fault> {
    if let Some(protocol) = input.member("HealthCheckProtocol").choice(PROTOCOLS)?
        && protocol != "HTTP"
    {
        return Err(region_lacks(&format!("health checks of protocol '{protocol}'")));
    }
    if input.member("HealthCheckEnabled").boolean()? == Some(false) {
        return Err(Fault::new(
            "InvalidConfigurationRequest",
            "Health check enabled must be true for target groups with target type 'instance' or 'ip'",
        ));
    }
    let path = input.member("HealthCheckPath").sized_text(1..=1024)?.unwrap_or(before.path);
    if !path.starts_with('/') {
        return Err(Fault::validation(format!("Health check path '{path}' must begin with a '/' character")));
    }
    let port = input.member("HealthCheckPort").text()?.unwrap_or(before.port);
    if port != TRAFFIC_PORT && !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return Err(Fault::validation(format!(
            "Health check port '{port}' must be either '{TRAFFIC_PORT}' or in the range '1-65535'"
        )));
    }
    let matcher = input.member("Matcher").member("HttpCode").text()?.unwrap_or(before.matcher);
    check_matcher(&matcher)?;
    let interval = input.member("HealthCheckIntervalSeconds").integer_in(5u32..=300)?;
    let timeout = input.member("HealthCheckTimeoutSeconds").integer_in(2u32..=120)?;
    let healthy = input.member("HealthyThresholdCount").integer_in(2u32..=10)?;
    let unhealthy = input.member("UnhealthyThresholdCount").integer_in(2u32..=10)?;
    let new = HealthCheckSettings {
        port,
        path,
        interval_seconds: interval.unwrap_or(before.interval_seconds),
        timeout_seconds: timeout.unwrap_or(before.timeout_seconds),
        healthy_threshold: healthy.unwrap_or(before.healthy_threshold),
        unhealthy_threshold: unhealthy.unwrap_or(before.unhealthy_threshold),
        matcher,
    };
    if new.timeout_seconds >= new.interval_seconds {
        return Err(Fault::validation(format!(
            "Health check timeout '{}' must be smaller than the interval '{}'",
            new.timeout_seconds, new.interval_seconds
        )));
    }
    Ok(new)
}

/// Codes of an Application Load Balancer lie between 200 and 499.
fn check_matcher(matcher: &str) -> Result<(), Fault> {
    let codes = matcher.parse::<SuccessCodes>();
    if codes.is_ok_and(|codes| !(500..=599).any(|code| codes.contains(code))) {
        return Ok(());
    }
    Err(Fault::validation(format!(
        "Health check matcher HTTP code '{matcher}' must be within '200-499' inclusive"
    )))
}

fn answer(groups: Vec<Members>) -> Members {
    Members::new().with("TargetGroups", groups)
}

fn render(elb: &Elb, group: &TargetGroup) -> Members {
    let attached: Vec<&str> = elb.load_balancer_of_group(&group.arn).into_iter().collect();
    let (settings, check) = (&group.settings, &group.health_check);
    Members::new()
        .with("TargetGroupArn", &group.arn)
        .with("TargetGroupName", &settings.name)
        .with("Protocol", "HTTP")
        .with("Port", settings.port)
        .with("VpcId", &settings.vpc_id)
        .with("HealthCheckProtocol", "HTTP")
        .with("HealthCheckPort", &check.port)
        .with("HealthCheckEnabled", true)
        .with("HealthCheckIntervalSeconds", check.interval_seconds)
        .with("HealthCheckTimeoutSeconds", check.timeout_seconds)
        .with("HealthyThresholdCount", check.healthy_threshold)
        .with("UnhealthyThresholdCount", check.unhealthy_threshold)
        .with("HealthCheckPath", &check.path)
        .with("Matcher", Members::new().with("HttpCode", &check.matcher))
        .with("LoadBalancerArns", attached)
        .with("TargetType", &settings.target_type)
        .with("ProtocolVersion", "HTTP1")
        .with("IpAddressType", &settings.ip_address_type)
}
