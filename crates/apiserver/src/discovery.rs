//! Discovery and schemas: what this server can do (spec/apiserver.md 5, 6).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{ACCEPT, CACHE_CONTROL, ETAG, EXPIRES, HOST, IF_NONE_MATCH, LOCATION, VARY};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256, Sha512};

use crate::api::Api;
use crate::http::accept::{Form, clauses, negotiate};
use crate::http::query::Query;
use crate::http::reply::{Reply, encode_json};
use crate::http::status::ApiError;
use crate::kinds::{Document, GroupVersion, Kind, Registry};
use crate::openapi;

const OBJECT_VERBS: [&str; 8] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const SUBRESOURCE_VERBS: [&str; 3] = ["get", "patch", "update"];

/// Bytes of the hash that upstream shows.
const STORAGE_HASH_BYTES: usize = 8;

/// The aggregated form a client asked for, and its version.
struct Aggregated {
    version: &'static str,
}

/// Answers paths that are neither objects nor health.
pub(crate) fn answer(api: &Api, path: &str, query: &Query, headers: &HeaderMap) -> Result<Reply, ApiError> {
    let registry = api.kinds.current();
    let accept = text(headers, ACCEPT.as_str());
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let known = |group: &str, version: &str| {
        registry.group_version(group, version).cloned().ok_or_else(ApiError::no_such_page)
    };
    match segments.as_slice() {
        ["api"] => match aggregated(accept) {
            Some(wanted) => Ok(aggregate(&registry, true, &wanted, headers)),
            None => plain(&api_versions(headers), accept),
        },
        ["apis"] => match aggregated(accept) {
            Some(wanted) => Ok(aggregate(&registry, false, &wanted, headers)),
            None => plain(&group_list(&registry), accept),
        },
        ["api", version] => plain(&resource_list(&*known("", version)?), accept),
        ["apis", group] => {
            let found = registry.groups().contains(group).then(|| group_entry(&registry, group));
            let mut group = found.ok_or_else(ApiError::no_such_page)?;
            group["kind"] = json!("APIGroup");
            group["apiVersion"] = json!("v1");
            plain(&group, accept)
        }
        ["apis", group, version] => plain(&resource_list(&*known(group, version)?), accept),
        ["openapi", "v2"] => Ok(swagger(&registry, headers)),
        ["openapi", "v3"] => Ok(open_api_index(&registry)),
        ["openapi", "v3", "api", version] => {
            Ok(open_api_document(known("", version)?.document(), path, query, headers))
        }
        ["openapi", "v3", "apis", group, version] => {
            Ok(open_api_document(known(group, version)?.document(), path, query, headers))
        }
        [""] => plain(&paths(&registry), accept),
        _ => Err(ApiError::no_such_page()),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn plain(value: &Value, accept: &str) -> Result<Reply, ApiError> {
    let form = negotiate(Some(accept))?;
    Ok(Reply::value(200, value, Form { encoding: form.encoding, ..Form::default() }))
}

/// The most wanted aggregated form; `None` if plain JSON comes first.
fn aggregated(accept: &str) -> Option<Aggregated> {
    for clause in clauses(accept) {
        let fits = clause.media == "application/json"
            && clause.parameter("g") == "apidiscovery.k8s.io"
            && clause.parameter("as") == "APIGroupDiscoveryList";
        match clause.parameter("v") {
            "v2" if fits => return Some(Aggregated { version: "v2" }),
            "v2beta1" if fits => return Some(Aggregated { version: "v2beta1" }),
            "" if ["application/json", "*/*"].contains(&clause.media.as_str()) => return None,
            _ => {}
        }
    }
    None
}

fn aggregate(registry: &Registry, core: bool, wanted: &Aggregated, headers: &HeaderMap) -> Reply {
    let groups: Vec<&str> = if core { vec![""] } else { registry.groups() };
    let items: Vec<Value> = groups
        .iter()
        .map(|group| {
            let versions: Vec<Value> =
                registry.versions_of(group).iter().map(|version| aggregated_version(version)).collect();
            json!({"metadata": {"name": group, "creationTimestamp": null}, "versions": versions})
        })
        .collect();
    let list = json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{}", wanted.version),
        "metadata": {},
        "items": items,
    });
    let bytes = encode_json(&list, false);
    let digest: String = Sha512::digest(&bytes).iter().map(|byte| format!("{byte:02X}")).collect();
    let tag = format!("\"{digest}\"");
    let content_type =
        format!("application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList", wanted.version);
    let reply = if text(headers, IF_NONE_MATCH.as_str()) == tag {
        Reply::bytes(304, "", Vec::new())
    } else {
        Reply::bytes(200, &content_type, bytes)
    };
    reply.header(ETAG, &tag).header(VARY, "Accept").header(CACHE_CONTROL, "public")
}

