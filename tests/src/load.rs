//! Clients on kept connections that count what they see and never retry.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Longest wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Gap between two requests of one connection: it bounds the load.
const GAP: Duration = Duration::from_millis(10);

/// What clients saw so far.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Answers by version, errors made on purpose included.
    pub by_version: BTreeMap<String, usize>,
    /// Failures that nobody asked for, by what was seen.
    pub failures: BTreeMap<String, usize>,
}

impl Seen {
    /// All failures.
    pub fn failed(&self) -> usize {
        self.failures.values().sum()
    }

    /// All answers.
    pub fn answered(&self) -> usize {
        self.by_version.values().sum()
    }
}

/// Running clients.
pub struct Load {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts `connections` clients of `target`, choosing the rule by `host`.
    pub fn start(target: SocketAddr, host: &str, connections: usize) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..connections)
            .map(|_| {
                let (seen, stop, host) = (seen.clone(), stop.clone(), host.to_owned());
                thread::spawn(move || client(target, &host, &seen, &stop))
            })
            .collect();
        Self { seen, stop, threads }
    }

    /// What was seen so far.
    ///
    /// # Panics
    /// When a client has panicked.
    pub fn seen(&self) -> Seen {
        self.seen.lock().expect("no client panics").clone()
    }

    /// Forgets what was seen, to look at what comes next.
    ///
    /// # Panics
    /// When a client has panicked.
    pub fn forget_versions(&self) {
        self.seen.lock().expect("no client panics").by_version.clear();
    }

    /// Ends the clients and tells what they saw.
    ///
    /// # Panics
    /// When a client has panicked.
    pub fn finish(mut self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("no client panics");
        }
        self.seen()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn client(target: SocketAddr, host: &str, seen: &Mutex<Seen>, stop: &AtomicBool) {
    let mut connection = None;
    while !stop.load(Ordering::Relaxed) {
        let outcome = request(&mut connection, target, host);
        let mut seen = seen.lock().expect("no client panics");
        match outcome {
            Ok(version) => *seen.by_version.entry(version).or_default() += 1,
            Err(reason) => {
                connection = None;
                *seen.failures.entry(reason).or_default() += 1;
            }
        }
        drop(seen);
        thread::sleep(GAP);
    }
}

fn request(
    connection: &mut Option<BufReader<TcpStream>>,
    target: SocketAddr,
    host: &str,
) -> Result<String, String> {
    let text = |error: std::io::Error| error.to_string();
    let reader = match connection {
        Some(reader) => reader,
        None => {
            let stream = TcpStream::connect(target).map_err(text)?;
            stream.set_read_timeout(Some(ANSWER_TIMEOUT)).map_err(text)?;
            stream.set_nodelay(true).map_err(text)?;
            connection.insert(BufReader::new(stream))
        }
    };
    let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n");
    reader.get_mut().write_all(request.as_bytes()).map_err(text)?;
    let head = read_head(reader)?;
    let mut body = vec![0; head.length];
    reader.read_exact(&mut body).map_err(text)?;
    if head.closes {
        *connection = None;
    }
    match head.version {
        Some(version) if head.status < 500 || head.injected => Ok(version),
        _ => Err(format!("status {}", head.status)),
    }
}

#[derive(Default)]
struct Head {
    status: u16,
    length: usize,
    version: Option<String>,
    injected: bool,
    closes: bool,
}

fn read_head(reader: &mut BufReader<TcpStream>) -> Result<Head, String> {
    let mut head = Head::default();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).map_err(|error| error.to_string())? == 0 {
            return Err("closed before an answer".into());
        }
        if line == "\r\n" {
            return Ok(head);
        }
        if head.status == 0 {
            head.status =
                line.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or("no status line")?;
        } else if let Some((name, value)) = line.split_once(':') {
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => head.length = value.parse().map_err(|_| "a bad content-length")?,
                "x-okra-version" => head.version = Some(value.to_owned()),
                "x-okra-fault" => head.injected = value == "injected",
                "connection" => head.closes = value.eq_ignore_ascii_case("close"),
                _ => {}
            }
        }
    }
}
