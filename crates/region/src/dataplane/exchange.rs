//! One request and its answer.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, HOST, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use super::answers;
use super::body::{Answer, Upload};
use super::client::Client;
use super::cookies::{GROUP_COOKIE, TARGET_COOKIE};
use super::headers;
use super::matching::RequestView;
use super::plane::Plane;
use super::routing::{ActionRoute, ForwardRoute, GroupRoute};
use super::statistics::{Counter, Recorder};
use super::target::{InFlight, TargetHandle};
use super::tunnel::Tunnel;
use super::upstream::{Connection, Download, Lease};

/// Largest head of a request, in bytes (an Application Load Balancer: 64 K).
pub(super) const MAX_HEAD: usize = 64 * 1024;
/// Largest request target and largest header, in bytes (there: 16 K each).
const MAX_LINE: usize = 16 * 1024;

/// Answers one request; whatever goes wrong becomes an answer.
pub(super) async fn serve(
    plane: Arc<Plane>,
    client: Arc<Client>,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    if let Some(status) = refusal(&request) {
        plane.count(client.listener, Counter::Elb4xx);
        return Ok(answers::error(status));
    }
    let answer = match route(&plane, &client, &request) {
        Routed::Answered(answer) => answer,
        Routed::To(assignment) => Exchange { plane: &plane, client: &client, assignment }.run(request).await,
    };
    Ok(answer)
}

/// Why a request is refused before any rule is asked.
fn refusal<B>(request: &Request<B>) -> Option<StatusCode> {
    if request.uri().path().len() + request.uri().query().map_or(0, str::len) > MAX_LINE {
        return Some(StatusCode::URI_TOO_LONG);
    }
    if request.headers().iter().any(|(name, value)| name.as_str().len() + value.len() > MAX_LINE) {
        return Some(StatusCode::BAD_REQUEST);
    }
    match *request.method() {
        Method::TRACE => return Some(StatusCode::METHOD_NOT_ALLOWED),
        Method::CONNECT => return Some(StatusCode::BAD_REQUEST),
        _ => {}
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    let required = request.version() == Version::HTTP_11;
    match (hosts.next(), hosts.next()) {
        (None, _) if required => Some(StatusCode::BAD_REQUEST),
        (Some(host), None) if host.to_str().is_err() => Some(StatusCode::BAD_REQUEST),
        (Some(_), Some(_)) => Some(StatusCode::BAD_REQUEST),
        _ => None,
    }
}

fn view<'a, B>(request: &'a Request<B>, client: &Client) -> RequestView<'a> {
    let header = || request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let uri = request.uri();
    RequestView {
        method: request.method(),
        host: uri.authority().map(|authority| authority.as_str()).or_else(header).unwrap_or(""),
        path: uri.path(),
        query: uri.query().unwrap_or(""),
        headers: request.headers(),
        peer: client.peer.ip(),
    }
}

/// What the rules made of a request.
enum Routed {
    Answered(Response<Answer>),
    To(Assignment),
}

/// Where a request goes.
struct Assignment {
    balancer: Arc<Recorder>,
    group: Arc<GroupRoute>,
    target: Arc<TargetHandle>,
    cookies: Vec<HeaderValue>,
}

impl Assignment {
    /// Counts one for the load balancer and for the group.
    fn count(&self, counter: Counter) {
        self.balancer.count(counter);
        self.group.handle.recorder.count(counter);
    }
}

fn route<B>(plane: &Plane, client: &Client, request: &Request<B>) -> Routed {
    let routing = plane.routing.load();
    let Some(listener) = routing.listeners.get(&client.listener) else {
        // The listener has just gone; this connection is about to be closed.
        return Routed::Answered(answers::error(StatusCode::SERVICE_UNAVAILABLE));
    };
    let view = view(request, client);
    match listener.action(&view) {
        ActionRoute::Fixed(action) => {
            listener.balancer.count(Counter::FixedResponses);
            Routed::Answered(answers::fixed(action))
        }
        ActionRoute::Redirect(action) => {
            listener.balancer.count(Counter::Elb3xx);
            Routed::Answered(answers::redirect(action, &view, client.listener.port()))
        }
        ActionRoute::Forward(action) => match assign(plane, &listener.balancer, action, request.headers()) {
            Some(assignment) => Routed::To(assignment),
            None => {
                listener.balancer.count(Counter::Elb503);
                Routed::Answered(answers::error(StatusCode::SERVICE_UNAVAILABLE))
            }
        },
    }
}

