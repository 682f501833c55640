//! Who okra is on AWS, and logins to member clusters.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use jiff::{SignedDuration, Timestamp};

use super::call::Caller;
use super::convert::incomplete;
use super::failure::{ASSUME_ROLE, credentials_failure};
use crate::eks_token::{SigningKeys, eks_token, sts_endpoint};
use crate::error::{AwsError, Meaning};
use crate::{ClusterToken, ClusterTokens, Scope};

const GET_CALLER_IDENTITY: &str = "sts:GetCallerIdentity";

/// A token is signed anew when it is this old, and up to a fifth later so
/// that many clusters do not sign together: 10 to 12 of its 15 minutes.
const RENEW_AFTER: std::time::Duration = std::time::Duration::from_secs(10 * 60);
const RENEW_JITTER: f64 = 0.2;
/// Clusters with a kept token. More begin anew: far beyond any fleet.
const TOKENS_MAX: usize = 4096;

/// The answer of GetCallerIdentity.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallerIdentity {
    /// Number of the account.
    pub account: String,
    /// ARN of user or session.
    pub arn: String,
    /// Unique id of user or role.
    pub user_id: String,
}

/// STS through the AWS SDK, and tokens signed by hand.
pub struct SdkIdentity {
    caller: Caller,
    tokens: Mutex<BTreeMap<(Scope, String), KeptToken>>,
}

struct KeptToken {
    token: ClusterToken,
    signed_at: Timestamp,
    renew_at: Timestamp,
}

impl SdkIdentity {
    pub(super) fn new(caller: Caller) -> Self {
        Self { caller, tokens: Mutex::default() }
    }

    /// Who the credentials of a scope belong to.
    ///
    /// # Errors
    /// What STS or the credentials say.
    pub async fn caller_identity(&self, scope: &Scope) -> Result<CallerIdentity, AwsError> {
        let answer = self.caller.read(scope, GET_CALLER_IDENTITY, |clients| {
            let request = clients.sts.get_caller_identity();
            async move { request.send().await }
        });
        let answer = answer.await?;
        let missing = |part| move || incomplete(GET_CALLER_IDENTITY, part);
        Ok(CallerIdentity {
            account: answer.account.ok_or_else(missing("the account"))?,
            arn: answer.arn.ok_or_else(missing("the ARN"))?,
            user_id: answer.user_id.unwrap_or_default(),
        })
    }

    async fn credentials(&self, scope: &Scope) -> Result<Credentials, AwsError> {
        let clients = self.caller.clients().get(scope).await;
        let none = || {
            let message = "no source of credentials is configured";
            AwsError::new(Meaning::ExpiredCredentials, ASSUME_ROLE, "NoCredentials", message)
        };
        let provider = clients.credentials.as_ref().ok_or_else(none)?;
        provider.provide_credentials().await.map_err(|error| credentials_failure(ASSUME_ROLE, error))
    }

    fn kept(&self, key: &(Scope, String), now: Timestamp) -> Option<ClusterToken> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = tokens.get(key)?;
        // A clock that was set back makes a token look younger than it is.
        let usable = kept.signed_at <= now && now < kept.renew_at;
        usable.then(|| kept.token.clone())
    }

    fn keep(&self, key: (Scope, String), kept: KeptToken) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= TOKENS_MAX {
            tokens.clear();
        }
        tokens.insert(key, kept);
    }
}

#[async_trait]
impl ClusterTokens for SdkIdentity {
    async fn cluster_token(&self, scope: &Scope, name: &str) -> Result<ClusterToken, AwsError> {
        let key = (scope.clone(), name.to_owned());
        let parts = self.caller.parts();
        let now = parts.clock.now();
        if let Some(token) = self.kept(&key, now) {
            return Ok(token);
        }
        let credentials = self.credentials(scope).await?;
        let keys = SigningKeys {
            access_key_id: credentials.access_key_id().to_owned(),
            secret_access_key: credentials.secret_access_key().to_owned(),
            session_token: credentials.session_token().map(str::to_owned),
        };
        let endpoint = self.caller.clients().sts_endpoint();
        let endpoint = endpoint.unwrap_or_else(|| sts_endpoint(&scope.region));
        let mut token = eks_token(&keys, &endpoint, &scope.region, name, now)?;
        // STS refuses the URL once its credentials have ended.
        let end = credentials.expiry().and_then(|end| Timestamp::try_from(end).ok());
        token.expires = end.map_or(token.expires, |end| end.min(token.expires));
        let age = parts.entropy.jitter(RENEW_AFTER, RENEW_JITTER);
        let renew_at =
            (now + SignedDuration::try_from(age).unwrap_or(SignedDuration::ZERO)).min(token.expires);
        self.keep(key, KeptToken { token: token.clone(), signed_at: now, renew_at });
        Ok(token)
    }

    async fn principal(&self, scope: &Scope) -> Result<String, AwsError> {
        if let Some(role) = &scope.role {
            return Ok(role.arn.clone());
        }
        Ok(role_of_session(&self.caller_identity(scope).await?.arn))
    }
}

/// `arn:aws:sts::A:assumed-role/ROLE/SESSION` is a session of
/// `arn:aws:iam::A:role/ROLE`; the path of the role, if it has one, is lost.
fn role_of_session(arn: &str) -> String {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    if let [_, partition, "sts", _, account, resource] = parts[..]
        && let Some(session) = resource.strip_prefix("assumed-role/")
        && let Some((role, _)) = session.split_once('/')
    {
        return format!("arn:{partition}:iam::{account}:role/{role}");
    }
    arn.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_entry_names_the_role_of_a_session() {
        let session = "arn:aws-cn:sts::123456789012:assumed-role/okra/i-1";
        assert_eq!(role_of_session(session), "arn:aws-cn:iam::123456789012:role/okra");
        let user = "arn:aws:iam::123456789012:user/me";
        assert_eq!(role_of_session(user), user);
    }
}
