//! The adapter on ELBv2.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_sdk_elasticloadbalancingv2::types as sdk;

use super::call::Caller;
use super::convert::{arn, incomplete, port};
use super::pages;
use super::rules::{Destination, actions_from, actions_to, conditions_to, rule_from};
use crate::{
    AwsError, Listener, LoadBalancers, Meaning, NewRule, Region, Rule, RuleChange, Scope, Tags, TargetGroup,
    TargetHealth, TargetState, Write,
};
use okra_domain::{ListenerArn, RuleArn, TargetGroupArn};

/// ARNs in one DescribeTags call (`spec/aws.md` 1.13); used for the other
/// calls that take ARNs too, whose limit AWS does not write down.
const ARNS_PER_CALL: usize = 20;

const DESCRIBE_LISTENERS: &str = "elasticloadbalancing:DescribeListeners";
const DESCRIBE_RULES: &str = "elasticloadbalancing:DescribeRules";
const CREATE_RULE: &str = "elasticloadbalancing:CreateRule";
const MODIFY_RULE: &str = "elasticloadbalancing:ModifyRule";
const DELETE_RULE: &str = "elasticloadbalancing:DeleteRule";
const DESCRIBE_TAGS: &str = "elasticloadbalancing:DescribeTags";
const ADD_TAGS: &str = "elasticloadbalancing:AddTags";
const DESCRIBE_TARGET_HEALTH: &str = "elasticloadbalancing:DescribeTargetHealth";
const DESCRIBE_TARGET_GROUPS: &str = "elasticloadbalancing:DescribeTargetGroups";

/// Load balancers through the AWS SDK.
pub struct SdkLoadBalancers {
    pub(super) caller: Caller,
}

impl SdkLoadBalancers {
    pub(super) fn new(caller: Caller) -> Self {
        Self { caller }
    }

    async fn rule_pages(
        &self,
        scope: &Scope,
        listener: Option<&ListenerArn>,
        arns: Option<Vec<String>>,
    ) -> Result<Vec<Rule>, AwsError> {
        let listener = listener.map(|arn| arn.as_str().to_owned());
        let rules = pages::all(DESCRIBE_RULES, |marker| {
            let listener = listener.clone();
            let arns = arns.clone();
            async move {
                let page = self
                    .caller
                    .read(scope, DESCRIBE_RULES, |clients| {
                        let request = clients
                            .load_balancing
                            .describe_rules()
                            .set_listener_arn(listener.clone())
                            .set_rule_arns(arns.clone())
                            .set_marker(marker.clone());
                        async move { request.send().await }
                    })
                    .await?;
                Ok((page.rules.unwrap_or_default(), page.next_marker))
            }
        });
        rules.await?.into_iter().map(|rule| rule_from(DESCRIBE_RULES, rule)).collect()
    }

    async fn tags_of_few(
        &self,
        scope: &Scope,
        resources: &[String],
    ) -> Result<Vec<sdk::TagDescription>, AwsError> {
        let answer = self.caller.read(scope, DESCRIBE_TAGS, |clients| {
            let request = clients.load_balancing.describe_tags().set_resource_arns(Some(resources.to_vec()));
            async move { request.send().await }
        });
        Ok(answer.await?.tag_descriptions.unwrap_or_default())
    }

    async fn few_target_groups(
        &self,
        scope: &Scope,
        groups: &[TargetGroupArn],
    ) -> Result<Vec<TargetGroup>, AwsError> {
        let arns: Vec<String> = groups.iter().map(|arn| arn.as_str().to_owned()).collect();
        let found = pages::all(DESCRIBE_TARGET_GROUPS, |marker| {
            let arns = arns.clone();
            async move {
                let page = self
                    .caller
                    .read(scope, DESCRIBE_TARGET_GROUPS, |clients| {
                        let request = clients
                            .load_balancing
                            .describe_target_groups()
                            .set_target_group_arns(Some(arns.clone()))
                            .set_marker(marker.clone());
                        async move { request.send().await }
                    })
                    .await?;
                Ok((page.target_groups.unwrap_or_default(), page.next_marker))
            }
        });
        found.await?.into_iter().map(target_group_from).collect()
    }
}

#[async_trait]
impl LoadBalancers for SdkLoadBalancers {
    async fn listener(&self, listener: &ListenerArn) -> Result<Listener, AwsError> {
        let scope = scope_of(listener.region());
        let answer = self.caller.read(&scope, DESCRIBE_LISTENERS, |clients| {
            let request = clients.load_balancing.describe_listeners().listener_arns(listener.as_str());
            async move { request.send().await }
        });
        let found = answer.await?.listeners.unwrap_or_default().into_iter().next();
        let found = found.ok_or_else(|| absent(DESCRIBE_LISTENERS, listener.as_str()))?;
        listener_from(found)
    }

