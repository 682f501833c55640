//! Who asks, and may they (spec/apiserver.md 16).

mod authenticate;
mod rbac;
mod reviews;
mod user;

pub(crate) use authenticate::{Authenticator, Peer};
pub(crate) use rbac::Attributes;
pub use user::{AUTHENTICATED, MASTERS, TokenAuthenticator, User};
