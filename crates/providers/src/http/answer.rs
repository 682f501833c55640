//! Whole answers, and what a refusal means.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use http::{HeaderName, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde::de::DeserializeOwned;

use crate::provider::ProviderError;

/// Bytes of a body that a message begins with. Far more than a message keeps: it is shortened only
/// after secrets are hidden in it.
const EXCERPT_BYTES: usize = 16 * 1024;

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The status as a number.
    pub(crate) fn code(&self) -> u16 {
        self.status.as_u16()
    }

    /// An error about this answer, which may pass by itself if the status says so.
    pub(crate) fn error(&self, message: impl Into<String>) -> ProviderError {
        let error = ProviderError::new(message);
        match self.code() {
            408 | 429 | 500 | 502 | 503 | 504 => error.passing(self.retry_after().unwrap_or_default()),
            _ => error,
        }
    }

    /// The error of a status that is not 2xx, with the beginning of the body.
    pub(crate) fn refusal(&self) -> ProviderError {
        let code = self.code();
        match self.excerpt() {
            excerpt if excerpt.is_empty() => self.error(format!("received non 2xx response code: {code}")),
            excerpt => self.error(format!("received non 2xx response code: {code}: {excerpt}")),
        }
    }

    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// If it is none; says what kind of body came instead.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, ProviderError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let kind =
                self.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("unknown");
            ProviderError::new(format!("Could not parse JSON body: {error} (content type {kind})"))
        })
    }

    /// The beginning of the body as text.
    pub(crate) fn excerpt(&self) -> String {
        let end = self.body.len().min(EXCERPT_BYTES);
        String::from_utf8_lossy(&self.body[..end]).trim().to_owned()
    }

    /// How long the server wants to be left alone: seconds, or a date, which is read against the
    /// server's own.
    fn retry_after(&self) -> Option<Duration> {
        let text = self.text(RETRY_AFTER)?;
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let wait = date(text)?.duration_since(date(self.text(DATE)?)?);
        Some(Duration::try_from(wait).unwrap_or_default())
    }

    fn text(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim)
    }
}

fn date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &'static str) -> Answer {
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[test]
    fn statuses_that_may_pass_say_when_to_ask_again() {
        for (status, headers, expected) in [
            (429, vec![("retry-after", "7")], Some(7)),
            (503, vec![], Some(0)),
            (500, vec![("retry-after", "soon")], Some(0)),
            (
                429,
                vec![
                    ("retry-after", "Fri, 20 Nov 2026 10:00:05 GMT"),
                    ("date", "Fri, 20 Nov 2026 10:00:00 GMT"),
                ],
                Some(5),
            ),
            (
                429,
                vec![
                    ("retry-after", "Fri, 20 Nov 2026 09:00:00 GMT"),
                    ("date", "Fri, 20 Nov 2026 10:00:00 GMT"),
                ],
                Some(0),
            ),
            (401, vec![("retry-after", "7")], None),
            (404, vec![], None),
        ] {
            let after = answer(status, &headers, "").refusal().retry_after();
            assert_eq!(after.map(|after| after.as_secs()), expected, "{status} {headers:?}");
        }
    }

    #[test]
    fn what_is_no_json_is_named_by_its_kind() {
        let html = answer(200, &[("content-type", "text/html")], "<html>");
        let message = html.json::<serde_json::Value>().unwrap_err().to_string();
        assert!(message.starts_with("Could not parse JSON body: "), "{message}");
        assert!(message.ends_with("(content type text/html)"), "{message}");
        assert_eq!(html.refusal().to_string(), "received non 2xx response code: 200: <html>");
    }
}
