//! Durations as Go writes them, for pauses (`spec/okra.md` 2.6.3).

use std::time::Duration;

/// Longest duration that is read: ten years. Nothing waits longer, and sums
/// with a timestamp stay in its range.
pub const DURATION_SECONDS_MAX: u64 = 10 * 366 * 24 * 60 * 60;

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not digits, and not `1h30m`, `5s`, `500ms`.
    #[error("{0:?} is no duration: seconds, or numbers with h, m, s, ms, us or ns, such as 1h30m")]
    Shape(String),
    /// A pause cannot end before it begins.
    #[error("duration {0:?} is negative")]
    Negative(String),
    /// Longer than [`DURATION_SECONDS_MAX`].
    #[error("duration {0:?} is longer than {DURATION_SECONDS_MAX} seconds")]
    TooLong(String),
}

/// Reads a Go duration (`1h30m`, `1.5h`, `500ms`) or a text of digits only,
/// which is seconds.
///
/// # Errors
/// When it is malformed, negative or too long.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let shape = || DurationError::Shape(text.to_owned());
    let too_long = || DurationError::TooLong(text.to_owned());
    if text.len() > 64 {
        return Err(shape());
    }
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if unsigned.starts_with('-') {
        return Err(DurationError::Negative(text.to_owned()));
    }
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = unsigned.parse().map_err(|_| too_long())?;
        return from_seconds(seconds).ok_or_else(too_long);
    }
    let mut nanoseconds: u128 = 0;
    let mut rest = unsigned;
    if rest.is_empty() {
        return Err(shape());
    }
    while !rest.is_empty() {
        let (part, remainder) = parse_part(rest).ok_or_else(shape)?;
        nanoseconds = nanoseconds.saturating_add(part);
        rest = remainder;
    }
    if nanoseconds > u128::from(DURATION_SECONDS_MAX) * 1_000_000_000 {
        return Err(too_long());
    }
    let seconds = u64::try_from(nanoseconds / 1_000_000_000).map_err(|_| too_long())?;
    let fraction = u32::try_from(nanoseconds % 1_000_000_000).expect("below a billion");
    Ok(Duration::new(seconds, fraction))
}

/// Reads the length of a pause in whole seconds; fractions are cut off.
///
/// # Errors
/// As [`parse`].
pub fn parse_pause_seconds(text: &str) -> Result<u64, DurationError> {
    parse(text).map(|duration| duration.as_secs())
}

/// The duration, if it is in range.
fn from_seconds(seconds: u64) -> Option<Duration> {
    (seconds <= DURATION_SECONDS_MAX).then(|| Duration::from_secs(seconds))
}

/// One number with its unit, in nanoseconds, and what follows.
fn parse_part(text: &str) -> Option<(u128, &str)> {
    let number_end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
    let (number, rest) = text.split_at(number_end);
    let unit_end = rest.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(rest.len());
    let (unit, remainder) = rest.split_at(unit_end);
    let scale: u128 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3_600 * 1_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut value = whole.saturating_mul(scale);
    let mut place = scale;
    for digit in fraction.chars() {
        place /= 10;
        value = value.saturating_add(u128::from(digit.to_digit(10)?) * place);
    }
    Some((value, remainder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_go_durations_in_whole_seconds() {
        for (text, seconds) in [
            ("90", 90),
            ("1h30m", 5400),
            ("5s", 5),
            ("500ms", 0),
            ("1500ms", 1),
            ("1.5h", 5400),
            (".5m", 30),
            ("0", 0),
            ("0s", 0),
        ] {
            assert_eq!(parse_pause_seconds(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn h_39_an_invalid_duration_is_an_error_and_no_zero() {
        for text in
            ["", "abc", "5 s", "h", "1h30", "1.2.3s", "5d", "99999999999999999999", "9999999h", "-5s", "-1"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("-5s"), Err(DurationError::Negative("-5s".into())));
    }
}
