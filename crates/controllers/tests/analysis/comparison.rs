//! Metrics with a `baseline`: both sides are asked for the same windows, what
//! was found outlives the controller, and status says more than the verdict.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::world::{World, eventually, http, measurement};

/// What the two sides were asked: side, begin and end of the window.
type Asked = Arc<Mutex<Vec<(String, Timestamp, Timestamp)>>>;

/// A server that counts 1,000 requests for each window, of which this many
/// have failed.
async fn sides(canary: u32, stable: u32) -> (String, Asked) {
    let asked = Asked::default();
    let seen = asked.clone();
    let url = http(move |request| {
        let path = request.split(' ').nth(1).unwrap_or_default();
        let (side, query) = path.trim_start_matches('/').split_once('?').unwrap_or((path, ""));
        let time = |name: &str| {
            let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            value.unwrap_or_default().parse().unwrap()
        };
        seen.lock().unwrap().push((side.to_owned(), time("from"), time("to")));
        format!("[{}, 1000]", if side == "canary" { canary } else { stable })
    });
    (url.await, asked)
}

fn errors(url: &str, added: &Value) -> Value {
    let provider = |side: &str| json!({"web": {"url": format!("{url}{side}?from={{{{args.okra.windowStart}}}}&to={{{{args.okra.windowEnd}}}}")}});
    let mut metric = json!({
        "name": "errors", "interval": "100ms", "count": 40, "consecutiveSuccessLimit": 1,
        "provider": provider("canary"),
        "baseline": {
            "provider": provider("stable"), "kind": "Proportion", "worse": "Higher",
            "minEffect": 0.02, "minSamples": 100,
        },
    });
    metric.as_object_mut().unwrap().extend(added.as_object().unwrap().clone());
    metric
}

fn evidence(run: &Value) -> Value {
    let text = run["status"]["metricResults"][0]["metadata"]["okra.mumo.co/comparison"].as_str();
    serde_json::from_str(text.unwrap_or("{}")).unwrap()
}

#[tokio::test]
async fn a_worse_canary_fails_and_status_shows_the_interval() {
    let world = World::start().await;
    let (url, asked) = sides(150, 10).await;
    world.create(json!({}), json!({"metrics": [errors(&url, &json!({}))]})).await;
    let run = world.ended().await;
    assert_eq!(run["status"]["phase"], "Failed", "{run}");
    let last = run["status"]["metricResults"][0]["measurements"].as_array().unwrap().last().unwrap();
    let message = last["message"].as_str().unwrap();
    assert!(message.starts_with("canary 0.15, stable 0.01: higher by "), "{message}");
    assert!(message.ends_with("at 95 % confidence, more than minEffect 0.02"), "{message}");
    assert_eq!(last["value"], "0.14");
    assert!(last["metadata"]["interval"].as_str().unwrap().starts_with("[0.0"), "{last}");
    assert_eq!(last["metadata"]["confidence"], "95 %");
    // Both sides were asked for the same time, once each.
    let asked = asked.lock().unwrap();
    let of = |side: &str| {
        let windows = asked.iter().filter(|(asked, ..)| asked == side);
        windows.map(|(_, from, to)| (*from, *to)).collect::<Vec<_>>()
    };
    assert!(!of("canary").is_empty());
    assert_eq!(of("canary"), of("stable"));
    assert!(of("canary").iter().all(|(from, to)| from < to));
}

#[tokio::test]
async fn a_canary_that_is_no_worse_passes() {
    let world = World::start().await;
    let (url, _) = sides(10, 10).await;
    world.create(json!({}), json!({"metrics": [errors(&url, &json!({}))]})).await;
    let run = world.ended().await;
    assert_eq!(run["status"]["phase"], "Successful", "{run}");
    assert!(run["status"].get("terminatedBy").is_none(), "{run}");
    let counted = evidence(&run);
    assert_eq!(counted["canary"]["total"], counted["baseline"]["total"]);
}

