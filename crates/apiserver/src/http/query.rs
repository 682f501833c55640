//! Query parameters, with the parsing rules and messages of upstream.

use std::collections::BTreeMap;

use super::status::ApiError;
use crate::schema::{FieldError, FieldReason};

/// The parameters of a request; the first value of each name counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    values: BTreeMap<String, Vec<String>>,
}

/// What happens to unknown and duplicate fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// Longest field manager (spec/apiserver.md 1.2).
const FIELD_MANAGER_BYTES: usize = 128;

impl Query {
    pub(crate) fn parse(query: Option<&str>) -> Self {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            values.entry(key.into_owned()).or_default().push(value.into_owned());
        }
        Self { values }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).and_then(|values| values.first()).map(String::as_str)
    }

    /// Every value of a parameter.
    pub(crate) fn all(&self, key: &str) -> &[String] {
        self.values.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// The value, with absent and empty being the same.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.get(key).unwrap_or_default()
    }

    /// True unless absent, `false` or `0`.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value != "false" && value != "0")
    }

    pub(crate) fn integer(&self, key: &str) -> Result<Option<i64>, ApiError> {
        let text = self.text(key);
        if text.is_empty() {
            return Ok(None);
        }
        let parsed = text.parse().map(Some);
        parsed
            .map_err(|_| ApiError::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")))
    }

    /// Whether `dryRun=All`; `options` names the options kind in the error.
    pub(crate) fn dry_run(&self, options: &str) -> Result<bool, ApiError> {
        match self.values.get("dryRun").map(Vec::as_slice) {
            None => Ok(false),
            Some(values) => check_dry_run(values, options),
        }
    }

    /// The `fieldManager` parameter, checked.
    pub(crate) fn field_manager(&self, options: &str) -> Result<Option<&str>, ApiError> {
        let manager = self.text("fieldManager");
        if manager.is_empty() {
            return Ok(None);
        }
        if manager.len() > FIELD_MANAGER_BYTES {
            let detail = format!("Too long: may not be more than {FIELD_MANAGER_BYTES} bytes");
            return Err(option_error(options, "fieldManager", FieldReason::TooLong, detail));
        }
        if manager.chars().any(char::is_control) {
            let detail = format!("Invalid value: {manager:?}: should only contain printable characters");
            return Err(option_error(options, "fieldManager", FieldReason::Invalid, detail));
        }
        Ok(Some(manager))
    }

    pub(crate) fn field_validation(&self, options: &str) -> Result<FieldValidation, ApiError> {
        match self.text("fieldValidation") {
            "" | "Warn" => Ok(FieldValidation::Warn),
            "Ignore" => Ok(FieldValidation::Ignore),
            "Strict" => Ok(FieldValidation::Strict),
            other => {
                let detail = format!(
                    "Unsupported value: {other:?}: supported values: \"\", \"Ignore\", \"Strict\", \"Warn\""
                );
                Err(option_error(options, "fieldValidation", FieldReason::NotSupported, detail))
            }
        }
    }
}

/// Checks the values of `dryRun`, from the query or from DeleteOptions.
pub(crate) fn check_dry_run(values: &[String], options: &str) -> Result<bool, ApiError> {
    if values.iter().all(|value| value == "All") {
        return Ok(!values.is_empty());
    }
    let detail = format!(
        "Unsupported value: [{}]: supported values: \"All\"",
        values.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(",")
    );
    Err(option_error(options, "dryRun", FieldReason::NotSupported, detail))
}

/// A 422 about one request option.
pub(crate) fn option_error(options: &str, path: &str, reason: FieldReason, message: String) -> ApiError {
    ApiError::invalid_options(options, FieldError { path: path.to_owned(), reason, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_true_unless_absent_false_or_zero() {
        let query = Query::parse(Some("watch=&a=false&b=0&c=yes"));
        assert!(query.flag("watch") && query.flag("c"));
        assert!(!query.flag("a") && !query.flag("b") && !query.flag("absent"));
    }

    #[test]
    fn only_all_is_a_dry_run() {
        assert!(Query::parse(Some("dryRun=All")).dry_run("CreateOptions").unwrap());
        assert!(!Query::parse(None).dry_run("CreateOptions").unwrap());
        let error = Query::parse(Some("dryRun=x")).dry_run("CreateOptions").unwrap_err();
        let text = "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"x\"]: supported \
                    values: \"All\"";
        assert_eq!((error.code, error.message.as_str()), (422, text));
    }
}
