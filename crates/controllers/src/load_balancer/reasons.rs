//! What an error of AWS is called in a config's status.

use okra_aws::{AwsError, Meaning};
use okra_domain::Reason;

use super::status::Outcome;

/// The code of AWS for a target group that is not there.
const TARGET_GROUP_NOT_FOUND: &str = "TargetGroupNotFound";
/// The operation that fails when a listener is not there.
const DESCRIBE_RULES: &str = "elasticloadbalancing:DescribeRules";

/// What a failed call means for a config.
pub(crate) fn outcome_of(error: &AwsError) -> Outcome {
    let message = error.to_string();
    match error.meaning {
        Meaning::Absent if error.code == TARGET_GROUP_NOT_FOUND => {
            Outcome::Error { reason: Reason::TargetGroupNotFound, message }
        }
        Meaning::Absent if error.operation == DESCRIBE_RULES || error.code == "ListenerNotFound" => {
            Outcome::Error { reason: Reason::ListenerNotFound, message }
        }
        Meaning::Denied | Meaning::ExpiredCredentials => {
            Outcome::Error { reason: Reason::AccessDenied, message }
        }
        Meaning::Invalid | Meaning::Unsupported => Outcome::Error { reason: Reason::Refused, message },
        Meaning::Throttled => Outcome::Pending { reason: Reason::Throttled, message },
        // Something moved between the read and the write, or no answer came:
        // read again, plan again.
        Meaning::Absent
        | Meaning::Exists
        | Meaning::Conflict
        | Meaning::Unavailable
        | Meaning::UnknownOutcome
        | Meaning::NotLeader => Outcome::Pending { reason: Reason::WaitingForLoadBalancer, message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_a_reason_of_the_enum() {
        let cases = [
            (Meaning::Absent, DESCRIBE_RULES, "ListenerNotFound", Reason::ListenerNotFound),
            (
                Meaning::Absent,
                "elasticloadbalancing:CreateRule",
                "ListenerNotFound",
                Reason::ListenerNotFound,
            ),
            (
                Meaning::Absent,
                "elasticloadbalancing:ModifyRule",
                "TargetGroupNotFound",
                Reason::TargetGroupNotFound,
            ),
            (
                Meaning::Absent,
                "elasticloadbalancing:ModifyRule",
                "RuleNotFound",
                Reason::WaitingForLoadBalancer,
            ),
            (Meaning::Denied, "elasticloadbalancing:ModifyRule", "AccessDenied", Reason::AccessDenied),
            (Meaning::Throttled, "elasticloadbalancing:ModifyRule", "Throttling", Reason::Throttled),
            (Meaning::Invalid, "elasticloadbalancing:ModifyRule", "ValidationError", Reason::Refused),
            (
                Meaning::UnknownOutcome,
                "elasticloadbalancing:ModifyRule",
                "RequestTimeout",
                Reason::WaitingForLoadBalancer,
            ),
        ];
        for (meaning, operation, code, expected) in cases {
            let outcome = outcome_of(&AwsError::new(meaning, operation, code, "why"));
            let (Outcome::Error { reason, message } | Outcome::Pending { reason, message }) = outcome else {
                panic!("{code}")
            };
            assert_eq!(reason, expected, "{code}");
            assert_eq!(message, format!("{operation}: {code}: why"), "AWS's own code is in the message");
        }
    }
}
