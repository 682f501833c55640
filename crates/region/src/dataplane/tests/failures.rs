//! What clients see when targets fail, and when everything stops.

use super::*;
use TargetState::{Healthy, Initial};

/// A world whose group has this backend, checked elsewhere, so healthy.
async fn world_with_raw(raw: &Backend, healthy: &Backend) -> World {
    let world = World::new();
    let mut spec = group("blue", &[raw]);
    spec.health_check.port = Some(healthy.target().port);
    world.serve(forward(&[("blue", 1)]), vec![spec]);
    world.wait_for("blue", &[Healthy]).await;
    world
}

#[tokio::test]
async fn a_target_that_speaks_no_http_is_a_502() {
    let healthy = Backend::start("healthy").await;
    for answer in [&b"what?\r\n\r\n"[..], b"", b"HTTP/1.1 200 OK\r\ncontent-le"] {
        let raw = Backend::saying(answer).await;
        let world = world_with_raw(&raw, &healthy).await;
        assert_eq!(world.get("/").await.status, 502, "{answer:?}");
        assert_eq!((world.count("lb", Counter::Elb502), world.count("blue", Counter::Elb502)), (1, 1));
    }
}

#[tokio::test]
async fn an_answer_without_length_ends_with_its_connection() {
    let healthy = Backend::start("healthy").await;
    let raw = Backend::saying(b"HTTP/1.0 200 OK\r\nserver: old\r\n\r\nall of it").await;
    let world = world_with_raw(&raw, &healthy).await;
    let mut client = world.client().await;
    for _ in 0..2 {
        let reply = client.get("/").await;
        assert_eq!((&reply.body[..], &reply.headers["server"]), (&b"all of it"[..], &"old".parse().unwrap()));
    }
}

#[tokio::test]
async fn a_broken_answer_does_not_look_whole() {
    let healthy = Backend::start("healthy").await;
    let raw = Backend::saying(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this").await;
    let world = world_with_raw(&raw, &healthy).await;
    let request = Request::get("/").header("host", "a").body(Full::default()).unwrap();
    assert!(world.client().await.send(request).await.is_err());
}

#[tokio::test]
async fn a_refused_connection_is_tried_once_elsewhere() {
    let (world, well, healthy) =
        (World::new(), Backend::start("well").await, Backend::start("healthy").await);
    let gone = Backend::start("gone").await;
    let mut spec = group("blue", &[&well, &gone]);
    spec.health_check.port = Some(healthy.target().port);
    world.serve(forward(&[("blue", 1)]), vec![spec.clone()]);
    world.wait_for("blue", &[Healthy, Healthy]).await;
    let target = gone.target();
    drop(gone);
    wait_for_refusal(target.address()).await;
    let mut client = world.client().await;
    for _ in 0..10 {
        assert_eq!(client.get("/").await.backend(), "well");
    }
    assert_eq!(world.count("blue", Counter::ConnectionErrors), 5);
    spec.targets = vec![target];
    world.serve(forward(&[("blue", 1)]), vec![spec]);
    assert_eq!(client.get("/").await.status, 502);
    assert_eq!(world.count("blue", Counter::ConnectionErrors), 7);
}

/// Answers the first request of each connection and closes on the second
/// without a byte, as a server does whose idle timeout ends just then.
async fn close_on_second(listener: tokio::net::TcpListener) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut heard = [0; 4096];
            assert_ne!(stream.read(&mut heard).await.unwrap(), 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            let _ = stream.read(&mut heard).await;
        });
    }
}

#[tokio::test]
async fn only_what_does_no_harm_twice_is_sent_again_when_a_kept_connection_ends() {
    let healthy = Backend::start("healthy").await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let raw = Backend::start("raw").await.at(listener.local_addr().unwrap());
    let serving = tokio::spawn(close_on_second(listener));
    let world = world_with_raw(&raw, &healthy).await;
    let mut client = world.client().await;
    let mut send = async |method: &str, body: &'static str| {
        let request = Request::builder().method(method).uri("/").header("host", "a");
        client.send(request.body(Full::from(body)).unwrap()).await.unwrap().status.as_u16()
    };
    assert_eq!(send("GET", "").await, 200);
    assert_eq!(send("GET", "").await, 200, "sent again on a connection of its own");
    assert_eq!(send("POST", "").await, 502, "the target may have acted on it");
    assert_eq!(send("GET", "").await, 200);
    assert_eq!(send("PUT", "body").await, 502, "its body is gone");
    assert_eq!(world.count("lb", Counter::Requests), 5, "a request counts once");
    assert_eq!(world.count("lb", Counter::Target2xx), 3);
    serving.abort();
}

#[tokio::test]
async fn an_answer_with_too_large_a_head_is_a_502() {
    let healthy = Backend::start("healthy").await;
    let head = format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n", "y".repeat(100_000));
    let raw = Backend::saying(head.leak().as_bytes()).await;
    let world = world_with_raw(&raw, &healthy).await;
    assert_eq!(world.get("/").await.status, 502);
}

