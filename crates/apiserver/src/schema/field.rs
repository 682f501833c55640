//! What is wrong with one field of an object: the unit of a 422 answer (`spec/apiserver.md` 15.3).

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt;

/// Why a field was refused; the text is the `reason` of a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FieldReason {
    /// `FieldValueRequired`
    Required,
    /// `FieldValueInvalid`
    Invalid,
    /// `FieldValueNotSupported`
    NotSupported,
    /// `FieldValueDuplicate`
    Duplicate,
    /// `FieldValueForbidden`
    Forbidden,
    /// `FieldValueTooLong`
    TooLong,
    /// `FieldValueTooMany`
    TooMany,
    /// `FieldValueTypeInvalid`
    TypeInvalid,
    /// `FieldValueNotFound`
    NotFound,
}

impl FieldReason {
    /// The word clients compare, `FieldValueRequired` and so on.
    pub fn as_str(self) -> &'static str {
        match self {
            FieldReason::Required => "FieldValueRequired",
            FieldReason::Invalid => "FieldValueInvalid",
            FieldReason::NotSupported => "FieldValueNotSupported",
            FieldReason::Duplicate => "FieldValueDuplicate",
            FieldReason::Forbidden => "FieldValueForbidden",
            FieldReason::TooLong => "FieldValueTooLong",
            FieldReason::TooMany => "FieldValueTooMany",
            FieldReason::TypeInvalid => "FieldValueTypeInvalid",
            FieldReason::NotFound => "FieldValueNotFound",
        }
    }
}

/// One refused field. Its `Display` is `PATH: TEXT` as in the message of the Status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The path, such as `spec.items[0].name`; `<nil>` for the root.
    pub path: String,
    /// The kind of refusal.
    pub reason: FieldReason,
    /// The text behind `PATH: `, complete.
    pub message: String,
}

impl FieldError {
    fn new(path: impl ToString, reason: FieldReason, message: String) -> Self {
        let path = path.to_string();
        let path = if path.is_empty() { "<nil>".to_owned() } else { path };
        FieldError { path, reason, message }
    }

    /// `Required value` or `Required value: DETAIL`.
    pub fn required(path: impl ToString, detail: &str) -> Self {
        let message =
            if detail.is_empty() { "Required value".to_owned() } else { format!("Required value: {detail}") };
        Self::new(path, FieldReason::Required, message)
    }

    /// `Invalid value: VALUE: DETAIL`.
    pub fn invalid(path: impl ToString, value: &Value, detail: impl fmt::Display) -> Self {
        Self::new(path, FieldReason::Invalid, format!("Invalid value: {value}: {detail}"))
    }

    /// [`Self::invalid`] with a text as value.
    pub fn invalid_str(path: impl ToString, value: &str, detail: impl fmt::Display) -> Self {
        Self::new(path, FieldReason::Invalid, format!("Invalid value: {}: {detail}", quoted(value)))
    }

    /// `Invalid value: DETAIL` without a value (CEL rules at objects and lists, 13.5).
    pub fn invalid_bare(path: impl ToString, detail: impl fmt::Display) -> Self {
        Self::new(path, FieldReason::Invalid, format!("Invalid value: {detail}"))
    }

    /// An invalid value whose type or format is wrong; same text, reason `FieldValueTypeInvalid`.
    pub fn wrong_type(path: impl ToString, value: &Value, detail: impl fmt::Display) -> Self {
        Self::new(path, FieldReason::TypeInvalid, format!("Invalid value: {value}: {detail}"))
    }

    /// `Unsupported value: VALUE: supported values: "a", "b"`.
    pub fn not_supported(path: impl ToString, value: &Value, supported: &[String]) -> Self {
        let message = if supported.is_empty() {
            format!("Unsupported value: {value}")
        } else {
            format!("Unsupported value: {value}: supported values: {}", supported.join(", "))
        };
        Self::new(path, FieldReason::NotSupported, message)
    }

    /// [`Self::not_supported`] where the supported values are words.
    pub fn not_one_of(path: impl ToString, value: &Value, words: &[&str]) -> Self {
        let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        Self::not_supported(path, value, &words)
    }

    /// `Duplicate value: VALUE`.
    pub fn duplicate(path: impl ToString, value: &Value) -> Self {
        Self::new(path, FieldReason::Duplicate, format!("Duplicate value: {value}"))
    }

