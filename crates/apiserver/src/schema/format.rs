//! The values `format` may take and what each accepts (`spec/apiserver.md` 13.2).

use super::names;
use base64::Engine;
use regex::Regex;
use serde_json::Value;
use std::sync::LazyLock;

/// A format that is checked. Others are ignored, with a warning when the CRD is written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Format {
    Int32,
    Int64,
    Byte,
    Date,
    DateTime,
    Duration,
    /// A text that a test accepts.
    Text(&'static str, Test),
}

/// Whether a text has a format.
type Test = fn(&str) -> bool;

const TEXTS: &[(&str, Test)] = &[
    ("bsonobjectid", |text| matches(&BSON, text)),
    ("uri", is_uri),
    ("email", |text| matches(&EMAIL, text)),
    ("hostname", |text| names::dns_subdomain(&text.to_ascii_lowercase()).is_empty()),
    ("ipv4", |text| text.parse::<std::net::Ipv4Addr>().is_ok()),
    ("ipv6", |text| text.parse::<std::net::Ipv6Addr>().is_ok()),
    ("cidr", is_cidr),
    ("mac", |text| matches(&MAC, text)),
    ("uuid", |text| matches(&UUID, text)),
    ("uuid3", |text| is_uuid(text, b'3')),
    ("uuid4", |text| is_uuid(text, b'4')),
    ("uuid5", |text| is_uuid(text, b'5')),
    ("isbn", |text| is_isbn(text, 10) || is_isbn(text, 13)),
    ("isbn10", |text| is_isbn(text, 10)),
    ("isbn13", |text| is_isbn(text, 13)),
    ("creditcard", |text| matches(&CREDIT_CARD, &text.replace(|c: char| !c.is_ascii_digit(), ""))),
    ("ssn", |text| matches(&SSN, text)),
    ("hexcolor", |text| matches(&HEX_COLOR, text)),
    ("rgbcolor", |text| matches(&RGB_COLOR, text)),
    ("password", |_| true),
    ("k8s-short-name", |text| names::dns_label(text).is_empty()),
    ("k8s-long-name", |text| names::dns_subdomain(text).is_empty()),
];

/// Formats of numbers and words that mean nothing to check but are well known.
const KNOWN_ONLY: &[&str] = &["double", "float", "int-or-string", "binary", ""];

macro_rules! pattern {
    ($name:ident, $text:literal) => {
        static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($text).expect("a constant pattern is well formed"));
    };
}
pattern!(BSON, "^[0-9a-fA-F]{24}$");
pattern!(EMAIL, r#"^[^\s@<>",]+@[^\s@<>",]+$"#);
pattern!(MAC, "^([0-9A-Fa-f]{2}[:-]){5}([0-9A-Fa-f]{2}[:-]?){1,3}$|^([0-9A-Fa-f]{4}\\.){2,3}[0-9A-Fa-f]{4}$");
pattern!(UUID, "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$");
pattern!(
    CREDIT_CARD,
    r"^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35\d{3})\d{11})$"
);
pattern!(SSN, r"^\d{3}[- ]?\d{2}[- ]?\d{4}$");
pattern!(HEX_COLOR, "^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$");
pattern!(
    RGB_COLOR,
    r"^rgb\(\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*,\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*,\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*\)$"
);
pattern!(DATE, r"^\d{4}-\d{2}-\d{2}$");
pattern!(DATE_TIME, r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$");
pattern!(SCALA_DURATION, r"^((\d+(\.\d+)?)\s*([A-Za-zµ]+))$");

fn matches(pattern: &Regex, text: &str) -> bool {
    pattern.is_match(text)
}

impl Format {
    /// The format of a name; names are compared without dashes, as upstream does.
    pub(crate) fn parse(name: &str) -> Option<Format> {
        match name {
            "int32" => return Some(Format::Int32),
            "int64" => return Some(Format::Int64),
            "byte" => return Some(Format::Byte),
            "date" => return Some(Format::Date),
            "datetime" | "date-time" => return Some(Format::DateTime),
            "duration" => return Some(Format::Duration),
            _ => {}
        }
        let (name, test) = TEXTS.iter().find(|(known, _)| known == &name)?;
        Some(Format::Text(name, *test))
    }

    /// Whether a CRD may use the name without a warning.
    pub(crate) fn is_known(name: &str) -> bool {
        Format::parse(name).is_some() || KNOWN_ONLY.contains(&name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Format::Int32 => "int32",
            Format::Int64 => "int64",
            Format::Byte => "byte",
            Format::Date => "date",
            Format::DateTime => "date-time",
            Format::Duration => "duration",
            Format::Text(name, _) => name,
        }
    }

    pub(crate) fn fits_text(self, text: &str) -> bool {
        match self {
            Format::Int32 | Format::Int64 => true,
            Format::Byte => base64::engine::general_purpose::STANDARD.decode(text).is_ok(),
            Format::Date => matches(&DATE, text) && text.parse::<jiff::civil::Date>().is_ok(),
            Format::DateTime => parse_timestamp(text).is_some(),
            Format::Duration => parse_go_duration(text).is_some() || is_scala_duration(text),
            Format::Text(_, test) => test(text),
        }
    }

    pub(crate) fn fits_number(self, value: &Value) -> bool {
        let whole = value.as_f64().is_none_or(|number| number.fract() == 0.0);
        match self {
            Format::Int32 if whole => value
                .as_f64()
                .is_some_and(|number| (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number)),
            Format::Int64 if whole => value.is_i64() || value.as_f64().is_some_and(|n| n.abs() < 9.2e18),
            _ => true,
        }
    }
}

/// A time as RFC 3339 writes it, with an offset or `Z`.
pub fn parse_timestamp(text: &str) -> Option<jiff::Timestamp> {
    if !matches(&DATE_TIME, text) {
        return None;
    }
    text.parse().ok()
}

/// A duration as Go writes it (`1h30m`, `-1.5s`, `300ms`, `0`), in nanoseconds.
pub fn parse_go_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0f64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|end| *end > 0)?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let nanoseconds = match &rest[..unit] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        total += number * nanoseconds;
        rest = &rest[unit..];
    }
    if total > i64::MAX as f64 {
        return None;
    }
    Some(if negative { -(total as i64) } else { total as i64 })
}

