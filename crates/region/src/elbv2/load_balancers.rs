//! CreateLoadBalancer, DescribeLoadBalancers, DeleteLoadBalancer.

use std::collections::{BTreeMap, BTreeSet};

use super::faults::load_balancer_not_found;
use super::model::{Elb, LoadBalancer, LoadBalancerSettings};
use super::{arn, attributes, paging, quota, tags};
use crate::context::Context;
use crate::wire::{Fault, Input, Members};

/// Longest name of a load balancer or target group.
pub(super) const LONGEST_NAME: usize = 32;

/// Every subnet is taken as given, so every load balancer is in one VPC.
const VPC: &str = "vpc-00000000000000000";

pub(super) fn create(elb: &mut Elb, input: &Input<'_>, context: &Context<'_>) -> Result<Members, Fault> {
    let settings = read_settings(input)?;
    let tags = tags::read_new(input)?;
    if let Some(existing) = elb.load_balancers.values().find(|lb| lb.settings.name == settings.name) {
        if existing.settings == settings {
            return Ok(answer(vec![render(existing, context)]));
        }
        return Err(Fault::new(
            "DuplicateLoadBalancerName",
            format!(
                "A load balancer with the same name '{}' exists, but with different settings",
                settings.name
            ),
        ));
    }
    if elb.load_balancers.len() >= quota::LOAD_BALANCERS {
        return Err(Fault::new(
            "TooManyLoadBalancers",
            format!(
                "The maximum number of application load balancers, {}, has been reached",
                quota::LOAD_BALANCERS
            ),
        ));
    }
    let id = context.new_id();
    let new = LoadBalancer {
        arn: arn::load_balancer(context, &settings.name, &id),
        dns_name: dns_name(&settings, &id, context.region()),
        settings,
        created: context.now,
        attributes: BTreeMap::new(),
        tags,
    };
    let rendered = render(&new, context);
    elb.load_balancers.insert(new.arn.clone(), new);
    Ok(answer(vec![rendered]))
}

pub(super) fn describe(elb: &Elb, input: &Input<'_>, context: &Context<'_>) -> Result<Members, Fault> {
    let arns = input.member("LoadBalancerArns").texts()?;
    let names = input.member("Names").texts()?;
    if !arns.is_empty() && !names.is_empty() {
        return Err(Fault::validation(
            "Load balancer names and load balancer ARNs cannot be specified at the same time",
        ));
    }
    if arns.len().max(names.len()) > quota::ARNS_PER_CALL {
        return Err(Fault::validation(format!(
            "Up to {} load balancers can be described in one call, {} were named",
            quota::ARNS_PER_CALL,
            arns.len().max(names.len())
        )));
    }
    for arn in &arns {
        elb.load_balancer(arn)?;
    }
    for name in &names {
        if !elb.load_balancers.values().any(|lb| lb.settings.name == *name) {
            return Err(load_balancer_not_found(name));
        }
    }
    let wanted = |lb: &&LoadBalancer| {
        (arns.is_empty() && names.is_empty()) || arns.contains(&lb.arn) || names.contains(&lb.settings.name)
    };
    let all: Vec<&LoadBalancer> = elb.load_balancers.values().filter(wanted).collect();
    let (page, next) = paging::page(&all, input)?;
    let rendered = page.into_iter().map(|lb| render(lb, context)).collect();
    Ok(answer(rendered).maybe("NextMarker", next))
}

/// Also deletes its listeners and their rules. A load balancer that is not
/// there is a success.
pub(super) fn delete(elb: &mut Elb, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let arn = input.member("LoadBalancerArn").required_text()?;
    let found = match elb.load_balancer(&arn) {
        Ok(found) => found,
        Err(fault) if fault.code == "LoadBalancerNotFound" => return Ok(Members::new()),
        Err(fault) => return Err(fault),
    };
    if attributes::load_balancer_attribute(found, "deletion_protection.enabled") == "true" {
        return Err(Fault::new(
            "OperationNotPermitted",
            format!("Load balancer '{arn}' cannot be deleted because deletion protection is enabled"),
        ));
    }
    elb.load_balancers.remove(&arn);
    let listeners: BTreeSet<String> =
        elb.listeners_of(&arn).into_iter().map(|listener| listener.arn.clone()).collect();
    elb.listeners.retain(|arn, _| !listeners.contains(arn));
    elb.rules.retain(|_, rule| !listeners.contains(&rule.listener_arn));
    Ok(Members::new())
}

fn read_settings(input: &Input<'_>) -> Result<LoadBalancerSettings, Fault> {
    let kind = input.member("Type").choice(&["application", "network", "gateway"])?.unwrap_or("application");
    if kind != "application" {
        return Err(Fault::new(
            "InvalidConfigurationRequest",
            format!("This region makes load balancers of type 'application' only, not '{kind}'"),
        ));
    }
    let name = input.member("Name").required_text()?;
    check_name("Load balancer", &name)?;
    if name.starts_with("internal-") {
        return Err(Fault::validation("Load balancer name cannot begin with 'internal-'"));
    }
    let scheme = input.member("Scheme").choice(&["internet-facing", "internal"])?;
    let address_type = input.member("IpAddressType");
    let address_type = address_type.choice(&["ipv4", "dualstack", "dualstack-without-public-ipv4"])?;
    let security_groups: BTreeSet<String> = input.member("SecurityGroups").texts()?.into_iter().collect();
    if let Some(id) = security_groups.iter().find(|id| !is_id(id, "sg-")) {
        return Err(Fault::new("InvalidSecurityGroup", format!("The security group ID '{id}' is not valid")));
    }
    Ok(LoadBalancerSettings {
        name,
        scheme: scheme.unwrap_or("internet-facing").into(),
        ip_address_type: address_type.unwrap_or("ipv4").into(),
        subnets: read_subnets(input)?,
        security_groups,
    })
}

