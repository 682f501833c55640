//! What a load balancer changes in the heads of requests and answers.

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;

use crate::clock::Chance;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// The protocol that the client asks to change to, if it does so properly.
pub(super) fn upgrade_protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let asks = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let asks =
        asks.flat_map(|line| line.split(',')).any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    if asks { headers.get(UPGRADE).cloned() } else { None }
}

/// Removes what concerns one connection only (RFC 9110 7.6.1).
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|line| line.split(','))
            .filter_map(|token| token.trim().parse().ok())
            // What frames the message is no option of a connection: taking it
            // out at a client's word would let a body pass as a request.
            .filter(|name| *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING)
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, UPGRADE] {
        headers.remove(name);
    }
    if headers.remove(TRANSFER_ENCODING).is_some() {
        headers.remove(CONTENT_LENGTH);
    }
}

/// Prepares a request's headers for a target: `remove_hop_by_hop`, and no
/// `Expect`, since the load balancer itself asks the client to go on.
pub(super) fn prepare_request(headers: &mut HeaderMap, chunked: bool, upgrade: Option<HeaderValue>) {
    remove_hop_by_hop(headers);
    headers.remove(EXPECT);
    if chunked {
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    if let Some(protocol) = upgrade {
        offer_upgrade(headers, protocol);
    }
}

/// Puts back what `remove_hop_by_hop` took from a message that upgrades.
pub(super) fn offer_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Says who asked and where: `X-Forwarded-For`, `-Proto` and `-Port`. Targets
/// trust the last entry, so what the client claims comes before it.
pub(super) fn add_forwarded(headers: &mut HeaderMap, peer: &HeaderValue, port: &HeaderValue) {
    let chain = if headers.contains_key(&FORWARDED_FOR) {
        let mut chain = Vec::new();
        for value in headers.get_all(&FORWARDED_FOR) {
            chain.extend_from_slice(value.as_bytes());
            chain.extend_from_slice(b", ");
        }
        chain.extend_from_slice(peer.as_bytes());
        HeaderValue::from_bytes(&chain).unwrap_or_else(|_| peer.clone())
    } else {
        peer.clone()
    };
    headers.insert(FORWARDED_FOR, chain);
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    headers.insert(FORWARDED_PORT, port.clone());
}

/// Adds a trace id, or itself to the one that is there (`X-Amzn-Trace-Id`).
pub(super) fn add_trace_id(headers: &mut HeaderMap, now: Timestamp, chance: &dyn Chance) {
    let value = match headers.get(&TRACE_ID) {
        None => trace_field(*b"Root=", now, chance).to_vec(),
        Some(given) => {
            let rooted = given.as_bytes().windows(5).any(|window| window == b"Root=");
            let ours = trace_field(if rooted { *b"Self=" } else { *b"Root=" }, now, chance);
            [&ours[..], b";", given.as_bytes()].concat()
        }
    };
    if let Ok(value) = HeaderValue::from_bytes(&value) {
        headers.insert(TRACE_ID, value);
    }
}

/// `Root=1-`, 8 digits of time, a dash, 24 digits of chance.
fn trace_field(name: [u8; 5], now: Timestamp, chance: &dyn Chance) -> [u8; 40] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut field = *b"Root=1-00000000-000000000000000000000000";
    field[..5].copy_from_slice(&name);
    let mut put = |range: std::ops::Range<usize>, mut value: u128| {
        for place in field[range].iter_mut().rev() {
            *place = DIGITS[(value & 15) as usize];
            value >>= 4;
        }
    };
    put(7..15, u128::from(now.as_second().unsigned_abs()));
    put(16..40, u128::from(chance.next_u64()) << 64 | u128::from(chance.next_u64()));
    field
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SeededChance;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        lines.iter().map(pair).collect()
    }

    #[test]
    fn hop_by_hop_headers_end_here() {
        let mut map = headers(&[
            ("connection", "close, X-Mine, content-length"),
            ("x-mine", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("content-length", "3"),
            ("x-other", "2"),
        ]);
        prepare_request(&mut map, false, None);
        assert_eq!(map, headers(&[("content-length", "3"), ("x-other", "2")]));
    }

    #[test]
    fn two_framings_become_one() {
        let mut map =
            headers(&[("transfer-encoding", "chunked"), ("content-length", "3"), ("expect", "100-continue")]);
        prepare_request(&mut map, true, None);
        assert_eq!(map, headers(&[("transfer-encoding", "chunked")]));
    }

    #[test]
    fn an_upgrade_needs_both_headers() {
        let asked = headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]);
        let protocol = upgrade_protocol(&asked);
        assert_eq!(protocol, Some(HeaderValue::from_static("websocket")));
        let mut map = asked.clone();
        prepare_request(&mut map, false, protocol);
        assert_eq!(map, headers(&[("connection", "upgrade"), ("upgrade", "websocket")]));
        assert_eq!(upgrade_protocol(&headers(&[("upgrade", "websocket")])), None);
        assert_eq!(upgrade_protocol(&headers(&[("connection", "upgrade")])), None);
    }

    #[test]
    fn the_real_client_comes_last() {
        let mut map = headers(&[("x-forwarded-for", "1.1.1.1, 2.2.2.2"), ("x-forwarded-proto", "https")]);
        map.append("x-forwarded-for", HeaderValue::from_static("3.3.3.3"));
        add_forwarded(&mut map, &HeaderValue::from_static("127.0.0.1"), &HeaderValue::from_static("8080"));
        assert_eq!(map["x-forwarded-for"], "1.1.1.1, 2.2.2.2, 3.3.3.3, 127.0.0.1");
        assert_eq!(
            (&map["x-forwarded-proto"], &map["x-forwarded-port"]),
            (&HeaderValue::from_static("http"), &HeaderValue::from_static("8080"))
        );
        assert_eq!(map.get_all("x-forwarded-for").iter().count(), 1);
    }

    #[test]
    fn trace_ids_keep_their_root() {
        let now = Timestamp::from_second(0x6551_0d00).unwrap();
        let chance = SeededChance::new(1);
        let mut map = HeaderMap::new();
        add_trace_id(&mut map, now, &chance);
        let root = map["x-amzn-trace-id"].to_str().unwrap().to_owned();
        assert!(root.starts_with("Root=1-65510d00-"), "{root}");
        assert_eq!(root.len(), 40);
        add_trace_id(&mut map, now, &chance);
        let both = map["x-amzn-trace-id"].to_str().unwrap().to_owned();
        assert!(both.starts_with("Self=1-65510d00-") && both.ends_with(&format!(";{root}")), "{both}");
    }
}
