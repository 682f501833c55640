//! The provider against a real Prometheus, which scrapes a server of the test.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use okra_domain::analysis::Phase;
use okra_domain::analysis::substitute::Redactor;
use okra_providers::{
    AddressPolicy, Client, Conditions, Measured, Outcome, Place, Prometheus, Providers, Request,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

/// How long a state may take to come about; a busy machine needs a few seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks at a state.
const LOOK: Duration = Duration::from_millis(50);

/// Ends its child when its own standard input ends, which is when the test does, however it ends.
const LEASH: &str = r#""$0" "$@" </dev/null & child=$!; cat >/dev/null; kill $child; wait $child"#;

/// What is scraped: an application whose share of failed requests can be set.
struct Application {
    address: String,
    failed_per_step: Arc<Mutex<u64>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Application {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Application {
    /// Each scrape finds 100 requests more, of which some have failed.
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let failed_per_step = Arc::new(Mutex::new(0));
        let step = failed_per_step.clone();
        let task = tokio::spawn(async move {
            let (mut requests, mut failed) = (0, 0);
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut buffer = [0; 4096];
                let _ = stream.read(&mut buffer).await;
                requests += 100;
                failed += *step.lock().unwrap();
                let body = format!(
                    "# TYPE requests_total counter\nrequests_total{{version=\"2.0.0\"}} {requests}\n\
                     # TYPE failed_total counter\nfailed_total{{version=\"2.0.0\"}} {failed}\n"
                );
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\nconnection: close";
                let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { address, failed_per_step, task }
    }

    fn fails(&self, percent: u64) {
        *self.failed_per_step.lock().unwrap() = percent;
    }
}

/// A Prometheus that ends with the test.
struct Server {
    url: String,
    _leash: Child,
    _folder: TempDir,
}

impl Server {
    /// `None`, after saying so, where Prometheus is not installed.
    #[expect(clippy::print_stdout, reason = "a skipped test says so")]
    async fn start(target: &str) -> Option<Self> {
        let program = std::env::var("OKRA_PROMETHEUS").unwrap_or_else(|_| "prometheus".to_owned());
        if Command::new(&program).arg("--version").output().await.is_err() {
            println!("skipped: there is no {program} (set OKRA_PROMETHEUS)");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("prometheus.yml");
        let scrape = "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\nscrape_configs:\n";
        let job = format!("- {{job_name: web, static_configs: [{{targets: [\"{target}\"]}}]}}\n");
        std::fs::write(&config, format!("{scrape}{job}")).unwrap();
        let mut leash = Command::new("sh")
            .args(["-c", LEASH, &program])
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(leash.stderr.take().unwrap()).lines();
        let url = loop {
            let line = lines.next_line().await.unwrap().expect("Prometheus says its address");
            if let Some((_, address)) = line.split_once("msg=\"Listening on\" address=") {
                break format!("http://{}", address.trim());
            }
        };
        // Its log must go somewhere, or it blocks on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Some(Self { url, _leash: leash, _folder: folder })
    }

    async fn ask(&self, change: serde_json::Value) -> Result<Measured, String> {
        let mut settings = json!({"address": self.url});
        settings.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let client = Client::new(AddressPolicy::allowing(["127.0.0.0/8".parse().unwrap()]));
        let providers = Providers::new().with("prometheus", Arc::new(Prometheus::new(client)));
        let (redactor, place) = (Redactor::default(), Place::default());
        let request =
            Request { settings: &settings, redactor: &redactor, now: now(), place: &place, retries: 0 };
        match providers.measure("prometheus", &request).await {
            Ok(Outcome::Measured(measured)) => Ok(measured),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn query(&self, query: &str) -> Result<Measured, String> {
        self.ask(json!({ "query": query })).await
    }

    /// Asks until a condition holds.
    async fn until(&self, query: &str, condition: &str) -> Measured {
        let conditions = Conditions::compile(condition, "").unwrap();
        let asked = tokio::time::timeout(PATIENCE, async {
            loop {
                let measured = self.query(query).await.unwrap();
                if conditions.judge(&measured.text, &measured.result, now()).phase == Phase::Successful {
                    return measured;
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        asked.await.unwrap_or_else(|_| panic!("{query}: {condition} did not come about"))
    }
}

/// The queries are about now, and Prometheus has the machine's clock.
#[expect(clippy::disallowed_methods, reason = "the other side of this test has no clock to hand in")]
fn now() -> Timestamp {
    Timestamp::now()
}

#[tokio::test]
async fn a_real_server_answers_every_kind_of_query() {
    let application = Application::start().await;
    let Some(server) = Server::start(&application.address).await else { return };

    let up = server.until("up{job=\"web\"}", "len(result) == 1 && result[0] == 1").await;
    assert_eq!(up.text, "[1]");
    assert!(up.metadata["series"].contains(&format!("\"instance\":\"{}\"", application.address)));

    let scalar = server.query("scalar(vector(4.5))").await.unwrap();
    assert_eq!((scalar.text.as_str(), scalar.result.type_name()), ("4.5", "float64"));
    assert_eq!(server.query("vector(0) / vector(0)").await.unwrap().text, "[NaN]");
    assert_eq!(server.query("vector(1) / vector(0)").await.unwrap().text, "[+Inf]");
    assert_eq!(server.query("nothing_of_that_name").await.unwrap().text, "[]");
    let text = server.query("\"words\"").await.unwrap_err();
    assert!(text.starts_with("Prometheus metric type not supported: \"string\""), "{text}");

    let bad = server.query("rate(").await.unwrap_err();
    assert!(bad.starts_with("bad_data: ") && bad.ends_with("(query rate()"), "{bad}");

    let range = json!({"start": "now() - duration(\"10s\")", "end": "now()", "step": "5s"});
    let flat = server.ask(json!({"query": "vector(7)", "rangeQuery": range})).await.unwrap();
    assert_eq!(flat.text, "[7,7,7]");
}

#[tokio::test]
async fn a_version_that_turns_bad_is_judged_so() {
    let application = Application::start().await;
    let Some(server) = Server::start(&application.address).await else { return };
    let share =
        "sum(rate(failed_total{version=\"2.0.0\"}[2s])) / sum(rate(requests_total{version=\"2.0.0\"}[2s]))";
    let conditions =
        Conditions::compile("len(result) > 0 && result[0] < 0.05", "len(result) > 0 && result[0] >= 0.05");
    let conditions = conditions.unwrap();

    let good = server.until(share, "len(result) == 1 && result[0] == 0").await;
    assert_eq!(conditions.judge(&good.text, &good.result, now()).phase, Phase::Successful);
    assert_eq!(good.facts["ResolvedPrometheusQuery"], share);

    application.fails(40);
    let bad = server.until(share, "len(result) == 1 && result[0] > 0.39").await;
    let judged = conditions.judge(&bad.text, &bad.result, now());
    assert_eq!(judged.phase, Phase::Failed);
    assert!(judged.message.ends_with("result[0] >= 0.05\" is true"), "{}", judged.message);
}

#[tokio::test]
async fn a_range_ends_where_its_expressions_say() {
    let application = Application::start().await;
    let Some(server) = Server::start(&application.address).await else { return };
    let now = now();
    let at = |seconds: i64| {
        let time = now - SignedDuration::from_secs(seconds);
        format!("date(\"{}\")", time.strftime("%Y-%m-%dT%H:%M:%SZ"))
    };
    let range = json!({"start": at(60), "end": at(30), "step": "10s"});
    let times = server.ask(json!({"query": "vector(time())", "rangeQuery": range})).await.unwrap();
    let times: Vec<f64> = serde_json::from_str(&times.text).unwrap();
    assert_eq!(times.len(), 4);
    assert!((times[3] - times[0] - 30.0).abs() < 0.001, "{times:?}");
}
