//! Rules between the SDK's words and ours, losing nothing.

use aws_sdk_elasticloadbalancingv2::types as sdk;

use super::convert::{arn, incomplete};
use crate::error::{AwsError, Meaning};
use crate::{
    Action, Condition, Forward, KeptAction, KeptCondition, KeptTransforms, Rule, RulePriority, Stickiness,
    WeightedTargetGroup,
};

/// Whether actions go to a rule that exists. AWS never reports the client
/// secret of an authentication: only a rule that has it can keep it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Destination {
    ExistingRule,
    NewRule,
}

/// A rule of an answer.
pub(super) fn rule_from(operation: &'static str, rule: sdk::Rule) -> Result<Rule, AwsError> {
    let priority = match rule.priority.as_deref() {
        _ if rule.is_default == Some(true) => RulePriority::Default,
        Some("default") => RulePriority::Default,
        Some(number) => number
            .parse()
            .map(RulePriority::Number)
            .map_err(|_| incomplete(operation, "the priority of a rule as a number"))?,
        None => return Err(incomplete(operation, "the priority of a rule")),
    };
    Ok(Rule {
        arn: arn(operation, "the ARN of a rule", rule.rule_arn)?,
        priority,
        conditions: rule.conditions.unwrap_or_default().into_iter().map(condition_from).collect(),
        actions: actions_from(operation, rule.actions.unwrap_or_default())?,
        transforms: KeptTransforms(rule.transforms.unwrap_or_default()),
    })
}

/// Actions of an answer, in its order.
pub(super) fn actions_from(
    operation: &'static str,
    actions: Vec<sdk::Action>,
) -> Result<Vec<Action>, AwsError> {
    actions.into_iter().map(|action| action_from(operation, action)).collect()
}

fn action_from(operation: &'static str, action: sdk::Action) -> Result<Action, AwsError> {
    if action.r#type != Some(sdk::ActionTypeEnum::Forward) {
        return Ok(Action::Kept(KeptAction(Box::new(action))));
    }
    let order = action.order;
    let config = action.forward_config;
    let stickiness = config
        .as_ref()
        .and_then(|config| config.target_group_stickiness_config.as_ref())
        .map(stickiness_from);
    let tuples = config.and_then(|config| config.target_groups).unwrap_or_default();
    let target_groups = if tuples.is_empty() {
        // The short form: one group, without a weight.
        let arn = arn(operation, "the target groups of a forward", action.target_group_arn)?;
        vec![WeightedTargetGroup { arn, weight: None }]
    } else {
        tuples.into_iter().map(|tuple| weighted_from(operation, tuple)).collect::<Result<_, _>>()?
    };
    Ok(Action::Forward(Forward { order, target_groups, stickiness }))
}

fn weighted_from(
    operation: &'static str,
    tuple: sdk::TargetGroupTuple,
) -> Result<WeightedTargetGroup, AwsError> {
    let arn = arn(operation, "the ARN of a target group", tuple.target_group_arn)?;
    let weight = tuple
        .weight
        .map(u32::try_from)
        .transpose()
        .map_err(|_| incomplete(operation, "a weight that is not negative"))?;
    Ok(WeightedTargetGroup { arn, weight })
}

fn stickiness_from(config: &sdk::TargetGroupStickinessConfig) -> Stickiness {
    Stickiness {
        enabled: config.enabled.unwrap_or(false),
        duration_seconds: config.duration_seconds.and_then(|seconds| u32::try_from(seconds).ok()),
    }
}

fn condition_from(condition: sdk::RuleCondition) -> Condition {
    understood(&condition).unwrap_or(Condition::Kept(KeptCondition(Box::new(condition))))
}

/// A condition in our words, unless that would lose a part of it.
fn understood(condition: &sdk::RuleCondition) -> Option<Condition> {
    let legacy = || condition.values.clone().filter(|values| !values.is_empty());
    let plain = |values: Option<&Vec<String>>, regex: Option<&Vec<String>>| {
        let no_regex =
            regex.is_none_or(Vec::is_empty) && condition.regex_values.as_ref().is_none_or(Vec::is_empty);
        no_regex.then(|| values.cloned().filter(|values| !values.is_empty()).or_else(legacy))?
    };
    match condition.field.as_deref()? {
        "host-header" => {
            let config = condition.host_header_config.as_ref();
            plain(
                config.and_then(|config| config.values.as_ref()),
                config.and_then(|config| config.regex_values.as_ref()),
            )
            .map(Condition::HostHeader)
        }
        "path-pattern" => {
            let config = condition.path_pattern_config.as_ref();
            plain(
                config.and_then(|config| config.values.as_ref()),
                config.and_then(|config| config.regex_values.as_ref()),
            )
            .map(Condition::PathPattern)
        }
        "http-request-method" => {
            let config = condition.http_request_method_config.as_ref();
            plain(config.and_then(|config| config.values.as_ref()), None).map(Condition::HttpRequestMethod)
        }
        "source-ip" => {
            let config = condition.source_ip_config.as_ref();
            if config.is_some_and(|config| config.ip_address_type.is_some()) {
                return None;
            }
            plain(config.and_then(|config| config.values.as_ref()), None).map(Condition::SourceIp)
        }
        "http-header" => {
            let config = condition.http_header_config.as_ref()?;
            let values = plain(config.values.as_ref(), config.regex_values.as_ref())?;
            Some(Condition::HttpHeader { name: config.http_header_name.clone()?, values })
        }
        "query-string" => {
            let pairs = condition.query_string_config.as_ref()?.values.as_ref()?;
            let pairs = pairs.iter().map(|pair| Some((pair.key.clone(), pair.value.clone()?)));
            pairs.collect::<Option<Vec<_>>>().map(Condition::QueryString)
        }
        _ => None,
    }
}

