//! Requests per second through the data plane, and the latency that it adds.
//!
//! Backend, load balancer and load generator share one process and its cores,
//! as they do in a demo. A plain loop, printed as one line; nothing is judged.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use okra_region::clock::{Clock, SeededChance, SystemClock};
use okra_region::dataplane::{
    Action, Algorithm, DataPlane, Forward, HealthCheck, Listener, LoadBalancer, Protocol, Target,
    TargetGroup, TargetState, Topology, WeightedGroup, bind,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Kept connections of the load generator, as in the measurement of HAProxy
/// that ours is compared with.
const CONNECTIONS: usize = 64;
/// Time that is not counted: connections open, pools fill.
const WARM_UP: Duration = Duration::from_secs(1);
/// Time that is.
const MEASURED: Duration = Duration::from_secs(3);

const REQUEST: &[u8] =
    b"GET /bench HTTP/1.1\r\nhost: bench.example.com\r\nuser-agent: bench\r\naccept: */*\r\n\r\n";
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ndate: Sat, 01 Jan 2000 00:00:00 GMT\r\ncontent-type: text/plain\r\n\
    content-length: 13\r\n\r\nHello, world!";

#[tokio::main]
async fn main() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let backend = backend().await;
    let (plane, listener) = balancer(Arc::clone(&clock), backend).await;
    let direct = measure(&clock, backend).await;
    let through = measure(&clock, listener).await;
    plane.shutdown().await;
    println!(
        "load balancer: {:.0} requests/s, p99 {:.2} ms ({CONNECTIONS} connections); direct {:.0} requests/s, \
         p99 {:.2} ms; added p99 {:.2} ms",
        through.rate(),
        millis(through.p99()),
        direct.rate(),
        millis(direct.p99()),
        millis(through.p99()) - millis(direct.p99()),
    );
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Answers every request with the same bytes.
async fn backend() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    address
}

async fn answer(mut stream: TcpStream) {
    let mut heard = Vec::with_capacity(4096);
    let _ = stream.set_nodelay(true);
    while let Ok(1..) = stream.read_buf(&mut heard).await {
        if heard.ends_with(b"\r\n\r\n") {
            heard.clear();
            if stream.write_all(ANSWER).await.is_err() {
                return;
            }
        }
    }
}

async fn balancer(clock: Arc<dyn Clock>, backend: SocketAddr) -> (DataPlane, SocketAddr) {
    let plane = DataPlane::new(clock, Arc::new(SeededChance::new(1)));
    let (socket, address) = bind(&[]).expect("a free port");
    plane.adopt(socket).expect("a bound socket");
    let group = TargetGroup {
        arn: "group".into(),
        protocol: Protocol::Http,
        health_check: HealthCheck::default(),
        deregistration_delay: Duration::ZERO,
        algorithm: Algorithm::RoundRobin,
        lb_cookie: None,
        targets: vec![Target { ip: backend.ip(), port: backend.port() }],
    };
    let groups = vec![WeightedGroup { arn: "group".into(), weight: 100 }];
    let default_action = Action::Forward(Forward { groups, stickiness: None });
    let listener = Listener { arn: "listener".into(), address, rules: Vec::new(), default_action };
    let balancer =
        LoadBalancer { arn: "lb".into(), idle_timeout: Duration::from_secs(60), listeners: vec![listener] };
    let failures = plane.apply(Topology { load_balancers: vec![balancer], target_groups: vec![group] });
    assert!(failures.is_empty(), "{failures:?}");
    let healthy =
        || plane.target_health("group").is_some_and(|health| health[0].state == TargetState::Healthy);
    let mut changes = plane.changes();
    while !healthy() {
        changes.changed().await.expect("the data plane lives");
    }
    (plane, address)
}

/// Response times of all counted requests, shortest first.
struct Measured(Vec<Duration>);

impl Measured {
    fn rate(&self) -> f64 {
        self.0.len() as f64 / MEASURED.as_secs_f64()
    }

    fn p99(&self) -> Duration {
        self.0.get(self.0.len() * 99 / 100).copied().unwrap_or_default()
    }
}

async fn measure(clock: &Arc<dyn Clock>, address: SocketAddr) -> Measured {
    let begin = clock.monotonic() + WARM_UP;
    let clients: Vec<_> =
        (0..CONNECTIONS).map(|_| tokio::spawn(client(Arc::clone(clock), address, begin))).collect();
    let mut times = Vec::new();
    for client in clients {
        times.extend(client.await.expect("a client does not panic"));
    }
    times.sort_unstable();
    Measured(times)
}

/// One request after the other; counts those that begin in the measured time.
async fn client(clock: Arc<dyn Clock>, address: SocketAddr, begin: Duration) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).await.expect("the listener accepts");
    stream.set_nodelay(true).expect("an open socket");
    let (mut times, mut read) = (Vec::new(), Vec::with_capacity(4096));
    loop {
        let sent = clock.monotonic();
        if sent >= begin + MEASURED {
            return times;
        }
        stream.write_all(REQUEST).await.expect("no request is lost");
        read.clear();
        while !read.ends_with(b"Hello, world!") {
            let count = stream.read_buf(&mut read).await.expect("no request is lost");
            assert_ne!(count, 0, "no request is lost");
        }
        assert!(read.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&read));
        if sent >= begin {
            times.push(clock.monotonic() - sent);
        }
    }
}
