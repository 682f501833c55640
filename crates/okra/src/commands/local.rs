//! `okra local up|status|down`: a small AWS account with Kubernetes clusters
//! on this machine.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use okra_clock::{SharedClock, SystemClock};
use okra_region::{FaultRate, Timing};
use tokio_util::sync::CancellationToken;

use crate::cli::Logging;
use crate::local::control::{self, Question};
use crate::local::{Local, Settings, files};
use crate::manager::{self, ControllerFlags};
use crate::output::{self, Exit, Format};

/// Longest wait of `up --detach` for the background process to be ready: a
/// data directory of ten thousand objects opens in well under a second.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How often readiness and the end are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Flags of `okra local`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  okra local up --detach\n  set -a; . ~/.local/state/okra/aws.env; set +a\n  \
    aws eks list-clusters\n  KUBECONFIG=~/.local/state/okra/kubeconfig kubectl get cells\n  okra local down"
)]
pub struct LocalArgs {
    #[command(subcommand)]
    command: LocalCommand,
}

#[derive(Debug, Subcommand)]
enum LocalCommand {
    /// Start it, and stay until interrupted
    Up(Box<UpArgs>),
    /// Say what runs where
    Status(StatusArgs),
    /// End it; its state stays
    #[command(after_help = "Example:\n  okra local down")]
    Down(FolderArgs),
}

#[derive(Debug, Args)]
struct FolderArgs {
    /// Where the state lives [default: $XDG_STATE_HOME/okra or ~/.local/state/okra]
    #[arg(long, env = "OKRA_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

impl FolderArgs {
    fn folder(&self) -> anyhow::Result<PathBuf> {
        let folder = match &self.data_dir {
            Some(folder) => folder.clone(),
            None => files::default_data_dir()?,
        };
        std::path::absolute(&folder).with_context(|| format!("{} is no usable path", folder.display()))
    }
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  okra local up --detach\n  okra local up --data-dir /tmp/lab --no-controllers\n  \
    okra local up --fault throttle=0.2 --fault stale-read=0.5\n\n\
    Faults: throttle, error, timeout-before, timeout-after (not done, done),\n\
    stale-read, partial-page, flap, vanish.\n\
    POST /_okra/faults on the region changes them."
)]
struct UpArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// Go to the background once everything is ready
    #[arg(long)]
    detach: bool,
    /// Leave the controllers to a separate `okra controller-manager`
    #[arg(long, env = "OKRA_NO_CONTROLLERS")]
    no_controllers: bool,
    /// A bad day of AWS: a kind of fault and the share of calls that it befalls [default: all]
    #[arg(long, env = "OKRA_FAULT", value_name = "KIND[=RATE]", value_delimiter = ',')]
    fault: Vec<FaultRate>,
    #[command(flatten)]
    controllers: ControllerFlags,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra local status -o json")]
struct StatusArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// How to print it
    #[arg(long, short = 'o', default_value = "table")]
    output: Format,
}

/// Carries out `okra local …`.
///
/// # Errors
/// When something cannot be started, reached or written.
pub async fn run(args: LocalArgs, logging: &Logging) -> anyhow::Result<Exit> {
    match args.command {
        LocalCommand::Up(up) if up.detach => detach(&up, logging).await,
        LocalCommand::Up(up) => stay(*up).await,
        LocalCommand::Status(status) => print_status(&status).await,
        LocalCommand::Down(folder) => down(&folder.folder()?).await,
    }
}

async fn stay(up: UpArgs) -> anyhow::Result<Exit> {
    let folder = up.folder.folder()?;
    let clock: SharedClock = SystemClock::shared();
    let stop = CancellationToken::new();
    manager::stop_on_signal(stop.clone())?;
    let settings =
        Settings { data_dir: Some(folder.clone()), timing: Timing::default(), faults: up.fault.clone() };
    let local = Local::start(settings, clock.clone()).await?;
    let controllers = if up.no_controllers {
        None
    } else {
        Some(manager::start_local(&local, &up.controllers, clock, stop.child_token()).await?)
    };
    let local = Arc::new(local);
    let shown = Arc::downgrade(&local);
    let gone = CancellationToken::new();
    let status = move || shown.upgrade().map_or_else(|| "{}".to_owned(), |local| local.status().to_string());
    control::answer(&folder, stop.clone(), gone.clone(), status)?;
    local.write_files()?;
    output::remark(&format!(
        "okra local is ready: {}\n  kubeconfig  {}\n  AWS         set -a; . {}; set +a\nPress Ctrl-C to end it; the state stays.",
        local.management().url(),
        folder.join("kubeconfig").display(),
        folder.join("aws.env").display(),
    ));
    stop.cancelled().await;
    Local::remove_files(&folder)?;
    if let Some(controllers) = controllers {
        controllers.finish().await;
    }
    match Arc::try_unwrap(local) {
        Ok(local) => local.shutdown().await,
        Err(_) => tracing::warn!("a question is still being answered; everything ends with the process"),
    }
    gone.cancel();
    files::remove(&control::socket(&folder))?;
    Ok(Exit::Ok)
}

