//! Bodies on their way: requests to targets, answers to clients.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;

use super::client::Client;
use super::upstream::Download;

/// The body of a request to a target.
#[derive(Debug)]
pub(super) enum Upload {
    /// None, so the request can be sent again.
    Empty,
    /// As it comes from the client, piece by piece.
    Streaming {
        /// The client's body.
        body: Incoming,
        /// Who sends it: told when it is whole.
        client: Arc<Client>,
    },
}

impl Upload {
    /// The body of this client's request.
    pub(super) fn new(body: Incoming, client: &Arc<Client>) -> Self {
        client.set_uploading(!body.is_end_stream());
        if body.is_end_stream() {
            return Self::Empty;
        }
        Self::Streaming { body, client: Arc::clone(client) }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// Whether its length is not known before its end.
    pub(super) fn is_chunked(&self) -> bool {
        !self.is_empty() && self.size_hint().exact().is_none()
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Self::Streaming { body, client } = self.get_mut() else { return Poll::Ready(None) };
        let polled = Pin::new(&mut *body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None)) || body.is_end_stream() {
            client.set_uploading(false);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Streaming { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Streaming { body, .. } => body.size_hint(),
        }
    }
}

/// The body of an answer to a client.
#[derive(Debug)]
pub(super) enum Answer {
    /// The load balancer's own.
    Local(Full<Bytes>),
    /// A target's, piece by piece.
    Target(Download),
}

impl Answer {
    pub(super) fn empty() -> Self {
        Self::Local(Full::default())
    }
}

/// Why an answer breaks off: the client sees its connection closed.
#[derive(Debug, thiserror::Error)]
pub(super) enum DownloadError {
    /// The target's connection broke.
    #[error("the target broke off its answer")]
    Target(#[source] hyper::Error),
    /// The target was deregistered and its delay is over.
    #[error("the target's deregistration delay ended during its answer")]
    Deregistered,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = DownloadError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, DownloadError>>> {
        match self.get_mut() {
            Self::Local(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::Target(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Local(body) => body.is_end_stream(),
            Self::Target(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Local(body) => body.size_hint(),
            Self::Target(body) => body.size_hint(),
        }
    }
}