/// A duration such as `22 ns` or `3 days`.
fn is_scala_duration(text: &str) -> bool {
    const UNITS: &[&str] = &[
        "ns",
        "nano",
        "nanos",
        "nanosecond",
        "nanoseconds",
        "us",
        "µs",
        "micro",
        "micros",
        "microsecond",
        "microseconds",
        "ms",
        "milli",
        "millis",
        "millisecond",
        "milliseconds",
        "s",
        "sec",
        "secs",
        "second",
        "seconds",
        "m",
        "min",
        "mins",
        "minute",
        "minutes",
        "h",
        "hr",
        "hour",
        "hours",
        "d",
        "day",
        "days",
        "w",
        "wk",
        "week",
        "weeks",
    ];
    SCALA_DURATION
        .captures(text.trim())
        .and_then(|captures| captures.get(4))
        .is_some_and(|unit| UNITS.contains(&unit.as_str().to_lowercase().as_str()))
}

fn is_uri(text: &str) -> bool {
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return false;
    }
    if text.starts_with('/') {
        return true;
    }
    match text.split_once(':') {
        Some((scheme, rest)) => {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
                && !rest.is_empty()
        }
        None => false,
    }
}

fn is_cidr(text: &str) -> bool {
    let Some((address, prefix)) = text.split_once('/') else { return false };
    let (Ok(address), Ok(prefix)) = (address.parse::<std::net::IpAddr>(), prefix.parse::<u8>()) else {
        return false;
    };
    prefix <= if address.is_ipv4() { 32 } else { 128 }
}

fn is_uuid(text: &str, version: u8) -> bool {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
    let variant = version == b'3' || digits.get(16).is_some_and(|byte| b"89abAB".contains(byte));
    matches(&UUID, text) && digits.get(12) == Some(&version) && variant
}

fn is_isbn(text: &str, length: usize) -> bool {
    let text: String = text.chars().filter(|c| *c != '-' && !c.is_whitespace()).collect();
    if text.len() != length {
        return false;
    }
    let mut sum = 0;
    for (index, c) in text.chars().enumerate() {
        let last = index + 1 == length;
        let digit = match c.to_digit(10) {
            Some(digit) => digit,
            None if length == 10 && last && (c == 'X' || c == 'x') => 10,
            None => return false,
        };
        let weight = if length == 10 { index as u32 + 1 } else { [1, 3][index % 2] };
        sum += weight * digit;
    }
    sum % if length == 10 { 11 } else { 10 } == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(format: &str, text: &str) -> bool {
        Format::parse(format).unwrap().fits_text(text)
    }

    #[test]
    fn formats_accept_and_refuse() {
        let cases = [
            ("ipv4", "10.0.0.1", "10.0.0"),
            ("ipv6", "::1", "10.0.0.1"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
            ("mac", "01:02:03:04:05:ab", "01:02:03"),
            ("uuid", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "6ba7b810"),
            ("uuid4", "57b73598-8764-4ad0-a76a-679bb6640eb1", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
            ("isbn10", "0321751043", "0321751044"),
            ("isbn13", "978-0321751041", "978-0321751042"),
            ("email", "a@b.c", "a"),
            ("hostname", "a.example.com", "-a"),
            ("uri", "https://example.com", "example"),
            ("date", "2026-02-28", "2026-02-30"),
            ("date-time", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05"),
            ("duration", "1h30m", "1 fortnight"),
            ("byte", "aGk=", "???"),
            ("hexcolor", "#fff", "#ff"),
            ("rgbcolor", "rgb(1,2,255)", "rgb(1,2,256)"),
            ("ssn", "123-45-6789", "123"),
            ("creditcard", "4111 1111 1111 1111", "1"),
            ("bsonobjectid", "507f1f77bcf86cd799439011", "x"),
        ];
        for (format, good, bad) in cases {
            assert!(fits(format, good), "{format} should accept {good}");
            assert!(!fits(format, bad), "{format} should refuse {bad}");
        }
        assert!(fits("duration", "22 ns"));
        assert!(Format::parse("zzz").is_none() && !Format::is_known("zzz"));
        assert!(Format::is_known("double"));
    }

    #[test]
    fn go_durations() {
        assert_eq!(parse_go_duration("1h1.5s"), Some(3_601_500_000_000));
        assert_eq!(parse_go_duration("-5ms"), Some(-5_000_000));
        assert_eq!(parse_go_duration("0"), Some(0));
        for bad in ["", "5", "s", "1x", "1..2s", "9999999999h"] {
            assert_eq!(parse_go_duration(bad), None, "{bad}");
        }
    }
}
