//! `okra analysis …`: templates and conditions tried without a rollout
//! (`spec/analysis.md` 8.2).

mod answer;
mod laboratory;
mod recording;
pub mod run;
mod simulate;
pub mod template;
mod test;
mod view;

use clap::{Args, Subcommand};
use okra_domain::analysis::Phase;

use crate::output::Exit;

/// Flags of `okra analysis`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  okra analysis test --expr 'result[0] < 0.05' --result '[0.02]'\n  \
    okra analysis simulate -f template.yaml --measurements values.yaml\n  \
    okra analysis run -f template.yaml -a service=web --watch")]
pub struct AnalysisArgs {
    #[command(subcommand)]
    command: AnalysisCommand,
}

#[derive(Debug, Subcommand)]
enum AnalysisCommand {
    /// Run a template once, without a rollout
    Run(run::RunArgs),
    /// Play recorded values through a template, without asking anybody
    Simulate(simulate::SimulateArgs),
    /// Evaluate a condition on results, without asking anybody
    Test(test::TestArgs),
}

/// Carries out `okra analysis …`.
///
/// # Errors
/// When the API refuses, or something is no template, no recording or no result.
pub async fn run(args: AnalysisArgs) -> anyhow::Result<Exit> {
    match args.command {
        AnalysisCommand::Run(args) => run::run(args).await,
        AnalysisCommand::Simulate(args) => simulate::run(&args),
        AnalysisCommand::Test(args) => test::run(&args),
    }
}

/// The exit code of a run that has ended (`spec/analysis.md` 8.2).
fn exit_of(phase: Phase) -> Exit {
    match phase {
        Phase::Successful => Exit::Ok,
        Phase::Inconclusive => Exit::Inconclusive,
        _ => Exit::Degraded,
    }
}
