//! From a request to the code that answers it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, Method, Request, Response};
use http_body::Body;
use tokio_util::sync::CancellationToken;

use crate::api::{Api, Call, Warnings};
use crate::audit::Facts;
use crate::auth::{self, Attributes, Peer, User};
use crate::http::accept::{self, Form};
use crate::http::body;
use crate::http::path::{ResourcePath, Target, parse};
use crate::http::query::Query;
use crate::http::reply::{Reply, ResponseBody};
use crate::http::status::ApiError;
use crate::kinds::Kind;
use crate::limits::{Load, Room, asked_time};
use crate::metrics::About;
use crate::selector::FieldSelector;
use crate::store::ObjectName;
use crate::subresources;
use crate::write::Door;

/// Answers one request; `transport` is cancelled when its connection is to end.
pub(crate) async fn answer<B>(
    api: Arc<Api>,
    peer: Peer,
    transport: CancellationToken,
    request: Request<B>,
) -> Response<ResponseBody>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let audit_id = match header(request.headers(), "audit-id") {
        "" => api.uuid(),
        given => given.to_owned(),
    };
    let started = api.clock.monotonic();
    let query = Query::parse(request.uri().query());
    let form = error_form(request.headers(), &query);
    let gzip = accept::takes_gzip(header(request.headers(), ACCEPT_ENCODING.as_str()));
    let (mut warnings, mut facts) = (Vec::new(), Facts::default());
    let responding = respond(&api, &peer, transport, query, request, &mut warnings, &mut facts);
    // A panic is our bug in one request; the others and the caller's task go on.
    let reply = AssertUnwindSafe(responding).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(%audit_id, "a request ended in a panic");
        Err(ApiError::internal("this request met a fault of the server"))
    });
    let reply = match reply {
        // What was written was written, and is said so.
        Ok(reply) if ["get", "list"].contains(&facts.verb) => {
            let room = api.room_for_answer(reply.bytes_in_memory()).await;
            room.map(|room| reply.taking(room))
        }
        other => other,
    };
    let mut reply = reply.unwrap_or_else(|error| {
        tracing::debug!(%audit_id, code = error.code, message = error.message, "a request failed");
        Reply::error(&error, form)
    });
    let (about, took) = (about(&facts), api.clock.monotonic().saturating_sub(started));
    api.metrics.answered(&about, reply.code(), took);
    api.audit(&facts, &audit_id, reply.code(), took);
    if facts.verb == "watch" {
        reply = reply.counted(api.metrics.watch(&about));
    }
    reply.into_response(&audit_id, &warnings, gzip)
}

/// What metrics call a request.
fn about(facts: &Facts) -> About {
    if !facts.known {
        return About { verb: facts.verb.to_owned(), ..About::default() };
    }
    About {
        verb: facts.verb.to_owned(),
        group: facts.group.clone(),
        version: facts.version.clone(),
        resource: facts.resource.clone(),
        // Any text of the path could stand here.
        subresource: match facts.subresource.as_str() {
            known @ ("status" | "scale" | "finalize" | "token" | "eviction" | "binding") => known.to_owned(),
            _ => String::new(),
        },
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The form of failures: what the client asked for, plain.
fn error_form(headers: &HeaderMap, query: &Query) -> Form {
    let wanted = accept::negotiate(Some(header(headers, ACCEPT.as_str()))).unwrap_or_default();
    let pretty = accept::pretty(query.get("pretty"), header(headers, USER_AGENT.as_str()));
    Form { encoding: wanted.encoding, pretty, ..Form::default() }
}

async fn respond<B>(
    api: &Arc<Api>,
    peer: &Peer,
    transport: CancellationToken,
    query: Query,
    request: Request<B>,
    warnings: &mut Vec<String>,
    facts: &mut Facts,
) -> Result<Reply, ApiError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let user = api.authenticate(peer, request.headers()).await?;
    facts.user.clone_from(&user);
    match parse(request.uri().path()) {
        Target::Other(path) => other(api, user, &path, &query, &request),
        Target::Resource(path) => {
            facts.note(&path, verb(request.method(), &path, &query));
            let user = user.ok_or_else(ApiError::unauthorized)?;
            let token = auth::presented_token(peer, request.headers());
            let call = read(api, user, token, path, query, request).await?;
            let name = wanted_name(&call);
            api.authorize(&call.user, &Attributes::resource(facts.verb, &call.path, name.as_deref()))?;
            let asked = if facts.verb == "watch" { None } else { asked_time(&call.query)? };
            let found = api.kinds.current().find(&call.path.group, &call.path.version, &call.path.resource);
            facts.known = found.is_some();
            let reply = api
                .limited(load(&call.method, &call.path), asked, resource(api, &call, found, transport))
                .await;
            warnings.extend(call.warnings.take());
            reply
        }
    }
}

async fn read<B>(
    api: &Api,
    user: User,
    token: Option<String>,
    path: ResourcePath,
    query: Query,
    request: Request<B>,
) -> Result<Call, ApiError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (parts, content) = request.into_parts();
    let user_agent = header(&parts.headers, USER_AGENT.as_str()).to_owned();
    let mut form = accept::negotiate(Some(header(&parts.headers, ACCEPT.as_str())))?;
    form.pretty = accept::pretty(query.get("pretty"), &user_agent);
    let (body, room) = match load(&parts.method, &path) {
        Load::Read => (Bytes::new(), Room::default()),
        load => api.received(load, content).await?,
    };
    Ok(Call {
        user,
        path,
        query,
        form,
        media: body::media_type(Some(header(&parts.headers, CONTENT_TYPE.as_str()))),
        user_agent,
        body,
        _room: room,
        token,
        method: parts.method,
        warnings: Warnings::default(),
    })
}

