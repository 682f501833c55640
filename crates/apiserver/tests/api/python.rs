//! The official Python client against a real listener.

use std::path::Path;
use std::process::Stdio;

use okra_apiserver::{Options, Server, Storage};
use tokio::net::TcpListener;
use tokio::process::Command;

/// The stories that the program tells, in order.
const STORIES: [&str; 7] = ["crud", "pages", "patches", "watches", "tokens", "custom_resources", "errors"];

/// How long the program may take: it starts slowly on a busy machine.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

#[tokio::test]
async fn the_official_python_client_finds_everything_in_its_place() {
    let server = Server::open(Options::new(Storage::Memory)).await.unwrap();
    let serving = server.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let endpoint = format!("https://{}", serving.local_address());
    std::fs::write(&kubeconfig, server.kubeconfig(&endpoint, "test")).unwrap();

    let python = std::env::var("OKRA_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/client.py");
    let output = Command::new(python)
        .arg(program)
        .env("KUBECONFIG", &kubeconfig)
        .env("HOME", folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output =
        tokio::time::timeout(PATIENCE, output).await.expect("python ends").expect("python is installed");
    let (told, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "after {told:?}:\n{error}");
    assert_eq!(told.lines().collect::<Vec<_>>(), STORIES);
    server.shutdown().await;
}
