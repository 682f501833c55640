//! Applications behind a target group: threads that answer HTTP/1.1.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// A backend that says which version it is. Ends with the value.
pub struct Backend {
    address: SocketAddr,
    application: Arc<Application>,
}

struct Application {
    version: String,
    stopped: AtomicBool,
    /// Percent of requests answered with 500 on purpose.
    fault_percent: AtomicU64,
    /// Whether the health check passes.
    healthy: AtomicBool,
    served: AtomicU64,
}

impl Backend {
    /// Starts one on a free loopback port.
    ///
    /// # Panics
    /// When no port is free.
    pub fn start(version: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let address = listener.local_addr().expect("a bound listener has an address");
        let application = Arc::new(Application {
            version: version.to_owned(),
            stopped: AtomicBool::new(false),
            fault_percent: AtomicU64::new(0),
            healthy: AtomicBool::new(true),
            served: AtomicU64::new(0),
        });
        let shared = application.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let shared = shared.clone();
                thread::spawn(move || shared.converse(stream));
            }
        });
        Self { address, application }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on this percent of the answers is a 500 made on purpose.
    pub fn fail(&self, percent: u64) {
        self.application.fault_percent.store(percent, Ordering::Relaxed);
    }

    /// From now on the health check passes or not.
    pub fn set_healthy(&self, healthy: bool) {
        self.application.healthy.store(healthy, Ordering::Relaxed);
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.application.stopped.store(true, Ordering::Relaxed);
        // Wakes the accepting thread, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

impl Application {
    fn converse(&self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let Ok(mut writer) = stream.try_clone() else { return };
        let mut reader = BufReader::new(stream);
        while !self.stopped.load(Ordering::Relaxed) {
            let Some(path) = read_request(&mut reader) else { return };
            if writer.write_all(self.answer(&path).as_bytes()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, path: &str) -> String {
        if path == "/healthz" {
            let status =
                if self.healthy.load(Ordering::Relaxed) { "200 OK" } else { "503 Service Unavailable" };
            return format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        }
        let before = self.served.fetch_add(1, Ordering::Relaxed);
        let share = self.fault_percent.load(Ordering::Relaxed);
        let faulty = (before + 1) * share / 100 != before * share / 100;
        let head = if faulty { "500 Internal Server Error\r\nx-okra-fault: injected" } else { "200 OK" };
        format!("HTTP/1.1 {head}\r\nx-okra-version: {}\r\ncontent-length: 3\r\n\r\nok\n", self.version)
    }
}

/// The path of the next request; `None` when the peer is done.
fn read_request(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut path = None;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            return path;
        }
        if path.is_none() {
            path = Some(line.split(' ').nth(1)?.to_owned());
        }
    }
}
