//! One pass over a rule: read, plan, write, read back.

use std::time::Duration;

use okra_aws::{
    AwsError, Forward, Meaning, NewRule, Rule, RuleChange, RulePriority, Stickiness, Tags, Urgency,
    WeightedTargetGroup, Write,
};
use okra_domain::{Reason, RuleArn};

use super::compare::{Difference, Weights, actions_with, conditions_to_write, desired_weights, difference};
use super::desired::{AWS_WEIGHT_MAX, Desired, Overwrite};
use super::listeners::Listeners;
use super::memory::{Memory, Written};
use super::ownership::{Identity, Ownership, foreign_controller, ownership};
use super::plan::{Found, State, Step, View, plan};
use super::reasons::outcome_of;
use super::status::Outcome;
use crate::Context;

/// Between the two reads that make a drift (`spec/okra.md` 2.6.2b).
const DRIFT_SECOND_READ: Duration = Duration::from_millis(200);
/// How long after a write a read may show what it replaced.
const STALE_READS: Duration = Duration::from_secs(5);
/// How long a write is read back before it counts as not confirmed
/// (`spec/aws.md` 1.6), and how often.
const READ_BACK_LIMIT: Duration = Duration::from_secs(10);
const READ_BACK_FIRST_PAUSE: Duration = Duration::from_millis(50);
const READ_BACK_LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Plans in one pass: adopt, write, and one more read. A plan that still
/// wants something then wants it in the next pass.
const PLANS_MAX: usize = 4;

/// What a pass over a rule knows of its config.
pub(crate) struct Pass<'a> {
    pub(crate) context: &'a Context,
    pub(crate) listeners: &'a Listeners,
    pub(crate) desired: &'a Desired,
    pub(crate) identity: &'a Identity,
    /// The annotation `okra.mumo.co/adopt: "true"`.
    pub(crate) adopt: bool,
    pub(crate) generation: i64,
    /// `status.ruleARN`.
    pub(crate) recorded: Option<RuleArn>,
    /// The weights of `status.targetGroups`.
    pub(crate) confirmed: Weights,
    /// Whether this generation was confirmed before.
    pub(crate) spec_confirmed: bool,
    /// `status.drift.id`.
    pub(crate) known_drift: Option<String>,
}

/// What was seen of the rule in one read.
struct Seen {
    rule: Option<Rule>,
    ownership: Ownership,
}

