//! Many Cells on one controller: what they cost at rest, how many calls of AWS
//! they make, and how soon a change in one of them is written while the others
//! rest. The management API runs in this process and counts; load balancers are
//! in memory. A plain loop, printed as a line each; nothing is judged.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

#[path = "../tests/support/balancers.rs"]
mod balancers;
#[path = "../tests/support/nothing.rs"]
mod nothing;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use okra_api::{AWSTargetGroup, Cell};
use okra_apiserver::{Options, Server, Storage};
use okra_clock::{SharedClock, SystemClock, SystemEntropy};
use okra_controllers::fence::Fence;
use okra_controllers::{Context, Settings};
use okra_domain::ListenerArn;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::balancers::InMemory;
use crate::nothing::Nothing;

/// How many Cells, one line of figures each.
const SIZES: [usize; 2] = [200, 2_000];
/// A listener holds at most so many of their rules (`spec/aws.md` 1.12).
const RULES_A_LISTENER: usize = 90;
/// One verification interval and a share of the slow sweep of target health.
const RESTED: Duration = Duration::from_secs(60);
/// Changes whose time is taken.
const CHANGES: usize = 20;
/// Objects that are made at once.
const MADE_AT_ONCE: usize = 32;
/// Ticks of the processor time in `/proc/self/stat`.
const TICKS_A_SECOND: f64 = 100.0;

const ELB: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012";

fn main() {
    for size in SIZES {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(measure(size));
    }
}

async fn measure(size: usize) {
    let clock = SystemClock::shared();
    let server = Server::open(Options::new(Storage::Memory)).await.expect("a server in memory opens");
    let client = Client::new(server.in_process(), "default");
    install(&client).await;
    let aws = Arc::new(InMemory::new(clock.clone()));
    make_all(&client, size).await;
    let stop = CancellationToken::new();
    let begun = clock.monotonic();
    let controllers = tokio::spawn(okra_controllers::run(context(&client, &aws, &clock), stop.clone()));
    let cells: Api<Cell> = Api::namespaced(client.clone(), "default");
    until_completed(&cells, size).await;
    let settled = clock.monotonic() - begun;

    let (calls, used) = (aws.calls(), processor_seconds());
    tokio::time::sleep(RESTED).await;
    let share = (processor_seconds() - used) / RESTED.as_secs_f64() * 100.0;
    let calls_a_second = (aws.calls() - calls) as f64 / RESTED.as_secs_f64();
    let mut reactions = Vec::new();
    for turn in 0..CHANGES {
        reactions.push(change(&cells, &aws, &clock, turn * size / CHANGES).await.as_secs_f64() * 1e3);
    }
    reactions.sort_by(f64::total_cmp);
    println!(
        "cells: {size} with 2 target groups each; all served after {:.1} s; at rest {share:.2} % of a core and \
         {calls_a_second:.2} AWS calls/s; change of one to its write {:.1} ms (slowest of {CHANGES}: {:.1} ms)",
        settled.as_secs_f64(),
        reactions[CHANGES / 2],
        reactions[CHANGES - 1],
    );
    stop.cancel();
    controllers.await.expect("the controllers end");
}

fn context(client: &Client, aws: &Arc<InMemory>, clock: &SharedClock) -> Context {
    Context {
        client: client.clone(),
        load_balancers: aws.clone(),
        targets: Arc::new(Nothing),
        clusters: Arc::new(Nothing),
        cloudwatch: Arc::new(Nothing),
        members: Arc::new(Nothing),
        clock: clock.clone(),
        entropy: Arc::new(SystemEntropy::default()),
        settings: Arc::new(Settings::new("bench")),
        region: None,
        fence: Fence::sole(clock.clone()),
        metrics: Arc::default(),
    }
}

