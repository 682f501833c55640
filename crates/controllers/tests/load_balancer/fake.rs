//! Load balancers in memory, with the faults that AWS has.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use okra_aws::{
    Action, AwsError, Condition, Forward, Listener, LoadBalancers, Meaning, NewRule, Rule, RuleChange,
    RulePriority, Tags, TargetGroup, TargetHealth, TargetState, WeightedTargetGroup, Write,
};
use okra_domain::{ListenerArn, RuleArn, TargetGroupArn};

pub(crate) const ELB: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012";

pub(crate) fn listener() -> ListenerArn {
    format!("{ELB}:listener/app/web/50dc/f2f7").parse().unwrap()
}

pub(crate) fn group(name: &str) -> TargetGroupArn {
    format!("{ELB}:targetgroup/{name}/73e2").parse().unwrap()
}

/// What becomes of a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// Refused with this meaning and code.
    Refused(Meaning, &'static str),
    /// The request is lost: not done, no answer.
    LostBefore,
    /// The answer is lost: done, no answer.
    LostAfter,
    /// Done and answered; the next reads still show what was before.
    StaleReads(u32),
}

#[derive(Default)]
struct World {
    rules: BTreeMap<RuleArn, Rule>,
    tags: BTreeMap<String, Tags>,
    healthy: BTreeMap<TargetGroupArn, usize>,
    faults: VecDeque<Fault>,
    stale: Option<(u32, BTreeMap<RuleArn, Rule>)>,
    gone: bool,
    made: u32,
    reads: u64,
    writes: Vec<String>,
}

/// One load balancer with one listener.
#[derive(Default)]
pub(crate) struct Fake(Mutex<World>);

impl Fake {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().expect("no test panics while it holds the lock")
    }

    /// The next writes meet these faults, in order.
    pub(crate) fn fail_next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.world().faults.extend(faults);
    }

    /// Targets that are healthy in a group.
    pub(crate) fn set_healthy(&self, name: &str, healthy: usize) {
        self.world().healthy.insert(group(name), healthy);
    }

    /// The listener disappears.
    pub(crate) fn lose_listener(&self) {
        self.world().gone = true;
    }

    /// Somebody else makes or changes the rule at a priority.
    pub(crate) fn by_hand(&self, priority: u32, host: &str, weights: &[(&str, u32)]) {
        let mut world = self.world();
        let found = world.rules.values().find(|rule| rule.priority == RulePriority::Number(priority));
        let arn = found.map(|rule| rule.arn.clone()).unwrap_or_else(|| world.next_arn());
        let rule = Rule {
            arn: arn.clone(),
            priority: RulePriority::Number(priority),
            conditions: vec![Condition::HostHeader(vec![host.to_owned()])],
            actions: vec![Action::Forward(Forward {
                target_groups: weights
                    .iter()
                    .map(|(name, weight)| WeightedTargetGroup { arn: group(name), weight: Some(*weight) })
                    .collect(),
                ..Forward::default()
            })],
            transforms: Default::default(),
        };
        world.rules.insert(arn, rule);
    }

    /// Somebody else deletes the rule at a priority.
    pub(crate) fn delete_by_hand(&self, priority: u32) {
        self.world().rules.retain(|_, rule| rule.priority != RulePriority::Number(priority));
    }

    /// How often rules were read.
    pub(crate) fn reads(&self) -> u64 {
        self.world().reads
    }

    /// Marks something as somebody's.
    pub(crate) fn tag(&self, resource: &str, tags: Tags) {
        self.world().tags.entry(resource.to_owned()).or_default().extend(tags);
    }

    /// Tags of the rule at a priority.
    pub(crate) fn tags_at(&self, priority: u32) -> Tags {
        let arn = self.rule(priority).expect("a rule").arn.to_string();
        self.world().tags.get(&arn).cloned().unwrap_or_default()
    }

    pub(crate) fn rule(&self, priority: u32) -> Option<Rule> {
        let world = self.world();
        world.rules.values().find(|rule| rule.priority == RulePriority::Number(priority)).cloned()
    }

    /// Weights of the rule at a priority, by name of target group.
    pub(crate) fn weights(&self, priority: u32) -> Vec<(String, u32)> {
        let rule = self.rule(priority);
        let forward = rule.as_ref().and_then(|rule| rule.forward());
        let groups = forward.map(|forward| forward.target_groups.as_slice()).unwrap_or_default();
        groups.iter().map(|group| (group.arn.name().to_owned(), group.weight.unwrap_or(1))).collect()
    }

    /// Every write that was asked for, by name of the call.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.world().writes.clone()
    }
}

impl World {
    fn next_arn(&mut self) -> RuleArn {
        self.made += 1;
        format!("{ELB}:listener-rule/app/web/50dc/f2f7/{:04x}", self.made).parse().unwrap()
    }

    fn read(&mut self) -> BTreeMap<RuleArn, Rule> {
        self.reads += 1;
        match &mut self.stale {
            Some((left, rules)) if *left > 0 => {
                *left -= 1;
                rules.clone()
            }
            _ => self.rules.clone(),
        }
    }

