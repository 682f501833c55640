//! `okra rollback --to VERSION`: pins the Cell to a version that is still
//! there. It is a swap of weights, in one write.

use anyhow::Context as _;
use clap::Args;
use kube::Api;
use kube::api::ListParams;
use okra_api::AWSTargetGroup;
use okra_api::cell::{Cell, CellStatus};
use okra_domain::Version;
use serde_json::json;

use super::{VerbArgs, check_step, confirmed, result, spec_patch, write};
use crate::commands::connect::{Connection, connect};
use crate::commands::get::lists::version_text;
use crate::output::Exit;

/// Flags of `okra rollback`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  okra rollback web --to 1.4.2 --reason 'checkout is slow'\n  \
    okra rollback web            to the version that served before\n  \
    okra rollback web --unpin    follow the newest version again\n\n\
    The Cell stays pinned until --unpin. To keep it off one version instead,\n\
    use `okra abort` or `okra version block`.")]
pub struct RollbackArgs {
    #[command(flatten)]
    verb: VerbArgs,
    /// Version to serve [default: the one that served before]
    #[arg(long, visible_alias = "to-revision", value_name = "VERSION")]
    to: Option<Version>,
    /// Take the pin away
    #[arg(long, conflicts_with = "to")]
    unpin: bool,
}

/// `okra rollback`.
///
/// # Errors
/// When the version is unknown or the API refuses the write.
pub async fn rollback(args: RollbackArgs) -> anyhow::Result<Exit> {
    let connection = connect(&args.verb.target).await?;
    let cell = connection.cell(&args.verb.name).await?;
    check_step(&args.verb, &cell)?;
    let before = cell.spec.version.as_deref().map_or("unpinned".to_owned(), |pin| format!("pinned to {pin}"));
    let version = match (&args.to, args.unpin) {
        (_, true) => None,
        (Some(version), false) => Some(version.clone()),
        (None, false) => Some(served_before(cell.status.as_ref()).with_context(|| {
            format!("Cell {} has no earlier version in its history: say which one with --to", args.verb.name)
        })?),
    };
    let count = match &version {
        Some(version) => Some(groups_of(&connection, &cell, version).await?),
        None => None,
    };
    let question = match &version {
        Some(version) => format!("sends the traffic to {version} at once, without steps"),
        None => "lets the newest version roll out".to_owned(),
    };
    if !confirmed(&args.verb, &question)? {
        return Ok(Exit::Usage);
    }
    let text = version.as_ref().map(ToString::to_string);
    let patch = spec_patch(&args.verb, "Rollback", &json!({"version": text}));
    write(&connection.cells(), &args.verb, &patch).await?;
    let change = match (text, count) {
        (Some(version), Some(count)) => {
            format!("pinned to {version} ({count} target groups); it was {before}")
        }
        _ => format!("unpinned; it was {before}"),
    };
    result(&args.verb, &change)
}

/// The version to go back to: the one that the running rollout came from, else
/// the one that the last completed rollout replaced.
fn served_before(status: Option<&CellStatus>) -> Option<Version> {
    let status = status?;
    let running = status.rollout.as_ref().and_then(|rollout| rollout.from.as_deref());
    let completed = status
        .history
        .iter()
        .find(|entry| entry.outcome.as_deref() == Some("Completed") && entry.to == status.stable_version);
    running.or_else(|| completed?.from.as_deref())?.parse().ok()
}

/// How many target groups of a version the Cell knows.
async fn groups_of(connection: &Connection, cell: &Cell, version: &Version) -> anyhow::Result<usize> {
    let entry = cell.spec.entry_point().context("the Cell names no entry point")?;
    let keys = cell.spec.version_labels(&entry).context("the Cell names no version label")?;
    let selector = entry.selector().match_labels;
    let selector: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let groups: Api<AWSTargetGroup> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let list = groups.list(&ListParams::default().labels(&selector.join(","))).await;
    let list = list.context("cannot list AWSTargetGroups")?.items;
    let versions = list.iter().filter_map(|group| version_text(group, &keys)?.parse::<Version>().ok());
    let mut known: Vec<Version> = versions.collect();
    let count = known.iter().filter(|one| *one == version).count();
    known.sort();
    known.dedup();
    let known: Vec<String> = known.iter().map(ToString::to_string).collect();
    anyhow::ensure!(
        count > 0,
        "no target group of {version} is there to go back to; the Cell knows {}",
        if known.is_empty() { "none at all".to_owned() } else { known.join(", ") }
    );
    Ok(count)
}

#[cfg(test)]
mod tests {
    use okra_api::cell::{CellRollout, HistoryEntry};

    use super::*;

    fn entry(from: &str, to: &str, outcome: &str) -> HistoryEntry {
        HistoryEntry {
            from: Some(from.into()),
            to: Some(to.into()),
            outcome: Some(outcome.into()),
            ..HistoryEntry::default()
        }
    }

    #[test]
    fn back_is_where_the_serving_version_came_from() {
        let mut status = CellStatus {
            stable_version: Some("2.0.0".into()),
            history: vec![
                entry("2.0.0", "3.0.0", "Failed"),
                entry("1.0.0", "2.0.0", "Completed"),
                entry("0.9.0", "1.0.0", "Completed"),
            ],
            ..CellStatus::default()
        };
        let version = |status: &CellStatus| served_before(Some(status)).map(|version| version.to_string());
        assert_eq!(version(&status).as_deref(), Some("1.0.0"));
        status.rollout = Some(CellRollout { from: Some("2.0.0".into()), ..CellRollout::default() });
        assert_eq!(version(&status).as_deref(), Some("2.0.0"));
        assert_eq!(version(&CellStatus::default()), None);
        assert_eq!(served_before(None), None);
    }
}