fn read_subnets(input: &Input<'_>) -> Result<BTreeSet<String>, Fault> {
    let mut subnets = input.member("Subnets").texts()?;
    let mappings = input.member("SubnetMappings").list()?.unwrap_or_default();
    if !subnets.is_empty() && !mappings.is_empty() {
        return Err(Fault::validation("Exactly one of subnets and subnet mappings can be specified"));
    }
    for mapping in mappings {
        subnets.push(mapping.member("SubnetId").required_text()?);
    }
    if let Some(id) = subnets.iter().find(|id| !is_id(id, "subnet-")) {
        return Err(Fault::new("SubnetNotFound", format!("The subnet ID '{id}' does not exist")));
    }
    let distinct: BTreeSet<String> = subnets.iter().cloned().collect();
    if distinct.len() < subnets.len() {
        return Err(Fault::new(
            "InvalidConfigurationRequest",
            "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
        ));
    }
    if distinct.len() < 2 {
        return Err(Fault::validation(
            "At least two subnets in two different Availability Zones must be specified",
        ));
    }
    Ok(distinct)
}

/// Whether an id of EC2 is well formed; whether it exists nobody knows here.
pub(super) fn is_id(id: &str, prefix: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    id.strip_prefix(prefix).is_some_and(|rest| (1..=32).contains(&rest.len()) && rest.bytes().all(allowed))
}

/// Letters, digits and hyphens, none at the ends (`spec/aws.md` 1.1).
pub(super) fn check_name(what: &str, name: &str) -> Result<(), Fault> {
    let refuse = |rule: &str| Err(Fault::validation(format!("{what} name '{name}' {rule}")));
    if name.is_empty() {
        return refuse("cannot be empty");
    }
    if name.len() > LONGEST_NAME {
        return refuse(&format!("cannot be longer than '{LONGEST_NAME}' characters"));
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return refuse("can only contain characters that are alphanumeric characters and hyphens(-)");
    }
    if name.starts_with('-') || name.ends_with('-') {
        return refuse("cannot begin or end with a hyphen(-)");
    }
    Ok(())
}

fn dns_name(settings: &LoadBalancerSettings, id: &str, region: &str) -> String {
    // AWS's names end in a decimal number of about ten digits.
    let number = u64::from_str_radix(id, 16).unwrap_or_default() % 10_000_000_000;
    let internal = if settings.scheme == "internal" { "internal-" } else { "" };
    format!("{internal}{}-{number:010}.{region}.elb.amazonaws.com", settings.name)
}

/// Hosted zones of Application Load Balancers; a Route 53 alias names them.
fn hosted_zone(region: &str) -> &'static str {
    match region {
        "us-east-2" => "Z3AADJGX6KTTL2",
        "us-west-1" => "Z368ELLRRE2KJ0",
        "us-west-2" => "Z1H1FL5HABSF5",
        "eu-west-1" => "Z32O12XQLNTSW2",
        "eu-central-1" => "Z215JYRZR1TBD5",
        "ap-northeast-1" => "Z14GRHDCWA56QT",
        _ => "Z35SXDOTRQ7X7K",
    }
}

fn answer(load_balancers: Vec<Members>) -> Members {
    Members::new().with("LoadBalancers", load_balancers)
}

fn render(lb: &LoadBalancer, context: &Context<'_>) -> Members {
    let zone = |(index, subnet): (usize, &String)| {
        let letter = char::from(b'a' + (index % 6) as u8);
        Members::new()
            .with("ZoneName", format!("{}{letter}", context.region()))
            .with("SubnetId", subnet)
            .with("LoadBalancerAddresses", Vec::<Members>::new())
    };
    let zones: Vec<Members> = lb.settings.subnets.iter().enumerate().map(zone).collect();
    let security_groups: Vec<&str> = lb.settings.security_groups.iter().map(String::as_str).collect();
    Members::new()
        .with("LoadBalancerArn", &lb.arn)
        .with("DNSName", &lb.dns_name)
        .with("CanonicalHostedZoneId", hosted_zone(context.region()))
        .with("CreatedTime", lb.created)
        .with("LoadBalancerName", &lb.settings.name)
        .with("Scheme", &lb.settings.scheme)
        .with("VpcId", VPC)
        .with("State", Members::new().with("Code", "active"))
        .with("Type", "application")
        .with("AvailabilityZones", zones)
        .with("SecurityGroups", security_groups)
        .with("IpAddressType", &lb.settings.ip_address_type)
}
