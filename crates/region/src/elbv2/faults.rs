//! AWS's words for what is wrong with load balancing (`spec/aws.md` 1.11).

use super::arn::{self, Kind};
use super::model::{Elb, Listener, LoadBalancer, Rule, TargetGroup};
use crate::wire::Fault;

pub(super) fn load_balancer_not_found(name: &str) -> Fault {
    Fault::new("LoadBalancerNotFound", format!("Load balancers '[{name}]' not found"))
}

pub(super) fn listener_not_found(arn: &str) -> Fault {
    Fault::new("ListenerNotFound", format!("One or more listeners not found: '{arn}'"))
}

pub(super) fn rule_not_found(arn: &str) -> Fault {
    Fault::new("RuleNotFound", format!("One or more rules not found: '{arn}'"))
}

pub(super) fn target_group_not_found(arn: &str) -> Fault {
    Fault::new("TargetGroupNotFound", format!("One or more target groups not found: '{arn}'"))
}

/// A text where an ARN of a certain kind must stand.
fn invalid_arn(arn: &str, what: &str) -> Fault {
    Fault::validation(format!("'{arn}' is not a valid {what} ARN"))
}

fn of_kind(arn: &str, kind: Kind, what: &str) -> Result<(), Fault> {
    if arn::kind(arn) == Some(kind) { Ok(()) } else { Err(invalid_arn(arn, what)) }
}

impl Elb {
    pub(super) fn load_balancer(&self, arn: &str) -> Result<&LoadBalancer, Fault> {
        of_kind(arn, Kind::LoadBalancer, "load balancer")?;
        self.load_balancers.get(arn).ok_or_else(|| load_balancer_not_found(arn))
    }

    pub(super) fn load_balancer_mut(&mut self, arn: &str) -> Result<&mut LoadBalancer, Fault> {
        of_kind(arn, Kind::LoadBalancer, "load balancer")?;
        self.load_balancers.get_mut(arn).ok_or_else(|| load_balancer_not_found(arn))
    }

    pub(super) fn listener(&self, arn: &str) -> Result<&Listener, Fault> {
        of_kind(arn, Kind::Listener, "listener")?;
        self.listeners.get(arn).ok_or_else(|| listener_not_found(arn))
    }

    pub(super) fn listener_mut(&mut self, arn: &str) -> Result<&mut Listener, Fault> {
        of_kind(arn, Kind::Listener, "listener")?;
        self.listeners.get_mut(arn).ok_or_else(|| listener_not_found(arn))
    }

    pub(super) fn rule(&self, arn: &str) -> Result<&Rule, Fault> {
        of_kind(arn, Kind::Rule, "listener rule")?;
        self.rules.get(arn).ok_or_else(|| rule_not_found(arn))
    }

    pub(super) fn rule_mut(&mut self, arn: &str) -> Result<&mut Rule, Fault> {
        of_kind(arn, Kind::Rule, "listener rule")?;
        self.rules.get_mut(arn).ok_or_else(|| rule_not_found(arn))
    }

    pub(super) fn target_group(&self, arn: &str) -> Result<&TargetGroup, Fault> {
        of_kind(arn, Kind::TargetGroup, "target group")?;
        self.target_groups.get(arn).ok_or_else(|| target_group_not_found(arn))
    }

    pub(super) fn target_group_mut(&mut self, arn: &str) -> Result<&mut TargetGroup, Fault> {
        of_kind(arn, Kind::TargetGroup, "target group")?;
        self.target_groups.get_mut(arn).ok_or_else(|| target_group_not_found(arn))
    }
}
