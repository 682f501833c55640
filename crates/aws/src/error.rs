//! What an error of AWS means to okra: one enum, one function.

use std::error::Error;
use std::fmt;

/// What a caller has to do about an error (`spec/aws.md` 1.11).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Meaning {
    /// The resource is not there: read again and plan again.
    Absent,
    /// A resource of this name or priority is there already.
    Exists,
    /// Too many calls: try again later; nothing was done.
    Throttled,
    /// The identity lacks a permission: stop and name the action.
    Denied,
    /// The resource is in use or changing: read again and plan again.
    Conflict,
    /// A fault of configuration: stop and show it.
    Invalid,
    /// No valid credentials, though there may be some again soon.
    ExpiredCredentials,
    /// AWS did not answer or failed; a read, or a write that was not sent.
    Unavailable,
    /// A write was sent and its answer did not come: it may or may not have
    /// been done. Read back.
    UnknownOutcome,
    /// okra met something it must not touch since it cannot keep it.
    Unsupported,
    /// The gate of the write was shut: this process is no longer the leader.
    NotLeader,
}

impl Meaning {
    /// Whether the same call may succeed a moment later without anybody's doing.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Throttled | Self::ExpiredCredentials | Self::Unavailable | Self::UnknownOutcome)
    }
}

/// Whether a call could have changed something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// It only reads.
    Read,
    /// It changes something, if it was done.
    Write,
}

/// A call to AWS that did not succeed.
///
/// The message is AWS's own text. It names resources and actions; okra sends
/// no secret that AWS could repeat in it.
#[derive(Debug)]
pub struct AwsError {
    /// What to do about it.
    pub meaning: Meaning,
    /// The code of AWS, such as `RuleNotFound`, or a short name of ours in
    /// the same style when no answer came.
    pub code: String,
    /// The text of AWS.
    pub message: String,
    /// Service and operation, such as `elasticloadbalancing:ModifyRule`: the
    /// name of the IAM action.
    pub operation: &'static str,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl AwsError {
    /// An error without a cause of its own.
    pub fn new(
        meaning: Meaning,
        operation: &'static str,
        code: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { meaning, code: code.into(), message: message.into(), operation, source: None }
    }

    /// The same error with the cause below it.
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.code)?;
        if self.message.is_empty() { Ok(()) } else { write!(f, ": {}", self.message) }
    }
}

impl Error for AwsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// The meaning of an answer with an error code, in every service okra calls.
///
/// Codes are compared without the suffix `Exception`, since the same error is
/// written either way by protocol and age of the service.
pub fn meaning_of(code: &str, status: u16, access: Access) -> Meaning {
    match code.strip_suffix("Exception").unwrap_or(code) {
        "Throttling"
        | "Throttled"
        | "RequestLimitExceeded"
        | "TooManyRequests"
        | "PriorRequestNotComplete"
        | "RequestThrottled"
        | "SlowDown" => Meaning::Throttled,
        "ExpiredToken"
        | "RequestExpired"
        | "InvalidClientTokenId"
        | "UnrecognizedClient"
        | "InvalidToken" => Meaning::ExpiredCredentials,
        "AccessDenied"
        | "UnauthorizedOperation"
        | "OptInRequired"
        | "MissingAuthenticationToken"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "Forbidden" => Meaning::Denied,
        "RuleNotFound"
        | "ListenerNotFound"
        | "TargetGroupNotFound"
        | "LoadBalancerNotFound"
        | "ResourceNotFound"
        | "NotFound" => Meaning::Absent,
        "PriorityInUse" | "DuplicateTargetGroupName" | "DuplicateLoadBalancerName" | "DuplicateListener" => {
            Meaning::Exists
        }
        "ResourceInUse" | "ResourcePropagationDelay" => Meaning::Conflict,
        "UnsupportedOperation" | "UnknownOperation" | "InvalidAction" => Meaning::Unsupported,
        // Only reads know this one, and it says that nothing is wrong with the call.
        "HealthUnavailable" => Meaning::Unavailable,
        // Refused before anything was done, though the status is 500.
        "InsufficientCapacity" => Meaning::Unavailable,
        _ if status == 429 => Meaning::Throttled,
        _ if status == 403 => Meaning::Denied,
        _ if status == 404 => Meaning::Absent,
        "InternalFailure"
        | "InternalError"
        | "InternalServiceError"
        | "ServiceUnavailable"
        | "InvalidNextToken"
        | "RequestTimeout" => failed(access),
        _ if status >= 500 => failed(access),
        _ => Meaning::Invalid,
    }
}

