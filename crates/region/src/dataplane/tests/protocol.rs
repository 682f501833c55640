//! HTTP/1.1 itself.

use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

async fn read_some(stream: &mut TcpStream, until: &str) -> String {
    let mut read = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&read).contains(until) {
            let mut piece = [0; 4096];
            let count = stream.read(&mut piece).await.unwrap();
            assert_ne!(count, 0, "closed after {:?}", String::from_utf8_lossy(&read));
            read.extend_from_slice(&piece[..count]);
        }
    };
    tokio::time::timeout(BOUND, reading).await.expect("nothing came");
    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn targets_learn_who_asked() {
    let blue = Backend::start("blue").await;
    let world = World::with(&blue).await;
    let headers = [
        ("x-forwarded-for", "203.0.113.9"),
        ("connection", "x-secret, keep-alive"),
        ("x-secret", "1"),
        ("te", "trailers"),
    ];
    let reply = world.client().await.get_with("/path?query=1", &headers).await;
    let seen = String::from_utf8(reply.body.to_vec()).unwrap();
    let port = world.address.port();
    assert!(seen.starts_with("GET /path?query=1\n"), "{seen}");
    for expected in [
        r#""host": "test.example.com""#,
        r#""x-forwarded-for": "203.0.113.9, 127.0.0.1""#,
        r#""x-forwarded-proto": "http""#,
        &format!(r#""x-forwarded-port": "{port}""#),
        r#""x-amzn-trace-id": "Root=1-"#,
    ] {
        assert!(seen.contains(expected), "{expected} not in {seen}");
    }
    assert!(!seen.contains("x-secret") && !seen.contains(r#""te""#), "{seen}");
    assert!(!reply.headers.contains_key("connection"));
}

#[tokio::test]
async fn bodies_pass_piece_by_piece_both_ways() {
    let blue = Backend::start("blue").await;
    let world = World::with(&blue).await;
    let stream = TcpStream::connect(world.address).await.unwrap();
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let (pieces, body) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, std::convert::Infallible>>(1);
    let body =
        futures::stream::unfold(body, |mut body| async { body.recv().await.map(|piece| (piece, body)) });
    let request = Request::post("/echo").header("host", "a").body(StreamBody::new(Box::pin(body))).unwrap();
    pieces.send(Ok(Frame::data("first".into()))).await.unwrap();
    let mut answer = sender.send_request(request).await.unwrap().into_body();
    let echoed = async |answer: &mut hyper::body::Incoming| {
        let frame = tokio::time::timeout(BOUND, answer.frame()).await.expect("nothing came");
        frame.map(|frame| frame.unwrap().into_data().unwrap())
    };
    assert_eq!(echoed(&mut answer).await.unwrap(), "first");
    pieces.send(Ok(Frame::data("second".into()))).await.unwrap();
    assert_eq!(echoed(&mut answer).await.unwrap(), "second");
    drop(pieces);
    assert_eq!(echoed(&mut answer).await, None);
}

#[tokio::test]
async fn big_bodies_pass_whole() {
    let blue = Backend::start("blue").await;
    let world = World::with(&blue).await;
    let mut client = world.client().await;
    assert_eq!(client.get("/big").await.body.len(), backend::BIG);
    let sent: Bytes = (0..8 * 1024 * 1024u32).map(|place| (place % 251) as u8).collect::<Vec<_>>().into();
    let request = Request::post("/echo").header("host", "a").body(Full::new(sent.clone())).unwrap();
    let reply = client.send(request).await.unwrap();
    assert!(reply.body == sent, "{} bytes came back", reply.body.len());
    assert_eq!(client.get("/").await.status, 200);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let blue = Backend::start("blue").await;
    let world = World::with(&blue).await;
    let request = |path: &str, extra: &str| format!("GET {path} HTTP/1.1\r\nhost: a\r\n{extra}\r\n");
    let all = request("/one", "") + &request("/fail", "") + &request("/three", "connection: close\r\n");
    let answers = raw(world.address, all.as_bytes()).await;
    let place = |text: &str| answers.find(text).unwrap_or_else(|| panic!("{text} not in {answers}"));
    assert!(place("GET /one") < place("500 Internal") && place("500 Internal") < place("GET /three"));
}

#[tokio::test]
async fn a_client_that_expects_it_is_told_to_go_on() {
    let blue = Backend::start("blue").await;
    let world = World::with(&blue).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head).await.unwrap();
    read_some(&mut stream, "100 Continue\r\n\r\n").await;
    stream.write_all(b"body").await.unwrap();
    let answer = read_some(&mut stream, "body").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn head_tells_the_length_without_the_body() {
    let blue = Backend::start("blue").await;
    let world = World::with(&blue).await;
    let mut client = world.client().await;
    for _ in 0..3 {
        let request = Request::head("/fail").header("host", "a").body(Full::default()).unwrap();
        let reply = client.send(request).await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.body.len()), (500, 0));
        assert_eq!(reply.headers["content-length"], "6");
    }
    assert_eq!(world.count("blue", Counter::NewConnections), 1);
}

#[tokio::test]
async fn an_upgraded_connection_passes_bytes_both_ways() {
    let blue = Backend::start("blue").await;
    let world = World::with(&blue).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = b"GET /upgrade HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: capitals\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let answer = read_some(&mut stream, "hello ").await.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 101 "), "{answer}");
    assert!(
        answer.contains("upgrade: capitals\r\n") && answer.contains("connection: upgrade\r\n"),
        "{answer}"
    );
    for word in ["one", "two"] {
        stream.write_all(word.as_bytes()).await.unwrap();
        assert_eq!(read_some(&mut stream, &word.to_uppercase()).await, word.to_uppercase());
    }
    world.serve(forward(&[("blue", 1)]), vec![group("blue", &[])]);
    stream.write_all(b"three").await.unwrap();
    read_some(&mut stream, "THREE").await;
    world.clock.advance(Duration::from_secs(10));
    let closed = tokio::time::timeout(BOUND, stream.read(&mut [0; 16])).await.expect("not closed");
    assert!(matches!(closed, Ok(0) | Err(_)), "the deregistration delay ends tunnels too");
}