    /// Does a write with whatever fault is next.
    fn write<T>(
        &mut self,
        operation: &'static str,
        write: Write<'_>,
        change: impl FnOnce(&mut Self) -> Result<T, AwsError>,
    ) -> Result<T, AwsError> {
        write.gate.check()?;
        self.writes.push(operation.rsplit(':').next().unwrap_or_default().to_owned());
        let unknown = || AwsError::new(Meaning::UnknownOutcome, operation, "RequestTimeout", "");
        match self.faults.pop_front() {
            None => change(self),
            Some(Fault::Refused(meaning, code)) => {
                Err(AwsError::new(meaning, operation, code, "by the test"))
            }
            Some(Fault::LostBefore) => Err(unknown()),
            Some(Fault::LostAfter) => change(self).and_then(|_| Err(unknown())),
            Some(Fault::StaleReads(reads)) => {
                self.stale = Some((reads, self.rules.clone()));
                change(self)
            }
        }
    }
}

fn absent(operation: &'static str, code: &str) -> AwsError {
    AwsError::new(Meaning::Absent, operation, code, "")
}

#[async_trait]
impl LoadBalancers for Fake {
    async fn listener(&self, _: &ListenerArn) -> Result<Listener, AwsError> {
        unreachable!("the controller does not read listeners")
    }

    async fn rules(&self, listener: &ListenerArn) -> Result<Vec<Rule>, AwsError> {
        let mut world = self.world();
        if world.gone || *listener != self::listener() {
            return Err(absent("elasticloadbalancing:DescribeRules", "ListenerNotFound"));
        }
        Ok(world.read().into_values().collect())
    }

    async fn rules_by_arn(&self, rules: &[RuleArn]) -> Result<Vec<Rule>, AwsError> {
        let found = self.world().read();
        let one = |arn| {
            let rule: Option<&Rule> = found.get(arn);
            rule.cloned().ok_or_else(|| absent("elasticloadbalancing:DescribeRules", "RuleNotFound"))
        };
        rules.iter().map(one).collect()
    }

    async fn create_rule(&self, write: Write<'_>, rule: &NewRule) -> Result<Rule, AwsError> {
        const OPERATION: &str = "elasticloadbalancing:CreateRule";
        self.world().write(OPERATION, write, |world| {
            let priority = RulePriority::Number(rule.priority);
            if world.rules.values().any(|other| other.priority == priority) {
                return Err(AwsError::new(Meaning::Exists, OPERATION, "PriorityInUse", ""));
            }
            let made = Rule {
                arn: world.next_arn(),
                priority,
                conditions: rule.conditions.clone(),
                actions: rule.actions.clone(),
                transforms: rule.transforms.clone(),
            };
            world.tags.insert(made.arn.to_string(), rule.tags.clone());
            world.rules.insert(made.arn.clone(), made.clone());
            Ok(made)
        })
    }

    async fn modify_rule(
        &self,
        write: Write<'_>,
        rule: &RuleArn,
        change: &RuleChange,
    ) -> Result<Rule, AwsError> {
        const OPERATION: &str = "elasticloadbalancing:ModifyRule";
        self.world().write(OPERATION, write, |world| {
            let rule = world.rules.get_mut(rule).ok_or_else(|| absent(OPERATION, "RuleNotFound"))?;
            rule.conditions = change.conditions.clone().unwrap_or_else(|| rule.conditions.clone());
            rule.actions = change.actions.clone().unwrap_or_else(|| rule.actions.clone());
            Ok(rule.clone())
        })
    }

    async fn delete_rule(&self, write: Write<'_>, rule: &RuleArn) -> Result<(), AwsError> {
        const OPERATION: &str = "elasticloadbalancing:DeleteRule";
        self.world().write(OPERATION, write, |world| {
            world.rules.remove(rule).map(|_| ()).ok_or_else(|| absent(OPERATION, "RuleNotFound"))
        })
    }

    async fn tags(&self, resources: &[String]) -> Result<BTreeMap<String, Tags>, AwsError> {
        let world = self.world();
        let tags = |arn: &String| (arn.clone(), world.tags.get(arn).cloned().unwrap_or_default());
        Ok(resources.iter().map(tags).collect())
    }

    async fn add_tags(&self, write: Write<'_>, resource: &str, tags: &Tags) -> Result<(), AwsError> {
        self.world().write("elasticloadbalancing:AddTags", write, |world| {
            world.tags.entry(resource.to_owned()).or_default().extend(tags.clone());
            Ok(())
        })
    }

    async fn target_health(&self, group: &TargetGroupArn) -> Result<Vec<TargetHealth>, AwsError> {
        let healthy = self.world().healthy.get(group).copied();
        let healthy = healthy
            .ok_or_else(|| absent("elasticloadbalancing:DescribeTargetHealth", "TargetGroupNotFound"))?;
        let target = |index: usize| TargetHealth {
            id: format!("10.0.0.{index}"),
            port: Some(80),
            state: if index < healthy { TargetState::Healthy } else { TargetState::Unhealthy },
            reason: None,
            zonal_shift: false,
        };
        Ok((0..2).map(target).collect())
    }

    async fn target_groups(&self, _: &[TargetGroupArn]) -> Result<Vec<TargetGroup>, AwsError> {
        unreachable!("the controller does not describe target groups")
    }
}
