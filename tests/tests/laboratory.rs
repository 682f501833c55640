//! `okra analysis …` and `okra lint` as people use them: the real binary, real
//! metric servers, exit codes of `spec/analysis.md` 8.2. Only where a test says
//! so is there a cluster.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use okra_tests::answers::Answers;
use okra_tests::eventually;
use okra_tests::process::{LocalMode, Running, okra_binary};
use okra_tests::prometheus::Prometheus;
use serde_json::{Value, json};
use tempfile::TempDir;

const BOUND: Duration = Duration::from_secs(90);
const LOOPBACK: &str = "--metric-address-allow=127.0.0.0/8";

/// A folder with manifests, and nothing of this machine's settings.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder for the test") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("a file can be written");
        path
    }

    /// okra without a cluster, without AWS, without a home of its own.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(okra_binary());
        command.args(words).env_clear().current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("HOME", self.folder.path());
        command
    }

    fn okra(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("okra runs")
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A template that asks a web server for the share of errors.
fn template(metric: &Value) -> String {
    let mut whole = json!({
        "name": "errors", "interval": "100ms", "count": 3, "failureLimit": 1,
        "successCondition": "result < {{args.limit}}",
        "provider": {"web": {"url": "{{args.url}}/errors", "jsonPath": "{$.share}", "timeoutSeconds": 5}},
    });
    whole.as_object_mut().expect("an object").extend(metric.as_object().expect("an object").clone());
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate", "metadata": {"name": "errors"},
        "spec": {"args": [{"name": "url"}, {"name": "limit", "value": "0.05"}], "metrics": [whole]},
    })
    .to_string()
}

