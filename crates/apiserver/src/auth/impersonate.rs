//! Acting as somebody else (spec/apiserver.md 16.1): honoured for callers who
//! hold the verb `impersonate`, refused for all others, never ignored — that
//! would run a request with more rights than were asked for.

use std::collections::BTreeMap;

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use super::{Attributes, User, service_account_user};
use crate::api::Api;
use crate::http::status::ApiError;

const EXTRA: &str = "impersonate-extra-";

/// Whom a request wants to act as.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    name: String,
    groups: Vec<String>,
    uid: String,
    extra: BTreeMap<String, Vec<String>>,
}

impl Api {
    /// The user that a request acts as.
    pub(super) fn impersonated(&self, user: User, headers: &HeaderMap) -> Result<User, ApiError> {
        let Some(asked) = asked(headers)? else { return Ok(user) };
        for attributes in asked.rights() {
            self.authorize(&user, &attributes)?;
        }
        Ok(asked.user())
    }
}

fn asked(headers: &HeaderMap) -> Result<Option<Asked>, ApiError> {
    if !headers.keys().any(|name| name.as_str().starts_with("impersonate-")) {
        return Ok(None);
    }
    let all = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).iter();
        values.filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
    };
    let first = |name: &str| all(name).into_iter().next().unwrap_or_default();
    let mut extra = BTreeMap::new();
    for name in headers.keys() {
        if let Some(key) = name.as_str().strip_prefix(EXTRA) {
            let key = percent_decode_str(key).decode_utf8_lossy().into_owned();
            extra.insert(key, all(name.as_str()));
        }
    }
    let asked = Asked {
        name: first("impersonate-user"),
        groups: all("impersonate-group"),
        uid: first("impersonate-uid"),
        extra,
    };
    if asked.name.is_empty() {
        return Err(ApiError::bad_request("requested groups, uid or extra without impersonating a user"));
    }
    Ok(Some(asked))
}

impl Asked {
    /// Namespace and name, when a ServiceAccount is meant.
    fn account(&self) -> Option<(&str, &str)> {
        self.name.strip_prefix("system:serviceaccount:")?.split_once(':')
    }

    /// Everything the caller must be allowed to.
    fn rights(&self) -> Vec<Attributes> {
        let right = |group: &str, resource: &str, name: &str| Attributes {
            verb: "impersonate".to_owned(),
            group: group.to_owned(),
            resource: resource.to_owned(),
            name: Some(name.to_owned()),
            ..Attributes::default()
        };
        let mut rights = vec![match self.account() {
            Some((namespace, name)) => {
                Attributes { namespace: Some(namespace.to_owned()), ..right("", "serviceaccounts", name) }
            }
            None => right("", "users", &self.name),
        }];
        rights.extend(self.groups.iter().map(|group| right("", "groups", group)));
        if !self.uid.is_empty() {
            rights.push(right("authentication.k8s.io", "uids", &self.uid));
        }
        for (key, values) in &self.extra {
            let resource = format!("userextras/{key}");
            rights.extend(values.iter().map(|value| right("authentication.k8s.io", &resource, value)));
        }
        rights
    }

    fn user(self) -> User {
        let implied = match self.account() {
            Some((namespace, name)) if self.groups.is_empty() => service_account_user(namespace, name).groups,
            _ => self.groups.clone(),
        };
        User { name: self.name, groups: implied, uid: self.uid, extra: self.extra }
    }
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

    #[test]
    fn whom_and_with_which_rights() {
        assert_eq!(asked(&headers(&[("accept", "x")])).unwrap(), None);
        let entries = [
            ("impersonate-user", "bob"),
            ("impersonate-group", "dev"),
            ("impersonate-group", "ops"),
            ("impersonate-extra-example.com%2fscopes", "view"),
        ];
        let bob = asked(&headers(&entries)).unwrap().unwrap();
        let rights: Vec<String> = bob.rights().into_iter().map(|right| right.resource).collect();
        assert_eq!(rights, ["users", "groups", "groups", "userextras/example.com/scopes"]);
        let user = bob.user();
        assert_eq!((user.name.as_str(), user.groups.len()), ("bob", 2));
        assert_eq!(user.extra["example.com/scopes"], ["view"]);
    }

    #[test]
    fn groups_alone_are_a_bad_request() {
        assert_eq!(asked(&headers(&[("impersonate-group", "dev")])).unwrap_err().code, 400);
    }

    #[test]
    fn an_account_brings_its_groups() {
        let account = headers(&[("impersonate-user", "system:serviceaccount:a:b")]);
        let account = asked(&account).unwrap().unwrap();
        let right = &account.rights()[0];
        assert_eq!((right.resource.as_str(), right.namespace.as_deref()), ("serviceaccounts", Some("a")));
        let groups = ["system:serviceaccounts", "system:serviceaccounts:a"];
        assert_eq!(account.user().groups, groups);
    }
}
