//! Many analyses on one controller: what they cost. The management API and the
//! metrics are served by a process of their own, so that processor time and
//! memory of this one are the controller's alone; both are reached over the
//! network, the API with TLS. One line of figures; nothing is judged.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

#[path = "../tests/support/nothing.rs"]
mod nothing;

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use okra_api::AnalysisRun;
use okra_apiserver::{Options, Server, Storage};
use okra_aws::Region;
use okra_aws::sdk::{AccessKey, Budget, Sdk, SdkSettings, StaticKeys, Unobserved};
use okra_clock::{SystemClock, SystemEntropy};
use okra_controllers::fence::Fence;
use okra_controllers::{Context, Settings, analysis};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::nothing::Nothing;

/// Runs at once.
const RUNS: usize = 1_000;
/// Metrics of each.
const METRICS: usize = 3;
/// Between two measurements of a metric.
const INTERVAL: &str = "10s";
/// How long the cost is measured: each metric has its turn six times.
const MEASURED: Duration = Duration::from_secs(60);
/// Time that is not counted: every metric has so many measurements as are
/// kept by then, so that statuses are as large as they will be.
const WARM_UP_MEASUREMENTS: i64 = 11;
/// Objects that are made at once.
const MADE_AT_ONCE: usize = 32;
/// Ticks of the processor time in `/proc/self/stat`.
const TICKS_A_SECOND: f64 = 100.0;
/// The variable that makes this program the server process.
const SERVE: &str = "OKRA_BENCH_SERVE";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if std::env::var_os(SERVE).is_some() {
        runtime.block_on(serve());
    } else {
        runtime.block_on(measure());
    }
}

async fn measure() {
    let (mut server, address, client) = start_server().await;
    make_runs(&client, &address).await;
    let runs: Api<AnalysisRun> = Api::namespaced(client.clone(), "default");
    let stop = CancellationToken::new();
    let controller = tokio::spawn(analysis::run(context(client).await, stop.clone()));
    // Looked at seldom, so that looking costs nothing by the time it counts.
    while measurements(&runs).await < WARM_UP_MEASUREMENTS * (RUNS * METRICS) as i64 {
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    let (before, used) = (measurements(&runs).await, processor_seconds());
    tokio::time::sleep(MEASURED).await;
    let share = (processor_seconds() - used) / MEASURED.as_secs_f64() * 100.0;
    let resident = resident_megabytes();
    let taken = (measurements(&runs).await - before) as f64 / MEASURED.as_secs_f64();
    println!(
        "analysis: {RUNS} runs of {METRICS} metrics at {INTERVAL} on one controller: {share:.1} % of a core, \
         {resident:.0} MB resident, {taken:.0} measurements/s",
    );
    stop.cancel();
    controller.await.expect("the controller ends");
    server.kill().expect("the server process is there to the end");
    server.wait().expect("and can be waited for");
}

async fn context(client: Client) -> Context {
    let (aws, clock) = (sdk().await, SystemClock::shared());
    let mut settings = Settings::new("bench");
    settings.metric_addresses = vec!["127.0.0.0/8".to_owned()];
    Context {
        client,
        load_balancers: Arc::new(aws.load_balancers()),
        targets: Arc::new(Nothing),
        clusters: Arc::new(Nothing),
        cloudwatch: Arc::new(Nothing),
        members: Arc::new(Nothing),
        fence: Fence::sole(clock.clone()),
        clock,
        entropy: Arc::new(SystemEntropy::default()),
        settings: Arc::new(settings),
        region: None,
        metrics: Arc::default(),
    }
}

/// AWS that is never asked.
async fn sdk() -> Sdk {
    let settings = SdkSettings {
        endpoint_url: Some("http://127.0.0.1:1".to_owned()),
        region: Some(Region::new("eu-west-1")),
        forced_profile: None,
        access_key: Some(AccessKey { id: "bench".to_owned(), secret: "bench".to_owned() }),
        static_keys: StaticKeys::LoopbackOnly,
        budget: Budget::Off,
    };
    let entropy = Arc::new(SystemEntropy::default());
    Sdk::load(settings, SystemClock::shared(), entropy, Arc::new(Unobserved)).await
}

/// Counted measurements of all runs.
async fn measurements(runs: &Api<AnalysisRun>) -> i64 {
    let list = runs.list(&ListParams::default()).await.expect("runs are listed");
    let counts = list.items.iter().filter_map(|run| run.status.as_ref());
    counts.flat_map(|status| &status.metric_results).filter_map(|metric| metric.count).sum()
}

async fn make_runs(client: &Client, address: &str) {
    let runs: Api<AnalysisRun> = Api::namespaced(client.clone(), "default");
    let numbers: Vec<usize> = (0..RUNS).collect();
    for some in numbers.chunks(MADE_AT_ONCE) {
        let made = some.iter().map(async |number| {
            let run = serde_json::from_value(run(*number, address)).expect("the benchmark's own manifest");
            runs.create(&PostParams::default(), &run).await.expect("a run is accepted");
        });
        futures::future::join_all(made).await;
    }
}

fn run(number: usize, address: &str) -> Value {
    let metrics = (0..METRICS).map(|metric| {
        json!({
            "name": format!("metric-{metric}"), "interval": INTERVAL, "failureLimit": 3,
            // Spread over the interval, as rollouts that begin at different times are.
            "initialDelay": format!("{}ms", (number * METRICS + metric) * 10_000 / (RUNS * METRICS)),
            "successCondition": "result.share < 0.05 && result.p99 < {{args.limit}}",
            "provider": {"web": {"url": format!("http://{address}/{number}/{metric}")}},
        })
    });
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
        "metadata": {
            "name": format!("run-{number}"),
            "labels": {"argo-rollouts.argoproj.io/controller-instance-id": "okra"},
        },
        "spec": {"args": [{"name": "limit", "value": "250"}], "metrics": metrics.collect::<Vec<_>>()},
    })
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

