//! The analysis controller against a management API and a member cluster in
//! this process, and small HTTP servers.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod comparison;
mod experiments;
mod options;
mod world;

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

use crate::world::{World, eventually, http, measurement};

async fn only_job(client: &Client) -> Job {
    let jobs: Api<Job> = Api::namespaced(client.clone(), "default");
    eventually("a job", async || jobs.list(&ListParams::default()).await.ok()?.items.pop()).await
}

/// What the job controller of a cluster would say.
async fn end_job(client: &Client, job: &Job, condition: &str) {
    let jobs: Api<Job> = Api::namespaced(client.clone(), "default");
    let status = json!({"status": {"conditions": [
        {"type": condition, "status": "True", "reason": "Told", "message": "by the test"}]}});
    jobs.patch_status(&job.name_any(), &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
}

fn job_metric() -> Value {
    json!({"name": "smoke", "provider": {"job": {"spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "test", "image": "smoke:1"}]}}}}}})
}

#[tokio::test]
async fn a_job_is_begun_once_and_its_end_is_the_verdict() {
    let world = World::start().await;
    world.create(json!({}), json!({"metrics": [job_metric()]})).await;
    let job = only_job(&world.management).await;
    let owner = &job.owner_references()[0];
    assert_eq!((owner.kind.as_str(), owner.name.as_str()), ("AnalysisRun", "run"));
    assert_eq!(job.labels()["analysisrun.argoproj.io/uid"], owner.uid);
    end_job(&world.management, &job, "Complete").await;
    let run = world.ended().await;
    assert_eq!(run["status"]["phase"], "Successful", "{run}");
    let measured = measurement(&run);
    assert_eq!(measured["metadata"]["job-name"], job.name_any());
    assert!(measured["finishedAt"].is_string() && measured["startedAt"].is_string());
    let jobs: Api<Job> = Api::namespaced(world.management.clone(), "default");
    assert_eq!(jobs.list(&ListParams::default()).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_job_runs_in_the_cluster_that_the_run_names() {
    let world = World::start().await;
    let cluster = BTreeMap::from([("name", "edge"), ("server", "https://edge.example")]);
    world.add_secret("edge", json!({"argocd.argoproj.io/secret-type": "cluster"}), cluster).await;
    world.create(json!({"okra.mumo.co/cluster": "edge"}), json!({"metrics": [job_metric()]})).await;
    let job = only_job(&world.member).await;
    assert!(job.owner_references().is_empty());
    end_job(&world.member, &job, "Failed").await;
    let run = world.ended().await;
    assert_eq!(run["status"]["phase"], "Failed", "{run}");
    assert_eq!(measurement(&run)["metadata"]["job-cluster"], "edge");
    let expected = format!("job {} failed: Told by the test", job.name_any());
    assert_eq!(measurement(&run)["message"], expected);
}

#[tokio::test]
async fn a_cluster_that_the_namespace_does_not_know_is_an_error() {
    let world = World::start().await;
    let plain = BTreeMap::from([("server", "https://edge.example")]);
    world.add_secret("plain", json!({}), plain).await;
    let mut metric = job_metric();
    metric["consecutiveErrorLimit"] = json!(0);
    world.create(json!({"okra.mumo.co/cluster": "plain"}), json!({"metrics": [metric]})).await;
    let run = world.ended().await;
    assert_eq!(run["status"]["phase"], "Error", "{run}");
    let message = measurement(&run)["message"].as_str().unwrap();
    assert!(message.contains("has no cluster secret of that name"), "{message}");
}

#[tokio::test]
async fn a_run_that_is_stopped_takes_its_job_with_it() {
    let world = World::start().await;
    world.create(json!({}), json!({"metrics": [job_metric()]})).await;
    let job = only_job(&world.management).await;
    let begun = async || {
        let run = serde_json::to_value(world.runs().get("run").await.ok()?).unwrap();
        measurement(&run)["metadata"]["job-name"].is_string().then_some(())
    };
    eventually("a measurement at work", begun).await;
    let stop = Patch::Merge(json!({"spec": {"terminate": true}}));
    world.runs().patch("run", &PatchParams::default(), &stop).await.unwrap();
    let run = world.ended().await;
    assert_eq!(measurement(&run)["message"], "Metric Terminated", "{run}");
    let jobs: Api<Job> = Api::namespaced(world.management.clone(), "default");
    eventually("the end of the job", async || match jobs.get_opt(&job.name_any()).await {
        // Foreground deletion leaves the rest to a controller that this API has not.
        Ok(None) => Some(()),
        Ok(Some(job)) => job.metadata.deletion_timestamp.map(|_| ()),
        Err(_) => None,
    })
    .await;
}

#[tokio::test]
async fn defect_07_a_run_that_cannot_begin_has_an_end_all_the_same() {
    let world = World::start().await;
    let metric = json!({"name": "m", "provider": {"web": {"url": "{{args.url}}"}}});
    world.create(json!({}), json!({"metrics": [metric], "args": [{"name": "url"}]})).await;
    let run = world.ended().await;
    assert_eq!(run["status"]["phase"], "Error");
    let message = "Unable to resolve metric arguments: argument \"url\" was not supplied";
    assert_eq!(run["status"]["message"], message);
    assert!(run["status"]["completedAt"].is_string(), "{run}");
}

#[tokio::test]
async fn defect_10_a_value_is_kept_when_its_condition_cannot_be_evaluated() {
    let world = World::start().await;
    let url = http(|_| "[5, 7]".to_owned()).await;
    let metric = json!({"name": "m", "consecutiveErrorLimit": 0, "successCondition": "result[9] > 1",
        "provider": {"web": {"url": url}}});
    world.create(json!({}), json!({"metrics": [metric]})).await;
    let run = world.ended().await;
    assert_eq!(
        (&measurement(&run)["phase"], &measurement(&run)["value"]),
        (&json!("Error"), &json!("[5,7]"))
    );
}

#[tokio::test]
async fn defect_14_no_secret_is_in_status_events_or_value() {
    let world = World::start().await;
    world.add_secret("token", json!({}), BTreeMap::from([("key", "hunter2-s3cret")])).await;
    // A server that repeats what it was told, as value and in an error.
    let echo = http(|request| {
        format!("\"{}\"", request.lines().find(|line| line.contains("hunter2")).unwrap_or(""))
    });
    let web = json!({"url": echo.await, "headers": [{"key": "x-token", "value": "{{args.token}}"}]});
    let graphite = json!({"address": "http://127.0.0.1:1", "query": "target={{args.token}}"});
    let spec = json!({
        "args": [{"name": "token", "valueFrom": {"secretKeyRef": {"name": "token", "key": "key"}}}],
        "metrics": [
            {"name": "echo", "successCondition": "result contains \"hunter2\"", "provider": {"web": web}},
            // Later, so that its error does not end the run before the other has spoken.
            {"name": "gone", "consecutiveErrorLimit": 0, "initialDelay": "1s", "provider": {"graphite": graphite}},
        ],
    });
    world.create(json!({}), spec).await;
    let run = world.ended().await;
    // The condition saw it; nobody else does.
    assert_eq!(run["status"]["metricResults"][0]["phase"], "Successful", "{run}");
    assert_eq!(measurement(&run)["value"], "\"x-token: *****\"");
    let events: Api<Event> = Api::namespaced(world.management.clone(), "default");
    let told =
        async || Some(events.list(&ListParams::default()).await.ok()?.items).filter(|told| !told.is_empty());
    let told = eventually("an event", told).await;
    let everything = format!("{run} {}", serde_json::to_string(&told).unwrap());
    // The condition in the spec names its first half.
    assert!(!everything.contains("s3cret"), "{everything}");
}

#[tokio::test]
async fn a_template_for_argo_rollouts_with_fields_of_okra_in_an_annotation_is_run() {
    let world = World::start().await;
    let url = http(|_| "1".to_owned()).await;
    let metric = json!({"name": "m", "successCondition": "result == 1", "provider": {"web": {"url": url}}});
    let annotation = |text: &str| json!({"okra.mumo.co/metrics": text});
    world.create(annotation(r#"{"m": {"providerRetryLimit": 9}}"#), json!({"metrics": [metric]})).await;
    let run = world.ended().await;
    let message = run["status"]["message"].as_str().unwrap();
    assert!(message.contains("providerRetryLimit must be a whole number from 0 to 5"), "{message}");
}
