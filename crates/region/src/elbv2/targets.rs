//! RegisterTargets, DeregisterTargets, DescribeTargetHealth.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::model::{Elb, TargetAddress, TargetGroup};
use super::quota;
use crate::context::Context;
use crate::dataplane::{HealthReason, TargetHealth, TargetState};
use crate::wire::{Fault, Input, Members};

/// The only zone that a target outside the VPC can be in, and the default here:
/// loopback belongs to no zone.
const ZONES: &[&str] = &["all"];

/// Registering a registered target is a success.
pub(super) fn register(elb: &mut Elb, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let arn = input.member("TargetGroupArn").required_text()?;
    let new = read_targets(elb.target_group(&arn)?, input, true)?;
    if new.is_empty() {
        return Err(Fault::validation("At least one target must be specified"));
    }
    let group = elb.target_group_mut(&arn)?;
    group.targets.extend(new);
    let count = group.targets.len();
    if count > quota::TARGETS_PER_TARGET_GROUP {
        return Err(too_many("target group", &arn, count, quota::TARGETS_PER_TARGET_GROUP));
    }
    if let Some(load_balancer) = elb.load_balancer_of_group(&arn) {
        check_targets_of(elb, load_balancer)?;
    }
    Ok(Members::new())
}

/// Deregistering an unknown target is a success (`spec/aws.md` 1.11).
pub(super) fn deregister(elb: &mut Elb, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let arn = input.member("TargetGroupArn").required_text()?;
    let leaving = read_targets(elb.target_group(&arn)?, input, false)?;
    if leaving.is_empty() {
        return Err(Fault::validation("At least one target must be specified"));
    }
    elb.target_group_mut(&arn)?.targets.retain(|target| !leaving.contains(target));
    Ok(Members::new())
}

/// Whether the groups of a load balancer hold more targets than it may have.
pub(super) fn check_targets_of(elb: &Elb, load_balancer_arn: &str) -> Result<(), Fault> {
    let groups = elb.target_groups_of(load_balancer_arn);
    let count =
        groups.iter().filter_map(|arn| elb.target_groups.get(*arn)).map(|group| group.targets.len()).sum();
    if count > quota::TARGETS_PER_LOAD_BALANCER {
        return Err(too_many("load balancer", load_balancer_arn, count, quota::TARGETS_PER_LOAD_BALANCER));
    }
    Ok(())
}

fn too_many(what: &str, arn: &str, count: usize, limit: usize) -> Fault {
    Fault::new(
        "TooManyTargets",
        format!("The {what} '{arn}' would have {count} targets; the limit is {limit}"),
    )
}

pub(super) fn describe_health(elb: &Elb, input: &Input<'_>, context: &Context<'_>) -> Result<Members, Fault> {
    let group = elb.target_group(&input.member("TargetGroupArn").required_text()?)?;
    let asked = read_targets(group, input, false)?;
    let known = context.dataplane.target_health(&group.arn).unwrap_or_default();
    let anomaly_detection = input.member("Include").texts()?;
    let anomaly_detection = anomaly_detection.iter().any(|word| word == "AnomalyDetection" || word == "All");
    let address = |health: &TargetHealth| TargetAddress { ip: health.target.ip, port: health.target.port };
    let mut described: Vec<Members> = known
        .iter()
        .filter(|health| asked.is_empty() || asked.contains(&address(health)))
        .map(|health| {
            let reason = health.reason.map(HealthReason::code);
            render(
                group,
                address(health),
                health.state,
                reason,
                health.description.as_deref(),
                anomaly_detection,
            )
        })
        .collect();
    let missing = asked.iter().filter(|asked| !known.iter().any(|health| address(health) == **asked));
    described.extend(missing.map(|target| {
        let (state, reason) = (TargetState::Unused, HealthReason::NotRegistered);
        let text = "Target is not registered to the target group";
        render(group, *target, state, Some(reason.code()), Some(text), anomaly_detection)
    }));
    Ok(Members::new().with("TargetHealthDescriptions", described))
}

fn render(
    group: &TargetGroup,
    target: TargetAddress,
    state: TargetState,
    reason: Option<&str>,
    description: Option<&str>,
    anomaly_detection: bool,
) -> Members {
    let check_port = match group.health_check.port.as_str() {
        "traffic-port" => target.port.to_string(),
        port => port.to_owned(),
    };
    let described = Members::new().with("Id", target.ip.to_string()).with("Port", target.port);
    let health = Members::new()
        .with("State", state.as_str())
        .maybe("Reason", reason)
        .maybe("Description", description);
    let result = Members::new().with("Result", "normal").with("MitigationInEffect", "no");
    let no_override = Members::new()
        .with("State", "no_override")
        .with("Reason", "AdministrativeOverride.NoOverride")
        .with("Description", "No override is currently active on target");
    Members::new()
        .with("Target", described.with("AvailabilityZone", ZONES[0]))
        .with("HealthCheckPort", check_port)
        .with("TargetHealth", health)
        .maybe("AnomalyDetection", anomaly_detection.then_some(result))
        .with("AdministrativeOverride", no_override)
}

/// The targets of a request. Only loopback addresses can be targets; when
/// `strict` is false other addresses are known not to be registered.
fn read_targets(
    group: &TargetGroup,
    input: &Input<'_>,
    strict: bool,
) -> Result<BTreeSet<TargetAddress>, Fault> {
    let mut targets = BTreeSet::new();
    for given in input.member("Targets").list()?.unwrap_or_default() {
        let id = given.member("Id").required_text()?;
        let port = given.member("Port").integer_in(1u16..=65535)?.unwrap_or(group.settings.port);
        match id.parse::<IpAddr>() {
            Ok(ip) if group.settings.target_type != "ip" => {
                return Err(invalid(&format!(
                    "The target '{ip}' is an IP address, but target group '{}' takes targets of type '{}'",
                    group.settings.name, group.settings.target_type
                )));
            }
            Ok(ip) if strict => {
                check_address(group, ip)?;
                targets.insert(TargetAddress { ip, port });
            }
            Ok(ip) => {
                targets.insert(TargetAddress { ip, port });
            }
            Err(_) if group.settings.target_type == "ip" => {
                return Err(Fault::validation(format!(
                    "The IP address '{id}' is not a valid IPv4 or IPv6 address"
                )));
            }
            Err(_) => {
                return Err(invalid(&format!(
                    "The following targets are not in a running state: '{id}'. This region has no instances"
                )));
            }
        }
    }
    Ok(targets)
}

fn check_address(group: &TargetGroup, ip: IpAddr) -> Result<(), Fault> {
    if !ip.is_loopback() {
        return Err(invalid(&format!(
            "The IP address '{ip}' is not valid as a target: this region reaches loopback addresses only"
        )));
    }
    let wanted = if ip.is_ipv4() { "ipv4" } else { "ipv6" };
    if group.settings.ip_address_type != wanted {
        return Err(invalid(&format!(
            "The IP address '{ip}' does not fit the IP address type '{}' of target group '{}'",
            group.settings.ip_address_type, group.settings.name
        )));
    }
    Ok(())
}

fn invalid(message: &str) -> Fault {
    Fault::new("InvalidTarget", message)
}
