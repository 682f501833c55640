//! Addresses as templates write them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Uri};
use thiserror::Error;

/// Bytes of an address. Servers refuse longer ones.
const MAX_BYTES: usize = 8 * 1024;

/// A text that is no address of an HTTP server. The address itself is left out: it may hold a
/// secret that only its owner can recognise.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum InvalidUrl {
    #[error("url has more than {MAX_BYTES} bytes")]
    TooLong,
    #[error("url needs http:// or https:// and a host")]
    NotHttp,
    #[error("url cannot be read: {0}")]
    Malformed(String),
}

/// An address and the credentials that were part of it.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) uri: Uri,
    pub(super) authorization: Option<HeaderValue>,
}

/// Reads an address. What may not stand in one, such as a space or a brace of a query language,
/// is encoded; a fragment is dropped; a user becomes Basic credentials.
pub(super) fn parse(text: &str) -> Result<Target, InvalidUrl> {
    if text.len() > MAX_BYTES {
        return Err(InvalidUrl::TooLong);
    }
    let text = text.split_once('#').map_or(text, |(before, _)| before).trim();
    let begins =
        |scheme: &str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    if !begins("http://") && !begins("https://") {
        return Err(InvalidUrl::NotHttp);
    }
    let uri: Uri = encoded(text)
        .parse()
        .map_err(|error: http::uri::InvalidUri| InvalidUrl::Malformed(error.to_string()))?;
    if uri.host().is_none_or(str::is_empty) {
        return Err(InvalidUrl::NotHttp);
    }
    without_user(uri)
}

/// The text of an address without what stands before its host.
pub(super) fn without_user_text(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => text.to_owned(),
    }
}

/// The address without user and password, which go into a header.
fn without_user(uri: Uri) -> Result<Target, InvalidUrl> {
    let authority = uri.authority().map(Authority::as_str).unwrap_or_default();
    let Some((user, host)) = authority.rsplit_once('@') else {
        return Ok(Target { uri, authorization: None });
    };
    let malformed = |error: String| InvalidUrl::Malformed(error);
    let credentials = decoded(user).ok_or_else(|| malformed("bad escape before @".to_owned()))?;
    // Basic credentials are a pair, also without a password.
    let credentials = if user.contains(':') { credentials } else { [&credentials[..], b":"].concat() };
    let mut header = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(credentials)))
        .map_err(|error| malformed(error.to_string()))?;
    header.set_sensitive(true);
    let host: Authority = host.parse().map_err(|_| malformed("bad host".to_owned()))?;
    let mut parts = uri.into_parts();
    parts.authority = Some(host);
    let uri = Uri::from_parts(parts).map_err(|error| malformed(error.to_string()))?;
    Ok(Target { uri, authorization: Some(header) })
}

fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0..=b' ' | 0x7f.. => {
                encoded.push_str(&format!("%{byte:02X}"));
            }
            _ => encoded.push(char::from(byte)),
        }
    }
    encoded
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    Some(bytes)
}

/// The address that a `Location` means, seen from where it was sent.
pub(super) fn joined(base: &Uri, location: &str) -> Result<Target, InvalidUrl> {
    let scheme = base.scheme_str().unwrap_or("http");
    let authority = base.authority().map(Authority::as_str).unwrap_or_default();
    let directory = base.path().rsplit_once('/').map_or("", |(directory, _)| directory);
    let lower = location.to_ascii_lowercase();
    let absolute = if lower.starts_with("http://") || lower.starts_with("https://") {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.starts_with('?') {
        format!("{scheme}://{authority}{}{location}", base.path())
    } else if location.split(['/', '?']).next().is_some_and(|first| first.contains(':')) {
        return Err(InvalidUrl::NotHttp);
    } else {
        format!("{scheme}://{authority}{directory}/{location}")
    };
    parse(&absolute)
}

/// Whether two addresses have one scheme, host and port.
pub(super) fn same_origin(left: &Uri, right: &Uri) -> bool {
    let port = |uri: &Uri| {
        uri.port_u16().or(match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => Some(443),
            _ => Some(80),
        })
    };
    let host = |uri: &Uri| uri.host().unwrap_or_default().to_ascii_lowercase();
    left.scheme() == right.scheme() && host(left) == host(right) && port(left) == port(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_stand_in_an_address_is_encoded_and_users_become_credentials() {
        let target = parse("http://u%40x:p@h:81/api?q=rate(x{a=\"b\"}[5m]) > 1#part").unwrap();
        assert_eq!(target.uri, "http://h:81/api?q=rate(x%7Ba=%22b%22%7D[5m])%20%3E%201");
        assert_eq!(target.authorization.unwrap(), "Basic dUB4OnA=");
        assert!(parse("http://h/").unwrap().authorization.is_none());
        assert_eq!(parse("http://u@h/").unwrap().authorization.unwrap(), "Basic dTo=");
    }

    #[test]
    fn messages_show_an_address_without_its_user() {
        for (text, shown) in [
            ("http://u:p@h/x?y=a@b", "http://h/x?y=a@b"),
            ("https://h/u@v", "https://h/u@v"),
            ("http://u:p@h", "http://h"),
            ("h/x", "h/x"),
        ] {
            assert_eq!(without_user_text(text), shown);
        }
    }

    #[test]
    fn only_http_servers_have_addresses() {
        for text in [
            "",
            "h",
            "/x",
            "ftp://h/",
            "file:///etc/passwd",
            "http://",
            "http:///x",
            "gopher://h",
            "http://a b/",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert_eq!(parse(&format!("http://h/{}", "x".repeat(9_000))).unwrap_err(), InvalidUrl::TooLong);
        let error = parse("http://user:hunter2@[bad/").unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn locations_are_seen_from_where_they_were_sent() {
        let base: Uri = "https://h:8443/a/b?c=d".parse().unwrap();
        let rows = [
            ("http://x/y", "http://x/y"),
            ("HTTPS://x/y", "https://x/y"),
            ("//x/y", "https://x/y"),
            ("/y", "https://h:8443/y"),
            ("?y=1", "https://h:8443/a/b?y=1"),
            ("y", "https://h:8443/a/y"),
        ];
        for (location, expected) in rows {
            assert_eq!(joined(&base, location).unwrap().uri, expected, "{location}");
        }
        for location in ["file:///etc/passwd", "javascript:x", "ftp://x/"] {
            assert!(joined(&base, location).is_err(), "{location}");
        }
        assert!(same_origin(&"http://H/".parse().unwrap(), &"http://h:80/x".parse().unwrap()));
        assert!(!same_origin(&"http://h/".parse().unwrap(), &"https://h/".parse().unwrap()));
    }
}