    async fn rules(&self, listener: &ListenerArn) -> Result<Vec<Rule>, AwsError> {
        self.rule_pages(&scope_of(listener.region()), Some(listener), None).await
    }

    async fn rules_by_arn(&self, rules: &[RuleArn]) -> Result<Vec<Rule>, AwsError> {
        let Some(first) = rules.first() else { return Ok(Vec::new()) };
        let scope = scope_of(first.region());
        let mut found = Vec::with_capacity(rules.len());
        for few in rules.chunks(ARNS_PER_CALL) {
            let arns = few.iter().map(|arn| arn.as_str().to_owned()).collect();
            found.extend(self.rule_pages(&scope, None, Some(arns)).await?);
        }
        Ok(found)
    }

    async fn create_rule(&self, write: Write<'_>, rule: &NewRule) -> Result<Rule, AwsError> {
        let actions = actions_to(CREATE_RULE, &rule.actions, Destination::NewRule)?;
        let conditions = conditions_to(&rule.conditions);
        let transforms = rule.transforms.0.clone();
        let transforms = if transforms.is_empty() { None } else { Some(transforms) };
        let priority = i32::try_from(rule.priority).unwrap_or(i32::MAX);
        let scope = scope_of(rule.listener.region());
        let answer = self.caller.write(&scope, CREATE_RULE, write, |clients| {
            let request = clients
                .load_balancing
                .create_rule()
                .listener_arn(rule.listener.as_str())
                .priority(priority)
                .set_conditions(Some(conditions.clone()))
                .set_actions(Some(actions.clone()))
                .set_transforms(transforms.clone())
                .set_tags(Some(tags_to(&rule.tags)));
            async move { request.send().await }
        });
        only_rule(CREATE_RULE, answer.await?.rules)
    }

    async fn modify_rule(
        &self,
        write: Write<'_>,
        rule: &RuleArn,
        change: &RuleChange,
    ) -> Result<Rule, AwsError> {
        let actions = change
            .actions
            .as_ref()
            .map(|actions| actions_to(MODIFY_RULE, actions, Destination::ExistingRule))
            .transpose()?;
        let conditions = change.conditions.as_deref().map(conditions_to);
        let scope = scope_of(rule.region());
        let answer = self.caller.write(&scope, MODIFY_RULE, write, |clients| {
            let request = clients
                .load_balancing
                .modify_rule()
                .rule_arn(rule.as_str())
                .set_conditions(conditions.clone())
                .set_actions(actions.clone());
            async move { request.send().await }
        });
        only_rule(MODIFY_RULE, answer.await?.rules)
    }

    async fn delete_rule(&self, write: Write<'_>, rule: &RuleArn) -> Result<(), AwsError> {
        let scope = scope_of(rule.region());
        let answer = self.caller.write(&scope, DELETE_RULE, write, |clients| {
            let request = clients.load_balancing.delete_rule().rule_arn(rule.as_str());
            async move { request.send().await }
        });
        answer.await.map(|_| ())
    }

    async fn tags(&self, resources: &[String]) -> Result<BTreeMap<String, Tags>, AwsError> {
        let Some(first) = resources.first() else { return Ok(BTreeMap::new()) };
        let scope = scope_of(region_in(first));
        let mut found = BTreeMap::new();
        for few in resources.chunks(ARNS_PER_CALL) {
            for description in self.tags_of_few(&scope, few).await? {
                let tags = description.tags.unwrap_or_default();
                let tags = tags.into_iter().filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default())));
                found.insert(description.resource_arn.unwrap_or_default(), tags.collect());
            }
        }
        Ok(found)
    }

    async fn add_tags(&self, write: Write<'_>, resource: &str, tags: &Tags) -> Result<(), AwsError> {
        let scope = scope_of(region_in(resource));
        let answer = self.caller.write(&scope, ADD_TAGS, write, |clients| {
            let request =
                clients.load_balancing.add_tags().resource_arns(resource).set_tags(Some(tags_to(tags)));
            async move { request.send().await }
        });
        answer.await.map(|_| ())
    }

    async fn target_health(&self, group: &TargetGroupArn) -> Result<Vec<TargetHealth>, AwsError> {
        let scope = scope_of(group.region());
        let answer = self.caller.read(&scope, DESCRIBE_TARGET_HEALTH, |clients| {
            let request = clients.load_balancing.describe_target_health().target_group_arn(group.as_str());
            async move { request.send().await }
        });
        let targets = answer.await?.target_health_descriptions.unwrap_or_default();
        targets.into_iter().map(target_health_from).collect()
    }

    async fn target_groups(&self, groups: &[TargetGroupArn]) -> Result<Vec<TargetGroup>, AwsError> {
        let Some(first) = groups.first() else { return Ok(Vec::new()) };
        let scope = scope_of(first.region());
        let mut found = Vec::with_capacity(groups.len());
        for few in groups.chunks(ARNS_PER_CALL) {
            found.extend(self.few_target_groups(&scope, few).await?);
        }
        Ok(found)
    }
}