    /// `Forbidden: DETAIL`.
    pub fn forbidden(path: impl ToString, detail: impl fmt::Display) -> Self {
        Self::new(path, FieldReason::Forbidden, format!("Forbidden: {detail}"))
    }

    /// `Too long: may not be more than LIMIT bytes` (also where characters are counted).
    pub fn too_long(path: impl ToString, limit: usize) -> Self {
        Self::new(path, FieldReason::TooLong, format!("Too long: may not be more than {limit} bytes"))
    }

    /// `Too many: COUNT: must have at most LIMIT items`.
    pub fn too_many(path: impl ToString, count: usize, limit: usize) -> Self {
        let message = format!("Too many: {count}: must have at most {limit} items");
        Self::new(path, FieldReason::TooMany, message)
    }

    /// `Not found: VALUE`.
    pub fn not_found(path: impl ToString, value: &Value) -> Self {
        Self::new(path, FieldReason::NotFound, format!("Not found: {value}"))
    }

    /// An error whose text is given by a rule (CEL reasons, 13.5).
    pub(crate) fn with_reason(path: impl ToString, reason: FieldReason, message: String) -> Self {
        Self::new(path, reason, message)
    }

    /// The entry of `details.causes`: `{reason, message, field}`.
    pub fn cause(&self) -> Value {
        json!({"reason": self.reason.as_str(), "message": self.message, "field": self.path})
    }

    /// The text behind `KIND "NAME" is invalid: `: one error, or `[e1, e2]`, equal ones once.
    pub fn aggregate(errors: &[FieldError]) -> String {
        let mut seen = BTreeSet::new();
        let texts = errors.iter().map(FieldError::to_string);
        let texts: Vec<String> = texts.filter(|text| seen.insert(text.clone())).collect();
        match texts.as_slice() {
            [one] => one.clone(),
            _ => format!("[{}]", texts.join(", ")),
        }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// The text as a JSON string, quotes included.
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A path under construction: borrowed from the walk, rendered only when an error is found.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Path<'a> {
    /// The object itself; renders as the empty text.
    Root,
    /// A fixed text in front of everything, such as a path handed in by a caller.
    Base(&'a str),
    /// A property or map key, `.name`.
    Field(&'a Path<'a>, &'a str),
    /// A list position, `[0]`.
    Index(&'a Path<'a>, usize),
    /// A map key in brackets, `[key]`.
    Key(&'a Path<'a>, &'a str),
}

impl<'a> Path<'a> {
    pub(crate) fn field(&'a self, name: &'a str) -> Path<'a> {
        Path::Field(self, name)
    }

    pub(crate) fn index(&'a self, index: usize) -> Path<'a> {
        Path::Index(self, index)
    }

    pub(crate) fn key(&'a self, key: &'a str) -> Path<'a> {
        Path::Key(self, key)
    }

    fn is_empty(&self) -> bool {
        matches!(self, Path::Root | Path::Base(""))
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Base(text) => f.write_str(text),
            Path::Field(parent, name) if parent.is_empty() => f.write_str(name),
            Path::Field(parent, name) => write!(f, "{parent}.{name}"),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
            Path::Key(parent, key) => write!(f, "{parent}[{key}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_render_as_kubernetes_writes_them() {
        let spec = Path::Root.field("spec");
        let item = spec.field("items");
        let item = item.index(2);
        assert_eq!(item.field("name").to_string(), "spec.items[2].name");
        assert_eq!(spec.key("a").to_string(), "spec[a]");
        assert_eq!(FieldError::required(Path::Root, "").to_string(), "<nil>: Required value");
    }

    #[test]
    fn equal_errors_are_named_once() {
        let error = FieldError::invalid_str("spec.a", "x", "bad");
        assert_eq!(
            FieldError::aggregate(&[error.clone(), error.clone()]),
            r#"spec.a: Invalid value: "x": bad"#
        );
        let other = FieldError::forbidden("spec.b", "no");
        assert_eq!(
            FieldError::aggregate(&[error.clone(), other.clone()]),
            r#"[spec.a: Invalid value: "x": bad, spec.b: Forbidden: no]"#
        );
        assert_eq!(
            other.cause(),
            json!({"reason": "FieldValueForbidden", "message": "Forbidden: no", "field": "spec.b"})
        );
    }
}
