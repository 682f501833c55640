//! Which protocol a request speaks, and answers in the same.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;

use crate::sigv4::SignatureError;
use crate::wire::{self, Fault, Members};

/// A complete answer.
pub(crate) type Answer = Response<Full<Bytes>>;

/// What CloudWatch's targets and paths begin with.
const CLOUDWATCH_SHAPE: &str = "GraniteServiceVersion20100801";

/// The protocol of a request and of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Query in, XML out.
    Query,
    /// Query in, JSON out: STS where `Accept` asks for it (`spec/aws.md` 3.3).
    QueryJson,
    /// EKS.
    RestJson,
    /// CloudWatch of boto3 and the `aws` command.
    AwsJson,
    /// CloudWatch of the AWS SDK for Rust.
    Cbor,
}

impl Protocol {
    /// The protocol of a request, told by its path and headers.
    pub(crate) fn of(parts: &Parts) -> Self {
        let path = parts.uri.path();
        let accepts_json =
            parts.headers.get(ACCEPT).is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
        if path.starts_with("/service/") {
            Self::Cbor
        } else if parts.headers.contains_key("x-amz-target") {
            Self::AwsJson
        } else if path != "/" && !path.is_empty() {
            Self::RestJson
        } else if accepts_json {
            Self::QueryJson
        } else {
            Self::Query
        }
    }
}

/// The action that a CloudWatch request of these protocols names.
pub(crate) fn cloudwatch_action(protocol: Protocol, parts: &Parts) -> Option<String> {
    let named = match protocol {
        Protocol::Cbor => parts.uri.path().strip_prefix("/service/")?.replacen("/operation/", ".", 1),
        _ => parts.headers.get("x-amz-target")?.to_str().ok()?.to_owned(),
    };
    named.strip_prefix(CLOUDWATCH_SHAPE)?.strip_prefix('.').map(str::to_owned)
}

/// The fault for a bad signature, in the code of the protocol's services.
pub(crate) fn signature_fault(protocol: Protocol, error: &SignatureError) -> Fault {
    let query = matches!(protocol, Protocol::Query | Protocol::QueryJson);
    let code = match error {
        SignatureError::Missing if query => "MissingAuthenticationToken",
        SignatureError::Missing => "MissingAuthenticationTokenException",
        SignatureError::Incomplete(_) if query => "IncompleteSignature",
        SignatureError::Incomplete(_) => "IncompleteSignatureException",
        SignatureError::UnknownKey if query => "InvalidClientTokenId",
        SignatureError::UnknownKey => "UnrecognizedClientException",
        SignatureError::ExpiredToken if query => "ExpiredToken",
        SignatureError::ExpiredToken => "ExpiredTokenException",
        SignatureError::OutOfTime(_) | SignatureError::Mismatch | SignatureError::Scope(_) if query => {
            "SignatureDoesNotMatch"
        }
        SignatureError::OutOfTime(_) | SignatureError::Mismatch | SignatureError::Scope(_) => {
            "InvalidSignatureException"
        }
    };
    let status = if matches!(error, SignatureError::Incomplete(_)) { 400 } else { 403 };
    Fault::new(code, error.to_string()).status(status)
}

/// An accepted call. `None` stands for an operation without output.
pub(crate) fn accepted(
    protocol: Protocol,
    namespace: &str,
    action: &str,
    output: Option<&Members>,
    request_id: &str,
) -> Answer {
    let nothing = Members::new();
    let members = output.unwrap_or(&nothing);
    let body = match protocol {
        Protocol::Query => wire::xml_response(namespace, action, output, request_id).into_bytes(),
        Protocol::QueryJson => {
            let metadata = Members::new().with("RequestId", request_id);
            let mut response = Members::new();
            response.0.push((format!("{action}Result").into(), members.clone().into()));
            let mut document = Members::new();
            document.0.push((
                format!("{action}Response").into(),
                response.with("ResponseMetadata", metadata).into(),
            ));
            wire::encode_json(&document)
        }
        Protocol::RestJson | Protocol::AwsJson => wire::encode_json(members),
        Protocol::Cbor => wire::encode_cbor(members),
    };
    respond(protocol, StatusCode::OK, body, request_id)
}

/// A refused call.
pub(crate) fn refused(protocol: Protocol, namespace: &str, fault: &Fault, request_id: &str) -> Answer {
    let body = match protocol {
        Protocol::Query => wire::xml_error(namespace, fault, request_id).into_bytes(),
        Protocol::QueryJson => {
            let kind = if fault.is_sender() { "Sender" } else { "Receiver" };
            let error =
                Members::new().with("Code", fault.code).with("Message", &fault.message).with("Type", kind);
            wire::encode_json(&Members::new().with("Error", error).with("RequestId", request_id))
        }
        Protocol::RestJson => {
            let mut members = fault.members.clone();
            members.0.push(("message".into(), (&fault.message).into()));
            wire::encode_json(&members)
        }
        Protocol::AwsJson | Protocol::Cbor => {
            let members = Members::new().with("__type", shape_of(fault.code)).with("message", &fault.message);
            if protocol == Protocol::Cbor { wire::encode_cbor(&members) } else { wire::encode_json(&members) }
        }
    };
    let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = respond(protocol, status, body, request_id);
    match protocol {
        Protocol::RestJson => {
            answer.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(fault.code));
        }
        Protocol::AwsJson | Protocol::Cbor => {
            let kind = if fault.is_sender() { "Sender" } else { "Receiver" };
            let text = format!("{};{kind}", query_code(fault.code));
            if let Ok(value) = HeaderValue::from_str(&text) {
                answer.headers_mut().insert("x-amzn-query-error", value);
            }
        }
        Protocol::Query | Protocol::QueryJson => {}
    }
    answer
}

/// CloudWatch's shape names for its query codes; the code itself otherwise.
fn shape_of(code: &str) -> String {
    let shape = match code {
        "InvalidParameterValue" => "InvalidParameterValueException",
        "InvalidParameterCombination" => "InvalidParameterCombinationException",
        "MissingParameter" => "MissingRequiredParameterException",
        "InternalServiceError" => "InternalServiceFault",
        other => other,
    };
    format!("com.amazonaws.cloudwatch#{shape}")
}

/// The query code of faults that belong to no service.
fn query_code(code: &str) -> &str {
    match code {
        "MissingAuthenticationTokenException" => "MissingAuthenticationToken",
        "IncompleteSignatureException" => "IncompleteSignature",
        "UnrecognizedClientException" => "InvalidClientTokenId",
        "ExpiredTokenException" => "ExpiredToken",
        "InvalidSignatureException" => "SignatureDoesNotMatch",
        "UnknownOperationException" => "InvalidAction",
        other => other,
    }
}

fn respond(protocol: Protocol, status: StatusCode, body: Vec<u8>, request_id: &str) -> Answer {
    let content_type = match protocol {
        Protocol::Query => "text/xml",
        Protocol::QueryJson | Protocol::RestJson => "application/json",
        Protocol::AwsJson => "application/x-amz-json-1.0",
        Protocol::Cbor => "application/cbor",
    };
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if protocol == Protocol::Cbor {
        headers.insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    answer
}
