//! From an error of the SDK to its meaning.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::credentials::StaticKeysRefused;
use crate::error::{Access, AwsError, Meaning, meaning_of};

/// The call behind a role's credentials.
pub(super) const ASSUME_ROLE: &str = "sts:AssumeRole";

/// Bounds of what an operation of the SDK may fail with.
pub(super) trait OperationError: ProvideErrorMetadata + Error + Send + Sync + 'static {}

impl<E: ProvideErrorMetadata + Error + Send + Sync + 'static> OperationError for E {}

/// What it means that `operation` ended with `error`.
pub(super) fn failure<E: OperationError>(
    operation: &'static str,
    access: Access,
    error: SdkError<E, HttpResponse>,
) -> AwsError {
    match error {
        SdkError::ServiceError(context) => {
            let status = context.raw().status().as_u16();
            if status < 400 {
                // Done, or so the status says, but the answer was no answer.
                return AwsError::new(lost(access), operation, "UnreadableAnswer", "");
            }
            let code = context.err().code().unwrap_or_default();
            let message = context.err().message().unwrap_or_default();
            let meaning = meaning_of(code, status, access);
            let code = if code.is_empty() { format!("HTTP {status}") } else { code.to_owned() };
            AwsError::new(meaning, operation, code, message)
        }
        other => without_answer(operation, access, other),
    }
}

fn without_answer<E: OperationError>(
    operation: &'static str,
    access: Access,
    error: SdkError<E, HttpResponse>,
) -> AwsError {
    if let Some(refusal) = role_refused(&error) {
        return refusal;
    }
    let lost = lost(access);
    let (meaning, code) = if in_chain::<CredentialsError>(&error) {
        credentials_meaning(&error)
    } else {
        match &error {
            SdkError::ConstructionFailure(_) => (Meaning::Invalid, "RequestNotBuilt"),
            SdkError::TimeoutError(_) => (lost, "RequestTimeout"),
            SdkError::DispatchFailure(failure) if failure.is_user() => (Meaning::Invalid, "RequestNotBuilt"),
            // Nobody listened, so nothing was sent.
            SdkError::DispatchFailure(_) if refused(&error) => (Meaning::Unavailable, "ConnectionRefused"),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => (lost, "RequestTimeout"),
            SdkError::DispatchFailure(_) => (lost, "ConnectionLost"),
            _ => (lost, "UnreadableAnswer"),
        }
    };
    let error = match error.into_source() {
        Ok(source) => source,
        Err(error) => error.into(),
    };
    AwsError::new(meaning, operation, code, "").caused_by(error)
}

/// No answer came, or none that can be read.
fn lost(access: Access) -> Meaning {
    match access {
        Access::Read => Meaning::Unavailable,
        Access::Write => Meaning::UnknownOutcome,
    }
}

/// What it means that no credentials could be had for `operation`.
pub(super) fn credentials_failure(operation: &'static str, error: CredentialsError) -> AwsError {
    if let Some(refusal) = role_refused(&error) {
        return refusal;
    }
    let (meaning, code) = credentials_meaning(&error);
    AwsError::new(meaning, operation, code, "").caused_by(error)
}

/// What STS said where it did not give the role's credentials: whatever was to
/// be called, AssumeRole is the action that lacks a permission or a trust.
fn role_refused(error: &(dyn Error + 'static)) -> Option<AwsError> {
    let refusal = chain(error).find_map(|error| error.downcast_ref::<AssumeRoleError>())?;
    let code = refusal.code()?;
    let meaning = meaning_of(code, 0, Access::Read);
    Some(AwsError::new(meaning, ASSUME_ROLE, code, refusal.message().unwrap_or_default()))
}

/// Static keys are for the operator to change; everything else may pass.
fn credentials_meaning(error: &(dyn Error + 'static)) -> (Meaning, &'static str) {
    if in_chain::<StaticKeysRefused>(error) {
        (Meaning::Denied, "StaticKeysRefused")
    } else {
        (Meaning::ExpiredCredentials, "NoCredentials")
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error: &'a (dyn Error + 'static) = next?;
        next = error.source();
        Some(error)
    })
}

fn in_chain<T: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|error| error.is::<T>())
}

fn refused(error: &(dyn Error + 'static)) -> bool {
    chain(error)
        .filter_map(|error| error.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}