pub(super) fn scope_of(region: &str) -> Scope {
    Scope::own(Region::new(region))
}

fn region_in(arn: &str) -> &str {
    arn.split(':').nth(3).unwrap_or_default()
}

fn absent(operation: &'static str, resource: &str) -> AwsError {
    let message = format!("{resource} is not in the answer");
    AwsError::new(Meaning::Absent, operation, "NotInAnswer", message)
}

fn only_rule(operation: &'static str, rules: Option<Vec<sdk::Rule>>) -> Result<Rule, AwsError> {
    // The write was done; what is missing is only AWS's word about it.
    let rule = rules.unwrap_or_default().into_iter().next().ok_or_else(|| {
        AwsError::new(Meaning::UnknownOutcome, operation, "IncompleteAnswer", "no rule in the answer")
    })?;
    rule_from(operation, rule)
}

fn tags_to(tags: &Tags) -> Vec<sdk::Tag> {
    tags.iter().map(|(key, value)| sdk::Tag::builder().key(key).value(value).build()).collect()
}

fn listener_from(listener: sdk::Listener) -> Result<Listener, AwsError> {
    let load_balancer = listener.load_balancer_arn;
    Ok(Listener {
        arn: arn(DESCRIBE_LISTENERS, "the ARN of a listener", listener.listener_arn)?,
        load_balancer: arn(DESCRIBE_LISTENERS, "the load balancer of a listener", load_balancer)?,
        port: port(listener.port),
        protocol: listener.protocol.map(|protocol| protocol.as_str().to_owned()),
        default_actions: actions_from(DESCRIBE_LISTENERS, listener.default_actions.unwrap_or_default())?,
    })
}

fn target_group_from(group: sdk::TargetGroup) -> Result<TargetGroup, AwsError> {
    let load_balancers = group.load_balancer_arns.unwrap_or_default().into_iter();
    Ok(TargetGroup {
        arn: arn(DESCRIBE_TARGET_GROUPS, "the ARN of a target group", group.target_group_arn)?,
        name: group.target_group_name.unwrap_or_default(),
        protocol: group.protocol.map(|protocol| protocol.as_str().to_owned()),
        port: port(group.port),
        target_type: group.target_type.map(|target_type| target_type.as_str().to_owned()),
        load_balancers: load_balancers
            .map(|text| arn(DESCRIBE_TARGET_GROUPS, "the ARN of a load balancer", Some(text)))
            .collect::<Result<_, _>>()?,
    })
}

fn target_health_from(target: sdk::TargetHealthDescription) -> Result<TargetHealth, AwsError> {
    let description = target.target;
    let description = description.ok_or_else(|| incomplete(DESCRIBE_TARGET_HEALTH, "a target"))?;
    let health = target.target_health;
    let state = health.as_ref().and_then(|health| health.state.as_ref());
    let zonal_shift = target.administrative_override.and_then(|shift| shift.state);
    Ok(TargetHealth {
        id: description.id.unwrap_or_default(),
        port: port(description.port),
        state: state.map_or(TargetState::Unavailable, |state| target_state(state.as_str())),
        reason: health
            .as_ref()
            .and_then(|health| health.reason.as_ref())
            .map(|reason| reason.as_str().to_owned()),
        zonal_shift: zonal_shift.is_some_and(|state| state.as_str().starts_with("zonal_shift")),
    })
}

fn target_state(state: &str) -> TargetState {
    match state {
        "initial" => TargetState::Initial,
        "healthy" => TargetState::Healthy,
        "unhealthy" => TargetState::Unhealthy,
        "unhealthy.draining" => TargetState::UnhealthyDraining,
        "unused" => TargetState::Unused,
        "draining" => TargetState::Draining,
        "unavailable" => TargetState::Unavailable,
        other => TargetState::Other(other.to_owned()),
    }
}
