//! The flags of every command.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands;

/// Hot-swaps whole Kubernetes clusters under live traffic.
#[derive(Debug, Parser)]
#[command(name = "okra", version, about, max_term_width = 100, propagate_version = false)]
#[command(after_help = "Begin with `okra demo`: it shows a whole swap in one process on this machine.")]
pub struct Cli {
    /// How much is logged, and how.
    #[command(flatten)]
    pub logging: Logging,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How much is logged, and how.
#[derive(Debug, Args)]
pub struct Logging {
    /// How much is logged to stderr.
    #[arg(
        long = "log-level",
        global = true,
        env = "OKRA_LOG_LEVEL",
        default_value = "warn",
        value_name = "LEVEL"
    )]
    pub level: Level,
    /// Log one JSON object a line.
    #[arg(long, global = true, env = "OKRA_LOG_JSON")]
    pub log_json: bool,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Level {
    /// What fails.
    Error,
    /// What may need somebody.
    Warn,
    /// What changes.
    Info,
    /// What is decided and why.
    Debug,
}

impl Level {
    /// The filter: okra at this level, libraries only when something is wrong.
    pub fn filter(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "warn,okra=info",
            Self::Debug => {
                "warn,okra=debug,okra_controllers=debug,okra_aws=debug,okra_region=debug,okra_apiserver=debug,\
                 okra_providers=debug"
            }
        }
    }
}

/// Which Kubernetes API, and where in it.
#[derive(Debug, Clone, Default, Args)]
pub struct Target {
    /// Kubeconfig of the management API [default: in-cluster, then ~/.kube/config]
    #[arg(long, env = "KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Namespace [default: that of the context]
    #[arg(long, short = 'n', value_name = "NAME")]
    pub namespace: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show a whole swap under live traffic, in one process on loopback
    Demo(commands::demo::DemoArgs),
    /// A small AWS account with Kubernetes clusters on this machine
    Local(commands::local::LocalArgs),
    /// The management API and the controllers on one machine
    Server(commands::server::ServerArgs),
    /// The controllers, against a Kubernetes API
    ControllerManager(commands::controller_manager::ControllerManagerArgs),
    /// Print the custom resource definitions
    Crds(commands::crds::CrdsArgs),
    /// Print what the controllers would do next, from manifests in a folder
    Plan(commands::plan::PlanArgs),
    /// Show Cells, their target groups and what they wait for
    Get(commands::get::GetArgs),
    /// Print the phase of a Cell; with -w until its swap has ended
    Status(commands::status::StatusArgs),
    /// Say in a paragraph what a Cell waits for, or why it failed
    Why(commands::why::WhyArgs),
    /// End the present step's wait, or with --full all waits
    Promote(commands::verbs::PromoteArgs),
    /// Hold a Cell: no weight changes but for safety
    Pause(commands::verbs::VerbArgs),
    /// Go on after a pause, an inconclusive analysis or drift
    Resume(commands::verbs::VerbArgs),
    /// Send everything back to the stable version and block the new one
    Abort(commands::verbs::VerbArgs),
    /// Unblock the version that failed and try it again
    Retry(commands::verbs::VerbArgs),
    /// Log in to EKS clusters
    Eks(commands::eks::EksArgs),
    /// Print the completion script of a shell
    Completion(commands::completion::CompletionArgs),
    /// Print the version
    Version,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Cli::command().debug_assert();
    }
}
