//! A human's word to a Cell (`spec/okra.md` 2.6.2b): `spec.paused`, or one
//! command in an annotation. Both are ordinary writes; the controller answers
//! a command in status, and this waits for the answer.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::runtime::wait::{Condition, await_condition};
use okra_api::cell::{Cell, CellStatus, Command, CommandOutcome};
use okra_api::names::{ANNOTATION_COMMAND, FIELD_MANAGER};
use okra_clock::{Clock as _, Entropy as _, SystemClock, SystemEntropy};
use serde_json::json;

use super::connect::connect;
use crate::cli::Target;
use crate::output::{self, Exit};

/// Longest wait for the controller's answer. It reacts to the write by watch,
/// so this is reached only when no controller runs.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Flags of every verb.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra abort web --reason 'error budget is gone'")]
pub struct VerbArgs {
    /// Name of the Cell
    name: String,
    #[command(flatten)]
    target: Target,
    /// Why; it goes to status and history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Refuse unless the Cell is at this step
    #[arg(long, value_name = "INDEX")]
    step: Option<i64>,
    /// Print what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// Flags of `okra promote`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  okra promote web --step 1\n  okra promote web --full --reason 'seen enough'"
)]
pub struct PromoteArgs {
    #[command(flatten)]
    verb: VerbArgs,
    /// Skip all pauses and analyses that are left, never confirmation or health
    #[arg(long)]
    full: bool,
}

/// `okra promote`.
///
/// # Errors
/// When the API refuses the write.
pub async fn promote(args: PromoteArgs) -> anyhow::Result<Exit> {
    let verb = if args.full { "PromoteFull" } else { "Promote" };
    command(&args.verb, verb).await
}

/// `okra abort`.
///
/// # Errors
/// When the API refuses the write.
pub async fn abort(args: VerbArgs) -> anyhow::Result<Exit> {
    command(&args, "Abort").await
}

/// `okra retry`.
///
/// # Errors
/// When the API refuses the write.
pub async fn retry(args: VerbArgs) -> anyhow::Result<Exit> {
    command(&args, "Retry").await
}

/// `okra pause`, and the first half of `okra resume`.
///
/// # Errors
/// When the API refuses the write.
pub async fn set_paused(args: VerbArgs, paused: bool) -> anyhow::Result<Exit> {
    let (cells, cell) = read(&args).await?;
    let state = if paused { "held" } else { "released" };
    if cell.spec.paused.unwrap_or(false) == paused {
        output::print(&format!("cell/{} is {state} already\n", args.name))?;
        return Ok(Exit::Ok);
    }
    write(&cells, &args, json!({"spec": {"paused": paused}})).await?;
    output::print(&format!("cell/{} {state}\n", args.name))?;
    Ok(Exit::Ok)
}

/// `okra resume`: clears `spec.paused`, and sends `Continue` where the rollout
/// is held for another reason.
///
/// # Errors
/// When the API refuses the write.
pub async fn resume(args: VerbArgs) -> anyhow::Result<Exit> {
    let (_, cell) = read(&args).await?;
    if is_held_otherwise(cell.status.as_ref()) {
        if cell.spec.paused == Some(true) {
            set_paused_quietly(&args).await?;
        }
        return command(&args, "Continue").await;
    }
    set_paused(args, false).await
}

async fn set_paused_quietly(args: &VerbArgs) -> anyhow::Result<()> {
    let (cells, _) = read(args).await?;
    write(&cells, args, json!({"spec": {"paused": false}})).await
}

/// Whether something other than `spec.paused` waits for a human.
fn is_held_otherwise(status: Option<&CellStatus>) -> bool {
    let Some(status) = status else { return false };
    let drifted = status.conditions.iter().any(|one| one.type_ == "DriftDetected" && one.status == "True");
    let paused = status.phase.as_deref() == Some("Paused");
    drifted || (paused && status.reason.as_deref() != Some("PausedByUser"))
}

async fn read(args: &VerbArgs) -> anyhow::Result<(Api<Cell>, Cell)> {
    let connection = connect(&args.target).await?;
    let cell = connection.cell(&args.name).await?;
    Ok((connection.cells(), cell))
}

async fn write(cells: &Api<Cell>, args: &VerbArgs, patch: serde_json::Value) -> anyhow::Result<()> {
    if args.dry_run {
        return output::print(&output::json(&patch)?);
    }
    let params =
        PatchParams { field_manager: Some(format!("{FIELD_MANAGER}-cli")), ..PatchParams::default() };
    cells
        .patch(&args.name, &params, &Patch::Merge(patch))
        .await
        .with_context(|| format!("cannot write Cell {}", args.name))?;
    Ok(())
}

async fn command(args: &VerbArgs, verb: &str) -> anyhow::Result<Exit> {
    let (cells, cell) = read(args).await?;
    let command = Command {
        id: format!("{:016x}", SystemEntropy::default().next_u64()),
        verb: verb.to_owned(),
        rollout_id: cell.status.as_ref().and_then(|status| status.rollout_id.clone()),
        step: args.step,
        version: None,
        by: std::env::var("USER").ok().filter(|user| !user.is_empty()),
        reason: args.reason.clone(),
        at: Some(SystemClock::new().now()),
    };
    let patch = json!({"metadata": {"annotations": {ANNOTATION_COMMAND: command.to_annotation()}}});
    write(&cells, args, patch).await?;
    if args.dry_run {
        return Ok(Exit::Ok);
    }
    let answered = await_condition(cells, &args.name, is_answered(command.id.clone()));
    match tokio::time::timeout(ANSWER_TIMEOUT, answered).await {
        Ok(answer) => report(&args.name, verb, answer.context("the watch for the answer failed")?.as_ref()),
        Err(_) => {
            output::remark(&format!(
                "{verb} was written, but no controller has answered within {ANSWER_TIMEOUT:?}"
            ));
            Ok(Exit::Timeout)
        }
    }
}

fn is_answered(id: String) -> impl Condition<Cell> {
    move |cell: Option<&Cell>| outcome(cell).is_some_and(|last| last.id == id)
}

fn outcome(cell: Option<&Cell>) -> Option<&CommandOutcome> {
    cell?.status.as_ref()?.last_command.as_ref()
}

fn report(name: &str, verb: &str, cell: Option<&Cell>) -> anyhow::Result<Exit> {
    let Some(last) = outcome(cell) else { anyhow::bail!("Cell {name} was deleted meanwhile") };
    if last.outcome.as_deref() == Some("Refused") {
        let reason = last.reason.as_deref().unwrap_or("no reason given");
        anyhow::bail!("{verb} was refused: {reason}");
    }
    let line = super::status::line(cell.and_then(|cell| cell.status.as_ref()));
    output::print(&format!("cell/{name} {verb} done: {line}\n"))?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(phase: &str, reason: &str) -> CellStatus {
        CellStatus { phase: Some(phase.into()), reason: Some(reason.into()), ..CellStatus::default() }
    }

    #[test]
    fn resume_continues_only_what_waits_for_a_human() {
        assert!(is_held_otherwise(Some(&status("Paused", "Inconclusive"))));
        assert!(is_held_otherwise(Some(&status("Paused", "Drift"))));
        assert!(!is_held_otherwise(Some(&status("Paused", "PausedByUser"))));
        assert!(!is_held_otherwise(Some(&status("Progressing", "Settling"))));
        assert!(!is_held_otherwise(None));
    }
}
