//! One file a command.

pub mod completion;
pub mod connect;
pub mod controller_manager;
pub mod crds;
pub mod demo;
pub mod eks;
pub mod get;
pub mod local;
pub mod plan;
pub mod server;
pub mod status;
pub mod verbs;
pub mod why;

use std::io;

use crate::cli::{Cli, Command};
use crate::output::{self, Exit};

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
        Command::Crds(args) => crds::run(&args, &mut io::stdout()).map(|()| Exit::Ok),
        Command::Plan(args) => plan::run(&args, &mut io::stdout()).map(|()| Exit::Ok),
        Command::Get(args) => get::run(args).await,
        Command::Status(args) => status::run(args).await,
        Command::Why(args) => why::run(args).await,
        Command::Promote(args) => verbs::promote(args).await,
        Command::Pause(args) => verbs::set_paused(args, true).await,
        Command::Resume(args) => verbs::resume(args).await,
        Command::Abort(args) => verbs::abort(args).await,
        Command::Retry(args) => verbs::retry(args).await,
        Command::Eks(args) => eks::run(args).await,
        Command::Completion(args) => completion::run(&args),
        Command::Version => {
            output::print(&format!("okra {}\n", env!("CARGO_PKG_VERSION"))).map(|()| Exit::Ok)
        }
    }
}