/// A failure inside AWS: a write may have been done all the same.
fn failed(access: Access) -> Meaning {
    match access {
        Access::Read => Meaning::Unavailable,
        Access::Write => Meaning::UnknownOutcome,
    }
}

#[cfg(test)]
mod tests {
    use super::Meaning::*;
    use super::*;

    /// `spec/aws.md` 1.11, 3.1 and 5.1, code by code.
    const TABLE: &[(Meaning, u16, &[&str])] = &[
        (
            Throttled,
            400,
            &["ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException"],
        ),
        (Throttled, 429, &["PriorRequestNotComplete", "ThrottlingException", "Whatever"]),
        (Unavailable, 500, &["HealthUnavailable", "InsufficientCapacity", "InternalFailure"]),
        (Unavailable, 503, &["ServiceUnavailable", "InternalError", "ServiceUnavailableException", ""]),
        (ExpiredCredentials, 400, &["ExpiredToken", "ExpiredTokenException", "RequestExpired"]),
        (ExpiredCredentials, 403, &["InvalidClientTokenId", "ExpiredToken"]),
        (Absent, 400, &["RuleNotFound", "ListenerNotFound", "TargetGroupNotFound", "LoadBalancerNotFound"]),
        (Absent, 404, &["ResourceNotFoundException", "NotFoundException"]),
        (Exists, 400, &["PriorityInUse", "DuplicateTargetGroupName", "DuplicateListener"]),
        (Conflict, 400, &["ResourceInUse"]),
        (Conflict, 428, &["ResourcePropagationDelayException"]),
        (
            Invalid,
            400,
            &[
                "ValidationError",
                "InvalidConfigurationRequest",
                "InvalidLoadBalancerAction",
                "IncompatibleProtocols",
                "UnsupportedProtocol",
                "TargetGroupAssociationLimit",
                "TooManyTargetGroups",
                "TooManyUniqueTargetGroupsPerLoadBalancer",
                "TooManyRules",
                "TooManyActions",
                "TooManyTargets",
                "TooManyRegistrationsForTargetId",
                "TooManyTags",
                "DuplicateTagKeys",
                "OperationNotPermitted",
                "InvalidTarget",
                "InvalidParameterValue",
                "InvalidParameterCombination",
                "MissingParameter",
            ],
        ),
        (Denied, 403, &["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"]),
        (Denied, 400, &["AccessDenied", "AccessDeniedException"]),
        (Unsupported, 400, &["InvalidAction", "UnknownOperationException"]),
    ];

    #[test]
    fn every_code_of_the_table_has_its_meaning() {
        for (meaning, status, codes) in TABLE {
            for code in *codes {
                assert_eq!(meaning_of(code, *status, Access::Read), *meaning, "{code} with {status}");
            }
        }
    }

    #[test]
    fn a_write_that_failed_inside_aws_may_have_been_done() {
        for (code, status) in [("InternalFailure", 500), ("ServiceUnavailable", 503), ("", 502)] {
            assert_eq!(meaning_of(code, status, Access::Write), UnknownOutcome, "{code}");
        }
        assert_eq!(meaning_of("ThrottlingException", 400, Access::Write), Throttled);
        assert_eq!(meaning_of("InsufficientCapacity", 500, Access::Write), Unavailable);
    }

    #[test]
    fn an_error_says_operation_code_and_text_once() {
        let error = AwsError::new(Denied, "eks:ListClusters", "AccessDenied", "no")
            .caused_by(std::io::Error::other("below"));
        assert_eq!(error.to_string(), "eks:ListClusters: AccessDenied: no");
        assert_eq!(error.source().map(|source| source.to_string()).as_deref(), Some("below"));
    }
}
