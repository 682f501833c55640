//! Endpoints of the region itself, unsigned, under `/_okra/`.
//!
//! | path | answer |
//! | --- | --- |
//! | `GET /_okra/health` | `{"status": "ok"}` |
//! | `GET /_okra/faults` | the faults in force: `{"throttle": 0.1}` |
//! | `POST /_okra/faults` | sets rates, as JSON like the answer; 0 ends a fault, the others stay |
//! | `DELETE /_okra/faults` | ends all faults |
//! | `GET /_okra/metrics` | what load balancers and target groups counted, for Prometheus |
//! | `GET /_okra/statistics/targetgroups/NAMES?seconds=1` | what happened there in the last whole seconds |
//!
//! NAMES are names of target groups, or `targetgroup/NAME/ID` as CloudWatch's
//! dimensions have it, separated by commas: the groups of one version count together.
//! A body must say that it is JSON, which a web page elsewhere cannot without being asked first.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::dataplane::{Counter, SECONDS_KEPT, Statistics};
use crate::exposition;
use crate::faults::FaultRate;
use crate::protocol::Answer;
use crate::wire::query_pairs;
use crate::world::World;

/// What the paths begin with; no service of AWS has such paths.
pub(crate) const PREFIX: &str = "/_okra/";

/// How long after its end a second counts as whole: the data plane puts it away
/// a moment after, and asked in between it would look empty.
const SETTLE: SignedDuration = SignedDuration::from_millis(50);

pub(crate) fn serve(world: &World, parts: &Parts, body: &Bytes) -> Answer {
    let path = parts.uri.path().trim_start_matches(PREFIX);
    if path == "faults" {
        return faults(world, parts, body);
    }
    if parts.method != Method::GET {
        return problem(StatusCode::METHOD_NOT_ALLOWED, format!("{} is not allowed here", parts.method));
    }
    if path == "health" {
        return answer(StatusCode::OK, &json!({"status": "ok"}));
    }
    if path == "metrics" {
        let mut answer = Response::new(Full::new(Bytes::from(exposition::text(world))));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(exposition::MEDIA));
        return answer;
    }
    match path.strip_prefix("statistics/targetgroups/") {
        Some(name) => statistics(world, name, parts.uri.query().unwrap_or_default()),
        None => problem(StatusCode::NOT_FOUND, format!("there is nothing at {}", parts.uri.path())),
    }
}

fn faults(world: &World, parts: &Parts, body: &Bytes) -> Answer {
    match parts.method {
        Method::GET => {}
        Method::DELETE => world.faults.clear(),
        Method::POST => {
            let kind =
                parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
            if !kind.starts_with("application/json") {
                let message = "send JSON, with content-type: application/json".to_owned();
                return problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
            }
            match rates(body) {
                Ok(rates) => rates.into_iter().for_each(|rate| world.faults.set(rate)),
                Err(message) => return problem(StatusCode::BAD_REQUEST, message),
            }
        }
        _ => return problem(StatusCode::METHOD_NOT_ALLOWED, format!("{} is not allowed here", parts.method)),
    }
    let in_force = world.faults.in_force();
    let rates: BTreeMap<&str, f64> = in_force.iter().map(|fault| (fault.kind.word(), fault.rate)).collect();
    answer(StatusCode::OK, &json!(rates))
}

/// All rates of a body, or what is wrong with one.
fn rates(body: &Bytes) -> Result<Vec<FaultRate>, String> {
    let read: Result<BTreeMap<String, f64>, _> = serde_json::from_slice(body);
    let read = read.map_err(|error| format!("the body must be like {{\"throttle\": 0.1}}: {error}"))?;
    read.into_iter().map(|(kind, rate)| FaultRate::new(kind.parse()?, rate)).collect()
}

/// `web` in `web` and in `targetgroup/web/0123456789abcdef`.
fn group_name(text: &str) -> &str {
    text.strip_prefix("targetgroup/").and_then(|rest| rest.split('/').next()).unwrap_or(text)
}

fn statistics(world: &World, names: &str, query: &str) -> Answer {
    let seconds = query_pairs(query.as_bytes()).into_iter().find(|(key, _)| key == "seconds");
    let seconds = seconds.map_or(Ok(1), |(_, value)| value.parse::<i64>());
    let seconds = match seconds {
        Ok(seconds) if (1..=SECONDS_KEPT as i64).contains(&seconds) => seconds,
        _ => {
            return problem(StatusCode::BAD_REQUEST, format!("seconds must be between 1 and {SECONDS_KEPT}"));
        }
    };
    let state = world.state();
    // The last whole seconds: the one that runs is still growing.
    let settled = world.options.clock.now() - SETTLE;
    let end = Timestamp::from_second(settled.as_second()).unwrap_or(Timestamp::UNIX_EPOCH);
    let start = end - SignedDuration::from_secs(seconds);
    let mut happened = Statistics::default();
    for name in names.split(',').map(group_name) {
        let Some(group) = state.elb.target_groups.values().find(|group| group.settings.name == name) else {
            return problem(StatusCode::NOT_FOUND, format!("no target group is named '{name}'"));
        };
        happened.merge(&world.dataplane.statistics(&group.arn, start..end).unwrap_or_default());
    }
    answer(StatusCode::OK, &describe(names, seconds, start, end, &happened))
}

fn describe(
    name: &str,
    seconds: i64,
    start: Timestamp,
    end: Timestamp,
    happened: &Statistics,
) -> serde_json::Value {
    let requests = happened.count(Counter::Requests);
    let failed = happened.count(Counter::Target5xx);
    let times = happened.response_times();
    let milliseconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1000.0);
    let percentile = |share: f64| milliseconds(times.percentile(share));
    let share = if requests == 0 { 0.0 } else { failed as f64 / requests as f64 };
    json!({
        "target_group": name,
        "seconds": seconds,
        "start": start.to_string(),
        "end": end.to_string(),
        "requests": requests,
        "target_2xx": happened.count(Counter::Target2xx),
        "target_3xx": happened.count(Counter::Target3xx),
        "target_4xx": happened.count(Counter::Target4xx),
        "target_5xx": failed,
        "elb_5xx": happened.elb_5xx(),
        "connection_errors": happened.count(Counter::ConnectionErrors),
        "error_share": share,
        "p50_ms": percentile(50.0),
        "p90_ms": percentile(90.0),
        "p99_ms": percentile(99.0),
    })
}

fn problem(status: StatusCode, message: String) -> Answer {
    answer(status, &json!({"error": message}))
}

fn answer(status: StatusCode, body: &serde_json::Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
