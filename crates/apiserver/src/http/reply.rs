//! Answers on their way out: code, headers, body.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io::Write;
use std::task::Poll;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, VARY, WARNING};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use serde_json::Value;

use super::accept::{Encoding, Form};
use super::status::ApiError;
use crate::limits::Room;
use crate::metrics::WatchCount;
use crate::usage::Held;

/// The body of an answer; a watch's body ends when the watch does.
pub type ResponseBody = UnsyncBoxBody<Bytes, Infallible>;

/// Shorter bodies are not worth packing; upstream's bound (spec/apiserver.md 2.2).
const GZIP_BYTES: usize = 128 * 1_024;

/// Upstream's level: most of the gain for a part of the time.
const GZIP_LEVEL: u32 = 4;

/// All warnings of one answer together (spec/apiserver.md 9.6).
const WARNING_CHARACTERS: usize = 4_096;

/// What one warning is cut to when all together are too long.
const SHORT_WARNING: usize = 256;

enum Content {
    /// The whole body, and the room it takes in memory until it is sent.
    Full(Bytes, Room),
    /// A long body, made while it is sent.
    Pieces(BoxStream<'static, Bytes>),
    /// A watch: what is told must leave at once.
    Stream(BoxStream<'static, Bytes>),
}

/// An answer before it meets the transport.
pub(crate) struct Reply {
    code: u16,
    content_type: String,
    headers: HeaderMap,
    content: Content,
}

impl Reply {
    fn new(code: u16, content_type: &str, content: Content) -> Self {
        Self { code, content_type: content_type.to_owned(), headers: HeaderMap::new(), content }
    }

    /// Bytes of a known type.
    pub(crate) fn bytes(code: u16, content_type: &str, bytes: impl Into<Bytes>) -> Self {
        Self::new(code, content_type, Content::Full(bytes.into(), Room::default()))
    }

    pub(crate) fn text(code: u16, text: impl Into<String>) -> Self {
        Self::bytes(code, "text/plain; charset=utf-8", text.into())
    }

    /// A value in the form the client asked for.
    pub(crate) fn value(code: u16, value: &Value, form: Form) -> Self {
        match form.encoding {
            Encoding::Json => Self::bytes(code, "application/json", encode_json(value, form.pretty)),
            Encoding::Yaml => {
                let yaml = serde_saphyr::to_string(value).unwrap_or_else(|_| value.to_string());
                Self::bytes(code, "application/yaml", yaml)
            }
        }
    }

    /// A JSON document in pieces, longer than one wants in memory.
    pub(crate) fn pieces(pieces: BoxStream<'static, Bytes>) -> Self {
        Self::new(200, "application/json", Content::Pieces(pieces))
    }

    /// Lines of a watch.
    pub(crate) fn stream(lines: BoxStream<'static, Bytes>) -> Self {
        Self::new(200, "application/json", Content::Stream(lines))
    }

    pub(crate) fn error(error: &ApiError, form: Form) -> Self {
        let mut reply = if error.plain {
            Self::text(error.code, error.message.clone())
        } else {
            Self::value(error.code, &error.status(), form)
        };
        if let Some(seconds) = error.retry_after {
            reply.headers.insert(RETRY_AFTER, seconds.into());
        }
        reply
    }

    /// Bytes that are in memory until they are sent.
    pub(crate) fn bytes_in_memory(&self) -> usize {
        match &self.content {
            Content::Full(bytes, _) => bytes.len(),
            Content::Pieces(_) | Content::Stream(_) => 0,
        }
    }

    /// The same answer with the room it takes.
    pub(crate) fn taking(mut self, room: Room) -> Self {
        if let Content::Full(_, own) = &mut self.content {
            *own = room;
        }
        self
    }

    pub(crate) fn code(&self) -> u16 {
        self.code
    }

    /// The same watch, whose events are counted.
    pub(crate) fn counted(mut self, count: WatchCount) -> Self {
        if let Content::Stream(lines) = self.content {
            let lines = lines.inspect(move |piece| count.sent(piece));
            self.content = Content::Stream(lines.boxed());
        }
        self
    }

    /// Packs a large body; a watch is never held back to be packed.
    fn packed(mut self) -> Self {
        let pieces = match self.content {
            Content::Full(bytes, room) if bytes.len() > GZIP_BYTES => {
                stream::iter([bytes]).chain(held(room)).boxed()
            }
            Content::Pieces(pieces) => pieces,
            Content::Full(..) | Content::Stream(_) => return self,
        };
        self.content = Content::Pieces(gzip(pieces));
        self.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        self.headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
        self
    }

    /// Adds or replaces a header; text that no header can carry is left out.
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// The transport's answer; `gzip` says that the client can unpack it.
    pub(crate) fn into_response(
        self,
        audit_id: &str,
        warnings: &[String],
        gzip: bool,
    ) -> Response<ResponseBody> {
        let own = if gzip { self.packed() } else { self };
        let body = match own.content {
            Content::Full(bytes, room) => Held::new(Full::new(bytes), room).boxed_unsync(),
            Content::Pieces(lines) | Content::Stream(lines) => {
                StreamBody::new(lines.map(|line| Ok(Frame::data(line)))).boxed_unsync()
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(own.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        *headers = own.headers;
        if !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        }
        if let Ok(value) = HeaderValue::from_str(&own.content_type)
            && !value.is_empty()
        {
            headers.insert(CONTENT_TYPE, value);
        }
        if let Ok(value) = HeaderValue::from_str(audit_id) {
            headers.insert(HeaderName::from_static("audit-id"), value);
        }
        for warning in warning_headers(warnings) {
            headers.append(WARNING, warning);
        }
        response
    }
}

/// Nothing, for as long as the stream lives.
fn held(room: Room) -> impl futures::Stream<Item = Bytes> + Send {
    stream::poll_fn(move |_| {
        let _held = &room;
        Poll::Ready(None)
    })
}

/// The same bytes, packed piece by piece.
fn gzip(pieces: BoxStream<'static, Bytes>) -> BoxStream<'static, Bytes> {
    let encoder = GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL));
    let packed = stream::unfold((pieces, Some(encoder)), |(mut pieces, encoder)| async move {
        let mut encoder = encoder?;
        if let Some(piece) = pieces.next().await {
            encoder.write_all(&piece).expect("memory takes all bytes");
            let ready = std::mem::take(encoder.get_mut());
            return Some((Bytes::from(ready), (pieces, Some(encoder))));
        }
        let rest = encoder.finish().expect("memory takes all bytes");
        Some((rest.into(), (pieces, None)))
    });
    // The packer keeps small pieces back; an empty chunk would end an HTTP/1.1 body.
    packed.filter(|piece| std::future::ready(!piece.is_empty())).boxed()
}

/// Compact with a newline, or indented without one (spec/apiserver.md 2.4).
pub(crate) fn encode_json(value: &Value, pretty: bool) -> Bytes {
    if pretty {
        return serde_json::to_vec_pretty(value).expect("a JSON value encodes").into();
    }
    let mut bytes = serde_json::to_vec(value).expect("a JSON value encodes");
    bytes.push(b'\n');
    bytes.into()
}

/// The warnings as headers: each once, and no more than all together may have; a body can hold more unknown fields
/// than an answer can have headers.
fn warning_headers(warnings: &[String]) -> Vec<HeaderValue> {
    let clean = |warning: &String| -> String {
        warning.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    };
    let mut seen = BTreeSet::new();
    let unique: Vec<String> =
        warnings.iter().map(clean).filter(|warning| seen.insert(warning.clone())).collect();
    let total: usize = unique.iter().map(|warning| warning.chars().count()).sum();
    let limit = if total > WARNING_CHARACTERS { SHORT_WARNING } else { WARNING_CHARACTERS };
    let mut left = WARNING_CHARACTERS;
    let texts = unique.iter().map(|warning| warning.chars().take(limit).collect::<String>());
    let texts = texts.take_while(|text| {
        let length = text.chars().count();
        let fits = length <= left;
        left = left.saturating_sub(length);
        fits
    });
    let headers = texts.map(|text| {
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        HeaderValue::from_bytes(format!("299 - \"{quoted}\"").as_bytes())
    });
    headers.filter_map(Result::ok).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_quoted_and_said_once() {
        let twice = vec!["unknown field \"spec.a\"".to_owned(), "unknown field \"spec.a\"".to_owned()];
        let headers = warning_headers(&twice);
        assert_eq!(headers, ["299 - \"unknown field \\\"spec.a\\\"\""]);
    }

    #[tokio::test]
    async fn only_large_bodies_are_packed_and_only_if_the_client_can_unpack() {
        use std::io::Read;
        let large = vec![b'x'; GZIP_BYTES + 1];
        for (body, gzip, packs) in
            [(large.clone(), true, true), (large.clone(), false, false), (b"small".to_vec(), true, false)]
        {
            let reply = Reply::bytes(200, "application/json", body.clone());
            let response = reply.into_response("id", &[], gzip);
            assert_eq!(response.headers().contains_key(CONTENT_ENCODING), packs);
            let sent = response.into_body().collect().await.unwrap().to_bytes();
            let mut read = Vec::new();
            if packs {
                flate2::read::GzDecoder::new(&sent[..]).read_to_end(&mut read).unwrap();
            } else {
                read.extend_from_slice(&sent);
            }
            assert_eq!(read, body);
        }
    }

    #[test]
    fn compact_json_ends_with_a_newline_and_indented_does_not() {
        let value = serde_json::json!({"a": 1});
        assert_eq!(&encode_json(&value, false)[..], b"{\"a\":1}\n");
        assert_eq!(&encode_json(&value, true)[..], b"{\n  \"a\": 1\n}");
    }
}
