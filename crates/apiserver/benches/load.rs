//! Many clients against a server process with a database, over TLS.
//!
//! The server runs in a process of its own, so that its memory and processor
//! time are its own; the clients send prepared bytes over kept connections. One
//! line per figure; a figure is printed, never judged.

#![allow(clippy::print_stdout, reason = "printing is what a benchmark is for")]
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use okra_apiserver::Options;
use serde_json::{Value, json};
use support::door::{Door, Identity, Lines, get, request};
use support::process::{ServerProcess, asked_to_serve, serve};

/// How many objects, and the bytes of one as a client sends it.
static OBJECTS: LazyLock<usize> = LazyLock::new(|| setting("OKRA_BENCH_OBJECTS", 3_000));
static OBJECT_BYTES: LazyLock<usize> = LazyLock::new(|| setting("OKRA_BENCH_OBJECT_BYTES", 700));

const CLIENTS: usize = 32;

/// Gets are cheap: each object is read this often, so that the phase is long enough to measure.
const GET_ROUNDS: usize = 8;

const LISTS: usize = 15;

/// Times of the kernel's process statistics, per second.
const TICKS: f64 = 100.0;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn object(number: usize) -> Bytes {
    let map = |payload: &str| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": format!("m{number:05}"), "labels": {"bench": "yes"}},
            "data": {"first": number.to_string(), "payload": payload},
        })
        .to_string()
    };
    let missing = *OBJECT_BYTES - map("").len();
    map(&"x".repeat(missing)).into()
}

fn create(number: usize) -> Request<Full<Bytes>> {
    request(Method::POST, MAPS, "application/json", object(number))
}

fn apply(number: usize) -> Request<Full<Bytes>> {
    let applied = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("m{number:05}")},
        "data": {"applied": number.to_string()},
    });
    let path = format!("{MAPS}/m{number:05}?fieldManager=bench-apply");
    request(Method::PATCH, &path, "application/apply-patch+yaml", applied.to_string())
}

fn read(number: usize) -> Request<Full<Bytes>> {
    get(&format!("{MAPS}/m{:05}", number % *OBJECTS))
}

/// User and system time that a process has used, in seconds.
fn processor_time(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: f64 = fields[11..13].iter().map(|field| field.parse::<f64>().unwrap()).sum();
    ticks / TICKS
}

/// A line of a process's memory statistics, in MB.
fn memory(process: u32, line: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|text| text.starts_with(line)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1_024.0 / 1e6
}

fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3
}

struct Bench {
    server: ServerProcess,
    identity: Identity,
}

impl Bench {
    async fn door(&self) -> Door {
        Door::connect(self.server.address, &self.identity).await.unwrap()
    }

    /// Sends `count` requests over all connections; each answer must have `code`.
    async fn measure(
        &self,
        name: &str,
        count: usize,
        code: u16,
        make: fn(usize) -> Request<Full<Bytes>>,
    ) -> Vec<(usize, Instant)> {
        let next = Arc::new(AtomicUsize::new(0));
        let mut doors = Vec::new();
        for _ in 0..CLIENTS {
            doors.push(self.door().await);
        }
        let id = self.server.id().to_string();
        let (own, server, begin) = (processor_time("self"), processor_time(&id), Instant::now());
        let clients = doors.into_iter().map(|mut door| {
            let next = next.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return times;
                    }
                    let (request, sent) = (make(number), Instant::now());
                    let (answer, body) = door.exchange(request).await.unwrap();
                    assert_eq!(answer, code, "{}", String::from_utf8_lossy(&body));
                    times.push((number, sent, Instant::now()));
                }
            })
        });
        let finished = futures::future::join_all(clients.collect::<Vec<_>>()).await;
        let seconds = begin.elapsed().as_secs_f64();
        let (own, server) = (processor_time("self") - own, processor_time(&id) - server);
        let times: Vec<_> = finished.into_iter().flat_map(Result::unwrap).collect();
        let mut latencies: Vec<_> = times.iter().map(|(_, sent, done)| *done - *sent).collect();
        println!(
            "apiserver {name}: {:.0}/s, p50 {:.1} ms, p99 {:.1} ms ({count} with {CLIENTS} clients; processor time: server \
             {server:.2} s, clients {own:.2} s of {seconds:.2} s on {} processors)",
            count as f64 / seconds,
            percentile(&mut latencies, 50),
            percentile(&mut latencies, 99),
            std::thread::available_parallelism().unwrap(),
        );
        times.into_iter().map(|(number, _, done)| (number, done)).collect()
    }

    async fn lists(&self) {
        let mut door = self.door().await;
        let mut times = Vec::new();
        let mut bytes = 0;
        for _ in 0..LISTS {
            let begin = Instant::now();
            let (code, list) = door.exchange(get(MAPS)).await.unwrap();
            times.push(begin.elapsed());
            assert_eq!(code, 200);
            bytes = list.len();
        }
        println!(
            "apiserver list: {:.1} ms, p99 {:.1} ms ({} objects, {:.1} MB)",
            percentile(&mut times, 50),
            percentile(&mut times, 99),
            *OBJECTS,
            bytes as f64 / 1e6
        );
    }
}

