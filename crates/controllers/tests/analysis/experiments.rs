//! Experiments: pods and analyses together, here and in a member
//! (`spec/analysis.md` 1.12).

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Service;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use okra_api::{AnalysisTemplate, Experiment};
use serde_json::{Value, json};

use crate::world::{World, eventually, http};

fn experiments(world: &World) -> Api<Experiment> {
    Api::namespaced(world.management.clone(), "default")
}

fn sets(client: &Client) -> Api<ReplicaSet> {
    Api::namespaced(client.clone(), "default")
}

fn pods() -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "web:2", "ports": [{"containerPort": 8080}]}]},
    })
}

/// An experiment of two pods for as long as its analyses last.
async fn create(world: &World, annotations: &Value, added: &Value) {
    let mut spec = json!({
        "templates": [{
            "name": "canary", "replicas": 2, "selector": {"matchLabels": {"app": "web"}},
            "template": pods(), "service": {},
        }],
        "scaleDownDelaySeconds": 0,
    });
    spec.as_object_mut().unwrap().extend(added.as_object().unwrap().clone());
    let experiment = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Experiment",
        "metadata": {
            "name": "trial", "annotations": annotations,
            "labels": {"argo-rollouts.argoproj.io/controller-instance-id": "okra"},
        },
        "spec": spec,
    });
    let experiment = serde_json::from_value(experiment).unwrap();
    experiments(world).create(&PostParams::default(), &experiment).await.expect("created");
}

async fn template(world: &World, spec: Value) {
    let templates: Api<AnalysisTemplate> = Api::namespaced(world.management.clone(), "default");
    let object = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": {"name": "smoke"}, "spec": spec,
    });
    let object = serde_json::from_value(object).unwrap();
    templates.create(&PostParams::default(), &object).await.expect("created");
}

async fn experiment(world: &World, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    eventually(what, async || {
        let found = serde_json::to_value(experiments(world).get("trial").await.ok()?).unwrap();
        wanted(&found).then_some(found)
    })
    .await
}

fn has_phase(phase: &'static str) -> impl Fn(&Value) -> bool {
    move |experiment| experiment["status"]["phase"] == phase
}

