//! Durations as Go writes them, which templates use.

use jiff::SignedDuration;
use thiserror::Error;

use crate::duration;

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is no duration such as 90s, 1h30m or 500ms")]
pub struct InvalidDuration {
    text: String,
}

/// Reads decimal numbers with units, such as `90s`, `1h30m` or `-1.5m`. A number alone is refused,
/// except `0`: for a pause it is seconds, for Go it is a mistake.
///
/// # Errors
///
/// If the text is anything else, or longer than [`DURATION_SECONDS_MAX`](duration::DURATION_SECONDS_MAX).
pub fn parse_duration(text: &str) -> Result<SignedDuration, InvalidDuration> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = unsigned != "0" && unsigned.bytes().all(|byte| byte.is_ascii_digit());
    let is_signed_twice = unsigned.starts_with(['+', '-']);
    let parsed = duration::parse(unsigned).ok().filter(|_| !is_number && !is_signed_twice);
    let parsed = parsed.and_then(|duration| SignedDuration::try_from(duration).ok());
    match parsed {
        Some(duration) if text.starts_with('-') => Ok(-duration),
        Some(duration) => Ok(duration),
        None => Err(InvalidDuration { text: text.chars().take(64).collect() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        let seconds = |text| parse_duration(text).map(|duration| duration.as_secs_f64()).ok();
        let rows = [
            ("90s", Some(90.0)),
            ("1h30m", Some(5400.0)),
            ("1.5h", Some(5400.0)),
            ("500ms", Some(0.5)),
            ("250us", Some(0.000_25)),
            ("250µs", Some(0.000_25)),
            (".5s", Some(0.5)),
            ("1.s", Some(1.0)),
            ("-1m", Some(-60.0)),
            ("+1m", Some(60.0)),
            ("0", Some(0.0)),
            ("-0", Some(0.0)),
            ("1m1m", Some(120.0)),
            ("", None),
            ("-", None),
            ("--1s", None),
            ("+-1s", None),
            ("5", None),
            ("5d", None),
            ("s", None),
            (".s", None),
            ("1.2.3s", None),
            ("1 s", None),
            ("5m ", None),
            ("99999999999999999999h", None),
        ];
        for (text, expected) in rows {
            assert_eq!(seconds(text), expected, "{text:?}");
        }
    }
}
