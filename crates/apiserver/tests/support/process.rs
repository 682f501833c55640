//! A server in a child process that can be killed at any moment.

#![allow(clippy::print_stdout, reason = "the child tells its parent where it listens")]

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use okra_apiserver::{Options, Server, Storage};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::door::Identity;

/// Set in the child: the folder of its objects.
const FOLDER: &str = "OKRA_APISERVER_CHILD_FOLDER";

/// What the child says before its address.
const LISTENING: &str = "listening on ";

/// The folder this process is to serve, if it is a child.
pub fn asked_to_serve() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// The child's whole life: serves until the parent is gone or kills it.
pub async fn serve(options: impl FnOnce(Storage) -> Options, folder: &Path) {
    let server = Server::open(options(Storage::Directory(folder.to_owned()))).await.expect("it opens");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let serving = server.serve(listener).await.expect("it serves");
    let kubeconfig = server.kubeconfig(&format!("https://{}", serving.local_address()), "test");
    let file = folder.join("kubeconfig");
    if !file.exists() {
        std::fs::write(file, kubeconfig).expect("the folder can be written");
    }
    println!("{LISTENING}{}", serving.local_address());
    let orphaned = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    drop(orphaned.await);
    server.shutdown().await;
}

/// A running child; dropping it kills it.
pub struct ServerProcess {
    child: Child,
    pub address: SocketAddr,
    folder: PathBuf,
    /// The child ends when this closes, whatever becomes of the parent.
    stdin: Option<ChildStdin>,
    /// Open for as long as the child may print.
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl ServerProcess {
    /// Starts this executable again with `arguments`; returns once it listens.
    pub async fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this executable"))
            .args(arguments)
            .env(FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("this executable starts");
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(stdout).lines();
        let address = loop {
            let line = lines.next_line().await.expect("a pipe").expect("the server ended before it listened");
            if let Some((_, address)) = line.split_once(LISTENING) {
                break address.parse().expect("an address");
            }
        };
        Self { child, address, folder: folder.to_owned(), stdin, _stdout: lines }
    }

    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    pub fn identity(&self) -> Identity {
        let text = std::fs::read_to_string(self.folder.join("kubeconfig")).expect("a kubeconfig");
        Identity::from_kubeconfig(&text)
    }

    /// Ends the process as a crash would (`kill -9`).
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it can be killed");
    }

    /// Lets the process end in good order.
    pub async fn stop(mut self) {
        self.stdin.take();
        self.child.wait().await.expect("it ends");
    }
}
