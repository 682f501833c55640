//! ListMetrics.

use super::elb;
use super::faults::need;
use super::metric::MetricKey;
use crate::wire::{Fault, Input, Members};
use crate::world::World;

/// Metrics of one page.
const PAGE: usize = 500;
const MOST_FILTERS: usize = 10;

pub(super) fn list(world: &World, input: &Input<'_>) -> Result<Members, Fault> {
    let namespace = input.member("Namespace").sized_text(1..=255)?;
    let name = input.member("MetricName").sized_text(1..=255)?;
    let filters = read_filters(input)?;
    let matches = |key: &MetricKey| {
        namespace.as_ref().is_none_or(|wanted| *wanted == key.namespace)
            && name.as_ref().is_none_or(|wanted| *wanted == key.name)
            && filters.iter().all(|(name, value)| {
                key.dimensions
                    .get(name)
                    .is_some_and(|known| value.as_ref().is_none_or(|value| value == known))
            })
    };
    let mut keys = elb::list(&world.state().elb);
    keys.extend(world.metrics.keys());
    keys.retain(matches);
    keys.sort();
    let token = input.member("NextToken").text()?;
    let start = match &token {
        None => 0,
        Some(token) => token.parse().map_err(|_| {
            Fault::new("InvalidParameterValue", format!("The next token '{token}' is not valid"))
        })?,
    };
    let page: Vec<Members> = keys.iter().skip(start).take(PAGE).map(MetricKey::render).collect();
    let next = (start + page.len() < keys.len()).then(|| (start + page.len()).to_string());
    Ok(Members::new().with("Metrics", page).maybe("NextToken", next))
}

/// Dimensions that a metric must have, with a value or with any.
fn read_filters(input: &Input<'_>) -> Result<Vec<(String, Option<String>)>, Fault> {
    let given = input.member("Dimensions").list()?.unwrap_or_default();
    if given.len() > MOST_FILTERS {
        return Err(Fault::new(
            "InvalidParameterValue",
            format!("{MOST_FILTERS} dimensions can be given at most, {} were", given.len()),
        ));
    }
    let filter = |one: &Input<'_>| {
        let name = one.member("Name");
        Ok((need(&name, name.text()?)?, one.member("Value").text()?))
    };
    given.iter().map(filter).collect()
}
