//! The Kubernetes token of an EKS cluster, built by hand (`spec/aws.md` 3.3).
//!
//! It is a presigned `GetCallerIdentity` URL. The verifier accepts nothing
//! more in it than what is signed here; a presign by the SDK's own client adds
//! a parameter and fails.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};

use crate::error::{AwsError, Meaning};
use crate::{ClusterToken, Region};

/// The header that ties a token to one cluster. It is signed but not part of
/// the URL: the verifier adds it again.
const CLUSTER_HEADER: &str = "x-k8s-aws-id";
const PREFIX: &str = "k8s-aws-v1.";
const OPERATION: &str = "sts:GetCallerIdentity";
/// What the URL says of its life; the verifier counts 15 minutes whatever it says.
const URL_LIFE: Duration = Duration::from_secs(60);
/// A minute less than the verifier's 15, for clocks that differ.
const TOKEN_LIFE: SignedDuration = SignedDuration::from_mins(14);
/// The verifier refuses longer ones.
const TOKEN_BYTES_MAX: usize = 4096;

/// AWS credentials to sign with.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKeys {
    /// Public part.
    pub access_key_id: String,
    /// Secret part.
    pub secret_access_key: String,
    /// Present for temporary credentials.
    pub session_token: Option<String>,
}

/// Secrets are never printed.
impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKeys").field("access_key_id", &self.access_key_id).finish()
    }
}

/// AWS's own regional address of STS.
pub fn sts_endpoint(region: &Region) -> String {
    // The domain belongs to the partition; regions of the commercial one and
    // of GovCloud share theirs.
    let name = region.as_str();
    let domain = [
        ("cn-", "amazonaws.com.cn"),
        ("eusc-", "amazonaws.eu"),
        ("us-isob-", "sc2s.sgov.gov"),
        ("us-isof-", "csp.hci.ic.gov"),
        ("us-iso-", "c2s.ic.gov"),
        ("eu-isoe-", "cloud.adc-e.uk"),
    ]
    .iter()
    .find(|(prefix, _)| name.starts_with(prefix))
    .map_or("amazonaws.com", |(_, domain)| domain);
    format!("https://sts.{name}.{domain}")
}

/// A token for the cluster `cluster` of `region`, signed now and good for 14
/// minutes. `endpoint` is the address of STS that the verifier will ask
/// ([`sts_endpoint`], or that of an embedded region).
///
/// # Errors
/// [`Meaning::Invalid`] when endpoint or cluster name cannot be part of a
/// request, or the token would be longer than the verifier accepts.
pub fn eks_token(
    keys: &SigningKeys,
    endpoint: &str,
    region: &Region,
    cluster: &str,
    now: Timestamp,
) -> Result<ClusterToken, AwsError> {
    let url = presigned_url(keys, endpoint, region, cluster, now)?;
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(url));
    if token.len() > TOKEN_BYTES_MAX {
        let message = format!("the token has {} bytes, at most {TOKEN_BYTES_MAX}", token.len());
        return Err(AwsError::new(Meaning::Invalid, OPERATION, "TokenTooLong", message));
    }
    Ok(ClusterToken { token, expires: now + TOKEN_LIFE })
}

fn presigned_url(
    keys: &SigningKeys,
    endpoint: &str,
    region: &Region,
    cluster: &str,
    now: Timestamp,
) -> Result<String, AwsError> {
    let endpoint = endpoint.trim_end_matches('/');
    let url = format!("{endpoint}/?Action=GetCallerIdentity&Version=2011-06-15");
    let mut request = http::Request::get(url)
        .header(CLUSTER_HEADER, cluster)
        .body(())
        .map_err(|error| unsignable(error.into()))?;
    let identity = Credentials::new(
        &keys.access_key_id,
        &keys.secret_access_key,
        keys.session_token.clone(),
        None,
        "okra",
    )
    .into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(URL_LIFE);
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region.as_str())
        .name("sts")
        .time(SystemTime::from(now))
        .settings(settings)
        .build()
        .map_err(|error| unsignable(error.into()))?;
    let signable = SignableRequest::new(
        "GET",
        request.uri().to_string(),
        [(CLUSTER_HEADER, cluster)].into_iter(),
        SignableBody::Bytes(&[]),
    )
    .map_err(|error| unsignable(error.into()))?;
    let (instructions, _) =
        sign(signable, &params.into()).map_err(|error| unsignable(error.into()))?.into_parts();
    instructions.apply_to_request_http1x(&mut request);
    Ok(request.uri().to_string())
}

fn unsignable(error: Box<dyn std::error::Error + Send + Sync>) -> AwsError {
    AwsError::new(Meaning::Invalid, OPERATION, "RequestNotBuilt", "").caused_by(error)
}

#[cfg(test)]
mod tests;