/// Chooses a group, then a target of it: cookies first, then weight and
/// algorithm. `None` if there is nobody to send to; another group is not
/// tried, as on AWS (`spec/aws.md` 1.3).
fn assign(
    plane: &Plane,
    balancer: &Arc<Recorder>,
    action: &ForwardRoute,
    headers: &HeaderMap,
) -> Option<Assignment> {
    let mut cookies = Vec::new();
    let group = match action.stickiness {
        None => action.choose(plane.chance.next_u64())?,
        Some(duration) => {
            let now = plane.clock.now();
            let known = plane.seal.find(GROUP_COOKIE, headers, now).and_then(|named| action.named(named));
            match known {
                Some(group) => group,
                None => {
                    balancer.count(Counter::NonSticky);
                    let group = action.choose(plane.chance.next_u64())?;
                    cookies.extend(plane.seal.set(GROUP_COOKIE, group.handle.cookie(), now, duration));
                    group
                }
            }
        }
    };
    let target = match group.lb_cookie {
        None => group.choose(None),
        Some(duration) => {
            let now = plane.clock.now();
            let known = plane.seal.find(TARGET_COOKIE, headers, now).and_then(|named| group.named(named));
            let target = known.or_else(|| group.choose(None));
            // Renewed with every answer: the time runs from the last request.
            cookies.extend(
                target
                    .iter()
                    .flat_map(|target| plane.seal.set(TARGET_COOKIE, target.cookie(), now, duration)),
            );
            target
        }
    };
    let Some(target) = target.cloned() else {
        group.handle.recorder.count(Counter::Elb503);
        return None;
    };
    Some(Assignment { balancer: Arc::clone(balancer), group: Arc::clone(group), target, cookies })
}

/// The head of a request, kept to be sent again.
#[derive(Clone)]
struct Head {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Head {
    fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        }
    }

    fn with(self, body: Upload) -> Request<Upload> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        request
    }
}

/// How sending a request to a target ended, if not with an answer.
enum Failure {
    /// No connection, so nothing was sent. Holds the request.
    Connect(Request<Upload>, io::Error),
    /// The connection ended and the target cannot have acted on the request,
    /// or acting on it twice does no harm. Holds the request.
    Repeatable(Request<Upload>),
    /// The connection ended, or what came was no HTTP.
    Broken,
    /// Nothing came for the idle timeout.
    TimedOut,
    /// The target's deregistration delay ended.
    Deregistered,
}

/// One request on its way to a target.
struct Exchange<'a> {
    plane: &'a Plane,
    client: &'a Arc<Client>,
    assignment: Assignment,
}

