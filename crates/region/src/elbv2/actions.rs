//! Actions of rules and listeners: reading, limits, answers (`spec/aws.md` 1.2).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::attributes::{STICKINESS, target_group_attribute};
use super::model::{Elb, ListenerProtocol};
use super::quota;
use super::targets::check_targets_of;
use crate::wire::{Fault, Input, Members, Value};

const HEAVIEST: u32 = 999;
/// Seven days.
const LONGEST_STICKINESS: u32 = 604_800;
const LONGEST_BODY: usize = 1024;
const KINDS: &[&str] =
    &["forward", "authenticate-oidc", "authenticate-cognito", "redirect", "fixed-response", "jwt-validation"];
const CONTENT_TYPES: &[&str] =
    &["text/plain", "text/css", "text/html", "application/javascript", "application/json"];

/// One action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Action {
    /// As given, or by position where several actions are given without.
    order: Option<u32>,
    pub(super) kind: ActionKind,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum ActionKind {
    Forward(Forward),
    Redirect(Redirect),
    FixedResponse(FixedResponse),
    /// `authenticate-oidc`, `authenticate-cognito` or `jwt-validation`: kept as
    /// given, without a client secret, and passed as if it had succeeded.
    Authenticate {
        kind: String,
        config: Members,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Forward {
    pub(super) groups: Vec<WeightedGroup>,
    pub(super) stickiness_enabled: bool,
    pub(super) stickiness_seconds: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct WeightedGroup {
    pub(super) arn: String,
    pub(super) weight: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Redirect {
    pub(super) protocol: String,
    pub(super) host: String,
    pub(super) port: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) permanent: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct FixedResponse {
    pub(super) status: u16,
    pub(super) content_type: Option<String>,
    pub(super) body: String,
}

fn invalid_action(message: impl Into<String>) -> Fault {
    Fault::new("InvalidLoadBalancerAction", message)
}

/// Reads the actions of a rule or listener and checks what needs no state.
pub(super) fn read(input: &Input<'_>, protocol: ListenerProtocol) -> Result<Vec<Action>, Fault> {
    let given = input.list()?.ok_or_else(|| Fault::missing(input.path()))?;
    if given.is_empty() {
        return Err(Fault::validation("At least one action must be specified"));
    }
    if given.len() > quota::ACTIONS_PER_RULE {
        return Err(Fault::new(
            "TooManyActions",
            format!("Up to {} actions can be specified, {} were given", quota::ACTIONS_PER_RULE, given.len()),
        ));
    }
    let mut actions: Vec<Action> = given.iter().map(Action::read).collect::<Result<_, _>>()?;
    put_in_order(&mut actions)?;
    let routing = actions.iter().filter(|action| action.is_routing()).count();
    if routing != 1 || !actions.last().is_some_and(Action::is_routing) {
        return Err(invalid_action(
            "The actions must include exactly one of 'forward', 'redirect' and 'fixed-response', and it must come last",
        ));
    }
    if let Some(action) = actions.iter().find(|action| !action.is_routing())
        && protocol != ListenerProtocol::Https
    {
        return Err(invalid_action(format!(
            "Actions of type '{}' are supported only on HTTPS listeners",
            action.kind_name()
        )));
    }
    Ok(actions)
}

/// Sorts by `Order`; several actions get one each by position if none has one.
fn put_in_order(actions: &mut [Action]) -> Result<(), Fault> {
    if actions.len() < 2 {
        return Ok(());
    }
    if actions.iter().all(|action| action.order.is_none()) {
        for (position, action) in (1..).zip(actions.iter_mut()) {
            action.order = Some(position);
        }
    }
    let orders: BTreeSet<u32> = actions.iter().filter_map(|action| action.order).collect();
    if orders.len() < actions.len() {
        return Err(invalid_action("Each of several actions must have an order of its own"));
    }
    actions.sort_by_key(|action| action.order);
    Ok(())
}

/// Checks what the actions of a rule on a load balancer need of the state. The
/// rule itself must already be in the state.
pub(super) fn check(elb: &Elb, actions: &[Action], load_balancer_arn: &str) -> Result<(), Fault> {
    for arn in actions.iter().flat_map(Action::target_groups) {
        elb.target_group(arn)?;
        let elsewhere = elb.listeners.values().any(|listener| {
            listener.load_balancer_arn != load_balancer_arn
                && elb
                    .rules_of(&listener.arn)
                    .iter()
                    .any(|rule| rule.target_groups().any(|named| named == arn))
        });
        if elsewhere {
            return Err(Fault::new(
                "TargetGroupAssociationLimit",
                format!(
                    "The following target groups cannot be associated with more than one load balancer: {arn}"
                ),
            ));
        }
    }
    for action in actions {
        action.check_stickiness(elb)?;
    }
    let groups = elb.target_groups_of(load_balancer_arn).len();
    if groups > quota::TARGET_GROUPS_PER_LOAD_BALANCER {
        return Err(Fault::new(
            "TooManyUniqueTargetGroupsPerLoadBalancer",
            format!(
                "The load balancer '{load_balancer_arn}' would have {groups} target groups; the limit is {}",
                quota::TARGET_GROUPS_PER_LOAD_BALANCER
            ),
        ));
    }
    check_targets_of(elb, load_balancer_arn)
}

impl Action {
    fn read(input: &Input<'_>) -> Result<Self, Fault> {
        let kind_input = input.member("Type");
        let kind = kind_input.choice(KINDS)?.ok_or_else(|| Fault::missing(kind_input.path()))?;
        let order = input.member("Order").integer_in(1u32..=50_000)?;
        let config = |name: &str| {
            input
                .member(name)
                .given()
                .ok_or_else(|| invalid_action(format!("An action of type '{kind}' must have a {name}")))
        };
        let kind = match kind {
            "forward" => ActionKind::Forward(read_forward(input)?),
            "redirect" => ActionKind::Redirect(read_redirect(&config("RedirectConfig")?)?),
            "fixed-response" => ActionKind::FixedResponse(read_fixed(&config("FixedResponseConfig")?)?),
            "authenticate-oidc" => {
                let config = config("AuthenticateOidcConfig")?;
                let required =
                    ["Issuer", "AuthorizationEndpoint", "TokenEndpoint", "UserInfoEndpoint", "ClientId"];
                read_authentication(kind, &config, &required)?
            }
            "authenticate-cognito" => {
                let config = config("AuthenticateCognitoConfig")?;
                read_authentication(kind, &config, &["UserPoolArn", "UserPoolClientId", "UserPoolDomain"])?
            }
            _ => read_authentication(kind, &config("JwtValidationConfig")?, &["JwksEndpoint", "Issuer"])?,
        };
        Ok(Self { order, kind })
    }

    fn kind_name(&self) -> &str {
        match &self.kind {
            ActionKind::Forward(_) => "forward",
            ActionKind::Redirect(_) => "redirect",
            ActionKind::FixedResponse(_) => "fixed-response",
            ActionKind::Authenticate { kind, .. } => kind,
        }
    }

    pub(super) fn is_routing(&self) -> bool {
        !matches!(self.kind, ActionKind::Authenticate { .. })
    }

    /// ARNs of the groups that it forwards to.
    pub(super) fn target_groups(&self) -> impl Iterator<Item = &str> {
        let groups = match &self.kind {
            ActionKind::Forward(forward) => forward.groups.as_slice(),
            _ => &[],
        };
        groups.iter().map(|group| group.arn.as_str())
    }

    /// Several groups of which one keeps clients at a target need group
    /// stickiness as well (`spec/aws.md` 1.4).
    pub(super) fn check_stickiness(&self, elb: &Elb) -> Result<(), Fault> {
        let ActionKind::Forward(forward) = &self.kind else { return Ok(()) };
        let sticky = |group: &WeightedGroup| {
            elb.target_groups
                .get(&group.arn)
                .is_some_and(|group| target_group_attribute(group, STICKINESS) == "true")
        };
        if forward.groups.len() > 1 && !forward.stickiness_enabled && forward.groups.iter().any(sticky) {
            return Err(Fault::new(
                "InvalidConfigurationRequest",
                "You must enable group stickiness on a rule if you enabled target stickiness on one of its target groups",
            ));
        }
        Ok(())
    }

    /// As it is answered.
    pub(super) fn render(&self) -> Members {
        let base = Members::new().with("Type", self.kind_name());
        let order = self.order;
        match &self.kind {
            ActionKind::Forward(forward) => {
                // One group is told in both forms, several in the long one only.
                let only = match forward.groups.as_slice() {
                    [only] => Some(&only.arn),
                    _ => None,
                };
                base.maybe("TargetGroupArn", only)
                    .maybe("Order", order)
                    .with("ForwardConfig", forward.render())
            }
            ActionKind::Redirect(redirect) => {
                base.maybe("Order", order).with("RedirectConfig", redirect.render())
            }
            ActionKind::FixedResponse(fixed) => {
                base.maybe("Order", order).with("FixedResponseConfig", fixed.render())
            }
            ActionKind::Authenticate { kind, config } => {
                let name = match kind.as_str() {
                    "authenticate-oidc" => "AuthenticateOidcConfig",
                    "authenticate-cognito" => "AuthenticateCognitoConfig",
                    _ => "JwtValidationConfig",
                };
                base.with(name, config.clone()).maybe("Order", order)
            }
        }
    }
}

fn read_forward(input: &Input<'_>) -> Result<Forward, Fault> {
    let config = input.member("ForwardConfig");
    let mut groups = read_groups(&config)?;
    match input.member("TargetGroupArn").text()? {
        Some(arn) if groups.is_empty() => groups.push(WeightedGroup { arn, weight: 1 }),
        Some(arn) if groups.len() != 1 || groups[0].arn != arn => {
            return Err(invalid_action(
                "You can specify both TargetGroupArn and ForwardConfig only if both name the same single target group",
            ));
        }
        _ => {}
    }
    let distinct: BTreeSet<&str> = groups.iter().map(|group| group.arn.as_str()).collect();
    if groups.is_empty() || distinct.len() < groups.len() {
        return Err(invalid_action(
            "A forward action must name at least one target group, and each only once",
        ));
    }
    let stickiness = config.member("TargetGroupStickinessConfig");
    let enabled = stickiness.member("Enabled").boolean()?.unwrap_or(false);
    let seconds = stickiness.member("DurationSeconds").integer_in(1u32..=LONGEST_STICKINESS)?;
    if enabled && seconds.is_none() {
        return Err(Fault::validation(format!(
            "Target group stickiness duration must be between 1 and {LONGEST_STICKINESS} seconds when it is enabled"
        )));
    }
    Ok(Forward { groups, stickiness_enabled: enabled, stickiness_seconds: seconds })
}

fn read_groups(config: &Input<'_>) -> Result<Vec<WeightedGroup>, Fault> {
    let given = config.member("TargetGroups").list()?.unwrap_or_default();
    if given.len() > quota::TARGET_GROUPS_PER_ACTION {
        return Err(Fault::new(
            "TooManyTargetGroups",
            format!(
                "A forward action can have up to {} target groups, {} were given",
                quota::TARGET_GROUPS_PER_ACTION,
                given.len()
            ),
        ));
    }
    let group = |group: &Input<'_>| {
        let arn = group.member("TargetGroupArn").required_text()?;
        // One group alone gets everything whatever its weight.
        let weight = group.member("Weight").integer()?.or((given.len() == 1).then_some(1));
        match weight.map(u32::try_from) {
            Some(Ok(weight)) if weight <= HEAVIEST => Ok(WeightedGroup { arn, weight }),
            _ => {
                let found = weight.map_or("no weight".into(), |weight| format!("weight {weight}"));
                Err(Fault::validation(format!(
                    "The weight for each target group must be between 0 and {HEAVIEST}, inclusive; '{arn}' has {found}"
                )))
            }
        }
    };
    given.iter().map(group).collect()
}

impl Forward {
    fn render(&self) -> Members {
        let group = |group: &WeightedGroup| {
            Members::new().with("TargetGroupArn", &group.arn).with("Weight", group.weight)
        };
        let stickiness = Members::new()
            .with("Enabled", self.stickiness_enabled)
            .maybe("DurationSeconds", self.stickiness_seconds);
        Members::new()
            .with("TargetGroups", self.groups.iter().map(group).collect::<Vec<_>>())
            .with("TargetGroupStickinessConfig", stickiness)
    }
}

fn read_redirect(input: &Input<'_>) -> Result<Redirect, Fault> {
    let status_input = input.member("StatusCode");
    let status = status_input.choice(&["HTTP_301", "HTTP_302"])?;
    let status = status.ok_or_else(|| Fault::missing(status_input.path()))?;
    let part = |name: &str, least: usize, default: &str| {
        Ok(input.member(name).sized_text(least..=128)?.unwrap_or_else(|| default.to_owned()))
    };
    let redirect = Redirect {
        protocol: part("Protocol", 1, "#{protocol}")?,
        host: part("Host", 1, "#{host}")?,
        port: part("Port", 1, "#{port}")?,
        path: part("Path", 1, "/#{path}")?,
        query: part("Query", 0, "#{query}")?,
        permanent: status == "HTTP_301",
    };
    if !matches!(redirect.protocol.as_str(), "HTTP" | "HTTPS" | "#{protocol}") {
        return Err(invalid_action(format!(
            "Redirect protocol '{}' must be HTTP, HTTPS or #{{protocol}}",
            redirect.protocol
        )));
    }
    if redirect.port != "#{port}" && !redirect.port.parse::<u16>().is_ok_and(|port| port > 0) {
        return Err(invalid_action(format!(
            "Redirect port '{}' must be between 1 and 65535 or #{{port}}",
            redirect.port
        )));
    }
    if !redirect.path.starts_with('/') {
        return Err(invalid_action(format!(
            "Redirect path '{}' must start with a '/' character",
            redirect.path
        )));
    }
    let unchanged = redirect.protocol == "#{protocol}"
        && redirect.host == "#{host}"
        && redirect.port == "#{port}"
        && redirect.path == "/#{path}";
    if unchanged {
        return Err(invalid_action(
            "The redirect configuration is not valid because it creates a loop: at least one of protocol, port, \
             host and path must differ",
        ));
    }
    Ok(redirect)
}

impl Redirect {
    fn render(&self) -> Members {
        Members::new()
            .with("Protocol", &self.protocol)
            .with("Port", &self.port)
            .with("Host", &self.host)
            .with("Path", &self.path)
            .with("Query", &self.query)
            .with("StatusCode", if self.permanent { "HTTP_301" } else { "HTTP_302" })
    }
}

fn read_fixed(input: &Input<'_>) -> Result<FixedResponse, Fault> {
    let status_input = input.member("StatusCode");
    let status = status_input.required_text()?;
    let status = match status.parse::<u16>() {
        Ok(code) if matches!(code / 100, 2 | 4 | 5) && status.len() == 3 => code,
        _ => {
            return Err(status_input
                .broken(&status, "Member must satisfy regular expression pattern: ^(2|4|5)\\d\\d$"));
        }
    };
    let content_type = input.member("ContentType").text()?;
    if let Some(given) = &content_type
        && !CONTENT_TYPES.contains(&given.as_str())
    {
        return Err(invalid_action(format!(
            "Content type '{given}' must be one of [{}]",
            CONTENT_TYPES.join(", ")
        )));
    }
    let body = input.member("MessageBody").sized_text(0..=LONGEST_BODY)?.unwrap_or_default();
    Ok(FixedResponse { status, content_type, body })
}

impl FixedResponse {
    fn render(&self) -> Members {
        let body = (!self.body.is_empty()).then_some(&self.body);
        Members::new()
            .maybe("MessageBody", body)
            .with("StatusCode", self.status.to_string())
            .maybe("ContentType", self.content_type.as_ref())
    }
}

/// Nobody logs in here, so a client secret has no use: it is not kept, and AWS
/// does not answer it either.
fn read_authentication(kind: &str, config: &Input<'_>, required: &[&str]) -> Result<ActionKind, Fault> {
    for name in required {
        config.member(name).required_text()?;
    }
    config.member("SessionTimeout").integer_in(1u32..=604_800)?;
    config.member("OnUnauthenticatedRequest").choice(&["deny", "allow", "authenticate"])?;
    let parameters = config.member("AuthenticationRequestExtraParams").dictionary()?;
    let mut members = Members::new();
    if let Some(Value::Structure(given)) = config.value() {
        let kept = |name: &str| {
            !matches!(
                name,
                "ClientSecret"
                    | "UseExistingClientSecret"
                    | "AuthenticationRequestExtraParams"
                    | "AdditionalClaims"
            )
        };
        members.0.extend(given.0.iter().filter(|(name, _)| kept(name)).cloned());
    }
    let claims = config.member("AdditionalClaims").list()?.unwrap_or_default();
    let claims: Vec<Members> = claims.iter().map(read_claim).collect::<Result<_, _>>()?;
    members = members
        .maybe("AuthenticationRequestExtraParams", parameters.as_ref())
        .maybe("AdditionalClaims", (!claims.is_empty()).then_some(claims));
    Ok(ActionKind::Authenticate { kind: kind.to_owned(), config: members })
}

fn read_claim(input: &Input<'_>) -> Result<Members, Fault> {
    Ok(Members::new()
        .with("Format", input.member("Format").required_text()?)
        .with("Name", input.member("Name").required_text()?)
        .with("Values", input.member("Values").texts()?))
}
