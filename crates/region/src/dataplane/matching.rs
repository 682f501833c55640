//! Whether a rule's conditions hold for a request (`spec/aws.md` 1.5).

use std::net::IpAddr;

use http::{HeaderMap, Method};

use super::topology::{Condition, QueryPair};

/// What conditions look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestView<'a> {
    pub(super) method: &'a Method,
    /// As the client sent it, perhaps with a port; empty without one.
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) peer: IpAddr,
}

impl RequestView<'_> {
    /// The host without its port.
    pub(super) fn host_name(&self) -> &str {
        match self.host.rsplit_once(':') {
            // An IPv6 address in brackets ends with one; what follows is no port.
            Some((name, _)) if !self.host.ends_with(']') => name,
            _ => self.host,
        }
    }
}

/// Whether one of the condition's values matches.
pub(super) fn holds(condition: &Condition, request: &RequestView<'_>) -> bool {
    match condition {
        Condition::HostHeader(patterns) => {
            patterns.iter().any(|pattern| like(pattern, request.host_name(), Case::Ignore))
        }
        Condition::PathPattern(patterns) => {
            patterns.iter().any(|pattern| like(pattern, request.path, Case::Exact))
        }
        Condition::HttpHeader { name, values } => {
            let fits = |text: &str| values.iter().any(|pattern| like(pattern, text, Case::Ignore));
            request.headers.get_all(name.as_str()).iter().any(|value| value.to_str().is_ok_and(fits))
        }
        Condition::HttpRequestMethod(methods) => {
            methods.iter().any(|method| method == request.method.as_str())
        }
        Condition::QueryString(pairs) => pairs.iter().any(|pair| has_pair(pair, request.query)),
        Condition::SourceIp(blocks) => blocks.iter().any(|block| block.contains(request.peer)),
    }
}

fn has_pair(wanted: &QueryPair, query: &str) -> bool {
    query.split('&').filter(|pair| !pair.is_empty()).any(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        wanted.key.as_deref().is_none_or(|pattern| like(pattern, key, Case::Ignore))
            && like(&wanted.value, value, Case::Ignore)
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Exact,
    Ignore,
}

/// Whether a text is like a pattern, in which `*` stands for any text, `?` for
/// one byte and a backslash takes the meaning from what follows it.
///
/// Goes back to the last `*` only, so the work is bounded by the product of
/// the lengths, whatever a user writes.
fn like(pattern: &str, text: &str, case: Case) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p + 1, t));
            p += 1;
        } else if let Some(width) = matches_byte(&pattern[p..], text[t], case) {
            p += width;
            t += 1;
        } else if let Some((after_star, taken)) = star {
            star = Some((after_star, taken + 1));
            (p, t) = (after_star, taken + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// How many bytes of the pattern stand for this byte, if they do.
fn matches_byte(pattern: &[u8], byte: u8, case: Case) -> Option<usize> {
    let same = |literal: u8| match case {
        Case::Exact => literal == byte,
        Case::Ignore => literal.eq_ignore_ascii_case(&byte),
    };
    match pattern {
        [b'?', ..] => Some(1),
        [b'\\', literal, ..] => same(*literal).then_some(2),
        [literal, ..] => same(*literal).then_some(1),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn get<'a>(headers: &'a HeaderMap, host: &'a str, path: &'a str, query: &'a str) -> RequestView<'a> {
        RequestView { method: &Method::GET, host, path, query, headers, peer: [10, 0, 0, 7].into() }
    }

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("/img/*.png", "/img/a/b.png", true),
            ("/img/*.png", "/img/a.png/x", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("a**", "a", true),
            (r"\*x", "*x", true),
            (r"\*x", "ax", false),
        ] {
            assert_eq!(like(pattern, text, Case::Exact), expected, "{pattern} {text}");
        }
        let hostile = format!("{}b", "*a".repeat(60));
        assert!(!like(&hostile, &"a".repeat(4_000), Case::Exact));
    }

    #[test]
    fn hosts_ignore_case_and_port_paths_do_not() {
        let headers = HeaderMap::new();
        let request = get(&headers, "WWW.Example.com:8080", "/API/x", "");
        assert!(holds(&Condition::HostHeader(vec!["other".into(), "*.example.COM".into()]), &request));
        assert!(!holds(&Condition::HostHeader(vec!["example.com".into()]), &request));
        assert!(holds(&Condition::PathPattern(vec!["/API/*".into()]), &request));
        assert!(!holds(&Condition::PathPattern(vec!["/api/*".into()]), &request));
        assert_eq!(get(&headers, "[::1]:80", "/", "").host_name(), "[::1]");
        assert_eq!(get(&headers, "[::1]", "/", "").host_name(), "[::1]");
    }

    #[test]
    fn headers_methods_queries_and_sources() {
        let mut headers = HeaderMap::new();
        headers.append("x-env", HeaderValue::from_static("blue"));
        headers.append("x-env", HeaderValue::from_static("Canary-1"));
        let request = get(&headers, "h", "/", "version=V2&flag");
        let header = |value: &str| Condition::HttpHeader { name: "X-Env".into(), values: vec![value.into()] };
        assert!(holds(&header("canary-?"), &request));
        assert!(!holds(&header("canary"), &request));
        assert!(holds(&Condition::HttpRequestMethod(vec!["POST".into(), "GET".into()]), &request));
        assert!(!holds(&Condition::HttpRequestMethod(vec!["get".into()]), &request));
        let query = |key: Option<&str>, value: &str| {
            Condition::QueryString(vec![QueryPair { key: key.map(Into::into), value: value.into() }])
        };
        assert!(holds(&query(Some("version"), "v2"), &request));
        assert!(holds(&query(None, "v*"), &request));
        assert!(holds(&query(Some("flag"), ""), &request));
        assert!(!holds(&query(Some("version"), "v1"), &request));
        assert!(holds(&Condition::SourceIp(vec!["10.0.0.0/24".parse().unwrap()]), &request));
        assert!(!holds(&Condition::SourceIp(vec!["10.0.1.0/24".parse().unwrap()]), &request));
    }
}
