//! Small servers on loopback, some of them hostile.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::Client;
use crate::address::AddressPolicy;

/// What a server does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Status line, headers and body as they stand.
    Raw(Vec<u8>),
    /// The text, again and again, until the client goes.
    Endless(Vec<u8>),
    /// Nothing after these bytes.
    Hang(Vec<u8>),
}

impl Reply {
    pub(crate) fn ok(body: &str) -> Self {
        Self::status(200, "", body)
    }

    pub(crate) fn status(status: u16, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Raw(
            format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n{body}").into_bytes(),
        )
    }

    pub(crate) fn redirect(status: u16, location: &str) -> Self {
        Self::status(status, &format!("location: {location}\r\n"), "")
    }
}

/// A server on a free port of loopback that ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(Mutex::new(0));
        let (log, count) = (seen.clone(), connections.clone());
        let reply = Arc::new(reply);
        let task = tokio::spawn(async move {
            // The connections end with the server: their tasks are held here.
            let mut tasks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                *count.lock().unwrap() += 1;
                tasks.spawn(serve(stream, reply.clone(), log.clone()));
            }
        });
        Self { port, seen, connections, task }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The requests so far, whole.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

async fn serve(
    mut stream: TcpStream,
    reply: Arc<impl Fn(&str) -> Reply>,
    log: Arc<Mutex<Vec<String>>>,
) -> std::io::Result<()> {
    while let Some(request) = read_request(&mut stream).await? {
        log.lock().unwrap().push(request.clone());
        match reply(&request) {
            Reply::Raw(bytes) => stream.write_all(&bytes).await?,
            Reply::Endless(bytes) => loop {
                stream.write_all(&bytes).await?;
            },
            Reply::Hang(bytes) => {
                stream.write_all(&bytes).await?;
                std::future::pending::<()>().await;
            }
        }
    }
    Ok(())
}

async fn read_request(stream: &mut TcpStream) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if bytes.len() >= end + 4 + length {
                return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await? {
            0 => return Ok(None),
            read => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}

/// A client that may connect to loopback, as in the demo.
pub(crate) fn local_client() -> Client {
    Client::new(AddressPolicy::allowing(["127.0.0.0/8".parse().unwrap()]))
}
