//! `okra install` on the embedded API, with kubectl, and the controller-manager
//! as the service account that it makes: elected, observed from outside, and
//! stopped as a node stops a pod.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use okra_tests::eventually;
use okra_tests::process::{LocalMode, Running, okra_binary};
use okra_tests::world::{World, cell, target_group_set};
use serde_json::{Value, json};

const BOUND: Duration = Duration::from_secs(90);
const NAMESPACE: &str = "okra-system";

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Pipes the manifests into kubectl, as the help says. Local mode has installed
/// the definitions already, under a name of its own.
fn install(local: &LocalMode) -> String {
    let manifests = succeeded(&local.okra(&["install", "--print"]));
    let mut apply = local
        .command(okra_tests::clients::kubectl())
        .args(["apply", "--server-side", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kubectl runs");
    apply.stdin.take().expect("stdin is piped").write_all(manifests.as_bytes()).expect("kubectl reads");
    succeeded(&apply.wait_with_output().expect("kubectl ends"))
}

/// A kubeconfig with the rights of the installation's service account, no more.
fn kubeconfig(local: &LocalMode) -> PathBuf {
    let text = succeeded(&local.kubectl(&["config", "view", "--raw", "-o", "json"]));
    let mut config: Value = serde_json::from_str(&text).expect("kubectl prints JSON");
    config["users"][0]["user"]["as"] = json!(format!("system:serviceaccount:{NAMESPACE}:okra"));
    config["users"][0]["user"]["as-groups"] = json!(["system:serviceaccounts", "system:authenticated"]);
    config["contexts"][0]["context"]["namespace"] = json!(NAMESPACE);
    let file = local.home().join("okra.kubeconfig");
    std::fs::write(&file, config.to_string()).expect("a kubeconfig can be written");
    file
}

/// An address that nothing listens on.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

fn controller_manager(local: &LocalMode, log: &str, address: SocketAddr) -> Running {
    let mut command = local.command(okra_binary());
    command.args(["controller-manager", "--log-json", "--log-level=info", "--health-poll=100ms"]);
    command.args(["--sync-period=1s", &format!("--metrics-bind-address={address}")]);
    command.env("KUBECONFIG", kubeconfig(local));
    Running::start(&mut command, &local.home().join(log))
}

/// Status and body of a GET.
fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(BOUND)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: okra\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

fn wait_for(address: SocketAddr, path: &str, process: &Running) -> String {
    eventually(path, BOUND, || match get(address, path) {
        Some((200, body)) => Ok(body),
        other => Err(format!("{other:?}; {}", process.log())),
    })
}

fn holder(local: &LocalMode) -> String {
    let lease = local.kubectl(&["get", "lease", "okra", "-n", NAMESPACE, "-o", "json"]);
    let lease: Value = serde_json::from_slice(&lease.stdout).unwrap_or_default();
    lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn what_is_installed_swaps_is_watched_from_outside_and_stops_gracefully() {
    let local = LocalMode::up(&["--no-controllers"]);
    let applied = install(&local);
    for object in [
        "namespace/okra-system",
        "deployment.apps/okra",
        "poddisruptionbudget.policy/okra",
        "cells.okra.mumo.co",
    ] {
        assert!(applied.contains(object), "{object} is missing: {applied}");
    }
    // A second time changes nothing and is refused nothing.
    install(&local);

    let first_address = free_address();
    let mut first = controller_manager(&local, "first.log", first_address);
    wait_for(first_address, "/healthz", &first);
    wait_for(first_address, "/readyz", &first);
    let world = World::build(&local);
    let _cluster = world.add_cluster(&local, "web-1-v1", "1.0.0");
    local.apply(&[target_group_set(), cell(&world, 1, &json!([]))]);
    local.wait_for("cell", "web", BOUND, |cell| cell["status"]["phase"] == "Completed");
    let metrics = wait_for(first_address, "/metrics", &first);
    assert!(metrics.contains("okra_") && metrics.trim_end().ends_with("# EOF"), "{metrics}");
    assert_eq!(get(first_address, "/").map(|(status, _)| status), Some(404));

    // Two replicas: one leads, the other is ready and waits.
    let leader = holder(&local);
    assert!(!leader.is_empty());
    let second_address = free_address();
    let mut second = controller_manager(&local, "second.log", second_address);
    wait_for(second_address, "/readyz", &second);
    assert_eq!(holder(&local), leader);

    // SIGTERM lets go of the lease: the other leads without waiting for its end.
    assert_eq!(first.terminate(), 0, "{}", first.log());
    eventually("the other leads", BOUND, || match holder(&local) {
        name if !name.is_empty() && name != leader => Ok(()),
        name => Err(name),
    });
    for line in first.log().lines() {
        let entry: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        assert!(entry["level"].is_string() && entry["timestamp"].is_string(), "{line}");
    }
    assert!(first.log().contains("no longer leading"), "{}", first.log());
    assert_eq!(second.terminate(), 0, "{}", second.log());
    assert_eq!(holder(&local), "", "the last one has let go too");
}

#[test]
fn beside_a_running_go_program_okra_does_not_start() {
    let local = LocalMode::up(&["--no-controllers"]);
    install(&local);
    let lock = json!({
        "holderIdentity": "okra-go-1", "leaseDurationSeconds": 15, "leaderTransitions": 1,
        "acquireTime": "2099-01-01T00:00:00Z", "renewTime": "2099-01-01T00:00:00Z",
    });
    local.apply(&[json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "okra", "namespace": NAMESPACE,
            "annotations": {"control-plane.alpha.kubernetes.io/leader": lock.to_string()}},
    })]);
    let mut manager = controller_manager(&local, "manager.log", free_address());
    let code = eventually("its end", BOUND, || manager.exit_code().ok_or_else(|| manager.log()));
    assert_eq!(code, 1);
    assert!(manager.log().contains("the Go program still runs as okra-go-1"), "{}", manager.log());
}
