//! The objects of load balancing, as they are stored.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::actions::Action;
use super::conditions::Condition;

/// Everything of one region, by ARN.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Elb {
    pub(crate) load_balancers: BTreeMap<String, LoadBalancer>,
    pub(crate) listeners: BTreeMap<String, Listener>,
    /// With the default rule of each listener.
    pub(crate) rules: BTreeMap<String, Rule>,
    pub(crate) target_groups: BTreeMap<String, TargetGroup>,
}

pub(crate) type Tags = BTreeMap<String, String>;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LoadBalancer {
    pub(crate) arn: String,
    pub(crate) settings: LoadBalancerSettings,
    pub(crate) created: Timestamp,
    pub(crate) dns_name: String,
    /// Those that differ from the defaults.
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) tags: Tags,
}

/// What CreateLoadBalancer fixes: a repeated call must bring the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LoadBalancerSettings {
    pub(crate) name: String,
    pub(crate) scheme: String,
    pub(crate) ip_address_type: String,
    pub(crate) subnets: BTreeSet<String>,
    pub(crate) security_groups: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Listener {
    pub(crate) arn: String,
    pub(crate) load_balancer_arn: String,
    pub(crate) settings: ListenerSettings,
    /// Where it really listens; absent for HTTPS, which is not served.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) tags: Tags,
}

/// What CreateListener fixes and ModifyListener changes, besides actions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ListenerSettings {
    /// The port asked for.
    pub(crate) port: u16,
    pub(crate) protocol: ListenerProtocol,
    pub(crate) ssl_policy: Option<String>,
    pub(crate) certificate_arn: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ListenerProtocol {
    Http,
    Https,
}

impl ListenerProtocol {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rule {
    pub(crate) arn: String,
    pub(crate) listener_arn: String,
    /// Absent for the default rule.
    pub(crate) priority: Option<u32>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) actions: Vec<Action>,
    pub(crate) tags: Tags,
}

impl Rule {
    pub(crate) fn is_default(&self) -> bool {
        self.priority.is_none()
    }

    /// ARNs of the target groups that it forwards to.
    pub(crate) fn target_groups(&self) -> impl Iterator<Item = &str> {
        self.actions.iter().flat_map(Action::target_groups)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TargetGroup {
    pub(crate) arn: String,
    pub(crate) settings: TargetGroupSettings,
    pub(crate) health_check: HealthCheckSettings,
    /// Those that differ from the defaults.
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) tags: Tags,
    pub(crate) targets: BTreeSet<TargetAddress>,
}

/// What CreateTargetGroup fixes for good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TargetGroupSettings {
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) vpc_id: String,
    /// `ip` or `instance`.
    pub(crate) target_type: String,
    pub(crate) ip_address_type: String,
}

/// What ModifyTargetGroup changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct HealthCheckSettings {
    /// `traffic-port` or a number.
    pub(crate) port: String,
    pub(crate) path: String,
    pub(crate) interval_seconds: u32,
    pub(crate) timeout_seconds: u32,
    pub(crate) healthy_threshold: u32,
    pub(crate) unhealthy_threshold: u32,
    pub(crate) matcher: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct TargetAddress {
    pub(crate) ip: IpAddr,
    pub(crate) port: u16,
}

impl Elb {
    /// The listeners of a load balancer, by port.
    pub(crate) fn listeners_of(&self, load_balancer_arn: &str) -> Vec<&Listener> {
        let mut found: Vec<&Listener> = self
            .listeners
            .values()
            .filter(|listener| listener.load_balancer_arn == load_balancer_arn)
            .collect();
        found.sort_by_key(|listener| listener.settings.port);
        found
    }

    /// The rules of a listener by priority, the default rule last.
    pub(crate) fn rules_of(&self, listener_arn: &str) -> Vec<&Rule> {
        let mut found: Vec<&Rule> =
            self.rules.values().filter(|rule| rule.listener_arn == listener_arn).collect();
        found.sort_by_key(|rule| rule.priority.unwrap_or(u32::MAX));
        found
    }

    /// The default rule of a listener.
    pub(crate) fn default_rule(&self, listener_arn: &str) -> &Rule {
        self.rules
            .values()
            .find(|rule| rule.listener_arn == listener_arn && rule.is_default())
            .expect("a listener is made and deleted together with its default rule")
    }

    /// The same, to change it.
    pub(crate) fn default_rule_mut(&mut self, listener_arn: &str) -> &mut Rule {
        self.rules
            .values_mut()
            .find(|rule| rule.listener_arn == listener_arn && rule.is_default())
            .expect("a listener is made and deleted together with its default rule")
    }

    /// ARNs of the target groups that the rules of a load balancer name.
    pub(crate) fn target_groups_of(&self, load_balancer_arn: &str) -> BTreeSet<&str> {
        let on_it = |rule: &&Rule| {
            self.listeners
                .get(&rule.listener_arn)
                .is_some_and(|listener| listener.load_balancer_arn == load_balancer_arn)
        };
        self.rules.values().filter(on_it).flat_map(Rule::target_groups).collect()
    }

    /// The load balancer whose rules name a target group.
    pub(crate) fn load_balancer_of_group(&self, target_group_arn: &str) -> Option<&str> {
        let rule =
            self.rules.values().find(|rule| rule.target_groups().any(|arn| arn == target_group_arn))?;
        self.listeners.get(&rule.listener_arn).map(|listener| listener.load_balancer_arn.as_str())
    }
}
