//! `sync …`: one pass of a controller, for tests and for CI. A running
//! controller-manager does the same by itself; writes of both are refused
//! where they meet, as between two of them.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use okra_clock::{SharedClock, SystemClock};
use okra_controllers::Context;

use crate::cli::Target;
use crate::commands::connect::connect;
use crate::commands::status;
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
    /// The controller does it from a ClusterSet
    #[command(name = "clusterset")]
    ClusterSet(Rest),
    /// The controller does it from an AWSTargetGroupSet
    #[command(name = "awstargetgroupset")]
    AwsTargetGroupSet(Rest),
    /// The controller does it from an AWSApplicationLoadBalancerConfig
    #[command(name = "awsapplicationloadbalancerconfig")]
    Config(Rest),
}

/// Flags of a pass that only a running controller makes.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra controller-manager")]
pub struct Rest {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _flags: Vec<String>,
}

/// Refuses a pass, and says what makes it instead.
///
/// # Errors
/// Always.
pub fn refuse(kind: &str) -> anyhow::Result<Exit> {
    anyhow::bail!(
        "there is no single pass for {kind}: apply the object and run `okra controller-manager`, \
         which keeps it in step; `okra get` and the object's status tell what it did"
    )
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
        SyncKind::ClusterSet(_) => refuse("a ClusterSet"),
        SyncKind::AwsTargetGroupSet(_) => refuse("an AWSTargetGroupSet"),
        SyncKind::Config(_) => refuse("an AWSApplicationLoadBalancerConfig"),
    }
}

async fn context(target: &Target, flags: &ControllerFlags) -> anyhow::Result<(Context, String)> {
    let connection = connect(target).await?;
    let clock: SharedClock = SystemClock::shared();
    let sdk = flags.aws().connect(clock.clone()).await;
    let settings = flags.settings(manager::identity(), &[]);
    Ok((manager::context(connection.client, &sdk, settings, clock, flags), connection.namespace))
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
