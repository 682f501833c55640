//! Requests without a network.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body::Body;

use crate::api::Api;
use crate::auth::{Peer, User};
use crate::http::reply::ResponseBody;
use crate::router;

/// A client transport without a network: `kube::Client::new(in_process, "default")`.
///
/// Requests run on the caller's task, as an administrator unless
/// [`InProcess::acting_as`] names another user.
#[derive(Clone)]
pub struct InProcess {
    api: Arc<Api>,
    user: User,
}

impl InProcess {
    pub(crate) fn new(api: Arc<Api>) -> Self {
        Self { api, user: User::admin() }
    }

    /// The same transport for another user.
    #[must_use]
    pub fn acting_as(&self, user: User) -> Self {
        Self { api: self.api.clone(), user }
    }
}

impl<B> tower::Service<Request<B>> for InProcess
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (api, peer) = (self.api.clone(), Peer::Known(self.user.clone()));
        Box::pin(async move {
            let transport = api.stopping.clone();
            Ok(router::answer(api, peer, transport, request).await)
        })
    }
}
