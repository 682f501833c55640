//! Field selectors: `path=value` terms with backslash escapes.

use super::SelectorError;
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    field: String,
    equal: bool,
    value: String,
}

/// The conjunction of field requirements of one `fieldSelector` parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSelector {
    requirements: Vec<Requirement>,
}

impl FieldSelector {
    /// Parses the text of a `fieldSelector` parameter; the empty text selects everything.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut requirements = Vec::new();
        for term in split_terms(text) {
            if term.is_empty() {
                continue;
            }
            requirements.push(Requirement::parse(term, text)?);
        }
        Ok(FieldSelector { requirements })
    }

    /// Whether every object matches.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// The field labels the selector mentions, in order (to be checked against what the kind supports).
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.requirements.iter().map(|requirement| requirement.field.as_str())
    }

    /// The value the field must equal, if a requirement pins it (authorisation, keyed reads).
    pub fn pinned(&self, field: &str) -> Option<&str> {
        let pin =
            self.requirements.iter().find(|requirement| requirement.equal && requirement.field == field);
        pin.map(|requirement| requirement.value.as_str())
    }

    /// Whether all requirements hold for the values that `value_of` gives for each field label (absent is `""`).
    pub fn matches_with(&self, value_of: impl Fn(&str) -> String) -> bool {
        self.requirements
            .iter()
            .all(|requirement| (value_of(&requirement.field) == requirement.value) == requirement.equal)
    }

    /// [`Self::matches_with`] where each label is the dotted path of a scalar in the object.
    pub fn matches(&self, object: &Value) -> bool {
        self.matches_with(|field| field_text(object, field))
    }
}

/// The scalar at a dotted path as text; `""` if there is none.
pub fn field_text(object: &Value, path: &str) -> String {
    match path.split('.').try_fold(object, |value, name| value.get(name)) {
        Some(Value::String(text)) => text.clone(),
        Some(scalar @ (Value::Bool(_) | Value::Number(_))) => scalar.to_string(),
        _ => String::new(),
    }
}

impl Requirement {
    fn parse(term: &str, whole: &str) -> Result<Self, SelectorError> {
        let cannot = || SelectorError(format!("invalid selector: '{whole}'; can't understand '{term}'"));
        let (at, operator) = first_operator(term).ok_or_else(cannot)?;
        let value = unescape(&term[at + operator.len()..])?;
        Ok(Requirement { field: term[..at].to_owned(), equal: operator != "!=", value })
    }
}

/// The place and text of the first operator outside an escape.
fn first_operator(term: &str) -> Option<(usize, &'static str)> {
    let mut escaped = false;
    for (at, c) in term.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if let Some(operator) = ["!=", "==", "="].into_iter().find(|op| term[at..].starts_with(op)) {
            return Some((at, operator));
        }
    }
    None
}

/// Splits at commas that are not escaped.
fn split_terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let mut escaped = false;
    let mut start = 0;
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == ',' {
            terms.push(&text[start..at]);
            start = at + 1;
        }
    }
    terms.push(&text[start..]);
    terms
}

/// Takes the backslashes off; only backslash, comma and equals sign may be escaped, and the latter two must be.
fn unescape(text: &str) -> Result<String, SelectorError> {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some(c @ ('\\' | ',' | '=')) => plain.push(c),
                Some(c) => {
                    return Err(SelectorError(format!(
                        "invalid field selector: invalid escape sequence: \\{c}"
                    )));
                }
                None => {
                    return Err(SelectorError(
                        "invalid field selector: invalid escape sequence: \\".to_owned(),
                    ));
                }
            },
            ',' | '=' => {
                return Err(SelectorError(format!(
                    "invalid field selector: unescaped character in value: {c}"
                )));
            }
            c => plain.push(c),
        }
    }
    Ok(plain)
}
