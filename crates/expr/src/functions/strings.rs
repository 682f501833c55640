//! Strings. Positions are in bytes.

use crate::context::Context;
use crate::error::EvalError;
use crate::value::Value;

use super::{Outcome, items, text, whole};

/// The second argument, or a space.
fn affix<'a>(function: &'static str, arguments: &'a [Value]) -> Result<&'a str, EvalError> {
    arguments.get(1).map_or(Ok(" "), |value| text(function, value))
}

pub(super) fn trim(context: &mut Context, arguments: &[Value]) -> Outcome {
    let source = text("trim", &arguments[0])?;
    let trimmed = match arguments.get(1) {
        None => source.trim(),
        Some(cut) => {
            let cut = text("trim", cut)?;
            context.steps(source.len().saturating_mul(cut.len()) / 16)?;
            source.trim_matches(|c| cut.contains(c))
        }
    };
    context.text(trimmed.to_owned())
}

pub(super) fn trim_prefix(context: &mut Context, arguments: &[Value]) -> Outcome {
    let source = text("trimPrefix", &arguments[0])?;
    let rest = source.strip_prefix(affix("trimPrefix", arguments)?).unwrap_or(source);
    context.text(rest.to_owned())
}

pub(super) fn trim_suffix(context: &mut Context, arguments: &[Value]) -> Outcome {
    let source = text("trimSuffix", &arguments[0])?;
    let rest = source.strip_suffix(affix("trimSuffix", arguments)?).unwrap_or(source);
    context.text(rest.to_owned())
}

pub(super) fn upper(context: &mut Context, arguments: &[Value]) -> Outcome {
    let source = text("upper", &arguments[0])?;
    context.text(source.to_uppercase())
}

pub(super) fn lower(context: &mut Context, arguments: &[Value]) -> Outcome {
    let source = text("lower", &arguments[0])?;
    context.text(source.to_lowercase())
}

/// The most parts a third argument allows: none for 0, all for a negative number.
fn limit(function: &'static str, arguments: &[Value]) -> Result<usize, EvalError> {
    let wanted = arguments.get(2).map_or(Ok(-1), |value| whole(function, value))?;
    Ok(usize::try_from(wanted).unwrap_or(usize::MAX))
}

/// The parts of a text between separators; between characters if the separator is empty.
fn parts<'a>(source: &'a str, separator: &str, keep: bool, limit: usize) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let mut rest = source;
    while parts.len() + 1 < limit {
        let (end, width) = match separator {
            "" => match rest.chars().next() {
                Some(c) if c.len_utf8() < rest.len() => (c.len_utf8(), 0),
                _ => break,
            },
            _ => match rest.find(separator) {
                Some(end) => (end, separator.len()),
                None => break,
            },
        };
        parts.push(&rest[..if keep { end + width } else { end }]);
        rest = &rest[end + width..];
    }
    if limit > 0 && !(separator.is_empty() && rest.is_empty()) {
        parts.push(rest);
    }
    parts
}

fn split_by(context: &mut Context, function: &'static str, arguments: &[Value], keep: bool) -> Outcome {
    let (source, separator) = (text(function, &arguments[0])?, text(function, &arguments[1])?);
    context.text_bytes(source.len())?;
    let found = parts(source, separator, keep, limit(function, arguments)?);
    context.array(found.into_iter().map(Value::from).collect())
}

pub(super) fn split(context: &mut Context, arguments: &[Value]) -> Outcome {
    split_by(context, "split", arguments, false)
}

pub(super) fn split_after(context: &mut Context, arguments: &[Value]) -> Outcome {
    split_by(context, "splitAfter", arguments, true)
}

pub(super) fn replace(context: &mut Context, arguments: &[Value]) -> Outcome {
    let source = text("replace", &arguments[0])?;
    let (old, new) = (text("replace", &arguments[1])?, text("replace", &arguments[2])?);
    let wanted = arguments.get(3).map_or(Ok(-1), |value| whole("replace", value))?;
    context.scan(source.len())?;
    let limit = usize::try_from(wanted).unwrap_or(usize::MAX);
    let found = source.matches(old).take(limit).count();
    context.text_bytes(found.saturating_mul(new.len()))?;
    context.text(source.replacen(old, new, found))
}

pub(super) fn repeat(context: &mut Context, arguments: &[Value]) -> Outcome {
    let source = text("repeat", &arguments[0])?;
    let wanted = whole("repeat", &arguments[1])?;
    let count = usize::try_from(wanted).map_err(|_| {
        EvalError::argument("repeat", format!("expected a count of at least 0, got {wanted}"))
    })?;
    context.text_bytes(source.len().saturating_mul(count))?;
    // An empty text repeats to itself however often.
    Ok(if source.is_empty() { "".into() } else { source.repeat(count).into() })
}

pub(super) fn join(context: &mut Context, arguments: &[Value]) -> Outcome {
    let parts = items("join", &arguments[0])?;
    let glue = arguments.get(1).map_or(Ok(""), |value| text("join", value))?;
    let mut joined = String::new();
    for (place, part) in parts.iter().enumerate() {
        let part = text("join", part)?;
        let glue = if place > 0 { glue } else { "" };
        context.steps(1)?;
        context.text_bytes(glue.len() + part.len())?;
        joined.push_str(glue);
        joined.push_str(part);
    }
    Ok(joined.into())
}

fn place(found: Option<usize>) -> Value {
    Value::Int(found.and_then(|place| i64::try_from(place).ok()).unwrap_or(-1))
}

/// The two texts of a search, paid for.
fn searched<'a>(
    context: &mut Context,
    function: &'static str,
    arguments: &'a [Value],
) -> Result<(&'a str, &'a str), EvalError> {
    let (source, part) = (text(function, &arguments[0])?, text(function, &arguments[1])?);
    context.scan(source.len())?;
    Ok((source, part))
}

pub(super) fn index_of(context: &mut Context, arguments: &[Value]) -> Outcome {
    searched(context, "indexOf", arguments).map(|(source, part)| place(source.find(part)))
}

pub(super) fn last_index_of(context: &mut Context, arguments: &[Value]) -> Outcome {
    searched(context, "lastIndexOf", arguments).map(|(source, part)| place(source.rfind(part)))
}

pub(super) fn has_prefix(context: &mut Context, arguments: &[Value]) -> Outcome {
    searched(context, "hasPrefix", arguments).map(|(source, part)| source.starts_with(part).into())
}

pub(super) fn has_suffix(context: &mut Context, arguments: &[Value]) -> Outcome {
    searched(context, "hasSuffix", arguments).map(|(source, part)| source.ends_with(part).into())
}
