//! What the journal keeps of an answer.

use crate::journal::{Detail, ForwardWeights};
use crate::wire::{Input, Members, Value};

/// Weights and target states in an answer, for the calls that are measured.
pub(crate) fn detail(action: &str, input: &Input<'_>, answer: &Members) -> Detail {
    match action {
        "CreateRule" | "ModifyRule" | "DescribeRules" | "SetRulePriorities" => {
            Detail::Weights(weights(answer, "Rules", "RuleArn", "Actions"))
        }
        "CreateListener" | "ModifyListener" | "DescribeListeners" => {
            Detail::Weights(weights(answer, "Listeners", "ListenerArn", "DefaultActions"))
        }
        "DescribeTargetHealth" => Detail::TargetHealth {
            target_group_arn: input.member("TargetGroupArn").text().ok().flatten().unwrap_or_default(),
            targets: list(answer, "TargetHealthDescriptions").filter_map(target_state).collect(),
        },
        _ => Detail::None,
    }
}

fn weights(answer: &Members, objects: &str, arn: &str, actions: &str) -> Vec<ForwardWeights> {
    let one = |object: &Members| {
        let forward = list(object, actions).find_map(|action| structure(action, "ForwardConfig"))?;
        let group = |group: &Members| Some((text(group, "TargetGroupArn")?, integer(group, "Weight")?));
        let target_groups = list(forward, "TargetGroups").filter_map(group).collect();
        Some(ForwardWeights { arn: text(object, arn)?, target_groups })
    };
    list(answer, objects).filter_map(one).collect()
}

fn target_state(described: &Members) -> Option<(String, String)> {
    let target = structure(described, "Target")?;
    let address = format!("{}:{}", text(target, "Id")?, integer(target, "Port")?);
    Some((address, text(structure(described, "TargetHealth")?, "State")?))
}

fn list<'a>(members: &'a Members, name: &str) -> impl Iterator<Item = &'a Members> {
    let values = match members.get(name) {
        Some(Value::List(values)) => values.as_slice(),
        _ => &[],
    };
    values.iter().filter_map(|value| match value {
        Value::Structure(members) => Some(members),
        _ => None,
    })
}

fn structure<'a>(members: &'a Members, name: &str) -> Option<&'a Members> {
    match members.get(name)? {
        Value::Structure(members) => Some(members),
        _ => None,
    }
}

fn text(members: &Members, name: &str) -> Option<String> {
    match members.get(name)? {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn integer(members: &Members, name: &str) -> Option<u32> {
    match members.get(name)? {
        Value::Int(number) => u32::try_from(*number).ok(),
        _ => None,
    }
}
