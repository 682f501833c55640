//! Checks of a value that say nothing about structure: ranges, patterns, enums, required fields and the junctors
//! `allOf`, `anyOf`, `oneOf`, `not` (`spec/apiserver.md` 13.2, texts 15.3).

use super::format::Format;
use super::{FieldError, Path, quoted};
use regex::Regex;
use serde_json::Value;
use std::collections::BTreeMap;

/// The value checks of one node, and those of its children inside junctors.
#[derive(Debug, Clone, Default)]
pub(crate) struct Checks {
    pub(crate) required: Vec<String>,
    pub(crate) enumeration: Vec<Value>,
    pub(crate) minimum: Option<Bound>,
    pub(crate) maximum: Option<Bound>,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) min_length: Option<u64>,
    pub(crate) max_length: Option<u64>,
    pub(crate) pattern: Option<Regex>,
    pub(crate) min_items: Option<u64>,
    pub(crate) max_items: Option<u64>,
    pub(crate) min_properties: Option<u64>,
    pub(crate) max_properties: Option<u64>,
    pub(crate) format: Option<Format>,
    /// Refused values must not be shown (`format: password`).
    pub(crate) secret: bool,
    pub(crate) all_of: Vec<Checks>,
    pub(crate) any_of: Vec<Checks>,
    pub(crate) one_of: Vec<Checks>,
    pub(crate) not: Option<Box<Checks>>,
    /// Only inside junctors, where they repeat the structure.
    pub(crate) properties: BTreeMap<String, Checks>,
    pub(crate) additional: Option<Box<Checks>>,
    pub(crate) items: Option<Box<Checks>>,
}

/// A numeric limit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bound {
    /// The limit as written, for the text.
    pub(crate) limit: serde_json::Number,
    /// Whether the limit itself is outside.
    pub(crate) exclusive: bool,
}

impl Checks {
    /// Whether there is nothing to check.
    pub(crate) fn is_empty(&self) -> bool {
        let scalar = self.minimum.is_none()
            && self.maximum.is_none()
            && self.multiple_of.is_none()
            && self.min_length.is_none()
            && self.max_length.is_none()
            && self.pattern.is_none()
            && self.min_items.is_none()
            && self.max_items.is_none()
            && self.min_properties.is_none()
            && self.max_properties.is_none()
            && self.format.is_none();
        let lists = [&self.all_of, &self.any_of, &self.one_of].iter().all(|branches| branches.is_empty());
        let children = self.properties.is_empty() && self.additional.is_none() && self.items.is_none();
        scalar
            && lists
            && children
            && self.not.is_none()
            && self.required.is_empty()
            && self.enumeration.is_empty()
    }

    /// Checks the value and, inside junctors, what is below it.
    pub(crate) fn check(&self, value: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
        if !self.enumeration.is_empty() && !self.enumeration.iter().any(|allowed| same(allowed, value)) {
            let supported: Vec<String> = self.enumeration.iter().map(Value::to_string).collect();
            errors.push(FieldError::not_supported(path, &self.shown(value), &supported));
        }
        match value {
            Value::String(text) => self.check_text(text, value, path, errors),
            Value::Number(_) => self.check_number(value, path, errors),
            Value::Array(items) => self.check_list(items, path, errors),
            Value::Object(fields) => self.check_object(fields, path, errors),
            _ => {}
        }
        self.check_junctors(value, path, errors);
    }

    fn shown(&self, value: &Value) -> Value {
        if self.secret { Value::from("<masked>") } else { value.clone() }
    }