impl Exchange<'_> {
    async fn run(mut self, mut request: Request<Incoming>) -> Response<Answer> {
        let upgrade = headers::upgrade_protocol(request.headers())
            .map(|protocol| (protocol, hyper::upgrade::on(&mut request)));
        self.assignment.count(Counter::Requests);
        if self.assignment.group.fail_open {
            self.assignment.count(Counter::UnhealthyRouting);
        }
        let request = self.prepare(request, upgrade.as_ref().map(|(protocol, _)| protocol.clone()));
        let in_flight = InFlight::new(Arc::clone(&self.assignment.target));
        let first = self.send(request, in_flight, true).await;
        let last = match first {
            Err(Failure::Connect(request, _)) => {
                self.assignment.count(Counter::ConnectionErrors);
                // Another target of the group, if it has one.
                if let Some(other) = self.assignment.group.choose(Some(&self.assignment.target)) {
                    self.assignment.target = Arc::clone(other);
                }
                self.send_again(request).await
            }
            Err(Failure::Repeatable(request)) => self.send_again(request).await,
            decided => decided,
        };
        match last {
            Ok((answer, lease)) => self.finish(answer, lease, upgrade).await,
            Err(failure) => self.fail(&failure),
        }
    }

    /// The one other attempt, on a connection of its own.
    async fn send_again(&self, request: Request<Upload>) -> Result<(Response<Incoming>, Lease), Failure> {
        let in_flight = InFlight::new(Arc::clone(&self.assignment.target));
        self.send(request, in_flight, false).await
    }

    /// Makes the client's request the target's.
    fn prepare(&self, request: Request<Incoming>, upgrade: Option<HeaderValue>) -> Request<Upload> {
        let (mut parts, body) = request.into_parts();
        let upload = Upload::new(body, self.client);
        if parts.uri.authority().is_some() {
            absolute_to_origin(&mut parts.uri, &mut parts.headers);
        }
        headers::prepare_request(&mut parts.headers, upload.is_chunked(), upgrade);
        let (peer, port) = &self.client.forwarded;
        headers::add_forwarded(&mut parts.headers, peer, port);
        headers::add_trace_id(&mut parts.headers, self.plane.clock.now(), &*self.plane.chance);
        Head { method: parts.method, uri: parts.uri, headers: parts.headers }.with(upload)
    }

    async fn send(
        &self,
        request: Request<Upload>,
        in_flight: InFlight,
        pooled: bool,
    ) -> Result<(Response<Incoming>, Lease), Failure> {
        let target = &self.assignment.target;
        let kept = if pooled { target.pool().take().await } else { None };
        let mut connection = match kept {
            Some(connection) => connection,
            None => match Connection::open(target.address(), &*self.plane.clock).await {
                Ok(connection) => {
                    self.assignment.group.handle.recorder.count(Counter::NewConnections);
                    connection
                }
                Err(error) => return Err(Failure::Connect(request, error)),
            },
        };
        let copy = repeatable(&request, &connection).then(|| Head::of(&request));
        let begun = self.client.monotonic();
        self.client.set_waiting(true);
        let sent = connection.send(request, || self.client.is_timed_out() || target.is_expired()).await;
        let timed_out = self.client.is_timed_out();
        self.client.set_waiting(false);
        match sent {
            Some(Ok(answer)) => {
                self.record(answer.status(), self.client.monotonic().saturating_sub(begun));
                Ok((answer, Lease { connection, in_flight, client: Arc::clone(self.client) }))
            }
            Some(Err(failure)) => Err(match (failure.unsent, copy) {
                (Some(request), _) if connection.is_reused() => Failure::Repeatable(request),
                (None, Some(head)) if !failure.error.is_parse() => {
                    Failure::Repeatable(head.with(Upload::Empty))
                }
                _ => Failure::Broken,
            }),
            None if timed_out => Err(Failure::TimedOut),
            None => Err(Failure::Deregistered),
        }
    }

    fn record(&self, status: StatusCode, time: Duration) {
        self.assignment.balancer.response_time(time);
        self.assignment.group.handle.recorder.response_time(time);
        if let Some(counter) = Counter::of_target(status) {
            self.assignment.count(counter);
        }
    }

    /// Makes the target's answer the client's.
    async fn finish(
        &mut self,
        answer: Response<Incoming>,
        lease: Lease,
        upgrade: Option<(HeaderValue, OnUpgrade)>,
    ) -> Response<Answer> {
        let (mut parts, body) = answer.into_parts();
        parts.version = Version::HTTP_11;
        parts.extensions.clear();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            let Some((asked, client_side)) = upgrade else {
                return self.fail(&Failure::Broken);
            };
            let protocol = headers::upgrade_protocol(&parts.headers).unwrap_or(asked);
            headers::remove_hop_by_hop(&mut parts.headers);
            headers::offer_upgrade(&mut parts.headers, protocol);
            Tunnel { lease, client_side }.spawn(self.plane);
            return Response::from_parts(parts, Answer::empty());
        }
        headers::remove_hop_by_hop(&mut parts.headers);
        for cookie in self.assignment.cookies.drain(..) {
            parts.headers.append(SET_COOKIE, cookie);
        }
        Response::from_parts(parts, Answer::Target(Download::new(body, lease).await))
    }

    /// The answer when there is none from a target.
    fn fail(&self, failure: &Failure) -> Response<Answer> {
        let (status, counter) = match failure {
            Failure::TimedOut if self.client.is_uploading() => (StatusCode::REQUEST_TIMEOUT, Counter::Elb4xx),
            Failure::TimedOut => (StatusCode::GATEWAY_TIMEOUT, Counter::Elb504),
            Failure::Connect(_, error) if error.kind() == io::ErrorKind::TimedOut => {
                (StatusCode::GATEWAY_TIMEOUT, Counter::Elb504)
            }
            Failure::Connect(..) | Failure::Repeatable(_) | Failure::Broken | Failure::Deregistered => {
                (StatusCode::BAD_GATEWAY, Counter::Elb502)
            }
        };
        if matches!(failure, Failure::Connect(..)) {
            self.assignment.count(Counter::ConnectionErrors);
        }
        self.assignment.count(counter);
        let mut answer = answers::error(status);
        if self.client.is_uploading() {
            // What is left of the body would be read as the next request.
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

/// Whether a request may be sent once more although it was written: only when
/// a kept connection can have ended before the target read it, there is no
/// body to lose, and twice is as good as once (RFC 9110 9.2.2).
fn repeatable(request: &Request<Upload>, connection: &Connection) -> bool {
    connection.is_reused() && request.body().is_empty() && request.method().is_idempotent()
}

/// `GET http://host/path` becomes `GET /path` with that host.
fn absolute_to_origin(uri: &mut Uri, headers: &mut HeaderMap) {
    if let Some(host) = uri.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok()) {
        headers.insert(HOST, host);
    }
    let path = uri.path_and_query().cloned();
    *uri = path.map(Uri::from).unwrap_or_default();
}
