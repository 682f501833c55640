//! GetMetricStatistics: one metric, several statistics.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::faults::{invalid_combination, need};
use super::metric::{MetricKey, Statistic, read_period};
use super::{Window, read};
use crate::wire::{Fault, Input, Members, Value};
use crate::world::World;

/// Points of one answer.
const MOST_POINTS: i64 = 1440;

pub(super) fn get(world: &World, input: &Input<'_>) -> Result<Members, Fault> {
    let key = MetricKey::read(input)?;
    let window = read_window(input, "Period")?;
    if window.count() > MOST_POINTS {
        return Err(invalid_combination(format!(
            "You have requested up to {} datapoints, which exceeds the limit of {MOST_POINTS}. You may reduce the \
             datapoints requested by increasing Period, or decreasing the time range.",
            window.count()
        )));
    }
    let plain = read_statistics(&input.member("Statistics"))?;
    let extended = read_statistics(&input.member("ExtendedStatistics"))?;
    if plain.is_empty() && extended.is_empty() {
        return Err(Fault::new(
            "MissingParameter",
            "At least one of the parameters Statistics and ExtendedStatistics must be specified.",
        ));
    }
    let unit = input.member("Unit").text()?;
    let points = read(world, &key, unit.as_deref(), window);
    let point = |(start, point): (&i64, &super::points::Point)| {
        let time = Timestamp::from_second(*start).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut members = Members::new().with("Timestamp", time);
        for (name, statistic) in &plain {
            if let Some(value) = point.statistic(*statistic) {
                members.0.push((name.clone().into(), value.into()));
            }
        }
        let figure = |(name, statistic): &(String, Statistic)| {
            point.statistic(*statistic).map(|value| (name.clone(), Value::Float(value)))
        };
        let figures: BTreeMap<String, Value> = extended.iter().filter_map(figure).collect();
        let figures = (!figures.is_empty()).then_some(Value::Dictionary(figures));
        members.maybe("ExtendedStatistics", figures).maybe("Unit", unit.as_deref())
    };
    let points: Vec<Members> = points.iter().map(point).collect();
    Ok(Members::new().with("Label", key.name).with("Datapoints", points))
}

fn read_statistics(input: &Input<'_>) -> Result<Vec<(String, Statistic)>, Fault> {
    let statistic = |one: &Input<'_>| {
        let text = one.required_text()?;
        Ok((text.clone(), Statistic::read(one, &text)?))
    };
    input.list()?.unwrap_or_default().iter().map(statistic).collect()
}

/// `StartTime`, `EndTime` and a period.
pub(super) fn read_window(input: &Input<'_>, period: &str) -> Result<Window, Fault> {
    let (start, end) = read_times(input)?;
    let period = input.member(period);
    Ok(Window::new(start, end, need(&period, read_period(&period)?)?))
}

/// `StartTime` and `EndTime`, the first before the second.
pub(super) fn read_times(input: &Input<'_>) -> Result<(Timestamp, Timestamp), Fault> {
    let (start, end) = (input.member("StartTime"), input.member("EndTime"));
    let (start, end) = (need(&start, start.time()?)?, need(&end, end.time()?)?);
    if start >= end {
        return Err(Fault::validation(format!(
            "The parameter StartTime must be less than the parameter EndTime, but {start} is not before {end}."
        )));
    }
    Ok((start, end))
}
