//! The canonical request: what is hashed and signed.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use sha2::{Digest, Sha256};

use super::SignedRequest;
use super::parameters::Parameters;
use crate::wire::query_pairs;

/// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The text that is signed.
pub(super) fn string_to_sign(request: &SignedRequest<'_>, parameters: &Parameters) -> String {
    let canonical = canonical_request(request, parameters);
    let hash = hex(&Sha256::digest(canonical.as_bytes()));
    format!("{}\n{}\n{}\n{hash}", super::parameters::ALGORITHM, parameters.stamp, parameters.scope.text())
}

fn canonical_request(request: &SignedRequest<'_>, parameters: &Parameters) -> String {
    let mut out = format!("{}\n{}\n", request.method, canonical_path(request.path));
    out.push_str(&canonical_query(request.query));
    out.push('\n');
    for name in &parameters.signed_headers {
        out.push_str(name);
        out.push(':');
        out.push_str(&header_value(request, name));
        out.push('\n');
    }
    out.push('\n');
    out.push_str(&parameters.signed_headers.join(";"));
    out.push('\n');
    out.push_str(&payload_hash(request, parameters));
    out
}

/// The hash of the body as it arrived. A signer may state it in a header, and
/// then that is what was signed; a wrong statement fails here as well, since
/// only a statement that holds is used.
fn payload_hash(request: &SignedRequest<'_>, parameters: &Parameters) -> String {
    const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
    let stated = request.headers.get("x-amz-content-sha256").and_then(|value| value.to_str().ok());
    match stated {
        Some(UNSIGNED) if !parameters.presigned => UNSIGNED.into(),
        _ => hex(&Sha256::digest(request.body)),
    }
}

/// Path segments are encoded once more than they were sent: every service but
/// S3 signs the path twice encoded.
fn canonical_path(path: &str) -> String {
    if path.is_empty() {
        return "/".into();
    }
    path.split('/').map(encode).collect::<Vec<_>>().join("/")
}

fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = raw_pairs(query)
        .filter(|(name, _)| !name.eq_ignore_ascii_case("X-Amz-Signature"))
        .map(|(name, value)| (encode(&name), encode(&value)))
        .collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// The pairs of a query. Signers write a space as `%20` and a plus sign as
/// `%2B`, so reading a bare plus as a space does no harm.
fn raw_pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query_pairs(query.as_bytes()).into_iter()
}

fn encode(text: &str) -> String {
    percent_encode(text.as_bytes(), RESERVED).to_string()
}

/// All values of a header, trimmed, runs of spaces made one, joined by commas.
fn header_value(request: &SignedRequest<'_>, name: &str) -> String {
    let one = |value: &http::HeaderValue| {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    };
    request.headers.get_all(name).iter().map(one).collect::<Vec<_>>().join(",")
}

pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
