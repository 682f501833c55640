//! The port to signatures for services whose API okra speaks by itself, such
//! as Amazon Managed Prometheus (`spec/analysis.md` 4.1).

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{AwsError, Region, Role};

/// Whose signature, and for which region.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SigningIdentity {
    /// Region of the service.
    pub region: Region,
    /// A profile of the configuration files instead of okra's own identity.
    pub profile: Option<String>,
    /// A role to assume before.
    pub role: Option<Role>,
}

/// A request as it will be sent.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'a> {
    /// Such as `POST`.
    pub method: &'a str,
    /// The whole address, encoded.
    pub url: &'a str,
    /// The whole body.
    pub body: &'a [u8],
}

/// Signs requests with AWS credentials.
#[async_trait]
pub trait RequestSigner: Send + Sync {
    /// Names and values of the headers that make the request a signed one.
    /// Host, address and body must be sent as they are signed.
    ///
    /// # Errors
    /// [`Meaning::ExpiredCredentials`](crate::Meaning::ExpiredCredentials) when there are no valid
    /// credentials, what AssumeRole says, and
    /// [`Meaning::Invalid`](crate::Meaning::Invalid) for a request that cannot be signed.
    async fn sign(
        &self,
        identity: &SigningIdentity,
        service: &str,
        request: &SignedRequest<'_>,
        now: Timestamp,
    ) -> Result<Vec<(String, String)>, AwsError>;
}
