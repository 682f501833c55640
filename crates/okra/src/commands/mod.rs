//! One file a command.

pub mod analysis;
pub mod cluster;
pub mod compatible;
pub mod completion;
pub mod connect;
pub mod controller_manager;
pub mod convert;
pub mod crds;
pub mod demo;
pub mod eks;
pub mod get;
pub mod go_lock;
pub mod history;
pub mod iam_policy;
pub mod install;
pub mod lint;
pub mod local;
pub mod manifests;
pub mod members;
pub mod pairs;
pub mod plan;
pub mod server;
pub mod status;
pub mod verbs;
pub mod version;
pub mod why;

use std::io;

use crate::cli::{Cli, Command};
use crate::output::Exit;

/// Carries out what the command line says.
///
/// # Errors
/// Whatever keeps the command from being done; the caller prints it.
pub async fn run(cli: Cli) -> anyhow::Result<Exit> {
    let logging = &cli.logging;
    match cli.command {
        Command::Demo(args) => demo::run(args).await,
        Command::Local(args) => local::run(args, logging).await,
        Command::Server(args) => server::run(args).await,
        Command::ControllerManager(args) => controller_manager::run(args).await,
        Command::Install(args) => install::run(&args),
        Command::IamPolicy(args) => iam_policy::run(args),
        Command::Crds(args) => crds::run(&args, &mut io::stdout()).map(|()| Exit::Ok),
        Command::Get(args) => get::run(args).await,
        Command::Status(args) => status::run(args).await,
        Command::Why(args) => why::run(args).await,
        Command::Plan(args) => plan::run(args).await,
        Command::History(args) => history::run(args).await,
        Command::Promote(args) => verbs::promote(args).await,
        Command::Pause(args) => verbs::pause(args).await,
        Command::Resume(args) => verbs::resume(args).await,
        Command::Abort(args) => verbs::abort(args).await,
        Command::Retry(args) => verbs::retry(args).await,
        Command::Rollback(args) => verbs::rollback(args).await,
        Command::Analysis(args) => analysis::run(args).await,
        Command::Cluster(args) => cluster::run(args).await,
        Command::Convert(args) => convert::run(&args),
        Command::Lint(args) => lint::run(&args),
        Command::Eks(args) => eks::run(args).await,
        Command::Completion(args) => completion::run(&args),
        Command::Version(args) => version::run(args).await,
        Command::Compatible(command) => compatible::run(command).await,
    }
}
