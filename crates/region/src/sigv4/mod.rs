//! Signature Version 4: is a request signed by a key that the region knows?
//!
//! Verification is written here rather than taken from AWS's signing crate:
//! that crate builds requests of its own choosing (which headers to sign, how
//! to write the query), while a verifier must follow the choices of the
//! signer. The cryptography comes from `hmac` and `sha2`.

mod canonical;
mod parameters;
mod verify;

pub(crate) use parameters::SignatureError;
pub(crate) use verify::{Key, KeyStore, Session, SignedBy, Verifier};

/// The parts of a request that a signature covers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignedRequest<'a> {
    pub(crate) method: &'a str,
    /// Path as sent, still percent-encoded.
    pub(crate) path: &'a str,
    /// Query as sent, without question mark.
    pub(crate) query: &'a str,
    pub(crate) headers: &'a http::HeaderMap,
    pub(crate) body: &'a [u8],
}
