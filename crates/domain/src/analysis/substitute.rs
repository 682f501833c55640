//! Placeholders `{{args.NAME}}` in a metric, and the secrets among their values
//! (`spec/analysis.md` 1.7).
//!
//! A metric is substituted twice: for planning, where a secret is a fixed text, so that it cannot
//! reach counts or limits; and just before measuring, with the secrets as they are then. Only the
//! second result holds secrets, and [`Redactor`] knows them.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};
use thiserror::Error;

/// What stands for a secret while planning.
pub const PLANNING_SECRET: &str = "temp-for-secret";

/// What stands for a secret wherever people read.
pub const REDACTED: &str = "*****";

/// Bytes of text of one metric after substitution: as much as the API stores of a whole run.
const MAX_BYTES: usize = 1024 * 1024;

/// Why a metric cannot be substituted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SubstitutionError {
    /// A placeholder that is no argument of the run.
    #[error("failed to resolve {{{{{0}}}}}")]
    Unknown(String),
    /// An argument without a value.
    #[error("argument \"{0}\" was not supplied")]
    NotSupplied(String),
    /// A secret, or a key of it, that is not there.
    #[error("key '{}' does not exist in secret '{}'", .0.key, .0.name)]
    MissingSecret(SecretKey),
    /// The values make the metric too large.
    #[error("metric has more than {MAX_BYTES} bytes after substitution")]
    TooLarge,
}

/// A key of a Secret in the run's namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretKey {
    /// Name of the Secret.
    pub name: String,
    /// Key in its data.
    pub key: String,
}

/// Where the value of an argument comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArgumentSource {
    /// The value itself.
    Literal(String),
    /// A Secret, read anew for each measurement.
    Secret(SecretKey),
    /// Nowhere.
    Missing,
}

/// The arguments of a run by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments {
    sources: BTreeMap<String, ArgumentSource>,
}

impl FromIterator<(String, ArgumentSource)> for Arguments {
    fn from_iter<I: IntoIterator<Item = (String, ArgumentSource)>>(sources: I) -> Self {
        Self { sources: sources.into_iter().collect() }
    }
}

impl Arguments {
    /// The secrets to read before measuring, each once.
    pub fn secrets(&self) -> Vec<SecretKey> {
        let keys = self.sources.values().filter_map(|source| match source {
            ArgumentSource::Secret(key) => Some(key.clone()),
            ArgumentSource::Literal(_) | ArgumentSource::Missing => None,
        });
        keys.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }

    /// The values for validation and scheduling.
    ///
    /// # Errors
    ///
    /// If an argument has no value.
    pub fn for_planning(&self) -> Result<Values, SubstitutionError> {
        self.values(|_| Some(PLANNING_SECRET.to_owned()))
            .map(|values| Values { secrets: Vec::new(), ..values })
    }

    /// The values for a measurement. `read` gives a secret that has been read.
    ///
    /// # Errors
    ///
    /// If an argument has no value or a secret is not there.
    pub fn for_measuring(
        &self,
        read: impl Fn(&SecretKey) -> Option<String>,
    ) -> Result<Values, SubstitutionError> {
        self.values(read)
    }

    fn values(&self, read: impl Fn(&SecretKey) -> Option<String>) -> Result<Values, SubstitutionError> {
        let mut values = Values::default();
        for (name, source) in &self.sources {
            let text = match source {
                ArgumentSource::Literal(text) => text.clone(),
                ArgumentSource::Missing => return Err(SubstitutionError::NotSupplied(name.clone())),
                ArgumentSource::Secret(key) => {
                    let secret = read(key).ok_or_else(|| SubstitutionError::MissingSecret(key.clone()))?;
                    values.secrets.push(secret.clone());
                    secret
                }
            };
            values.texts.insert(format!("args.{name}"), text);
        }
        Ok(values)
    }
}

