//! Smithy RPC v2 CBOR bodies: what the CloudWatch client of the AWS SDK for
//! Rust speaks (`spec/aws.md` 5.1).

use std::borrow::Cow;
use std::convert::Infallible;

use jiff::Timestamp;
use minicbor::data::{IanaTag, Type};
use minicbor::{Decoder, Encoder};

use super::{Fault, Members, Value};

/// Deepest nesting of a body; the models met here need seven levels.
const MAX_DEPTH: usize = 32;

/// Reads a request body. An empty body is an empty structure; nulls are absent
/// members.
pub(crate) fn decode(body: &[u8]) -> Result<Value, Fault> {
    if body.is_empty() {
        return Ok(Value::Structure(Members::new()));
    }
    let mut decoder = Decoder::new(body);
    match read(&mut decoder, MAX_DEPTH) {
        Ok(Some(value @ Value::Structure(_))) => Ok(value),
        Ok(_) => Err(Fault::new("SerializationException", "the body is not a CBOR map")),
        Err(error) => Err(Fault::new("SerializationException", format!("the body is not CBOR: {error}"))),
    }
}

type Read<T> = Result<T, minicbor::decode::Error>;

fn read(decoder: &mut Decoder<'_>, depth: usize) -> Read<Option<Value>> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(minicbor::decode::Error::message("nested too deeply"));
    };
    Ok(Some(match decoder.datatype()? {
        Type::Null => {
            decoder.null()?;
            return Ok(None);
        }
        Type::Undefined => {
            decoder.undefined()?;
            return Ok(None);
        }
        Type::Bool => Value::Bool(decoder.bool()?),
        Type::F32 | Type::F64 => Value::Float(decoder.f64()?),
        Type::String | Type::StringIndef => Value::Text(read_text(decoder)?),
        Type::Array | Type::ArrayIndef => Value::List(read_list(decoder, depth)?),
        Type::Map | Type::MapIndef => Value::Structure(read_members(decoder, depth)?),
        Type::Tag => {
            let tag = decoder.tag()?;
            let value = read(decoder, depth)?;
            match value {
                Some(value) if tag == IanaTag::Timestamp.tag() => Value::Time(epoch(&value)?),
                Some(value) => value,
                None => return Ok(None),
            }
        }
        _ => Value::Int(decoder.i64()?),
    }))
}

fn epoch(value: &Value) -> Read<Timestamp> {
    let time = match value {
        Value::Int(seconds) => Timestamp::from_second(*seconds).ok(),
        Value::Float(seconds) => Timestamp::from_millisecond((seconds * 1000.0).round() as i64).ok(),
        _ => None,
    };
    time.ok_or_else(|| minicbor::decode::Error::message("a timestamp is no number of seconds"))
}

fn read_text(decoder: &mut Decoder<'_>) -> Read<String> {
    decoder.str_iter()?.collect()
}

fn read_list(decoder: &mut Decoder<'_>, depth: usize) -> Read<Vec<Value>> {
    let mut values = Vec::new();
    let mut left = decoder.array()?;
    while more(decoder, &mut left)? {
        values.extend(read(decoder, depth)?);
    }
    Ok(values)
}

fn read_members(decoder: &mut Decoder<'_>, depth: usize) -> Read<Members> {
    let mut members = Members::new();
    let mut left = decoder.map()?;
    while more(decoder, &mut left)? {
        let name = read_text(decoder)?;
        if let Some(value) = read(decoder, depth)? {
            members.0.push((Cow::Owned(name), value));
        }
    }
    Ok(members)
}

/// Whether a list or map goes on: by its length, or to the break of an
/// indefinite one.
fn more(decoder: &mut Decoder<'_>, left: &mut Option<u64>) -> Read<bool> {
    match left {
        Some(0) => Ok(false),
        Some(count) => {
            *count -= 1;
            Ok(true)
        }
        None if decoder.datatype()? == Type::Break => {
            decoder.set_position(decoder.position() + 1);
            Ok(false)
        }
        None => Ok(true),
    }
}

/// Writes an answer.
pub(crate) fn encode(members: &Members) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::with_capacity(512));
    write_members(&mut encoder, members).expect("writing to memory cannot fail");
    encoder.into_writer()
}

type Written = Result<(), minicbor::encode::Error<Infallible>>;

fn write_members(encoder: &mut Encoder<Vec<u8>>, members: &Members) -> Written {
    encoder.map(members.0.len() as u64)?;
    for (name, value) in &members.0 {
        encoder.str(name)?;
        write(encoder, value)?;
    }
    Ok(())
}

fn write(encoder: &mut Encoder<Vec<u8>>, value: &Value) -> Written {
    match value {
        Value::Bool(value) => encoder.bool(*value)?.ok(),
        Value::Int(value) => encoder.i64(*value)?.ok(),
        Value::Float(value) => encoder.f64(*value)?.ok(),
        Value::Text(value) => encoder.str(value)?.ok(),
        Value::Time(value) => {
            encoder.tag(IanaTag::Timestamp)?.f64(value.as_millisecond() as f64 / 1000.0)?.ok()
        }
        Value::List(values) => {
            encoder.array(values.len() as u64)?;
            values.iter().try_for_each(|value| write(encoder, value))
        }
        Value::Structure(members) => write_members(encoder, members),
        Value::Dictionary(entries) => {
            encoder.map(entries.len() as u64)?;
            entries.iter().try_for_each(|(key, value)| write(encoder.str(key)?, value))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let time: Timestamp = "2026-01-01T10:00:00.5Z".parse().unwrap();
        let members = Members::new()
            .with("Text", "x")
            .with("Number", 2.5)
            .with("Small", 7u16)
            .with("Yes", true)
            .with("Time", time)
            .with("List", vec![Members::new().with("A", "b")]);
        assert_eq!(decode(&encode(&members)).unwrap(), Value::Structure(members));
    }

    #[test]
    fn indefinite_lengths_and_nulls_are_read() {
        // {_ "a": [_ 1, 2], "b": null}
        let body = [0xbf, 0x61, b'a', 0x9f, 1, 2, 0xff, 0x61, b'b', 0xf6, 0xff];
        let wanted = Members(vec![(Cow::Borrowed("a"), Value::List(vec![Value::Int(1), Value::Int(2)]))]);
        assert_eq!(decode(&body).unwrap(), Value::Structure(wanted));
    }

    #[test]
    fn deep_or_broken_bodies_are_refused() {
        let deep: Vec<u8> = std::iter::repeat_n(0x81, MAX_DEPTH + 1).chain([0]).collect();
        for body in [&deep[..], &[0xa1, 0x61], &[1], &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]]
        {
            assert_eq!(decode(body).unwrap_err().code, "SerializationException");
        }
    }
}
