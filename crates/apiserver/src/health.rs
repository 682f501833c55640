//! Health and version, open to everybody (spec/apiserver.md 1.2).

use serde_json::json;

use crate::api::Api;
use crate::http::accept::Form;
use crate::http::query::Query;
use crate::http::reply::Reply;
use crate::http::status::ApiError;

/// The Kubernetes version whose API this server speaks.
const MINOR: &str = "36";

/// The parts a health answer names.
const CHECKS: [&str; 4] = ["ping", "store", "controllers", "shutdown"];

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
    let excluded = query.all("exclude");
    let wanted = |name: &&&str| match check {
        Some(check) => check == **name,
        None => !excluded.iter().any(|other| other == **name),
    };
    let checks: Vec<(&str, bool)> =
        CHECKS.iter().filter(wanted).map(|name| (*name, is_well(api, root, name))).collect();
    let well = checks.iter().all(|(_, well)| *well);
    let verbose = query.get("verbose").is_some() && check.is_none();
    if well && !verbose {
        return Ok(Some(Reply::text(200, "ok")));
    }
    let lines: String = checks
        .iter()
        .map(|(name, well)| match well {
            true => format!("[+]{name} ok\n"),
            false => format!("[-]{name} failed: reason withheld\n"),
        })
        .collect();
    let (code, word) = if well { (200, "passed") } else { (500, "failed") };
    Ok(Some(Reply::text(code, format!("{lines}{root} check {word}\n"))))
}

/// Whether one part of the server works. A server that stops or cannot write is
/// alive and not ready: a restart makes no room on a full disk.
fn is_well(api: &Api, root: &str, name: &str) -> bool {
    match name {
        "store" => root == "livez" || api.store.trouble().is_none(),
        "shutdown" => root != "readyz" || !api.stopping.is_cancelled(),
        _ => true,
    }
}

fn version() -> Reply {
    let version = json!({
        "major": "1",
        "minor": MINOR,
        "emulationMajor": "1",
        "emulationMinor": MINOR,
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": MINOR,
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
