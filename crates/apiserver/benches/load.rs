//! Writes and reads of many clients against a server with a database, over TLS.
//!
//! One line per figure; a figure is printed, never judged.

#![allow(clippy::print_stdout, reason = "printing is what a benchmark is for")]
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::time::Instant;

use futures::StreamExt;
use futures::stream;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use okra_apiserver::{Options, Server, Storage};
use serde_json::json;
use tokio::net::TcpListener;

const OBJECTS: usize = 3_000;
const CLIENTS: usize = 32;

fn map(number: usize) -> ConfigMap {
    serde_json::from_value(json!({
        "metadata": {"name": format!("m{number}"), "labels": {"bench": "yes"}},
        "data": {"payload": "x".repeat(1_024)},
    }))
    .unwrap()
}

/// Resident memory of this process in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kib| kib.parse::<u64>().ok());
    kib.unwrap_or(0) / 1_024
}

async fn measure<F: Future<Output = ()>>(name: &str, clients: &[Client], work: impl Fn(Client, usize) -> F) {
    let begin = Instant::now();
    let numbers = 0..OBJECTS;
    stream::iter(numbers)
        .map(|number| work(clients[number % CLIENTS].clone(), number))
        .buffer_unordered(CLIENTS)
        .for_each(|()| async {})
        .await;
    let rate = OBJECTS as f64 / begin.elapsed().as_secs_f64();
    println!("apiserver {name}: {rate:.0}/s with {CLIENTS} clients");
}

#[tokio::main]
async fn main() {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let folder = tempfile::tempdir().unwrap();
    let server = Server::open(Options::new(Storage::Directory(folder.path().to_owned()))).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let serving = server.serve(listener).await.unwrap();
    let kubeconfig = server.kubeconfig(&format!("https://{}", serving.local_address()), "bench");
    let kubeconfig = Kubeconfig::from_yaml(&kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let clients: Vec<Client> = (0..CLIENTS).map(|_| Client::try_from(config.clone()).unwrap()).collect();

    measure("creates", &clients, |client, number| async move {
        let maps: Api<ConfigMap> = Api::default_namespaced(client);
        maps.create(&PostParams::default(), &map(number)).await.unwrap();
    })
    .await;
    measure("applies", &clients, |client, number| async move {
        let maps: Api<ConfigMap> = Api::default_namespaced(client);
        let applied = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("m{number}")},
            "data": {"applied": number.to_string()},
        });
        let params = PatchParams::apply("bench");
        maps.patch(&format!("m{number}"), &params, &Patch::Apply(applied)).await.unwrap();
    })
    .await;
    measure("gets", &clients, |client, number| async move {
        let maps: Api<ConfigMap> = Api::default_namespaced(client);
        maps.get(&format!("m{number}")).await.unwrap();
    })
    .await;
    println!("apiserver memory: {} MiB at {OBJECTS} objects, clients included", resident());
    server.shutdown().await;
}
