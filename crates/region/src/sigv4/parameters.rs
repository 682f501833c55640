//! Where a signature stands in a request, and what it says about itself.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;

use super::SignedRequest;
use crate::wire::query_pairs;

/// The only algorithm: asymmetric SigV4a is not offered by the services here.
pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Why a signature does not count. Each service has its own code for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignatureError {
    /// Neither header nor query carries a signature.
    #[error("Request is missing Authentication Token")]
    Missing,
    /// A part is absent or cannot be read.
    #[error("{0}")]
    Incomplete(String),
    /// No such access key, or not the token that belongs to it.
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    /// Temporary credentials whose time is over.
    #[error("The security token included in the request is expired")]
    ExpiredToken,
    /// Signed too long ago, or in the future.
    #[error("{0}")]
    OutOfTime(String),
    /// Signed with another secret, or for another request.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
         Access Key and signing method. Consult the service documentation for details."
    )]
    Mismatch,
    /// Signed for another region or service.
    #[error("{0}")]
    Scope(String),
}

/// What a signature says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) access_key_id: String,
    /// `DATE/REGION/SERVICE/aws4_request`.
    pub(super) scope: Scope,
    /// As signed, `20260101T100000Z`.
    pub(super) stamp: String,
    pub(super) signed_at: Timestamp,
    pub(super) signed_headers: Vec<String>,
    pub(super) signature: String,
    pub(super) session_token: Option<String>,
    /// In the query string, not in a header.
    pub(super) presigned: bool,
}

/// The scope of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) date: String,
    pub(super) region: String,
    pub(super) service: String,
}

impl Scope {
    fn read(text: &str) -> Result<(String, Self), SignatureError> {
        let incomplete = || {
            SignatureError::Incomplete(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/term, got '{text}'"
            ))
        };
        // Access key ids contain no slash, so the first four cuts from the end are the scope.
        let mut parts = text.rsplitn(5, '/');
        let mut next = || parts.next().filter(|part| !part.is_empty()).ok_or_else(incomplete);
        let (term, service, region, date, key) = (next()?, next()?, next()?, next()?, next()?);
        if term != "aws4_request" {
            return Err(SignatureError::Scope(
                "Credential should be scoped with a valid terminator: 'aws4_request'".into(),
            ));
        }
        let scope = Self { date: date.into(), region: region.into(), service: service.into() };
        Ok((key.to_owned(), scope))
    }

    pub(super) fn text(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.date, self.region, self.service)
    }
}

impl Parameters {
    /// Finds the signature of a request.
    pub(super) fn find(request: &SignedRequest<'_>) -> Result<Self, SignatureError> {
        if let Some(header) = header_text(request, "authorization") {
            return Self::from_header(request, &header);
        }
        let query: BTreeMap<String, String> = query_pairs(request.query.as_bytes())
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        if query.contains_key("x-amz-signature") {
            return Self::from_query(&query);
        }
        Err(SignatureError::Missing)
    }

    fn from_header(request: &SignedRequest<'_>, header: &str) -> Result<Self, SignatureError> {
        let Some(rest) = header.strip_prefix(ALGORITHM) else {
            return Err(SignatureError::Incomplete(format!(
                "Unsupported algorithm: the Authorization header must begin with '{ALGORITHM}'"
            )));
        };
        let parts: BTreeMap<&str, &str> =
            rest.split(',').filter_map(|part| part.trim().split_once('=')).collect();
        let part = |name: &str| {
            parts.get(name).copied().ok_or_else(|| {
                SignatureError::Incomplete(format!("Authorization header requires '{name}' parameter."))
            })
        };
        let stamp = header_text(request, "x-amz-date").ok_or_else(|| {
            SignatureError::Incomplete(
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.".into(),
            )
        })?;
        let session_token = header_text(request, "x-amz-security-token");
        Self::read(
            part("Credential")?,
            stamp,
            part("SignedHeaders")?,
            part("Signature")?,
            session_token,
            false,
        )
    }

    fn from_query(query: &BTreeMap<String, String>) -> Result<Self, SignatureError> {
        let part = |name: &str| {
            query.get(&name.to_ascii_lowercase()).cloned().ok_or_else(|| {
                SignatureError::Incomplete(format!("AWS query-string parameters must include '{name}'."))
            })
        };
        if part("X-Amz-Algorithm")? != ALGORITHM {
            return Err(SignatureError::Incomplete(format!("X-Amz-Algorithm must be '{ALGORITHM}'")));
        }
        let session_token = query.get("x-amz-security-token").cloned();
        let (credential, headers) = (part("X-Amz-Credential")?, part("X-Amz-SignedHeaders")?);
        Self::read(&credential, part("X-Amz-Date")?, &headers, &part("X-Amz-Signature")?, session_token, true)
    }

    fn read(
        credential: &str,
        stamp: String,
        signed_headers: &str,
        signature: &str,
        session_token: Option<String>,
        presigned: bool,
    ) -> Result<Self, SignatureError> {
        let (access_key_id, scope) = Scope::read(credential)?;
        let signed_at = read_stamp(&stamp)?;
        if !stamp.starts_with(&scope.date) {
            return Err(SignatureError::Scope(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: \
                 '{}' != '{stamp}'",
                scope.date
            )));
        }
        let signed_headers: Vec<String> = signed_headers.split(';').map(str::to_ascii_lowercase).collect();
        if !signed_headers.iter().any(|name| name == "host") {
            return Err(SignatureError::Incomplete(
                "'Host' must be a 'SignedHeader' in the signature.".into(),
            ));
        }
        let signature = signature.to_owned();
        Ok(Self {
            access_key_id,
            scope,
            stamp,
            signed_at,
            signed_headers,
            signature,
            session_token,
            presigned,
        })
    }
}

/// Reads `20260101T100000Z`.
fn read_stamp(stamp: &str) -> Result<Timestamp, SignatureError> {
    let incomplete =
        || SignatureError::Incomplete(format!("Date must be in ISO-8601 'basic format'. Got '{stamp}'."));
    let civil = stamp.strip_suffix('Z').ok_or_else(incomplete)?;
    let civil = DateTime::strptime("%Y%m%dT%H%M%S", civil).map_err(|_| incomplete())?;
    let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| incomplete())?;
    Ok(zoned.timestamp())
}

fn header_text(request: &SignedRequest<'_>, name: &str) -> Option<String> {
    request.headers.get(name)?.to_str().ok().map(str::to_owned)
}
