//! Verification: key, time, scope, signature.

use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

use super::SignedRequest;
use super::canonical::string_to_sign;
use super::parameters::{Parameters, Scope, SignatureError};

/// How far the clock of a signer may be off.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// How long a presigned request is good, whatever it says itself: EKS tokens
/// state 60 seconds and are good for 15 minutes (`spec/aws.md` 3.3).
const PRESIGNED_VALIDITY: SignedDuration = SignedDuration::from_mins(15);

/// The keys that a region knows.
pub(crate) trait KeyStore {
    /// The secret of an access key, and whose it is.
    fn key(&self, access_key_id: &str) -> Option<Key>;
}

/// One key. Not `Debug`: it holds a secret.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) secret: String,
    pub(crate) principal: crate::identity::Principal,
    /// Temporary keys come with a token and an end.
    pub(crate) session: Option<Session>,
}

/// What is particular to temporary keys.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) token: String,
    pub(crate) expires: Timestamp,
}

/// Who signed, and for which service.
#[derive(Debug, Clone)]
pub(crate) struct SignedBy {
    pub(crate) principal: crate::identity::Principal,
    pub(crate) service: String,
    /// Names of the signed headers, in lower case.
    pub(crate) signed_headers: Vec<String>,
}

/// Verifies requests for one region.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verifier<'a> {
    pub(crate) region: &'a str,
    pub(crate) now: Timestamp,
}

impl Verifier<'_> {
    /// Who signed the request.
    pub(crate) fn verify(
        &self,
        request: &SignedRequest<'_>,
        keys: &impl KeyStore,
    ) -> Result<SignedBy, SignatureError> {
        let parameters = Parameters::find(request)?;
        self.check_scope(&parameters.scope)?;
        let key = keys.key(&parameters.access_key_id).ok_or(SignatureError::UnknownKey)?;
        match (&key.session, &parameters.session_token) {
            (None, None) => {}
            (Some(session), Some(token)) if session.token == *token => {
                if session.expires <= self.now {
                    return Err(SignatureError::ExpiredToken);
                }
            }
            _ => return Err(SignatureError::UnknownKey),
        }
        self.check_time(&parameters)?;
        check_signature(request, &parameters, &key.secret)?;
        let Parameters { scope, signed_headers, .. } = parameters;
        Ok(SignedBy { principal: key.principal, service: scope.service, signed_headers })
    }

    fn check_scope(&self, scope: &Scope) -> Result<(), SignatureError> {
        // The global endpoint of STS signs for us-east-1 wherever it is called from.
        let global_sts = scope.service == "sts" && scope.region == "us-east-1";
        if scope.region == self.region || global_sts {
            return Ok(());
        }
        Err(SignatureError::Scope(format!(
            "Credential should be scoped to a valid region: this is '{}', not '{}'.",
            self.region, scope.region
        )))
    }

    fn check_time(&self, parameters: &Parameters) -> Result<(), SignatureError> {
        let (signed_at, now) = (parameters.signed_at, self.now);
        let (verb, validity) =
            if parameters.presigned { ("presigned", PRESIGNED_VALIDITY) } else { ("signed", SKEW) };
        if signed_at.duration_until(now) > validity {
            return Err(SignatureError::OutOfTime(format!(
                "Signature expired: {} is now earlier than {} ({now} - {} min.), when it was {verb}",
                parameters.stamp,
                now - validity,
                validity.as_mins()
            )));
        }
        if now.duration_until(signed_at) > SKEW {
            return Err(SignatureError::OutOfTime(format!(
                "Signature not yet current: {} is still later than {} ({now} + {} min.)",
                parameters.stamp,
                now + SKEW,
                SKEW.as_mins()
            )));
        }
        Ok(())
    }
}

fn check_signature(
    request: &SignedRequest<'_>,
    parameters: &Parameters,
    secret: &str,
) -> Result<(), SignatureError> {
    let key = signing_key(secret, &parameters.scope);
    let given = unhex(&parameters.signature).ok_or(SignatureError::Mismatch)?;
    // `verify_slice` compares in constant time.
    mac(&key, &string_to_sign(request, parameters)).verify_slice(&given).map_err(|_| SignatureError::Mismatch)
}

fn signing_key(secret: &str, scope: &Scope) -> Vec<u8> {
    let first = format!("AWS4{secret}").into_bytes();
    [scope.date.as_str(), &scope.region, &scope.service, "aws4_request"]
        .iter()
        .fold(first, |key, part| mac(&key, part).finalize().into_bytes().to_vec())
}

