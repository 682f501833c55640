//! `sync …`: one pass of a controller, for tests and for CI. A running
//! controller-manager does the same by itself; writes of both are refused
//! where they meet, as between two of them.

use std::fmt::Debug;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use kube::Resource;
use kube::core::NamespaceResourceScope;
use okra_api::{AWSApplicationLoadBalancerConfig, AWSTargetGroupSet, ClusterSet};
use okra_clock::{SharedClock, SystemClock};
use okra_controllers::{Context, SyncError};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cli::Target;
use crate::commands::connect::connect;
use crate::commands::status;
use crate::ledger::Ledger;
use crate::manager::{self, ControllerFlags};
use crate::output::{self, Exit};

/// What may be synced.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  okra sync cell --name web\n  okra sync pause --name web-1-pause")]
pub struct SyncArgs {
    #[command(subcommand)]
    kind: SyncKind,
}

#[derive(Debug, Subcommand)]
enum SyncKind {
    /// One pass over a Cell
    Cell(CellArgs),
    /// One pass over a Pause
    Pause(PauseArgs),
    /// One pass over a ClusterSet
    #[command(name = "clusterset")]
    ClusterSet(PassArgs),
    /// One pass over an AWSTargetGroupSet
    #[command(name = "awstargetgroupset")]
    AwsTargetGroupSet(PassArgs),
    /// One pass over an AWSApplicationLoadBalancerConfig
    #[command(name = "awsapplicationloadbalancerconfig")]
    Config(PassArgs),
}

/// Which object, and whether anything is written.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  okra sync clusterset --name prod\n  \
    okra sync awstargetgroupset --name web --dry-run\n\n\
    It prints what was written, or with --dry-run what would be; AWS is then only\n\
    read. Flags of the Go program that describe an object are not taken: apply the\n\
    object.")]
pub struct PassArgs {
    /// Name of the object
    #[arg(value_name = "NAME", required_unless_present = "name")]
    object: Option<String>,
    /// The same
    #[arg(long, value_name = "NAME", conflicts_with = "object")]
    name: Option<String>,
    /// Say what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    controllers: ControllerFlags,
}

/// Flags of `sync cell`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra sync cell --name web")]
pub struct CellArgs {
    /// Name of the Cell
    #[arg(long, value_name = "NAME")]
    name: String,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    controllers: ControllerFlags,
}

/// Flags of `sync pause`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra sync pause --name web-1-pause")]
pub struct PauseArgs {
    /// Name of the Pause
    #[arg(long, value_name = "NAME")]
    name: String,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    controllers: ControllerFlags,
}

/// Carries out `sync …`.
///
/// # Errors
/// When the API cannot be reached or refuses.
pub async fn run(args: SyncArgs) -> anyhow::Result<Exit> {
    match args.kind {
        SyncKind::Cell(args) => cell(args).await,
        SyncKind::Pause(args) => pause(args).await,
        SyncKind::ClusterSet(args) => cluster_set(args).await,
        SyncKind::AwsTargetGroupSet(args) => target_group_set(args).await,
        SyncKind::Config(args) => config(args).await,
    }
}

async fn context(target: &Target, flags: &ControllerFlags) -> anyhow::Result<(Context, String)> {
    let connection = connect(target).await?;
    let clock: SharedClock = SystemClock::shared();
    let sdk = flags.aws().connect(clock.clone()).await;
    let settings = flags.settings(manager::identity(), &[]);
    Ok((manager::context(connection.client, &sdk, settings, clock, flags), connection.namespace))
}

/// A pass whose writes are told.
struct Told {
    context: Context,
    namespace: String,
    name: String,
    ledger: Arc<Ledger>,
}

impl Told {
    async fn begin(args: &PassArgs) -> anyhow::Result<Self> {
        let name = args.name.clone().or_else(|| args.object.clone()).context("which object?")?;
        let (context, namespace) = context(&args.target, &args.controllers).await?;
        let ledger = Ledger::new(args.dry_run);
        Ok(Self { context: ledger.over(context), namespace, name, ledger })
    }

