//! Stickiness cookies (`spec/aws.md` 1.4): which group, or which target, a
//! client stays with.
//!
//! A cookie is opaque to the client and carries its own end and a checksum
//! under a key of this process, so that nobody can choose a group by writing
//! one, and one that has lapsed is not believed. After a restart clients are
//! distributed anew.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use crate::clock::Chance;

/// A cookie and its twin for requests from other origins.
#[derive(Debug, Clone, Copy)]
pub(super) struct CookieNames {
    plain: &'static str,
    cross_origin: &'static str,
}

/// Stays with a target group.
pub(super) const GROUP_COOKIE: CookieNames = CookieNames { plain: "AWSALBTG", cross_origin: "AWSALBTGCORS" };
/// Stays with a target.
pub(super) const TARGET_COOKIE: CookieNames = CookieNames { plain: "AWSALB", cross_origin: "AWSALBCORS" };

/// What a cookie names: a group or a target, shortened to a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subject(u64);

impl Subject {
    /// The number of a name.
    pub(super) fn new(name: &str) -> Self {
        let digest = Sha256::digest(name);
        Self(u64::from_be_bytes(std::array::from_fn(|index| digest[index])))
    }
}

const PAYLOAD: usize = 16;
const CHECKSUM: usize = 16;

/// Writes and reads cookie values.
#[derive(Clone)]
pub(super) struct Seal {
    key: [u8; 32],
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    pub(super) fn new(chance: &dyn Chance) -> Self {
        let mut key = [0; 32];
        for bytes in key.chunks_exact_mut(8) {
            bytes.copy_from_slice(&chance.next_u64().to_be_bytes());
        }
        Self { key }
    }

    fn value(&self, subject: Subject, expires: Timestamp) -> String {
        let mut payload = [0; PAYLOAD];
        payload[..8].copy_from_slice(&subject.0.to_be_bytes());
        payload[8..].copy_from_slice(&expires.as_second().to_be_bytes());
        let mut value = [0; PAYLOAD + CHECKSUM];
        value[..PAYLOAD].copy_from_slice(&payload);
        value[PAYLOAD..].copy_from_slice(&self.checksum(payload));
        BASE64_URL_SAFE_NO_PAD.encode(value)
    }

    /// The key before a payload of one fixed length: nothing can be appended,
    /// so the plain hash is as good as an HMAC here.
    fn checksum(&self, payload: [u8; PAYLOAD]) -> [u8; CHECKSUM] {
        let digest = Sha256::new().chain_update(self.key).chain_update(payload).finalize();
        std::array::from_fn(|index| digest[index])
    }

    fn read(&self, value: &str, now: Timestamp) -> Option<Subject> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(value).ok()?;
        let (payload, checksum) = bytes.split_first_chunk::<PAYLOAD>()?;
        if checksum != self.checksum(*payload) {
            return None;
        }
        let (subject, expires) = payload.split_first_chunk::<8>()?;
        let expires = i64::from_be_bytes(expires.try_into().ok()?);
        (now.as_second() < expires).then(|| Subject(u64::from_be_bytes(*subject)))
    }

    /// Whom the request's cookies name, if one of them is ours and still good.
    pub(super) fn find(&self, names: CookieNames, headers: &HeaderMap, now: Timestamp) -> Option<Subject> {
        let pairs = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let mut pairs = pairs.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find_map(|(name, value)| {
            let ours = name == names.plain || name == names.cross_origin;
            if ours { self.read(value, now) } else { None }
        })
    }

    /// The `Set-Cookie` values that keep a client with a subject.
    pub(super) fn set(
        &self,
        names: CookieNames,
        subject: Subject,
        now: Timestamp,
        duration: Duration,
    ) -> [HeaderValue; 2] {
        let expires = now.saturating_add(duration).unwrap_or(Timestamp::MAX);
        let value = self.value(subject, expires);
        let date = expires.to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let line = |text: String| HeaderValue::try_from(text).expect("base64 and a date are a header value");
        [
            line(format!("{}={value}; Expires={date}; Path=/", names.plain)),
            line(format!("{}={value}; Expires={date}; Path=/; SameSite=None; Secure", names.cross_origin)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SeededChance;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn request(set: &HeaderValue) -> HeaderMap {
        let pair = set.to_str().unwrap().split(';').next().unwrap();
        let line = format!("theme=dark; {pair}; x");
        HeaderMap::from_iter([(COOKIE, HeaderValue::try_from(line).unwrap())])
    }

    #[test]
    fn both_cookies_name_the_subject_until_they_lapse() {
        let seal = Seal::new(&SeededChance::new(1));
        let subject = Subject::new("group");
        for set in seal.set(GROUP_COOKIE, subject, at(1_000), Duration::from_secs(60)) {
            assert_eq!(seal.find(GROUP_COOKIE, &request(&set), at(1_059)), Some(subject));
            assert_eq!(seal.find(GROUP_COOKIE, &request(&set), at(1_060)), None);
            assert_eq!(seal.find(TARGET_COOKIE, &request(&set), at(1_000)), None);
        }
    }

    #[test]
    fn attributes_are_those_of_aws() {
        let seal = Seal::new(&SeededChance::new(1));
        let [plain, cross] = seal.set(GROUP_COOKIE, Subject::new("g"), at(0), Duration::from_secs(60));
        let plain = plain.to_str().unwrap();
        assert!(plain.starts_with("AWSALBTG="), "{plain}");
        assert!(plain.ends_with("; Expires=Thu, 01 Jan 1970 00:01:00 GMT; Path=/"), "{plain}");
        assert!(cross.to_str().unwrap().ends_with("; Path=/; SameSite=None; Secure"));
    }

    #[test]
    fn a_changed_or_foreign_value_is_not_believed() {
        let seal = Seal::new(&SeededChance::new(1));
        let value = seal.value(Subject::new("group"), at(100));
        assert!(seal.read(&value, at(0)).is_some());
        for index in 0..value.len() - 1 {
            let mut changed = value.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            assert_eq!(seal.read(std::str::from_utf8(&changed).unwrap(), at(0)), None, "{index}");
        }
        let other = Seal::new(&SeededChance::new(2));
        assert_eq!(other.read(&value, at(0)), None);
        assert_eq!(seal.read("", at(0)), None);
    }
}
