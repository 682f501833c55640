//! HTTP to servers that nobody vouches for.

mod answer;
mod client;
mod connector;
pub(crate) mod form;
mod proxy;
mod redirect;
mod tls;
mod url;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub(crate) use answer::Answer;
pub(crate) use client::Call;
pub use client::Client;
pub use connector::{Resolver, SystemResolver};
pub use proxy::Proxies;
