//! From one type to another, and questions about types.

use crate::context::{Context, checked};
use crate::error::EvalError;
use crate::text::{write_go, write_indented};
use crate::value::Value;

use super::{Outcome, number, text, unfit};

/// A float cut to a whole number. What does not fit is the smallest one, as Go makes it on its
/// usual machines.
fn cut(number: f64) -> i64 {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if (-BEYOND..BEYOND).contains(&number) { number as i64 } else { i64::MIN }
}

fn to_int(function: &'static str, value: &Value) -> Outcome {
    match value {
        Value::Int(number) => Ok(Value::Int(*number)),
        Value::Float(number) => Ok(Value::Int(cut(*number))),
        Value::String(text) => {
            let parsed = text.parse().map_err(|_| bad_number(function, text, "integer"))?;
            Ok(Value::Int(parsed))
        }
        other => Err(unfit(function, "a number or a string", other)),
    }
}

fn to_float(function: &'static str, value: &Value) -> Outcome {
    match value {
        Value::Int(_) | Value::Float(_) => Ok(Value::Float(number(function, value)?)),
        Value::String(text) => {
            let parsed = parse_float(text).ok_or_else(|| bad_number(function, text, "number"))?;
            Ok(Value::Float(parsed))
        }
        other => Err(unfit(function, "a number or a string", other)),
    }
}

fn bad_number(function: &'static str, text: &str, kind: &str) -> EvalError {
    let shown: String = text.chars().take(64).collect();
    EvalError::argument(function, format!("cannot parse {shown:?} as {kind}"))
}

/// Decimal numbers, exponents, `NaN`, `Inf` and `Infinity` with a sign. What is too large to be
/// a float is no number.
fn parse_float(text: &str) -> Option<f64> {
    let parsed: f64 = text.parse().ok()?;
    let names_infinity = text.bytes().any(|byte| byte.eq_ignore_ascii_case(&b'i'));
    (!parsed.is_infinite() || names_infinity).then_some(parsed)
}

pub(super) fn as_int(_: &mut Context, arguments: &[Value]) -> Outcome {
    to_int("asInt", &arguments[0])
}

pub(super) fn as_float(_: &mut Context, arguments: &[Value]) -> Outcome {
    to_float("asFloat", &arguments[0])
}

pub(super) fn int(_: &mut Context, arguments: &[Value]) -> Outcome {
    match &arguments[0] {
        Value::Duration(nanoseconds) => Ok(Value::Int(*nanoseconds)),
        value => to_int("int", value),
    }
}

pub(super) fn float(_: &mut Context, arguments: &[Value]) -> Outcome {
    to_float("float", &arguments[0])
}

pub(super) fn is_nan(_: &mut Context, arguments: &[Value]) -> Outcome {
    Ok(number("isNaN", &arguments[0])?.is_nan().into())
}

pub(super) fn is_inf(_: &mut Context, arguments: &[Value]) -> Outcome {
    Ok(number("isInf", &arguments[0])?.is_infinite().into())
}

/// Looks at its argument; the original looks at `result` whatever it is given.
pub(super) fn is_nil(_: &mut Context, arguments: &[Value]) -> Outcome {
    Ok(matches!(arguments[0], Value::Nil).into())
}

/// Looks at its first argument; the original looks at `result` whatever it is given.
pub(super) fn default(_: &mut Context, arguments: &[Value]) -> Outcome {
    let chosen = if matches!(arguments[0], Value::Nil) { 1 } else { 0 };
    Ok(arguments[chosen].clone())
}

pub(super) fn string(context: &mut Context, arguments: &[Value]) -> Outcome {
    match &arguments[0] {
        Value::String(text) => Ok(Value::String(text.clone())),
        value => {
            context.walk(value)?;
            context.written(|out| write_go(value, out))
        }
    }
}

pub(super) fn type_of(_: &mut Context, arguments: &[Value]) -> Outcome {
    let name = match &arguments[0] {
        Value::Float(_) => "float",
        Value::Bytes(_) => "array",
        Value::Record(_) => "struct",
        other => other.type_name(),
    };
    Ok(name.into())
}

pub(super) fn to_json(context: &mut Context, arguments: &[Value]) -> Outcome {
    let value = &arguments[0];
    context.walk(value)?;
    if let Some(number) = first_unwritable(value) {
        return Err(EvalError::argument("toJSON", format!("JSON has no {}", Value::Float(number))));
    }
    context.written(|out| write_indented(value, 0, out))
}

/// A number that JSON cannot hold.
fn first_unwritable(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) if !number.is_finite() => Some(*number),
        Value::Array(array) => array.items().iter().find_map(first_unwritable),
        Value::Map(map) | Value::Record(map) => map.entries().values().find_map(first_unwritable),
        _ => None,
    }
}

pub(super) fn from_json(context: &mut Context, arguments: &[Value]) -> Outcome {
    let source = text("fromJSON", &arguments[0])?;
    context.steps(source.len())?;
    let json: serde_json::Value =
        serde_json::from_str(source).map_err(|error| EvalError::argument("fromJSON", error.to_string()))?;
    let value = Value::from(&json);
    context.elements(value.extent().size)?;
    checked(value)
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) fn to_base64(context: &mut Context, arguments: &[Value]) -> Outcome {
    let bytes = match &arguments[0] {
        Value::String(text) => text.as_bytes(),
        Value::Bytes(bytes) => bytes,
        other => return Err(unfit("toBase64", "a string", other)),
    };
    context.scan(bytes.len())?;
    let mut encoded = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word =
            group.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let symbol = BASE64[(word >> (18 - 6 * place) & 63) as usize];
            encoded.push(if place <= group.len() { char::from(symbol) } else { '=' });
        }
    }
    context.text(encoded)
}

pub(super) fn from_base64(context: &mut Context, arguments: &[Value]) -> Outcome {
    let source = text("fromBase64", &arguments[0])?;
    context.scan(source.len())?;
    let decoded = decode_base64(source).ok_or_else(|| EvalError::argument("fromBase64", "not base64"))?;
    context.text(String::from_utf8_lossy(&decoded).into_owned())
}

/// Groups of four symbols, the last one padded. Line ends are skipped.
fn decode_base64(source: &str) -> Option<Vec<u8>> {
    let symbols: Vec<u8> = source.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let groups = symbols.len() / 4;
    if !symbols.len().is_multiple_of(4) {
        return None;
    }
    let mut decoded = Vec::with_capacity(groups * 3);
    for (place, group) in symbols.chunks(4).enumerate() {
        let padding = group.iter().rev().take_while(|symbol| **symbol == b'=').count();
        if padding > 2 || (padding > 0 && place + 1 < groups) {
            return None;
        }
        let mut word = 0_u32;
        for symbol in &group[..4 - padding] {
            let digit = BASE64.iter().position(|own| own == symbol)?;
            word = word << 6 | u32::try_from(digit).ok()?;
        }
        word <<= 6 * padding;
        decoded.extend_from_slice(&word.to_be_bytes()[1..4 - padding]);
    }
    Some(decoded)
}
