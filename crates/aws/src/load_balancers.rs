//! The port to Elastic Load Balancing v2: rules, their weights, and the
//! health of targets.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use aws_sdk_elasticloadbalancingv2::types as sdk;
use okra_domain::{ListenerArn, LoadBalancerArn, RuleArn, TargetGroupArn};

use crate::{AwsError, Write};

/// Tags of one resource.
pub type Tags = BTreeMap<String, String>;

/// A listener, as far as okra reads it.
#[derive(Clone, PartialEq, Debug)]
pub struct Listener {
    /// Its ARN.
    pub arn: ListenerArn,
    /// The load balancer it belongs to.
    pub load_balancer: LoadBalancerArn,
    /// The port it was asked to listen on.
    pub port: Option<u16>,
    /// `HTTP`, `HTTPS`, `TCP` and so on.
    pub protocol: Option<String>,
    /// What is done with a request that no rule matches.
    pub default_actions: Vec<Action>,
}

/// Where a rule stands among the rules of its listener.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RulePriority {
    /// 1 to 50000; the lowest is evaluated first.
    Number(u32),
    /// The listener's default rule, evaluated last.
    Default,
}

impl fmt::Display for RulePriority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A rule of a listener, with everything in it, understood or kept.
#[derive(Clone, PartialEq, Debug)]
pub struct Rule {
    /// Its ARN.
    pub arn: RuleArn,
    /// Its place.
    pub priority: RulePriority,
    /// All must match.
    pub conditions: Vec<Condition>,
    /// In the order of AWS's answer; the last one decides where a request goes.
    pub actions: Vec<Action>,
    /// Rewrites, which okra only keeps.
    pub transforms: KeptTransforms,
}

impl Rule {
    /// The forward action, if that is what the rule ends with.
    pub fn forward(&self) -> Option<&Forward> {
        self.actions.iter().find_map(|action| match action {
            Action::Forward(forward) => Some(forward),
            Action::Kept(_) => None,
        })
    }
}

/// One condition of a rule (`spec/okra.md` 2.5, `spec/aws.md` 1.5).
#[derive(Clone, PartialEq, Debug)]
pub enum Condition {
    /// Host names with wildcards.
    HostHeader(Vec<String>),
    /// Paths with wildcards.
    PathPattern(Vec<String>),
    /// Methods in upper case.
    HttpRequestMethod(Vec<String>),
    /// CIDR blocks.
    SourceIp(Vec<String>),
    /// Values of one header.
    HttpHeader {
        /// Name of the header.
        name: String,
        /// Values with wildcards.
        values: Vec<String>,
    },
    /// Pairs of key and value; a pair without key matches the value under any key.
    QueryString(Vec<(Option<String>, String)>),
    /// A condition that okra does not write, such as regular expressions.
    Kept(KeptCondition),
}

/// A condition that okra writes back as it read it.
#[derive(Clone, PartialEq, Debug)]
pub struct KeptCondition(pub(crate) Box<sdk::RuleCondition>);

impl KeptCondition {
    /// Host names as regular expressions.
    pub fn host_regex(patterns: impl IntoIterator<Item = String>) -> Self {
        let patterns = patterns.into_iter().collect();
        let config = sdk::HostHeaderConditionConfig::builder().set_regex_values(Some(patterns));
        let condition = sdk::RuleCondition::builder().field("host-header").host_header_config(config.build());
        Self(Box::new(condition.build()))
    }

    /// The field it looks at, such as `host-header`.
    pub fn field(&self) -> &str {
        self.0.field().unwrap_or_default()
    }
}

/// Transforms of a rule, written back as they were read.
#[derive(Clone, PartialEq, Default)]
pub struct KeptTransforms(pub(crate) Vec<sdk::RuleTransform>);

impl KeptTransforms {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for KeptTransforms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeptTransforms({})", self.0.len())
    }
}

/// What a rule does with a request.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Weighted forwarding, the only action that okra writes itself.
    Forward(Forward),
    /// Authentication before it, or a redirect or fixed response in its place.
    Kept(KeptAction),
}

impl Action {
    /// The type as AWS writes it, such as `forward`.
    pub fn kind(&self) -> &str {
        match self {
            Self::Forward(_) => "forward",
            Self::Kept(kept) => kept.kind(),
        }
    }
}

