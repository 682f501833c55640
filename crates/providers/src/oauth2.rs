//! Tokens of the client-credentials grant (`spec/analysis.md` 4.1).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use http::{HeaderValue, Method};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::http::{Answer, Call, Client, form};
use crate::provider::ProviderError;
use crate::secrets::Secrets;

/// A token is not used in its last seconds: the call that carries it takes time too.
const EXPIRY_MARGIN: SignedDuration = SignedDuration::from_secs(10);

/// Lifetime of a token whose server does not tell.
const DEFAULT_LIFETIME_SECONDS: i64 = 60;

/// Tokens kept. Each pair of template and secret has one.
const MAX_TOKENS: usize = 1_000;

/// Where and with what a token is asked for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
pub(crate) struct OAuth2 {
    pub(crate) token_url: String,
    client_id: String,
    client_secret: String,
    scopes: Vec<String>,
}

impl fmt::Debug for OAuth2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth2").finish_non_exhaustive()
    }
}

impl OAuth2 {
    /// What is wrong with it before anything is sent.
    pub(crate) fn check(&self) -> Result<(), ProviderError> {
        if self.client_id.is_empty() || self.client_secret.is_empty() {
            return Err(ProviderError::new("oauth2 needs clientId and clientSecret with tokenUrl"));
        }
        Client::check_url(&self.token_url)
    }
}

/// Tokens that have been obtained, by what they were asked with.
#[derive(Default)]
pub(crate) struct Tokens {
    held: Mutex<BTreeMap<OAuth2, Token>>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Token {
    text: String,
    header: HeaderValue,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    token_type: String,
    expires_in: Option<i64>,
}

impl Tokens {
    /// The header of a valid token, from a server if none is held.
    pub(crate) async fn header(
        &self,
        client: &Client,
        oauth2: &OAuth2,
        insecure: bool,
        timeout: Duration,
        now: Timestamp,
        secrets: &Secrets,
    ) -> Result<HeaderValue, ProviderError> {
        let held = self.lock().get(oauth2).filter(|token| token.expires_at > now).cloned();
        if let Some(token) = held {
            secrets.hide(&token.text);
            return Ok(token.header);
        }
        let token = ask(client, oauth2, insecure, timeout, now).await?;
        secrets.hide(&token.text);
        let mut tokens = self.lock();
        if tokens.len() >= MAX_TOKENS {
            tokens.retain(|_, token| token.expires_at > now);
        }
        if tokens.len() < MAX_TOKENS {
            tokens.insert(oauth2.clone(), token.clone());
        }
        Ok(token.header)
    }

    /// Drops a token that a server did not accept.
    pub(crate) fn forget(&self, oauth2: &OAuth2) {
        self.lock().remove(oauth2);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<OAuth2, Token>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves it whole.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks with Basic credentials, and with them in the form if the server refuses that.
async fn ask(
    client: &Client,
    oauth2: &OAuth2,
    insecure: bool,
    timeout: Duration,
    now: Timestamp,
) -> Result<Token, ProviderError> {
    let mut form = vec![("grant_type", "client_credentials".to_owned())];
    if !oauth2.scopes.is_empty() {
        form.push(("scope", oauth2.scopes.join(" ")));
    }
    let pair = format!("{}:{}", form::value(&oauth2.client_id), form::value(&oauth2.client_secret));
    let basic = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))
        .map_err(|error| ProviderError::caused_by("oauth2 credentials make no header", error))?;
    let call = |form: &[(&str, String)], basic: Option<HeaderValue>| {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.extend(basic.map(|basic| (AUTHORIZATION, basic)));
        let body = Bytes::from(form::encoded(form));
        Call { method: Method::POST, url: oauth2.token_url.clone(), headers, body, insecure, timeout }
    };
    let mut answer = client.call(&call(&form, Some(basic))).await?;
    if matches!(answer.status.as_u16(), 400 | 401) {
        form.push(("client_id", oauth2.client_id.clone()));
        form.push(("client_secret", oauth2.client_secret.clone()));
        answer = client.call(&call(&form, None)).await?;
    }
    granted(&answer, now)
}

fn granted(answer: &Answer, now: Timestamp) -> Result<Token, ProviderError> {
    if !answer.status.is_success() {
        return Err(answer.error(format!("oauth2 token request received response code: {}", answer.code())));
    }
    // The cause would repeat a part of the answer, which holds the token.
    let granted: Granted = serde_json::from_slice(&answer.body)
        .map_err(|_| ProviderError::new("oauth2 token answer has no access_token"))?;
    if !granted.token_type.is_empty() && !granted.token_type.eq_ignore_ascii_case("bearer") {
        return Err(ProviderError::new("oauth2 token is not of type Bearer"));
    }
    let mut header = HeaderValue::try_from(format!("Bearer {}", granted.access_token))
        .map_err(|_| ProviderError::new("oauth2 token makes no header"))?;
    header.set_sensitive(true);
    let lifetime = SignedDuration::from_secs(granted.expires_in.unwrap_or(DEFAULT_LIFETIME_SECONDS));
    let expires_at = now.saturating_add(lifetime.saturating_sub(EXPIRY_MARGIN)).unwrap_or(now);
    Ok(Token { text: granted.access_token, header, expires_at })
}
