//! The load generator: a fixed rate on kept connections, never a retry.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use okra_clock::SharedClock;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::backend::{FAULT_HEADER, VERSION_HEADER};

/// Longest wait for an answer before it counts as failed (`spec/okra.md` 8).
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// What to send where.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The listener of the load balancer.
    pub target: SocketAddr,
    /// Host header of every request; it chooses the rule.
    pub host: String,
    /// Requests per second over all connections.
    pub rate: u32,
    /// Connections kept open.
    pub connections: u32,
}

/// How one request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A version answered as it should.
    Served {
        /// The version that answered.
        version: String,
    },
    /// A version answered with an error that was asked for.
    InjectedError {
        /// The version that answered.
        version: String,
    },
    /// The client saw a failure that nobody asked for.
    Failed {
        /// What it saw.
        reason: String,
    },
}

impl Outcome {
    /// The version that answered, if one did.
    pub fn version(&self) -> Option<&str> {
        match self {
            Self::Served { version } | Self::InjectedError { version } => Some(version),
            Self::Failed { .. } => None,
        }
    }
}

/// One request, as its sender saw it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// When it was begun, on the monotonic clock.
    pub begun: Duration,
    /// From the first byte sent to the last byte read.
    pub latency: Duration,
    /// How it ended.
    pub outcome: Outcome,
}

/// A running load generator.
#[derive(Debug)]
pub struct Load {
    answers: Arc<Mutex<Vec<Answer>>>,
    stop: CancellationToken,
    senders: TaskTracker,
}

impl Load {
    /// Starts sending at once.
    pub fn start(settings: &Settings, clock: SharedClock) -> Self {
        let answers = Arc::new(Mutex::new(Vec::new()));
        let stop = CancellationToken::new();
        let senders = TaskTracker::new();
        let period = Duration::from_secs_f64(f64::from(settings.connections) / f64::from(settings.rate));
        for index in 0..settings.connections {
            let sender = Sender {
                settings: settings.clone(),
                clock: clock.clone(),
                connection: None,
                answers: answers.clone(),
            };
            let offset = period.mul_f64(f64::from(index) / f64::from(settings.connections));
            senders.spawn(sender.run(offset, period, stop.clone()));
        }
        senders.close();
        Self { answers, stop, senders }
    }

    /// Calls `look` with all answers so far, in the order in which they ended.
    pub fn look<T>(&self, look: impl FnOnce(&[Answer]) -> T) -> T {
        look(&self.answers.lock().expect("no sender panics while it holds the list"))
    }

    /// Ends the senders, waits for the answers under way, and gives all answers.
    pub async fn finish(self) -> Vec<Answer> {
        self.stop.cancel();
        self.senders.wait().await;
        std::mem::take(&mut *self.answers.lock().expect("no sender panics while it holds the list"))
    }
}

struct Sender {
    settings: Settings,
    clock: SharedClock,
    connection: Option<SendRequest<Empty<Bytes>>>,
    answers: Arc<Mutex<Vec<Answer>>>,
}

impl Sender {
    async fn run(mut self, offset: Duration, period: Duration, stop: CancellationToken) {
        self.clock.sleep(offset).await;
        let mut ticks = tokio::time::interval(period);
        // A slow answer delays the requests behind it; it must not make a burst of them.
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.cancelled() => return,
            }
            let begun = self.clock.monotonic();
            let outcome = match tokio::time::timeout(ANSWER_TIMEOUT, self.request()).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(reason)) => self.failed(reason),
                Err(_) => self.failed(format!("no answer within {ANSWER_TIMEOUT:?}")),
            };
            let latency = self.clock.monotonic() - begun;
            let answer = Answer { begun, latency, outcome };
            self.answers.lock().expect("no sender panics while it holds the list").push(answer);
        }
    }

    fn failed(&mut self, reason: String) -> Outcome {
        self.connection = None;
        Outcome::Failed { reason }
    }

    /// Sends one request on the kept connection. A connection that the load
    /// balancer has closed between two requests is opened again: that is
    /// ordinary keep-alive, and no request was under way.
    async fn request(&mut self) -> Result<Outcome, String> {
        let usable = match &mut self.connection {
            Some(connection) => connection.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            self.connection = Some(self.connect().await?);
        }
        let connection = self.connection.as_mut().expect("connected above");
        let request = Request::get("/")
            .header(header::HOST, &self.settings.host)
            .body(Empty::new())
            .map_err(|error| error.to_string())?;
        let response = connection.send_request(request).await.map_err(|error| chain(&error))?;
        let (head, body) = response.into_parts();
        body.collect().await.map_err(|error| chain(&error))?;
        Ok(judge(&head))
    }

    async fn connect(&self) -> Result<SendRequest<Empty<Bytes>>, String> {
        let stream =
            TcpStream::connect(self.settings.target).await.map_err(|error| format!("connect: {error}"))?;
        let _ = stream.set_nodelay(true);
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| chain(&error))?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// What counts as failed: any 5xx of the load balancer, and any 5xx of a
/// backend that was not asked for (`spec/okra.md` 8).
fn judge(head: &http::response::Parts) -> Outcome {
    let version = head.headers.get(VERSION_HEADER).and_then(|value| value.to_str().ok());
    match version {
        Some(version) if !head.status.is_server_error() => Outcome::Served { version: version.to_owned() },
        Some(version) if head.headers.contains_key(FAULT_HEADER) => {
            Outcome::InjectedError { version: version.to_owned() }
        }
        _ => Outcome::Failed { reason: format!("status {}", head.status) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::backend::{Backend, Behaviour};

    async fn until(load: &Load, wanted: usize) {
        let enough = async {
            while load.look(<[Answer]>::len) < wanted {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), enough).await.expect("answers arrive");
    }

    fn settings(target: SocketAddr) -> Settings {
        Settings { target, host: "web.example.com".into(), rate: 2000, connections: 4 }
    }

    #[tokio::test]
    async fn injected_errors_are_told_from_failures() {
        let behaviour = Behaviour { version: "2.0.0".into(), fault_percent: 50 };
        let backend = Backend::start(behaviour).await.unwrap();
        let load = Load::start(&settings(backend.address()), okra_clock::SystemClock::shared());
        until(&load, 20).await;
        let answers = load.finish().await;
        assert!(answers.iter().all(|answer| answer.outcome.version() == Some("2.0.0")), "{answers:?}");
        assert!(answers.iter().any(|answer| matches!(answer.outcome, Outcome::InjectedError { .. })));
        assert!(answers.iter().any(|answer| matches!(answer.outcome, Outcome::Served { .. })));
    }

    #[tokio::test]
    async fn a_refused_connection_is_a_failure() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        drop(listener);
        let load = Load::start(&settings(target), okra_clock::SystemClock::shared());
        until(&load, 4).await;
        let answers = load.finish().await;
        assert!(answers.iter().all(|answer| matches!(answer.outcome, Outcome::Failed { .. })), "{answers:?}");
    }
}
