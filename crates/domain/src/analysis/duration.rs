//! Durations as Go writes them, which templates use.

use jiff::SignedDuration;
use thiserror::Error;

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is no duration such as 90s, 1h30m or 500ms")]
pub struct InvalidDuration {
    text: String,
}

const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads decimal numbers with units, such as `90s`, `1h30m` or `-1.5m`; a number alone is refused,
/// except `0`.
///
/// # Errors
///
/// If the text is anything else, or longer than 292 years.
pub fn parse_duration(text: &str) -> Result<SignedDuration, InvalidDuration> {
    let nanoseconds = signed_nanoseconds(text).and_then(|total| i64::try_from(total).ok());
    nanoseconds
        .map(SignedDuration::from_nanos)
        .ok_or_else(|| InvalidDuration { text: text.chars().take(64).collect() })
}

fn signed_nanoseconds(text: &str) -> Option<i128> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut total: i128 = 0;
    let mut rest = unsigned;
    while !rest.is_empty() && unsigned != "0" {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(number_end);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let (_, nanoseconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(scaled(number, *nanoseconds)?)?;
        rest = after;
    }
    match unsigned {
        "" => None,
        _ if text.starts_with('-') => Some(-total),
        _ => Some(total),
    }
}

/// A decimal number of units, cut to whole nanoseconds.
fn scaled(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut total = whole.checked_mul(unit)?;
    // Later digits are below a nanosecond of any unit.
    let fraction = &fraction[..fraction.len().min(15)];
    if !fraction.is_empty() {
        let digits: i128 = fraction.parse().ok()?;
        total += digits * unit / 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    }
    Some(total)
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
