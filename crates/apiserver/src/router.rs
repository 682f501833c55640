//! From a request to the code that answers it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, Method, Request, Response};
use http_body::Body;
use tokio_util::sync::CancellationToken;

use crate::api::{Api, Call, Warnings};
use crate::auth::{Attributes, Peer, User};
use crate::http::accept::{self, Form};
use crate::http::body;
use crate::http::path::{ResourcePath, Target, parse};
use crate::http::query::Query;
use crate::http::reply::{Reply, ResponseBody};
use crate::http::status::ApiError;
use crate::kinds::Kind;
use crate::limits::{Load, asked_time};
use crate::selector::FieldSelector;
use crate::store::ObjectName;
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
    let query = Query::parse(request.uri().query());
    let form = error_form(request.headers(), &query);
    let mut warnings = Vec::new();
    let responding = respond(&api, &peer, transport, query, request, &mut warnings);
    // A panic is our bug in one request; the others and the caller's task go on.
    let reply = AssertUnwindSafe(responding).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(%audit_id, "a request ended in a panic");
        Err(ApiError::internal("this request met a fault of the server"))
    });
    let reply = reply.unwrap_or_else(|error| {
        tracing::debug!(%audit_id, code = error.code, message = error.message, "a request failed");
        Reply::error(&error, form)
    });
    reply.into_response(&audit_id, &warnings)
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
) -> Result<Reply, ApiError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let user = api.authenticator.authenticate(peer, request.headers()).await?;
    match parse(request.uri().path()) {
        Target::Other(path) => other(api, user, &path, &query, &request),
        Target::Resource(path) => {
            let user = user.ok_or_else(ApiError::unauthorized)?;
            let call = api.received(read(user, path, query, request)).await?;
            let verb = verb(&call);
            let name = wanted_name(&call);
            api.authorize(&call.user, &Attributes::resource(verb, &call.path, name.as_deref()))?;
            let asked = if verb == "watch" { None } else { asked_time(&call.query)? };
            let reply = api.limited(load(&call), asked, resource(api, &call, transport)).await;
            warnings.extend(call.warnings.take());
            reply
        }
    }
}

async fn read<B>(user: User, path: ResourcePath, query: Query, request: Request<B>) -> Result<Call, ApiError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (parts, content) = request.into_parts();
    let user_agent = header(&parts.headers, USER_AGENT.as_str()).to_owned();
    let mut form = accept::negotiate(Some(header(&parts.headers, ACCEPT.as_str())))?;
    form.pretty = accept::pretty(query.get("pretty"), &user_agent);
    Ok(Call {
        user,
        path,
        query,
        form,
        media: body::media_type(Some(header(&parts.headers, CONTENT_TYPE.as_str()))),
        user_agent,
        body: if parts.method == Method::GET { Bytes::new() } else { body::read(content).await? },
        method: parts.method,
        warnings: Warnings::default(),
    })
}

/// The verb as authorisation names it.
fn verb(call: &Call) -> &'static str {
    match (&call.method, call.path.name.is_some()) {
        (&Method::GET | &Method::HEAD, true) => "get",
        (&Method::GET | &Method::HEAD, false) if call.query.flag("watch") => "watch",
        (&Method::GET | &Method::HEAD, false) => "list",
        (&Method::POST, _) => "create",
        (&Method::PUT, _) => "update",
        (&Method::PATCH, _) => "patch",
        (&Method::DELETE, true) => "delete",
        (&Method::DELETE, false) => "deletecollection",
        _ => "unknown",
    }
}

fn load(call: &Call) -> Load {
    match call.method {
        Method::GET => Load::Read,
        _ if call.path.resource == "leases" => Load::Exempt,
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
    let open = ["/healthz", "/livez", "/readyz", "/version"].contains(&path);
    match user {
        Some(user) => api.authorize(&user, &Attributes::other("get", path))?,
        None if open => {}
        None => return Err(ApiError::unauthorized()),
    }
    if request.method() != Method::GET {
        return Err(ApiError::method_not_allowed());
    }
    if let Some(reply) = crate::health::answer(api, path, query)? {
        return Ok(reply);
    }
    crate::discovery::answer(api, path, query, request.headers())
}

/// Finds the kind and the operation.
async fn resource(api: &Arc<Api>, call: &Call, transport: CancellationToken) -> Result<Reply, ApiError> {
    let path = &call.path;
    let registry = api.kinds.current();
    let Some(kind) = registry.find(&path.group, &path.version, &path.resource) else {
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
                return Err(ApiError::no_such_resource());
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
    let missing = || {
        if kind.custom().is_some() {
            ApiError::not_found(&kind.group, &kind.plural, &name.name)
        } else {
            ApiError::no_such_resource()
        }
    };
    let finalize = kind.is("", "Namespace") && subresource == "finalize";
    match (subresource, &call.method) {
        ("status", _) if !kind.status => Err(missing()),
        ("scale", _) if kind.scale.is_none() => Err(missing()),
        ("status", &Method::GET) => api.get(call, kind, name).await,
        ("status", &Method::PUT) => api.replace(call, kind, name, Door::Status).await,
        ("status", &Method::PATCH) => api.patch(call, kind, name, Door::Status).await,
        ("scale", &Method::GET) => api.get_scale(call, kind, name),
        ("scale", &Method::PUT) => api.replace_scale(call, kind, name).await,
        ("scale", &Method::PATCH) => api.patch_scale(call, kind, name).await,
        ("status" | "scale", &Method::POST) => {
            Err(ApiError::verb_not_supported("create", &kind.group, &kind.plural))
        }
        ("status" | "scale", &Method::DELETE) => {
            Err(ApiError::verb_not_supported("delete", &kind.group, &kind.plural))
        }
        (_, &Method::PUT) if finalize => api.replace(call, kind, name, Door::Finalize).await,
        _ if finalize => Err(ApiError::method_not_allowed()),
        _ => Err(missing()),
    }
}
