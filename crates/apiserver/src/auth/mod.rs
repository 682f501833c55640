//! Who asks, and may they (spec/apiserver.md 16).

mod authenticate;
mod escalation;
mod impersonate;
mod rbac;
mod reviews;
mod token_request;
mod tokens;
mod user;

pub(crate) use authenticate::{Authenticator, Peer, presented_token};
pub(crate) use rbac::{Attributes, GROUP as RBAC_GROUP};
pub(crate) use user::service_account_user;
pub use user::{AUTHENTICATED, MASTERS, TokenAuthenticator, User};
