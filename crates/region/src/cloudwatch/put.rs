//! PutMetricData.

use jiff::{SignedDuration, Timestamp};

use super::faults::{invalid_combination, invalid_value, need};
use super::metric::{MetricKey, read_dimensions, read_namespace};
use super::points::Point;
use super::user::Datum;
use crate::wire::{Fault, Input, Members};
use crate::world::World;

/// Points of one call.
const MOST_DATA: usize = 1000;
/// Values of one point.
const MOST_VALUES: usize = 150;
/// A point may be up to two weeks old and two hours ahead.
const OLDEST: SignedDuration = SignedDuration::from_hours(14 * 24);
const NEWEST: SignedDuration = SignedDuration::from_hours(2);

const UNITS: &[&str] = &[
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];

pub(super) fn put(world: &World, input: &Input<'_>) -> Result<Members, Fault> {
    let namespace = read_namespace(input)?;
    if namespace.starts_with("AWS/") {
        return Err(invalid_value("Namespace", &namespace, "names that begin with AWS/ are AWS's own"));
    }
    let list = input.member("MetricData");
    let given = need(&list, list.list()?)?;
    if given.is_empty() || given.len() > MOST_DATA {
        let count = format!("[{} points]", given.len());
        return Err(invalid_value(
            list.path(),
            &count,
            &format!("1 to {MOST_DATA} points can be written in one call"),
        ));
    }
    let now = world.options.clock.now();
    let data: Vec<Datum> = given.iter().map(|one| read(one, &namespace, now)).collect::<Result<_, _>>()?;
    world.metrics.add(data, now)?;
    Ok(Members::new())
}

fn read(input: &Input<'_>, namespace: &str, now: Timestamp) -> Result<Datum, Fault> {
    let name = input.member("MetricName");
    let key = MetricKey {
        namespace: namespace.to_owned(),
        name: need(&name, name.sized_text(1..=255)?)?,
        dimensions: read_dimensions(input)?,
    };
    let stamp = input.member("Timestamp");
    let time = stamp.time()?.unwrap_or(now);
    if time < now - OLDEST || time > now + NEWEST {
        return Err(invalid_value(
            stamp.path(),
            &time.to_string(),
            "it must lie within the past two weeks and the next two hours",
        ));
    }
    let resolution = input.member("StorageResolution");
    let high_resolution = match resolution.integer()? {
        None | Some(60) => false,
        Some(1) => true,
        Some(other) => {
            return Err(invalid_value(resolution.path(), &other.to_string(), "it must be 1 or 60"));
        }
    };
    let unit = input.member("Unit").choice(UNITS)?.unwrap_or("None");
    Ok(Datum { key, unit: unit.into(), time, high_resolution, point: read_point(input)? })
}

/// One of `Value`, `Values` with `Counts`, and `StatisticValues`.
fn read_point(input: &Input<'_>) -> Result<Point, Fault> {
    let (value, values, statistics) =
        (input.member("Value"), input.member("Values"), input.member("StatisticValues"));
    match (value.is_given(), values.is_given(), statistics.is_given()) {
        (true, false, false) => Ok(Point::of(read_number(&value)?, 1.0)),
        (false, true, false) => read_values(input, &values),
        (false, false, true) => read_statistics(&statistics),
        (false, false, false) => Err(Fault::new(
            "MissingParameter",
            format!(
                "At least one of the parameters {}, Values and StatisticValues must be specified.",
                value.path()
            ),
        )),
        _ => Err(invalid_combination(format!(
            "The parameters {}, Values and StatisticValues are mutually exclusive and you have specified more than one.",
            value.path()
        ))),
    }
}

fn read_values(input: &Input<'_>, values: &Input<'_>) -> Result<Point, Fault> {
    let given = values.list()?.unwrap_or_default();
    let counts = input.member("Counts").list()?;
    if given.is_empty() || given.len() > MOST_VALUES {
        let count = format!("[{} values]", given.len());
        return Err(invalid_value(values.path(), &count, &format!("1 to {MOST_VALUES} values make a point")));
    }
    if counts.as_ref().is_some_and(|counts| counts.len() != given.len()) {
        return Err(invalid_combination(
            "The parameters Values and Counts must have the same number of elements.",
        ));
    }
    let mut point: Option<Point> = None;
    for (index, value) in given.iter().enumerate() {
        let count = match &counts {
            Some(counts) => read_number(&counts[index])?,
            None => 1.0,
        };
        if count <= 0.0 {
            return Err(invalid_value("Counts", &count.to_string(), "it must be greater than zero"));
        }
        let one = Point::of(read_number(value)?, count);
        match &mut point {
            Some(point) => point.merge(&one),
            None => point = Some(one),
        }
    }
    point.ok_or_else(|| Fault::internal("a list that is not empty has no first element"))
}

fn read_statistics(input: &Input<'_>) -> Result<Point, Fault> {
    let figure = |name: &str| read_number(&input.member(name));
    let (count, sum) = (figure("SampleCount")?, figure("Sum")?);
    let (minimum, maximum) = (figure("Minimum")?, figure("Maximum")?);
    if count <= 0.0 || minimum > maximum {
        return Err(invalid_value(
            input.path(),
            &format!("{{SampleCount {count}, Minimum {minimum}, Maximum {maximum}}}"),
            "the count must be positive and the minimum not above the maximum",
        ));
    }
    Ok(Point::summary(sum, count, minimum, maximum))
}

fn read_number(input: &Input<'_>) -> Result<f64, Fault> {
    let number = need(input, input.number()?)?;
    // AWS takes -2^360 to 2^360.
    if number.is_finite() && number.abs() <= 2f64.powi(360) {
        return Ok(number);
    }
    Err(invalid_value(input.path(), &number.to_string(), "it must be a number between -2^360 and 2^360"))
}
