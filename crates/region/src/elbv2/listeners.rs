//! CreateListener, DescribeListeners, ModifyListener, DeleteListener.

use std::net::SocketAddr;

use super::actions::{self, Action};
use super::model::{Elb, Listener, ListenerProtocol, ListenerSettings, Rule, Tags};
use super::{arn, paging, quota, tags};
use crate::context::Context;
use crate::wire::{Fault, Input, Members};

/// AWS's choice where a request names none.
const DEFAULT_SSL_POLICY: &str = "ELBSecurityPolicy-2016-08";

pub(super) fn create(elb: &mut Elb, input: &Input<'_>, context: &Context<'_>) -> Result<Members, Fault> {
    let load_balancer = elb.load_balancer(&input.member("LoadBalancerArn").required_text()?)?.arn.clone();
    let settings = new_settings(input)?;
    let actions = actions::read(&input.member("DefaultActions"), settings.protocol)?;
    let tags = tags::read_new(input)?;
    let others = elb.listeners_of(&load_balancer);
    if let Some(existing) = others.iter().find(|other| other.settings.port == settings.port) {
        // A repeated call with the same settings succeeds.
        if existing.settings == settings && elb.default_rule(&existing.arn).actions == actions {
            return Ok(answer(vec![render(elb, existing)]));
        }
        return Err(duplicate(&settings, &load_balancer));
    }
    if others.len() >= quota::LISTENERS_PER_LOAD_BALANCER {
        return Err(Fault::new(
            "TooManyListeners",
            format!(
                "The maximum number of listeners on a load balancer, {}, has been reached",
                quota::LISTENERS_PER_LOAD_BALANCER
            ),
        ));
    }
    let arn = arn::listener(&load_balancer, &context.new_id());
    let default_rule = Rule {
        arn: arn::rule(&arn, &context.new_id()),
        listener_arn: arn.clone(),
        priority: None,
        conditions: Vec::new(),
        actions,
        tags: Tags::new(),
    };
    let listener = Listener {
        arn: arn.clone(),
        load_balancer_arn: load_balancer.clone(),
        settings,
        address: None,
        tags,
    };
    elb.listeners.insert(arn.clone(), listener);
    elb.rules.insert(default_rule.arn.clone(), default_rule.clone());
    actions::check(elb, &default_rule.actions, &load_balancer)?;
    // Last, since a port that is taken stays taken until the next topology.
    take_address(elb, &arn, context)?;
    Ok(answer(vec![render(elb, elb.listener(&arn)?)]))
}

pub(super) fn describe(elb: &Elb, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let load_balancer = input.member("LoadBalancerArn").text()?;
    let arns = input.member("ListenerArns").texts()?;
    let all = match (load_balancer, arns.is_empty()) {
        (Some(load_balancer), true) => elb.listeners_of(&elb.load_balancer(&load_balancer)?.arn),
        (None, false) => arns.iter().map(|arn| elb.listener(arn)).collect::<Result<_, _>>()?,
        _ => {
            return Err(Fault::validation(
                "You must specify either listener ARNs or a load balancer ARN, and not both",
            ));
        }
    };
    let (page, next) = paging::page(&all, input)?;
    let rendered = page.into_iter().map(|listener| render(elb, listener)).collect();
    Ok(answer(rendered).maybe("NextMarker", next))
}

/// What is omitted stays; default actions that are given replace all of them.
pub(super) fn modify(elb: &mut Elb, input: &Input<'_>, context: &Context<'_>) -> Result<Members, Fault> {
    let before = elb.listener(&input.member("ListenerArn").required_text()?)?.clone();
    let settings = changed_settings(input, &before.settings)?;
    let taken = |other: &&Listener| other.arn != before.arn && other.settings.port == settings.port;
    if elb.listeners_of(&before.load_balancer_arn).iter().any(taken) {
        return Err(duplicate(&settings, &before.load_balancer_arn));
    }
    let moved = settings.port != before.settings.port || settings.protocol != before.settings.protocol;
    elb.listener_mut(&before.arn)?.settings = settings.clone();
    let actions = input.member("DefaultActions");
    if actions.is_given() {
        let actions = actions::read(&actions, settings.protocol)?;
        elb.default_rule_mut(&before.arn).actions = actions.clone();
        actions::check(elb, &actions, &before.load_balancer_arn)?;
    }
    if moved {
        take_address(elb, &before.arn, context)?;
    }
    Ok(answer(vec![render(elb, elb.listener(&before.arn)?)]))
}

/// Also deletes its rules.
pub(super) fn delete(elb: &mut Elb, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let arn = elb.listener(&input.member("ListenerArn").required_text()?)?.arn.clone();
    elb.listeners.remove(&arn);
    elb.rules.retain(|_, rule| rule.listener_arn != arn);
    Ok(Members::new())
}

fn duplicate(settings: &ListenerSettings, load_balancer_arn: &str) -> Fault {
    Fault::new(
        "DuplicateListener",
        format!(
            "A listener already exists on port '{}' of load balancer '{load_balancer_arn}'",
            settings.port
        ),
    )
}

