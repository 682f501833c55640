//! A moto server, whose EKS, STS and ELBv2 were written by others.

use std::process::Stdio;
use std::sync::Arc;

use okra_aws::Region;
use okra_aws::sdk::{AccessKey, Budget, Sdk, SdkSettings, StaticKeys, Unobserved};
use okra_clock::{SystemClock, SystemEntropy};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// A server of this test, ended with it.
pub(crate) struct Moto {
    url: String,
    _process: Child,
}

fn python() -> String {
    std::env::var("OKRA_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

impl Moto {
    /// `None`, after saying so, where moto is not installed.
    #[expect(clippy::print_stdout, reason = "a skipped test says so")]
    pub(crate) async fn start() -> Option<Self> {
        let has_moto = Command::new(python()).args(["-c", "import moto.server"]).output().await;
        if !has_moto.is_ok_and(|output| output.status.success()) {
            println!("skipped: {} has no moto (pip install 'moto[server]')", python());
            return None;
        }
        let mut process = Command::new(python())
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("python starts");
        let mut lines = BufReader::new(process.stderr.take().expect("piped")).lines();
        let url = loop {
            let line = lines.next_line().await.expect("readable").expect("moto says its address");
            if let Some((_, url)) = line.split_once("Running on ") {
                break url.trim().to_owned();
            }
        };
        // Its log of requests must go somewhere, or it blocks on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Some(Self { url, _process: process })
    }

    /// Runs a program in which `boto3` is imported and `client(service, **with)`
    /// makes clients of this server; gives what it prints.
    pub(crate) async fn boto(&self, program: &str) -> String {
        let program = format!("import boto3\nclient = boto3.client\n{program}");
        let output = Command::new(python())
            .args(["-c", &program])
            .envs([
                ("AWS_ENDPOINT_URL", self.url.as_str()),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_DEFAULT_REGION", "eu-west-1"),
            ])
            .output()
            .await
            .expect("python starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    /// The adapters of production, pointed here.
    pub(crate) async fn sdk(&self) -> Sdk {
        let settings = SdkSettings {
            endpoint_url: Some(self.url.clone()),
            region: Some(Region::new("eu-west-1")),
            forced_profile: None,
            access_key: Some(AccessKey { id: "test".to_owned(), secret: "test".to_owned() }),
            static_keys: StaticKeys::LoopbackOnly,
            budget: Budget::Off,
        };
        let entropy = Arc::new(SystemEntropy::default());
        Sdk::load(settings, SystemClock::shared(), entropy, Arc::new(Unobserved)).await
    }
}