/// The verb as authorisation names it.
fn verb(method: &Method, path: &ResourcePath, query: &Query) -> &'static str {
    match (method, path.name.is_some()) {
        (&Method::GET | &Method::HEAD, true) => "get",
        (&Method::GET | &Method::HEAD, false) if query.flag("watch") => "watch",
        (&Method::GET | &Method::HEAD, false) => "list",
        (&Method::POST, _) => "create",
        (&Method::PUT, _) => "update",
        (&Method::PATCH, _) => "patch",
        (&Method::DELETE, true) => "delete",
        (&Method::DELETE, false) => "deletecollection",
        _ => "unknown",
    }
}

fn load(method: &Method, path: &ResourcePath) -> Load {
    match *method {
        Method::GET => Load::Read,
        _ if path.resource == "leases" => Load::Exempt,
        _ => Load::Write,
    }
}

/// The name a request is about, from the path or a selector that pins it.
fn wanted_name(call: &Call) -> Option<String> {
    if call.path.name.is_some() {
        return call.path.name.clone();
    }
    let selector = FieldSelector::parse(call.query.text("fieldSelector")).ok()?;
    selector.pinned("metadata.name").map(str::to_owned)
}

fn other<B>(
    api: &Arc<Api>,
    user: Option<User>,
    path: &str,
    query: &Query,
    request: &Request<B>,
) -> Result<Reply, ApiError> {
    // Some clients write a slash behind the last word.
    let place = if path == "/" { path } else { path.trim_end_matches('/') };
    let open = ["/healthz", "/livez", "/readyz", "/version"].contains(&place);
    match user {
        Some(user) => api.authorize(&user, &Attributes::other("get", path))?,
        None if open => {}
        None => return Err(ApiError::unauthorized()),
    }
    if request.method() != Method::GET {
        return Err(ApiError::method_not_allowed());
    }
    if place == "/metrics" {
        return Ok(crate::metrics::answer(api));
    }
    if let Some(reply) = crate::health::answer(api, place, query)? {
        return Ok(reply);
    }
    crate::discovery::answer(api, path, query, request.headers())
}

/// Finds the operation on a kind.
async fn resource(
    api: &Arc<Api>,
    call: &Call,
    found: Option<Arc<Kind>>,
    transport: CancellationToken,
) -> Result<Reply, ApiError> {
    let path = &call.path;
    let Some(kind) = found else {
        let registry = api.kinds.current();
        let known = registry.group_version(&path.group, &path.version);
        let builtin = known.is_some_and(|found| found.kinds.iter().any(|kind| kind.custom().is_none()));
        return Err(if builtin { ApiError::no_such_resource() } else { ApiError::no_such_page() });
    };
    if let Some(warning) = kind.deprecation() {
        call.warnings.add(warning);
    }
    check_scope(&kind, path, &call.method)?;
    let namespace = path.namespace.as_deref();
    match (&path.name, &path.subresource) {
        (None, _) => collection(api, call, kind, namespace, transport).await,
        (Some(name), None) => {
            let name = ObjectName::new(namespace.unwrap_or_default(), name);
            object(api, call, &kind, &name).await
        }
        (Some(name), Some(subresource)) => {
            let name = ObjectName::new(namespace.unwrap_or_default(), name);
            if path.deeper {
                return Err(missing(&kind, &name, subresource));
            }
            below(api, call, &kind, &name, subresource).await
        }
    }
}