/// A weighted forward action, with both reported forms brought to this one
/// (`spec/aws.md` 1.2).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Forward {
    /// Place among the actions, where the rule has several.
    pub order: Option<i32>,
    /// In the order of AWS's answer.
    pub target_groups: Vec<WeightedTargetGroup>,
    /// Absent where AWS reports none.
    pub stickiness: Option<Stickiness>,
}

/// A target group and its relative weight.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct WeightedTargetGroup {
    /// The target group.
    pub arn: TargetGroupArn,
    /// 0 to 999; AWS may leave it out where there is a single group.
    pub weight: Option<u32>,
}

/// Stickiness of a forward action to a target group (`spec/aws.md` 1.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stickiness {
    /// Whether cookies keep a client at its group.
    pub enabled: bool,
    /// 1 to 604800, required when enabled on an ALB.
    pub duration_seconds: Option<u32>,
}

/// An action that okra writes back as it read it.
#[derive(Clone, PartialEq)]
pub struct KeptAction(pub(crate) Box<sdk::Action>);

impl KeptAction {
    /// A fixed response with nothing but a status.
    pub fn fixed_response(status: u16) -> Self {
        let config = sdk::FixedResponseActionConfig::builder().status_code(status.to_string()).build();
        let action =
            sdk::Action::builder().r#type(sdk::ActionTypeEnum::FixedResponse).fixed_response_config(config);
        Self(Box::new(action.build()))
    }

    /// An authentication by OpenID Connect before the routing action. The
    /// secret is the one AWS already has: it is never reported.
    pub fn authenticate_oidc(order: i32, issuer: &str, client_id: &str) -> Self {
        let config = sdk::AuthenticateOidcActionConfig::builder()
            .issuer(issuer)
            .authorization_endpoint(format!("{issuer}/authorize"))
            .token_endpoint(format!("{issuer}/token"))
            .user_info_endpoint(format!("{issuer}/userinfo"))
            .client_id(client_id)
            .use_existing_client_secret(true)
            .build();
        let action = sdk::Action::builder()
            .r#type(sdk::ActionTypeEnum::AuthenticateOidc)
            .order(order)
            .authenticate_oidc_config(config);
        Self(Box::new(action.build()))
    }

    /// The type as AWS writes it, such as `authenticate-oidc`.
    pub fn kind(&self) -> &str {
        self.0.r#type().map(sdk::ActionTypeEnum::as_str).unwrap_or_default()
    }

    /// Place among the actions.
    pub fn order(&self) -> Option<i32> {
        self.0.order()
    }
}

/// Only type and place: the rest may hold a client secret.
impl fmt::Debug for KeptAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeptAction({} {:?})", self.kind(), self.order())
    }
}

/// A rule to be made.
#[derive(Clone, PartialEq, Debug)]
pub struct NewRule {
    /// On which listener.
    pub listener: ListenerArn,
    /// 1 to 50000, not in use on that listener.
    pub priority: u32,
    /// At least one.
    pub conditions: Vec<Condition>,
    /// In order, the routing action last.
    pub actions: Vec<Action>,
    /// Carried over from a rule that this one replaces.
    pub transforms: KeptTransforms,
    /// Tags that say whose rule it is.
    pub tags: Tags,
}

/// A change of a rule: what is absent stays, a list that is given replaces
/// the whole list (`spec/aws.md` 1.6).
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RuleChange {
    /// All conditions.
    pub conditions: Option<Vec<Condition>>,
    /// All actions, kept ones included.
    pub actions: Option<Vec<Action>>,
}

/// A target group, as far as okra reads it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TargetGroup {
    /// Its ARN.
    pub arn: TargetGroupArn,
    /// Its name.
    pub name: String,
    /// `HTTP`, `HTTPS`, `TCP` and so on; absent for lambda.
    pub protocol: Option<String>,
    /// The default port of its targets.
    pub port: Option<u16>,
    /// `instance`, `ip`, `lambda` or `alb`.
    pub target_type: Option<String>,
    /// The load balancers that use it: none or one.
    pub load_balancers: Vec<LoadBalancerArn>,
}

/// Health of one target (`spec/aws.md` 1.7).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TargetHealth {
    /// Instance id, address or ARN.
    pub id: String,
    /// Port it is reached at.
    pub port: Option<u16>,
    /// What the load balancer thinks of it.
    pub state: TargetState,
    /// Code of the reason, such as `Target.FailedHealthChecks`.
    pub reason: Option<String>,
    /// Whether a zonal shift keeps traffic from it.
    pub zonal_shift: bool,
}