fn new_settings(input: &Input<'_>) -> Result<ListenerSettings, Fault> {
    let protocol = read_protocol(input)?;
    let protocol = protocol.ok_or_else(|| Fault::validation("A listener protocol must be specified"))?;
    let port = input.member("Port").integer_in(1u16..=65535)?;
    let port = port.ok_or_else(|| Fault::validation("A listener port must be specified"))?;
    let certificate_arn = read_certificate(input)?;
    let ssl_policy = input.member("SslPolicy").text()?;
    finish(ListenerSettings { port, protocol, ssl_policy, certificate_arn })
}

fn changed_settings(input: &Input<'_>, before: &ListenerSettings) -> Result<ListenerSettings, Fault> {
    let port = input.member("Port").integer_in(1u16..=65535)?.unwrap_or(before.port);
    let protocol = read_protocol(input)?.unwrap_or(before.protocol);
    // Certificate and policy belong to HTTPS and go with it.
    let kept = before.clone().certificate_arn.filter(|_| protocol == ListenerProtocol::Https);
    let certificate_arn = read_certificate(input)?.or(kept);
    let kept = before.clone().ssl_policy.filter(|_| protocol == ListenerProtocol::Https);
    let ssl_policy = input.member("SslPolicy").text()?.or(kept);
    finish(ListenerSettings { port, protocol, ssl_policy, certificate_arn })
}

fn finish(mut settings: ListenerSettings) -> Result<ListenerSettings, Fault> {
    match settings.protocol {
        ListenerProtocol::Http if settings.certificate_arn.is_some() || settings.ssl_policy.is_some() => {
            Err(Fault::validation("Certificates and SSL policies can be specified for HTTPS listeners only"))
        }
        ListenerProtocol::Http => Ok(settings),
        ListenerProtocol::Https if settings.certificate_arn.is_none() => {
            Err(Fault::validation("A certificate must be specified for HTTPS listeners"))
        }
        ListenerProtocol::Https => {
            settings.ssl_policy.get_or_insert_with(|| DEFAULT_SSL_POLICY.into());
            Ok(settings)
        }
    }
}

fn read_protocol(input: &Input<'_>) -> Result<Option<ListenerProtocol>, Fault> {
    let known = &["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP", "GENEVE", "QUIC", "TCP_QUIC"];
    match input.member("Protocol").choice(known)? {
        None => Ok(None),
        Some("HTTP") => Ok(Some(ListenerProtocol::Http)),
        Some("HTTPS") => Ok(Some(ListenerProtocol::Https)),
        Some(other) => Err(Fault::new(
            "UnsupportedProtocol",
            format!("Listener protocol '{other}' is not supported by application load balancers"),
        )),
    }
}

/// The default certificate. Whether it exists nobody knows here.
fn read_certificate(input: &Input<'_>) -> Result<Option<String>, Fault> {
    let given = input.member("Certificates").list()?.unwrap_or_default();
    match given.as_slice() {
        [] => Ok(None),
        [only] => {
            let arn = only.member("CertificateArn").required_text()?;
            if arn.starts_with("arn:aws:acm:") || arn.starts_with("arn:aws:iam:") {
                return Ok(Some(arn));
            }
            Err(Fault::new("CertificateNotFound", format!("Certificate ARN '{arn}' is not valid")))
        }
        _ => Err(Fault::new("TooManyCertificates", "Exactly one default certificate can be specified")),
    }
}

/// Chooses where a listener really listens (`spec/okra.md` 8). An HTTPS
/// listener is not served: the region has no certificates to serve it with.
fn take_address(elb: &mut Elb, arn: &str, context: &Context<'_>) -> Result<(), Fault> {
    let settings = elb.listener(arn)?.settings.clone();
    let address = match settings.protocol {
        ListenerProtocol::Http => Some(free_address(settings.port, context)?),
        ListenerProtocol::Https => {
            tracing::warn!(
                listener = arn,
                "HTTPS listener is kept but not served: this region has no certificates"
            );
            None
        }
    };
    elb.listener_mut(arn)?.address = address;
    Ok(())
}

fn free_address(port: u16, context: &Context<'_>) -> Result<SocketAddr, Fault> {
    let preferred = match port {
        80 => 8080,
        443 => 8443,
        other => other,
    };
    context.take_port(&[preferred]).map_err(|error| {
        Fault::internal(format!("no port could be taken for a listener of port {port}: {error}"))
    })
}

fn answer(listeners: Vec<Members>) -> Members {
    Members::new().with("Listeners", listeners)
}

fn render(elb: &Elb, listener: &Listener) -> Members {
    let settings = &listener.settings;
    let certificate = |arn: &String| vec![Members::new().with("CertificateArn", arn)];
    let actions: Vec<Members> = elb.default_rule(&listener.arn).actions.iter().map(Action::render).collect();
    Members::new()
        .with("ListenerArn", &listener.arn)
        .with("LoadBalancerArn", &listener.load_balancer_arn)
        .with("Port", settings.port)
        .with("Protocol", settings.protocol.as_str())
        .maybe("Certificates", settings.certificate_arn.as_ref().map(certificate))
        .maybe("SslPolicy", settings.ssl_policy.as_ref())
        .with("DefaultActions", actions)
}
