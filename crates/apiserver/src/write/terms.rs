//! The options that a write comes with.

use serde_json::Value;

use super::Door;
use crate::api::Call;
use crate::apply::Writer;
use crate::auth::User;
use crate::http::query::FieldValidation;
use crate::http::status::ApiError;
use crate::kinds::Kind;
use crate::schema::{FieldError, FieldReason};

/// Longest manager name taken from a User-Agent.
const AGENT_CHARACTERS: usize = 128;

/// Which request the options belong to; decides how findings are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Create,
    Update,
    Patch,
}

impl Request {
    pub(super) fn options(self) -> &'static str {
        match self {
            Self::Create => "CreateOptions",
            Self::Update => "UpdateOptions",
            Self::Patch => "PatchOptions",
        }
    }
}

pub(super) struct Terms {
    request: Request,
    pub(super) dry_run: bool,
    pub(super) manager: String,
    /// Whose rights the object must not exceed.
    pub(super) user: User,
    validation: FieldValidation,
}

impl Terms {
    /// The terms of writes by the server itself.
    pub(super) fn own() -> Self {
        let manager = "kube-apiserver".to_owned();
        Self {
            request: Request::Create,
            dry_run: false,
            manager,
            user: User::admin(),
            validation: FieldValidation::Ignore,
        }
    }

    pub(super) fn parse(call: &Call, request: Request) -> Result<Self, ApiError> {
        let options = request.options();
        let manager = match call.query.field_manager(options)? {
            Some(manager) => manager.to_owned(),
            None => agent(&call.user_agent),
        };
        let dry_run = call.query.dry_run(options)?;
        let validation = call.query.field_validation(options)?;
        Ok(Self { request, dry_run, manager, user: call.user.clone(), validation })
    }

    pub(super) fn writer<'a>(
        &'a self,
        kind: &'a Kind,
        api_version: &'a str,
        door: Door,
        time: &'a str,
    ) -> Writer<'a> {
        let subresource = door.subresource();
        let versions = kind.custom().map(|custom| custom.versions.as_slice());
        Writer { manager: &self.manager, api_version, subresource, time, has_status: kind.status, versions }
    }

    /// Warns of or refuses what was unknown or said twice.
    pub(super) fn report(
        &self,
        call: &Call,
        kind: &Kind,
        findings: &[String],
        object: &Value,
    ) -> Result<(), ApiError> {
        if findings.is_empty() {
            return Ok(());
        }
        match self.validation {
            FieldValidation::Ignore => Ok(()),
            FieldValidation::Warn => {
                findings.iter().for_each(|finding| call.warnings.add(finding.clone()));
                Ok(())
            }
            FieldValidation::Strict => Err(self.strict(kind, &findings.join(", "), object)),
        }
    }

    fn strict(&self, kind: &Kind, findings: &str, object: &Value) -> ApiError {
        if self.request == Request::Patch {
            let message =
                format!("Invalid value: {:?}: strict decoding error: {findings}", object.to_string());
            let error = FieldError { path: "patch".to_owned(), reason: FieldReason::Invalid, message };
            return ApiError::invalid("", "", "", &[error]);
        }
        let (name, version) = (&kind.kind, &kind.version);
        ApiError::bad_request(format!(
            "{name} in version {version:?} cannot be handled as a {name}: strict decoding error: {findings}"
        ))
    }
}

/// The manager of a client that names none: its program.
fn agent(user_agent: &str) -> String {
    let program: String =
        user_agent.split('/').next().unwrap_or_default().chars().take(AGENT_CHARACTERS).collect();
    if program.is_empty() { "unknown".to_owned() } else { program }
}

/// The text about a field that no schema knows.
pub(super) fn unknown(path: &str) -> String {
    format!("unknown field {path:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_the_manager() {
        assert_eq!(agent("kubectl/v1.32.4 (linux/amd64)"), "kubectl");
        assert_eq!(agent(""), "unknown");
    }
}
