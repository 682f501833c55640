//! Reading the members of a request, with AWS's words for what is wrong.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use jiff::Timestamp;

use super::{Fault, Members, Value};

/// One member of a request, which may be absent, and its path as AWS names it
/// in errors (`actions.1.member.type`).
#[derive(Debug, Clone)]
pub(crate) struct Input<'a> {
    path: String,
    value: Option<&'a Value>,
}

impl<'a> Input<'a> {
    /// The whole request.
    pub(crate) fn new(root: &'a Value) -> Self {
        Self { path: String::new(), value: Some(root) }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn is_given(&self) -> bool {
        self.value.is_some()
    }

    /// A member of this structure.
    pub(crate) fn member(&self, name: &str) -> Input<'a> {
        let mut lower = name.to_owned();
        if let Some(first) = lower.get_mut(0..1) {
            first.make_ascii_lowercase();
        }
        let path = if self.path.is_empty() { lower } else { format!("{}.{lower}", self.path) };
        let value = match self.value {
            Some(Value::Structure(members)) => members.get(name),
            _ => None,
        };
        Input { path, value }
    }

    /// This member itself, if it is given.
    pub(crate) fn given(self) -> Option<Input<'a>> {
        self.value.is_some().then_some(self)
    }

    /// The value itself, for what is kept without being understood.
    pub(crate) fn value(&self) -> Option<&'a Value> {
        self.value
    }

    pub(crate) fn text(&self) -> Result<Option<String>, Fault> {
        match self.value {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text.clone())),
            Some(other) => Err(self.wrong_type(other, "string")),
        }
    }

    pub(crate) fn required_text(&self) -> Result<String, Fault> {
        self.text()?.ok_or_else(|| Fault::missing(&self.path))
    }

    /// A text whose length in characters lies in a range.
    pub(crate) fn sized_text(&self, length: RangeInclusive<usize>) -> Result<Option<String>, Fault> {
        let Some(text) = self.text()? else { return Ok(None) };
        let count = text.chars().count();
        if count < *length.start() {
            let rule = format!("Member must have length greater than or equal to {}", length.start());
            return Err(self.broken(&text, &rule));
        }
        if count > *length.end() {
            let rule = format!("Member must have length less than or equal to {}", length.end());
            return Err(self.broken(&text, &rule));
        }
        Ok(Some(text))
    }

    /// A text that is one of a few.
    pub(crate) fn choice(&self, choices: &[&'static str]) -> Result<Option<&'static str>, Fault> {
        let Some(text) = self.text()? else { return Ok(None) };
        match choices.iter().find(|choice| **choice == text) {
            Some(choice) => Ok(Some(choice)),
            None => {
                let rule = format!("Member must satisfy enum value set: [{}]", choices.join(", "));
                Err(self.broken(&text, &rule))
            }
        }
    }

    pub(crate) fn integer(&self) -> Result<Option<i64>, Fault> {
        match self.value {
            None => Ok(None),
            Some(Value::Int(number)) => Ok(Some(*number)),
            // JSON writers of some languages have one number type only.
            Some(Value::Float(number)) if number.fract() == 0.0 && number.abs() < 9e15 => {
                Ok(Some(*number as i64))
            }
            Some(Value::Text(text)) => match text.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(self.broken(text, "Member must be an integer")),
            },
            Some(other) => Err(self.wrong_type(other, "integer")),
        }
    }

    /// An integer in a range that fits its type.
    pub(crate) fn integer_in<T>(&self, range: RangeInclusive<T>) -> Result<Option<T>, Fault>
    where
        T: Copy + Into<i64> + TryFrom<i64>,
    {
        let Some(number) = self.integer()? else { return Ok(None) };
        let (least, most) = ((*range.start()).into(), (*range.end()).into());
        if number < least {
            let rule = format!("Member must have value greater than or equal to {least}");
            return Err(self.broken(&number.to_string(), &rule));
        }
        match T::try_from(number) {
            Ok(fitting) if number <= most => Ok(Some(fitting)),
            _ => {
                let rule = format!("Member must have value less than or equal to {most}");
                Err(self.broken(&number.to_string(), &rule))
            }
        }
    }

    pub(crate) fn number(&self) -> Result<Option<f64>, Fault> {
        match self.value {
            None => Ok(None),
            Some(Value::Int(number)) => Ok(Some(*number as f64)),
            Some(Value::Float(number)) => Ok(Some(*number)),
            Some(Value::Text(text)) => match text.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(self.broken(text, "Member must be a number")),
            },
            Some(other) => Err(self.wrong_type(other, "number")),
        }
    }

    pub(crate) fn boolean(&self) -> Result<Option<bool>, Fault> {
        match self.value {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(Value::Text(text)) if text == "true" => Ok(Some(true)),
            Some(Value::Text(text)) if text == "false" => Ok(Some(false)),
            Some(Value::Text(text)) => Err(self.broken(text, "Member must be a boolean")),
            Some(other) => Err(self.wrong_type(other, "boolean")),
        }
    }

    pub(crate) fn time(&self) -> Result<Option<Timestamp>, Fault> {
        let read = match self.value {
            None => return Ok(None),
            Some(Value::Time(time)) => Some(*time),
            Some(Value::Int(seconds)) => Timestamp::from_second(*seconds).ok(),
            Some(Value::Float(seconds)) => {
                Timestamp::from_millisecond((seconds * 1000.0).round() as i64).ok()
            }
            Some(Value::Text(text)) => {
                let seconds = text.parse::<f64>().ok();
                let from_seconds = seconds
                    .and_then(|seconds| Timestamp::from_millisecond((seconds * 1000.0).round() as i64).ok());
                text.parse().ok().or(from_seconds)
            }
            Some(other) => return Err(self.wrong_type(other, "timestamp")),
        };
        match read {
            Some(time) => Ok(Some(time)),
            None => Err(self.broken(&describe(self.value), "Member must be a timestamp")),
        }
    }

    /// The elements of a list, if it is given.
    pub(crate) fn list(&self) -> Result<Option<Vec<Input<'a>>>, Fault> {
        let elements: Vec<&'a Value> = match self.value {
            None => return Ok(None),
            Some(Value::List(values)) => values.iter().collect(),
            // `Actions=` is how the Query protocol writes an empty list.
            Some(Value::Text(text)) if text.is_empty() => Vec::new(),
            Some(Value::Structure(members)) => match members.get("member") {
                Some(Value::Structure(numbered)) => self.in_order(numbered)?,
                _ => return Err(self.broken("structure", "Member must be a list")),
            },
            Some(other) => return Err(self.wrong_type(other, "list")),
        };
        let element = |(index, value)| Input {
            path: format!("{}.{}.member", self.path, index + 1),
            value: Some(value),
        };
        Ok(Some(elements.into_iter().enumerate().map(element).collect()))
    }

    /// The elements of a list that must be given and have between `least` and
    /// `most` elements.
    pub(crate) fn required_list(&self, least: usize, most: usize) -> Result<Vec<Input<'a>>, Fault> {
        let elements = self.list()?.ok_or_else(|| Fault::missing(&self.path))?;
        self.check_length(elements.len(), least, most)?;
        Ok(elements)
    }

    fn check_length(&self, length: usize, least: usize, most: usize) -> Result<(), Fault> {
        let rule = if length < least {
            format!("Member must have length greater than or equal to {least}")
        } else if length > most {
            format!("Member must have length less than or equal to {most}")
        } else {
            return Ok(());
        };
        Err(self.broken(&format!("[{length} members]"), &rule))
    }

    /// A list of texts, empty when absent.
    pub(crate) fn texts(&self) -> Result<Vec<String>, Fault> {
        self.list()?.unwrap_or_default().iter().map(Input::required_text).collect()
    }

    /// A map with keys of the user.
    pub(crate) fn dictionary(&self) -> Result<Option<BTreeMap<String, String>>, Fault> {
        let members = match self.value {
            None => return Ok(None),
            Some(Value::Structure(members)) => members,
            Some(other) => return Err(self.wrong_type(other, "map")),
        };
        if let Some(Value::Structure(numbered)) = members.get("entry") {
            return self.entries(numbered).map(Some);
        }
        let entry = |(name, _): &(std::borrow::Cow<'static, str>, Value)| {
            let value = Input { path: format!("{}.{name}", self.path), value: members.get(name) };
            Ok((name.to_string(), value.required_text()?))
        };
        members.0.iter().map(entry).collect::<Result<_, _>>().map(Some)
    }

    /// `X.entry.1.key=…&X.entry.1.value=…`.
    fn entries(&self, numbered: &'a Members) -> Result<BTreeMap<String, String>, Fault> {
        let mut entries = BTreeMap::new();
        for value in self.in_order(numbered)? {
            let entry = Input { path: format!("{}.entry", self.path), value: Some(value) };
            entries.insert(entry.member("key").required_text()?, entry.member("value").required_text()?);
        }
        Ok(entries)
    }

    /// The values of `1=…, 2=…`, by number.
    fn in_order(&self, numbered: &'a Members) -> Result<Vec<&'a Value>, Fault> {
        let mut elements = Vec::new();
        for (index, value) in &numbered.0 {
            let index: u32 = index.parse().map_err(|_| {
                Fault::new("MalformedInput", format!("'{index}' is no index of list '{}'", self.path))
            })?;
            elements.push((index, value));
        }
        elements.sort_by_key(|(index, _)| *index);
        Ok(elements.into_iter().map(|(_, value)| value).collect())
    }

    /// A fault naming this member, its value and the rule that it breaks.
    pub(crate) fn broken(&self, value: &str, rule: &str) -> Fault {
        Fault::constraint(value, &self.path, rule)
    }

    fn wrong_type(&self, found: &Value, wanted: &str) -> Fault {
        Fault::new(
            "SerializationException",
            format!("'{}' must be a {wanted}, not {}", self.path, describe(Some(found))),
        )
    }
}