fn aggregated_version(found: &GroupVersion) -> Value {
    let resources: Vec<Value> = found.kinds.iter().map(|kind| aggregated_resource(kind)).collect();
    json!({"version": found.version, "resources": resources, "freshness": "Current"})
}

fn aggregated_resource(kind: &Kind) -> Value {
    let own = json!({"group": "", "version": "", "kind": kind.kind});
    let mut resource = json!({
        "resource": kind.plural,
        "responseKind": own,
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": verbs(kind),
    });
    if !kind.short_names.is_empty() {
        resource["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        resource["categories"] = json!(kind.categories);
    }
    let subresources: Vec<Value> = subresources(kind)
        .into_iter()
        .map(|sub| {
            let (group, version) = match sub.kind_of {
                Some((group, version)) => (group, version),
                None => (String::new(), String::new()),
            };
            json!({
                "subresource": sub.name,
                "responseKind": {"group": group, "version": version, "kind": sub.kind},
                "verbs": sub.verbs,
            })
        })
        .collect();
    if !subresources.is_empty() {
        resource["subresources"] = Value::Array(subresources);
    }
    resource
}

struct Subresource {
    name: String,
    kind: String,
    /// Group and version where they differ from the parent's.
    kind_of: Option<(String, String)>,
    verbs: Vec<&'static str>,
}

fn subresources(kind: &Kind) -> Vec<Subresource> {
    let mut found = Vec::new();
    if kind.status {
        let verbs = SUBRESOURCE_VERBS.to_vec();
        found.push(Subresource { name: "status".to_owned(), kind: kind.kind.clone(), kind_of: None, verbs });
    }
    if kind.scale.is_some() {
        found.push(Subresource {
            name: "scale".to_owned(),
            kind: "Scale".to_owned(),
            kind_of: Some(("autoscaling".to_owned(), "v1".to_owned())),
            verbs: SUBRESOURCE_VERBS.to_vec(),
        });
    }
    for (name, api_version, takes) in kind.own_subresources() {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let differs = (group, version) != (kind.group.as_str(), kind.version.as_str());
        found.push(Subresource {
            name: (*name).to_owned(),
            kind: (*takes).to_owned(),
            kind_of: differs.then(|| (group.to_owned(), version.to_owned())),
            verbs: vec![if *name == "finalize" { "update" } else { "create" }],
        });
    }
    found
}

fn verbs(kind: &Kind) -> Vec<&'static str> {
    if !kind.stored {
        return vec!["create"];
    }
    let collection = !kind.is("", "Namespace");
    OBJECT_VERBS.into_iter().filter(|verb| collection || *verb != "deletecollection").collect()
}

fn api_versions(headers: &HeaderMap) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [
            {"clientCIDR": "0.0.0.0/0", "serverAddress": text(headers, HOST.as_str())},
        ],
    })
}

fn group_list(registry: &Registry) -> Value {
    let groups: Vec<Value> = registry.groups().iter().map(|group| group_entry(registry, group)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

fn group_entry(registry: &Registry, group: &str) -> Value {
    let versions: Vec<Value> = registry
        .versions_of(group)
        .iter()
        .map(|found| json!({"groupVersion": found.name(), "version": found.version}))
        .collect();
    json!({"name": group, "versions": versions, "preferredVersion": versions.first()})
}

fn resource_list(found: &GroupVersion) -> Value {
    let mut resources = Vec::new();
    for kind in &found.kinds {
        let mut entry = json!({
            "name": kind.plural,
            "singularName": kind.singular,
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": verbs(kind),
        });
        if !kind.short_names.is_empty() {
            entry["shortNames"] = json!(kind.short_names);
        }
        if !kind.categories.is_empty() {
            entry["categories"] = json!(kind.categories);
        }
        if kind.stored {
            entry["storageVersionHash"] = json!(storage_hash(kind));
        }
        resources.push(entry);
        resources.extend(subresources(kind).into_iter().map(|sub| {
            let mut entry = Map::new();
            entry.insert("name".to_owned(), json!(format!("{}/{}", kind.plural, sub.name)));
            entry.insert("singularName".to_owned(), json!(""));
            entry.insert("namespaced".to_owned(), json!(kind.namespaced));
            if let Some((group, version)) = sub.kind_of {
                entry.insert("group".to_owned(), json!(group));
                entry.insert("version".to_owned(), json!(version));
            }
            entry.insert("kind".to_owned(), json!(sub.kind));
            entry.insert("verbs".to_owned(), json!(sub.verbs));
            Value::Object(entry)
        }));
    }
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": found.name(),
        "resources": resources,
    })
}

