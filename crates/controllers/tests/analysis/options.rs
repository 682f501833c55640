//! What okra adds to a metric, driven by a server of figures
//! (`spec/analysis.md` 2.10), and who stopped a run (2.8).

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::world::{World, eventually, http, measurement};

/// A metric that asks this address.
fn web(url: &str, added: &Value) -> Value {
    let mut metric = json!({"name": "m", "provider": {"web": {"url": url}}});
    metric.as_object_mut().unwrap().extend(added.as_object().unwrap().clone());
    metric
}

#[tokio::test]
async fn no_data_means_what_the_metric_says() {
    let world = World::start().await;
    let empty = http(|_| "[]".to_owned()).await;
    let graphite = json!({"address": empty, "query": "target=a.b"});
    let condition = json!({"successCondition": "result[0] > 1", "consecutiveErrorLimit": 0});
    let rows = [
        (None, "Error", "no data returned from the metric provider"),
        (Some("Fail"), "Failed", "no data (value []); noData is Fail"),
        (Some("Inconclusive"), "Inconclusive", "no data (value []); noData is Inconclusive"),
        (Some("Success"), "Successful", ""),
        (Some("Error"), "Error", "no data (value []); noData is Error"),
    ];
    for (policy, phase, message) in rows {
        let mut metric = web(&empty, &condition);
        if let Some(policy) = policy {
            metric["noData"] = json!(policy);
        }
        let name = format!("run-{}", policy.unwrap_or("none").to_lowercase());
        world.create_named(&name, json!({}), json!({"metrics": [metric.clone()]})).await;
        let run = world.ended_named(&name).await;
        assert_eq!(run["status"]["phase"], phase, "{run}");
        let told = measurement(&run)["message"].as_str().unwrap_or_default();
        assert!(told.contains(message), "{policy:?}: {told}");
        // Where the provider itself says that it found nothing.
        metric["provider"] = json!({"graphite": graphite});
        let name = format!("{name}-graphite");
        world.create_named(&name, json!({}), json!({"metrics": [metric]})).await;
        let run = world.ended_named(&name).await;
        assert_eq!(run["status"]["phase"], phase, "{run}");
    }
}

#[tokio::test]
async fn an_end_without_a_verdict_means_what_the_metric_says() {
    let world = World::start().await;
    let half = http(|_| "0.5".to_owned()).await;
    let open = json!({"successCondition": "result < 0.1", "failureCondition": "result > 0.9"});
    let broken = json!({"successCondition": "result[0] > 1", "consecutiveErrorLimit": 0});
    let rows = [
        (&open, json!({"onInconclusive": "pause"}), "Inconclusive"),
        (&open, json!({"onInconclusive": "abort"}), "Failed"),
        (&open, json!({"onInconclusive": "continue"}), "Successful"),
        (&broken, json!({"onError": "abort"}), "Error"),
        (&broken, json!({"onError": "pause"}), "Inconclusive"),
        (&broken, json!({"onError": "continue"}), "Successful"),
    ];
    for (number, (conditions, added, phase)) in rows.into_iter().enumerate() {
        let mut metric = web(&half, conditions);
        metric.as_object_mut().unwrap().extend(added.as_object().unwrap().clone());
        let name = format!("run-{number}");
        world.create_named(&name, json!({}), json!({"metrics": [metric]})).await;
        let run = world.ended_named(&name).await;
        assert_eq!(run["status"]["phase"], phase, "{added}: {run}");
    }
}

#[tokio::test]
async fn failures_in_a_row_are_counted_on_their_own() {
    let world = World::start().await;
    let answers = std::sync::Mutex::new("FFSFFF".chars());
    let url = http(move |_| match answers.lock().unwrap().next() {
        Some('S') => "1".to_owned(),
        _ => "0".to_owned(),
    });
    let limits = json!({"interval": "20ms", "failureLimit": -1, "consecutiveFailureLimit": 2,
        "successCondition": "result == 1"});
    world.create(json!({}), json!({"metrics": [web(&url.await, &limits)]})).await;
    let run = world.ended().await;
    let message = run["status"]["message"].as_str().unwrap();
    assert!(message.contains("consecutiveFailures (3) > consecutiveFailureLimit (2)"), "{message}");
    assert_eq!(run["status"]["metricResults"][0]["failed"], 5);
}

