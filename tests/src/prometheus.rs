//! A real Prometheus that scrapes one target.

use std::process::Command;

use tempfile::TempDir;

use crate::clients;
use crate::eventually;
use crate::process::{LocalMode, PROCESS_BOUND, Running};

/// What Prometheus says once it listens, before its address.
const LISTENS: &str = "msg=\"Listening on\" address=";

/// A Prometheus on loopback. Ends with the value.
pub struct Prometheus {
    url: String,
    _process: Running,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts one that scrapes the region of local mode.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn of_region(local: &LocalMode) -> Self {
        let endpoint = &local.environment()["AWS_ENDPOINT_URL"];
        Self::start(endpoint.trim_start_matches("http://").trim_end_matches('/'), "/_okra/metrics")
    }

    /// Starts one that scrapes a path of this address five times a second.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start(target: &str, path: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for Prometheus");
        let config = folder.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\nscrape_configs:\n\
             - {{job_name: okra, metrics_path: {path}, static_configs: [{{targets: [\"{target}\"]}}]}}\n"
        );
        std::fs::write(&config, text).expect("a configuration can be written");
        let mut command = Command::new(clients::prometheus());
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg("--web.listen-address=127.0.0.1:0");
        let process = Running::start(&mut command, &folder.path().join("prometheus.log"));
        let url = eventually("Prometheus listens", PROCESS_BOUND, || {
            let log = process.log();
            let line = log.lines().find_map(|line| line.split_once(LISTENS));
            line.map(|(_, address)| format!("http://{}", address.trim())).ok_or(log)
        });
        Self { url, _process: process, _folder: folder }
    }

    /// Where it answers queries.
    pub fn url(&self) -> &str {
        &self.url
    }
}
