//! Who calls.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::options::StaticCredentials;
use crate::sigv4::{Key, KeyStore, Session};

/// A caller as IAM sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    /// `arn:aws:iam::ACCOUNT:user/NAME` or `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
    pub(crate) arn: String,
    /// What GetCallerIdentity answers as `UserId`.
    pub(crate) user_id: String,
}

impl Principal {
    /// The holder of a long-lived key. AWS's user ids (`AIDA…`) stay the same
    /// for all keys of a user; here a user has one key, so it can stand for it.
    pub(crate) fn new(arn: &str, access_key_id: &str) -> Self {
        Self { arn: arn.to_owned(), user_id: access_key_id.replacen("AKIA", "AIDA", 1) }
    }

    /// The twelve digits of the principal's account.
    pub(crate) fn account(&self) -> &str {
        self.arn.split(':').nth(4).unwrap_or_default()
    }
}

/// The ARN under which access is granted: for a session the ARN of its role
/// without path, otherwise the ARN itself (`spec/aws.md` 3.4).
pub(crate) fn canonical_arn(arn: &str) -> String {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    if let [_, partition, "sts", _, account, resource] = parts[..]
        && let Some(rest) = resource.strip_prefix("assumed-role/")
        && let Some((role, _session)) = rest.split_once('/')
    {
        return format!("arn:{partition}:iam::{account}:role/{role}");
    }
    arn.to_owned()
}

/// Temporary credentials that AssumeRole handed out.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RoleSession {
    pub(crate) secret: String,
    pub(crate) token: String,
    pub(crate) expires: Timestamp,
    /// `arn:aws:sts::…:assumed-role/ROLE/SESSION`.
    pub(crate) arn: String,
    /// `AROA…:SESSION`.
    pub(crate) user_id: String,
}

impl std::fmt::Debug for RoleSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RoleSession")
            .field("arn", &self.arn)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// All keys of a region.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys<'a> {
    pub(crate) long_lived: &'a BTreeMap<String, StaticCredentials>,
    pub(crate) sessions: &'a BTreeMap<String, RoleSession>,
}

impl KeyStore for Keys<'_> {
    fn key(&self, access_key_id: &str) -> Option<Key> {
        if let Some(held) = self.long_lived.get(access_key_id) {
            let principal = Principal::new(&held.principal_arn, access_key_id);
            return Some(Key { secret: held.secret_access_key.clone(), principal, session: None });
        }
        let held = self.sessions.get(access_key_id)?;
        let principal = Principal { arn: held.arn.clone(), user_id: held.user_id.clone() };
        let session = Session { token: held.token.clone(), expires: held.expires };
        Some(Key { secret: held.secret.clone(), principal, session: Some(session) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_counts_as_its_role() {
        for (arn, canonical) in [
            ("arn:aws:sts::123456789012:assumed-role/deploy/me", "arn:aws:iam::123456789012:role/deploy"),
            ("arn:aws:iam::123456789012:role/path/deploy", "arn:aws:iam::123456789012:role/path/deploy"),
            ("arn:aws:iam::123456789012:user/me", "arn:aws:iam::123456789012:user/me"),
        ] {
            assert_eq!(canonical_arn(arn), canonical);
        }
    }
}
