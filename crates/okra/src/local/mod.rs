//! Local mode: a management API, an AWS region and member clusters in one
//! process on loopback (`spec/okra.md` 8). Seen from outside it is a small AWS
//! account; nothing here knows that it is a demo or a test.

pub mod clock;
pub mod control;
pub mod files;
pub mod management;
pub mod members;
pub mod ports;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use okra_clock::SharedClock;
use okra_region::{DEFAULT_ACCESS_KEY_ID, DEFAULT_SECRET_ACCESS_KEY, FaultRate, Region, Timing};

use clock::OneClock;
use management::Management;
use members::Members;
use ports::PortBook;

/// What local mode is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where state survives; `None` keeps everything in memory.
    pub data_dir: Option<PathBuf>,
    /// Durations that AWS fixes and a demo shortens.
    pub timing: Timing,
    /// Faults of the region that are in force from the start.
    pub faults: Vec<FaultRate>,
}

/// Local mode, running.
pub struct Local {
    settings: Settings,
    management: Management,
    region: Arc<Region>,
    region_name: String,
    members: Arc<Members>,
}

impl Local {
    /// Starts everything; state of an earlier run on the same folder goes on
    /// where it was.
    ///
    /// # Errors
    /// When the folder is used by another process or damaged, or no port is free.
    pub async fn start(settings: Settings, clock: SharedClock) -> anyhow::Result<Self> {
        if let Some(folder) = &settings.data_dir {
            files::private_folder(folder)?;
        }
        let folder = settings.data_dir.as_deref();
        let ports = Arc::new(PortBook::open(folder)?);
        let management = Management::start(folder, &ports, clock.clone()).await?;
        let members =
            Members::new(folder.map(|folder| folder.join("clusters")), ports.clone(), clock.clone());
        let options = okra_region::Options {
            data_dir: folder.map(|folder| folder.join("region")),
            clock: Arc::new(OneClock(clock)),
            timing: settings.timing,
            faults: settings.faults.clone(),
            ..okra_region::Options::new(members.clone())
        };
        let region_name = options.region.clone();
        let region = Arc::new(Region::start(options).await.context("the embedded region cannot start")?);
        members.attach(&region);
        Ok(Self { settings, management, region, region_name, members })
    }

    /// The management API.
    pub fn management(&self) -> &Management {
        &self.management
    }

    /// The embedded region.
    pub fn region(&self) -> &Arc<Region> {
        &self.region
    }

    /// Name of the region, as in its ARNs.
    pub fn region_name(&self) -> &str {
        &self.region_name
    }

    /// The member clusters.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// What AWS clients and okra need to find the region.
    pub fn environment(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("AWS_ENDPOINT_URL", self.region.endpoint()),
            ("AWS_REGION", self.region_name.clone()),
            ("AWS_DEFAULT_REGION", self.region_name.clone()),
            ("AWS_ACCESS_KEY_ID", DEFAULT_ACCESS_KEY_ID.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", DEFAULT_SECRET_ACCESS_KEY.to_owned()),
            ("OKRA_AWS_LIMITER", "off".to_owned()),
            ("OKRA_METRIC_ADDRESS_ALLOW", "127.0.0.0/8".to_owned()),
            // The usual 8080 is where a listener of port 80 answers.
            ("OKRA_METRICS_BIND_ADDRESS", "127.0.0.1:0".to_owned()),
        ])
    }

    /// Writes `kubeconfig` and `aws.env`; their appearance says that all is ready.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write_files(&self) -> anyhow::Result<()> {
        let Some(folder) = &self.settings.data_dir else { return Ok(()) };
        let environment: String =
            self.environment().iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        files::replace(&folder.join("aws.env"), environment.as_bytes())?;
        files::replace(&folder.join("kubeconfig"), self.management.kubeconfig().as_bytes())
    }

    /// Removes what says that all is ready.
    ///
    /// # Errors
    /// When a file is there and cannot be removed.
    pub fn remove_files(data_dir: &Path) -> anyhow::Result<()> {
        files::remove(&data_dir.join("kubeconfig"))?;
        files::remove(&data_dir.join("aws.env"))
    }

    /// What `okra local status -o json` prints.
    pub fn status(&self) -> serde_json::Value {
        let kubeconfig = self.settings.data_dir.as_ref().map(|folder| folder.join("kubeconfig"));
        serde_json::json!({
            "kubeconfig": kubeconfig,
            "endpoint": self.region.endpoint(),
            "management": self.management.url(),
            "loadBalancers": self.region.load_balancers(),
            "clusters": self.region.clusters(),
        })
    }

    /// Ends everything in the order in which it depends on each other.
    pub async fn shutdown(self) {
        self.members.shutdown().await;
        match Arc::try_unwrap(self.region) {
            Ok(region) => region.shutdown().await,
            Err(_) => tracing::warn!("the region is still in use; it ends with the process"),
        }
        self.management.shutdown().await;
    }
}
