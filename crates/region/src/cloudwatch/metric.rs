//! Names of metrics, statistics and periods, read from requests.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::faults::{invalid_value, need};
use crate::wire::{Fault, Input, Members};

/// Most dimensions of a metric.
const MOST_DIMENSIONS: usize = 30;

/// What a metric is known by. Dimensions match exactly or not at all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct MetricKey {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) dimensions: BTreeMap<String, String>,
}

impl MetricKey {
    /// `Namespace`, `MetricName` and `Dimensions` of a structure.
    pub(super) fn read(input: &Input<'_>) -> Result<Self, Fault> {
        let namespace = read_namespace(input)?;
        let name = input.member("MetricName");
        let name = need(&name, name.sized_text(1..=255)?)?;
        Ok(Self { namespace, name, dimensions: read_dimensions(input)? })
    }

    pub(super) fn render(&self) -> Members {
        let dimension =
            |(name, value): (&String, &String)| Members::new().with("Name", name).with("Value", value);
        Members::new()
            .with("Namespace", &self.namespace)
            .with("MetricName", &self.name)
            .with("Dimensions", self.dimensions.iter().map(dimension).collect::<Vec<_>>())
    }
}

pub(super) fn read_namespace(input: &Input<'_>) -> Result<String, Fault> {
    let namespace = input.member("Namespace");
    let text = need(&namespace, namespace.sized_text(1..=255)?)?;
    if text.starts_with(':') {
        return Err(invalid_value("Namespace", &text, "it must not begin with a colon"));
    }
    Ok(text)
}

pub(super) fn read_dimensions(input: &Input<'_>) -> Result<BTreeMap<String, String>, Fault> {
    let given = input.member("Dimensions");
    let list = given.list()?.unwrap_or_default();
    if list.len() > MOST_DIMENSIONS {
        return Err(invalid_value(
            given.path(),
            &format!("[{} dimensions]", list.len()),
            &format!("a metric has {MOST_DIMENSIONS} dimensions at most"),
        ));
    }
    let mut dimensions = BTreeMap::new();
    for dimension in list {
        let (name, value) = (dimension.member("Name"), dimension.member("Value"));
        let text = need(&name, name.sized_text(1..=255)?)?;
        let value = need(&value, value.sized_text(1..=1024)?)?;
        if dimensions.insert(text.clone(), value).is_some() {
            return Err(invalid_value(name.path(), &text, "each dimension may be given once"));
        }
    }
    Ok(dimensions)
}

/// What is made of the values of a period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Statistic {
    Sum,
    Average,
    Minimum,
    Maximum,
    SampleCount,
    /// 0 to 100.
    Percentile(f64),
}

impl Statistic {
    pub(super) fn read(input: &Input<'_>, text: &str) -> Result<Self, Fault> {
        let percentile = || {
            let number: f64 = text.strip_prefix('p')?.parse().ok()?;
            (0.0..=100.0).contains(&number).then_some(Self::Percentile(number))
        };
        match text {
            "Sum" => Ok(Self::Sum),
            "Average" => Ok(Self::Average),
            "Minimum" => Ok(Self::Minimum),
            "Maximum" => Ok(Self::Maximum),
            "SampleCount" => Ok(Self::SampleCount),
            other => percentile().ok_or_else(|| {
                invalid_value(
                    input.path(),
                    other,
                    "this region knows Sum, Average, Minimum, Maximum, SampleCount and p0 to p100",
                )
            }),
        }
    }
}

/// A period in seconds: 1, 5, 10, 20, 30 or a multiple of 60.
pub(super) fn read_period(input: &Input<'_>) -> Result<Option<u32>, Fault> {
    let Some(period) = input.integer_in(1u32..=86_400 * 365)? else { return Ok(None) };
    if matches!(period, 1 | 5 | 10 | 20 | 30) || period % 60 == 0 {
        return Ok(Some(period));
    }
    Err(invalid_value(input.path(), &period.to_string(), "it must be 1, 5, 10, 20, 30 or a multiple of 60"))
}