fn mac(key: &[u8], text: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits?;
    (digits.len() % 2 == 0).then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Principal;

    struct OneKey;

    impl KeyStore for OneKey {
        fn key(&self, access_key_id: &str) -> Option<Key> {
            (access_key_id == "AKIDEXAMPLE").then(|| Key {
                secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
                principal: Principal::new("arn:aws:iam::123456789012:user/test", "AKIDEXAMPLE"),
                session: None,
            })
        }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> http::HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn verify(
        at: &str,
        path: &str,
        query: &str,
        headers: &http::HeaderMap,
    ) -> Result<SignedBy, SignatureError> {
        let verifier = Verifier { region: "us-east-1", now: at.parse().unwrap() };
        let request = SignedRequest { method: "GET", path, query, headers, body: b"" };
        verifier.verify(&request, &OneKey)
    }

    /// The example of AWS's documentation "Signature Version 4 signing process".
    fn documented(signature: &str) -> http::HeaderMap {
        headers(&[
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("host", "iam.amazonaws.com"),
            ("x-amz-date", "20150830T123600Z"),
            (
                "authorization",
                &format!(
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
                     SignedHeaders=content-type;host;x-amz-date, Signature={signature}"
                ),
            ),
        ])
    }

    const DOCUMENTED: &str = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
    const LIST_USERS: &str = "Action=ListUsers&Version=2010-05-08";

    #[test]
    fn the_documented_example_verifies_and_any_change_does_not() {
        let now = "2015-08-30T12:36:00Z";
        let signed = verify(now, "/", LIST_USERS, &documented(DOCUMENTED)).unwrap();
        assert_eq!((signed.service.as_str(), signed.signed_headers.len()), ("iam", 3));

        let changed_query = verify(now, "/", "Action=ListRoles&Version=2010-05-08", &documented(DOCUMENTED));
        assert_eq!(changed_query.unwrap_err(), SignatureError::Mismatch);
        let mut changed_host = documented(DOCUMENTED);
        changed_host.insert("host", "example.com".parse().unwrap());
        assert_eq!(verify(now, "/", LIST_USERS, &changed_host).unwrap_err(), SignatureError::Mismatch);
        for signature in ["", "zz", &DOCUMENTED.replace('5', "6")] {
            let refused = verify(now, "/", LIST_USERS, &documented(signature)).unwrap_err();
            assert_eq!(refused, SignatureError::Mismatch, "{signature}");
        }
    }

    #[test]
    fn a_signature_is_good_for_five_minutes_to_both_sides() {
        for (now, good) in [
            ("2015-08-30T12:41:00Z", true),
            ("2015-08-30T12:41:01Z", false),
            ("2015-08-30T12:31:00Z", true),
            ("2015-08-30T12:30:59Z", false),
        ] {
            let verified = verify(now, "/", LIST_USERS, &documented(DOCUMENTED));
            match verified {
                Ok(_) => assert!(good, "{now}"),
                Err(error) => {
                    assert!(!good && matches!(error, SignatureError::OutOfTime(_)), "{now}: {error}")
                }
            }
        }
    }

    #[test]
    fn what_is_missing_or_foreign_is_told_apart() {
        let now = "2015-08-30T12:36:00Z";
        let none = verify(now, "/", "", &http::HeaderMap::new()).unwrap_err();
        assert_eq!(none, SignatureError::Missing);

        let with = |from: &str, to: &str| {
            let mut changed = documented(DOCUMENTED);
            let header = changed["authorization"].to_str().unwrap().replace(from, to);
            changed.insert("authorization", header.parse().unwrap());
            verify(now, "/", LIST_USERS, &changed).unwrap_err()
        };
        assert_eq!(with("AKIDEXAMPLE", "AKIDOTHER"), SignatureError::UnknownKey);
        assert!(matches!(with("us-east-1", "eu-west-1"), SignatureError::Scope(_)));
        assert!(matches!(with("20150830/", "20150831/"), SignatureError::Scope(_)));
        assert!(matches!(with("Signature=", "Sig="), SignatureError::Incomplete(_)));
        assert!(matches!(with("content-type;host;", "content-type;"), SignatureError::Incomplete(_)));
        assert!(matches!(with("AWS4-HMAC-SHA256", "AWS4-ECDSA"), SignatureError::Incomplete(_)));
    }
}
