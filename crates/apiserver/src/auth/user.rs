//! The authenticated caller of a request.

use std::collections::BTreeMap;

use async_trait::async_trait;

/// The group whose members pass every authorisation check.
pub const MASTERS: &str = "system:masters";

/// The group every authenticated caller belongs to.
pub const AUTHENTICATED: &str = "system:authenticated";

/// An authenticated caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The name; certificates give their common name.
    pub name: String,
    /// Stable id, empty when the credential has none.
    pub uid: String,
    /// Groups, without the implied `system:authenticated`.
    pub groups: Vec<String>,
    /// Further facts about the credential.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// The administrator of in-process clients.
    pub fn admin() -> Self {
        Self { name: "admin".into(), groups: vec![MASTERS.into()], ..Self::default() }
    }

    /// All groups, with the implied one.
    pub(crate) fn all_groups(&self) -> Vec<String> {
        let mut groups = self.groups.clone();
        if !groups.iter().any(|group| group == AUTHENTICATED) {
            groups.push(AUTHENTICATED.to_owned());
        }
        groups
    }

    /// Whether the user belongs to `group`.
    pub fn in_group(&self, group: &str) -> bool {
        group == AUTHENTICATED || self.groups.iter().any(|own| own == group)
    }
}

/// The user that a ServiceAccount is.
pub(crate) fn service_account_user(namespace: &str, name: &str) -> User {
    User {
        name: format!("system:serviceaccount:{namespace}:{name}"),
        groups: vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")],
        ..User::default()
    }
}

/// Judges bearer tokens that this server did not issue.
#[async_trait]
pub trait TokenAuthenticator: Send + Sync + 'static {
    /// The user behind `token`, or `None` when it is not valid.
    async fn authenticate(&self, token: &str) -> Option<User>;
}
