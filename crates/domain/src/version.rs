//! Versions of clusters, read leniently and compared as semver 2.0
//! (`spec/okra.md` 3.4.2-2).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// Longest version text that is read, in bytes. A label value has at most 63;
/// `spec.version` is free text, and nothing longer is a version.
pub const VERSION_BYTES_MAX: usize = 128;

/// A version: three numbers and perhaps a pre-release. Build metadata is
/// dropped on reading, so `1.2.0_b7` and `1.2.0` are one version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    numbers: [u64; 3],
    pre_release: Vec<Identifier>,
}

/// One dot-separated part of a pre-release. A number sorts before a word.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Identifier {
    Number(u64),
    Word(String),
}

/// Why a text is no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// Nothing but perhaps a `v`.
    #[error("version {0:?} has no number")]
    Empty(String),
    /// More than [`VERSION_BYTES_MAX`] bytes.
    #[error("version has {0} bytes, more than {VERSION_BYTES_MAX}")]
    TooLong(usize),
    /// More than three numbers before the pre-release.
    #[error("version {0:?} has more than three numeric parts")]
    TooManyParts(String),
    /// A part is not a number of up to 64 bits.
    #[error("version {text:?}: {part:?} is not a number below 2^64")]
    NotANumber {
        /// The whole text.
        text: String,
        /// The part of it.
        part: String,
    },
    /// A part of the pre-release is empty or holds other characters than
    /// letters, digits and `-`.
    #[error("version {text:?}: {part:?} is no pre-release identifier")]
    BadPreRelease {
        /// The whole text.
        text: String,
        /// The part of it.
        part: String,
    },
}

impl Version {
    /// A version without pre-release.
    pub const fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self { numbers: [major, minor, patch], pre_release: Vec::new() }
    }

    /// Whether it has a pre-release part.
    pub fn is_pre_release(&self) -> bool {
        !self.pre_release.is_empty()
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > VERSION_BYTES_MAX {
            return Err(VersionError::TooLong(text.len()));
        }
        let trimmed = text.trim();
        let plain = trimmed.strip_prefix(['v', 'V']).unwrap_or(trimmed);
        let without_build = plain.split(['+', '_']).next().unwrap_or_default();
        let (numbers, pre_release) = match without_build.split_once('-') {
            Some((numbers, pre_release)) => (numbers, Some(pre_release)),
            None => (without_build, None),
        };
        if numbers.is_empty() {
            return Err(VersionError::Empty(text.to_owned()));
        }
        Ok(Self {
            numbers: parse_numbers(text, numbers)?,
            pre_release: match pre_release {
                Some(parts) => {
                    parts.split('.').map(|part| parse_identifier(text, part)).collect::<Result<_, _>>()?
                }
                None => Vec::new(),
            },
        })
    }
}

fn parse_numbers(text: &str, numbers: &str) -> Result<[u64; 3], VersionError> {
    let mut parsed = [0; 3];
    for (index, part) in numbers.split('.').enumerate() {
        let slot = parsed.get_mut(index).ok_or_else(|| VersionError::TooManyParts(text.to_owned()))?;
        *slot = parse_number(part)
            .ok_or_else(|| VersionError::NotANumber { text: text.to_owned(), part: part.to_owned() })?;
    }
    Ok(parsed)
}

/// Digits only: the standard parser would also take a sign.
fn parse_number(part: &str) -> Option<u64> {
    let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if digits { part.parse().ok() } else { None }
}

fn parse_identifier(text: &str, part: &str) -> Result<Identifier, VersionError> {
    let legal = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !legal {
        return Err(VersionError::BadPreRelease { text: text.to_owned(), part: part.to_owned() });
    }
    Ok(match parse_number(part) {
        Some(number) => Identifier::Number(number),
        None => Identifier::Word(part.to_owned()),
    })
}

impl fmt::Display for Version {
    /// Canonical text: three parts, no prefix.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        let mut text = format!("{major}.{minor}.{patch}");
        for (index, identifier) in self.pre_release.iter().enumerate() {
            text.push(if index == 0 { '-' } else { '.' });
            match identifier {
                Identifier::Number(number) => text.push_str(&number.to_string()),
                Identifier::Word(word) => text.push_str(word),
            }
        }
        f.pad(&text)
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    /// The order of semver 2.0: a pre-release comes before its release.
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| match (self.is_pre_release(), other.is_pre_release()) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            _ => self.pre_release.cmp(&other.pre_release),
        })
    }
}

/// The version of something that serves: known, or not described by any
/// AWSTargetGroup. Unknown is below all versions (`spec/okra.md` 3.4.2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServedVersion {
    /// Text `unknown`.
    Unknown,
    /// A version.
    Known(Version),
}

impl ServedVersion {
    /// The text of the unknown version.
    pub const UNKNOWN: &'static str = "unknown";

    /// The version, if it is known.
    pub fn known(&self) -> Option<&Version> {
        match self {
            Self::Unknown => None,
            Self::Known(version) => Some(version),
        }
    }

    /// Whether it is this version.
    pub fn is(&self, version: &Version) -> bool {
        self.known() == Some(version)
    }
}

impl From<Version> for ServedVersion {
    fn from(version: Version) -> Self {
        Self::Known(version)
    }
}

impl fmt::Display for ServedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.pad(Self::UNKNOWN),
            Self::Known(version) => version.fmt(f),
        }
    }
}

impl FromStr for ServedVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == Self::UNKNOWN { Ok(Self::Unknown) } else { text.parse().map(Self::Known) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn reads_what_people_write() {
        for (text, canonical) in [
            ("v2", "2.0.0"),
            ("V2", "2.0.0"),
            ("1.2", "1.2.0"),
            ("1.2.3", "1.2.3"),
            ("01.002.0003", "1.2.3"),
            ("1.2-rc.1", "1.2.0-rc.1"),
            ("1.0.0-alpha.01", "1.0.0-alpha.1"),
            ("1.2.0_b7", "1.2.0"),
            ("1.2.0+b7", "1.2.0"),
            ("1.0.0-rc.1_b.7", "1.0.0-rc.1"),
        ] {
            assert_eq!(version(text).to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_version() {
        for text in [
            "",
            "v",
            "latest",
            "1.2.3.4",
            "1..2",
            "1.-2",
            "+1",
            "1.0.0-",
            "1.0.0-a..b",
            "1.0.0-a!",
            "99999999999999999999",
        ] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
        assert_eq!("1".repeat(129).parse::<Version>(), Err(VersionError::TooLong(129)));
    }

    #[test]
    fn orders_as_semver() {
        let ascending = [
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0-rc.9",
            "1.0.0-rc.10",
            "1.0.0",
            "1.9.0",
            "1.10.0",
            "2.0.0",
        ];
        for pair in ascending.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        }
        assert!(ServedVersion::Unknown < version("0.0.0-a").into());
    }

    proptest! {
        #[test]
        fn canonical_text_reads_back(numbers in any::<[u64; 3]>(), pre in "([a-z0-9]{1,4}(\\.[a-z0-9-]{1,4}){0,2})?") {
            let [major, minor, patch] = numbers;
            let dash = if pre.is_empty() { "" } else { "-" };
            let parsed = version(&format!("{major}.{minor}.{patch}{dash}{pre}"));
            prop_assert_eq!(version(&parsed.to_string()), parsed);
        }

        #[test]
        fn never_panics(text in "\\PC{0,140}") {
            let _ = text.parse::<Version>();
        }
    }
}
