//! An endpoint that answers what a test wrote down, and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the endpoint does with one request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Status, content type, body.
    Answer(u16, &'static str, String),
    /// Reads the request and closes the connection.
    HangUp,
    /// Reads the request and never answers.
    Silence,
}

impl Reply {
    /// A successful answer of the query protocol.
    pub(crate) fn xml(body: impl Into<String>) -> Self {
        Self::Answer(200, "text/xml", body.into())
    }

    /// An error of the query protocol.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        let body = format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>\
             <Message>about {code}</Message></Error><RequestId>1</RequestId></ErrorResponse>"
        );
        Self::Answer(status, "text/xml", body)
    }
}

/// One request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Method and path.
    pub(crate) line: String,
    /// Headers, lower-case names.
    pub(crate) headers: Vec<(String, String)>,
    /// Body, as text where it is text.
    pub(crate) body: String,
}

impl Seen {
    /// A parameter of a form body, decoded.
    pub(crate) fn form(&self, key: &str) -> Option<String> {
        self.body.split('&').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            (name == key).then(|| decoded(value))
        })
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let hex: Vec<u8> = bytes.by_ref().take(2).collect();
                let hex = String::from_utf8(hex).expect("two digits");
                out.push(u8::from_str_radix(&hex, 16).expect("hexadecimal"));
            }
            b'+' => out.push(b' '),
            other => out.push(other),
        }
    }
    String::from_utf8(out).expect("text")
}

/// The endpoint; it stops with the test's runtime.
pub(crate) struct Endpoint {
    /// Where it listens.
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    left: Arc<Mutex<VecDeque<Reply>>>,
}

impl Endpoint {
    /// Answers the replies in order, and hangs up when there are none left.
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let left: Arc<Mutex<VecDeque<_>>> = Arc::new(Mutex::new(replies.into_iter().collect()));
        let (to_seen, from_left) = (seen.clone(), left.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, to_seen.clone(), from_left.clone()));
            }
        });
        Self { url, seen, left }
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no test panics while it holds the lock").clone()
    }

    /// How many replies nobody asked for.
    pub(crate) fn left(&self) -> usize {
        self.left.lock().expect("no test panics while it holds the lock").len()
    }
}

async fn serve(stream: TcpStream, seen: Arc<Mutex<Vec<Seen>>>, left: Arc<Mutex<VecDeque<Reply>>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream).await {
        seen.lock().expect("not poisoned").push(request);
        let reply = left.lock().expect("not poisoned").pop_front().unwrap_or(Reply::HangUp);
        match reply {
            Reply::HangUp => return,
            Reply::Silence => std::future::pending().await,
            Reply::Answer(status, content_type, body) => {
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\n\
                     content-length: {}\r\n\r\n",
                    body.len()
                );
                let whole = [head.as_bytes(), body.as_bytes()].concat();
                if stream.get_mut().write_all(&whole).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|length| *length > 0)?;
    let mut headers = Vec::new();
    let mut length = 0;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        let (name, value) = (name.to_lowercase(), value.trim().to_owned());
        if name == "content-length" {
            length = value.parse().ok()?;
        }
        headers.push((name, value));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let body = String::from_utf8_lossy(&body).into_owned();
    Some(Seen { line: line.trim().to_owned(), headers, body })
}
