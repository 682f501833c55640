//! From credentials to a user (spec/apiserver.md 16.1).

use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};

use super::tokens::{BoundObject, Claims, ISSUER, TokenIssuer};
use super::{TokenAuthenticator, User, service_account_user};
use crate::api::Api;
use crate::http::status::ApiError;
use crate::object::Object;
use crate::store::{ObjectName, ResourceId};

/// What the transport knows of the caller.
#[derive(Clone, Debug)]
pub(crate) enum Peer {
    /// Proved by a client certificate, or in the same process.
    Known(User),
    /// A client certificate that this server did not sign.
    Foreign,
    /// Nothing yet: a token may tell.
    Unknown,
}

/// What tells good credentials from bad ones.
pub(crate) struct Authenticator {
    /// SHA-256 of the administrator's token, so that the token itself is not kept.
    admin_token: Option<[u8; 32]>,
    foreign: Option<Arc<dyn TokenAuthenticator>>,
    pub(super) issuer: TokenIssuer,
}

/// The user behind a token, and for whom the token is good.
pub(crate) struct TokenUser {
    pub(crate) user: User,
    pub(crate) audiences: Vec<String>,
}

impl Authenticator {
    /// `folder` keeps the key that signs tokens of ServiceAccounts.
    pub(crate) fn new(
        admin_token: Option<&str>,
        foreign: Option<Arc<dyn TokenAuthenticator>>,
        folder: Option<PathBuf>,
    ) -> Self {
        Self { admin_token: admin_token.map(digest), foreign, issuer: TokenIssuer::new(folder) }
    }

    fn is_admin_token(&self, token: &str) -> bool {
        // Digests are compared, not tokens: how long it takes says nothing about the token.
        self.admin_token.is_some_and(|known| known == digest(token))
    }
}

impl Api {
    /// The caller; `None` without any credentials. Wrong ones are an error.
    pub(crate) async fn authenticate(
        &self,
        peer: &Peer,
        headers: &HeaderMap,
    ) -> Result<Option<User>, ApiError> {
        let user = match peer {
            Peer::Known(user) => user.clone(),
            Peer::Foreign => return Err(ApiError::unauthorized()),
            Peer::Unknown => {
                if !headers.contains_key(AUTHORIZATION) {
                    return Ok(None);
                }
                let token = presented_token(peer, headers).ok_or_else(ApiError::unauthorized)?;
                let own = [ISSUER.to_owned()];
                self.token_user(&token, &own).await.ok_or_else(ApiError::unauthorized)?.user
            }
        };
        self.impersonated(user, headers).map(Some)
    }

    /// The user behind a bearer token that is meant for one of `audiences`.
    pub(crate) async fn token_user(&self, token: &str, audiences: &[String]) -> Option<TokenUser> {
        let known = |user| TokenUser { user, audiences: audiences.to_vec() };
        if self.authenticator.is_admin_token(token) {
            return Some(known(User::admin()));
        }
        if let Some(claims) = self.authenticator.issuer.verify(token, self.clock.now()).await {
            let common = |own: &&String| audiences.contains(own);
            let audiences: Vec<String> = claims.audiences.iter().filter(common).cloned().collect();
            let user = self.account_user(&claims).filter(|_| !audiences.is_empty())?;
            return Some(TokenUser { user, audiences });
        }
        self.authenticator.foreign.as_ref()?.authenticate(token).await.map(known)
    }

    /// Whether a token that this server issued has run out or lost its account. Tokens of others are theirs to judge,
    /// when they are shown again.
    pub(crate) async fn is_withdrawn(&self, token: &str) -> bool {
        TokenIssuer::is_own(token) && self.token_user(token, &[ISSUER.to_owned()]).await.is_none()
    }

    /// The ServiceAccount of a token, if it and what the token is bound to still live.
    fn account_user(&self, claims: &Claims) -> Option<User> {
        let lives = |plural: &str, namespace: &str, name: &str, uid: &str| {
            let found = self.store.get(&ResourceId::new("", plural), &ObjectName::new(namespace, name));
            found.is_some_and(|record| record.value.uid() == uid)
        };
        if !lives("serviceaccounts", &claims.namespace, &claims.account, &claims.account_uid) {
            return None;
        }
        let mut user = service_account_user(&claims.namespace, &claims.account);
        user.uid.clone_from(&claims.account_uid);
        let mut tell = |key: &str, value: &str| {
            user.extra.insert(format!("authentication.kubernetes.io/{key}"), vec![value.to_owned()])
        };
        tell("credential-id", &format!("JTI={}", claims.id));
        if let Some(BoundObject { kind, name, uid }) = &claims.bound_to {
            let plural = format!("{}s", kind.to_lowercase());
            let namespace = if kind == "Node" { "" } else { &claims.namespace };
            if !lives(&plural, namespace, name, uid) {
                return None;
            }
            if kind != "Secret" {
                tell(&format!("{}-name", kind.to_lowercase()), name);
                tell(&format!("{}-uid", kind.to_lowercase()), uid);
            }
        }
        Some(user)
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// The bearer token that tells who calls; a certificate is looked at first.
pub(crate) fn presented_token(peer: &Peer, headers: &HeaderMap) -> Option<String> {
    let Peer::Unknown = peer else { return None };
    headers.get(AUTHORIZATION)?.to_str().ok().and_then(bearer).map(str::to_owned)
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_scheme_carries_a_token() {
        assert_eq!(bearer("Bearer secret"), Some("secret"));
        assert_eq!(bearer("bearer  secret "), Some("secret"));
        for wrong in ["Bearer ", "Basic secret", "secret"] {
            assert_eq!(bearer(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_admin_token_and_no_other_opens() {
        let authenticator = Authenticator::new(Some("secret"), None, None);
        assert!(authenticator.is_admin_token("secret"));
        assert!(!authenticator.is_admin_token("other"));
        assert!(!Authenticator::new(None, None, None).is_admin_token(""));
    }
}
