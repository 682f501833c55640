//! How soon everything is back when a human says `Abort` while every provider
//! of metrics hangs: from the word to the write of 100/0. The management API is
//! in this process, load balancers are in memory, the providers are a server
//! that takes connections and never says a word. One line; nothing is judged.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

#[path = "../tests/support/balancers.rs"]
mod balancers;
#[path = "../tests/support/nothing.rs"]
mod nothing;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use okra_api::{AWSTargetGroup, AnalysisTemplate, Cell};
use okra_apiserver::{Options, Server, Storage};
use okra_clock::{SharedClock, SystemClock, SystemEntropy};
use okra_controllers::fence::Fence;
use okra_controllers::{Context, Settings};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::balancers::InMemory;
use crate::nothing::Nothing;

/// Rollouts that are aborted.
const ABORTS: usize = 20;
/// Between two looks at a state that is waited for.
const LOOK: Duration = Duration::from_millis(5);

const ELB: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure());
}

async fn measure() {
    let clock = SystemClock::shared();
    let server = Server::open(Options::new(Storage::Memory)).await.expect("a server in memory opens");
    let client = Client::new(server.in_process(), "default");
    install(&client).await;
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}", silent.local_addr().expect("a bound listener has an address"));
    make::<AnalysisTemplate>(&client, &template(&url)).await;
    make::<AWSTargetGroup>(&client, &target_group(1)).await;
    make::<Cell>(&client, &cell()).await;
    let aws = Arc::new(InMemory::new(clock.clone()));
    let stop = CancellationToken::new();
    let controllers = tokio::spawn(okra_controllers::run(context(&client, &aws, &clock), stop.clone()));
    let cells: Api<Cell> = Api::namespaced(client.clone(), "default");
    until(&cells, "Completed", 1).await;
    let mut took = Vec::new();
    for version in 2..2 + ABORTS {
        make::<AWSTargetGroup>(&client, &target_group(version)).await;
        let rollout = until(&cells, "Paused", version).await;
        took.push(abort(&cells, &aws, &clock, &rollout).await.as_secs_f64() * 1e3);
        until(&cells, "Failed", version).await;
        let groups: Api<AWSTargetGroup> = Api::namespaced(client.clone(), "default");
        groups.delete(&format!("web-{version}"), &DeleteParams::default()).await.expect("it is there");
    }
    took.sort_by(f64::total_cmp);
    println!(
        "abort with every provider hanging: {:.1} ms from the word to the write of 100/0 (slowest of {ABORTS}: \
         {:.1} ms; {} calls of AWS in all)",
        took[ABORTS / 2],
        took[ABORTS - 1],
        aws.calls(),
    );
    stop.cancel();
    controllers.await.expect("the controllers end");
}

/// Says `Abort`; the time until the rule is written.
async fn abort(cells: &Api<Cell>, aws: &InMemory, clock: &SharedClock, rollout: &str) -> Duration {
    let word = json!({"id": rollout, "verb": "Abort", "rolloutID": rollout});
    let patch = json!({"metadata": {"annotations": {"okra.mumo.co/command": word.to_string()}}});
    let mut seen = aws.modified.subscribe();
    let begun = clock.monotonic();
    cells.patch("web", &PatchParams::default(), &Patch::Merge(patch)).await.expect("the Cell is patched");
    seen.changed().await.expect("the load balancers outlive the abort");
    let written = *seen.borrow();
    written.saturating_sub(begun)
}

/// The rollout, once the Cell is so far with this version.
async fn until(cells: &Api<Cell>, phase: &str, version: usize) -> String {
    let wanted = format!("{version}.0.0");
    loop {
        let status = cells.get("web").await.expect("the Cell is there").status.unwrap_or_default();
        let desired = status.desired_version.as_deref().or(status.stable_version.as_deref());
        if status.phase.as_deref() == Some(phase) && (phase == "Failed" || desired == Some(&wanted)) {
            return status.rollout_id.unwrap_or_default();
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn context(client: &Client, aws: &Arc<InMemory>, clock: &SharedClock) -> Context {
    let mut settings = Settings::new("bench");
    settings.metric_addresses = vec!["127.0.0.0/8".to_owned()];
    Context {
        client: client.clone(),
        load_balancers: aws.clone(),
        targets: Arc::new(Nothing),
        clusters: Arc::new(Nothing),
        cloudwatch: Arc::new(Nothing),
        members: Arc::new(Nothing),
        clock: clock.clone(),
        entropy: Arc::new(SystemEntropy::default()),
        settings: Arc::new(settings),
        region: None,
        fence: Fence::sole(clock.clone()),
        metrics: Arc::default(),
    }
}

async fn install(client: &Client) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in okra_api::crds().into_iter().chain(okra_api::analysis_crds()) {
        api.create(&PostParams::default(), &definition).await.expect("a definition is accepted");
    }
    let templates: Api<AnalysisTemplate> = Api::all(client.clone());
    let cells: Api<Cell> = Api::all(client.clone());
    while cells.list(&ListParams::default()).await.is_err()
        || templates.list(&ListParams::default()).await.is_err()
    {
        tokio::time::sleep(LOOK).await;
    }
}

async fn make<K>(client: &Client, manifest: &Value)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned,
    K: serde::Serialize + std::fmt::Debug,
{
    let object: K = serde_json::from_value(manifest.clone()).expect("the benchmark's own manifest");
    let api: Api<K> = Api::namespaced(client.clone(), "default");
    api.create(&PostParams::default(), &object).await.expect("an object is accepted");
}

fn template(url: &str) -> Value {
    let metric = |name: &str, provider: Value| json!({"name": name, "interval": "1s", "provider": provider});
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate", "metadata": {"name": "hangs"},
        "spec": {"metrics": [
            metric("web", json!({"web": {"url": url, "timeoutSeconds": 300}})),
            metric("prometheus", json!({"prometheus": {"address": url, "query": "up", "timeout": 300}})),
            metric("graphite", json!({"graphite": {"address": url, "query": "target=a"}})),
        ]},
    })
}

fn target_group(version: usize) -> Value {
    json!({
        "apiVersion": "okra.mumo.co/v1alpha1", "kind": "AWSTargetGroup",
        "metadata": {
            "name": format!("web-{version}"),
            "labels": {"role": "web", "okra.mumo.co/version": format!("{version}.0.0")},
        },
        "spec": {"arn": format!("{ELB}:targetgroup/web-{version}/73e2")},
    })
}

fn cell() -> Value {
    json!({
        "apiVersion": "okra.mumo.co/v1alpha1", "kind": "Cell",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 1,
            "ingress": {
                "type": "AWSApplicationLoadBalancer",
                "awsApplicationLoadBalancer": {
                    "listenerARN": format!("{ELB}:listener/app/web/50dc/f2f7"),
                    "listener": {"rule": {"priority": 1, "hosts": ["web.example.com"]}},
                    "targetGroupSelector": {"matchLabels": {"role": "web"}},
                },
            },
            "updateStrategy": {
                "type": "Canary", "settleSeconds": 0, "drainSeconds": 0,
                "canary": {
                    "steps": [{"setWeight": 40}, {"pause": {}}],
                    "analysis": {"templates": [{"templateName": "hangs"}]},
                },
            },
        },
    })
}
