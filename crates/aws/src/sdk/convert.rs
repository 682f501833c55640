//! Small conversions shared by the adapters.

use std::str::FromStr;

use aws_smithy_types::DateTime;
use jiff::Timestamp;

use crate::AwsError;
use crate::error::Meaning;

/// An answer without a part that AWS always sends.
pub(super) fn incomplete(operation: &'static str, part: &str) -> AwsError {
    let message = format!("the answer lacks {part}");
    AwsError::new(Meaning::Unavailable, operation, "IncompleteAnswer", message)
}

/// An ARN of an answer.
pub(super) fn arn<A: FromStr>(
    operation: &'static str,
    part: &str,
    text: Option<String>,
) -> Result<A, AwsError> {
    text.and_then(|text| text.parse().ok()).ok_or_else(|| incomplete(operation, part))
}

/// A moment of the SDK; one outside of jiff's range counts as absent.
pub(super) fn timestamp(moment: &DateTime) -> Option<Timestamp> {
    let nanoseconds = i32::try_from(moment.subsec_nanos()).ok()?;
    Timestamp::new(moment.secs(), nanoseconds).ok()
}

/// A moment for the SDK.
pub(super) fn date_time(moment: Timestamp) -> DateTime {
    DateTime::from_nanos(moment.as_nanosecond())
        .expect("jiff's years -9999 to 9999 fit into the SDK's seconds of 64 bits")
}

/// A port; AWS numbers them from 1 to 65535.
pub(super) fn port(port: Option<i32>) -> Option<u16> {
    port.and_then(|port| u16::try_from(port).ok())
}
