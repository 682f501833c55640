//! Signatures with the credentials of the SDK's chain.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use jiff::{SignedDuration, Timestamp};

use super::call::Caller;
use super::failure::credentials_failure;
use crate::error::{AwsError, Meaning};
use crate::{RequestSigner, Scope, SignedRequest, SigningIdentity};

const OPERATION: &str = "sts:AssumeRole";
/// Credentials are not signed with in their last minutes: clocks differ.
const END_MARGIN: SignedDuration = SignedDuration::from_mins(5);
/// Credentials without an end are asked for again after this time, so that a
/// profile that changes is seen.
const KEPT_LONGEST: SignedDuration = SignedDuration::from_mins(15);
/// Identities with kept credentials. More begin anew: far beyond what the
/// templates of one installation name.
const IDENTITIES_MAX: usize = 512;

/// Signs by hand with credentials that are kept while they are good.
pub struct SdkSigner {
    caller: Caller,
    kept: Mutex<BTreeMap<SigningIdentity, Kept>>,
}

struct Kept {
    credentials: Credentials,
    until: Timestamp,
}

impl SdkSigner {
    pub(super) fn new(caller: Caller) -> Self {
        Self { caller, kept: Mutex::default() }
    }

    async fn credentials(&self, identity: &SigningIdentity, now: Timestamp) -> Result<Credentials, AwsError> {
        if let Some(kept) = self.kept().get(identity).filter(|kept| now < kept.until) {
            return Ok(kept.credentials.clone());
        }
        let none = || {
            let message = "no source of credentials is configured";
            AwsError::new(Meaning::ExpiredCredentials, OPERATION, "NoCredentials", message)
        };
        let provider = self.provider(identity).await.ok_or_else(none)?;
        let credentials =
            provider.provide_credentials().await.map_err(|error| credentials_failure(OPERATION, error))?;
        let longest = now.saturating_add(KEPT_LONGEST).unwrap_or(now);
        let end = credentials.expiry().and_then(|end| Timestamp::try_from(end).ok());
        let end = end.and_then(|end| end.saturating_sub(END_MARGIN).ok());
        let until = end.map_or(longest, |end| end.min(longest));
        let mut kept = self.kept();
        if kept.len() >= IDENTITIES_MAX {
            kept.clear();
        }
        kept.insert(identity.clone(), Kept { credentials: credentials.clone(), until });
        Ok(credentials)
    }

    async fn provider(&self, identity: &SigningIdentity) -> Option<SharedCredentialsProvider> {
        let scope = Scope { region: identity.region.clone(), role: identity.role.clone() };
        match &identity.profile {
            None => self.caller.clients().get(&scope).await.credentials.clone(),
            Some(profile) => self.caller.clients().of_profile(profile, &scope).await,
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, BTreeMap<SigningIdentity, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RequestSigner for SdkSigner {
    async fn sign(
        &self,
        identity: &SigningIdentity,
        service: &str,
        request: &SignedRequest<'_>,
        now: Timestamp,
    ) -> Result<Vec<(String, String)>, AwsError> {
        let credentials = self.credentials(identity, now).await?;
        signature(credentials, identity.region.as_str(), service, request, now)
    }
}

fn signature(
    credentials: Credentials,
    region: &str,
    service: &str,
    request: &SignedRequest<'_>,
    now: Timestamp,
) -> Result<Vec<(String, String)>, AwsError> {
    let identity = credentials.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(SystemTime::from(now))
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| unsignable(error.into()))?;
    let body = SignableBody::Bytes(request.body);
    let signable = SignableRequest::new(request.method, request.url, std::iter::empty(), body)
        .map_err(|error| unsignable(error.into()))?;
    let (instructions, _) =
        sign(signable, &params.into()).map_err(|error| unsignable(error.into()))?.into_parts();
    Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn unsignable(error: Box<dyn std::error::Error + Send + Sync>) -> AwsError {
    AwsError::new(Meaning::Invalid, "sigv4", "RequestNotBuilt", "").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_documented_example() {
        // "get-vanilla" of AWS's test suite for signature version 4.
        let credentials =
            Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None, None, "test");
        let request = SignedRequest { method: "GET", url: "https://example.amazonaws.com/", body: b"" };
        let now = "2015-08-30T12:36:00Z".parse().unwrap();
        let headers = signature(credentials, "us-east-1", "service", &request, now).unwrap();
        let header = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).unwrap().1.clone();
        assert_eq!(header("x-amz-date"), "20150830T123600Z");
        assert_eq!(
            header("authorization"),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, \
             Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
    }

    #[test]
    fn a_session_token_is_sent_and_the_body_counts() {
        let sign = |body: &'static [u8]| {
            let credentials = Credentials::new("AKID", "secret", Some("session".to_owned()), None, "test");
            let request = SignedRequest { method: "POST", url: "https://h/api/v1/query", body };
            signature(credentials, "eu-west-1", "aps", &request, "2026-01-01T00:00:00Z".parse().unwrap())
                .unwrap()
        };
        assert!(sign(b"a").contains(&("x-amz-security-token".to_owned(), "session".to_owned())));
        assert_ne!(sign(b"a"), sign(b"b"));
    }
}
