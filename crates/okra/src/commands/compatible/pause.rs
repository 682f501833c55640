//! `cancel pause`: ends a Pause early; the rollout goes on (`spec/okra.md` 3.5).

use anyhow::Context as _;
use clap::Args;
use kube::Api;
use kube::api::{Patch, PatchParams};
use okra_api::Pause;
use okra_api::names::FIELD_MANAGER;
use okra_api::pause::{PHASE_CANCELLED, PHASE_EXPIRED};
use okra_clock::{Clock as _, SystemClock};
use serde_json::json;

use crate::cli::Target;
use crate::commands::connect::connect;
use crate::output::{self, Exit};

/// Flags of `cancel pause`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  okra cancel pause --name web-1-pause\n\n`okra promote CELL` does the same by the Cell."
)]
pub struct CancelArgs {
    /// Name of the Pause
    #[arg(long, value_name = "NAME")]
    name: String,
    #[command(flatten)]
    target: Target,
}

/// Cancels it; one that is over already is an error.
///
/// # Errors
/// When it is over, not there, or the API refuses.
pub async fn cancel(args: CancelArgs) -> anyhow::Result<Exit> {
    let connection = connect(&args.target).await?;
    let pauses: Api<Pause> = Api::namespaced(connection.client, &connection.namespace);
    let pause =
        pauses.get(&args.name).await.with_context(|| format!("Pause {} cannot be read", args.name))?;
    let phase = pause.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    anyhow::ensure!(
        !matches!(phase, PHASE_CANCELLED | PHASE_EXPIRED),
        "Pause {} is over already: {phase}",
        args.name
    );
    let patch = json!({
        "metadata": {"resourceVersion": pause.metadata.resource_version},
        "status": {"phase": PHASE_CANCELLED, "lastSyncTime": SystemClock::new().now()},
    });
    let params =
        PatchParams { field_manager: Some(format!("{FIELD_MANAGER}-cli")), ..PatchParams::default() };
    pauses
        .patch_status(&args.name, &params, &Patch::Merge(patch))
        .await
        .with_context(|| format!("Pause {} cannot be written", args.name))?;
    output::print(&format!("pause/{} cancelled\n", args.name))?;
    Ok(Exit::Ok)
}