#[tokio::test]
async fn heads_have_limits() {
    let blue = Backend::start("blue").await;
    let world = World::with(&blue).await;
    let long = |length| "x".repeat(length);
    let cases = [
        (format!("GET /{} HTTP/1.1\r\nhost: a\r\n", long(17_000)), "414"),
        (format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n", long(17_000)), "400"),
        (format!("GET / HTTP/1.1\r\nhost: a\r\n{}", format!("x: {}\r\n", long(15_000)).repeat(5)), "431"),
        (format!("GET / HTTP/1.1\r\nhost: a\r\n{}", "x: y\r\n".repeat(200)), "431"),
        ("GET / HTTP/1.1\r\n".into(), "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n".into(), "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\nbad header\r\n".into(), "400"),
        ("nonsense\r\n".into(), "400"),
        ("TRACE / HTTP/1.1\r\nhost: a\r\n".into(), "405"),
    ];
    for (head, status) in &cases {
        let answer = raw(world.address, format!("{head}connection: close\r\n\r\n").as_bytes()).await;
        let start: String = head.chars().take(30).collect();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{start}: {answer}");
    }
    assert_eq!(world.count("lb", Counter::Elb4xx), cases.len() as u64);
    assert_eq!(world.count("lb", Counter::Requests), 0);
    let fitting = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\nconnection: close\r\n\r\n", long(16_000));
    assert!(raw(world.address, fitting.as_bytes()).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn old_and_absolute_requests_are_served() {
    let blue = Backend::start("blue").await;
    let world = World::with(&blue).await;
    let old = raw(world.address, b"GET /old HTTP/1.0\r\n\r\n").await;
    assert!(old.contains(" 200 OK") && old.contains("GET /old"), "{old}");
    let absolute = b"GET http://other.example.com/x?y HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let absolute = raw(world.address, absolute).await;
    assert!(absolute.contains("GET /x?y\n"), "{absolute}");
    assert!(absolute.contains(r#""host": "other.example.com""#), "{absolute}");
}

#[tokio::test]
async fn two_framings_never_reach_a_target() {
    let blue = Backend::start("blue").await;
    let world = World::with(&blue).await;
    let head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n";
    let answer = raw(world.address, format!("{head}connection: close\r\n\r\n0\r\n\r\n").as_bytes()).await;
    assert!(!answer.contains(r#""content-length""#), "{answer}");
}

#[tokio::test]
async fn response_times_are_measured() {
    let blue = Backend::start("blue").await;
    let world = World::with(&blue).await;
    let mut client = world.client().await;
    let waiting = tokio::spawn(async move { client.get("/gate").await });
    blue.wait_for_requests(1).await;
    world.clock.advance(Duration::from_millis(500));
    blue.open_gate();
    assert_eq!(waiting.await.unwrap().status, 200);
    for arn in ["lb", "blue"] {
        let statistics = world.statistics(arn, Timestamp::UNIX_EPOCH..Timestamp::MAX).unwrap();
        let times = statistics.response_times();
        assert_eq!((times.count(), times.sum()), (1, Duration::from_millis(500)));
        let p99 = times.percentile(99.0).unwrap().as_millis();
        assert!((500..=516).contains(&p99), "{p99}");
    }
    assert!(world.statistics("unknown", Timestamp::UNIX_EPOCH..Timestamp::MAX).is_none());
}
