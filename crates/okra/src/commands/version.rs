//! `okra version`: of the program; `okra version block|unblock|list`: versions
//! that a Cell shall not roll out (`spec/okra.md` 2.8).

use anyhow::Context as _;
use clap::{Args, Subcommand};
use kube::Api;
use kube::api::PostParams;
use okra_api::VersionBlocklist;
use okra_api::names::FIELD_MANAGER;
use okra_api::version_blocklist::BlockedVersion;
use okra_clock::{Clock as _, SystemClock};
use okra_domain::Version;

use super::connect::{Connection, connect};
use crate::cli::Target;
use crate::look::columns;
use crate::output::{self, Exit, Format};

/// Flags of `okra version`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  okra version\n  \
    okra version block web 2.1.0 --reason 'leaks connections'\n  okra version unblock web 2.1.0\n  \
    okra version list web")]
pub struct VersionArgs {
    #[command(subcommand)]
    command: Option<VersionCommand>,
}

#[derive(Debug, Subcommand)]
enum VersionCommand {
    /// Keep a Cell from rolling out a version
    Block(BlockArgs),
    /// Allow it again: a rollout of it begins anew, if it is the newest
    Unblock(UnblockArgs),
    /// Show what is blocked
    List(ListArgs),
}

#[derive(Debug, Args)]
struct Which {
    /// Name of the Cell
    cell: String,
    /// The version; `v2` means 2.0.0
    version: Version,
    #[command(flatten)]
    target: Target,
    /// Print what would be written, let the API check it, and write nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra version block web 2.1.0 --reason 'leaks connections'")]
struct BlockArgs {
    #[command(flatten)]
    which: Which,
    /// Why; `okra get` and the Cell's conditions show it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra version unblock web 2.1.0")]
struct UnblockArgs {
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra version list web")]
struct ListArgs {
    /// Name of the Cell
    cell: String,
    #[command(flatten)]
    target: Target,
    /// How to print it
    #[arg(long, short = 'o', default_value = "table")]
    output: Format,
}

/// Carries out `okra version …`.
///
/// # Errors
/// When the API cannot be reached or refuses the write.
pub async fn run(args: VersionArgs) -> anyhow::Result<Exit> {
    match args.command {
        None => output::print(&format!("okra {}\n", env!("CARGO_PKG_VERSION"))).map(|()| Exit::Ok),
        Some(VersionCommand::Block(args)) => block(args).await,
        Some(VersionCommand::Unblock(args)) => unblock(args).await,
        Some(VersionCommand::List(args)) => list(args).await,
    }
}

fn lists(connection: &Connection) -> Api<VersionBlocklist> {
    Api::namespaced(connection.client.clone(), &connection.namespace)
}

/// The list of a Cell that exists: a list for a misspelt name would block nothing.
async fn read(which: &Which) -> anyhow::Result<(Api<VersionBlocklist>, VersionBlocklist)> {
    let connection = connect(&which.target).await?;
    connection.cell(&which.cell).await?;
    let api = lists(&connection);
    let found = api.get_opt(&which.cell).await.context("the blocklist cannot be read")?;
    Ok((api, found.unwrap_or_else(|| VersionBlocklist::new(&which.cell, Default::default()))))
}

fn is(item: &BlockedVersion, version: &Version) -> bool {
    item.version.parse::<Version>().is_ok_and(|blocked| blocked == *version)
}

async fn block(args: BlockArgs) -> anyhow::Result<Exit> {
    let which = &args.which;
    let (api, mut list) = read(which).await?;
    if let Some(item) = list.spec.items.iter().find(|item| is(item, &which.version)) {
        output::print(&format!(
            "cell/{} {} is blocked already: {}\n",
            which.cell, which.version, item.cause
        ))?;
        return Ok(Exit::Ok);
    }
    let by = std::env::var("USER").ok().filter(|user| !user.is_empty());
    let by = by.map_or_else(|| "by hand".to_owned(), |user| format!("by {user}"));
    let cause =
        args.reason.as_ref().map_or_else(|| format!("blocked {by}"), |reason| format!("{reason} ({by})"));
    list.spec.items.push(BlockedVersion {
        version: which.version.to_string(),
        cause,
        time: Some(SystemClock::new().now()),
        ..BlockedVersion::default()
    });
    store(which, &api, &list, "blocked").await
}

async fn unblock(args: UnblockArgs) -> anyhow::Result<Exit> {
    let which = &args.which;
    let (api, mut list) = read(which).await?;
    let before = list.spec.items.len();
    list.spec.items.retain(|item| !is(item, &which.version));
    if list.spec.items.len() == before {
        output::print(&format!("cell/{} {} is not blocked\n", which.cell, which.version))?;
        return Ok(Exit::Ok);
    }
    store(which, &api, &list, "unblocked").await
}

/// Writes the list as it was read: refused if it has changed meanwhile.
async fn store(
    which: &Which,
    api: &Api<VersionBlocklist>,
    list: &VersionBlocklist,
    word: &str,
) -> anyhow::Result<Exit> {
    let params = PostParams { dry_run: which.dry_run, field_manager: Some(format!("{FIELD_MANAGER}-cli")) };
    let written = if list.metadata.resource_version.is_some() {
        api.replace(&which.cell, &params, list).await
    } else {
        api.create(&params, list).await
    };
    written.context("the blocklist cannot be written")?;
    let dry = if which.dry_run { " (dry run: nothing was written)" } else { "" };
    output::print(&format!("cell/{} {} {word}{dry}\n", which.cell, which.version))?;
    Ok(Exit::Ok)
}

async fn list(args: ListArgs) -> anyhow::Result<Exit> {
    let connection = connect(&args.target).await?;
    connection.cell(&args.cell).await?;
    let found = lists(&connection).get_opt(&args.cell).await.context("the blocklist cannot be read")?;
    let items = found.map(|list| list.spec.items).unwrap_or_default();
    match args.output {
        Format::Json => output::print(&output::json(&items)?)?,
        Format::Yaml => output::print(&serde_saphyr::to_string(&items)?)?,
        Format::Name => {
            output::print(&items.iter().map(|item| format!("{}\n", item.version)).collect::<String>())?;
        }
        Format::Table | Format::Wide if items.is_empty() => {
            output::remark(&format!("No version of Cell {} is blocked.", args.cell));
        }
        Format::Table | Format::Wide => output::print(&table(&items))?,
    }
    Ok(Exit::Ok)
}

fn table(items: &[BlockedVersion]) -> String {
    let row = |item: &BlockedVersion| {
        let since = item.time.map_or_else(|| "-".to_owned(), |time| time.strftime("%F %TZ").to_string());
        vec![item.version.clone(), since, item.cause.clone()]
    };
    let header = vec!["VERSION", "SINCE", "WHY"].into_iter().map(str::to_owned).collect();
    columns(&[vec![header], items.iter().map(row).collect()].concat())
}