fn resident_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells the memory of a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse().unwrap_or_default();
    kilobytes / 1024.0
}

/// The server process, the address of the metrics, and a client of the API.
async fn start_server() -> (Child, String, Client) {
    let mut child = Command::new(std::env::current_exe().expect("a program knows where it is"))
        .env(SERVE, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server process starts");
    let out = child.stdout.take().expect("stdout is piped");
    let out = tokio::process::ChildStdout::from_std(out).expect("a pipe can be read");
    let mut lines = BufReader::new(out).lines();
    let mut line =
        async || lines.next_line().await.expect("the server can be read").expect("the server says it");
    let address = line().await;
    let kubeconfig: Kubeconfig = serde_json::from_str(&line().await).expect("a kubeconfig");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let client = Client::try_from(config.expect("a usable kubeconfig")).expect("a client");
    (child, address, client)
}

/// Serves until standard input ends. Says the address of the metrics and a
/// kubeconfig, a line each.
async fn serve() {
    let metrics = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = metrics.local_addr().expect("a bound listener has an address");
    tokio::spawn(answer_metrics(metrics));
    let server = Server::open(Options::new(Storage::Memory)).await.expect("a server in memory opens");
    let client = Client::new(server.in_process(), "default");
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in okra_api::analysis_crds() {
        definitions.create(&PostParams::default(), &definition).await.expect("a definition is accepted");
    }
    let runs: Api<AnalysisRun> = Api::all(client);
    while runs.list(&ListParams::default()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let serving = server.serve(listener).await.expect("the API is served");
    let kubeconfig = server.kubeconfig(&format!("https://{}", serving.local_address()), "bench");
    let kubeconfig = Kubeconfig::from_yaml(&kubeconfig).expect("a kubeconfig");
    println!("{address}\n{}", serde_json::to_string(&kubeconfig).expect("a kubeconfig is JSON"));
    std::io::stdout().flush().expect("somebody reads it");
    let ends = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    // Whatever ends it, the process that wanted this one is gone.
    let _ = tokio::task::spawn_blocking(ends).await;
}

/// Answers every request with the same two figures, on kept connections.
async fn answer_metrics(listener: TcpListener) {
    const BODY: &str = r#"{"share": 0.012, "p99": 83.5}"#;
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{BODY}",
                BODY.len()
            );
            let mut buffer = vec![0; 4096];
            while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}
