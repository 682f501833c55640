//! HTTP to servers that nobody vouches for.

mod client;
mod connector;
mod redirect;
mod tls;
mod url;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use client::Client;
pub(crate) use client::{Answer, Call};
pub use connector::{Resolver, SystemResolver};