/// Values of placeholders. May hold secrets, which its debug form does not show.
#[derive(Clone, Default)]
pub struct Values {
    texts: BTreeMap<String, String>,
    secrets: Vec<String>,
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Values").field("names", &self.texts.keys()).finish_non_exhaustive()
    }
}

impl Values {
    /// A copy of the metric with every placeholder replaced, in keys as well as in texts. Values
    /// are inserted as they are: what looks like a placeholder in them stays.
    ///
    /// # Errors
    ///
    /// If a placeholder is no argument, or the result is too large.
    pub fn substitute(&self, metric: &Value) -> Result<Value, SubstitutionError> {
        let mut room = MAX_BYTES;
        self.value(metric, &mut room)
    }

    /// Values of placeholders by their whole name, such as `experiment.availableAt`.
    pub fn of(texts: BTreeMap<String, String>) -> Self {
        Self { texts, secrets: Vec::new() }
    }

    /// The same with more arguments. Those of the run count more.
    #[must_use]
    pub fn with(mut self, arguments: BTreeMap<String, String>) -> Self {
        for (name, text) in arguments {
            self.texts.entry(format!("args.{name}")).or_insert(text);
        }
        self
    }

    /// What hides the secrets among the values.
    pub fn redactor(&self) -> Redactor {
        Redactor::new(self.secrets.iter().map(String::as_str))
    }

    fn value(&self, value: &Value, room: &mut usize) -> Result<Value, SubstitutionError> {
        Ok(match value {
            Value::String(text) => Value::String(self.text(text, room)?),
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.value(item, room)).collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => {
                let mut replaced = Map::new();
                for (key, value) in fields {
                    replaced.insert(self.text(key, room)?, self.value(value, room)?);
                }
                Value::Object(replaced)
            }
            scalar => scalar.clone(),
        })
    }

    fn text(&self, text: &str, room: &mut usize) -> Result<String, SubstitutionError> {
        let mut replaced = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{")
            && let Some((tag, after)) = after.split_once("}}")
        {
            let tag = tag.trim();
            let value = self.texts.get(tag).ok_or_else(|| SubstitutionError::Unknown(tag.to_owned()))?;
            if before.len() + value.len() > *room {
                return Err(SubstitutionError::TooLarge);
            }
            *room -= before.len() + value.len();
            replaced.push_str(before);
            replaced.push_str(value);
            rest = after;
        }
        *room = room.checked_sub(rest.len()).ok_or(SubstitutionError::TooLarge)?;
        replaced.push_str(rest);
        Ok(replaced)
    }
}

/// Hides secrets in texts that people read. Its debug form does not show them.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Longest first, so that a secret that begins like another is hidden whole.
    secrets: Vec<String>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    /// Hides these secrets, also as they stand in JSON and in addresses.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut forms: Vec<String> = Vec::new();
        for secret in secrets {
            // A secret read from a file often ends with a line feed that headers lose.
            for secret in [secret, secret.trim()] {
                let quoted = Value::from(secret).to_string();
                forms.push(quoted[1..quoted.len() - 1].to_owned());
                forms.push(percent_encoded(secret, false));
                forms.push(percent_encoded(secret, true));
                forms.push(secret.to_owned());
            }
        }
        forms.retain(|form| !form.is_empty());
        forms.sort_by(|left, right| right.len().cmp(&left.len()).then_with(|| left.cmp(right)));
        forms.dedup();
        Self { secrets: forms }
    }

    /// The same redactor with more secrets.
    pub fn and<'a>(&'a self, secrets: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(self.secrets.iter().map(String::as_str).chain(secrets))
    }

    /// The text without secrets.
    pub fn redact(&self, text: &str) -> String {
        let mut hidden = text.to_owned();
        for secret in &self.secrets {
            if hidden.contains(secret.as_str()) {
                hidden = hidden.replace(secret.as_str(), REDACTED);
            }
        }
        hidden
    }
}

