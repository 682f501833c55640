//! Which calls go through a proxy of the operator's.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;

/// Proxies as the environment names them: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, but for what
/// `NO_PROXY` excepts and for this machine.
#[derive(Clone, Default)]
pub struct Proxies {
    rules: Option<Arc<Matcher>>,
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies").field("set", &self.rules.is_some()).finish()
    }
}

/// The proxy of one call.
pub(super) struct Proxy {
    pub(super) uri: Uri,
    pub(super) authorization: Option<HeaderValue>,
}

impl Proxies {
    /// No proxy at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// Those of the environment of this process.
    pub fn from_environment() -> Self {
        Self { rules: Some(Arc::new(Matcher::from_env())) }
    }

    /// One for everything but these hosts, domains and networks, separated by commas.
    pub fn one(proxy: &str, except: &str) -> Self {
        let rules = Matcher::builder().all(proxy.to_owned()).no(except.to_owned()).build();
        Self { rules: Some(Arc::new(rules)) }
    }

    /// The proxy that a call goes through.
    pub(super) fn of(&self, uri: &Uri) -> Option<Proxy> {
        if is_this_machine(uri.host().unwrap_or_default()) {
            return None;
        }
        let intercept = self.rules.as_ref()?.intercept(uri)?;
        Some(Proxy { uri: intercept.uri().clone(), authorization: intercept.basic_auth().cloned() })
    }
}

/// What is said to this machine is for no other.
fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    bare.eq_ignore_ascii_case("localhost")
        || bare.to_ascii_lowercase().ends_with(".localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_excepted_and_this_machine_need_no_proxy() {
        let proxies = Proxies::one("http://user:pw@proxy:3128", "direct.example,10.0.0.0/8");
        let through = |uri: &str| proxies.of(&uri.parse().unwrap()).map(|proxy| proxy.uri.to_string());
        for uri in ["http://h.example/", "https://h.example/", "http://192.168.0.1/"] {
            assert_eq!(through(uri).as_deref(), Some("http://proxy:3128/"), "{uri}");
        }
        for uri in [
            "http://direct.example/",
            "https://a.direct.example/",
            "http://10.1.2.3/",
            "http://localhost:1/",
            "http://127.0.0.1/",
            "http://[::1]:1/",
            "http://a.localhost/",
        ] {
            assert_eq!(through(uri), None, "{uri}");
        }
        let proxy = proxies.of(&"http://h.example/".parse().unwrap()).unwrap();
        assert_eq!(proxy.authorization.unwrap(), "Basic dXNlcjpwdw==");
        assert!(Proxies::none().of(&"http://h.example/".parse().unwrap()).is_none());
        assert!(!format!("{proxies:?}").contains("pw"));
    }
}
