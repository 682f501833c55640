//! Commands of the Go program (`spec/okra.md` 4.2, 4.3): hidden, because okra
//! has a better word for each, and kept, because scripts use them. They do
//! the same as their successors, without the faults of section 5.6.

pub mod analysis;
mod cell;
mod create;
mod members;
mod pause;
mod sync;

use clap::{Args, Subcommand};

use super::cluster::{self, AddArgs, RemoveArgs};
use super::get::lists;
use crate::output::Exit;

/// Words of the Go program.
#[derive(Debug, Subcommand)]
pub enum Compatible {
    /// End a Pause early
    #[command(hide = true)]
    Cancel(CancelArgs),
    /// Make objects
    #[command(hide = true)]
    Create(CreateArgs),
    /// Delete objects
    #[command(hide = true)]
    Delete(DeleteArgs),
    /// Show objects
    #[command(hide = true)]
    List(ListArgs),
    /// Run an analysis
    #[command(hide = true)]
    Run(RunArgs),
    /// Change objects
    #[command(hide = true)]
    Update(UpdateArgs),
    /// Make or change objects
    #[command(hide = true)]
    Upsert(UpsertArgs),
    /// One pass of a controller
    #[command(hide = true)]
    Sync(sync::SyncArgs),
    /// cancel pause
    #[command(hide = true)]
    CancelPause(pause::CancelArgs),
    /// upsert awstargetgroupset
    #[command(name = "create-or-update-awstargetgroupset", hide = true)]
    CreateOrUpdateAwsTargetGroupSet(create::SetArgs),
    /// upsert cell
    #[command(hide = true)]
    CreateOrUpdateCell(cell::UpsertArgs),
    /// get cluster
    #[command(hide = true)]
    ListClusters(lists::ClusterArgs),
    /// create cluster
    #[command(hide = true)]
    CreateCluster(AddArgs),
    /// delete cluster
    #[command(hide = true)]
    DeleteCluster(RemoveArgs),
    /// get targetgroupbindings
    #[command(name = "list-targetgroupbindings", hide = true)]
    ListTargetGroupBindings(lists::BindingArgs),
    /// upsert targetgroupbinding
    #[command(name = "apply-targetgroupbinding", hide = true)]
    ApplyTargetGroupBinding(members::BindingArgs),
    /// get awstargetgroups
    #[command(name = "list-awstargetgroups", hide = true)]
    ListAwsTargetGroups(lists::TargetGroupArgs),
    /// get latestawstargetgroups
    #[command(name = "list-latest-awstargetgroups", hide = true)]
    ListLatestAwsTargetGroups(lists::LatestArgs),
    /// run analysis
    #[command(hide = true)]
    RunAnalysis(analysis::CreateArgs),
    /// update analysisrun
    #[command(name = "update-analysisrun", hide = true)]
    UpdateAnalysisRun(analysis::UpdateArgs),
    /// sync clusterset
    #[command(
        name = "sync-clusterset",
        aliases = ["create-missing-clusters", "delete-outdated-clusters"],
        hide = true
    )]
    SyncClusterSet(sync::PassArgs),
    /// sync awstargetgroupset
    #[command(
        name = "sync-awstargetgroupset",
        aliases = ["create-missing-awstargetgroups", "delete-outdated-awstargetgroups", "create-outdated-awstargetgroups"],
        hide = true
    )]
    SyncAwsTargetGroupSet(sync::PassArgs),
    /// sync awsapplicationloadbalancerconfig
    #[command(name = "sync-awsapplicationloadbalancerconfig", hide = true)]
    SyncConfig(sync::PassArgs),
    /// sync cell
    #[command(hide = true)]
    SyncCell(sync::CellArgs),
    /// sync pause
    #[command(hide = true)]
    SyncPause(sync::PauseArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra cancel pause --name web-1-pause")]
pub struct CancelArgs {
    #[command(subcommand)]
    kind: CancelKind,
}

#[derive(Debug, Subcommand)]
enum CancelKind {
    /// End a Pause early
    Pause(pause::CancelArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  okra create cluster web-1-v2 --labels service=web\n  \
    okra create analysisrun --template-name success-rate --args service=web")]
pub struct CreateArgs {
    #[command(subcommand)]
    kind: CreateKind,
}

#[derive(Debug, Subcommand)]
enum CreateKind {
    /// Run templates once
    #[command(name = "analysisrun", alias = "analysis")]
    AnalysisRun(analysis::CreateArgs),
    /// Make a cluster known
    Cluster(AddArgs),
    /// Record a target group
    #[command(name = "awstargetgroup")]
    AwsTargetGroup(create::TargetGroupArgs),
    /// A config with what the load balancer does now
    #[command(name = "awsapplicationloadbalancerconfig")]
    Config(create::ConfigArgs),
    /// Make or change a Cell
    Cell(cell::UpsertArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra delete cluster web-1-v1")]
pub struct DeleteArgs {
    #[command(subcommand)]
    kind: DeleteKind,
}

#[derive(Debug, Subcommand)]
enum DeleteKind {
    /// Forget a cluster
    Cluster(RemoveArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra list awstargetgroups")]
pub struct ListArgs {
    #[command(subcommand)]
    kind: ListKind,
}

#[derive(Debug, Subcommand)]
enum ListKind {
    /// TargetGroupBindings of a member cluster
    #[command(name = "targetgroupbindings")]
    TargetGroupBindings(lists::BindingArgs),
    /// AWSTargetGroups
    #[command(name = "awstargetgroups")]
    AwsTargetGroups(lists::TargetGroupArgs),
    /// AWSTargetGroups of the newest version
    #[command(name = "latest-awstargetgroups", alias = "latestawstargetgroups")]
    Latest(lists::LatestArgs),
    /// Cluster secrets
    #[command(alias = "cluster")]
    Clusters(lists::ClusterArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra run analysis smoke --template-name success-rate --wait")]
pub struct RunArgs {
    #[command(subcommand)]
    kind: RunKind,
}

#[derive(Debug, Subcommand)]
enum RunKind {
    /// Run templates once, and with --wait until they have judged
    Analysis(analysis::CreateArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra update analysisrun --name web-2-errors --phase Failed")]
pub struct UpdateArgs {
    #[command(subcommand)]
    kind: UpdateKind,
}

#[derive(Debug, Subcommand)]
enum UpdateKind {
    /// Force a verdict
    #[command(name = "analysisrun")]
    AnalysisRun(analysis::UpdateArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  okra upsert cell web --listener-arn $ARN --match-label role=web --replicas 2\n  \
    okra upsert awstargetgroupset web --cluster-selector service=web"
)]
pub struct UpsertArgs {
    #[command(subcommand)]
    kind: UpsertKind,
}

#[derive(Debug, Subcommand)]
enum UpsertKind {
    /// An AWSTargetGroupSet
    #[command(name = "awstargetgroupset")]
    AwsTargetGroupSet(create::SetArgs),
    /// A Cell
    Cell(cell::UpsertArgs),
    /// A TargetGroupBinding in a member cluster
    #[command(name = "targetgroupbinding")]
    TargetGroupBinding(members::BindingArgs),
}

/// Carries out a command of the Go program.
///
/// # Errors
/// Those of its successor.
pub async fn run(command: Compatible) -> anyhow::Result<Exit> {
    match command {
        Compatible::Cancel(CancelArgs { kind: CancelKind::Pause(args) }) | Compatible::CancelPause(args) => {
            pause::cancel(args).await
        }
        Compatible::Create(args) => match args.kind {
            CreateKind::AnalysisRun(args) => analysis::create(args).await,
            CreateKind::Cluster(args) => cluster::add(args).await,
            CreateKind::AwsTargetGroup(args) => create::target_group(args).await,
            CreateKind::Config(args) => create::config(args).await,
            CreateKind::Cell(args) => cell::upsert(args).await,
        },
        Compatible::Delete(DeleteArgs { kind: DeleteKind::Cluster(args) })
        | Compatible::DeleteCluster(args) => cluster::remove(args).await,
        Compatible::List(args) => match args.kind {
            ListKind::TargetGroupBindings(args) => lists::bindings(args).await,
            ListKind::AwsTargetGroups(args) => lists::target_groups(args).await,
            ListKind::Latest(args) => lists::latest(args).await,
            ListKind::Clusters(args) => lists::clusters(args).await,
        },
        Compatible::Run(RunArgs { kind: RunKind::Analysis(args) }) | Compatible::RunAnalysis(args) => {
            analysis::create(args).await
        }
        Compatible::Update(UpdateArgs { kind: UpdateKind::AnalysisRun(args) })
        | Compatible::UpdateAnalysisRun(args) => analysis::update(args).await,
        Compatible::Upsert(args) => match args.kind {
            UpsertKind::AwsTargetGroupSet(args) => create::set(args).await,
            UpsertKind::Cell(args) => cell::upsert(args).await,
            UpsertKind::TargetGroupBinding(args) => members::upsert(args).await,
        },
        Compatible::Sync(args) => sync::run(args).await,
        Compatible::CreateOrUpdateAwsTargetGroupSet(args) => create::set(args).await,
        Compatible::CreateOrUpdateCell(args) => cell::upsert(args).await,
        Compatible::ListClusters(args) => lists::clusters(args).await,
        Compatible::CreateCluster(args) => cluster::add(args).await,
        Compatible::ListTargetGroupBindings(args) => lists::bindings(args).await,
        Compatible::ApplyTargetGroupBinding(args) => members::upsert(args).await,
        Compatible::ListAwsTargetGroups(args) => lists::target_groups(args).await,
        Compatible::ListLatestAwsTargetGroups(args) => lists::latest(args).await,
        Compatible::SyncClusterSet(args) => sync::cluster_set(args).await,
        Compatible::SyncAwsTargetGroupSet(args) => sync::target_group_set(args).await,
        Compatible::SyncConfig(args) => sync::config(args).await,
        Compatible::SyncCell(args) => sync::cell(args).await,
        Compatible::SyncPause(args) => sync::pause(args).await,
    }
}