/// A text that changes when objects are stored in another version.
fn storage_hash(kind: &Kind) -> String {
    let version = kind.custom().map_or(kind.version.as_str(), |custom| &custom.storage_version);
    let digest = Sha256::digest(format!("{}/{version}/{}", kind.group, kind.kind));
    STANDARD.encode(&digest[..STORAGE_HASH_BYTES])
}

fn paths(registry: &Registry) -> Value {
    let mut paths: Vec<String> = vec!["/api".to_owned(), "/apis".to_owned()];
    paths.extend(registry.all().map(|found| format!("/{}", found.path())));
    paths.extend(
        ["/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
            .map(str::to_owned),
    );
    json!({"paths": paths})
}

fn open_api_index(registry: &Registry) -> Reply {
    let documents: Vec<(String, String)> =
        registry.all().map(|found| (found.path(), found.document().hash.clone())).collect();
    let index = encode_json(&openapi::index(&documents), false);
    Reply::bytes(200, "text/plain; charset=utf-8", index)
}

/// The protobuf form of the document of version 2.
const SWAGGER_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// What kubectl calls it; no media type by the rules, so that the answer has the other name.
const SWAGGER_PROTOBUF_ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

fn swagger(registry: &Registry, headers: &HeaderMap) -> Reply {
    let accepted = text(headers, ACCEPT.as_str());
    let wanted = clauses(accepted).into_iter().map(|clause| clause.media).find(|media| {
        [SWAGGER_PROTOBUF, SWAGGER_PROTOBUF_ASKED, "application/json", "*/*"].contains(&media.as_str())
    });
    let document = registry.swagger();
    let (media, bytes) = match wanted.as_deref() {
        Some(SWAGGER_PROTOBUF | SWAGGER_PROTOBUF_ASKED) => (SWAGGER_PROTOBUF, &document.protobuf),
        None if !accepted.trim().is_empty() => return Reply::bytes(406, "", Vec::new()),
        _ => ("application/json", &document.json),
    };
    let tag = format!("\"{}\"", openapi::hash(bytes));
    let reply = if text(headers, IF_NONE_MATCH.as_str()) == tag {
        Reply::bytes(304, "", Vec::new())
    } else {
        Reply::bytes(200, media, bytes.clone())
    };
    reply.header(ETAG, &tag).header(VARY, "Accept")
}

fn open_api_document(document: &Document, path: &str, query: &Query, headers: &HeaderMap) -> Reply {
    let accepted = text(headers, ACCEPT.as_str());
    if negotiate(Some(accepted)).is_err() {
        return Reply::bytes(406, "", Vec::new());
    }
    let tag = format!("\"{}\"", document.hash);
    let asked = query.text("hash");
    if !asked.is_empty() && asked != document.hash {
        let location = format!("{path}?hash={}", document.hash);
        return Reply::bytes(301, "", Vec::new()).header(LOCATION, &location);
    }
    let reply = if text(headers, IF_NONE_MATCH.as_str()) == tag {
        Reply::bytes(304, "", Vec::new())
    } else {
        Reply::bytes(200, "application/json", document.json.clone())
    };
    let reply = reply.header(ETAG, &tag).header(VARY, "Accept");
    if asked.is_empty() {
        return reply;
    }
    // The content of a hash never changes, so any far date will do.
    reply.header(CACHE_CONTROL, "public, immutable").header(EXPIRES, "Fri, 31 Dec 9999 23:59:59 GMT")
}