impl Pass<'_> {
    /// Brings the rule to what is desired, as far as that may be done.
    pub(crate) async fn run(&self, memory: &mut Memory) -> Outcome {
        match self.try_run(memory).await {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::debug!(%error, "a pass over a rule ended early");
                outcome_of(&error)
            }
        }
    }

    async fn try_run(&self, memory: &mut Memory) -> Result<Outcome, AwsError> {
        let mut suspected: Option<Found> = None;
        let mut not_before = self.first_look(memory);
        for _ in 0..PLANS_MAX {
            let seen = self.read(memory, not_before).await?;
            not_before = self.context.clock.monotonic();
            match self.plan(memory, &seen) {
                Step::Refuse { reason, message } => return Ok(Outcome::Error { reason, message }),
                Step::Settled { retire } => {
                    let rule = seen.rule.expect("only a rule that is there can be settled");
                    return self.settle(memory, rule.arn, retire).await;
                }
                Step::Adopt => {
                    let rule = seen.rule.expect("only a rule that is there can be adopted");
                    self.adopt(memory, &rule).await?;
                }
                Step::Create(weights) => return self.create(memory, weights).await,
                Step::Modify(difference) => {
                    let rule = seen.rule.expect("only a rule that is there can be changed");
                    return self.modify(memory, &rule, difference).await;
                }
                Step::Stale => self.context.clock.sleep(DRIFT_SECOND_READ).await,
                Step::Drifted(found) => {
                    let known = self.known_drift.as_ref() == Some(&found.id);
                    if known || suspected.as_ref() == Some(&found) {
                        return Ok(Outcome::Drifted(found));
                    }
                    suspected = Some(found);
                    self.context.clock.sleep(DRIFT_SECOND_READ).await;
                }
            }
        }
        Ok(waiting("the rule has changed with every look at it"))
    }

    fn plan(&self, memory: &Memory, seen: &Seen) -> Step {
        let now = self.context.clock.monotonic();
        let written = memory.written.as_ref();
        let recent = written.filter(|written| now.saturating_sub(written.at) < STALE_READS);
        let foreign = memory.listener.as_ref().and_then(|(_, mark)| mark.as_deref());
        plan(&View {
            desired: self.desired,
            rule: seen.rule.as_ref(),
            ownership: seen.ownership.clone(),
            adopt: self.adopt,
            foreign,
            recorded: self.recorded.as_ref(),
            confirmed: &self.confirmed,
            spec_confirmed: self.spec_confirmed,
            written: written.map(|written| &written.after),
            replaced: recent.and_then(|written| written.before.as_ref()),
        })
    }

    /// How old the first look may be. What is to be written is compared with
    /// the newest; a rule at rest is verified by a read that another config has
    /// asked for, if that began after this one's own last write.
    fn first_look(&self, memory: &Memory) -> Duration {
        let now = self.context.clock.monotonic();
        if !self.spec_confirmed || self.known_drift.is_some() {
            return now;
        }
        let recent = now.saturating_sub(self.context.settings.sync_period / 2);
        // A moment later: a read that began with the answer may show what was before.
        let written = memory.written.as_ref().map(|written| written.at + STALE_READS);
        recent.max(written.unwrap_or_default()).min(now)
    }

    async fn read(&self, memory: &mut Memory, not_before: Duration) -> Result<Seen, AwsError> {
        let Context { load_balancers, clock, .. } = self.context;
        let listener = &self.desired.listener;
        let read = || load_balancers.rules(listener);
        let reading = self.listeners.rules(clock.as_ref(), listener, not_before, read).await?;
        let place = RulePriority::Number(self.desired.priority);
        let rule = reading.rules.iter().find(|rule| rule.priority == place).cloned();
        self.look_at_listener(memory).await?;
        let ownership = match &rule {
            Some(rule) => self.ownership_of(memory, rule).await?,
            None => Ownership::Unmarked,
        };
        memory.verified_at = Some(reading.begun);
        Ok(Seen { rule, ownership })
    }

    /// Whether another controller manages the load balancer, asked once.
    async fn look_at_listener(&self, memory: &mut Memory) -> Result<(), AwsError> {
        let listener = &self.desired.listener;
        if memory.listener.as_ref().is_some_and(|(known, _)| known == listener) {
            return Ok(());
        }
        let balancer = listener.load_balancer().to_string();
        let tags = self.context.load_balancers.tags(std::slice::from_ref(&balancer)).await?;
        let mark = tags.get(&balancer).and_then(foreign_controller);
        memory.listener = Some((listener.clone(), mark));
        Ok(())
    }

    /// Whose a rule is, asked once for each rule and generation. The user's
    /// tags are brought up to date on the way.
    async fn ownership_of(&self, memory: &mut Memory, rule: &Rule) -> Result<Ownership, AwsError> {
        let current = (rule.arn.clone(), self.generation);
        if memory.owned.as_ref() == Some(&current) {
            return Ok(Ownership::Own);
        }
        let arn = rule.arn.to_string();
        let mut tags = self.context.load_balancers.tags(std::slice::from_ref(&arn)).await?;
        let tags = tags.remove(&arn).unwrap_or_default();
        let owner = ownership(&tags, self.identity);
        if owner == Ownership::Own {
            let missing: Tags =
                self.tags().into_iter().filter(|(key, value)| tags.get(key) != Some(value)).collect();
            if !missing.is_empty() {
                self.context.load_balancers.add_tags(self.write(), &arn, &missing).await?;
            }
            memory.owned = Some(current);
        }
        Ok(owner)
    }

    async fn adopt(&self, memory: &mut Memory, rule: &Rule) -> Result<(), AwsError> {
        let port = &self.context.load_balancers;
        port.add_tags(self.write(), rule.arn.as_str(), &self.tags()).await?;
        memory.owned = Some((rule.arn.clone(), self.generation));
        tracing::info!(rule = %rule.arn, config = self.identity.name, "adopted a rule");
        Ok(())
    }

    async fn create(&self, memory: &mut Memory, weights: Weights) -> Result<Outcome, AwsError> {
        let old = self.old_rule().await?;
        let mut forward = self.forward(&weights);
        if old.is_none() {
            let off = Stickiness { enabled: false, duration_seconds: None };
            forward.stickiness = forward.stickiness.or(Some(off));
        }
        let new = NewRule {
            listener: self.desired.listener.clone(),
            priority: self.desired.priority,
            conditions: match &old {
                Some(old) => conditions_to_write(old, &self.desired.conditions),
                None => self.desired.conditions.clone(),
            },
            actions: actions_with(old.as_ref().map_or(&[], |old| &old.actions), forward),
            transforms: old.map(|old| old.transforms).unwrap_or_default(),
            tags: self.tags(),
        };
        tracing::info!(config = self.identity.name, ?weights, "writing a new rule");
        let after = State { weights, conditions: new.conditions.clone() };
        let made = self.context.load_balancers.create_rule(self.write(), &new).await;
        self.note(memory, None, after);
        let rule = self.written_rule(made)?;
        if let Some(rule) = &rule {
            memory.owned = Some((rule.clone(), self.generation));
        }
        self.read_back(memory, rule).await
    }

    async fn modify(
        &self,
        memory: &mut Memory,
        rule: &Rule,
        difference: Difference,
    ) -> Result<Outcome, AwsError> {
        let weights = desired_weights(&self.desired.groups);
        tracing::info!(config = self.identity.name, rule = %rule.arn, ?weights, "writing the rule");
        let conditions = conditions_to_write(rule, &self.desired.conditions);
        let after = State { weights: weights.clone(), conditions: conditions.clone() };
        let change = RuleChange {
            conditions: difference.conditions.then_some(conditions),
            actions: (difference.weights || difference.stickiness)
                .then(|| actions_with(&rule.actions, self.forward(&weights))),
        };
        let changed = self.context.load_balancers.modify_rule(self.write(), &rule.arn, &change).await;
        self.note(memory, Some(State::of(rule)), after);
        self.written_rule(changed)?;
        self.read_back(memory, Some(rule.arn.clone())).await
    }

    /// The ARN of a rule that was written; `None` when nobody knows whether
    /// it was, which reading back will tell.
    fn written_rule(&self, written: Result<Rule, AwsError>) -> Result<Option<RuleArn>, AwsError> {
        match written {
            Ok(rule) => Ok(Some(rule.arn)),
            Err(error) if error.meaning == Meaning::UnknownOutcome => {
                tracing::info!(%error, "a write of unknown outcome is read back");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Reads until AWS shows what is desired, for at most [`READ_BACK_LIMIT`].
    async fn read_back(&self, memory: &mut Memory, rule: Option<RuleArn>) -> Result<Outcome, AwsError> {
        let clock = &self.context.clock;
        let deadline = clock.monotonic() + READ_BACK_LIMIT;
        let weights = desired_weights(&self.desired.groups);
        let mut pause = READ_BACK_FIRST_PAUSE;
        loop {
            let found = self.read_rule(rule.as_ref()).await?;
            if let Some(found) = &found
                && difference(found, self.desired, &weights).is_none()
            {
                memory.verified_at = Some(clock.monotonic());
                let retire = self.recorded.clone().filter(|recorded| *recorded != found.arn);
                return self.settle(memory, found.arn.clone(), retire).await;
            }
            if clock.monotonic() + pause > deadline {
                let message = format!("AWS does not show the write after {} s", READ_BACK_LIMIT.as_secs());
                return Ok(waiting(&message));
            }
            clock.sleep(pause).await;
            pause = (pause * 2).min(READ_BACK_LONGEST_PAUSE);
        }
    }

    /// The rule by its ARN, or by its place while nobody knows that.
    async fn read_rule(&self, rule: Option<&RuleArn>) -> Result<Option<Rule>, AwsError> {
        let port = &self.context.load_balancers;
        let Some(arn) = rule else {
            let place = RulePriority::Number(self.desired.priority);
            let rules = port.rules(&self.desired.listener).await?;
            return Ok(rules.into_iter().find(|rule| rule.priority == place));
        };
        match port.rules_by_arn(std::slice::from_ref(arn)).await {
            Ok(rules) => Ok(rules.into_iter().next()),
            // A rule just made may not be everywhere yet.
            Err(error) if error.meaning == Meaning::Absent => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// AWS shows what is desired; an old rule of this object goes.
    async fn settle(
        &self,
        memory: &mut Memory,
        rule: RuleArn,
        retire: Option<RuleArn>,
    ) -> Result<Outcome, AwsError> {
        let seen_at = self.context.clock.now();
        if let Some(old) = retire {
            delete_if_own(self.context, &old, self.identity, self.write()).await?;
        }
        memory.failures = 0;
        Ok(Outcome::Confirmed { rule, seen_at })
    }

    /// The rule at the former listener or priority, if it is there and this
    /// object's: what it holds besides weights moves with the object.
    async fn old_rule(&self) -> Result<Option<Rule>, AwsError> {
        let Some(arn) = &self.recorded else { return Ok(None) };
        let Some(rule) = self.read_rule(Some(arn)).await? else { return Ok(None) };
        let tags = self.context.load_balancers.tags(&[arn.to_string()]).await?;
        let own = tags.values().any(|tags| ownership(tags, self.identity) == Ownership::Own);
        Ok(Some(rule).filter(|_| own))
    }

    fn note(&self, memory: &mut Memory, before: Option<State>, after: State) {
        let at = self.context.clock.monotonic();
        memory.written = Some(Written { at, before, after });
    }

    fn forward(&self, weights: &Weights) -> Forward {
        let group = |group: &super::desired::DesiredGroup| WeightedTargetGroup {
            arn: group.arn.clone(),
            weight: Some(weights.get(&group.arn).copied().unwrap_or(0).min(AWS_WEIGHT_MAX)),
        };
        Forward {
            order: None,
            target_groups: self.desired.groups.iter().map(group).collect(),
            stickiness: self.desired.stickiness,
        }
    }

    /// okra's tags over the user's.
    fn tags(&self) -> Tags {
        let mut tags = self.desired.tags.clone();
        tags.extend(self.identity.tags());
        tags
    }

    fn write(&self) -> Write<'_> {
        let urgent = self.desired.overwrite == Overwrite::Always;
        let urgency = if urgent { Urgency::Urgent } else { Urgency::Normal };
        Write { urgency, gate: &self.context.fence }
    }
}

/// Deletes a rule that bears the tags of this object; any other stays.
pub(crate) async fn delete_if_own(
    context: &Context,
    rule: &RuleArn,
    identity: &Identity,
    write: Write<'_>,
) -> Result<(), AwsError> {
    let gone = |error: &AwsError| error.meaning == Meaning::Absent;
    let tags = match context.load_balancers.tags(&[rule.to_string()]).await {
        Ok(tags) => tags,
        Err(error) if gone(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    if !tags.values().any(|tags| ownership(tags, identity) == Ownership::Own) {
        tracing::info!(%rule, "a rule without the tags of this object is left alone");
        return Ok(());
    }
    match context.load_balancers.delete_rule(write, rule).await {
        Err(error) if !gone(&error) => Err(error),
        _ => Ok(()),
    }
}

fn waiting(message: &str) -> Outcome {
    Outcome::Pending { reason: Reason::WaitingForLoadBalancer, message: message.to_owned() }
}