/// Conditions for a request.
pub(super) fn conditions_to(conditions: &[Condition]) -> Vec<sdk::RuleCondition> {
    conditions.iter().map(condition_to).collect()
}

fn condition_to(condition: &Condition) -> sdk::RuleCondition {
    let builder = sdk::RuleCondition::builder();
    match condition {
        Condition::HostHeader(values) => {
            let config = sdk::HostHeaderConditionConfig::builder();
            builder.field("host-header").host_header_config(config.set_values(Some(values.clone())).build())
        }
        Condition::PathPattern(values) => {
            let config = sdk::PathPatternConditionConfig::builder();
            builder.field("path-pattern").path_pattern_config(config.set_values(Some(values.clone())).build())
        }
        Condition::HttpRequestMethod(values) => {
            let config = sdk::HttpRequestMethodConditionConfig::builder();
            builder
                .field("http-request-method")
                .http_request_method_config(config.set_values(Some(values.clone())).build())
        }
        Condition::SourceIp(values) => {
            let config = sdk::SourceIpConditionConfig::builder();
            builder.field("source-ip").source_ip_config(config.set_values(Some(values.clone())).build())
        }
        Condition::HttpHeader { name, values } => {
            let config = sdk::HttpHeaderConditionConfig::builder().http_header_name(name);
            builder.field("http-header").http_header_config(config.set_values(Some(values.clone())).build())
        }
        Condition::QueryString(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| {
                let pair = sdk::QueryStringKeyValuePair::builder();
                pair.set_key(key.clone()).value(value).build()
            });
            let config = sdk::QueryStringConditionConfig::builder();
            builder
                .field("query-string")
                .query_string_config(config.set_values(Some(pairs.collect())).build())
        }
        Condition::Kept(kept) => return kept.0.as_ref().clone(),
    }
    .build()
}

/// Actions for a request.
///
/// Refused are actions that cannot be written back whole: of a type that this
/// SDK does not know, or with a secret that a new rule would lack.
pub(super) fn actions_to(
    operation: &'static str,
    actions: &[Action],
    destination: Destination,
) -> Result<Vec<sdk::Action>, AwsError> {
    actions
        .iter()
        .map(|action| match action {
            Action::Forward(forward) => Ok(forward_to(forward)),
            Action::Kept(kept) => kept_to(operation, kept, destination),
        })
        .collect()
}

/// Only `ForwardConfig` is written, never the short form (`spec/aws.md` 1.2).
fn forward_to(forward: &Forward) -> sdk::Action {
    let groups = forward.target_groups.iter().map(|group| {
        sdk::TargetGroupTuple::builder()
            .target_group_arn(group.arn.as_str())
            .set_weight(group.weight.map(saturated))
            .build()
    });
    let stickiness = forward.stickiness.map(|stickiness| {
        sdk::TargetGroupStickinessConfig::builder()
            .enabled(stickiness.enabled)
            .set_duration_seconds(stickiness.duration_seconds.map(saturated))
            .build()
    });
    let config = sdk::ForwardActionConfig::builder()
        .set_target_groups(Some(groups.collect()))
        .set_target_group_stickiness_config(stickiness)
        .build();
    sdk::Action::builder()
        .r#type(sdk::ActionTypeEnum::Forward)
        .set_order(forward.order)
        .forward_config(config)
        .build()
}

/// A number that AWS will refuse if it is as large as this.
fn saturated(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn kept_to(
    operation: &'static str,
    kept: &KeptAction,
    destination: Destination,
) -> Result<sdk::Action, AwsError> {
    let mut action = kept.0.as_ref().clone();
    let kind = kept.kind();
    let known =
        action.r#type.as_ref().is_some_and(|kind| sdk::ActionTypeEnum::values().contains(&kind.as_str()));
    if !known {
        let message = format!("an action of type {kind:?} cannot be written back unchanged");
        return Err(AwsError::new(Meaning::Unsupported, operation, "UnknownAction", message));
    }
    if let Some(oidc) = &mut action.authenticate_oidc_config
        && oidc.client_secret.is_none()
    {
        if destination == Destination::NewRule {
            let message = format!("AWS does not tell the client secret of an {kind} action");
            return Err(AwsError::new(Meaning::Unsupported, operation, "SecretUnknown", message));
        }
        oidc.use_existing_client_secret = Some(true);
    }
    Ok(action)
}

#[cfg(test)]
mod tests;
