//! A region for tests, clients for it, and backends to send requests to.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region as AwsRegion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use jiff::{SignedDuration, Timestamp};
use okra_region::{
    Clock, ClusterEndpoint, ClusterProvisioner, ClusterRequest, DEFAULT_ACCESS_KEY_ID,
    DEFAULT_SECRET_ACCESS_KEY, Options, ProvisionError, Region, SystemClock,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Makes clusters that are only names, and remembers what was asked of it.
#[derive(Debug, Default)]
pub(crate) struct Clusters {
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Clusters {
    fn note(&self, what: String) {
        self.asked.lock().unwrap().push(what);
    }
}

#[async_trait]
impl ClusterProvisioner for Clusters {
    async fn create(&self, cluster: &ClusterRequest) -> Result<ClusterEndpoint, ProvisionError> {
        self.note(format!("create {} {}", cluster.name, cluster.version));
        if cluster.name == "broken" {
            let source = "no port is left".into();
            return Err(ProvisionError {
                cluster: cluster.name.clone(),
                doing: "starting its API server",
                source,
            });
        }
        Ok(ClusterEndpoint {
            endpoint_url: format!("https://127.0.0.1:6443/{}", cluster.name),
            certificate_authority_pem: "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n"
                .into(),
        })
    }

    async fn set_version(&self, name: &str, version: &str) -> Result<(), ProvisionError> {
        self.note(format!("version {name} {version}"));
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<(), ProvisionError> {
        self.note(format!("delete {name}"));
        Ok(())
    }
}

/// A region in memory.
pub(crate) async fn region() -> Region {
    Region::start(Options::new(Arc::new(Clusters::default()))).await.unwrap()
}

/// A region with a folder.
pub(crate) async fn region_in(folder: &Path) -> Region {
    let options =
        Options { data_dir: Some(folder.to_owned()), ..Options::new(Arc::new(Clusters::default())) };
    Region::start(options).await.unwrap()
}

/// SDK configuration with other keys.
pub(crate) fn sdk_with(region: &Region, key: &str, secret: &str, token: Option<&str>) -> SdkConfig {
    let credentials = Credentials::new(key, secret, token.map(str::to_owned), None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(AwsRegion::new("us-east-1"))
        .endpoint_url(region.endpoint())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .build()
}

/// SDK configuration for a region.
pub(crate) fn sdk(region: &Region) -> SdkConfig {
    sdk_with(region, DEFAULT_ACCESS_KEY_ID, DEFAULT_SECRET_ACCESS_KEY, None)
}

/// A backend that answers every request with its name, and health checks with 200.
pub(crate) async fn backend(name: &'static str) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = vec![0; 16 * 1024];
                while let Ok(count) = stream.read(&mut buffer).await {
                    if count == 0 {
                        return;
                    }
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len());
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// One plain HTTP request; status and body.
pub(crate) async fn get(address: &str, path: &str, host: &str) -> (u16, String) {
    get_with(address, path, &[("host", host)]).await
}

/// The same with headers of one's own.
pub(crate) async fn get_with(address: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!("GET {path} HTTP/1.1\r\n{headers}connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or_default().parse().unwrap_or_default();
    (status, body.to_owned())
}

/// The machine's clock, moved forward.
#[derive(Debug, Default)]
pub(crate) struct ShiftedClock {
    inner: SystemClock,
    pub(crate) minutes: AtomicI64,
}

#[async_trait]
impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        self.inner.now() + SignedDuration::from_mins(self.minutes.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        self.inner.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        self.inner.sleep(duration).await;
    }
}

/// Waits until something holds, asking every few milliseconds, for at most ten
/// seconds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}
