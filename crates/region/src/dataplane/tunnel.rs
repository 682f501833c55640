//! A connection that has changed its protocol: bytes pass both ways.

use std::sync::Arc;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt, copy_bidirectional};

use super::client::Client;
use super::plane::Plane;
use super::upstream::Lease;
use crate::clock::Clock;

/// What a tunnel is made of.
pub(super) struct Tunnel {
    /// The target's side.
    pub(super) lease: Lease,
    /// The client's side, once its answer is written.
    pub(super) client_side: OnUpgrade,
}

impl Tunnel {
    /// Lets bytes pass until one side ends, nothing moves for the idle timeout,
    /// the target expires or everything stops.
    pub(super) fn spawn(self, plane: &Plane) {
        let Lease { connection, in_flight, client } = self.lease;
        let client_side = self.client_side;
        let idle_timeout = plane.idle_timeout(client.listener);
        let (clock, stopped) = (Arc::clone(&plane.clock), plane.stopped.clone());
        plane.tasks.spawn(async move {
            let passing = async {
                let Ok(upgraded) = client_side.await else { return };
                let mut downstream = TokioIo::new(upgraded);
                let (mut upstream, said) = connection.into_stream().await;
                if downstream.write_all(&said).await.is_ok() {
                    // An error is the end, as a close is.
                    let _ = copy_bidirectional(&mut downstream, &mut upstream).await;
                }
            };
            tokio::select! {
                () = passing => {}
                () = in_flight.target().expired() => {}
                () = stopped.cancelled() => {}
                () = idle_for(&client, idle_timeout, &*clock) => {}
            }
        });
    }
}

/// Returns once no byte has moved for so long. What a target says is written to
/// the client, so the client's side alone tells.
async fn idle_for(client: &Client, idle_timeout: Duration, clock: &dyn Clock) {
    while let Some(left) = idle_timeout.checked_sub(client.idle()).filter(|left| !left.is_zero()) {
        clock.sleep(left).await;
    }
}
