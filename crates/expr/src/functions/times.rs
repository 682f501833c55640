//! Times, durations, zones.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::context::Context;
use crate::error::EvalError;
use crate::time;
use crate::value::Value;

use super::{Outcome, text, unfit};

pub(super) fn now(context: &mut Context, arguments: &[Value]) -> Outcome {
    let zone = match arguments.first() {
        None => TimeZone::UTC,
        Some(Value::Zone(zone)) => zone.clone(),
        Some(other) => return Err(unfit("now", "a time zone", other)),
    };
    Ok(Value::Time(Arc::new(context.now.to_zoned(zone))))
}

pub(super) fn duration(_: &mut Context, arguments: &[Value]) -> Outcome {
    let source = text("duration", &arguments[0])?;
    time::parse_duration(source)
        .map(Value::Duration)
        .map_err(|reason| EvalError::argument("duration", reason))
}

/// `date([zone,] text [, layout [, zone name]])`.
pub(super) fn date(context: &mut Context, arguments: &[Value]) -> Outcome {
    let (zone, arguments) = match arguments {
        [Value::Zone(zone), rest @ ..] => (zone.clone(), rest),
        all => (TimeZone::UTC, all),
    };
    let failed = |reason: String| EvalError::argument("date", reason);
    let part = |place: usize| arguments.get(place).map(|value| text("date", value)).transpose();
    let Some(source) = part(0)? else { return Err(failed("expected a text".to_owned())) };
    context.steps(source.len())?;
    let zone = match part(2)? {
        Some(name) => time::zone(name).map_err(failed)?,
        None => zone,
    };
    let parsed = match part(1)? {
        Some(layout) => time::parse_date(source, layout, &zone),
        None => time::parse_any_date(source, &zone),
    };
    parsed.map(|time| Value::Time(Arc::new(time))).map_err(failed)
}

pub(super) fn timezone(_: &mut Context, arguments: &[Value]) -> Outcome {
    let name = text("timezone", &arguments[0])?;
    time::zone(name).map(Value::Zone).map_err(|reason| EvalError::argument("timezone", reason))
}