/// When a watch told of each object.
type Told = Arc<Mutex<BTreeMap<String, Instant>>>;

async fn watch(mut door: Door, told: Told, count: usize) {
    let response = door.send(get(&format!("{MAPS}?watch=true&resourceVersion=1"))).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut lines = Lines::new(response.into_body());
    loop {
        let line = lines.next().await.unwrap().unwrap();
        let now = Instant::now();
        let event: Value = serde_json::from_slice(&line).unwrap();
        let name = event["object"]["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let mut told = told.lock().unwrap();
        if name.starts_with('m') {
            told.insert(name, now);
        }
        if told.len() == count {
            return;
        }
    }
}

fn print_lag(told: &Told, acknowledged: &[(usize, Instant)]) {
    let told = told.lock().unwrap();
    let mut lags: Vec<Duration> = acknowledged
        .iter()
        .map(|(number, done)| told[&format!("m{number:05}")].saturating_duration_since(*done))
        .collect();
    println!(
        "apiserver watch lag: p50 {:.2} ms, p99 {:.2} ms behind the writer's answer, while {CLIENTS} clients create",
        percentile(&mut lags, 50),
        percentile(&mut lags, 99)
    );
}

async fn start(folder: &Path) -> (Bench, Duration) {
    let begin = Instant::now();
    let server = ServerProcess::start(folder, &[]).await;
    let identity = server.identity();
    let bench = Bench { server, identity };
    let (code, _) = bench.door().await.exchange(get("/readyz")).await.unwrap();
    assert_eq!(code, 200);
    (bench, begin.elapsed())
}

#[tokio::main]
async fn main() {
    if let Some(folder) = asked_to_serve() {
        return serve(Options::new, &folder).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let (bench, ready) = start(folder.path()).await;
    println!("apiserver first start to ready: {:.0} ms", ready.as_secs_f64() * 1e3);
    let idle = memory(bench.server.id(), "VmRSS");
    let told = Told::default();
    let watching = tokio::spawn(watch(bench.door().await, told.clone(), *OBJECTS));
    let acknowledged = bench.measure("creates", *OBJECTS, 201, create).await;
    watching.await.unwrap();
    print_lag(&told, &acknowledged);
    bench.measure("applies", *OBJECTS, 200, apply).await;
    bench.measure("gets", *OBJECTS * GET_ROUNDS, 200, read).await;
    bench.lists().await;
    let id = bench.server.id();
    println!(
        "apiserver memory: {:.1} MB resident, {:.1} MB at most ({idle:.1} MB when it started)",
        memory(id, "VmRSS"),
        memory(id, "VmHWM")
    );
    bench.server.kill().await;
    let (bench, ready) = start(folder.path()).await;
    println!(
        "apiserver start to ready after kill -9: {:.0} ms with {} objects",
        ready.as_secs_f64() * 1e3,
        *OBJECTS
    );
    bench.server.stop().await;
    let (bench, ready) = start(folder.path()).await;
    println!(
        "apiserver start to ready: {:.0} ms with {} objects ({:.1} MB resident)",
        ready.as_secs_f64() * 1e3,
        *OBJECTS,
        memory(bench.server.id(), "VmRSS")
    );
    bench.server.stop().await;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    println!("apiserver load average of the machine afterwards: {}", load.trim());
}
