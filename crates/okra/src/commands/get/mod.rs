//! `okra get`: Cells as a table, one Cell as a tree, and the lists that the
//! Go program had under the same word (`spec/okra.md` 4.2).

pub mod lists;
pub mod metrics;
pub mod picture;
pub mod steps;
mod tree;

use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use futures::StreamExt as _;
use kube::ResourceExt as _;
use kube::api::ListParams;
use kube::runtime::{WatchStreamExt as _, watcher};
use okra_api::cell::Cell;
use okra_clock::{Clock as _, SystemClock};

use self::picture::Picture;
use super::connect::{Connection, connect};
use super::status;
use crate::cli::Target;
use crate::look::{Look, LookFlags, columns};
use crate::output::{self, Exit, Format};

/// How often `-w` draws anew when nothing has changed, so that times move.
const REDRAW_EVERY: Duration = Duration::from_secs(1);

/// Flags of `okra get`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  okra get               all Cells of the namespace\n  \
    okra get web           one Cell: versions, clusters, target groups, analyses\n  \
    okra get web -w        the same, drawn anew until the swap has ended\n  \
    okra get -A -o wide    the Cells of all namespaces, with their messages\n  \
    okra get cell history  a Cell whose name is also a word of okra"
)]
pub struct GetArgs {
    #[command(flatten)]
    cell: CellArgs,
    #[command(subcommand)]
    kind: Option<Kind>,
}

/// What else can be listed.
#[derive(Debug, Subcommand)]
enum Kind {
    /// Cells; the word may be left out
    #[command(visible_alias = "cells")]
    Cell(CellArgs),
    /// Cluster secrets
    #[command(alias = "clusters")]
    Cluster(lists::ClusterArgs),
    /// AWSTargetGroups
    #[command(name = "awstargetgroups", alias = "awstargetgroup")]
    AwsTargetGroups(lists::TargetGroupArgs),
    /// AWSTargetGroups of the newest version, or of one
    #[command(name = "latestawstargetgroups", alias = "latest-awstargetgroups")]
    LatestAwsTargetGroups(lists::LatestArgs),
    /// TargetGroupBindings of a member cluster
    #[command(name = "targetgroupbindings", alias = "targetgroupbinding")]
    TargetGroupBindings(lists::BindingArgs),
}

/// Which Cells, and how.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra get cell web")]
struct CellArgs {
    /// Name of a Cell; all Cells when absent
    name: Option<String>,
    #[command(flatten)]
    target: Target,
    /// All namespaces
    #[arg(long, short = 'A', conflicts_with = "name")]
    all_namespaces: bool,
    /// Draw anew on each change, until the swap has ended or needs a human
    #[arg(long, short = 'w', requires = "name")]
    watch: bool,
    /// With -w: stay also after the end
    #[arg(long, requires = "watch")]
    forever: bool,
    /// How to print it
    #[arg(long, short = 'o', default_value = "table")]
    output: Format,
    #[command(flatten)]
    look: LookFlags,
}

/// Prints Cells or one of the lists.
///
/// # Errors
/// When the API cannot be reached or has no such object.
pub async fn run(args: GetArgs) -> anyhow::Result<Exit> {
    match args.kind {
        None => cells(args.cell).await,
        Some(Kind::Cell(cell)) => cells(cell).await,
        Some(Kind::Cluster(list)) => lists::clusters(list).await,
        Some(Kind::AwsTargetGroups(list)) => lists::target_groups(list).await,
        Some(Kind::LatestAwsTargetGroups(list)) => lists::latest(list).await,
        Some(Kind::TargetGroupBindings(list)) => lists::bindings(list).await,
    }
}

async fn cells(args: CellArgs) -> anyhow::Result<Exit> {
    let connection = connect(&args.target).await?;
    let look = args.look.look();
    let Some(name) = &args.name else {
        let cells = if args.all_namespaces {
            kube::Api::<Cell>::all(connection.client.clone())
        } else {
            connection.cells()
        };
        let list = cells.list(&ListParams::default()).await.context("cannot list Cells")?;
        print_list(&list.items, &args, &connection.namespace)?;
        return Ok(Exit::Ok);
    };
    if args.watch {
        return watch(&connection, name, &args, look).await;
    }
    let cell = connection.cell(name).await?;
    print_one(&cell, args.output, &connection, look).await?;
    Ok(Exit::Ok)
}

