//! The data plane on real sockets, on a clock that only tests move.

mod backend;
mod failures;
mod health;
mod protocol;
mod traffic;

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};

use super::*;
use crate::clock::SeededChance;
use backend::Backend;

/// No wait of a test is longer; it ends a test that would hang.
const BOUND: Duration = Duration::from_secs(30);

/// A clock that stands still until it is moved. Moving it wakes those alone
/// whose time has come, so no test passes because of a chance wake-up.
#[derive(Debug, Default)]
pub(super) struct ManualClock {
    state: Mutex<ManualTime>,
}

#[derive(Debug, Default)]
struct ManualTime {
    passed: Duration,
    sleepers: Vec<(Duration, oneshot::Sender<()>)>,
}

impl ManualClock {
    const START: i64 = 1_800_000_000;

    fn advance(&self, by: Duration) {
        let mut state = self.state.lock().unwrap();
        state.passed += by;
        let now = state.passed;
        for (_, sleeper) in state.sleepers.extract_if(.., |(until, _)| *until <= now) {
            // Whoever slept may have been dropped.
            let _ = sleeper.send(());
        }
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(Self::START).unwrap() + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        self.state.lock().unwrap().passed
    }

    async fn sleep(&self, duration: Duration) {
        let (sleeper, woken) = oneshot::channel();
        {
            let mut state = self.state.lock().unwrap();
            let until = state.passed + duration;
            if duration.is_zero() {
                return;
            }
            state.sleepers.push((until, sleeper));
        }
        woken.await.unwrap();
    }
}

/// A data plane with one load balancer `lb` and one listener.
struct World {
    plane: DataPlane,
    clock: Arc<ManualClock>,
    address: SocketAddr,
}

impl Deref for World {
    type Target = DataPlane;

    fn deref(&self) -> &DataPlane {
        &self.plane
    }
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let plane = DataPlane::new(Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(SeededChance::new(7)));
        let (socket, address) = bind(&[]).unwrap();
        plane.adopt(socket).unwrap();
        Self { plane, clock, address }
    }

    fn topology(
        &self,
        rules: Vec<Rule>,
        default_action: Action,
        target_groups: Vec<TargetGroup>,
    ) -> Topology {
        let listener = Listener { arn: "listener".into(), address: self.address, rules, default_action };
        let balancer = LoadBalancer {
            arn: "lb".into(),
            idle_timeout: Duration::from_secs(60),
            listeners: vec![listener],
        };
        Topology { load_balancers: vec![balancer], target_groups }
    }

    fn serve(&self, default_action: Action, target_groups: Vec<TargetGroup>) {
        let failures = self.apply(self.topology(Vec::new(), default_action, target_groups));
        assert!(failures.is_empty(), "{failures:?}");
    }

    /// A world that serves one group `blue` of one healthy backend.
    async fn with(backend: &Backend) -> Self {
        let world = Self::new();
        world.serve(forward(&[("blue", 1)]), vec![group("blue", &[backend])]);
        world.wait_for("blue", &[TargetState::Healthy]).await;
        world
    }

    fn states(&self, group: &str) -> Vec<TargetState> {
        self.target_health(group).unwrap().iter().map(|health| health.state).collect()
    }

    /// Waits until the targets of a group are in these states.
    async fn wait_for(&self, group: &str, wanted: &[TargetState]) {
        let mut changes = self.changes();
        let reached = async {
            while self.states(group) != wanted {
                changes.changed().await.unwrap();
            }
        };
        let waited = tokio::time::timeout(BOUND, reached).await;
        assert!(waited.is_ok(), "{group}: {:?}, not {wanted:?}", self.states(group));
    }

    /// Waits until one target of a group is in a state.
    async fn wait_for_target(&self, group: &str, target: Target, wanted: TargetState) -> TargetHealth {
        let mut changes = self.changes();
        let reached = async {
            loop {
                let told = self.target_health(group).unwrap();
                if let Some(health) = told.into_iter().find(|health| health.target == target)
                    && health.state == wanted
                {
                    return health;
                }
                changes.changed().await.unwrap();
            }
        };
        tokio::time::timeout(BOUND, reached).await.unwrap_or_else(|_| panic!("{target:?} is not {wanted:?}"))
    }

    async fn client(&self) -> HttpClient {
        HttpClient::connect(self.address).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.client().await.get(path).await
    }

    fn count(&self, arn: &str, counter: Counter) -> u64 {
        let all = Timestamp::UNIX_EPOCH..Timestamp::MAX;
        self.statistics(arn, all).unwrap().count(counter)
    }
}

fn forward(weights: &[(&str, u32)]) -> Action {
    let group = |(arn, weight): &(&str, u32)| WeightedGroup { arn: (*arn).into(), weight: *weight };
    Action::Forward(Forward { groups: weights.iter().map(group).collect(), stickiness: None })
}

fn group(arn: &str, backends: &[&Backend]) -> TargetGroup {
    TargetGroup {
        arn: arn.into(),
        protocol: Protocol::Http,
        health_check: HealthCheck { path: "/healthz".into(), healthy_threshold: 3, ..HealthCheck::default() },
        deregistration_delay: Duration::from_secs(10),
        algorithm: Algorithm::RoundRobin,
        lb_cookie: None,
        targets: backends.iter().map(|backend| backend.target()).collect(),
    }
}

/// An answer, read to its end.
#[derive(Debug)]
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    /// Name of the backend that answered.
    fn backend(&self) -> &str {
        self.headers["x-backend"].to_str().unwrap()
    }

    /// The cookie pairs that it sets, as a request sends them back.
    fn cookies(&self) -> String {
        let pairs = self.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
        let pairs: Vec<_> = pairs.map(|line| line.split(';').next().unwrap()).collect();
        pairs.join("; ")
    }
}

/// One kept connection of a client.
struct HttpClient {
    sender: SendRequest<Full<Bytes>>,
}

impl HttpClient {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Reply, hyper::Error> {
        self.sender.ready().await?;
        let (parts, body) = self.sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Reply { status: parts.status, headers: parts.headers, body })
    }

    async fn wait_for_close(&mut self) {
        let closed = async {
            while !self.sender.is_closed() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(BOUND, closed).await.expect("not closed");
    }

    async fn get(&mut self, path: &str) -> Reply {
        self.get_with(path, &[]).await
    }

    async fn get_with(&mut self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = Request::get(path).header("host", "test.example.com");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = self.send(request.body(Full::default()).unwrap());
        tokio::time::timeout(BOUND, sent).await.expect("no answer").unwrap()
    }
}

/// Writes bytes to the listener and reads until it has closed.
async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    // A reset after the answer is a close too.
    let _ = tokio::time::timeout(BOUND, read).await.expect("not closed");
    String::from_utf8(answer).unwrap()
}

/// Waits until nobody listens at an address.
async fn wait_for_refusal(address: SocketAddr) {
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            settle().await;
        }
    };
    tokio::time::timeout(BOUND, refused).await.expect("somebody listens");
}

/// Lets every task that can run do so, a few times over.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
