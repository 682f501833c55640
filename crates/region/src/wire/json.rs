//! JSON bodies: REST-JSON, awsJson 1.0 and STS's answers to `Accept: application/json`.

use std::borrow::Cow;

use super::{Fault, Members, Value};

/// Reads a request body. An empty body is an empty structure; JSON nulls are
/// absent members.
pub(crate) fn decode(body: &[u8]) -> Result<Value, Fault> {
    if body.is_empty() {
        return Ok(Value::Structure(Members::new()));
    }
    let json: serde_json::Value = serde_json::from_slice(body)
        .map_err(|error| Fault::new("SerializationException", format!("the body is not JSON: {error}")))?;
    if !json.is_object() {
        return Err(Fault::new("SerializationException", "the body is not a JSON object"));
    }
    Ok(read(json).unwrap_or(Value::Structure(Members::new())))
}

fn read(json: serde_json::Value) -> Option<Value> {
    Some(match json {
        serde_json::Value::Null => return None,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(integer) => Value::Int(integer),
            None => Value::Float(number.as_f64()?),
        },
        serde_json::Value::String(text) => Value::Text(text),
        serde_json::Value::Array(values) => Value::List(values.into_iter().filter_map(read).collect()),
        serde_json::Value::Object(entries) => {
            let member = |(name, json)| read(json).map(|value| (Cow::Owned(name), value));
            Value::Structure(Members(entries.into_iter().filter_map(member).collect()))
        }
    })
}

/// Writes an answer.
pub(crate) fn encode(members: &Members) -> Vec<u8> {
    write_members(members).to_string().into_bytes()
}

fn write_members(members: &Members) -> serde_json::Value {
    members.0.iter().map(|(name, value)| (name.to_string(), write(value))).collect()
}

fn write(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Text(value) => value.as_str().into(),
        Value::Time(value) => (value.as_millisecond() as f64 / 1000.0).into(),
        Value::List(values) => values.iter().map(write).collect(),
        Value::Structure(members) => write_members(members),
        Value::Dictionary(entries) => {
            entries.iter().map(|(key, value)| (key.clone(), write(value))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_again() {
        let body = br#"{"a":[1,2.5,"x",true],"b":{"c":{}},"d":null}"#;
        let Value::Structure(members) = decode(body).unwrap() else { panic!("no structure") };
        assert_eq!(encode(&members), br#"{"a":[1,2.5,"x",true],"b":{"c":{}}}"#);
    }

    #[test]
    fn a_body_that_is_no_object_is_refused() {
        for body in ["[1]", "{", "1"] {
            assert_eq!(decode(body.as_bytes()).unwrap_err().code, "SerializationException", "{body}");
        }
    }
}