/// State of a target.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum TargetState {
    /// Registration or first checks are going on.
    Initial,
    /// Passes its checks.
    Healthy,
    /// Fails its checks.
    Unhealthy,
    /// Fails its checks and keeps its flows until they end (NLB).
    UnhealthyDraining,
    /// Gets no traffic: its group is not attached, or its zone not enabled.
    Unused,
    /// Was deregistered and finishes what it has.
    Draining,
    /// Health is not known.
    Unavailable,
    /// A state that this version of okra does not know.
    Other(String),
}

impl TargetHealth {
    /// Whether it counts as a target of its group: a leaving one does not.
    pub fn is_registered(&self) -> bool {
        self.state != TargetState::Draining
    }

    /// Whether it may be given traffic.
    pub fn is_healthy(&self) -> bool {
        self.state == TargetState::Healthy
    }
}

/// Load balancers of all regions: the region of a call is that of its ARN.
///
/// Reads page to the end or fail; a part is never returned. Writes are tried
/// once: after [`Meaning::UnknownOutcome`](crate::Meaning::UnknownOutcome)
/// the caller reads back.
#[async_trait]
pub trait LoadBalancers: Send + Sync {
    /// One listener.
    ///
    /// # Errors
    /// [`Meaning::Absent`](crate::Meaning::Absent) when there is none.
    async fn listener(&self, listener: &ListenerArn) -> Result<Listener, AwsError>;

    /// All rules of a listener, the default rule included, in AWS's order.
    ///
    /// # Errors
    /// [`Meaning::Absent`](crate::Meaning::Absent) when there is no such listener.
    async fn rules(&self, listener: &ListenerArn) -> Result<Vec<Rule>, AwsError>;

    /// The rules with these ARNs, all of one region.
    ///
    /// # Errors
    /// [`Meaning::Absent`](crate::Meaning::Absent) when one of them is gone.
    async fn rules_by_arn(&self, rules: &[RuleArn]) -> Result<Vec<Rule>, AwsError>;

    /// Makes a rule and returns it as AWS reports it.
    ///
    /// # Errors
    /// [`Meaning::Exists`](crate::Meaning::Exists) when the priority is in use.
    async fn create_rule(&self, write: Write<'_>, rule: &NewRule) -> Result<Rule, AwsError>;

    /// Changes a rule and returns it as AWS reports it.
    ///
    /// # Errors
    /// [`Meaning::Unsupported`](crate::Meaning::Unsupported), without a call, when the change
    /// holds an action of a type that could not be written back whole.
    async fn modify_rule(
        &self,
        write: Write<'_>,
        rule: &RuleArn,
        change: &RuleChange,
    ) -> Result<Rule, AwsError>;

    /// Deletes a rule.
    ///
    /// # Errors
    /// [`Meaning::Absent`](crate::Meaning::Absent) when it is gone already.
    async fn delete_rule(&self, write: Write<'_>, rule: &RuleArn) -> Result<(), AwsError>;

    /// Tags of load balancers, listeners, rules or target groups of one
    /// region, by ARN, any number of them.
    ///
    /// # Errors
    /// [`Meaning::Absent`](crate::Meaning::Absent) when one of them is gone.
    async fn tags(&self, resources: &[String]) -> Result<BTreeMap<String, Tags>, AwsError>;

    /// Adds tags to one resource; others it has stay.
    ///
    /// # Errors
    /// [`Meaning::Absent`](crate::Meaning::Absent) when it is gone.
    async fn add_tags(&self, write: Write<'_>, resource: &str, tags: &Tags) -> Result<(), AwsError>;

    /// The health of all registered targets of a group.
    ///
    /// # Errors
    /// [`Meaning::Absent`](crate::Meaning::Absent) when the group is gone.
    async fn target_health(&self, group: &TargetGroupArn) -> Result<Vec<TargetHealth>, AwsError>;

    /// The target groups with these ARNs, all of one region.
    ///
    /// # Errors
    /// [`Meaning::Absent`](crate::Meaning::Absent) when one of them is gone.
    async fn target_groups(&self, groups: &[TargetGroupArn]) -> Result<Vec<TargetGroup>, AwsError>;
}