#[test]
fn a_template_is_run_against_a_real_server_without_a_cluster() {
    let (desk, server) = (Desk::new(), Answers::start(r#"{"share": 0.01}"#));
    desk.write("t.json", &template(&json!({})));
    let url = format!("url={}", server.url());
    let run = |more: &[&str]| desk.okra(&[&["analysis", "run", "-f", "t.json", "-a", &url], more].concat());

    let good = run(&[LOOPBACK, "--watch", "-o", "json"]);
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    let document: Value = serde_json::from_str(&stdout(&good)).expect("stdout holds the run alone");
    assert_eq!(document["status"]["phase"], "Successful");
    assert_eq!(document["status"]["metricResults"][0]["count"], 3);
    let told = stderr(&good);
    assert_eq!(told.lines().filter(|line| line.ends_with("errors  ✔ Successful  0.01")).count(), 3, "{told}");
    assert_eq!(server.requests().len(), 3, "as often as it was measured");

    let strict = run(&[LOOPBACK, "--watch", "-a", "limit=0.001"]);
    assert_eq!(strict.status.code(), Some(2), "{strict:?}");
    let told = stdout(&strict);
    assert!(told.contains("errors  ✖ Failed  0.01  value 0.01: successCondition"), "{told}");
    assert!(told.contains("✖ Failed   for"), "the picture comes last: {told}");
    assert!(!told.contains('\u{1b}'), "no colour away from a terminal: {told}");

    // The protection of controllers is on here too, and says how to open it.
    let closed = run(&["-o", "name", "-t", "60s"]);
    assert_eq!(closed.status.code(), Some(2), "{closed:?}");
    let unknown = run(&[LOOPBACK, "-a", "limt=1"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(stderr(&unknown).contains("declares no argument limt; it has: url, limit"), "{unknown:?}");
}

#[test]
fn a_run_that_does_not_end_is_given_up_in_time_or_by_hand() {
    let (desk, server) = (Desk::new(), Answers::start(r#"{"share": 0.01}"#));
    desk.write("t.json", &template(&json!({"count": 0})));
    let url = format!("url={}", server.url());
    let words = ["analysis", "run", "-f", "t.json", LOOPBACK, "--watch", "-a", &url];
    let late = desk.okra(&[&words[..], &["-t", "1s"]].concat());
    assert_eq!(late.status.code(), Some(3), "{late:?}");
    assert!(stderr(&late).contains("has not ended within 1s and was told to stop"), "{late:?}");

    let mut running = Running::start(&mut desk.command(&words), &desk.path("log"));
    eventually("a measurement", BOUND, || {
        let log = running.log();
        if log.contains("Successful  0.01") { Ok(()) } else { Err(log) }
    });
    assert_eq!(running.interrupt(), 5, "{}", running.log());
    assert!(running.log().contains("metric errors has no count"), "{}", running.log());
}

#[test]
fn undecided_is_its_own_exit_code_and_nested_templates_are_found() {
    let (desk, server) = (Desk::new(), Answers::start(r#"{"share": 0.5}"#));
    let metric = json!({"successCondition": "result < 0.1", "failureCondition": "result > 0.9", "inconclusiveLimit": 0});
    let outer = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "ClusterAnalysisTemplate", "metadata": {"name": "outer"},
        "spec": {"templates": [{"templateName": "errors"}]},
    });
    desk.write("inner.json", &template(&metric));
    desk.write("outer.json", &outer.to_string());
    let url = format!("url={}", server.url());
    let both = desk.okra(&["analysis", "run", "-f", ".", LOOPBACK, "-a", &url, "-o", "name"]);
    assert_eq!(both.status.code(), Some(5), "{both:?}");
    assert!(stdout(&both).starts_with("analysisrun/outer-"), "{both:?}");
    // Without the inner one it would have to ask a cluster, and there is none.
    let alone = desk.okra(&["analysis", "run", "-f", "outer.json", LOOPBACK, "-a", &url]);
    assert_eq!(alone.status.code(), Some(1), "{alone:?}");
    assert!(
        stderr(&alone).contains("the files do not hold all nested templates: no management API"),
        "{alone:?}"
    );
}

#[test]
fn a_template_is_run_against_a_real_prometheus() {
    let (desk, target) = (Desk::new(), Answers::start("# TYPE error_share gauge\nerror_share 0.02\n"));
    let prometheus = Prometheus::start(&target.address().to_string(), "/metrics");
    let metric = json!({
        "successCondition": "len(result) > 0 && result[0] < {{args.limit}}", "consecutiveErrorLimit": 1000,
        "provider": {"prometheus": {"address": "{{args.url}}", "query": "error_share", "timeout": 5}},
    });
    desk.write("t.json", &template(&metric));
    let url = format!("url={}", prometheus.url());
    let run = |more: &[&str]| {
        let words = ["analysis", "run", "-f", "t.json", LOOPBACK, "-o", "json", "-t", "60s", "-a", &url];
        desk.okra(&[&words[..], more].concat())
    };
    eventually("a series", BOUND, || match run(&[]) {
        output if output.status.code() == Some(0) => Ok(()),
        output => Err(format!("{output:?}")),
    });
    let failed = run(&["-a", "limit=0.01"]);
    assert_eq!(failed.status.code(), Some(2), "{failed:?}");
    let document: Value = serde_json::from_str(&stdout(&failed)).expect("JSON");
    assert_eq!(document["status"]["metricResults"][0]["measurements"][0]["value"], "[0.02]");
}

#[test]
fn secrets_come_from_the_current_cluster_and_are_told_nowhere() {
    const TOKEN: &str = "a-token-that-nobody-sees";
    let local = LocalMode::up(&["--no-controllers"]);
    let made = local.kubectl(&["create", "secret", "generic", "api", &format!("--from-literal=key={TOKEN}")]);
    assert!(made.status.success(), "{made:?}");
    let server = Answers::start(&json!({"share": 0.5, "echo": TOKEN}).to_string());
    let metric = json!({
        "count": 1, "failureLimit": 0, "successCondition": "result.share < {{args.limit}}",
        "provider": {"web": {
            "url": "{{args.url}}/errors", "jsonPath": "{$}",
            "headers": [{"key": "Authorization", "value": "Bearer {{args.token}}"}],
        }},
    });
    let mut template: Value = serde_json::from_str(&template(&metric)).expect("JSON");
    template["spec"]["args"].as_array_mut().expect("a list").push(json!({"name": "token"}));
    let file = local.home().join("t.json");
    fs::write(&file, template.to_string()).expect("a file can be written");
    let (file, url) = (file.to_string_lossy().into_owned(), format!("url={}", server.url()));
    let words =
        ["analysis", "run", "-f", &file, "-a", &url, "--args-from-secrets", "token=api.key", LOOPBACK];
    let output = local.okra(&[&words[..], &["--watch", "-o", "json", "--log-level=debug"]].concat());
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(server.requests()[0].contains(&format!("Bearer {TOKEN}")), "the server was told");
    for text in [stdout(&output), stderr(&output)] {
        assert!(text.contains("errors") && !text.contains(TOKEN), "{text}");
    }
    assert!(stdout(&output).contains("*****"), "what the server echoes is hidden");
    // Nothing of the run was ever in the cluster.
    assert_eq!(stdout(&local.kubectl(&["get", "analysisruns", "-A", "-o", "name"])), "");
    let missing =
        local.okra(&[&words[..6], &["--args-from-secrets", "token=gone.key", "-o", "json"]].concat());
    assert_eq!(missing.status.code(), Some(2), "{missing:?}");
    assert!(stdout(&missing).contains("key 'key' does not exist in secret 'gone'"), "{missing:?}");
}

#[test]
fn the_controller_of_the_cluster_measures_on_request() {
    let local = LocalMode::up(&[]);
    let server = Answers::start(r#"{"share": 0.01}"#);
    local.apply(&[serde_json::from_str(&template(&json!({}))).expect("JSON")]);
    let url = format!("url={}", server.url());
    let words = ["analysis", "run", "--template-name", "errors", "--in-cluster", "-a", &url, "--watch"];
    let output = local.okra(&words);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(stdout(&output).contains("✔ Successful"), "{output:?}");
    let runs = local.kubectl(&["get", "analysisruns", "-o", "name"]);
    assert_eq!(stdout(&runs).lines().count(), 1, "the run stays where it was made: {runs:?}");
    let jobs = json!({"provider": {"job": {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [
        {"name": "c", "image": "i"}]}}}}}, "successCondition": null, "interval": null, "count": null});
    let file = local.home().join("job.json");
    fs::write(&file, template(&jobs)).expect("a file can be written");
    let refused = local.okra(&["analysis", "run", "-f", &file.to_string_lossy(), "-a", &url]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(stderr(&refused).contains("give --in-cluster"), "{refused:?}");
}

#[test]
fn cases_are_tested_one_a_line() {
    let desk = Desk::new();
    desk.write("cases.jsonl", "[0.02]\n\nnonsense\n[NaN, {\"a\": -Infinity}]\n");
    let lines = |output: &Output| -> Vec<Value> {
        stdout(output).lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    };
    let words = ["analysis", "test", "--expr", "isNaN(result[0]) || result[0] < 0.05", "--result"];
    let from_file = desk.okra(&[&words[..], &["cases.jsonl"]].concat());
    assert_eq!(from_file.status.code(), Some(1), "one case is no JSON: {from_file:?}");
    let rows = lines(&from_file);
    let phases: Vec<&Value> = rows.iter().map(|row| &row["phase"]).collect();
    assert_eq!(phases, ["Successful", "Error", "Successful"]);
    assert_eq!(rows[2]["value"], "[NaN,{\"a\":-Inf}]");
    assert_eq!(rows[0]["error"], Value::Null);

    let mut command = desk.command(&[&words[..], &["-"]].concat());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("okra runs");
    child.stdin.take().expect("a pipe").write_all(b"[0.01]\n[0.9]").expect("okra reads");
    let from_stdin = child.wait_with_output().expect("okra ends");
    assert_eq!(from_stdin.status.code(), Some(2), "{from_stdin:?}");
    assert_eq!(lines(&from_stdin)[1]["phase"], "Failed");

    let undecided = desk.okra(&[
        "analysis",
        "test",
        "--expr",
        "result < 1",
        "--failure",
        "result > 2",
        "--result",
        "1.5",
    ]);
    assert_eq!(undecided.status.code(), Some(5), "{undecided:?}");
    let neither = desk.okra(&["analysis", "test", "--expr", "result < 1", "--result", "nowhere.json"]);
    assert_eq!(neither.status.code(), Some(1));
    assert!(stderr(&neither).contains("--result is no JSON"), "{neither:?}");
}

#[test]
fn recorded_values_are_played_without_asking_anybody() {
    let desk = Desk::new();
    desk.write("t.json", &template(&json!({"interval": "1m"})));
    desk.write("values.yaml", "metrics:\n  errors: [0.01, {result: 0.2, took: 3s}, .nan]\n");
    let words = ["analysis", "simulate", "-f", "t.json", "-a", "url=http://never.invalid", "--measurements"];
    let played = desk.okra(&[&words[..], &["values.yaml", "-o", "json"]].concat());
    assert_eq!(played.status.code(), Some(2), "{played:?}");
    let document: Value = serde_json::from_str(&stdout(&played)).expect("JSON");
    let last = document["phases"].as_array().and_then(|phases| phases.last()).expect("phases");
    // Twice a minute and a moment, and the three seconds of the second.
    assert_eq!(last["phase"], "Failed");
    assert!(last["at"].as_str().is_some_and(|at| at.starts_with("1970-01-01T00:02:03")), "{document}");
    let short = desk.okra(&[&words[..], &["-"]].concat());
    assert_eq!(short.status.code(), Some(1), "an empty recording is none: {short:?}");
    desk.write("one.json", r#"{"metrics": {"errors": [0.01]}}"#);
    let short = desk.okra(&[&words[..], &["one.json"]].concat());
    assert_eq!(short.status.code(), Some(3), "{short:?}");
}

#[test]
fn templates_are_checked_before_they_are_applied() {
    let desk = Desk::new();
    desk.write("t.json", &template(&json!({})));
    let good = desk.okra(&["lint", "-f", "t.json"]);
    assert_eq!((good.status.code(), stdout(&good).as_str()), (Some(0), ""), "{good:?}");
    desk.write("t.json", &template(&json!({"successCondition": "reslt < 1", "interval": "1"})));
    let bad = desk.okra(&["lint", "-f", "t.json", "-o", "json"]);
    assert_eq!(bad.status.code(), Some(1), "{bad:?}");
    let found: Value = serde_json::from_str(&stdout(&bad)).expect("JSON");
    let paths: Vec<&Value> = found.as_array().expect("a list").iter().map(|one| &one["path"]).collect();
    assert_eq!(
        paths,
        ["spec.metrics[0].interval", "spec.metrics[0].successCondition", "spec.args[1]"],
        "{found}"
    );
}
