//! ListTagsForResource, TagResource, UntagResource. These know errors of
//! their own: NotFoundException and BadRequestException (`spec/aws.md` 3.1).

use std::collections::BTreeMap;

use super::model::{Cluster, Eks};
use crate::context::Context;
use crate::wire::{Fault, Input, Members};

const MOST_TAGS: usize = 50;
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 256;

pub(super) fn list(eks: &Eks, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let arn = input.member("resourceArn").required_text()?;
    let found = eks.clusters.values().find(|cluster| cluster.arn == arn).ok_or_else(|| not_found(&arn))?;
    Ok(Members::new().with("tags", &found.tags))
}

pub(super) fn add(eks: &mut Eks, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let given = read_tags(&input.member("tags")).map_err(bad_request)?;
    if given.is_empty() {
        return Err(bad_request(Fault::validation("At least one tag must be given")));
    }
    let cluster = by_arn(eks, input)?;
    cluster.tags.extend(given);
    check_count(&cluster.tags).map_err(bad_request)?;
    Ok(Members::new())
}

pub(super) fn remove(eks: &mut Eks, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let keys = input.member("tagKeys").texts()?;
    if keys.is_empty() {
        return Err(bad_request(Fault::missing("tagKeys")));
    }
    by_arn(eks, input)?.tags.retain(|key, _| !keys.contains(key));
    Ok(Members::new())
}

fn by_arn<'a>(eks: &'a mut Eks, input: &Input<'_>) -> Result<&'a mut Cluster, Fault> {
    let arn = input.member("resourceArn").required_text()?;
    eks.clusters.values_mut().find(|cluster| cluster.arn == arn).ok_or_else(|| not_found(&arn))
}

fn not_found(arn: &str) -> Fault {
    Fault::new("NotFoundException", format!("No resource found for ARN: {arn}")).status(404)
}

fn bad_request(fault: Fault) -> Fault {
    Fault { code: "BadRequestException", ..fault }
}

/// Tags of a request, empty when absent.
pub(super) fn read_tags(input: &Input<'_>) -> Result<BTreeMap<String, String>, Fault> {
    let tags = input.dictionary()?.unwrap_or_default();
    check_count(&tags)?;
    for (key, value) in &tags {
        let (key_length, value_length) = (key.chars().count(), value.chars().count());
        if !(1..=LONGEST_KEY).contains(&key_length) || value_length > LONGEST_VALUE {
            return Err(Fault::validation(format!(
                "Tag '{key}' must have a key of 1 to {LONGEST_KEY} and a value of up to {LONGEST_VALUE} characters"
            )));
        }
        if key.starts_with("aws:") {
            return Err(Fault::validation(format!(
                "Tag '{key}' begins with 'aws:', which is reserved for AWS"
            )));
        }
    }
    Ok(tags)
}

fn check_count(tags: &BTreeMap<String, String>) -> Result<(), Fault> {
    if tags.len() > MOST_TAGS {
        return Err(Fault::validation(format!("{} tags were given; the limit is {MOST_TAGS}", tags.len())));
    }
    Ok(())
}
