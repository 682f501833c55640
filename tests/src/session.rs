//! A stateful service: applications that keep their sessions in a real Redis
//! (SC-01 of `spec/aws.md` 8).

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::clients;
use crate::eventually;

const SCRIPT: &str = include_str!("session.py");
/// A Redis without data is up within a second.
const START_BOUND: Duration = Duration::from_secs(20);

/// A process that ends with the value.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A Redis on a socket in a folder of its own. Ends with the value.
pub struct Redis {
    folder: TempDir,
    _process: Owned,
}

impl Redis {
    /// Starts one.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for Redis");
        let process = Command::new(clients::redis())
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket", "redis.sock", "--dir"])
            .arg(folder.path())
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server runs");
        let redis = Self { folder, _process: Owned(process) };
        eventually("Redis listens", START_BOUND, || {
            redis.socket().exists().then_some(()).ok_or_else(|| "no socket yet".to_owned())
        });
        redis
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }
}

/// One application process. Ends with the value.
pub struct Application {
    address: SocketAddr,
    _process: Owned,
}

impl Application {
    /// Starts one of this version on a free loopback port.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(redis: &Redis, version: &str) -> Self {
        let mut process = python().arg("app").arg(redis.socket()).arg(version).spawn().expect("python runs");
        let out = process.stdout.take().expect("stdout is piped");
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).expect("the application says its port");
        let port: u16 = line.trim().parse().expect("a port");
        Self { address: SocketAddr::from(([127, 0, 0, 1], port)), _process: Owned(process) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Sends requests, `{"method", "path", "session", "body"}` each, and gives
/// `{"status", "version", "body"}` for each.
///
/// # Panics
/// When one is not answered.
pub fn ask(address: SocketAddr, host: &str, requests: &Value) -> Vec<Value> {
    let mut client = python()
        .args(["ask", &address.to_string(), host])
        .stdin(Stdio::piped())
        .spawn()
        .expect("python runs");
    let mut stdin = client.stdin.take().expect("stdin is piped");
    stdin.write_all(requests.to_string().as_bytes()).expect("the client reads its requests");
    drop(stdin);
    let output = client.wait_with_output().expect("the client ends");
    assert!(output.status.success(), "a request was not answered");
    serde_json::from_slice(&output.stdout).expect("the client prints JSON")
}

fn python() -> Command {
    let mut command = Command::new(clients::python());
    command.arg("-c").arg(SCRIPT).stdin(Stdio::null()).stdout(Stdio::piped());
    command.current_dir(Path::new("/"));
    command
}