#[tokio::test]
async fn a_stopped_run_says_who_stopped_it() {
    let world = World::start().await;
    let url = http(|_| "1".to_owned()).await;
    let endless = json!({"interval": "50ms", "successCondition": "result == 1"});
    let annotation = |word: &str| json!({"okra.mumo.co/terminated-by": word});
    let rows = [
        (json!({}), "User"),
        (annotation("RolloutFinished"), "RolloutFinished"),
        (annotation("Abort"), "Abort"),
        (annotation("nonsense"), "User"),
    ];
    for (number, (annotations, by)) in rows.into_iter().enumerate() {
        let name = format!("run-{number}");
        world.create_named(&name, json!({}), json!({"metrics": [web(&url, &endless)]})).await;
        eventually("a measurement", async || {
            let run = serde_json::to_value(world.runs().get(&name).await.ok()?).unwrap();
            measurement(&run)["finishedAt"].is_string().then_some(())
        })
        .await;
        let stop = json!({"metadata": {"annotations": annotations}, "spec": {"terminate": true}});
        world.runs().patch(&name, &PatchParams::default(), &Patch::Merge(stop)).await.unwrap();
        let run = world.ended_named(&name).await;
        assert_eq!(
            (&run["status"]["phase"], &run["status"]["terminatedBy"]),
            (&json!("Successful"), &json!(by))
        );
        assert_eq!(run["status"]["message"], "Run Terminated");
    }
    let metrics = [web(&url, &endless), web(&url, &json!({"name": "bad", "failureCondition": "true"}))];
    world.create_named("siblings", json!({}), json!({"metrics": metrics})).await;
    let run = world.ended_named("siblings").await;
    assert_eq!(
        (&run["status"]["phase"], &run["status"]["terminatedBy"]),
        (&json!("Failed"), &json!("SiblingFailed"))
    );
}

#[tokio::test]
async fn measurements_are_figures_of_the_controller() {
    let world = World::start().await;
    let url = http(|_| "[0.25]".to_owned()).await;
    let limits = json!({"interval": "20ms", "failureLimit": 3, "successCondition": "result[0] < 1"});
    world.create(json!({}), json!({"metrics": [web(&url, &limits)]})).await;
    let shown = eventually("figures of the run", async || {
        let text = world.figures();
        text.contains("okra_analysis_value{").then_some(text)
    })
    .await;
    let of_run = r#"{namespace="default",run="run",metric="m"}"#;
    assert!(shown.contains(&format!("okra_analysis_value{of_run} 0.25")), "{shown}");
    assert!(shown.contains(&format!("okra_analysis_failure_limit{of_run} 3")), "{shown}");
    assert!(
        shown.contains(r#"okra_analysis_measurements_total{provider="web",phase="Successful"}"#),
        "{shown}"
    );
    let stop = json!({"spec": {"terminate": true}});
    world.runs().patch("run", &PatchParams::default(), &Patch::Merge(stop)).await.unwrap();
    world.ended().await;
    eventually("the end of the figures", async || {
        let text = world.figures();
        (!text.contains("okra_analysis_value{")
            && text.contains(r#"okra_analysis_runs_total{phase="Successful"} 1"#))
        .then_some(())
    })
    .await;
}

/// A server that takes connections and never says a word.
fn silent() -> (std::net::TcpListener, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    (listener, url)
}

/// `spec/analysis.md` 9-7.
#[tokio::test]
async fn a_provider_that_hangs_holds_up_no_sibling_and_ends_at_its_timeout() {
    let world = World::start().await;
    let (_open, hangs) = silent();
    let url = http(|_| "1".to_owned()).await;
    let slow = |seconds: u32| json!({"name": "slow", "provider": {"web": {"url": hangs, "timeoutSeconds": seconds}}});
    let quick = web(&url, &json!({"interval": "20ms", "count": 5, "successCondition": "result == 1"}));
    world.create(json!({}), json!({"metrics": [slow(300), quick.clone()]})).await;
    let run = eventually("the end of the quick metric", async || {
        let run = serde_json::to_value(world.runs().get("run").await.ok()?).unwrap();
        (run["status"]["metricResults"][0]["phase"] == "Successful").then_some(run)
    })
    .await;
    assert_eq!(
        (&run["status"]["phase"], &run["status"]["metricResults"][0]["name"]),
        (&json!("Running"), &json!("m"))
    );
    let mut late = slow(1);
    late["consecutiveErrorLimit"] = json!(0);
    world.create_named("late", json!({}), json!({"metrics": [late, quick]})).await;
    let run = world.ended_named("late").await;
    assert_eq!(run["status"]["phase"], "Error", "{run}");
    let message = measurement(&run)["message"].as_str().unwrap();
    assert!(message.contains("within 1 s") || message.contains("timeout"), "{message}");
}

/// `spec/analysis.md` 9-4, from outside: killed again and again, the run ends
/// as an undisturbed one.
#[tokio::test]
async fn a_run_that_is_killed_again_and_again_keeps_its_counts() {
    let mut world = World::start().await;
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let seen = asked.clone();
    let url = http(move |_| seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string()).await;
    let limits =
        json!({"interval": "30ms", "count": 20, "failureLimit": 5, "successCondition": "result >= 0"});
    world.create(json!({}), json!({"metrics": [web(&url, &limits)]})).await;
    let mut kills = 0;
    for count in 1..=10 {
        eventually("more measurements", async || {
            let run = serde_json::to_value(world.runs().get("run").await.ok()?).unwrap();
            (run["status"]["metricResults"][0]["count"].as_i64()? >= count).then_some(())
        })
        .await;
        world.restart_controller().await;
        kills += 1;
    }
    let run = world.ended().await;
    let result = &run["status"]["metricResults"][0];
    assert_eq!(
        (&run["status"]["phase"], &result["count"], &result["successful"]),
        (&json!("Successful"), &json!(20), &json!(20))
    );
    let asked = asked.load(std::sync::atomic::Ordering::Relaxed);
    assert!((20..=20 + kills).contains(&asked), "at most one repeated measurement a kill: {asked}");
}
