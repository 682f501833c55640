//! DescribeTags, AddTags, RemoveTags, and tags of new objects.

use std::collections::{BTreeMap, BTreeSet};

use super::arn::{self, Kind};
use super::model::{Elb, Listener, Tags};
use super::quota;
use crate::context::Context;
use crate::wire::{Fault, Input, Members};

/// Where a listener really listens (`spec/okra.md` 8): written by the region,
/// and by nobody else.
pub(super) const ADDRESS_TAG: &str = "okra.mumo.co/address";

const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 256;

/// The tags of an object that is being made.
pub(super) fn read_new(input: &Input<'_>) -> Result<Tags, Fault> {
    let given = read(input)?;
    check_count(given.len(), "the new resource")?;
    Ok(given)
}

pub(super) fn describe(elb: &Elb, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let describe = |arn: String| {
        let tags: Vec<Members> = shown(elb, &arn)?
            .iter()
            .map(|(key, value)| Members::new().with("Key", key).with("Value", value))
            .collect();
        Ok(Members::new().with("ResourceArn", arn).with("Tags", tags))
    };
    let described: Vec<Members> =
        read_arns(input)?.into_iter().map(describe).collect::<Result<_, Fault>>()?;
    Ok(Members::new().with("TagDescriptions", described))
}

pub(super) fn add(elb: &mut Elb, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let arns = read_arns(input)?;
    let given = read(input)?;
    if given.is_empty() {
        return Err(Fault::validation("At least one tag must be specified"));
    }
    for arn in arns {
        let tags = tags_mut(elb, &arn)?;
        tags.extend(given.clone());
        check_count(tags.len(), &arn)?;
    }
    Ok(Members::new())
}

pub(super) fn remove(elb: &mut Elb, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let keys = input.member("TagKeys").required_list(1, usize::MAX)?;
    let keys: BTreeSet<String> = keys.iter().map(Input::required_text).collect::<Result<_, _>>()?;
    for arn in read_arns(input)? {
        tags_mut(elb, &arn)?.retain(|key, _| !keys.contains(key));
    }
    Ok(Members::new())
}

fn read_arns(input: &Input<'_>) -> Result<Vec<String>, Fault> {
    let arns = input.member("ResourceArns").texts()?;
    if arns.is_empty() {
        return Err(Fault::missing("resourceArns"));
    }
    if arns.len() > quota::ARNS_PER_CALL {
        return Err(Fault::validation(format!(
            "Up to {} resources can be named in one call, {} were named",
            quota::ARNS_PER_CALL,
            arns.len()
        )));
    }
    Ok(arns)
}

fn read(input: &Input<'_>) -> Result<Tags, Fault> {
    let mut tags = BTreeMap::new();
    for tag in input.member("Tags").list()?.unwrap_or_default() {
        let key_input = tag.member("Key");
        let key = key_input.sized_text(1..=LONGEST_KEY)?.ok_or_else(|| Fault::missing(key_input.path()))?;
        let value = tag.member("Value").sized_text(0..=LONGEST_VALUE)?.unwrap_or_default();
        for text in [&key, &value] {
            if let Some(bad) = text.chars().find(|character| !is_allowed(*character)) {
                return Err(Fault::validation(format!(
                    "Tag '{key}' holds the character {bad:?}, which is not allowed"
                )));
            }
        }
        if key.starts_with("aws:") {
            return Err(Fault::validation(format!(
                "Tag '{key}' begins with 'aws:', which is reserved for AWS"
            )));
        }
        if key == ADDRESS_TAG {
            return Err(Fault::validation(format!("Tag '{key}' is written by the region alone")));
        }
        if tags.insert(key.clone(), value).is_some() {
            return Err(Fault::new("DuplicateTagKeys", format!("Tag key '{key}' is given more than once")));
        }
    }
    Ok(tags)
}

/// Letters, digits, spaces and `_.:/=+-@`, as the model says.
fn is_allowed(character: char) -> bool {
    character.is_alphanumeric() || character == ' ' || "_.:/=+-@".contains(character)
}

fn check_count(count: usize, owner: &str) -> Result<(), Fault> {
    if count <= quota::TAGS_PER_RESOURCE {
        return Ok(());
    }
    Err(Fault::new(
        "TooManyTags",
        format!("{owner} would have {count} tags; the limit is {}", quota::TAGS_PER_RESOURCE),
    ))
}

/// The tags of an object as they are answered: a listener also has its address.
fn shown(elb: &Elb, arn: &str) -> Result<Tags, Fault> {
    Ok(match arn::kind(arn) {
        Some(Kind::LoadBalancer) => elb.load_balancer(arn)?.tags.clone(),
        Some(Kind::TargetGroup) => elb.target_group(arn)?.tags.clone(),
        Some(Kind::Listener) => listener_tags(elb.listener(arn)?),
        Some(Kind::Rule) => elb.rule(arn)?.tags.clone(),
        None => return Err(not_taggable(arn)),
    })
}

fn listener_tags(listener: &Listener) -> Tags {
    let mut tags = listener.tags.clone();
    if let Some(address) = listener.address {
        tags.insert(ADDRESS_TAG.into(), address.to_string());
    }
    tags
}

fn tags_mut<'a>(elb: &'a mut Elb, arn: &str) -> Result<&'a mut Tags, Fault> {
    Ok(match arn::kind(arn) {
        Some(Kind::LoadBalancer) => &mut elb.load_balancer_mut(arn)?.tags,
        Some(Kind::TargetGroup) => &mut elb.target_group_mut(arn)?.tags,
        Some(Kind::Listener) => &mut elb.listener_mut(arn)?.tags,
        Some(Kind::Rule) => &mut elb.rule_mut(arn)?.tags,
        None => return Err(not_taggable(arn)),
    })
}

fn not_taggable(arn: &str) -> Fault {
    Fault::validation(format!("'{arn}' is not the ARN of a load balancer, target group, listener or rule"))
}