fn print_list(cells: &[Cell], args: &CellArgs, namespace: &str) -> anyhow::Result<()> {
    match args.output {
        Format::Json => output::print(&output::json(&cells)?),
        Format::Yaml => output::print(&serde_saphyr::to_string(&cells)?),
        Format::Name => {
            output::print(&cells.iter().map(|cell| format!("cell/{}\n", cell.name_any())).collect::<String>())
        }
        Format::Table | Format::Wide if cells.is_empty() => {
            let place =
                if args.all_namespaces { String::new() } else { format!(" in namespace {namespace}") };
            output::remark(&format!("No Cells{place}."));
            Ok(())
        }
        Format::Table | Format::Wide => {
            output::print(&list_table(cells, args.output == Format::Wide, args.all_namespaces))
        }
    }
}

fn list_table(cells: &[Cell], wide: bool, namespaces: bool) -> String {
    let header = ["NAME", "PHASE", "STABLE", "DESIRED", "STEP", "WEIGHT"].map(str::to_owned);
    let mut rows = vec![with(namespaces, "NAMESPACE", header.to_vec(), wide, "MESSAGE")];
    for cell in cells {
        let status = cell.status.clone().unwrap_or_default();
        let number = |value: Option<i64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let row = vec![
            cell.name_any(),
            text(status.phase),
            text(status.stable_version),
            text(status.desired_version),
            number(status.current_step_index),
            number(status.canary_weight),
        ];
        let namespace = cell.namespace().unwrap_or_default();
        rows.push(with(namespaces, &namespace, row, wide, &text(status.message)));
    }
    columns(&rows)
}

fn with(namespaces: bool, namespace: &str, row: Vec<String>, wide: bool, message: &str) -> Vec<String> {
    let first = namespaces.then(|| namespace.to_owned());
    first.into_iter().chain(row).chain(wide.then(|| message.to_owned())).collect()
}

async fn print_one(cell: &Cell, format: Format, connection: &Connection, look: Look) -> anyhow::Result<()> {
    match format {
        Format::Json => output::print(&output::json(cell)?),
        Format::Yaml => output::print(&serde_saphyr::to_string(cell)?),
        Format::Name => output::print(&format!("cell/{}\n", cell.name_any())),
        Format::Table | Format::Wide => {
            let picture = Picture::read(connection, cell).await?;
            output::print(&tree::tree(cell, &picture, SystemClock::new().now(), look))
        }
    }
}

/// Draws until the swap has ended. On a terminal the picture is drawn over the
/// last one; elsewhere each picture that differs is printed below it.
async fn watch(connection: &Connection, name: &str, args: &CellArgs, look: Look) -> anyhow::Result<Exit> {
    let clock = SystemClock::new();
    let mut cell = connection.cell(name).await?;
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut changes = watcher(connection.cells(), config).default_backoff().applied_objects().boxed();
    let (over, mut last) = (output::is_terminal(), String::new());
    loop {
        let picture = Picture::read(connection, &cell).await?;
        let drawn = match args.output {
            Format::Table | Format::Wide => tree::tree(&cell, &picture, clock.now(), look),
            Format::Json => serde_json::to_string(&cell)? + "\n",
            Format::Yaml => format!("---\n{}", serde_saphyr::to_string(&cell)?),
            Format::Name => format!("cell/{name}\n"),
        };
        if drawn != last {
            let clear = if over && args.output == Format::Table { "\u{1b}[H\u{1b}[2J" } else { "" };
            output::print(&format!("{clear}{drawn}"))?;
            last = drawn;
        }
        if let Some(exit) = status::exit_at_end(&cell).filter(|_| !args.forever) {
            return Ok(exit);
        }
        tokio::select! {
            change = changes.next() => match change {
                Some(Ok(changed)) => cell = changed,
                Some(Err(error)) => output::remark(&format!("the watch was interrupted and goes on: {error}")),
                None => anyhow::bail!("the watch of Cell {name} ended"),
            },
            () = clock.sleep(REDRAW_EVERY), if over => {}
        }
    }
}

#[cfg(test)]
mod tests;
