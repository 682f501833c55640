//! Sockets that accept clients.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::client;
use super::control::Control;

/// Pause after a failure to accept: out of descriptors, most likely, and they
/// come back when clients go.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// One socket, known by its address. It outlives a change of the listener
/// behind the address, so that no client finds the port closed meanwhile.
#[derive(Debug)]
pub(super) struct Acceptor {
    /// Wakes the acceptor to see whether its listener is gone.
    pub(super) look: Notify,
}

impl Acceptor {
    /// Accepts on a socket until the control says that its address is not
    /// wanted any more.
    pub(super) fn spawn(
        control: &Arc<Control>,
        address: SocketAddr,
        socket: std::net::TcpListener,
    ) -> io::Result<Arc<Self>> {
        let socket = TcpListener::from_std(socket)?;
        let acceptor = Arc::new(Self { look: Notify::new() });
        let plane = Arc::clone(control.plane());
        let (control, this) = (Arc::clone(control), Arc::clone(&acceptor));
        plane.tasks.clone().spawn(async move {
            let mut socket = socket;
            loop {
                tokio::select! {
                    () = plane.closing.cancelled() => return,
                    () = this.look.notified() => match control.keep_or_close(address, socket) {
                        Some(kept) => socket = kept,
                        None => return,
                    },
                    accepted = socket.accept() => match accepted {
                        Ok((stream, peer)) => {
                            plane.tasks.spawn(client::serve(Arc::clone(&plane), stream, peer, address));
                        }
                        Err(error) => {
                            tracing::warn!(%address, %error, "cannot accept");
                            plane.clock.sleep(ACCEPT_PAUSE).await;
                        }
                    },
                }
            }
        });
        Ok(acceptor)
    }
}
