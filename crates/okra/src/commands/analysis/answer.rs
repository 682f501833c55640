//! What a provider answered, as people record it: JSON that also knows `NaN`,
//! `Infinity` and `-Infinity`, which metrics have and JSON does not; or YAML.

use std::fmt;

use anyhow::{Context as _, bail, ensure};
use okra_expr::Value;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Levels of nesting; serde_json bears as many.
const DEPTH_MAX: usize = 128;

/// Reads one value. As from a provider, every number is a float.
///
/// # Errors
/// When it is no such value, with the place.
pub fn parse(text: &str) -> anyhow::Result<Value> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    match reader.peek() {
        None => Ok(value),
        Some(more) => bail!("{more:?} at byte {} follows a whole value", reader.at + 1),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The next character that is no blank.
    fn peek(&mut self) -> Option<char> {
        let rest = self.rest();
        let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r']);
        self.at += rest.len() - trimmed.len();
        trimmed.chars().next()
    }

    fn takes(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += if found { wanted.len_utf8() } else { 0 };
        found
    }

    fn expect(&mut self, wanted: char) -> anyhow::Result<()> {
        ensure!(self.takes(wanted), "{wanted:?} is missing at byte {}", self.at + 1);
        Ok(())
    }

    fn value(&mut self, depth: usize) -> anyhow::Result<Value> {
        ensure!(depth <= DEPTH_MAX, "nested more than {DEPTH_MAX} levels deep");
        match self.peek() {
            Some('[') => self.list(depth),
            Some('{') => self.map(depth),
            Some('"') => self.string().map(Value::from),
            Some(_) => self.word(),
            None => bail!("the text ends where a value is due"),
        }
    }

    fn list(&mut self, depth: usize) -> anyhow::Result<Value> {
        self.expect('[')?;
        let mut items = Vec::new();
        while !self.takes(']') {
            if !items.is_empty() {
                self.expect(',')?;
            }
            items.push(self.value(depth + 1)?);
        }
        Ok(Value::array(items))
    }

    fn map(&mut self, depth: usize) -> anyhow::Result<Value> {
        self.expect('{')?;
        let mut entries: Vec<(String, Value)> = Vec::new();
        while !self.takes('}') {
            if !entries.is_empty() {
                self.expect(',')?;
            }
            ensure!(self.peek() == Some('"'), "a key in quotes is missing at byte {}", self.at + 1);
            let key = self.string()?;
            self.expect(':')?;
            entries.push((key, self.value(depth + 1)?));
        }
        Ok(Value::map(entries))
    }

    /// A text in quotes; what is between them is serde_json's business.
    fn string(&mut self) -> anyhow::Result<String> {
        let rest = self.rest();
        let mut escaped = false;
        let end = rest.bytes().enumerate().skip(1).find(|(_, byte)| {
            let closes = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            closes
        });
        let Some((end, _)) = end else { bail!("the text at byte {} has no closing quote", self.at + 1) };
        let read = serde_json::from_str(&rest[..=end]);
        let read = read.with_context(|| format!("the text at byte {}", self.at + 1))?;
        self.at += end + 1;
        Ok(read)
    }

    fn word(&mut self) -> anyhow::Result<Value> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"+-._".contains(c));
        let word = &rest[..end.unwrap_or(rest.len())];
        let value = match word {
            "null" => Value::Nil,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "NaN" => Value::Float(f64::NAN),
            "Infinity" => Value::Float(f64::INFINITY),
            "-Infinity" => Value::Float(f64::NEG_INFINITY),
            number => match serde_json::from_str::<f64>(number) {
                Ok(number) => Value::Float(number),
                Err(_) => bail!("no value at byte {}: {}", self.at + 1, clipped(rest)),
            },
        };
        self.at += word.len();
        Ok(value)
    }
}

/// The beginning of a text.
fn clipped(text: &str) -> String {
    const CHARS: usize = 20;
    let cut: String = text.chars().take(CHARS).collect();
    if cut.len() == text.len() { format!("{cut:?}") } else { format!("{cut:?}...") }
}

/// Reads one value of YAML, which writes `.nan` and `.inf`.
///
/// # Errors
/// When it is no YAML, with the place.
pub fn parse_yaml(text: &str) -> anyhow::Result<Value> {
    let options =
        serde_saphyr::options! { non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::PassThrough };
    let Answer(value) = serde_saphyr::from_str_with_options(text, options)?;
    Ok(value)
}

/// A value of any kind.
struct Answer(Value);

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Float(value as f64))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Float(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Answer(item)) = list.next_element()? {
            items.push(item);
        }
        Ok(Value::array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries: Vec<(String, Value)> = Vec::new();
        while let Some((key, Answer(value))) = map.next_entry::<String, Answer>()? {
            entries.push((key, value));
        }
        Ok(Value::map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match parse(text) {
            Ok(value) => format!("{} {value}", value.type_name()),
            Err(error) => crate::output::chain(&error),
        }
    }

    #[test]
    fn json_is_read_and_numbers_are_floats() {
        assert_eq!(
            shown(" [1, 2.5e3, -0.1, true, null, \"a\\\"b\\u00e9\"]\n"),
            "array [1,2500,-0.1,true,null,\"a\\\"bé\"]"
        );
        assert_eq!(shown("{\"a\": {\"b\": []}, \"c\": {}}"), "map {\"a\":{\"b\":[]},\"c\":{}}");
        assert_eq!(shown("0"), "float64 0");
    }

    #[test]
    fn what_json_lacks_is_read_at_any_depth() {
        assert_eq!(shown("NaN"), "float64 NaN");
        assert_eq!(shown("{\"a\": [Infinity, {\"b\": -Infinity}]}"), "map {\"a\":[+Inf,{\"b\":-Inf}]}");
        assert_eq!(shown("\"NaN\""), "string \"NaN\"");
    }

    #[test]
    fn what_is_no_value_is_refused_with_its_place() {
        let cases = [
            ("", "the text ends where a value is due"),
            ("[1 2]", "',' is missing at byte 4"),
            ("[1,]", "no value at byte 4: \"]\""),
            ("{a: 1}", "a key in quotes is missing at byte 2"),
            ("\"open", "the text at byte 1 has no closing quote"),
            ("1 2", "'2' at byte 3 follows a whole value"),
            ("01", "no value at byte 1: \"01\""),
            ("nan", "no value at byte 1: \"nan\""),
            ("Infinityy", "no value at byte 1: \"Infinityy\""),
            ("1e999", "no value at byte 1: \"1e999\""),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), expected, "{text}");
        }
        assert!(shown("\"\\x\"").starts_with("the text at byte 1: invalid escape"));
        assert_eq!(shown(&"[".repeat(100_000)), "nested more than 128 levels deep");
        assert!(parse(&format!("{}{}", "[".repeat(128), "]".repeat(128))).is_ok());
    }

    #[test]
    fn yaml_is_read_alike() {
        let text = "{a: [.nan, .inf, -.inf, 3], b: null, c: \"x\", d: true}";
        let value = parse_yaml(text).unwrap();
        assert_eq!(value.to_string(), "{\"a\":[NaN,+Inf,-Inf,3],\"b\":null,\"c\":\"x\",\"d\":true}");
    }
}