/// Namespaced objects have a namespace in their path, others have none.
fn check_scope(kind: &Kind, path: &ResourcePath, method: &Method) -> Result<(), ApiError> {
    let custom = kind.custom().is_some();
    let nowhere = || if custom { ApiError::no_such_page() } else { ApiError::no_such_resource() };
    match (kind.namespaced, &path.namespace, &path.name) {
        (false, Some(_), _) | (true, None, Some(_)) => Err(nowhere()),
        (true, None, None) if method == Method::POST && custom => Err(nowhere()),
        (true, None, None) if method == Method::POST || method == Method::DELETE => {
            Err(ApiError::method_not_allowed())
        }
        _ => Ok(()),
    }
}

async fn collection(
    api: &Arc<Api>,
    call: &Call,
    kind: Arc<Kind>,
    namespace: Option<&str>,
    transport: CancellationToken,
) -> Result<Reply, ApiError> {
    match call.method {
        Method::POST if !kind.stored => api.review(call, &kind, namespace).await,
        _ if !kind.stored => Err(ApiError::method_not_allowed()),
        Method::GET if call.query.flag("watch") => api.watch(call, kind, namespace, transport),
        Method::GET => api.list(call, &kind, namespace).await,
        Method::POST => api.create(call, &kind, namespace).await,
        Method::DELETE if kind.is("", "Namespace") => Err(ApiError::method_not_allowed()),
        Method::DELETE => api.delete_collection(call, &kind, namespace).await,
        _ => Err(ApiError::method_not_allowed()),
    }
}

async fn object(api: &Api, call: &Call, kind: &Kind, name: &ObjectName) -> Result<Reply, ApiError> {
    match call.method {
        _ if !kind.stored => Err(ApiError::method_not_allowed()),
        Method::GET => api.get(call, kind, name).await,
        Method::PUT => api.replace(call, kind, name, Door::Main).await,
        Method::PATCH => api.patch(call, kind, name, Door::Main).await,
        Method::DELETE => api.delete(call, kind, name).await,
        _ => Err(ApiError::method_not_allowed()),
    }
}

async fn below(
    api: &Api,
    call: &Call,
    kind: &Kind,
    name: &ObjectName,
    subresource: &str,
) -> Result<Reply, ApiError> {
    let refused = |verb| Err(ApiError::verb_not_supported(verb, &kind.group, &kind.plural));
    match (subresource, &call.method) {
        ("status", _) if !kind.status => Err(missing(kind, name, subresource)),
        ("scale", _) if kind.scale.is_none() => Err(missing(kind, name, subresource)),
        ("status", &Method::GET) => api.get(call, kind, name).await,
        ("status", &Method::PUT) => api.replace(call, kind, name, Door::Status).await,
        ("status", &Method::PATCH) => api.patch(call, kind, name, Door::Status).await,
        ("scale", &Method::GET) => api.get_scale(call, kind, name),
        ("scale", &Method::PUT) => api.replace_scale(call, kind, name).await,
        ("scale", &Method::PATCH) => api.patch_scale(call, kind, name).await,
        ("status" | "scale", &Method::POST) => refused("create"),
        ("status" | "scale", &Method::DELETE) => refused("delete"),
        _ if kind.own_subresource(subresource).is_none() => Err(missing(kind, name, subresource)),
        ("finalize", &Method::PUT) => api.replace(call, kind, name, Door::Finalize).await,
        ("finalize", _) => Err(ApiError::method_not_allowed()),
        (_, &Method::POST) => api.create_below(call, kind, name, subresource).await,
        _ => Err(ApiError::method_not_allowed()),
    }
}

/// The answer to a subresource that a kind does not have.
fn missing(kind: &Kind, name: &ObjectName, subresource: &str) -> ApiError {
    if kind.custom().is_some() {
        return ApiError::not_found(&kind.group, &kind.plural, &name.name);
    }
    subresources::of_nodes(kind, name, subresource).unwrap_or_else(ApiError::no_such_resource)
}