    fn check_text(&self, text: &str, value: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
        if self.min_length.is_some() || self.max_length.is_some() {
            let length = text.chars().count() as u64;
            if let Some(limit) = self.min_length.filter(|limit| length < *limit) {
                let detail = format!("{path} in body should be at least {limit} chars long");
                errors.push(FieldError::invalid(path, &self.shown(value), detail));
            }
            if let Some(limit) = self.max_length.filter(|limit| length > *limit) {
                errors.push(FieldError::too_long(path, limit as usize));
            }
        }
        if let Some(pattern) = self.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
            let detail = format!("{path} in body should match '{}'", pattern.as_str());
            errors.push(FieldError::invalid(path, &self.shown(value), detail));
        }
        if let Some(format) = self.format.filter(|format| !format.fits_text(text)) {
            let shown = self.shown(value);
            let detail = format!("{path} in body must be of type {}: {shown}", format.name());
            errors.push(FieldError::wrong_type(path, &shown, detail));
        }
    }

    fn check_number(&self, value: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
        let mut refuse = |detail: String| {
            errors.push(FieldError::invalid(path, value, format!("{path} in body should be {detail}")));
        };
        if let Some(bound) = &self.minimum {
            let (holds, words) = match bound.exclusive {
                false => (compare(value, &bound.limit).is_ge(), "greater than or equal to"),
                true => (compare(value, &bound.limit).is_gt(), "greater than"),
            };
            if !holds {
                refuse(format!("{words} {}", bound.limit));
            }
        }
        if let Some(bound) = &self.maximum {
            let (holds, words) = match bound.exclusive {
                false => (compare(value, &bound.limit).is_le(), "less than or equal to"),
                true => (compare(value, &bound.limit).is_lt(), "less than"),
            };
            if !holds {
                refuse(format!("{words} {}", bound.limit));
            }
        }
        if let Some(factor) = self.multiple_of {
            let quotient = value.as_f64().unwrap_or(f64::NAN) / factor;
            if quotient.fract() != 0.0 {
                refuse(format!("a multiple of {factor}"));
            }
        }
        if let Some(format) = self.format.filter(|format| !format.fits_number(value)) {
            let detail =
                format!("Checked value must be of type integer with format {} in {path}", format.name());
            errors.push(FieldError::invalid_str("", "", detail));
        }
    }

    fn check_list(&self, items: &[Value], path: &Path<'_>, errors: &mut Vec<FieldError>) {
        let count = items.len() as u64;
        if let Some(limit) = self.min_items.filter(|limit| count < *limit) {
            let detail = format!("{path} in body should have at least {limit} items");
            errors.push(FieldError::invalid(path, &Value::from(count), detail));
        }
        if let Some(limit) = self.max_items.filter(|limit| count > *limit) {
            errors.push(FieldError::too_many(path, items.len(), limit as usize));
        }
        if let Some(checks) = &self.items {
            for (index, item) in items.iter().enumerate() {
                checks.check(item, &path.index(index), errors);
            }
        }
    }

    fn check_object(
        &self,
        fields: &serde_json::Map<String, Value>,
        path: &Path<'_>,
        errors: &mut Vec<FieldError>,
    ) {
        let count = fields.len() as u64;
        if let Some(limit) = self.min_properties.filter(|limit| count < *limit) {
            let detail = format!("{path} in body should have at least {limit} properties");
            errors.push(FieldError::invalid(path, &Value::from(count), detail));
        }
        if let Some(limit) = self.max_properties.filter(|limit| count > *limit) {
            errors.push(FieldError::too_many(path, fields.len(), limit as usize));
        }
        for name in &self.required {
            if !fields.contains_key(name) {
                errors.push(FieldError::required(path.field(name), ""));
            }
        }
        for (name, value) in fields {
            if let Some(checks) = self.properties.get(name).or(self.additional.as_deref()) {
                checks.check(value, &path.field(name), errors);
            }
        }
    }

    fn check_junctors(&self, value: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
        let place = quoted(&path.to_string());
        if !self.all_of.is_empty() {
            let failed: Vec<Vec<FieldError>> = failures(&self.all_of, value, path).collect();
            let bad = failed.iter().filter(|errors| !errors.is_empty()).count();
            if bad > 0 {
                let none = if bad == self.all_of.len() { ". None validated" } else { "" };
                let detail = format!("{place} must validate all the schemas (allOf){none}");
                errors.push(FieldError::invalid_str("", "", detail));
                errors.extend(failed.into_iter().flatten());
            }
        }
        if !self.any_of.is_empty() {
            let best = failures(&self.any_of, value, path).min_by_key(Vec::len).unwrap_or_default();
            if !best.is_empty() {
                let detail = format!("{place} must validate at least one schema (anyOf)");
                errors.push(FieldError::invalid_str("", "", detail));
                errors.extend(best);
            }
        }
        if !self.one_of.is_empty() {
            let mut failed: Vec<Vec<FieldError>> = failures(&self.one_of, value, path).collect();
            let valid = failed.iter().filter(|errors| errors.is_empty()).count();
            if valid != 1 {
                let found = match valid {
                    0 => "none valid".to_owned(),
                    several => format!("{several} valid alternatives"),
                };
                let detail = format!("{place} must validate one and only one schema (oneOf). Found {found}");
                errors.push(FieldError::invalid_str("", "", detail));
                failed.sort_by_key(Vec::len);
                errors.extend(failed.into_iter().next().unwrap_or_default());
            }
        }
        if let Some(not) = &self.not {
            let mut inner = Vec::new();
            not.check(value, path, &mut inner);
            if inner.is_empty() {
                let detail = format!("{place} must not validate the schema (not)");
                errors.push(FieldError::invalid_str("", "", detail));
            }
        }
    }
}

fn failures<'c>(
    branches: &'c [Checks],
    value: &'c Value,
    path: &'c Path<'c>,
) -> impl Iterator<Item = Vec<FieldError>> + 'c {
    branches.iter().map(move |branch| {
        let mut errors = Vec::new();
        branch.check(value, path, &mut errors);
        errors
    })
}

/// Equality in which 2 and 2.0 are one number.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        _ => left == right,
    }
}

/// Compares without losing the lower digits of large integers.
fn compare(value: &Value, limit: &serde_json::Number) -> std::cmp::Ordering {
    match (value.as_i64(), limit.as_i64()) {
        (Some(value), Some(limit)) => value.cmp(&limit),
        _ => value.as_f64().unwrap_or(f64::NAN).total_cmp(&limit.as_f64().unwrap_or(f64::NAN)),
    }
}

/// Whether a number is whole; 2.0 is the integer 2.
pub(crate) fn is_integer(value: &Value) -> bool {
    match value {
        Value::Number(number) => {
            number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        _ => false,
    }
}
