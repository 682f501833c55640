//! From messages to JSON, field by field as the type table says.

use super::ProtobufError;
use super::wire::{Reader, Wire, text};
use crate::builtin::types::{Field, Kind, SCHEMA, Shape, types};
use crate::http::json;
use crate::number;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// Deepest nesting of messages; schemas inside CRDs are the deepest in use.
const DEPTH_LIMIT: usize = 100;

type Object = Map<String, Value>;

/// The fields of a message of a type; nothing if there is no such type.
pub(super) fn decode(name: &str, bytes: &[u8], depth: usize) -> Result<Option<Object>, ProtobufError> {
    if depth > DEPTH_LIMIT {
        return Err(ProtobufError(format!("message is nested deeper than {DEPTH_LIMIT}")));
    }
    let Some(definition) = types().get(name) else { return Ok(None) };
    let mut object = Object::new();
    let mut reader = Reader::new(bytes);
    while let Some((number, wire)) = reader.next()? {
        // A field of a newer client is ignored.
        let Some(field) = definition.by_number(number) else { continue };
        match (field.shape, wire) {
            (Shape::One, wire) => decode_one(field, wire, depth, &mut object)?,
            (Shape::List, wire) => decode_item(field, wire, depth, &mut object)?,
            (Shape::Map, Wire::Bytes(entry)) => decode_entry(field, entry, depth, &mut object)?,
            (Shape::Map, _) => return Err(wrong_wire(field)),
        }
    }
    Ok(Some(object))
}

fn wrong_wire(field: &Field) -> ProtobufError {
    ProtobufError(format!("proto: wrong wireType for field {}", field.name))
}

fn decode_one(field: &Field, wire: Wire<'_>, depth: usize, object: &mut Object) -> Result<(), ProtobufError> {
    if let (true, Kind::Named(name), Wire::Bytes(bytes)) = (field.inline, field.kind, wire) {
        object.extend(decode(name, bytes, depth + 1)?.unwrap_or_default());
        return Ok(());
    }
    let Some(value) = decode_value(field, wire, depth)? else { return Ok(()) };
    let says_nothing = !field.pointer
        && match &value {
            Value::String(text) => text.is_empty(),
            Value::Bool(flag) => !flag,
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::Object(fields) => field.value && fields.is_empty(),
            _ => false,
        };
    if !says_nothing {
        object.insert(field.name.to_owned(), value);
    }
    Ok(())
}

fn decode_item(
    field: &Field,
    wire: Wire<'_>,
    depth: usize,
    object: &mut Object,
) -> Result<(), ProtobufError> {
    let mut found = Vec::new();
    let number = matches!(field.kind, Kind::Int32 | Kind::Int64 | Kind::Bool);
    match wire {
        Wire::Bytes(packed) if number => {
            let mut reader = Reader::new(packed);
            while !reader.is_empty() {
                let item = Wire::Varint(reader.varint()?);
                found.extend(decode_value(field, item, depth)?);
            }
        }
        wire => found.extend(decode_value(field, wire, depth)?),
    }
    let list = object.entry(field.name).or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(items) = list {
        items.extend(found);
    }
    Ok(())
}

/// One entry of a map: field 1 is the key, field 2 the value.
fn decode_entry(field: &Field, entry: &[u8], depth: usize, object: &mut Object) -> Result<(), ProtobufError> {
    let mut key = String::new();
    let mut value = None;
    let mut reader = Reader::new(entry);
    while let Some((number, wire)) = reader.next()? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => key = text(bytes)?,
            (2, wire) => value = decode_value(field, wire, depth)?,
            _ => {}
        }
    }
    let value = match value {
        Some(value) => value,
        None => decode_value(field, Wire::Bytes(&[]), depth)?.unwrap_or_default(),
    };
    let map = object.entry(field.name).or_insert_with(|| Value::Object(Object::new()));
    if let Value::Object(entries) = map {
        entries.insert(key, value);
    }
    Ok(())
}

fn decode_value(field: &Field, wire: Wire<'_>, depth: usize) -> Result<Option<Value>, ProtobufError> {
    let value = match (field.kind, wire) {
        (Kind::Int32, Wire::Varint(number)) => Value::from(number as i32),
        (Kind::Int64, Wire::Varint(number)) => Value::from(number as i64),
        (Kind::Bool, Wire::Varint(number)) => Value::from(number != 0),
        (Kind::Double, Wire::Fixed64(bits)) => double(f64::from_bits(bits)),
        (Kind::Double, Wire::Fixed32(bits)) => double(f64::from(f32::from_bits(bits))),
        (Kind::String, Wire::Bytes(bytes)) => Value::String(text(bytes)?),
        (Kind::Bytes, Wire::Bytes(bytes)) => Value::String(STANDARD.encode(bytes)),
        (Kind::Named(name), Wire::Bytes(bytes)) => {
            Value::Object(decode(name, bytes, depth + 1)?.unwrap_or_default())
        }
        (kind, Wire::Bytes(bytes)) => return special(kind, bytes, depth),
        _ => return Err(wrong_wire(field)),
    };
    Ok(Some(value))
}

/// Limits in schemas are doubles on the wire, and whole numbers in JSON.
fn double(number: f64) -> Value {
    number::kept(number).map_or(Value::Null, Value::Number)
}

