//! From credentials to a user (spec/apiserver.md 16.1).

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};

use super::{MASTERS, TokenAuthenticator, User};
use crate::http::status::ApiError;

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

/// Judges credentials.
pub(crate) struct Authenticator {
    /// SHA-256 of the administrator's token, so that the token itself is not kept.
    admin_token: Option<[u8; 32]>,
    foreign: Option<Arc<dyn TokenAuthenticator>>,
}

impl Authenticator {
    pub(crate) fn new(admin_token: Option<&str>, foreign: Option<Arc<dyn TokenAuthenticator>>) -> Self {
        Self { admin_token: admin_token.map(digest), foreign }
    }

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
                let Some(header) = headers.get(AUTHORIZATION) else { return Ok(None) };
                let token = header.to_str().ok().and_then(bearer).ok_or_else(ApiError::unauthorized)?;
                self.token_user(token).await.ok_or_else(ApiError::unauthorized)?
            }
        };
        impersonate(user, headers).map(Some)
    }

    /// The user behind a bearer token.
    pub(crate) async fn token_user(&self, token: &str) -> Option<User> {
        // Digests are compared, not tokens: how long it takes says nothing about the token.
        if self.admin_token.is_some_and(|known| known == digest(token)) {
            return Some(User::admin());
        }
        self.foreign.as_ref()?.authenticate(token).await
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Acts on impersonation headers; ignoring them would run a request with more
/// rights than were asked for.
fn impersonate(user: User, headers: &HeaderMap) -> Result<User, ApiError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let asked = headers.keys().any(|name| name.as_str().starts_with("impersonate-"));
    if !asked {
        return Ok(user);
    }
    let Some(name) = text("impersonate-user").filter(|name| !name.is_empty()) else {
        return Err(ApiError::bad_request("requested groups, uid or extra without impersonating a user"));
    };
    if !user.in_group(MASTERS) {
        let why = format!(
            "User {:?} cannot impersonate resource \"users\" in API group \"\" at the cluster scope",
            user.name
        );
        return Err(ApiError::forbidden("", "users", &name, why));
    }
    let groups = headers.get_all("impersonate-group").iter();
    let groups = groups.filter_map(|value| value.to_str().ok()).map(str::to_owned).collect();
    Ok(User { name, groups, uid: text("impersonate-uid").unwrap_or_default(), ..User::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(entries: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in entries {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[tokio::test]
    async fn the_admin_token_and_no_other_opens() {
        let authenticator = Authenticator::new(Some("secret"), None);
        let good = headers(&[("authorization", "Bearer secret")]);
        let user = authenticator.authenticate(&Peer::Unknown, &good).await.unwrap().unwrap();
        assert!(user.in_group(MASTERS));
        for wrong in ["Bearer other", "Bearer ", "Basic secret"] {
            let wrong = headers(&[("authorization", wrong)]);
            assert_eq!(authenticator.authenticate(&Peer::Unknown, &wrong).await.unwrap_err().code, 401);
        }
        assert_eq!(authenticator.authenticate(&Peer::Unknown, &HeaderMap::new()).await.unwrap(), None);
    }

    #[tokio::test]
    async fn hc_51_impersonation_is_honoured_or_refused() {
        let authenticator = Authenticator::new(None, None);
        let asked = headers(&[("impersonate-user", "bob"), ("impersonate-group", "dev")]);
        let admin = Peer::Known(User::admin());
        let user = authenticator.authenticate(&admin, &asked).await.unwrap().unwrap();
        assert_eq!((user.name.as_str(), user.groups), ("bob", vec!["dev".to_owned()]));
        let alice = Peer::Known(User { name: "alice".into(), ..User::default() });
        assert_eq!(authenticator.authenticate(&alice, &asked).await.unwrap_err().code, 403);
        let group_only = headers(&[("impersonate-group", "dev")]);
        assert_eq!(authenticator.authenticate(&admin, &group_only).await.unwrap_err().code, 400);
    }
}
