//! Choosing the port of a listener.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// How many ports after the last preferred one are tried before any free port
/// is taken: enough for every listener of a rehearsal, and the address stays
/// close to the one that was asked for.
const NEIGHBOURS: u16 = 100;

/// Listens on 127.0.0.1 at the first of the preferred ports that is free and
/// allowed, else at the next free one after the last of them, else at any
/// (`spec/okra.md` 8: 80 → 8080, else the next).
///
/// Give the socket to [`super::DataPlane::adopt`] so that nobody else takes
/// the port before the topology names it.
pub fn bind(preferred: &[u16]) -> io::Result<(TcpListener, SocketAddr)> {
    let after = preferred.last().copied().unwrap_or(0);
    let neighbours = (1..=NEIGHBOURS).filter_map(|step| after.checked_add(step)).filter(|_| after != 0);
    let mut failure = None;
    for port in preferred.iter().copied().chain(neighbours).chain([0]) {
        match listen((Ipv4Addr::LOCALHOST, port).into()) {
            Ok(listener) => {
                let address = listener.local_addr()?;
                return Ok((listener, address));
            }
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
}

/// Listens at one address, in the way the runtime wants it.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_gives_the_next_free_one() {
        let (first, taken) = bind(&[]).unwrap();
        let (_second, other) = bind(&[taken.port()]).unwrap();
        assert_ne!(taken.port(), other.port());
        assert!(taken.ip().is_loopback() && other.ip().is_loopback());
        drop(first);
        let (_third, again) = bind(&[taken.port()]).unwrap();
        assert_eq!(taken, again, "a preferred port that is free is taken");
    }
}