#[tokio::test]
async fn a_silent_target_is_a_504_after_the_idle_timeout() {
    let blue = Backend::start("blue").await;
    let world = World::with(&blue).await;
    let mut client = world.client().await;
    let waiting = tokio::spawn(async move {
        let reply = client.get("/gate").await;
        (reply.status, client.get("/").await.status)
    });
    blue.wait_for_requests(1).await;
    world.clock.advance(Duration::from_secs(59));
    settle().await;
    assert!(!waiting.is_finished());
    world.clock.advance(Duration::from_secs(1));
    let (late, next) = waiting.await.unwrap();
    assert_eq!((late.as_u16(), next.as_u16()), (504, 200), "the client's connection goes on");
    assert_eq!(world.count("lb", Counter::Elb504), 1);
}

#[tokio::test]
async fn an_idle_client_is_closed() {
    let blue = Backend::start("blue").await;
    let world = World::with(&blue).await;
    let mut client = world.client().await;
    assert_eq!(client.get("/").await.status, 200);
    world.clock.advance(Duration::from_secs(59));
    assert_eq!(client.get("/").await.status, 200);
    world.clock.advance(Duration::from_secs(59));
    settle().await;
    assert_eq!(client.get("/").await.status, 200, "the time runs from the last byte");
    world.clock.advance(Duration::from_secs(60));
    client.wait_for_close().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_stalls_nobody() {
    use tokio::io::AsyncWriteExt;
    let blue = Backend::start("blue").await;
    let world = World::with(&blue).await;
    let mut lazy = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(b"GET /big HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        lazy.push(stream);
    }
    let mut client = world.client().await;
    for _ in 0..100 {
        assert_eq!(client.get("/").await.status, 200);
    }
}

#[tokio::test]
async fn shutdown_lets_requests_finish_and_closes_the_port() {
    let blue = Backend::start("blue").await;
    let world = Arc::new(World::with(&blue).await);
    let mut idle = world.client().await;
    idle.get("/").await;
    let mut client = world.client().await;
    let in_flight = tokio::spawn(async move { client.get("/gate").await });
    blue.wait_for_requests(1).await;
    let stopping = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.shutdown().await }
    });
    wait_for_refusal(world.address).await;
    assert!(!stopping.is_finished(), "a request is in flight");
    blue.open_gate();
    assert_eq!(in_flight.await.unwrap().body, "through");
    tokio::time::timeout(BOUND, stopping).await.unwrap().unwrap();
}

#[tokio::test]
async fn shutdown_does_not_wait_for_ever() {
    let blue = Backend::start("blue").await;
    let world = Arc::new(World::with(&blue).await);
    let mut client = world.client().await;
    let in_flight = tokio::spawn(async move {
        client.send(Request::get("/gate").header("host", "a").body(Full::default()).unwrap()).await
    });
    blue.wait_for_requests(1).await;
    let stopping = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.shutdown().await }
    });
    settle().await;
    let passing = async {
        while !stopping.is_finished() {
            world.clock.advance(SHUTDOWN_GRACE);
            settle().await;
        }
    };
    tokio::time::timeout(BOUND, passing).await.unwrap();
    assert!(in_flight.await.unwrap().is_err());
}

#[tokio::test]
async fn a_port_outlives_a_change_of_its_listener_and_comes_free_without_one() {
    let blue = Backend::start("blue").await;
    let world = World::with(&blue).await;
    let mut client = world.client().await;
    client.get("/").await;
    let mut topology = world.topology(Vec::new(), forward(&[("blue", 1)]), vec![group("blue", &[&blue])]);
    topology.load_balancers[0].listeners[0].arn = "other".into();
    assert!(world.apply(topology.clone()).is_empty());
    assert_eq!(client.get("/").await.status, 200);
    let listeners = std::mem::take(&mut topology.load_balancers[0].listeners);
    assert!(world.apply(topology.clone()).is_empty());
    wait_for_refusal(world.address).await;
    client.wait_for_close().await;
    topology.load_balancers[0].listeners = listeners;
    assert!(world.apply(topology.clone()).is_empty());
    world.wait_for("blue", &[Healthy]).await;
    assert_eq!(world.get("/").await.status, 200);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    topology.load_balancers[0].listeners[0].address = taken.local_addr().unwrap();
    let failures = world.apply(topology);
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].address, taken.local_addr().unwrap());
}

#[tokio::test]
async fn a_flapping_listener_is_never_refused() {
    let blue = Backend::start("blue").await;
    let world = World::with(&blue).await;
    for _ in 0..50 {
        let mut topology = world.topology(Vec::new(), forward(&[("blue", 1)]), vec![group("blue", &[&blue])]);
        let without = std::mem::take(&mut topology.load_balancers);
        assert!(world.apply(topology.clone()).is_empty());
        topology.load_balancers = without;
        assert!(world.apply(topology).is_empty(), "the port was not free");
    }
    assert!(matches!(world.states("blue")[..], [Healthy | Initial]));
    world.wait_for("blue", &[Healthy]).await;
    assert_eq!(world.get("/").await.status, 200);
}