/// A value in one word, for messages.
fn describe(value: Option<&Value>) -> String {
    match value {
        None => "null".into(),
        Some(Value::Bool(value)) => value.to_string(),
        Some(Value::Int(value)) => value.to_string(),
        Some(Value::Float(value)) => value.to_string(),
        Some(Value::Text(value)) => value.clone(),
        Some(Value::Time(value)) => value.to_string(),
        Some(Value::List(_)) => "a list".into(),
        Some(Value::Structure(_) | Value::Dictionary(_)) => "a structure".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::decode_query;

    fn query(text: &str) -> Value {
        decode_query(text.as_bytes()).unwrap()
    }

    #[test]
    fn query_lists_are_read_by_number() {
        let root = query("A.member.10.Id=ten&A.member.2.Id=two&A.member.1.Id=one&B=");
        let input = Input::new(&root);
        let ids: Vec<String> = input
            .member("A")
            .list()
            .unwrap()
            .unwrap()
            .iter()
            .map(|element| element.member("Id").required_text().unwrap())
            .collect();
        assert_eq!(ids, ["one", "two", "ten"]);
        assert_eq!(input.member("B").list().unwrap().unwrap().len(), 0);
        assert!(input.member("C").list().unwrap().is_none());
    }

    #[test]
    fn a_value_out_of_range_is_named_with_its_path_and_limit() {
        let root = query("Actions.member.1.Weight=1000");
        let actions = Input::new(&root).member("Actions").list().unwrap().unwrap();
        let fault = actions[0].member("Weight").integer_in(0u32..=999).unwrap_err();
        assert_eq!(fault.code, "ValidationError");
        assert_eq!(
            fault.message,
            "1 validation error detected: Value '1000' at 'actions.1.member.weight' failed to satisfy constraint: \
             Member must have value less than or equal to 999"
        );
        let fault = actions[0].member("Order").required_text().unwrap_err();
        assert!(fault.message.contains("Value null at 'actions.1.member.order'"), "{}", fault.message);
    }

    #[test]
    fn times_are_read_from_iso_and_seconds() {
        for text in ["2026-01-01T10:00:00Z", "1767261600", "1767261600.0"] {
            let root = query(&format!("T={text}"));
            let time = Input::new(&root).member("T").time().unwrap().unwrap();
            assert_eq!(time.as_second(), 1_767_261_600, "{text}");
        }
    }
}
