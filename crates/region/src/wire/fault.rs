//! A refusal, free of its encoding.

use super::Members;

/// Why a call is refused: AWS's code, status and words.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fault {
    /// The code, as `RuleNotFound`.
    pub(crate) code: &'static str,
    /// The HTTP status.
    pub(crate) status: u16,
    /// For people.
    pub(crate) message: String,
    /// Further members of a modelled error, as `clusterName`.
    pub(crate) members: Members,
}

impl Fault {
    /// A fault of the caller: 400.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, status: 400, message: message.into(), members: Members::new() }
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn member(mut self, name: &'static str, value: &str) -> Self {
        self.members = self.members.with(name, value);
        self
    }

    /// A value that breaks a rule which the service states in its own words.
    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationError", message)
    }

    /// A value that breaks a constraint of the service's model, in the words of
    /// the validation that all AWS services share.
    pub(crate) fn constraint(value: &str, path: &str, constraint: &str) -> Self {
        Self::validation(format!(
            "1 validation error detected: Value '{value}' at '{path}' failed to satisfy constraint: {constraint}"
        ))
    }

    /// A required member that is absent.
    pub(crate) fn missing(path: &str) -> Self {
        Self::validation(format!(
            "1 validation error detected: Value null at '{path}' failed to satisfy constraint: Member must not be null"
        ))
    }

    /// Something that the request cannot be blamed for.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new("InternalFailure", message).status(500)
    }

    /// Whether the caller is to blame.
    pub(crate) fn is_sender(&self) -> bool {
        self.status < 500
    }
}
