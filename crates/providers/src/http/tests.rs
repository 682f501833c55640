use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};

use super::testing::{Reply, Server, local_client};
use super::{Answer, Call, Client, Proxies, Resolver};
use crate::address::AddressPolicy;
use crate::provider::ProviderError;

fn call(url: impl Into<String>) -> Call {
    Call {
        method: Method::GET,
        url: url.into(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        insecure: false,
        timeout: Duration::from_secs(20),
    }
}

fn with_token(url: impl Into<String>) -> Call {
    let mut call = call(url);
    call.headers.insert("authorization", HeaderValue::from_static("Bearer hunter2"));
    call
}

fn message(outcome: Result<Answer, ProviderError>) -> String {
    outcome.expect_err("the call is refused").chain()
}

/// Every name has the same addresses; the next ones at each call.
#[derive(Debug)]
struct Scripted {
    addresses: Vec<Vec<SocketAddr>>,
    calls: AtomicUsize,
}

impl Scripted {
    fn new(addresses: Vec<Vec<SocketAddr>>) -> Arc<Self> {
        Arc::new(Self { addresses, calls: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl Resolver for Scripted {
    async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        let place = self.calls.fetch_add(1, Ordering::SeqCst);
        Ok(self.addresses[place.min(self.addresses.len() - 1)].clone())
    }
}

#[tokio::test]
async fn answers_come_whole_and_connections_are_used_again() {
    let server = Server::start(|_| Reply::status(404, "", "gone")).await;
    let client = local_client();
    for _ in 0..3 {
        let answer = client.call(&call(server.url("/x?q=a b"))).await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (404, &b"gone"[..]));
    }
    assert!(server.seen()[0].starts_with("GET /x?q=a%20b HTTP/1.1\r\n"));
    assert_eq!(server.connections(), 1);
}

/// Ways to write an address that okra must not call by default.
const HOSTILE: [&str; 64] = [
    "http://127.0.0.1:PORT/",
    "http://127.1:PORT/",
    "http://127.0.1:PORT/",
    "http://2130706433:PORT/",
    "http://0x7f000001:PORT/",
    "http://0x7f.0.0.1:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://017700000001:PORT/",
    "http://localhost:PORT/",
    "http://LOCALHOST:PORT/",
    "http://localhost.:PORT/",
    "http://user@localhost:PORT/",
    "http://user:password@127.0.0.1:PORT/",
    "http://example.com@127.0.0.1:PORT/",
    "http://0.0.0.0:PORT/",
    "http://0:PORT/",
    "http://[::1]:PORT/",
    "http://[::]:PORT/",
    "http://[0:0:0:0:0:0:0:1]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:7f00:1]:PORT/",
    "http://[::127.0.0.1]:PORT/",
    "http://[64:ff9b::7f00:1]:PORT/",
    "http://[2002:7f00:1::]:PORT/",
    "http://127.255.255.254:PORT/",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.170.2/v2/credentials",
    "http://169.254.170.23/v1/credentials",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://[fe80::1]/",
    "http://0xa9fea9fe/latest/meta-data/",
    "http://2852039166/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/",
    "http://100.100.100.200/latest/meta-data/",
    "https://127.0.0.1:PORT/",
    "HTTP://127.0.0.1:PORT/",
    " http://127.0.0.1:PORT/",
    "http://127.0.0.1:PORT/#@example.com/",
    "http://127.0.0.1:PORT?@example.com/",
    "http://example.com%40127.0.0.1:PORT@127.0.0.1:PORT/",
    "http://169.254.169.254:80@127.0.0.1:PORT/",
    "http://%6c%6f%63%61%6c%68%6f%73%74:PORT/",
    "http://127%2e0%2e0%2e1:PORT/",
    "http://127。0。0。1:PORT/",
    "http://①②⑦.⓪.⓪.①:PORT/",
    "http://127.0.0.1.:PORT/",
    "http://127.0.0.01:PORT/",
    "http://0x7f.0x0.0x0.0x1:PORT/",
    "http://0177.0.0.0x1:PORT/",
    "http://example.com\\@127.0.0.1:PORT/",
    "http://127.000.000.001:PORT/",
    "http://[::ffff:0:127.0.0.1]:PORT/",
    "http://[0000::0001]:PORT/",
    "http://[::1%25lo]:PORT/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::a9fe:a9fe]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[100::1]/",
    "http://[2001::7f00:1]/",
    "http://169.254.169.253/",
    "http://168.63.129.16/machine",
    "http://192.0.0.192/opc/v2/instance/",
    "http://255.255.255.255/",
];

#[tokio::test]
async fn this_machine_and_metadata_services_are_refused_however_they_are_written() {
    let server = Server::start(|_| Reply::ok("secret")).await;
    let client = Client::new(AddressPolicy::default());
    for url in HOSTILE {
        let url = url.replace("PORT", &server.port.to_string());
        let mut call = call(&url);
        call.timeout = Duration::from_secs(5);
        let text = message(client.call(&call).await);
        let unresolved = text.contains("cannot resolve") || text.contains("url ");
        assert!(text.contains("is refused") || unresolved, "{url}: {text}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_name_that_leads_to_loopback_is_refused_and_asked_once() {
    let server = Server::start(|_| Reply::ok("secret")).await;
    let loopback: SocketAddr = format!("127.0.0.1:{}", server.port).parse().unwrap();
    let public: SocketAddr = "203.0.113.9:1".parse().unwrap();
    // First harmless, then not: a second look at the name would dial what was never checked.
    let resolver = Scripted::new(vec![vec![loopback], vec![public]]);
    let client = Client::with(AddressPolicy::default(), resolver.clone(), Proxies::none(), &[]);
    let text = message(client.call(&call("http://rebind.example/")).await);
    assert!(text.contains("address 127.0.0.1 is refused: loopback"), "{text}");
    assert_eq!((resolver.calls.load(Ordering::SeqCst), server.connections()), (1, 0));
}

#[tokio::test]
async fn of_several_addresses_only_the_allowed_are_dialled() {
    let server = Server::start(|_| Reply::ok("fine")).await;
    let allowed: SocketAddr = format!("127.0.0.1:{}", server.port).parse().unwrap();
    let refused: SocketAddr = "169.254.169.254:80".parse().unwrap();
    let resolver = Scripted::new(vec![vec![refused, allowed]]);
    let policy = AddressPolicy::allowing(["127.0.0.1".parse().unwrap()]);
    let client = Client::with(policy, resolver, Proxies::none(), &[]);
    assert_eq!(&client.call(&call("http://h.example/")).await.unwrap().body[..], b"fine");
}

#[tokio::test]
async fn redirects_within_the_origin_are_followed_with_their_headers() {
    let server = Server::start(|request| match request {
        request if request.starts_with("GET /a") => Reply::redirect(302, "/b"),
        request if request.starts_with("GET /b") => Reply::redirect(307, "c?d=e"),
        _ => Reply::ok("here"),
    })
    .await;
    let answer = local_client().call(&with_token(server.url("/a"))).await.unwrap();
    assert_eq!(&answer.body[..], b"here");
    let last = server.seen().pop().unwrap();
    assert!(last.starts_with("GET /c?d=e ") && last.contains("authorization: Bearer hunter2"), "{last}");
}

#[tokio::test]
async fn credentials_do_not_leave_their_origin() {
    let other = Server::start(|_| Reply::ok("mine now")).await;
    let target = other.url("/");
    let server = Server::start(move |_| Reply::redirect(302, &target)).await;
    let text = message(local_client().call(&with_token(server.url("/"))).await);
    assert!(text.contains("redirect to 127.0.0.1 refused"), "{text}");
    assert_eq!(other.connections(), 0);
    // Without credentials it is a redirect like any other.
    assert_eq!(&local_client().call(&call(server.url("/"))).await.unwrap().body[..], b"mine now");
}

#[tokio::test]
async fn redirects_to_inner_addresses_are_refused() {
    let targets = [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/",
        "http://10.0.0.1/",
        "http://192.168.0.1/",
        "http://172.16.0.1/",
        "http://100.64.0.1/",
        "http://[fd12::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://167772161/",
    ];
    for target in targets {
        let server = Server::start(move |_| Reply::redirect(302, target)).await;
        let mut call = call(server.url("/"));
        call.timeout = Duration::from_secs(5);
        let text = message(local_client().call(&call).await);
        assert!(text.contains("is refused"), "{target}: {text}");
    }
    for target in ["file:///etc/passwd", "gopher://127.0.0.1/", "http://user:pw@example.com/"] {
        let server = Server::start(move |_| Reply::redirect(302, target)).await;
        let text = message(local_client().call(&call(server.url("/"))).await);
        assert!(text.contains("redirect refused"), "{target}: {text}");
    }
}

#[tokio::test]
async fn a_circle_of_redirects_ends() {
    let server = Server::start(|_| Reply::redirect(301, "/again")).await;
    assert_eq!(message(local_client().call(&call(server.url("/"))).await), "more than 5 redirects");
    assert_eq!(server.seen().len(), 6);
}

#[tokio::test]
async fn a_post_that_is_redirected_loses_its_body_or_stays_where_it_is() {
    let other = Server::start(|_| Reply::ok("")).await;
    let target = other.url("/");
    let server = Server::start(move |request| match request {
        request if request.starts_with("POST /see") => Reply::redirect(303, "/seen"),
        request if request.starts_with("POST /keep") => Reply::redirect(308, &target),
        _ => Reply::ok("seen"),
    })
    .await;
    let post =
        |path: &str| Call { method: Method::POST, body: Bytes::from("secret"), ..call(server.url(path)) };
    assert_eq!(&local_client().call(&post("/see")).await.unwrap().body[..], b"seen");
    assert!(!server.seen().pop().unwrap().contains("secret"));
    assert!(message(local_client().call(&post("/keep")).await).contains("refused"));
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let chunk = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1 << 16)).into_bytes();
    let server = Server::start(move |_| Reply::Endless(chunk.clone())).await;
    let text = message(local_client().call(&call(server.url("/"))).await);
    assert_eq!(text, "response body has more than 8388608 bytes");
}

#[tokio::test]
async fn headers_without_end_are_cut_off() {
    let server = Server::start(|_| Reply::Endless(b"HTTP/1.1 200 OK\r\nx: y\r\n".to_vec())).await;
    assert!(message(local_client().call(&call(server.url("/"))).await).starts_with("request failed"));
}

#[tokio::test]
async fn a_server_that_goes_silent_costs_the_timeout_and_no_more() {
    for begun in ["", "HTTP/1.1 200 OK\r\nx-slow: ", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab"] {
        let server = Server::start(move |_| Reply::Hang(begun.as_bytes().to_vec())).await;
        let mut call = call(server.url("/"));
        call.timeout = Duration::from_millis(200);
        assert_eq!(message(local_client().call(&call).await), "no complete answer within 0.2 s");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error() {
    let server =
        Server::start(|_| Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabHTTP".to_vec())).await;
    let answer = local_client().call(&call(server.url("/"))).await;
    assert!(answer.is_ok(), "five bytes are five bytes");
    let server = Server::start(|_| {
        Reply::Raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_vec())
    })
    .await;
    let text = message(local_client().call(&call(server.url("/"))).await);
    assert!(text.starts_with("response body broke off"), "{text}");
}

/// A client whose calls go through a server of the test; names have no address but the proxy's.
fn proxied(proxy: &Server, resolver: Arc<dyn Resolver>) -> Client {
    let proxies = Proxies::one(&format!("http://user:pw@127.0.0.1:{}", proxy.port), "");
    Client::with(AddressPolicy::default(), resolver, proxies, &[])
}

/// Knows no name.
#[derive(Debug)]
struct Ignorant;

#[async_trait]
impl Resolver for Ignorant {
    async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        Err(io::Error::new(io::ErrorKind::NotFound, "no such name"))
    }
}

#[tokio::test]
async fn a_proxy_is_told_the_whole_address_and_who_asks() {
    let proxy = Server::start(|_| Reply::ok("from afar")).await;
    let client = proxied(&proxy, Arc::new(Ignorant));
    let answer = client.call(&with_token("http://inner.example:8080/x?y=z")).await.unwrap();
    assert_eq!(&answer.body[..], b"from afar");
    let seen = proxy.seen().remove(0);
    assert!(seen.starts_with("GET http://inner.example:8080/x?y=z HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("proxy-authorization: Basic dXNlcjpwdw==\r\n"), "{seen}");
    assert!(seen.contains("authorization: Bearer hunter2\r\n"));
}

#[tokio::test]
async fn https_goes_through_a_tunnel() {
    let proxy = Server::start(|_| Reply::status(403, "", "")).await;
    let client = proxied(&proxy, Arc::new(Ignorant));
    let text = message(client.call(&with_token("https://inner.example/x")).await);
    assert!(text.contains("tunnel error"), "{text}");
    let seen = proxy.seen().remove(0);
    assert!(seen.starts_with("CONNECT inner.example:443 HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("Proxy-Authorization: Basic dXNlcjpwdw==\r\n"), "{seen}");
    assert!(!seen.contains("hunter2"));
}

#[tokio::test]
async fn a_proxy_is_no_way_round_the_refused_addresses() {
    let proxy = Server::start(|_| Reply::redirect(302, "http://elsewhere.example/")).await;
    let metadata: SocketAddr = "169.254.169.254:80".parse().unwrap();
    let client = proxied(&proxy, Scripted::new(vec![vec![metadata]]));
    for url in ["http://169.254.169.254/", "https://[fd00:ec2::254]/", "http://named.example/"] {
        let text = message(client.call(&call(url)).await);
        assert!(text.contains("is refused"), "{url}: {text}");
    }
    assert_eq!(proxy.connections(), 0);
    // Nor does a redirect lead to a name that only the proxy knows.
    let client = proxied(&proxy, Arc::new(Ignorant));
    let text = message(client.call(&call("http://inner.example/")).await);
    assert!(text.contains("cannot resolve elsewhere.example"), "{text}");
    assert_eq!(proxy.seen().len(), 1);
}

mod over_tls {
    use std::sync::Arc;

    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A server with a certificate of its own for `localhost`.
    async fn start() -> (u16, CertificateDer<'static>, tokio::task::JoinHandle<()>) {
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = issued.cert.der().clone();
        let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut buffer = [0; 4096];
                let _ = stream.read(&mut buffer).await;
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
                    .await;
                let _ = stream.shutdown().await;
            }
        });
        (port, certificate, task)
    }

    #[tokio::test]
    async fn certificates_are_checked_unless_the_metric_says_otherwise() {
        let (port, certificate, task) = start().await;
        let policy = AddressPolicy::allowing(["127.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()]);
        let loopback: SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
        let resolver = Scripted::new(vec![vec![loopback]]);
        let url = format!("https://localhost:{port}/");
        let strict = Client::with(policy.clone(), resolver.clone(), Proxies::none(), &[]);
        let text = message(strict.call(&call(&url)).await);
        assert!(text.contains("certificate") || text.contains("UnknownIssuer"), "{text}");
        let insecure = Call { insecure: true, ..call(&url) };
        assert_eq!(&strict.call(&insecure).await.unwrap().body[..], b"ok");
        // The lax connection is not handed to a strict call.
        assert!(strict.call(&call(&url)).await.is_err());
        let trusting = Client::with(policy, resolver, Proxies::none(), &[certificate]);
        assert_eq!(&trusting.call(&call(&url)).await.unwrap().body[..], b"ok");
        assert!(trusting.call(&call(format!("https://other:{port}/"))).await.is_err());
        task.abort();
    }
}
