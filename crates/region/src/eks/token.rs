//! EKS tokens: a presigned question to STS, checked as AWS's verifier checks
//! it (`spec/aws.md` 3.3).

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, Uri};

use super::access;
use crate::identity::canonical_arn;
use crate::region::{ClusterAccess, TokenError};
use crate::sigv4::SignedRequest;
use crate::wire::query_pairs;
use crate::world::World;

const PREFIX: &str = "k8s-aws-v1.";
/// Longest token.
const LONGEST: usize = 4096;
/// Longest validity that a token may state, seconds.
const LONGEST_VALIDITY: u32 = 900;
/// The header that binds a token to a cluster.
const CLUSTER_HEADER: &str = "x-k8s-aws-id";

/// The only query parameters that a token may have, each once.
const PARAMETERS: &[&str] = &[
    "action",
    "version",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
];

/// Who holds a token of a cluster and what they may do there.
pub(crate) fn authenticate(
    world: &World,
    endpoint_host: &str,
    cluster: &str,
    token: &str,
) -> Result<ClusterAccess, TokenError> {
    let state = world.state();
    let found = state.eks.clusters.get(cluster);
    let found = found.ok_or_else(|| TokenError::UnknownCluster { cluster: cluster.to_owned() })?;
    let uri = read_url(token, &world.options.region, endpoint_host)?;
    let host = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let mut headers = HeaderMap::new();
    headers.insert("host", header(host)?);
    headers.insert(CLUSTER_HEADER, header(cluster)?);
    let query = uri.query().unwrap_or_default();
    let request = SignedRequest { method: "GET", path: "/", query, headers: &headers, body: b"" };
    let signed = world.verify(&request).map_err(|error| {
        let fault = crate::protocol::signature_fault(crate::protocol::Protocol::Query, &error);
        TokenError::Refused { code: fault.code.into(), message: fault.message }
    })?;
    if signed.service != "sts" {
        return Err(malformed(format!("it is signed for '{}', not for 'sts'", signed.service)));
    }
    if !signed.signed_headers.iter().any(|name| name == CLUSTER_HEADER) {
        return Err(malformed(format!("the header {CLUSTER_HEADER} is not signed")));
    }
    let principal_arn = canonical_arn(&signed.principal.arn);
    // With access entries the creator has one; without them they are a hidden administrator.
    let hidden = found.authentication_mode == "CONFIG_MAP" && found.creator_is_admin;
    let creator = hidden && found.creator_arn == principal_arn;
    // Roles may have a path in their entry, which a session's ARN lacks.
    let entry = found.access_entries.values().find(|entry| {
        entry.principal_arn == principal_arn || without_path(&entry.principal_arn) == principal_arn
    });
    match entry {
        Some(entry) => {
            let session = signed.principal.arn.rsplit('/').next().unwrap_or_default();
            let username = entry.username.replace("{{SessionName}}", session);
            Ok(ClusterAccess { principal_arn, username, groups: access::groups(entry) })
        }
        None if creator => Ok(ClusterAccess {
            username: principal_arn.clone(),
            principal_arn,
            groups: vec!["system:masters".into()],
        }),
        None => Err(TokenError::NoAccess { principal_arn, cluster: cluster.to_owned() }),
    }
}

fn without_path(arn: &str) -> String {
    match (arn.split_once(":role/"), arn.rsplit_once('/')) {
        (Some((base, _)), Some((_, name))) => format!("{base}:role/{name}"),
        _ => arn.to_owned(),
    }
}

/// The URL in a token, if it keeps all rules.
fn read_url(token: &str, region: &str, endpoint_host: &str) -> Result<Uri, TokenError> {
    if token.len() > LONGEST {
        return Err(malformed(format!("it has {} bytes, the limit is {LONGEST}", token.len())));
    }
    let encoded =
        token.strip_prefix(PREFIX).ok_or_else(|| malformed(format!("it does not begin with {PREFIX}")))?;
    let url = URL_SAFE_NO_PAD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let url = url.ok_or_else(|| malformed("it is not base64url without padding"))?;
    let uri: Uri = url.parse().map_err(|_| malformed("it holds no URL"))?;
    let host = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    // AWS takes https only; this region has no certificate and is on loopback.
    let allowed = match uri.scheme_str() {
        Some("https") => host == format!("sts.{region}.amazonaws.com") || host == "sts.amazonaws.com",
        Some("http") => host.replacen("localhost:", "127.0.0.1:", 1) == endpoint_host,
        _ => false,
    };
    if !allowed {
        return Err(malformed(format!("'{host}' is not an STS of region {region}")));
    }
    if uri.path() != "/" {
        return Err(malformed(format!("its path is '{}', not '/'", uri.path())));
    }
    check_query(uri.query().unwrap_or_default())?;
    Ok(uri)
}

fn check_query(query: &str) -> Result<(), TokenError> {
    let mut seen = BTreeSet::new();
    for (name, value) in query_pairs(query.as_bytes()) {
        let lower = name.to_ascii_lowercase();
        if !PARAMETERS.contains(&lower.as_str()) {
            return Err(malformed(format!("query parameter '{name}' is not allowed")));
        }
        let good = match lower.as_str() {
            "action" => value == "GetCallerIdentity",
            "x-amz-expires" => value.parse().is_ok_and(|seconds: u32| seconds <= LONGEST_VALIDITY),
            _ => true,
        };
        if !good {
            return Err(malformed(format!("query parameter '{name}' may not be '{value}'")));
        }
        if !seen.insert(lower) {
            return Err(malformed(format!("query parameter '{name}' is given twice")));
        }
    }
    for required in ["action", "x-amz-expires"] {
        if !seen.contains(required) {
            return Err(malformed(format!("query parameter '{required}' is missing")));
        }
    }
    Ok(())
}

fn header(text: &str) -> Result<HeaderValue, TokenError> {
    HeaderValue::from_str(text).map_err(|_| malformed("it cannot be put into a header"))
}

fn malformed(reason: impl Into<String>) -> TokenError {
    TokenError::Malformed { reason: reason.into() }
}