/// The sums of a run go on where they were, and no second is counted twice.
#[tokio::test]
async fn evidence_outlives_the_controller() {
    let mut world = World::start().await;
    let (url, asked) = sides(12, 10).await;
    // Too little difference for a verdict either way while the test looks.
    let open = json!({"count": 10_000});
    let mut metric = errors(&url, &open);
    metric["baseline"]["minSamples"] = json!(1_000_000_000);
    world.create(json!({}), json!({"metrics": [metric]})).await;
    let looks = async |world: &World, least: i64| {
        eventually("looks", async || {
            let run = serde_json::to_value(world.runs().get("run").await.ok()?).unwrap();
            (run["status"]["metricResults"][0]["count"].as_i64()? >= least).then_some(run)
        })
        .await
    };
    let before = looks(&world, 3).await;
    assert_eq!(before["status"]["phase"], "Running");
    assert_eq!(before["status"]["metricResults"][0]["phase"], "Running", "open is no verdict");
    world.restart_controller().await;
    let kept = serde_json::to_value(world.runs().get("run").await.unwrap()).unwrap();
    let kept_count = kept["status"]["metricResults"][0]["count"].as_i64().unwrap();
    let after = looks(&world, kept_count + 3).await;
    let (count, counted) = (after["status"]["metricResults"][0]["count"].as_f64().unwrap(), evidence(&after));
    assert_eq!(counted["canary"]["total"].as_f64(), Some(1_000.0 * count), "{counted}");
    assert_eq!(counted["baseline"]["events"].as_f64(), Some(10.0 * count), "{counted}");
    assert!(measurement(&after)["message"].as_str().unwrap().contains("minSamples is 1000000000"), "{after}");
    let kept_until: Timestamp = evidence(&kept)["until"].as_str().unwrap().parse().unwrap();
    let goes_on = asked.lock().unwrap().iter().any(|(side, from, _)| side == "canary" && *from == kept_until);
    assert!(goes_on, "the first window after the restart begins where the last one ended");
}

#[tokio::test]
async fn what_cannot_be_compared_is_refused_before_it_is_measured() {
    let world = World::start().await;
    let pods = json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "c:1"}]});
    let job = json!({"job": {"spec": {"template": {"spec": pods}}}});
    let rows = [
        (json!({"interval": ""}), "baseline needs an interval or an initialDelay"),
        (json!({ "provider": job }), "a comparison needs providers that answer at once"),
        (
            json!({"baseline": {"provider": {"web": {"url": "no"}}, "kind": "Mean", "worse": "Lower"}}),
            "url needs",
        ),
    ];
    for (number, (added, expected)) in rows.into_iter().enumerate() {
        let name = format!("run-{number}");
        let mut metric = errors("http://127.0.0.1:1/", &added);
        if metric["interval"] == "" {
            metric["count"] = json!(1);
            metric["consecutiveSuccessLimit"] = json!(0);
        }
        world.create_named(&name, json!({}), json!({"metrics": [metric]})).await;
        let run = world.ended_named(&name).await;
        let message = run["status"]["message"].as_str().unwrap();
        assert!(run["status"]["phase"] == "Error" && message.contains(expected), "{expected}: {message}");
    }
    let plain = json!({"name": "m", "provider": {"web": {"url": "http://127.0.0.1:1/{{args.okra.window}}"}}});
    world.create_named("plain", json!({}), json!({"metrics": [plain]})).await;
    let message = world.ended_named("plain").await["status"]["message"].clone();
    assert_eq!(message, "Unable to resolve metric arguments: failed to resolve {{args.okra.window}}");
}

#[tokio::test]
async fn a_side_that_does_not_answer_names_itself_and_leaves_its_time_to_the_next_window() {
    let world = World::start().await;
    let (url, _) = sides(10, 10).await;
    let mut metric = errors(&url, &json!({"consecutiveErrorLimit": 0}));
    metric["baseline"]["provider"] = json!({"web": {"url": "http://127.0.0.1:1/"}});
    world.create(json!({}), json!({"metrics": [metric]})).await;
    let run = world.ended().await;
    assert_eq!(run["status"]["phase"], "Error", "{run}");
    let message = measurement(&run)["message"].as_str().unwrap();
    assert!(message.starts_with("stable: "), "{message}");
    assert_eq!(evidence(&run), json!({}));
}
