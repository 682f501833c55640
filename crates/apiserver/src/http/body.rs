//! Request bodies: read within limits, decoded by content type (spec/apiserver.md 4.4).

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::json::{self, Decoded};
use super::status::ApiError;
use super::yaml;
use crate::kinds::Kind;
use crate::protobuf;
use crate::schema::{FieldError, TypeMismatch};

/// Largest request body (spec/apiserver.md 18).
pub(crate) const BODY_BYTES: usize = 3 * 1_024 * 1_024;

const UNKNOWN_FORMAT: &str = "the body of the request was in an unknown format - accepted media types \
                              include: application/json, application/yaml, \
                              application/vnd.kubernetes.protobuf";

/// Characters of a broken body that a message repeats.
const QUOTED_BODY: usize = 512;

/// Reads a whole body, at most [`BODY_BYTES`] of it. One that grows beyond `large` waits for a place among the large
/// ones, and comes with it.
pub(crate) async fn read<B>(
    body: B,
    large: usize,
    places: &Arc<Semaphore>,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), ApiError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut body = std::pin::pin!(body);
    let (mut read, mut place) = (BytesMut::new(), None);
    loop {
        let data = match body.frame().await {
            None => break,
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            Some(Err(error)) => {
                let why = format!("the body could not be read: {}", error.into());
                return Err(ApiError::bad_request(why));
            }
        };
        if read.len() + data.len() > BODY_BYTES {
            return Err(ApiError::too_large(format!("Request entity too large: limit is {BODY_BYTES}")));
        }
        if place.is_none() && read.len() + data.len() > large {
            let free = places.clone().acquire_owned().await;
            place = Some(free.map_err(|_| ApiError::unavailable("the server is stopping"))?);
        }
        read.extend_from_slice(&data);
    }
    Ok((read.freeze(), place))
}

/// The media type of a `Content-Type` header without its parameters.
pub(crate) fn media_type(header: Option<&str>) -> String {
    let media = header.unwrap_or_default().split(';').next().unwrap_or_default();
    media.trim().to_ascii_lowercase()
}

/// Decodes the body of a create or update of `kind`.
pub(crate) fn decode_object(
    media: &str,
    body: &[u8],
    api_version: &str,
    kind: &str,
    protobuf_allowed: bool,
) -> Result<Decoded, ApiError> {
    let broken = |detail: String| {
        let shown = match String::from_utf8_lossy(body) {
            text if text.is_empty() => "<empty>".to_owned(),
            text => text.chars().take(QUOTED_BODY).collect(),
        };
        ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json \
             parse error: {detail} ({shown})"
        ))
    };
    let mut decoded = match media {
        "" | "application/json" => json::decode(body).map_err(broken)?,
        "application/yaml" => yaml::decode(body).map_err(broken)?,
        "application/vnd.kubernetes.protobuf" if protobuf_allowed => Decoded {
            value: protobuf::decode(body, (api_version, kind))
                .map_err(|error| ApiError::bad_request(error.to_string()))?,
            duplicates: Vec::new(),
        },
        _ => return Err(ApiError::new(415, "UnsupportedMediaType", UNKNOWN_FORMAT)),
    };
    // Protobuf may carry JSON inside messages inside messages.
    if media == "application/vnd.kubernetes.protobuf" && json::is_deep(&decoded.value) {
        return Err(ApiError::bad_request("exceeded max depth"));
    }
    if decoded.value.is_null() {
        decoded.value = json!({});
    }
    if !decoded.value.is_object() {
        return Err(broken("json: cannot unmarshal into Go value of type struct".to_owned()));
    }
    for field in ["apiVersion", "kind"] {
        if let Some(found) = decoded.value.get(field).filter(|value| !value.is_null() && !value.is_string()) {
            let found = TypeMismatch::go_name(found);
            let detail =
                format!("json: cannot unmarshal {found} into Go struct field .{field} of type string");
            return Err(broken(detail));
        }
    }
    Ok(decoded)
}

/// Refuses a body whose JSON types do not fit the kind, in the words of Go's decoder. Of a custom resource only
/// metadata is looked at: the schema has words of its own for the rest.
pub(crate) fn check_json_types(object: &Value, kind: &Kind) -> Result<(), ApiError> {
    mismatch(object, kind).map_err(|mismatch| {
        ApiError::bad_request(format!(
            "{0} in version {1:?} cannot be handled as a {0}: {mismatch}",
            kind.kind, kind.version
        ))
    })
}

