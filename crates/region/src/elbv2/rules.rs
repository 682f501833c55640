//! CreateRule, DescribeRules, ModifyRule, DeleteRule, SetRulePriorities.

use std::collections::BTreeMap;

use super::actions::{self, Action};
use super::model::{Elb, Rule};
use super::{arn, conditions, paging, quota, tags};
use crate::context::Context;
use crate::wire::{Fault, Input, Members};

pub(super) const LOWEST_PRIORITY: u32 = 50_000;

pub(super) fn create(elb: &mut Elb, input: &Input<'_>, context: &Context<'_>) -> Result<Members, Fault> {
    let listener = elb.listener(&input.member("ListenerArn").required_text()?)?.clone();
    let priority_input = input.member("Priority");
    let priority = priority_input.integer_in(1u32..=LOWEST_PRIORITY)?;
    let priority = priority.ok_or_else(|| Fault::missing(priority_input.path()))?;
    refuse_transforms(input)?;
    let rule = Rule {
        arn: arn::rule(&listener.arn, &context.new_id()),
        listener_arn: listener.arn.clone(),
        priority: Some(priority),
        conditions: conditions::read(&input.member("Conditions"))?,
        actions: actions::read(&input.member("Actions"), listener.settings.protocol)?,
        tags: tags::read_new(input)?,
    };
    if elb.rules_of(&listener.arn).iter().any(|other| other.priority == rule.priority) {
        return Err(priority_in_use(priority));
    }
    let listeners = elb.listeners_of(&listener.load_balancer_arn);
    // The default rule of each listener does not count.
    let count: usize = listeners.iter().map(|listener| elb.rules_of(&listener.arn).len() - 1).sum();
    if count >= quota::RULES_PER_LOAD_BALANCER {
        return Err(Fault::new(
            "TooManyRules",
            format!(
                "The maximum number of rules on a load balancer, {}, has been reached",
                quota::RULES_PER_LOAD_BALANCER
            ),
        ));
    }
    elb.rules.insert(rule.arn.clone(), rule.clone());
    actions::check(elb, &rule.actions, &listener.load_balancer_arn)?;
    Ok(answer(vec![render(&rule)]))
}

pub(super) fn describe(elb: &Elb, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let listener = input.member("ListenerArn").text()?;
    let arns = input.member("RuleArns").texts()?;
    let all = match (listener, arns.is_empty()) {
        (Some(listener), true) => elb.rules_of(&elb.listener(&listener)?.arn),
        (None, false) => arns.iter().map(|arn| elb.rule(arn)).collect::<Result<_, _>>()?,
        _ => {
            return Err(Fault::validation("You must specify either listener ARN or rule ARNs, and not both"));
        }
    };
    let (page, next) = paging::page(&all, input)?;
    let rendered = page.into_iter().map(|rule| render(rule)).collect();
    Ok(answer(rendered).maybe("NextMarker", next))
}

/// What is omitted stays; a list that is given replaces the whole list.
pub(super) fn modify(elb: &mut Elb, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let rule = elb.rule(&input.member("RuleArn").required_text()?)?.clone();
    refuse_default(&rule, "modified")?;
    refuse_transforms(input)?;
    let listener = elb.listener(&rule.listener_arn)?.clone();
    let (conditions, actions) = (input.member("Conditions"), input.member("Actions"));
    if !conditions.is_given() && !actions.is_given() {
        return Err(Fault::validation("Either conditions or actions must be specified"));
    }
    let mut changed = rule;
    if conditions.is_given() {
        changed.conditions = conditions::read(&conditions)?;
    }
    if actions.is_given() {
        changed.actions = actions::read(&actions, listener.settings.protocol)?;
    }
    elb.rules.insert(changed.arn.clone(), changed.clone());
    actions::check(elb, &changed.actions, &listener.load_balancer_arn)?;
    Ok(answer(vec![render(&changed)]))
}

pub(super) fn delete(elb: &mut Elb, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let rule = elb.rule(&input.member("RuleArn").required_text()?)?;
    refuse_default(rule, "deleted")?;
    let arn = rule.arn.clone();
    elb.rules.remove(&arn);
    Ok(Members::new())
}

/// All at once: two rules may exchange their priorities.
pub(super) fn set_priorities(elb: &mut Elb, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let mut wanted = BTreeMap::new();
    let pairs = input.member("RulePriorities");
    let given = pairs.list()?.ok_or_else(|| Fault::missing(pairs.path()))?;
    if given.is_empty() {
        return Err(Fault::validation("At least one rule priority must be specified"));
    }
    for pair in given {
        let rule = elb.rule(&pair.member("RuleArn").required_text()?)?;
        refuse_default(rule, "modified")?;
        let priority_input = pair.member("Priority");
        let priority = priority_input.integer_in(1u32..=LOWEST_PRIORITY)?;
        let priority = priority.ok_or_else(|| Fault::missing(priority_input.path()))?;
        if wanted.insert(rule.arn.clone(), priority).is_some() {
            return Err(Fault::validation(format!("Rule '{}' is given more than once", rule.arn)));
        }
    }
    for (arn, priority) in &wanted {
        elb.rule_mut(arn)?.priority = Some(*priority);
    }
    let mut changed = Vec::new();
    for (arn, priority) in &wanted {
        let rule = elb.rule(arn)?;
        let same = |other: &&Rule| other.priority == rule.priority;
        if elb.rules_of(&rule.listener_arn).into_iter().filter(same).count() > 1 {
            return Err(priority_in_use(*priority));
        }
        changed.push(render(rule));
    }
    Ok(answer(changed))
}

fn priority_in_use(priority: u32) -> Fault {
    Fault::new("PriorityInUse", format!("Priority '{priority}' is currently in use"))
}

fn refuse_default(rule: &Rule, verb: &str) -> Result<(), Fault> {
    if rule.is_default() {
        return Err(Fault::new(
            "OperationNotPermitted",
            format!("Default rule '{}' cannot be {verb}", rule.arn),
        ));
    }
    Ok(())
}

fn refuse_transforms(input: &Input<'_>) -> Result<(), Fault> {
    if input.member("Transforms").list()?.is_some_and(|transforms| !transforms.is_empty()) {
        return Err(Fault::new(
            "InvalidConfigurationRequest",
            "This region does not rewrite requests (transforms) yet",
        ));
    }
    Ok(())
}

fn answer(rules: Vec<Members>) -> Members {
    Members::new().with("Rules", rules)
}

fn render(rule: &Rule) -> Members {
    let conditions: Vec<Members> = rule.conditions.iter().map(|condition| condition.render()).collect();
    let actions: Vec<Members> = rule.actions.iter().map(Action::render).collect();
    Members::new()
        .with("RuleArn", &rule.arn)
        .with("Priority", rule.priority.map_or_else(|| "default".to_owned(), |priority| priority.to_string()))
        .with("Conditions", conditions)
        .with("Actions", actions)
        .with("IsDefault", rule.is_default())
}
