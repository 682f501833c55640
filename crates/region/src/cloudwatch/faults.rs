//! CloudWatch's words for what is wrong (`spec/aws.md` 5.1).

use crate::wire::{Fault, Input};

pub(super) fn invalid_value(parameter: &str, value: &str, rule: &str) -> Fault {
    Fault::new(
        "InvalidParameterValue",
        format!("The value {value} for parameter {parameter} is invalid: {rule}"),
    )
}

pub(super) fn invalid_combination(message: impl Into<String>) -> Fault {
    Fault::new("InvalidParameterCombination", message)
}

/// The value of a parameter that must be there.
pub(super) fn need<T>(input: &Input<'_>, value: Option<T>) -> Result<T, Fault> {
    value
        .ok_or_else(|| Fault::new("MissingParameter", format!("The parameter {} is required.", input.path())))
}
