//! Connections to checked addresses: a name is resolved once, and what was checked is dialled.
//!
//! Through a proxy it is the proxy that resolves and dials. What can be known here is checked all
//! the same: an address that stands in the URL, and the addresses of a name that has any here.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service;

use super::proxy::{Proxies, Proxy};
use crate::address::{AddressPolicy, Origin};

/// Time for one address to accept a connection. Far from any region it takes half a second.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;

/// Turns a name into addresses.
#[async_trait]
pub trait Resolver: Send + Sync + std::fmt::Debug {
    /// The addresses of a host, with the port.
    ///
    /// # Errors
    ///
    /// If the name has no address or cannot be asked for.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The resolver of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}

/// Dials only what the policy allows.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) policy: Arc<AddressPolicy>,
    pub(super) proxies: Proxies,
    pub(super) origin: Origin,
}

impl Connector {
    async fn connect(self, uri: Uri) -> io::Result<Dialled> {
        match self.proxies.of(&uri) {
            Some(proxy) => self.connect_through(proxy, uri).await,
            None => {
                let addresses = self.addresses(&uri).await?;
                let check = |address| self.check(address);
                Ok(Dialled { stream: dial_any(&uri, addresses, check).await?, proxied: false })
            }
        }
    }

    /// The proxy is the operator's choice: its own address is not checked.
    async fn connect_through(self, proxy: Proxy, uri: Uri) -> io::Result<Dialled> {
        self.check_known(&uri).await?;
        if proxy.uri.scheme_str() != Some("http") {
            return Err(io::Error::other("the proxy must have an address with http://"));
        }
        let is_https = uri.scheme_str() == Some("https");
        let dialler = self.clone();
        let dial = tower::service_fn(move |proxy: Uri| {
            let dialler = dialler.clone();
            async move {
                let addresses = dialler.addresses(&proxy).await?;
                dial_any(&proxy, addresses, |_| Ok(())).await
            }
        });
        if !is_https {
            let mut dial = dial;
            return Ok(Dialled { stream: dial.call(proxy.uri).await?, proxied: true });
        }
        let mut tunnel = Tunnel::new(proxy.uri, dial);
        if let Some(authorization) = proxy.authorization {
            tunnel = tunnel.with_auth(authorization);
        }
        let stream = tunnel.call(uri).await.map_err(io::Error::other)?;
        Ok(Dialled { stream, proxied: false })
    }

    /// Refuses what is known to lead to a refused address. A name that only the proxy knows is the
    /// template's affair, but no foreign server may send okra there.
    async fn check_known(&self, uri: &Uri) -> io::Result<()> {
        match self.addresses(uri).await {
            Ok(addresses) => addresses.into_iter().try_for_each(|address| self.check(address.ip())),
            Err(_) if self.origin == Origin::Template => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn addresses(&self, uri: &Uri) -> io::Result<Vec<SocketAddr>> {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        match host.parse::<IpAddr>() {
            Ok(address) => Ok(vec![SocketAddr::new(address, port)]),
            Err(_) => self
                .resolver
                .resolve(host, port)
                .await
                .map_err(|error| io::Error::new(error.kind(), format!("cannot resolve {host}: {error}"))),
        }
    }

    fn check(&self, address: IpAddr) -> io::Result<()> {
        let checked = self.policy.check(address, self.origin);
        checked.map_err(|refusal| io::Error::new(io::ErrorKind::PermissionDenied, refusal))
    }
}

/// A connection to the first address that is allowed and accepts one.
async fn dial_any(
    uri: &Uri,
    addresses: Vec<SocketAddr>,
    check: impl Fn(IpAddr) -> io::Result<()>,
) -> io::Result<TokioIo<TcpStream>> {
    let host = uri.host().unwrap_or_default();
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
    for address in addresses.into_iter().take(MAX_ADDRESSES) {
        let dialled = match check(address.ip()) {
            Ok(()) => dial(address).await,
            Err(refused) => Err(refused),
        };
        match dialled {
            Ok(stream) => return Ok(TokioIo::new(stream)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
    let timed_out = |_| io::Error::new(io::ErrorKind::TimedOut, format!("no connection to {address}"));
    let stream = connected.map_err(timed_out)??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Service<Uri> for Connector {
    type Response = Dialled;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Dialled>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// A connection that knows whether a proxy listens at its other end, which is told the whole
/// address of what it shall fetch.
#[derive(Debug)]
pub(super) struct Dialled {
    stream: TokioIo<TcpStream>,
    proxied: bool,
}

impl Connection for Dialled {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.proxied)
    }
}

impl Read for Dialled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Dialled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
