//! One connection to a server: HTTP/1.1 over TLS, or no network at all.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes, BytesMut};
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use okra_apiserver::InProcess;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower::Service;

/// The connection broke: whether the request was carried out is not known.
#[derive(Debug)]
pub struct Lost;

pub type Body = UnsyncBoxBody<Bytes, Lost>;

/// Who the client is and whom it trusts, from a kubeconfig.
#[derive(Clone)]
pub struct Identity(Arc<ClientConfig>);

impl Identity {
    pub fn from_kubeconfig(text: &str) -> Self {
        let config: Value = serde_saphyr::from_str(text).expect("a kubeconfig is YAML");
        let pem = |value: &Value| STANDARD.decode(value.as_str().expect("base64")).expect("base64");
        let user = &config["users"][0]["user"];
        let authority = pem(&config["clusters"][0]["cluster"]["certificate-authority-data"]);
        let certificate = pem(&user["client-certificate-data"]);
        let key = pem(&user["client-key-data"]);
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&authority).expect("an authority")).expect("an authority");
        let chain = vec![CertificateDer::from_pem_slice(&certificate).expect("a certificate")];
        let key = PrivateKeyDer::from_pem_slice(&key).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows the default versions")
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .expect("the key belongs to the certificate");
        Self(Arc::new(config))
    }
}

/// Where requests go in.
pub enum Door {
    Tls(SendRequest<Full<Bytes>>),
    InProcess(InProcess),
}

/// A connection on which nothing was asked yet.
pub async fn silent(address: SocketAddr, identity: &Identity) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::IpAddress(address.ip().into());
    TlsConnector::from(identity.0.clone()).connect(name, stream).await
}

impl Door {
    pub async fn connect(address: SocketAddr, identity: &Identity) -> io::Result<Self> {
        let stream = silent(address, identity).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // It ends with the server's end of the connection; the requests on it are told.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self::Tls(sender))
    }

    /// Sends one request; the answer's body is still to be read.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Body>, Lost> {
        match self {
            Self::Tls(sender) => {
                sender.ready().await.map_err(|_| Lost)?;
                let response = sender.send_request(request).await.map_err(|_| Lost)?;
                Ok(response.map(|body| body.map_err(|_| Lost).boxed_unsync()))
            }
            Self::InProcess(service) => {
                let response = match service.call(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                };
                Ok(response.map(|body| body.map_err(|never| match never {}).boxed_unsync()))
            }
        }
    }

    /// Sends one request and reads the whole answer.
    pub async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<(u16, Bytes), Lost> {
        let response = self.send(request).await?;
        let code = response.status().as_u16();
        Ok((code, response.into_body().collect().await?.to_bytes()))
    }

    /// The same, with the answer as JSON; text that is none becomes a string.
    pub async fn ask(&mut self, request: Request<Full<Bytes>>) -> Result<(u16, Value), Lost> {
        let (code, bytes) = self.exchange(request).await?;
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        Ok((code, serde_json::from_slice(&bytes).unwrap_or_else(|_| text())))
    }
}

/// A request with a body of the given media type; an empty one needs no type.
pub fn request(method: Method, path: &str, media: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let mut builder = Request::builder().method(method).uri(path).header("host", "localhost");
    if !media.is_empty() {
        builder = builder.header("content-type", media);
    }
    builder.body(Full::new(body.into())).expect("a request")
}

pub fn get(path: &str) -> Request<Full<Bytes>> {
    request(Method::GET, path, "", "")
}

/// The lines of a watch.
pub struct Lines {
    body: Body,
    buffer: BytesMut,
}

impl Lines {
    pub fn new(body: Body) -> Self {
        Self { body, buffer: BytesMut::new() }
    }

    /// The next line; `None` at the clean end. May be dropped and called again.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Lost> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end).freeze();
                self.buffer.advance(1);
                return Ok(Some(line));
            }
            match self.body.frame().await {
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(Lost),
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}
