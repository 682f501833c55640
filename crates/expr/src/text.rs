//! Values as text: the compact form of status and logs, `string()`, and `toJSON()`.

use std::fmt::{self, Write};

use crate::value::{Key, Value};

/// Compact JSON with numbers in plain decimal.
pub(crate) fn write_compact(value: &Value, out: &mut dyn Write) -> fmt::Result {
    match value {
        Value::Nil => out.write_str("null"),
        Value::Float(number) => write_plain(*number, out),
        Value::String(text) => write_quoted(text, out),
        Value::Array(array) => {
            out.write_char('[')?;
            for (index, item) in array.items().iter().enumerate() {
                if index > 0 {
                    out.write_char(',')?;
                }
                write_compact(item, out)?;
            }
            out.write_char(']')
        }
        Value::Map(map) | Value::Record(map) => {
            out.write_char('{')?;
            for (index, (key, item)) in map.entries().iter().enumerate() {
                if index > 0 {
                    out.write_char(',')?;
                }
                write_quoted(&key_text(key), out)?;
                out.write_char(':')?;
                write_compact(item, out)?;
            }
            out.write_char('}')
        }
        Value::Bytes(bytes) => write_quoted(&String::from_utf8_lossy(bytes), out),
        Value::Bool(_) | Value::Int(_) | Value::Time(_) | Value::Duration(_) | Value::Zone(_) => {
            write_scalar(value, out)
        }
    }
}

/// What `string()` gives: the text of Go's `%v`.
pub(crate) fn write_go(value: &Value, out: &mut dyn Write) -> fmt::Result {
    match value {
        Value::Nil => out.write_str("<nil>"),
        Value::Float(number) => write_general(*number, 21, out),
        Value::String(text) => out.write_str(text),
        Value::Array(array) => {
            out.write_char('[')?;
            for (index, item) in array.items().iter().enumerate() {
                if index > 0 {
                    out.write_char(' ')?;
                }
                write_go(item, out)?;
            }
            out.write_char(']')
        }
        Value::Map(map) | Value::Record(map) => {
            out.write_str("map[")?;
            for (index, (key, item)) in map.entries().iter().enumerate() {
                if index > 0 {
                    out.write_char(' ')?;
                }
                write!(out, "{}:", key_text(key))?;
                write_go(item, out)?;
            }
            out.write_char(']')
        }
        Value::Bytes(bytes) => {
            let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
            write!(out, "[{}]", numbers.join(" "))
        }
        Value::Bool(_) | Value::Int(_) | Value::Time(_) | Value::Duration(_) | Value::Zone(_) => {
            write_scalar(value, out)
        }
    }
}

/// What `toJSON()` gives: two spaces a level, no NaN and no infinity.
pub(crate) fn write_indented(value: &Value, level: usize, out: &mut dyn Write) -> fmt::Result {
    let (open, close) = match value {
        Value::Array(array) if !array.items().is_empty() => ('[', ']'),
        Value::Map(map) | Value::Record(map) if !map.entries().is_empty() => ('{', '}'),
        Value::Float(number) => return write_general(*number, 21, out),
        Value::Time(_) => return write!(out, "\"{}\"", Scalar(value)),
        Value::Duration(nanoseconds) => return write!(out, "{nanoseconds}"),
        _ => return write_compact(value, out),
    };
    out.write_char(open)?;
    let mut first = true;
    let mut begin_item = |out: &mut dyn Write| {
        let comma = if std::mem::take(&mut first) { "" } else { "," };
        write!(out, "{comma}\n{:width$}", "", width = (level + 1) * 2)
    };
    match value {
        Value::Array(array) => {
            for item in array.items() {
                begin_item(out)?;
                write_indented(item, level + 1, out)?;
            }
        }
        Value::Map(map) | Value::Record(map) => {
            for (key, item) in map.entries() {
                begin_item(out)?;
                write_quoted(&key_text(key), out)?;
                out.write_str(": ")?;
                write_indented(item, level + 1, out)?;
            }
        }
        _ => {}
    }
    write!(out, "\n{:width$}{close}", "", width = level * 2)
}

struct Scalar<'a>(&'a Value);

impl fmt::Display for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scalar(self.0, f)
    }
}

fn write_scalar(value: &Value, out: &mut dyn Write) -> fmt::Result {
    match value {
        Value::Bool(value) => write!(out, "{value}"),
        Value::Int(value) => write!(out, "{value}"),
        Value::Time(time) if time.offset().is_zero() => {
            write!(out, "{}", time.timestamp())
        }
        Value::Time(time) => write!(out, "{}", time.timestamp().display_with_offset(time.offset())),
        Value::Duration(nanoseconds) => write!(out, "{}", crate::time::format_duration(*nanoseconds)),
        Value::Zone(zone) => out.write_str(zone.iana_name().unwrap_or("UTC")),
        _ => Ok(()),
    }
}

pub(crate) fn key_text(key: &Key) -> String {
    match key {
        Key::String(text) => text.to_string(),
        other => other.to_value().to_string(),
    }
}

fn write_quoted(text: &str, out: &mut dyn Write) -> fmt::Result {
    out.write_str(&serde_json::Value::from(text).to_string())
}

fn write_special(number: f64, out: &mut dyn Write) -> Option<fmt::Result> {
    let name = match number {
        _ if number.is_nan() => "NaN",
        f64::INFINITY => "+Inf",
        f64::NEG_INFINITY => "-Inf",
        _ => return None,
    };
    Some(out.write_str(name))
}

fn write_plain(number: f64, out: &mut dyn Write) -> fmt::Result {
    // Rust's own form is the shortest that reads back alike, never with an exponent.
    write_special(number, out).unwrap_or_else(|| write!(out, "{number}"))
}

/// Go's shortest form: an exponent below -4 and from `large` on.
fn write_general(number: f64, large: i32, out: &mut dyn Write) -> fmt::Result {
    if let Some(written) = write_special(number, out) {
        return written;
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..large).contains(&exponent) {
        return write!(out, "{number}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    write!(out, "{digits}e{sign}{:02}", exponent.abs())
}
