//! Identity of one rollout attempt (`spec/okra.md` 3.4.2-10).

use std::fmt;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::version::Version;

/// Opaque on read; made from the Cell, the version, the start and the id
/// before it. It is part of object names and a label value, so it is short and lower-case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RolloutId(String);

/// Crockford's base 32: no letters that are mistaken for each other.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// 50 bits: rollouts of one Cell never meet.
const LENGTH: usize = 10;

impl RolloutId {
    /// The id of the attempt that begins at `started_at` and follows `previous`,
    /// from which it differs even within one moment.
    pub fn of_attempt(
        cell_uid: &str,
        version: &Version,
        started_at: Timestamp,
        previous: Option<&Self>,
    ) -> Self {
        let mut hash = Sha256::new();
        let previous = previous.map_or("", Self::as_str);
        for part in [cell_uid, &version.to_string(), &started_at.to_string(), previous] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let digest = hash.finalize();
        Self(digest.iter().take(LENGTH).map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
    }

    /// An id as it was recorded, whoever made it.
    pub fn recorded(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RolloutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attempt_has_its_own_id() {
        let id = |uid: &str, start: i64, previous: Option<&RolloutId>| {
            let start = Timestamp::from_second(start).unwrap();
            RolloutId::of_attempt(uid, &Version::new(2, 0, 0), start, previous)
        };
        let first = id("u1", 1, None);
        let ids = [first.clone(), id("u2", 1, None), id("u1", 2, None), id("u1", 1, Some(&first))];
        for (index, one) in ids.iter().enumerate() {
            assert_eq!(one.as_str().len(), LENGTH);
            assert!(ids[index + 1..].iter().all(|other| other != one));
        }
        assert_eq!(id("u1", 1, None), first);
    }
}