/// The same for the result of a patch: the fault is the patch's (spec/apiserver.md 11.1).
pub(crate) fn check_patched_types(object: &Value, kind: &Kind) -> Result<(), ApiError> {
    mismatch(object, kind).map_err(|mismatch| {
        let error = FieldError::invalid_str("patch", &object.to_string(), mismatch);
        ApiError::invalid("", "", "", &[error])
    })
}

fn mismatch(object: &Value, kind: &Kind) -> Result<(), TypeMismatch> {
    match kind.custom() {
        None => kind.schema().check_types(&kind.kind, object),
        Some(custom) => custom.schema.check_metadata_types(&kind.kind, object),
    }
}

/// Checks the body's type against the path's and fills in what is missing.
pub(crate) fn check_type(object: &mut Value, kind: &Kind) -> Result<(), ApiError> {
    let expected = kind.api_version();
    let found_version = text(&object["apiVersion"]);
    let found_kind = text(&object["kind"]);
    let custom = kind.custom().is_some();
    if custom && found_kind.is_empty() {
        return Err(ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): Object 'Kind' is missing in '{object}' \
             ({object})",
            kind.kind
        )));
    }
    if !found_version.is_empty() && found_version != expected || custom && found_version.is_empty() {
        return Err(ApiError::bad_request(if custom {
            format!(
                "the API version in the data ({found_version}) does not match the expected API version \
                 ({expected})"
            )
        } else {
            format!(
                "{0} in version {1:?} cannot be handled as a {0}: no kind {0:?} is registered for version \
                 {found_version:?} in scheme",
                kind.kind, kind.version
            )
        }));
    }
    if !found_kind.is_empty() && found_kind != kind.kind {
        return Err(wrong_kind(object, kind, &found_kind));
    }
    // In front, where people look for them.
    if let Some(map) = object.as_object_mut() {
        map.shift_remove("kind");
        map.shift_remove("apiVersion");
        map.shift_insert(0, "apiVersion".to_owned(), json!(expected));
        map.shift_insert(1, "kind".to_owned(), json!(kind.kind));
    }
    Ok(())
}

/// Checks the type of a body that a subresource takes, where it says one.
pub(crate) fn check_subresource_type(
    object: &mut Value,
    api_version: &str,
    kind: &str,
) -> Result<(), ApiError> {
    let (found_version, found_kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let fits = |found: &str, wanted: &str| found.is_empty() || found == wanted;
    if fits(&found_version, api_version) && fits(&found_kind, kind) {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "{found_kind} in version {found_version:?} cannot be handled as a {kind}: the path takes {api_version}, \
         Kind={kind}"
    )))
}

fn wrong_kind(object: &Value, kind: &Kind, found: &str) -> ApiError {
    if kind.custom().is_some() {
        let error = FieldError::invalid_str("kind", found, format!("must be {}", kind.kind));
        return ApiError::invalid(&kind.group, found, &text(&object["metadata"]["name"]), &[error]);
    }
    ApiError::bad_request(format!(
        "{found} in version {0:?} cannot be handled as a {1}: converting ({0}.{found}) to (core.{1}): unknown \
         conversion",
        kind.version, kind.kind
    ))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused() {
        let body = http_body_util::Full::new(Bytes::from(vec![b' '; BODY_BYTES + 1]));
        let places = Arc::new(Semaphore::new(1));
        assert_eq!(read(body, BODY_BYTES, &places).await.unwrap_err().code, 413);
    }

    #[tokio::test]
    async fn a_body_that_grows_large_takes_one_place() {
        let places = Arc::new(Semaphore::new(2));
        for (large, left) in [(15, 1), (5, 1), (30, 2)] {
            let pieces = [10, 10, 10].map(|length| Ok::<_, Infallible>(Frame::data(vec![1; length].into())));
            let body = StreamBody::new(futures::stream::iter(pieces));
            let (whole, _place) = read(body, large, &places).await.unwrap();
            assert_eq!((whole.len(), places.available_permits()), (30, left), "{large}");
        }
    }

    #[test]
    fn unknown_media_types_are_named() {
        let error = decode_object("application/cbor", b"", "v1", "ConfigMap", true).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (415, UNKNOWN_FORMAT));
    }

    #[test]
    fn an_empty_body_is_a_clear_error() {
        let error = decode_object("", b"", "v1", "ConfigMap", true).unwrap_err();
        let text = "the object provided is unrecognized (must be of type ConfigMap): couldn't get \
                    version/kind; json parse error: unexpected end of JSON input (<empty>)";
        assert_eq!(error.message, text);
    }
}
