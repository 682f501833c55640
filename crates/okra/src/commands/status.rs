//! `okra status NAME [-w]`: the phase of a Cell, and with `-w` every change of
//! it until the swap has ended or needs a human.

use std::time::Duration;

use clap::Args;
use futures::StreamExt as _;
use kube::Api;
use kube::api::ListParams;
use kube::runtime::{WatchStreamExt as _, watcher};
use okra_api::AnalysisRun;
use okra_api::cell::{Cell, CellStatus};
use okra_api::names::LABEL_CELL;
use okra_api::write::label_value;
use okra_clock::{Clock as _, SystemClock};

use super::connect::{Connection, connect};
use super::get::metrics;
use crate::cli::Target;
use crate::look::Look;
use crate::output::{self, Exit, Format};

/// Flags of `okra status`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  okra status web\n  okra status web -w -t 30m && echo swapped\n\n\
    Exit codes: 0 completed (without -w also pending or progressing), 2 failed or degraded,\n\
    3 not within the time of -t, 4 waits for a human, 5 an analysis was inconclusive.")]
pub struct StatusArgs {
    /// Name of the Cell
    name: String,
    #[command(flatten)]
    target: Target,
    /// Print every change until the swap has ended or needs a human
    #[arg(long, short = 'w')]
    watch: bool,
    /// With -w: stay also after the end
    #[arg(long, requires = "watch")]
    forever: bool,
    /// With -w: longest wait, as 30m or 90s
    #[arg(long, short = 't', requires = "watch", value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// How to print it
    #[arg(long, short = 'o', default_value = "table")]
    output: Format,
}

/// A duration as `90s`, `30m` or `1h30m`.
fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|error| format!("{error}; write it as 90s, 30m or 1h30m"))?;
    Duration::try_from(span).map_err(|_| "a wait cannot be negative".to_owned())
}

/// Prints the status.
///
/// # Errors
/// When the API cannot be reached or has no such Cell.
pub async fn run(args: StatusArgs) -> anyhow::Result<Exit> {
    let connection = connect(&args.target).await?;
    // Read first, so that a name that does not exist is an error and not a wait for ever.
    let cell = connection.cell(&args.name).await?;
    if !args.watch {
        print(&cell, args.output)?;
        if matches!(args.output, Format::Table | Format::Wide) {
            output::print(&analyses(&connection, &args.name).await?)?;
        }
        return Ok(exit_at_rest(cell.status.as_ref()));
    }
    let following = follow(connection.cells(), &args);
    match args.timeout {
        None => following.await,
        Some(limit) => match tokio::time::timeout(limit, following).await {
            Ok(exit) => exit,
            Err(_) => {
                output::remark(&format!("Cell {} has not reached an end within {limit:?}", args.name));
                Ok(Exit::Timeout)
            }
        },
    }
}

/// Last value, limit and next measurement of what judges the Cell now.
async fn analyses(connection: &Connection, name: &str) -> anyhow::Result<String> {
    let selector = ListParams::default().labels(&format!("{LABEL_CELL}={}", label_value(name)));
    let runs: Api<AnalysisRun> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let runs = match runs.list(&selector).await {
        Ok(runs) => runs.items,
        // A status is also for who may not read runs, and where the kind is not installed.
        Err(error) => {
            tracing::debug!(%error, "AnalysisRuns cannot be listed");
            Vec::new()
        }
    };
    let now = SystemClock::new().now();
    let under_way = runs.iter().filter(|run| metrics::is_under_way(run));
    let lines = under_way.flat_map(|run| metrics::lines(run, now, Look::default()));
    Ok(lines.map(|line| format!("  {line}\n")).collect())
}

async fn follow(cells: Api<Cell>, args: &StatusArgs) -> anyhow::Result<Exit> {
    let config = watcher::Config::default().fields(&format!("metadata.name={}", args.name));
    let mut changes = watcher(cells, config).default_backoff().applied_objects().boxed();
    let mut last = String::new();
    while let Some(change) = changes.next().await {
        let cell = match change {
            Ok(cell) => cell,
            Err(error) => {
                output::remark(&format!("the watch was interrupted and goes on: {error}"));
                continue;
            }
        };
        let now = line(cell.status.as_ref());
        if now != last {
            print(&cell, args.output)?;
            last = now;
        }
        if let Some(exit) = exit_at_end(&cell).filter(|_| !args.forever) {
            return Ok(exit);
        }
    }
    anyhow::bail!("the watch of Cell {} ended", args.name)
}

fn print(cell: &Cell, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => output::print(&(serde_json::to_string(&cell.status)? + "\n")),
        Format::Yaml => output::print(&format!("---\n{}", serde_saphyr::to_string(&cell.status)?)),
        Format::Name => {
            output::print(&format!("cell/{}\n", cell.metadata.name.as_deref().unwrap_or_default()))
        }
        Format::Table | Format::Wide => output::print(&format!("{}\n", line(cell.status.as_ref()))),
    }
}

/// `Progressing - weight 10 % of 2.0.0: waiting for ...`
pub fn line(status: Option<&CellStatus>) -> String {
    let Some(status) = status else { return "Pending - not seen by a controller yet".to_owned() };
    let phase = status.phase.as_deref().unwrap_or("Pending");
    match status.message.as_deref().filter(|message| !message.is_empty()) {
        Some(message) => format!("{phase} - {message}"),
        None => phase.to_owned(),
    }
}

fn exit_at_rest(status: Option<&CellStatus>) -> Exit {
    let status = status.cloned().unwrap_or_default();
    match status.phase.as_deref() {
        Some("Failed" | "Degraded" | "Error") => Exit::Degraded,
        Some("Paused") if status.reason.as_deref() == Some("Inconclusive") => Exit::Inconclusive,
        Some("Paused") => Exit::Paused,
        _ => Exit::Ok,
    }
}

/// The exit of `-w`, once there is nothing more to wait for. A status that
/// belongs to an older spec is no end.
pub fn exit_at_end(cell: &Cell) -> Option<Exit> {
    let status = cell.status.as_ref()?;
    if status.observed_generation != cell.metadata.generation {
        return None;
    }
    match status.phase.as_deref() {
        Some("Completed" | "Failed" | "Degraded" | "Error" | "Paused") => Some(exit_at_rest(Some(status))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(phase: &str, reason: &str, observed: i64) -> Cell {
        let mut cell = Cell::new("web", Default::default());
        cell.metadata.generation = Some(3);
        cell.status = Some(CellStatus {
            phase: Some(phase.into()),
            reason: Some(reason.into()),
            observed_generation: Some(observed),
            ..CellStatus::default()
        });
        cell
    }

    #[test]
    fn the_watch_ends_at_an_end() {
        assert_eq!(exit_at_end(&cell("Progressing", "Settling", 3)), None);
        assert_eq!(exit_at_end(&cell("Completed", "", 3)), Some(Exit::Ok));
        assert_eq!(exit_at_end(&cell("Failed", "AnalysisFailed", 3)), Some(Exit::Degraded));
        assert_eq!(exit_at_end(&cell("Paused", "Inconclusive", 3)), Some(Exit::Inconclusive));
        assert_eq!(exit_at_end(&cell("Paused", "PausedByUser", 3)), Some(Exit::Paused));
        assert_eq!(exit_at_end(&cell("Completed", "", 2)), None, "the spec is newer than the status");
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert!(duration("soon").is_err());
    }
}