#[tokio::test]
async fn pods_come_are_judged_and_go() {
    let world = World::with_workloads(true).await;
    let url = http(|request| format!("{:?}", request.lines().next().unwrap_or_default())).await;
    let metric = json!({"name": "m", "successCondition": "result contains \"trial-canary\"",
        "provider": {"web": {"url": format!("{url}{{{{args.set}}}}/{{{{args.hash}}}}")}}});
    template(&world, json!({"args": [{"name": "set"}, {"name": "hash"}], "metrics": [metric]})).await;
    let analyses = json!({"analyses": [{"name": "smoke", "templateName": "smoke", "requiredForCompletion": true,
    "args": [
        {"name": "set", "value": "{{templates.canary.replicaset.name}}"},
        {"name": "hash", "value": "{{templates.canary.podTemplateHash}}"},
    ]}]});
    create(&world, &json!({}), &analyses).await;
    let ended = experiment(&world, "the end of the trial", has_phase("Successful")).await;
    assert_eq!(ended["status"]["message"], "Required AnalysisRuns completed");
    assert!(ended["status"]["availableAt"].is_string(), "{ended}");
    assert_eq!(ended["status"]["analysisRuns"][0]["phase"], "Successful");
    let set = &ended["status"]["templateStatuses"][0];
    assert_eq!((&set["status"], &set["serviceName"]), (&json!("Successful"), &json!("trial-canary")));
    let made = sets(&world.management).get("trial-canary").await.unwrap();
    assert_eq!(made.owner_references()[0].kind, "Experiment");
    let selector = made.spec.as_ref().unwrap().selector.match_labels.clone().unwrap();
    assert_eq!(selector["okra.mumo.co/experiment-set"], "trial-canary", "no pod of another set is taken");
    let services: Api<Service> = Api::namespaced(world.management.clone(), "default");
    let ports = services.get("trial-canary").await.unwrap().spec.unwrap().ports.unwrap();
    assert_eq!(ports[0].port, 8080);
    eventually("the end of the pods", async || {
        let set = sets(&world.management).get("trial-canary").await.ok()?;
        (set.spec?.replicas == Some(0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_failed_analysis_ends_it_with_its_phase_and_stops_the_others() {
    let world = World::with_workloads(true).await;
    let url = http(|_| "1".to_owned()).await;
    let metric = json!({"name": "m", "interval": "50ms", "failureCondition": "result == {{args.bad}}",
        "provider": {"web": {"url": url}}});
    template(&world, json!({"args": [{"name": "bad"}], "metrics": [metric]})).await;
    let analysis = |name: &str, bad: &str| json!({"name": name, "templateName": "smoke", "args": [{"name": "bad", "value": bad}]});
    create(&world, &json!({}), &json!({"analyses": [analysis("endless", "2"), analysis("bad", "1")]})).await;
    let ended = experiment(&world, "the end of the trial", has_phase("Failed")).await;
    let message = ended["status"]["message"].as_str().unwrap();
    assert!(message.starts_with("analysis \"bad\" is Failed: Metric \"m\" assessed Failed"), "{message}");
    let stopped = world.ended_named("trial-endless").await;
    assert_eq!(stopped["status"]["terminatedBy"], "RolloutFinished");
}

#[tokio::test]
async fn pods_that_never_come_end_it_at_their_deadline() {
    let world = World::start().await;
    create(&world, &json!({}), &json!({"progressDeadlineSeconds": 1, "duration": "1m"})).await;
    let ended = experiment(&world, "the end of the trial", has_phase("Failed")).await;
    assert_eq!(ended["status"]["message"], "template \"canary\": 0 of 2 pods available after 1 s");
}

#[tokio::test]
async fn pods_run_in_the_cluster_that_is_named_and_go_with_the_experiment() {
    let world = World::with_workloads(true).await;
    let cluster = BTreeMap::from([("name", "edge"), ("server", "https://edge.example")]);
    world.add_secret("edge", json!({"argocd.argoproj.io/secret-type": "cluster"}), cluster).await;
    create(&world, &json!({"okra.mumo.co/cluster": "edge"}), &json!({})).await;
    experiment(&world, "pods", has_phase("Running")).await;
    let made = sets(&world.member).get("trial-canary").await.unwrap();
    assert!(made.owner_references().is_empty());
    assert!(sets(&world.management).list(&ListParams::default()).await.unwrap().items.is_empty());
    experiments(&world).delete("trial", &DeleteParams::default()).await.unwrap();
    eventually("nothing is left", async || {
        let gone = experiments(&world).get_opt("trial").await.ok()?.is_none();
        let left = sets(&world.member).get_opt("trial-canary").await.ok()?;
        (gone && left.is_none_or(|set| set.metadata.deletion_timestamp.is_some())).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_word_ends_it_and_nonsense_is_refused() {
    let world = World::with_workloads(true).await;
    create(&world, &json!({}), &json!({})).await;
    experiment(&world, "pods", has_phase("Running")).await;
    let stop = Patch::Merge(json!({"spec": {"terminate": true}}));
    experiments(&world).patch("trial", &PatchParams::default(), &stop).await.unwrap();
    let ended = experiment(&world, "the end of the trial", has_phase("Successful")).await;
    assert_eq!(ended["status"]["message"], "Experiment Terminated");
    experiments(&world).delete("trial", &DeleteParams::default()).await.unwrap();
    eventually("its deletion", async || {
        experiments(&world).get_opt("trial").await.ok()?.is_none().then_some(())
    })
    .await;
    create(&world, &json!({}), &json!({"templates": [], "analyses": []})).await;
    let refused = experiment(&world, "a refusal", has_phase("Error")).await;
    let message = refused["status"]["message"].as_str().unwrap();
    assert_eq!(message, "Experiment spec invalid: an experiment needs templates or analyses");
    assert!(refused["status"]["conditions"].to_string().contains("Completed"), "{refused}");
}
