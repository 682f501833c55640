//! A server that answers what a test says, and keeps what it was asked.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Requests that are kept.
const REQUESTS_MAX: usize = 1_000;

/// An HTTP/1.1 server on loopback. Ends with the value.
pub struct Answers {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    stopped: AtomicBool,
    body: Mutex<String>,
    requests: Mutex<Vec<String>>,
}

impl Answers {
    /// Starts one that answers every request with this body.
    ///
    /// # Panics
    /// When no port is free.
    pub fn start(body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared {
            stopped: AtomicBool::new(false),
            body: Mutex::new(body.to_owned()),
            requests: Mutex::default(),
        });
        let serving = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let serving = serving.clone();
                thread::spawn(move || serving.answer(stream));
            }
        });
        Self { address, shared }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it answers this.
    pub fn say(&self, body: &str) {
        *self.shared.body.lock().unwrap_or_else(PoisonError::into_inner) = body.to_owned();
    }

    /// The heads of all requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // Wakes the accepting thread, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    /// One request a connection: its head, then the answer.
    fn answer(&self, stream: TcpStream) {
        let Ok(mut writer) = stream.try_clone() else { return };
        let mut head = String::new();
        let mut reader = BufReader::new(stream);
        while reader.read_line(&mut head).is_ok_and(|bytes| bytes > 2) {}
        if head.is_empty() {
            return;
        }
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if requests.len() < REQUESTS_MAX {
            requests.push(head);
        }
        drop(requests);
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Prometheus wants to know what it scrapes.
        let kind = if body.starts_with('#') { "text/plain; version=0.0.4" } else { "application/json" };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close");
        // A peer that has gone away needs no answer.
        let _ = write!(writer, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    }
}
