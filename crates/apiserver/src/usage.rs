//! What is held for as long as an answer is being read: its connection is in
//! use, and it takes room in memory.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::clock::Clock;

/// The use of one connection.
#[derive(Default)]
pub(crate) struct Usage {
    begun: AtomicU64,
    open: AtomicUsize,
}

/// One request; it is open until this is dropped.
pub(crate) struct Open(Arc<Usage>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Usage {
    /// Counts a request.
    pub(crate) fn begin(self: &Arc<Self>) -> Open {
        self.begun.fetch_add(1, Ordering::AcqRel);
        self.open.fetch_add(1, Ordering::AcqRel);
        Open(self.clone())
    }

    /// Waits until nothing was open at both ends of a span of `time`, and nothing began in it; or until nothing at
    /// all began within `first`.
    pub(crate) async fn idle(&self, clock: &dyn Clock, first: Duration, time: Duration) {
        loop {
            let begun = self.begun.load(Ordering::Acquire);
            let open = || self.open.load(Ordering::Acquire) > 0;
            let busy = open();
            clock.sleep(if begun == 0 { first } else { time }).await;
            if !busy && !open() && self.begun.load(Ordering::Acquire) == begun {
                return;
            }
        }
    }
}

/// The body of an answer with something that is dropped once it was read, or nobody reads it any more.
pub(crate) struct Held<B, G> {
    body: B,
    _guard: G,
}

impl<B, G> Held<B, G> {
    pub(crate) fn new(body: B, guard: G) -> Self {
        Self { body, _guard: guard }
    }
}

impl<B: Body<Data = Bytes> + Unpin, G: Unpin> Body for Held<B, G> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