/// User and system time of this process.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux tells the time of a process");
    // The name in brackets may hold blanks; user and system time are the 12th
    // and 13th word after it.
    let words: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = words[11..13].iter().filter_map(|word| word.parse::<f64>().ok()).sum();
    ticks / TICKS_A_SECOND
}

async fn install(client: &Client) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in okra_api::crds().into_iter().chain(okra_api::analysis_crds()) {
        api.create(&PostParams::default(), &definition).await.expect("a definition is accepted");
    }
    let cells: Api<Cell> = Api::all(client.clone());
    while cells.list(&ListParams::default()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Two target groups and a Cell on them, `size` times.
async fn make_all(client: &Client, size: usize) {
    let manifests: Vec<(bool, Value)> = (0..size)
        .flat_map(|index| {
            [(true, target_group(index, 0)), (true, target_group(index, 1)), (false, cell(index))]
        })
        .collect();
    for some in manifests.chunks(MADE_AT_ONCE) {
        let made = some.iter().map(async |(group, manifest)| match group {
            true => make::<AWSTargetGroup>(client, manifest).await,
            false => make::<Cell>(client, manifest).await,
        });
        futures::future::join_all(made).await;
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

fn target_group(cell: usize, number: usize) -> Value {
    json!({
        "apiVersion": "okra.mumo.co/v1alpha1", "kind": "AWSTargetGroup",
        "metadata": {
            "name": format!("cell-{cell}-{number}"),
            "labels": {"cell": format!("cell-{cell}"), "okra.mumo.co/version": "1.0.0"},
        },
        "spec": {"arn": format!("{ELB}:targetgroup/cell-{cell}-{number}/73e2")},
    })
}

fn cell(index: usize) -> Value {
    let (listener, priority) = place(index);
    json!({
        "apiVersion": "okra.mumo.co/v1alpha1", "kind": "Cell",
        "metadata": {"name": format!("cell-{index}")},
        "spec": {
            "replicas": 2,
            "ingress": {
                "type": "AWSApplicationLoadBalancer",
                "awsApplicationLoadBalancer": {
                    "listenerARN": listener.to_string(),
                    "listener": {"rule": {"priority": priority, "hosts": [format!("{index}.example.com")]}},
                    "targetGroupSelector": {"matchLabels": {"cell": format!("cell-{index}")}},
                },
            },
            "updateStrategy": {"type": "Canary", "settleSeconds": 0, "drainSeconds": 0, "canary": {"steps": []}},
        },
    })
}

/// The listener of a Cell, and its priority there.
fn place(cell: usize) -> (ListenerArn, usize) {
    let listener = format!("{ELB}:listener/app/web-{0}/50dc/f2f7", cell / RULES_A_LISTENER);
    (listener.parse().expect("an ARN"), cell % RULES_A_LISTENER + 1)
}

async fn until_completed(cells: &Api<Cell>, size: usize) {
    let is_completed = |cell: &Cell| {
        cell.status
            .as_ref()
            .and_then(|status| status.phase.as_deref())
            .is_some_and(|phase| phase == "Completed")
    };
    loop {
        let list = cells.list(&ListParams::default()).await.expect("Cells are listed");
        if list.items.iter().filter(|cell| is_completed(cell)).count() == size {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Gives a Cell another host; the time until that is written.
async fn change(cells: &Api<Cell>, aws: &InMemory, clock: &SharedClock, index: usize) -> Duration {
    let host = format!("{index}.example.org");
    let rule = json!({"hosts": [host]});
    let patch = json!({"spec": {"ingress": {"awsApplicationLoadBalancer": {"listener": {"rule": rule}}}}});
    let seen = aws.modified.subscribe();
    let begun = clock.monotonic();
    cells
        .patch(&format!("cell-{index}"), &PatchParams::default(), &Patch::Merge(patch))
        .await
        .expect("the Cell is patched");
    let mut seen = seen;
    seen.changed().await.expect("the load balancers outlive the change");
    let written = *seen.borrow();
    written.saturating_sub(begun)
}
