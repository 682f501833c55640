//! Numbers: rounding, aggregates, bits.

use crate::context::Context;
use crate::error::EvalError;
use crate::value::Value;

use super::{Outcome, number, unfit};

pub(super) fn abs(_: &mut Context, arguments: &[Value]) -> Outcome {
    match &arguments[0] {
        Value::Int(number) => Ok(Value::Int(number.wrapping_abs())),
        Value::Float(number) => Ok(Value::Float(number.abs())),
        other => Err(unfit("abs", "a number", other)),
    }
}

pub(super) fn ceil(_: &mut Context, arguments: &[Value]) -> Outcome {
    Ok(number("ceil", &arguments[0])?.ceil().into())
}

pub(super) fn floor(_: &mut Context, arguments: &[Value]) -> Outcome {
    Ok(number("floor", &arguments[0])?.floor().into())
}

/// Half away from zero.
pub(super) fn round(_: &mut Context, arguments: &[Value]) -> Outcome {
    Ok(number("round", &arguments[0])?.round().into())
}

/// Calls `visit` with every number of the arguments and of the arrays in them.
fn each_number(
    context: &mut Context,
    function: &'static str,
    values: &[Value],
    visit: &mut dyn FnMut(&Value, f64),
) -> Result<(), EvalError> {
    for value in values {
        context.steps(1)?;
        match value {
            Value::Array(array) => each_number(context, function, array.items(), visit)?,
            value => visit(value, number(function, value)?),
        }
    }
    Ok(())
}

/// The number that `wins` over all before it; nil if there is none. A leading NaN stays, since
/// nothing compares with it.
fn extreme(
    context: &mut Context,
    function: &'static str,
    arguments: &[Value],
    wins: fn(f64, f64) -> bool,
) -> Outcome {
    let mut best: Option<(Value, f64)> = None;
    each_number(context, function, arguments, &mut |value, number| {
        if best.as_ref().is_none_or(|(_, held)| wins(number, *held)) {
            best = Some((value.clone(), number));
        }
    })?;
    Ok(best.map_or(Value::Nil, |(value, _)| value))
}

pub(super) fn max(context: &mut Context, arguments: &[Value]) -> Outcome {
    extreme(context, "max", arguments, |new, held| new > held)
}

pub(super) fn min(context: &mut Context, arguments: &[Value]) -> Outcome {
    extreme(context, "min", arguments, |new, held| new < held)
}

pub(super) fn mean(context: &mut Context, arguments: &[Value]) -> Outcome {
    let (mut count, mut total) = (0_u32, 0.0);
    each_number(context, "mean", arguments, &mut |_, number| {
        count = count.saturating_add(1);
        total += number;
    })?;
    Ok(Value::Float(if count == 0 { 0.0 } else { total / f64::from(count) }))
}

pub(super) fn median(context: &mut Context, arguments: &[Value]) -> Outcome {
    let mut numbers = Vec::new();
    each_number(context, "median", arguments, &mut |_, number| numbers.push(number))?;
    context.steps(numbers.len().saturating_mul(16))?;
    // NaN first, as the original orders them.
    numbers.sort_by(|left, right| right.is_nan().cmp(&left.is_nan()).then_with(|| left.total_cmp(right)));
    let middle = numbers.len() / 2;
    Ok(Value::Float(match numbers.len() {
        0 => 0.0,
        length if length % 2 == 1 => numbers[middle],
        _ => f64::midpoint(numbers[middle - 1], numbers[middle]),
    }))
}

/// An argument that must be a whole number by type.
fn bits(function: &'static str, value: &Value) -> Result<i64, EvalError> {
    match value {
        Value::Int(number) => Ok(*number),
        other => Err(unfit(function, "an int", other)),
    }
}

fn pair(function: &'static str, arguments: &[Value]) -> Result<(i64, i64), EvalError> {
    Ok((bits(function, &arguments[0])?, bits(function, &arguments[1])?))
}

pub(super) fn bit_and(_: &mut Context, arguments: &[Value]) -> Outcome {
    pair("bitand", arguments).map(|(left, right)| Value::Int(left & right))
}

pub(super) fn bit_or(_: &mut Context, arguments: &[Value]) -> Outcome {
    pair("bitor", arguments).map(|(left, right)| Value::Int(left | right))
}

pub(super) fn bit_xor(_: &mut Context, arguments: &[Value]) -> Outcome {
    pair("bitxor", arguments).map(|(left, right)| Value::Int(left ^ right))
}

/// And-not, as the original computes it.
pub(super) fn bit_nand(_: &mut Context, arguments: &[Value]) -> Outcome {
    pair("bitnand", arguments).map(|(left, right)| Value::Int(left & !right))
}

pub(super) fn bit_not(_: &mut Context, arguments: &[Value]) -> Outcome {
    Ok(Value::Int(!bits("bitnot", &arguments[0])?))
}

/// The value and a shift, which beyond 63 moves every bit out.
fn shift(function: &'static str, arguments: &[Value]) -> Result<(i64, u32), EvalError> {
    let (value, count) = pair(function, arguments)?;
    let count = u32::try_from(count.min(64))
        .map_err(|_| EvalError::argument(function, format!("negative shift count {count}")))?;
    Ok((value, count))
}

pub(super) fn shift_left(_: &mut Context, arguments: &[Value]) -> Outcome {
    let (value, count) = shift("bitshl", arguments)?;
    Ok(Value::Int(value.checked_shl(count).unwrap_or(0)))
}

pub(super) fn shift_right(_: &mut Context, arguments: &[Value]) -> Outcome {
    let (value, count) = shift("bitshr", arguments)?;
    Ok(Value::Int(value >> count.min(63)))
}

pub(super) fn shift_right_unsigned(_: &mut Context, arguments: &[Value]) -> Outcome {
    let (value, count) = shift("bitushr", arguments)?;
    Ok(Value::Int(value.cast_unsigned().checked_shr(count).unwrap_or(0).cast_signed()))
}
