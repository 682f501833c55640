//! Which credentials are accepted.

use std::fmt;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{
    ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future,
};

use super::settings::AccessKey;

/// Long-lived keys were found where they are not accepted.
#[derive(Debug, thiserror::Error)]
#[error(
    "static access keys are refused: give okra a role (pod identity, web identity or instance \
     profile), or allow them with --allow-static-keys"
)]
pub(super) struct StaticKeysRefused;

/// The credentials of a profile alone, whatever the environment says.
pub(super) fn of_profile(name: &str) -> SharedCredentialsProvider {
    let provider = ProfileFileCredentialsProvider::builder().profile_name(name).build();
    SharedCredentialsProvider::new(provider)
}

/// The credentials of a key that the program was given.
pub(super) fn of_key(key: &AccessKey) -> Credentials {
    Credentials::new(&key.id, &key.secret, None, None, "okra")
}

/// Lets only temporary credentials through: a long-lived key has neither a
/// session token nor an end.
pub(super) struct TemporaryOnly {
    inner: SharedCredentialsProvider,
}

impl TemporaryOnly {
    pub(super) fn new(inner: SharedCredentialsProvider) -> Self {
        Self { inner }
    }

    async fn provide(&self) -> Result<Credentials, CredentialsError> {
        let credentials = self.inner.provide_credentials().await?;
        if credentials.session_token().is_none() && credentials.expiry().is_none() {
            return Err(CredentialsError::invalid_configuration(StaticKeysRefused));
        }
        Ok(credentials)
    }
}

impl fmt::Debug for TemporaryOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TemporaryOnly")
    }
}

impl ProvideCredentials for TemporaryOnly {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }
}

/// Whether the host of a URL is this machine.
pub(super) fn is_loopback(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else { return false };
    let Some(host) = uri.host() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn through(credentials: Credentials) -> bool {
        let inner = SharedCredentialsProvider::new(credentials);
        TemporaryOnly::new(inner).provide_credentials().await.is_ok()
    }

    #[tokio::test]
    async fn only_keys_without_session_and_end_are_static() {
        let keys = |session: Option<&str>, expiry| {
            Credentials::new("AKID", "secret", session.map(str::to_owned), expiry, "test")
        };
        assert!(!through(keys(None, None)).await);
        assert!(through(keys(Some("session"), None)).await);
        assert!(through(keys(None, Some(std::time::SystemTime::UNIX_EPOCH))).await);
    }

    #[test]
    fn loopback_is_told_from_the_host_alone() {
        for url in ["http://127.0.0.1:4566", "http://[::1]:1", "https://localhost", "http://127.8.9.1/"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in ["https://sts.amazonaws.com", "http://127.0.0.1.example.com", "http://10.0.0.1", "", "x"] {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