/// The messages whose JSON form is not an object of their fields.
fn special(kind: Kind, bytes: &[u8], depth: usize) -> Result<Option<Value>, ProtobufError> {
    match kind {
        Kind::Time | Kind::MicroTime => time(kind, bytes),
        Kind::Duration => Ok(Some(Value::String(go_duration(first_varint(bytes, 1)? as i64)))),
        Kind::IntOrString => int_or_string(bytes).map(Some),
        Kind::Quantity => Ok(first_bytes(bytes, 1)?.map(text).transpose()?.map(Value::String)),
        Kind::Raw | Kind::Json => match first_bytes(bytes, 1)? {
            None | Some([]) => Ok(None),
            Some(text) => json::decode(text).map(|decoded| Some(decoded.value)).map_err(ProtobufError),
        },
        Kind::Strings => {
            let mut items = Vec::new();
            let mut reader = Reader::new(bytes);
            while let Some((number, wire)) = reader.next()? {
                if let (1, Wire::Bytes(item)) = (number, wire) {
                    items.push(Value::String(text(item)?));
                }
            }
            Ok(Some(Value::Array(items)))
        }
        Kind::SchemaOrArray | Kind::SchemaOrBool | Kind::SchemaOrStrings => {
            schema_or(kind, bytes, depth).map(Some)
        }
        _ => Err(ProtobufError::new("proto: wrong wireType")),
    }
}

fn first_varint(bytes: &[u8], wanted: u32) -> Result<u64, ProtobufError> {
    let mut reader = Reader::new(bytes);
    let mut found = 0;
    while let Some((number, wire)) = reader.next()? {
        if let (true, Wire::Varint(value)) = (number == wanted, wire) {
            found = value;
        }
    }
    Ok(found)
}

fn first_bytes(bytes: &[u8], wanted: u32) -> Result<Option<&[u8]>, ProtobufError> {
    let mut reader = Reader::new(bytes);
    let mut found = None;
    while let Some((number, wire)) = reader.next()? {
        if let (true, Wire::Bytes(value)) = (number == wanted, wire) {
            found = Some(value);
        }
    }
    Ok(found)
}

/// Seconds and nanoseconds since 1970; a time of zero is none.
fn time(kind: Kind, bytes: &[u8]) -> Result<Option<Value>, ProtobufError> {
    let seconds = first_varint(bytes, 1)? as i64;
    let nanoseconds = first_varint(bytes, 2)? as i32;
    if seconds == 0 && nanoseconds == 0 {
        return Ok(None);
    }
    let time =
        jiff::Timestamp::new(seconds, nanoseconds).map_err(|error| ProtobufError(error.to_string()))?;
    let format = if kind == Kind::MicroTime { "%Y-%m-%dT%H:%M:%S.%6fZ" } else { "%Y-%m-%dT%H:%M:%SZ" };
    Ok(Some(Value::String(time.strftime(format).to_string())))
}

fn int_or_string(bytes: &[u8]) -> Result<Value, ProtobufError> {
    Ok(match first_varint(bytes, 1)? {
        0 => Value::from(first_varint(bytes, 2)? as i32),
        _ => Value::String(first_bytes(bytes, 3)?.map(text).transpose()?.unwrap_or_default()),
    })
}

/// Nanoseconds in the form Go prints a duration: `1h30m0s`, `1.5s`, `300ms`.
fn go_duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let total = nanoseconds.unsigned_abs();
    let fraction = |value: u64, unit: u64, name: &str| {
        let decimals = format!("{:0width$}", value % unit, width = unit.ilog10() as usize);
        let decimals = decimals.trim_end_matches('0');
        let point = if decimals.is_empty() || unit == 1 { String::new() } else { format!(".{decimals}") };
        format!("{}{point}{name}", value / unit)
    };
    let text = match total {
        0 => "0s".to_owned(),
        1..1_000 => format!("{total}ns"),
        1_000..1_000_000 => fraction(total, 1_000, "µs"),
        1_000_000..1_000_000_000 => fraction(total, 1_000_000, "ms"),
        _ => {
            let (hours, minutes) = (total / 3_600_000_000_000, total / 60_000_000_000 % 60);
            let seconds = fraction(total % 60_000_000_000, 1_000_000_000, "s");
            match (hours, minutes) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    };
    format!("{sign}{text}")
}

/// `JSONSchemaPropsOrArray` (1 schema, 2 list), `…OrBool` (1 allows, 2 schema), `…OrStringArray` (1 schema, 2 names).
fn schema_or(kind: Kind, bytes: &[u8], depth: usize) -> Result<Value, ProtobufError> {
    let schema = |bytes: &[u8]| {
        decode(SCHEMA, bytes, depth + 1).map(|fields| Value::Object(fields.unwrap_or_default()))
    };
    let mut alternatives = Vec::new();
    let mut reader = Reader::new(bytes);
    let mut found = None;
    let mut allowed = false;
    while let Some((number, wire)) = reader.next()? {
        match (kind, number, wire) {
            (Kind::SchemaOrBool, 1, Wire::Varint(flag)) => allowed = flag != 0,
            (Kind::SchemaOrBool, 2, Wire::Bytes(bytes)) => found = Some(schema(bytes)?),
            (Kind::SchemaOrBool, ..) => {}
            (_, 1, Wire::Bytes(bytes)) => found = Some(schema(bytes)?),
            (Kind::SchemaOrArray, 2, Wire::Bytes(bytes)) => alternatives.push(schema(bytes)?),
            (_, 2, Wire::Bytes(bytes)) => alternatives.push(Value::String(text(bytes)?)),
            _ => {}
        }
    }
    Ok(match found {
        Some(schema) => schema,
        None if kind == Kind::SchemaOrBool => Value::Bool(allowed),
        None => Value::Array(alternatives),
    })
}
