//! The protocols that AWS clients speak, and the one shape behind them.
//!
//! Four encodings reach the services: Query with XML answers, REST-JSON, awsJson
//! 1.0 and Smithy RPC v2 CBOR. All are read into a [`Value`], and every service
//! answers with one; no service knows how it was asked.

mod cbor;
mod fault;
mod input;
mod json;
mod query;
mod value;
mod xml;

pub(crate) use fault::Fault;
pub(crate) use input::Input;
pub(crate) use value::{Members, Value};

pub(crate) use cbor::{decode as decode_cbor, encode as encode_cbor};
pub(crate) use json::{decode as decode_json, encode as encode_json};
pub(crate) use query::{decode as decode_query, pairs as query_pairs};
pub(crate) use xml::{error_document as xml_error, response_document as xml_response};
