//! Member clusters: what stands behind an EKS cluster of the embedded region
//! is an embedded API server (`spec/okra.md` 8).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};

use anyhow::Context as _;
use async_trait::async_trait;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};
use okra_apiserver::{Options, Server, Serving, Storage, TokenAuthenticator, User};
use okra_clock::SharedClock;
use okra_region::{ClusterEndpoint, ClusterProvisioner, ClusterRequest, ProvisionError, Region};
use tokio::sync::Mutex;

use super::clock::OneClock;
use super::files;
use super::ports::PortBook;

/// Starts, keeps and ends the API servers of member clusters.
pub struct Members {
    /// Folder with one folder a cluster; `None` keeps them in memory.
    folder: Option<PathBuf>,
    ports: Arc<PortBook>,
    clock: SharedClock,
    /// Set once the region runs; tokens are refused before.
    region: Arc<OnceLock<Weak<Region>>>,
    running: Mutex<BTreeMap<String, Member>>,
}

struct Member {
    server: Server,
    serving: Serving,
}

impl Member {
    fn endpoint(&self) -> ClusterEndpoint {
        ClusterEndpoint {
            endpoint_url: format!("https://{}", self.serving.local_address()),
            certificate_authority_pem: self.server.certificate_authority_pem().to_owned(),
        }
    }
}

impl std::fmt::Debug for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Members").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Members {
    /// No member runs yet; the region asks for each.
    pub fn new(folder: Option<PathBuf>, ports: Arc<PortBook>, clock: SharedClock) -> Arc<Self> {
        Arc::new(Self { folder, ports, clock, region: Arc::default(), running: Mutex::default() })
    }

    /// From now on tokens are judged by this region.
    pub fn attach(&self, region: &Arc<Region>) {
        // A second call would name the same region: there is one a process.
        let _ = self.region.set(Arc::downgrade(region));
    }

    /// An administrator's client of a member, without a network.
    ///
    /// # Errors
    /// When no such member runs.
    pub async fn client(&self, name: &str) -> anyhow::Result<kube::Client> {
        let running = self.running.lock().await;
        let member = running.get(name).with_context(|| format!("no member cluster {name} runs"))?;
        Ok(kube::Client::new(member.server.in_process(), "default"))
    }

    /// Ends all members; their state stays.
    pub async fn shutdown(&self) {
        for (_, member) in std::mem::take(&mut *self.running.lock().await) {
            member.serving.stop().await;
            member.server.shutdown().await;
        }
    }

    fn storage(&self, name: &str) -> anyhow::Result<Storage> {
        let Some(folder) = &self.folder else { return Ok(Storage::Memory) };
        let own = folder.join(name);
        files::private_folder(&own)?;
        Ok(Storage::Directory(own))
    }

    async fn start(&self, name: &str) -> anyhow::Result<Member> {
        let region = self.region.clone();
        let options = Options {
            clock: Arc::new(OneClock(self.clock.clone())),
            token_authenticator: Some(Arc::new(EksTokens { cluster: name.to_owned(), region })),
            simulate_workloads: true,
            ..Options::new(self.storage(name)?)
        };
        let server = Server::open(options).await.with_context(|| format!("member cluster {name}"))?;
        install(
            &kube::Client::new(server.in_process(), "default"),
            &[okra_api::foreign::target_group_binding::crd()],
        )
        .await?;
        let listener = self.ports.bind(&purpose(name)).await?;
        let serving = server.serve(listener).await.with_context(|| format!("member cluster {name}"))?;
        Ok(Member { server, serving })
    }

    async fn end(&self, name: &str) -> anyhow::Result<()> {
        if let Some(member) = self.running.lock().await.remove(name) {
            member.serving.stop().await;
            member.server.shutdown().await;
        }
        if let Some(folder) = &self.folder {
            let own = folder.join(name);
            match std::fs::remove_dir_all(&own) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", own.display()));
                }
                _ => {}
            }
        }
        self.ports.forget(&purpose(name))
    }
}

fn purpose(cluster: &str) -> String {
    format!("cluster/{cluster}")
}

/// Applies CRDs; repeated, it changes nothing.
///
/// # Errors
/// When the API refuses one.
pub async fn install(client: &kube::Client, crds: &[CustomResourceDefinition]) -> anyhow::Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for crd in crds {
        let name = crd.metadata.name.clone().context("a CRD has a name")?;
        api.patch(&name, &PatchParams::apply("okra-install").force(), &Patch::Apply(crd))
            .await
            .with_context(|| format!("cannot install the CRD {name}"))?;
    }
    Ok(())
}

#[async_trait]
impl ClusterProvisioner for Members {
    async fn create(&self, cluster: &ClusterRequest) -> Result<ClusterEndpoint, ProvisionError> {
        let mut running = self.running.lock().await;
        if let Some(member) = running.get(&cluster.name) {
            return Ok(member.endpoint());
        }
        let member =
            self.start(&cluster.name).await.map_err(|error| failed(&cluster.name, "creation", error))?;
        let endpoint = member.endpoint();
        running.insert(cluster.name.clone(), member);
        Ok(endpoint)
    }

    async fn set_version(&self, _name: &str, _version: &str) -> Result<(), ProvisionError> {
        // The embedded API server has one version; the region reports the one asked for.
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<(), ProvisionError> {
        self.end(name).await.map_err(|error| failed(name, "deletion", error))
    }
}

fn failed(cluster: &str, doing: &'static str, error: anyhow::Error) -> ProvisionError {
    ProvisionError { cluster: cluster.to_owned(), doing, source: error.into() }
}

/// Judges tokens of `aws eks get-token` the way EKS does: by asking STS, here
/// the region's.
struct EksTokens {
    cluster: String,
    region: Arc<OnceLock<Weak<Region>>>,
}

#[async_trait]
impl TokenAuthenticator for EksTokens {
    async fn authenticate(&self, token: &str) -> Option<User> {
        let region = self.region.get()?.upgrade()?;
        match region.authenticate(&self.cluster, token) {
            Ok(access) => Some(User { name: access.username, groups: access.groups, ..User::default() }),
            Err(error) => {
                // The reason names the rule that was broken, never the token.
                tracing::debug!(cluster = self.cluster, %error, "token refused");
                None
            }
        }
    }
}
