//! Who asks, and may they.

mod user;

pub use user::{AUTHENTICATED, MASTERS, TokenAuthenticator, User};
