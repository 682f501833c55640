//! Health and version, open to everybody (spec/apiserver.md 1.2).

use serde_json::json;

use crate::api::Api;
use crate::http::accept::Form;
use crate::http::query::Query;
use crate::http::reply::Reply;
use crate::http::status::ApiError;

/// The Kubernetes version whose API this server speaks.
const MINOR: &str = "33";

/// The parts a health answer names.
const CHECKS: [&str; 3] = ["ping", "store", "controllers"];

/// Answers `/healthz`, `/livez`, `/readyz` and `/version`; `None` for other paths.
pub(crate) fn answer(api: &Api, path: &str, query: &Query) -> Result<Option<Reply>, ApiError> {
    if path == "/version" {
        return Ok(Some(version()));
    }
    let mut segments = path.trim_start_matches('/').split('/');
    let (root, check) = (segments.next().unwrap_or_default(), segments.next());
    if !["healthz", "livez", "readyz"].contains(&root) {
        return Ok(None);
    }
    if check.is_some_and(|name| !CHECKS.contains(&name)) {
        return Err(ApiError::no_such_page());
    }
    if root == "readyz" && api.stopping.is_cancelled() {
        return Ok(Some(Reply::text(500, "[-]shutdown failed: reason withheld\nreadyz check failed\n")));
    }
    // Alive all the same: a restart makes no room on a full disk.
    if root != "livez" && check.is_none_or(|name| name == "store") && api.store.trouble().is_some() {
        let text = format!("[+]ping ok\n[-]store failed: reason withheld\n{root} check failed\n");
        return Ok(Some(Reply::text(500, text)));
    }
    if check.is_some() || query.get("verbose").is_none() {
        return Ok(Some(Reply::text(200, "ok")));
    }
    let lines: String = CHECKS.iter().map(|name| format!("[+]{name} ok\n")).collect();
    Ok(Some(Reply::text(200, format!("{lines}{root} check passed\n"))))
}

fn version() -> Reply {
    let version = json!({
        "major": "1",
        "minor": MINOR,
        "gitVersion": format!("v1.{MINOR}.0+embedded-{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    });
    Reply::value(200, &version, Form { pretty: true, ..Form::default() })
}
