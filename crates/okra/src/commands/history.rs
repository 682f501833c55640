//! `okra history NAME`: the last rollouts, newest first (`spec/analysis.md` 8.2).

use clap::Args;
use jiff::Timestamp;
use okra_api::cell::{AnalysisSummary, Cell, CellStatus, HistoryEntry};
use okra_clock::{Clock as _, SystemClock};

use super::connect::connect;
use crate::cli::Target;
use crate::look::{columns, span, wrapped};
use crate::output::{self, Exit, Format};

/// Flags of `okra history`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  okra history web\n  okra history web -o wide   with analyses and messages\n  \
    okra history web -o json | jq '.[0].outcome'\n\n\
    How many are kept is the Cell's spec.historyLimit."
)]
pub struct HistoryArgs {
    /// Name of the Cell
    name: String,
    #[command(flatten)]
    target: Target,
    /// How to print it
    #[arg(long, short = 'o', default_value = "table")]
    output: Format,
}

/// Prints the history.
///
/// # Errors
/// When the API cannot be reached or has no such Cell.
pub async fn run(args: HistoryArgs) -> anyhow::Result<Exit> {
    let cell = connect(&args.target).await?.cell(&args.name).await?;
    let entries = entries(&cell);
    match args.output {
        Format::Json => output::print(&output::json(&entries)?)?,
        Format::Yaml => output::print(&serde_saphyr::to_string(&entries)?)?,
        Format::Name => {
            let ids = entries.iter().filter_map(|entry| entry.rollout_id.as_deref());
            output::print(&ids.map(|id| format!("{id}\n")).collect::<String>())?;
        }
        Format::Table | Format::Wide if entries.is_empty() => {
            output::remark(&format!("Cell {} has not rolled out anything yet.", args.name));
        }
        Format::Table => output::print(&table(&entries, SystemClock::new().now()))?,
        Format::Wide => output::print(&detailed(&entries, SystemClock::new().now()))?,
    }
    Ok(Exit::Ok)
}

/// The running rollout, if there is one, then the finished ones.
fn entries(cell: &Cell) -> Vec<HistoryEntry> {
    let status = cell.status.clone().unwrap_or_default();
    running(&status).into_iter().chain(status.history).collect()
}

fn running(status: &CellStatus) -> Option<HistoryEntry> {
    let rollout = status.rollout.clone()?;
    Some(HistoryEntry {
        rollout_id: status.rollout_id.clone(),
        from: rollout.from,
        to: rollout.version,
        started_at: rollout.started_at,
        outcome: None,
        reason: status.reason.clone(),
        message: status.message.clone(),
        paused_seconds: rollout.paused_seconds,
        ..HistoryEntry::default()
    })
}

fn row(entry: &HistoryEntry, now: Timestamp) -> Vec<String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let began = entry.started_at;
    let took = began.map(|began| entry.completed_at.unwrap_or(now).duration_since(began).as_secs());
    let held = entry.paused_seconds.filter(|seconds| *seconds > 0);
    vec![
        text(&entry.from),
        text(&entry.to),
        entry.outcome.clone().unwrap_or_else(|| "Running".to_owned()),
        began.map_or_else(|| "-".to_owned(), |began| began.strftime("%F %TZ").to_string()),
        took.map_or_else(|| "-".to_owned(), span),
        held.map_or_else(|| "-".to_owned(), span),
        text(&entry.by),
        text(&entry.reason),
    ]
}

const HEADER: [&str; 8] = ["FROM", "TO", "OUTCOME", "STARTED", "TOOK", "HELD", "BY", "WHY"];

fn table(entries: &[HistoryEntry], now: Timestamp) -> String {
    let header = vec![HEADER.map(str::to_owned).to_vec()];
    columns(&[header, entries.iter().map(|entry| row(entry, now)).collect()].concat())
}

/// The table, and below each row what was measured and said.
fn detailed(entries: &[HistoryEntry], now: Timestamp) -> String {
    let mut rows = table(entries, now).lines().map(str::to_owned).collect::<Vec<_>>().into_iter();
    let mut lines: Vec<String> = rows.next().into_iter().collect();
    for (row, entry) in rows.zip(entries) {
        lines.push(row);
        lines.extend(wrapped(entry.message.as_deref().unwrap_or_default(), "    "));
        lines.extend(entry.analyses.iter().map(analysis));
    }
    lines.join("\n") + "\n"
}

fn analysis(summary: &AnalysisSummary) -> String {
    let phase = summary.phase.as_deref().unwrap_or("-");
    let value = summary.value.as_deref().map_or_else(String::new, |value| format!(", last value {value}"));
    format!("    analysis {}: {phase}{value}", summary.name)
}

#[cfg(test)]
mod tests {
    use okra_api::cell::CellRollout;

    use super::*;

    fn at(text: &str) -> Option<Timestamp> {
        Some(text.parse().unwrap())
    }

    fn cell() -> Cell {
        let some = |text: &str| Some(text.to_owned());
        let mut cell = Cell::new("web", Default::default());
        cell.status = Some(CellStatus {
            rollout_id: some("c0ffee"),
            reason: some("PauseRunning"),
            message: some("step 1 waits until 15:10:00"),
            rollout: Some(CellRollout {
                version: some("3.0.0"),
                from: some("2.0.0"),
                started_at: at("2026-11-21T15:00:00Z"),
                paused_seconds: Some(30),
                ..CellRollout::default()
            }),
            history: vec![
                HistoryEntry {
                    rollout_id: some("beef"),
                    from: some("2.0.0"),
                    to: some("2.1.0"),
                    started_at: at("2026-11-20T09:00:00Z"),
                    completed_at: at("2026-11-20T09:03:12Z"),
                    outcome: some("Failed"),
                    reason: some("AnalysisFailed"),
                    message: some(
                        "metric \"error-share\" assessed Failed due to failed (1) > failureLimit (0)",
                    ),
                    analyses: vec![AnalysisSummary {
                        name: "web-beef-2".into(),
                        phase: some("Failed"),
                        value: some("0.2"),
                    }],
                    ..HistoryEntry::default()
                },
                HistoryEntry {
                    from: some("1.0.0"),
                    to: some("2.0.0"),
                    started_at: at("2026-11-19T09:00:00Z"),
                    completed_at: at("2026-11-19T11:00:00Z"),
                    outcome: some("Completed"),
                    by: some("ada"),
                    paused_seconds: Some(3600),
                    ..HistoryEntry::default()
                },
            ],
            ..CellStatus::default()
        });
        cell
    }

    #[test]
    fn the_running_rollout_comes_first() {
        let now = "2026-11-21T15:05:00Z".parse().unwrap();
        insta::assert_snapshot!(table(&entries(&cell()), now));
        insta::assert_snapshot!(detailed(&entries(&cell()), now));
    }

    #[test]
    fn a_cell_that_nobody_has_seen_has_no_history() {
        assert!(entries(&Cell::new("web", Default::default())).is_empty());
    }
}
