//! Load balancers in memory, for benchmarks of the controllers.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use okra_aws::{
    AwsError, Listener, LoadBalancers, Meaning, NewRule, Rule, RuleChange, RulePriority, Tags, TargetGroup,
    TargetHealth, TargetState, Write,
};
use okra_clock::SharedClock;
use okra_domain::{ListenerArn, RuleArn, TargetGroupArn};

/// Load balancers whose targets are all healthy.
pub(crate) struct InMemory {
    clock: SharedClock,
    rules: Mutex<BTreeMap<ListenerArn, BTreeMap<RuleArn, Rule>>>,
    tags: Mutex<BTreeMap<String, Tags>>,
    calls: AtomicUsize,
    /// When a rule was modified last, on the monotonic clock.
    pub(crate) modified: tokio::sync::watch::Sender<Duration>,
}

impl InMemory {
    pub(crate) fn new(clock: SharedClock) -> Self {
        Self {
            clock,
            rules: Mutex::default(),
            tags: Mutex::default(),
            calls: AtomicUsize::new(0),
            modified: tokio::sync::watch::Sender::new(Duration::ZERO),
        }
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    fn count(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    fn with_rules<T>(&self, listener: &ListenerArn, f: impl FnOnce(&mut BTreeMap<RuleArn, Rule>) -> T) -> T {
        self.count();
        let mut rules = self.rules.lock().expect("nobody panics while it holds the lock");
        f(rules.entry(listener.clone()).or_default())
    }
}

fn absent() -> AwsError {
    AwsError::new(Meaning::Absent, "elasticloadbalancing:DescribeRules", "RuleNotFound", "")
}

#[async_trait]
impl LoadBalancers for InMemory {
    async fn listener(&self, _: &ListenerArn) -> Result<Listener, AwsError> {
        unreachable!("the controllers do not read listeners")
    }

    async fn rules(&self, listener: &ListenerArn) -> Result<Vec<Rule>, AwsError> {
        Ok(self.with_rules(listener, |rules| rules.values().cloned().collect()))
    }

    async fn rules_by_arn(&self, arns: &[RuleArn]) -> Result<Vec<Rule>, AwsError> {
        let one = |arn: &RuleArn| {
            self.with_rules(&arn.listener(), |rules| rules.get(arn).cloned()).ok_or_else(absent)
        };
        arns.iter().map(one).collect()
    }

    async fn create_rule(&self, write: Write<'_>, new: &NewRule) -> Result<Rule, AwsError> {
        write.gate.check()?;
        let arn = new.listener.to_string().replace(":listener/", ":listener-rule/");
        let arn: RuleArn = format!("{arn}/{:04x}", new.priority).parse().expect("an ARN");
        let rule = Rule {
            arn: arn.clone(),
            priority: RulePriority::Number(new.priority),
            conditions: new.conditions.clone(),
            actions: new.actions.clone(),
            transforms: new.transforms.clone(),
        };
        self.tags.lock().expect("as above").insert(arn.to_string(), new.tags.clone());
        self.with_rules(&new.listener, |rules| rules.insert(arn, rule.clone()));
        Ok(rule)
    }

    async fn modify_rule(
        &self,
        write: Write<'_>,
        arn: &RuleArn,
        change: &RuleChange,
    ) -> Result<Rule, AwsError> {
        write.gate.check()?;
        let rule = self.with_rules(&arn.listener(), |rules| {
            let rule = rules.get_mut(arn)?;
            rule.conditions = change.conditions.clone().unwrap_or_else(|| rule.conditions.clone());
            rule.actions = change.actions.clone().unwrap_or_else(|| rule.actions.clone());
            Some(rule.clone())
        });
        self.modified.send_replace(self.clock.monotonic());
        rule.ok_or_else(absent)
    }

    async fn delete_rule(&self, _: Write<'_>, _: &RuleArn) -> Result<(), AwsError> {
        unreachable!("nothing is deleted")
    }

    async fn tags(&self, resources: &[String]) -> Result<BTreeMap<String, Tags>, AwsError> {
        self.count();
        let tags = self.tags.lock().expect("as above");
        let of = |arn: &String| (arn.clone(), tags.get(arn).cloned().unwrap_or_default());
        Ok(resources.iter().map(of).collect())
    }

    async fn add_tags(&self, _: Write<'_>, resource: &str, tags: &Tags) -> Result<(), AwsError> {
        self.count();
        self.tags.lock().expect("as above").entry(resource.to_owned()).or_default().extend(tags.clone());
        Ok(())
    }

    async fn target_health(&self, _: &TargetGroupArn) -> Result<Vec<TargetHealth>, AwsError> {
        self.count();
        let target = TargetHealth {
            id: "10.0.0.1".to_owned(),
            port: Some(80),
            state: TargetState::Healthy,
            reason: None,
            zonal_shift: false,
        };
        Ok(vec![target])
    }

    async fn target_groups(&self, _: &[TargetGroupArn]) -> Result<Vec<TargetGroup>, AwsError> {
        unreachable!("the controllers do not describe target groups")
    }
}