/// The text as in an address, or as in a form, where a space is a plus sign.
fn percent_encoded(text: &str, form: bool) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            b' ' if form => encoded.push('+'),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn literal(text: &str) -> ArgumentSource {
        ArgumentSource::Literal(text.to_owned())
    }

    fn secret(name: &str, key: &str) -> ArgumentSource {
        ArgumentSource::Secret(SecretKey { name: name.to_owned(), key: key.to_owned() })
    }

    fn arguments(sources: &[(&str, ArgumentSource)]) -> Arguments {
        sources.iter().map(|(name, source)| ((*name).to_owned(), source.clone())).collect()
    }

    #[test]
    fn replaces_in_texts_keys_and_lists_but_not_in_values() {
        let values = arguments(&[
            ("svc", literal("web")),
            ("a.b-c", literal("{{args.svc}} \"x\"\u{7}")),
            ("limit", literal("3")),
        ]);
        let metric = json!({
            "name": "{{args.svc}}-rate", "failureLimit": "{{ args.limit }}", "count": 5,
            "provider": {"web": {"url": "http://{{args.svc}}/{{args.a.b-c}}", "{{args.svc}}": ["{{args.svc}}"]}},
            "open": "{{args.svc",
        });
        let expected = json!({
            "name": "web-rate", "failureLimit": "3", "count": 5,
            "provider": {"web": {"url": "http://web/{{args.svc}} \"x\"\u{7}", "web": ["web"]}},
            "open": "{{args.svc",
        });
        assert_eq!(values.for_planning().unwrap().substitute(&metric).unwrap(), expected);
    }

    #[test]
    fn an_unknown_placeholder_is_an_error_that_names_it() {
        let values = arguments(&[("a", literal("1"))]).for_planning().unwrap();
        for (text, message) in [
            ("{{args.b}}", "failed to resolve {{args.b}}"),
            ("{{ item }}", "failed to resolve {{item}}"),
            ("{{}}", "failed to resolve {{}}"),
            ("{{a}}", "failed to resolve {{a}}"),
        ] {
            assert_eq!(values.substitute(&json!(text)).unwrap_err().to_string(), message);
        }
        let missing = arguments(&[("a", ArgumentSource::Missing)]).for_planning().unwrap_err();
        assert_eq!(missing.to_string(), "argument \"a\" was not supplied");
    }

    #[test]
    fn secrets_are_absent_while_planning_and_present_while_measuring() {
        let arguments = arguments(&[("token", secret("s", "k")), ("again", secret("s", "k"))]);
        let metric = json!({"h": "Bearer {{args.token}}"});
        let planned = arguments.for_planning().unwrap().substitute(&metric).unwrap();
        assert_eq!(planned, json!({"h": "Bearer temp-for-secret"}));
        assert_eq!(arguments.secrets().len(), 1);
        let values = arguments.for_measuring(|_| Some("hunter2".to_owned())).unwrap();
        assert_eq!(values.substitute(&metric).unwrap(), json!({"h": "Bearer hunter2"}));
        assert!(!format!("{values:?} {:?}", values.redactor()).contains("hunter2"));
        let missing = arguments.for_measuring(|_| None).unwrap_err();
        assert_eq!(missing.to_string(), "key 'k' does not exist in secret 's'");
    }

    #[test]
    fn redaction_hides_every_form_and_the_longest_first() {
        let redactor = Redactor::new(["pa ss/\"w", "pa", "line\n"]);
        let text = r#"raw pa ss/"w json pa ss/\"w url pa%20ss%2F%22w form pa+ss%2F%22w line pa"#;
        assert_eq!(redactor.redact(text), "raw ***** json ***** url ***** form ***** ***** *****");
        assert_eq!(Redactor::new([""]).redact("abc"), "abc");
    }

    #[test]
    fn a_metric_that_grows_without_bound_is_refused() {
        let values = arguments(&[("big", literal(&"x".repeat(10_000)))]).for_planning().unwrap();
        let metric = json!("{{args.big}}".repeat(200));
        assert_eq!(values.substitute(&metric).unwrap_err(), SubstitutionError::TooLarge);
    }
}
