//! What the settings of several providers have in common.

use std::fmt;
use std::future::Future;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::oauth2::OAuth2;
use crate::provider::ProviderError;

/// Seconds a measurement may take at most; a longer timeout is cut to this. Intervals are rarely
/// longer.
pub(crate) const MAX_TIMEOUT_SECONDS: i64 = 300;

/// Reads settings, to which an explicit null says nothing.
///
/// # Errors
///
/// If a field has the wrong type.
pub(crate) fn read<T: DeserializeOwned>(
    provider: &str,
    settings: &serde_json::Value,
) -> Result<T, ProviderError> {
    T::deserialize(without_nulls(settings))
        .map_err(|error| ProviderError::new(format!("invalid {provider} settings: {error}")))
}

fn without_nulls(settings: &serde_json::Value) -> serde_json::Value {
    match settings {
        serde_json::Value::Object(fields) => {
            let said = fields.iter().filter(|(_, value)| !value.is_null());
            said.map(|(key, value)| (key.clone(), without_nulls(value))).collect()
        }
        serde_json::Value::Array(items) => items.iter().map(without_nulls).collect(),
        scalar => scalar.clone(),
    }
}

/// Whole seconds of a timeout; 0 is the default.
///
/// # Errors
///
/// If it is negative.
pub(crate) fn timeout(seconds: Option<i64>, default: i64) -> Result<Duration, ProviderError> {
    let seconds = seconds.filter(|seconds| *seconds != 0).unwrap_or(default);
    match u64::try_from(seconds.min(MAX_TIMEOUT_SECONDS)) {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => Err(ProviderError::new(format!("timeout must not be negative, got {seconds}"))),
    }
}

/// The outcome of a measurement that is made of several calls, if it comes in time.
pub(crate) async fn within<T>(
    timeout: Duration,
    measuring: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, ProviderError> {
    match tokio::time::timeout(timeout, measuring).await {
        Ok(outcome) => outcome,
        Err(_) => {
            let seconds = timeout.as_secs_f64();
            Err(ProviderError::new(format!("no complete answer within {seconds} s")).passing(Duration::ZERO))
        }
    }
}

/// A header that a template adds.
#[derive(Deserialize)]
pub(crate) struct Header {
    key: String,
    #[serde(default)]
    value: String,
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header").field("key", &self.key).finish_non_exhaustive()
    }
}

/// The headers of a call. A message names a header, never its value.
///
/// # Errors
///
/// If a name or a value may not stand in a header.
pub(crate) fn headers(listed: &[Header]) -> Result<HeaderMap, ProviderError> {
    let mut headers = HeaderMap::new();
    for (place, Header { key, value }) in listed.iter().enumerate() {
        let invalid = |what| ProviderError::new(format!("headers[{place}]: {what}"));
        let name = HeaderName::from_str(key).map_err(|_| invalid(format!("{key:?} is no header name")))?;
        let value = secret_header(value).ok_or_else(|| {
            invalid(format!("the value of {key} has a character that a header may not have"))
        })?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// A value that no debug form shows. A secret from a file often ends with a line feed.
pub(crate) fn secret_header(value: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(value.trim()).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// How a provider shows who it is.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Authentication {
    basic_auth: BasicAuth,
    oauth2: OAuth2,
    sigv4: Option<Sigv4>,
}

/// Signing as AWS wants it. Without a region the provider does not ask for it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Sigv4 {
    pub(crate) region: String,
    pub(crate) profile: String,
    pub(crate) role_arn: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BasicAuth {
    username: String,
    password: String,
}

impl fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicAuth").finish_non_exhaustive()
    }
}

impl Authentication {
    /// The token to be asked for, if one is.
    ///
    /// # Errors
    ///
    /// If it cannot be asked for.
    pub(crate) fn oauth2(&self) -> Result<Option<OAuth2>, ProviderError> {
        if self.oauth2.token_url.is_empty() {
            return Ok(None);
        }
        self.oauth2.check()?;
        Ok(Some(self.oauth2.clone()))
    }

    /// The text behind `Basic`, if user and password are given.
    ///
    /// # Errors
    ///
    /// If one of them is missing.
    pub(crate) fn basic(&self) -> Result<Option<String>, ProviderError> {
        let BasicAuth { username, password } = &self.basic_auth;
        match (username.is_empty(), password.is_empty()) {
            (true, true) => Ok(None),
            (false, false) => {
                Ok(Some(STANDARD.encode(format!("{username}:{}", password.trim_end_matches('\n')))))
            }
            _ => Err(ProviderError::new("basicAuth needs both username and password")),
        }
    }

    /// The signing that is asked for.
    pub(crate) fn sigv4(&self) -> Option<&Sigv4> {
        self.sigv4.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nulls_say_nothing() {
        #[derive(Deserialize)]
        #[serde(default)]
        #[derive(Default)]
        struct Plain {
            a: String,
            b: Vec<i64>,
        }
        let plain: Plain = read("x", &json!({"a": null, "b": [1]})).unwrap();
        assert_eq!((plain.a.as_str(), plain.b), ("", vec![1]));
        assert!(read::<Plain>("x", &json!({"a": 5})).is_err());
    }

    #[test]
    fn timeouts_have_a_default_an_end_and_no_sign() {
        assert_eq!(timeout(None, 30).unwrap().as_secs(), 30);
        assert_eq!(timeout(Some(0), 30).unwrap().as_secs(), 30);
        assert_eq!(timeout(Some(5), 30).unwrap().as_secs(), 5);
        assert_eq!(timeout(Some(100_000), 30).unwrap().as_secs(), 300);
        assert_eq!(timeout(Some(-1), 30).unwrap_err().to_string(), "timeout must not be negative, got -1");
    }

    #[test]
    fn user_and_password_come_together() {
        let basic = |settings: serde_json::Value| {
            read::<Authentication>("x", &json!({"basicAuth": settings})).unwrap().basic()
        };
        assert_eq!(basic(json!({})).unwrap(), None);
        assert_eq!(basic(json!({"username": "u", "password": "p\n"})).unwrap().unwrap(), "dTpw");
        assert!(basic(json!({"username": "u"})).is_err() && basic(json!({"password": "p"})).is_err());
    }

    #[test]
    fn no_debug_form_shows_a_secret() {
        let settings = json!({"basicAuth": {"username": "u", "password": "hunter2"},
            "oauth2": {"clientSecret": "hunter2", "tokenUrl": "http://h/"}});
        let authentication: Authentication = read("x", &settings).unwrap();
        let header: Header = read("x", &json!({"key": "k", "value": "hunter2"})).unwrap();
        let header_value = secret_header("hunter2\n").unwrap();
        assert!(!format!("{authentication:?} {header:?} {header_value:?}").contains("hunter2"));
    }
}
