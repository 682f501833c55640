//! `okra server`: the management API and the controllers on one machine.

use std::path::PathBuf;

use clap::Args;
use okra_clock::{SharedClock, SystemClock};
use tokio_util::sync::CancellationToken;

use crate::local::files;
use crate::local::management::Management;
use crate::local::ports::PortBook;
use crate::manager::{self, ControllerFlags};
use crate::output::{self, Exit};

/// Flags of `okra server`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra server --data-dir /var/lib/okra --region eu-west-1")]
pub struct ServerArgs {
    /// Where the state lives [default: $XDG_STATE_HOME/okra or ~/.local/state/okra]
    #[arg(long, env = "OKRA_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Serve the API only; run `okra controller-manager` beside it
    #[arg(long, env = "OKRA_NO_CONTROLLERS")]
    no_controllers: bool,
    #[command(flatten)]
    controllers: ControllerFlags,
}

/// Runs until interrupted.
///
/// # Errors
/// When the data directory is in use or damaged, or no port is free.
pub async fn run(args: ServerArgs) -> anyhow::Result<Exit> {
    let folder = match args.data_dir {
        Some(folder) => folder,
        None => files::default_data_dir()?,
    };
    files::private_folder(&folder)?;
    let clock: SharedClock = SystemClock::shared();
    let stop = CancellationToken::new();
    manager::stop_on_signal(stop.clone())?;
    let ports = PortBook::open(Some(&folder))?;
    let management = Management::start(Some(&folder), &ports, clock.clone()).await?;
    let controllers = if args.no_controllers {
        None
    } else {
        Some(manager::start(management.client(), &args.controllers, clock, stop.child_token()).await?)
    };
    let kubeconfig = folder.join("kubeconfig");
    files::replace(&kubeconfig, management.kubeconfig().as_bytes())?;
    output::remark(&format!(
        "okra server is ready: {}\n  kubeconfig  {}",
        management.url(),
        kubeconfig.display()
    ));
    stop.cancelled().await;
    if let Some(controllers) = controllers {
        controllers.finish().await;
    }
    management.shutdown().await;
    Ok(Exit::Ok)
}
