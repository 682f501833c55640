//! A controller on client-go against a real listener: `make test-go` builds it
//! and runs this. Not among the tests that run by themselves, since a Go
//! compiler has to be fetched and kept warm for it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::process::Stdio;
use std::time::Duration;

use okra_apiserver::{Options, Server, Storage};
use tokio::net::TcpListener;
use tokio::process::Command;

/// The stories that the program tells, in order.
const STORIES: [&str; 11] = [
    "discovery",
    "informers",
    "conflicts",
    "apply",
    "election",
    "events",
    "custom",
    "metadata",
    "partial",
    "status",
    "release",
];

/// Each story has its own patience; this is for all of them.
const PATIENCE: Duration = Duration::from_secs(120);

async fn tell(watch_list: bool) {
    let server = Server::open(Options::new(Storage::Memory)).await.unwrap();
    let serving = server.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let endpoint = format!("https://{}", serving.local_address());
    std::fs::write(&kubeconfig, server.kubeconfig(&endpoint, "test")).unwrap();
    let program = std::env::var("OKRA_GO_CLIENT").expect("`make test-go` names the program");
    let output = Command::new(program)
        .env("KUBECONFIG", &kubeconfig)
        .env("KUBE_FEATURE_WatchListClient", watch_list.to_string())
        .env("HOME", folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, output).await.expect("the program ends").unwrap();
    let (told, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "after {told:?}:\n{error}");
    assert_eq!(told.lines().collect::<Vec<_>>(), STORIES);
    server.shutdown().await;
}

#[tokio::test]
async fn informers_that_list_and_watch() {
    tell(false).await;
}

#[tokio::test]
async fn informers_that_stream_their_lists() {
    tell(true).await;
}
