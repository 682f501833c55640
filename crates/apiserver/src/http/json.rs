//! JSON bodies to values, with the duplicate keys that were met.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::number;

/// Deepest nesting of a document. Clients on serde_json (kube-rs) read 127 levels, of which a list or a watch event
/// around an object takes up to three: one object beyond that would stall every watch of its kind. And each function
/// that walks an object calls itself once a level: measured over all of a create, a patch and an apply without
/// optimisation, 3.2 KB of stack a level. The 1,000 levels of spec/apiserver.md 18 would take 3.5 MB, and threads of
/// tokio have 2; those of clients in the same process are not this crate's to choose.
pub(crate) const DEPTH: usize = 120;

/// A key that occurs more than once; its text is the one of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Duplicate {
    /// The path of the key.
    Path(String),
    /// The line of the second key, and the key; only YAML has lines that mean something.
    Line(u64, String),
}

impl fmt::Display for Duplicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "duplicate field {path:?}"),
            Self::Line(line, key) => write!(f, "line {line}: key {key:?} already set in map"),
        }
    }
}

/// A decoded document.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) value: Value,
    /// Keys that occur more than once, as met; the last value won.
    pub(crate) duplicates: Vec<Duplicate>,
}

impl<'de> Deserialize<'de> for Decoded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut duplicates = Vec::new();
        let value = Node { path: &Path::Root, duplicates: &mut duplicates }.deserialize(deserializer)?;
        Ok(Decoded { value, duplicates })
    }
}

/// Decodes one JSON document. The error is Go's text where clients know it.
pub(crate) fn decode(bytes: &[u8]) -> Result<Decoded, String> {
    if is_too_deep(bytes) {
        return Err("exceeded max depth".to_owned());
    }
    serde_json::from_slice(bytes).map_err(|error: serde_json::Error| {
        if error.is_eof() { "unexpected end of JSON input".to_owned() } else { error.to_string() }
    })
}

/// Whether brackets are nested deeper than [`DEPTH`]; looks at each byte once and never calls itself.
fn is_too_deep(bytes: &[u8]) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > DEPTH {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Whether a value that came some other way is nested deeper than [`DEPTH`].
pub(crate) fn is_deep(value: &Value) -> bool {
    fn reaches(value: &Value, left: usize) -> bool {
        match value {
            Value::Array(items) => left == 0 || items.iter().any(|item| reaches(item, left - 1)),
            Value::Object(members) => left == 0 || members.values().any(|member| reaches(member, left - 1)),
            _ => false,
        }
    }
    reaches(value, DEPTH)
}

/// Where in the document a value stands; only written out for a finding.
enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, key) => formatter.write_str(key),
            Self::Field(parent, key) => write!(formatter, "{parent}.{key}"),
            Self::Item(parent, index) => write!(formatter, "{parent}[{index}]"),
        }
    }
}

struct Node<'a> {
    path: &'a Path<'a>,
    duplicates: &'a mut Vec<Duplicate>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        number::kept(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let path = Path::Item(self.path, list.len());
            match items.next_element_seed(Node { path: &path, duplicates: self.duplicates })? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let path = Path::Field(self.path, &key);
            if map.contains_key(&key) {
                self.duplicates.push(Duplicate::Path(path.to_string()));
            }
            let value = entries.next_value_seed(Node { path: &path, duplicates: self.duplicates })?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_are_named_and_the_last_value_wins() {
        let decoded = decode(br#"{"spec":{"a":1,"b":[{"c":1,"c":2}],"a":3}}"#).unwrap();
        assert_eq!(decoded.value, serde_json::json!({"spec": {"a": 3, "b": [{"c": 2}]}}));
        let texts: Vec<String> = decoded.duplicates.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["duplicate field \"spec.b[0].c\"", "duplicate field \"spec.a\""]);
    }

    #[test]
    fn nesting_is_limited_and_brackets_in_texts_do_not_count() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(decode(nested(DEPTH).as_bytes()).is_ok());
        assert_eq!(decode(nested(DEPTH + 1).as_bytes()).unwrap_err(), "exceeded max depth");
        assert_eq!(decode("[".repeat(1 << 20).as_bytes()).unwrap_err(), "exceeded max depth");
        let text = format!(r#"{{"a": "{}\"{}"}}"#, "[".repeat(500), "{".repeat(500));
        assert!(decode(text.as_bytes()).is_ok());
        assert_eq!(decode(b"{\"a\": [").unwrap_err(), "unexpected end of JSON input");
    }

    #[test]
    fn large_integers_stay_integers() {
        let decoded = decode(b"[9223372036854775807, 18446744073709551615, 1.0, 1.5, 1e3]").unwrap();
        assert_eq!(
            serde_json::to_string(&decoded.value).unwrap(),
            "[9223372036854775807,18446744073709551615,1,1.5,1000]"
        );
    }
}