async fn detach(up: &UpArgs, logging: &Logging) -> anyhow::Result<Exit> {
    let folder = up.folder.folder()?;
    files::private_folder(&folder)?;
    if control::ask(&folder, Question::Status).await?.is_some() {
        output::remark(&format!("okra local runs already on {}", folder.display()));
        return Ok(Exit::Ok);
    }
    let log = folder.join("local.log");
    let mut child = background(&folder, up, logging, &log)?;
    let deadline = READY_TIMEOUT.as_millis() / LOOK_EVERY.as_millis();
    for _ in 0..deadline {
        if control::ask(&folder, Question::Status).await.ok().flatten().is_some()
            && folder.join("kubeconfig").exists()
        {
            output::remark(&format!("okra local runs in the background; log: {}", log.display()));
            return Ok(Exit::Ok);
        }
        if let Some(status) = child.try_wait().context("the background process cannot be watched")? {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            anyhow::bail!(
                "okra local ended at once ({status}): {}",
                said.lines().last().unwrap_or("no message")
            );
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    anyhow::bail!("okra local is not ready after {READY_TIMEOUT:?}; see {}", log.display())
}

fn background(
    folder: &Path,
    up: &UpArgs,
    logging: &Logging,
    log: &Path,
) -> anyhow::Result<std::process::Child> {
    use std::os::unix::process::CommandExt as _;
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = Command::new(std::env::current_exe().context("okra does not find itself")?);
    command.args(["local", "up", "--data-dir"]).arg(folder);
    command.arg("--log-level").arg(format!("{:?}", logging.level).to_lowercase());
    if up.no_controllers {
        command.arg("--no-controllers");
    }
    command.args(up.fault.iter().map(|fault| format!("--fault={fault}")));
    command.args(up.controllers.to_arguments());
    // A group of its own: Ctrl-C in this terminal is not meant for it.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).process_group(0);
    command.spawn().context("the background process cannot be started")
}

async fn print_status(args: &StatusArgs) -> anyhow::Result<Exit> {
    let folder = args.folder.folder()?;
    let Some(answer) = control::ask(&folder, Question::Status).await? else {
        output::remark(&format!(
            "okra local does not run on {}; start it with: okra local up",
            folder.display()
        ));
        return Ok(Exit::Usage);
    };
    let status: serde_json::Value = serde_json::from_str(&answer).context("the answer is no JSON")?;
    match args.output {
        Format::Json => output::print(&output::json(&status)?)?,
        Format::Yaml => output::print(&serde_saphyr::to_string(&status)?)?,
        Format::Name => output::print(&names(&status))?,
        Format::Table | Format::Wide => output::print(&table(&status))?,
    }
    Ok(Exit::Ok)
}

fn entries<'a>(status: &'a serde_json::Value, field: &str) -> impl Iterator<Item = &'a serde_json::Value> {
    status[field].as_array().into_iter().flatten()
}

fn names(status: &serde_json::Value) -> String {
    let balancers =
        entries(status, "loadBalancers").map(|one| format!("loadbalancer/{}\n", text(&one["name"])));
    let clusters = entries(status, "clusters").map(|one| format!("cluster/{}\n", text(&one["name"])));
    balancers.chain(clusters).collect()
}

fn table(status: &serde_json::Value) -> String {
    let mut lines = vec![
        format!("management  {}", text(&status["management"])),
        format!("kubeconfig  {}", text(&status["kubeconfig"])),
        format!("AWS         {}", text(&status["endpoint"])),
    ];
    for balancer in entries(status, "loadBalancers") {
        for listener in entries(balancer, "listeners") {
            lines.push(format!(
                "listener    {} port {} at http://{}",
                text(&balancer["name"]),
                listener["port"],
                text(&listener["address"])
            ));
        }
    }
    for cluster in entries(status, "clusters") {
        lines.push(format!(
            "cluster     {} {} {} {}",
            text(&cluster["name"]),
            text(&cluster["version"]),
            text(&cluster["status"]),
            text(&cluster["endpoint"])
        ));
    }
    lines.join("\n") + "\n"
}

fn text(value: &serde_json::Value) -> &str {
    value.as_str().unwrap_or("-")
}

async fn down(folder: &Path) -> anyhow::Result<Exit> {
    if control::ask(folder, Question::Down).await?.is_none() {
        output::remark(&format!("okra local does not run on {}", folder.display()));
        return Ok(Exit::Ok);
    }
    let looks = READY_TIMEOUT.as_millis() / LOOK_EVERY.as_millis();
    for _ in 0..looks {
        if control::ask(folder, Question::Status).await.ok().flatten().is_none() {
            output::remark("okra local has ended; its state stays");
            return Ok(Exit::Ok);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    anyhow::bail!("okra local has not ended within {READY_TIMEOUT:?}")
}