    /// Prints what was written, then how the object stands.
    fn end<K>(
        &self,
        found: Result<bool, SyncError>,
        status: impl FnOnce(K) -> Option<Value>,
        after: Option<K>,
    ) -> anyhow::Result<Exit>
    where
        K: Resource<DynamicType = ()>,
    {
        let kind = K::kind(&()).to_lowercase();
        let seen = found.with_context(|| format!("{kind}/{}", self.name));
        output::print(&self.ledger.lines().iter().map(|line| format!("{line}\n")).collect::<String>())?;
        anyhow::ensure!(seen?, "there is no {kind} {} in namespace {}", self.name, self.namespace);
        if self.ledger.is_dry_run() {
            output::print(&format!("{kind}/{} dry run: nothing was written\n", self.name))?;
            return Ok(Exit::Ok);
        }
        let status = after.and_then(status).unwrap_or_default();
        let word = |field: &str| status[field].as_str().unwrap_or_default().to_owned();
        let message = [word("phase"), word("message")].into_iter().filter(|word| !word.is_empty());
        output::print(&format!(
            "{kind}/{} synced: {}\n",
            self.name,
            message.collect::<Vec<_>>().join(" - ")
        ))?;
        Ok(Exit::Ok)
    }

    async fn object<K>(&self) -> anyhow::Result<Option<K>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        Ok(self.context.namespaced::<K>(&self.namespace).get_opt(&self.name).await?)
    }
}

/// `sync clusterset`.
///
/// # Errors
/// When there is no such object, or the pass fails.
pub async fn cluster_set(args: PassArgs) -> anyhow::Result<Exit> {
    let told = Told::begin(&args).await?;
    let found = okra_controllers::cluster_set::sync(&told.context, &told.namespace, &told.name).await;
    let after = told.object::<ClusterSet>().await?;
    told.end(found, |set| serde_json::to_value(set.status).ok(), after)
}

/// `sync awstargetgroupset`.
///
/// # Errors
/// When there is no such object, or the pass fails.
pub async fn target_group_set(args: PassArgs) -> anyhow::Result<Exit> {
    let told = Told::begin(&args).await?;
    let found = okra_controllers::target_group_set::sync(&told.context, &told.namespace, &told.name).await;
    let after = told.object::<AWSTargetGroupSet>().await?;
    told.end(found, |set| serde_json::to_value(set.status).ok(), after)
}

/// `sync awsapplicationloadbalancerconfig`.
///
/// # Errors
/// When there is no such object, or the pass fails.
pub async fn config(args: PassArgs) -> anyhow::Result<Exit> {
    let told = Told::begin(&args).await?;
    let found = okra_controllers::load_balancer::sync(&told.context, &told.namespace, &told.name).await;
    let after = told.object::<AWSApplicationLoadBalancerConfig>().await?;
    told.end(found, |config| serde_json::to_value(config.status).ok(), after)
}

/// `sync cell`.
///
/// # Errors
/// When there is no such Cell, or the pass fails.
pub async fn cell(args: CellArgs) -> anyhow::Result<Exit> {
    let (context, namespace) = context(&args.target, &args.controllers).await?;
    let seen = okra_controllers::cell::sync(&context, &namespace, &args.name).await;
    let seen = seen.with_context(|| format!("Cell {}", args.name))?;
    anyhow::ensure!(seen, "there is no Cell {} in namespace {namespace}", args.name);
    let after = connect(&args.target).await?.cell(&args.name).await?;
    output::print(&format!("cell/{} synced: {}\n", args.name, status::line(after.status.as_ref())))?;
    Ok(Exit::Ok)
}

/// `sync pause`.
///
/// # Errors
/// When there is no such Pause, or the pass fails.
pub async fn pause(args: PauseArgs) -> anyhow::Result<Exit> {
    let (context, namespace) = context(&args.target, &args.controllers).await?;
    let phase = okra_controllers::pause::sync(&context, &namespace, &args.name).await;
    let phase = phase.with_context(|| format!("Pause {}", args.name))?;
    let phase = phase.with_context(|| format!("there is no Pause {} in namespace {namespace}", args.name))?;
    output::print(&format!("pause/{} synced: {phase}\n", args.name))?;
    Ok(Exit::Ok)
}
