//! `okra demo`: a whole swap under live traffic, in one process.

use clap::Args;
use okra_clock::SystemClock;
use tokio_util::sync::CancellationToken;

use crate::demo::report::Report;
use crate::demo::{self, Settings};
use crate::manager;
use crate::output::{self, Exit};

/// Flags of `okra demo`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  okra demo\n  okra demo --fail\n  okra demo --json | tail -n 1 | jq .reaction_ms"
)]
pub struct DemoArgs {
    /// Make the new version answer every fifth request with an error
    #[arg(long)]
    fail: bool,
    /// Print the result as one JSON object on the last line
    #[arg(long)]
    json: bool,
}

/// Runs the demo and prints its result.
///
/// # Errors
/// When a part cannot be started or the swap reaches no end in time.
pub async fn run(args: DemoArgs) -> anyhow::Result<Exit> {
    let stop = CancellationToken::new();
    manager::stop_on_signal(stop.clone())?;
    output::remark("okra demo: starting a management API, an AWS region and two clusters on loopback");
    let settings = Settings { fail: args.fail, picture: true };
    let report = demo::run(settings, SystemClock::shared(), stop).await?;
    if args.json {
        output::print(&(serde_json::to_string(&report)? + "\n"))?;
    } else {
        output::print(&report.summary())?;
    }
    Ok(exit(&report, args.fail))
}

/// A demo has done its work when it ended as it was asked to.
fn exit(report: &Report, fail: bool) -> Exit {
    use crate::demo::report::SwapOutcome;
    let wanted = if fail { SwapOutcome::RolledBack } else { SwapOutcome::Completed };
    if report.outcome == wanted && report.failed == 0 { Exit::Ok } else { Exit::Degraded }
}
