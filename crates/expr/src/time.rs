//! Durations and dates in the forms of Go's `time` package, which templates are written in.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, Zoned};

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

/// Nanoseconds of `1h30m`, `-1.5s`, `300ms`, `0`.
pub(crate) fn parse_duration(text: &str) -> Result<i64, String> {
    let invalid = || format!("invalid duration {text:?}");
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_end);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let (_, nanoseconds) = *UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(|| match unit {
            "" => format!("missing unit in duration {text:?}"),
            _ => format!("unknown unit {unit:?} in duration {text:?}"),
        })?;
        total = total.saturating_add(scaled(number, nanoseconds).ok_or_else(invalid)?);
        rest = after;
    }
    let signed = if negative { -total } else { total };
    i64::try_from(signed).map_err(|_| invalid())
}

/// The decimal number times the unit, cut to whole nanoseconds.
fn scaled(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // Digits beyond the nineteenth are below a nanosecond of any unit.
    let fraction = &fraction[..fraction.len().min(19)];
    let mut total = whole.checked_mul(unit)?;
    if !fraction.is_empty() {
        let digits: i128 = fraction.parse().ok()?;
        total += digits * unit / 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    }
    Some(total)
}

/// The duration as Go prints it: `1h30m0s`, `1.5s`, `300ms`, `0s`.
pub(crate) fn format_duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let total = nanoseconds.unsigned_abs();
    let decimal = |unit: u64, name: &str| {
        let fraction = format!("{:0width$}", total % unit, width = unit.ilog10() as usize);
        let fraction = fraction.trim_end_matches('0');
        match fraction {
            "" => format!("{sign}{}{name}", total / unit),
            _ => format!("{sign}{}.{fraction}{name}", total / unit),
        }
    };
    match total {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{total}ns"),
        1_000..1_000_000 => decimal(1_000, "µs"),
        1_000_000..1_000_000_000 => decimal(1_000_000, "ms"),
        _ => {
            let minutes = total / 60_000_000_000;
            let rest = i64::try_from(total % 60_000_000_000).expect("less than a minute");
            let seconds = format_seconds(rest);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

fn format_seconds(nanoseconds: i64) -> String {
    let (whole, fraction) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    let fraction = format!("{fraction:09}");
    match fraction.trim_end_matches('0') {
        "" => format!("{whole}s"),
        fraction => format!("{whole}.{fraction}s"),
    }
}

/// A zone by its name in the tz database; "" and "UTC" are UTC.
///
/// "Local" is refused: a condition may not depend on the machine it runs on.
pub(crate) fn zone(name: &str) -> Result<TimeZone, String> {
    match name {
        "" | "UTC" => Ok(TimeZone::UTC),
        _ => TimeZoneDatabase::bundled().get(name).map_err(|_| format!("unknown time zone {name}")),
    }
}

/// The layouts that `date()` tries when it is given none.
const LAYOUTS: [&str; 7] = [
    "2006-01-02",
    "15:04:05",
    "2006-01-02 15:04:05",
    "2006-01-02T15:04:05Z07:00",
    "02 Jan 06 15:04 MST",
    "Monday, 02-Jan-06 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 MST",
];

/// A date in any of the usual layouts.
pub(crate) fn parse_any_date(text: &str, default_zone: &TimeZone) -> Result<Zoned, String> {
    let found = LAYOUTS.iter().find_map(|layout| parse_date(text, layout, default_zone).ok());
    found.ok_or_else(|| format!("invalid date {text}"))
}

/// A date in a layout made of the reference time `Mon Jan 2 15:04:05 MST 2006`.
pub(crate) fn parse_date(text: &str, layout: &str, default_zone: &TimeZone) -> Result<Zoned, String> {
    let failed = || format!("parsing time {text:?} as {layout:?}: cannot parse");
    let mut fields = Fields::default();
    let (mut rest, mut pattern) = (text, layout);
    while !pattern.is_empty() {
        match ELEMENTS.iter().find(|(name, _)| pattern.starts_with(name)) {
            Some((name, element)) => {
                pattern = &pattern[name.len()..];
                rest = fields.read(*element, rest).ok_or_else(failed)?;
                // Seconds may carry a fraction that the layout does not mention.
                if matches!(element, Element::Second(_)) && !pattern.starts_with(['.', ',']) {
                    rest = fields.read_fraction(rest);
                }
            }
            None => {
                let literal = pattern.chars().next().expect("the pattern is not empty");
                rest = rest.strip_prefix(literal).ok_or_else(failed)?;
                pattern = &pattern[literal.len_utf8()..];
            }
        }
    }
    if !rest.is_empty() {
        return Err(format!("parsing time {text:?}: extra text: {rest:?}"));
    }
    fields.finish(default_zone).ok_or_else(failed)
}

#[derive(Clone, Copy)]
enum Element {
    Year,
    ShortYear,
    /// With the number of digits that must be there.
    Month(usize),
    MonthName,
    Day(usize),
    YearDay,
    Hour24,
    Hour12(usize),
    Minute(usize),
    Second(usize),
    Fraction,
    Half,
    WeekdayName,
    ZoneName,
    /// With whether `Z` may stand for UTC, and whether there is a colon, and minutes at all.
    Offset {
        zulu: bool,
        colon: bool,
        minutes: bool,
    },
}

const fn offset(zulu: bool, colon: bool, minutes: bool) -> Element {
    Element::Offset { zulu, colon, minutes }
}

/// Longer names before those that begin alike.
const ELEMENTS: [(&str, Element); 34] = [
    ("2006", Element::Year),
    ("January", Element::MonthName),
    ("Jan", Element::MonthName),
    ("Monday", Element::WeekdayName),
    ("Mon", Element::WeekdayName),
    ("MST", Element::ZoneName),
    ("002", Element::YearDay),
    ("Z07:00", offset(true, true, true)),
    ("Z0700", offset(true, false, true)),
    ("Z07", offset(true, false, false)),
    ("-07:00", offset(false, true, true)),
    ("-0700", offset(false, false, true)),
    ("-07", offset(false, false, false)),
    (".000000000", Element::Fraction),
    (".000000", Element::Fraction),
    (".000", Element::Fraction),
    (".999999999", Element::Fraction),
    (".999999", Element::Fraction),
    (".999", Element::Fraction),
    ("01", Element::Month(2)),
    ("02", Element::Day(2)),
    ("03", Element::Hour12(2)),
    ("04", Element::Minute(2)),
    ("05", Element::Second(2)),
    ("06", Element::ShortYear),
    ("15", Element::Hour24),
    ("PM", Element::Half),
    ("pm", Element::Half),
    ("_2", Element::Day(1)),
    ("1", Element::Month(1)),
    ("2", Element::Day(1)),
    ("3", Element::Hour12(1)),
    ("4", Element::Minute(1)),
    ("5", Element::Second(1)),
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// What a date's text has said so far.
#[derive(Default)]
struct Fields {
    year: i64,
    month: Option<i64>,
    day: Option<i64>,
    year_day: Option<i64>,
    hour: i64,
    afternoon: Option<bool>,
    minute: i64,
    second: i64,
    nanosecond: i64,
    zone: Option<TimeZone>,
}

impl Fields {
    /// Reads one element from the front of `text` and gives what follows it.
    fn read<'a>(&mut self, element: Element, text: &'a str) -> Option<&'a str> {
        let (value, rest) = match element {
            Element::MonthName | Element::WeekdayName | Element::ZoneName | Element::Half => {
                return self.read_word(element, text);
            }
            Element::Fraction => {
                return text.starts_with(['.', ',']).then(|| self.read_fraction(text));
            }
            Element::Offset { zulu, colon, minutes } => {
                return self.read_offset(text, zulu, colon, minutes);
            }
            Element::Year => number(text, 4, 4)?,
            Element::ShortYear | Element::Hour24 => number(text, 2, 2)?,
            Element::YearDay => number(text, 3, 3)?,
            Element::Day(least) => number(text.strip_prefix(' ').unwrap_or(text), least, 2)?,
            Element::Month(least)
            | Element::Hour12(least)
            | Element::Minute(least)
            | Element::Second(least) => number(text, least, 2)?,
        };
        match element {
            Element::Year => self.year = value,
            Element::ShortYear => self.year = if value >= 69 { 1900 + value } else { 2000 + value },
            Element::Month(_) => self.month = Some(value),
            Element::Day(_) => self.day = Some(value),
            Element::YearDay => self.year_day = Some(value),
            Element::Hour12(_) if value > 12 => return None,
            Element::Hour24 | Element::Hour12(_) => self.hour = value,
            Element::Minute(_) => self.minute = value,
            _ => self.second = value,
        }
        Some(rest)
    }

    fn read_word<'a>(&mut self, element: Element, text: &'a str) -> Option<&'a str> {
        let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        match element {
            Element::MonthName => {
                let place = position_of(&MONTHS, word)?;
                self.month = Some(i64::try_from(place + 1).ok()?);
            }
            Element::WeekdayName => {
                position_of(&WEEKDAYS, word)?;
            }
            Element::Half => {
                self.afternoon = Some(
                    word.eq_ignore_ascii_case("pm")
                        .then_some(true)
                        .or_else(|| word.eq_ignore_ascii_case("am").then_some(false))?,
                )
            }
            // A foreign abbreviation says nothing certain: it means an offset of zero, as in Go.
            _ if word.len() >= 3 => {
                self.zone.get_or_insert(TimeZone::UTC);
            }
            _ => return None,
        }
        Some(rest)
    }

    /// Reads a fraction of a second if there is one.
    fn read_fraction<'a>(&mut self, text: &'a str) -> &'a str {
        let Some(digits) = text.strip_prefix(['.', ',']) else { return text };
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        if end == 0 {
            return text;
        }
        let nine: String = digits[..end].chars().chain("000000000".chars()).take(9).collect();
        self.nanosecond = nine.parse().expect("nine digits");
        &digits[end..]
    }

    fn read_offset<'a>(&mut self, text: &'a str, zulu: bool, colon: bool, minutes: bool) -> Option<&'a str> {
        if let Some(rest) = text.strip_prefix('Z').filter(|_| zulu) {
            self.zone = Some(TimeZone::UTC);
            return Some(rest);
        }
        let sign = if text.starts_with('-') { -1 } else { 1 };
        let (hours, mut rest) = number(text.strip_prefix(['+', '-'])?, 2, 2)?;
        let mut seconds = hours * 3_600;
        if minutes {
            if colon {
                rest = rest.strip_prefix(':')?;
            }
            let (minutes, after) = number(rest, 2, 2)?;
            seconds += minutes * 60;
            rest = after;
        }
        let offset = Offset::from_seconds(i32::try_from(sign * seconds).ok()?).ok()?;
        self.zone = Some(offset.to_time_zone());
        Some(rest)
    }

    fn finish(self, default_zone: &TimeZone) -> Option<Zoned> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let small = |value: i64| i8::try_from(value).ok();
        let year = i16::try_from(self.year).ok()?;
        let date = match self.year_day {
            Some(day) => {
                let first = Date::new(year, 1, 1).ok()?;
                first.with().day_of_year(i16::try_from(day).ok()?).build().ok()?
            }
            None => Date::new(year, small(self.month.unwrap_or(1))?, small(self.day.unwrap_or(1))?).ok()?,
        };
        let nanosecond = i32::try_from(self.nanosecond).ok()?;
        let time = Time::new(small(hour)?, small(self.minute)?, small(self.second)?, nanosecond).ok()?;
        let zone = self.zone.unwrap_or_else(|| default_zone.clone());
        DateTime::from_parts(date, time).to_zoned(zone).ok()
    }
}

fn position_of(names: &[&str], word: &str) -> Option<usize> {
    names.iter().position(|name| name.eq_ignore_ascii_case(word) || name[..3].eq_ignore_ascii_case(word))
}

/// Between `least` and `most` digits from the front of `text`.
fn number(text: &str, least: usize, most: usize) -> Option<(i64, &str)> {
    let digits = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if digits < least {
        return None;
    }
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest))
}

/// The instant some nanoseconds after another, if it can be written.
pub(crate) fn shifted(time: &Zoned, nanoseconds: i128) -> Option<Zoned> {
    let moved = time.timestamp().as_nanosecond().checked_add(nanoseconds)?;
    Some(Timestamp::from_nanosecond(moved).ok()?.to_zoned(time.time_zone().clone()))
}
