//! A human's word to a Cell (`spec/okra.md` 2.6.2b): `spec.paused`, the pin
//! `spec.version`, or one command in an annotation. All are ordinary writes;
//! the controller answers a command in status, and this waits for the answer.

mod command;
mod rollback;

pub use command::{PromoteArgs, abort, promote, retry};
pub use rollback::{RollbackArgs, rollback};

use anyhow::Context as _;
use clap::Args;
use kube::Api;
use kube::api::{Patch, PatchParams};
use okra_api::cell::{Cell, CellStatus};
use okra_api::names::{ANNOTATION_LAST_CHANGE, FIELD_MANAGER};
use okra_clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::connect::connect;
use crate::cli::Target;
use crate::output::{self, Exit};

/// Flags of every verb.
#[derive(Debug, Args)]
pub struct VerbArgs {
    /// Name of the Cell
    name: String,
    #[command(flatten)]
    target: Target,
    /// Why; it is kept with the Cell, and in the history where that ends a rollout
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Refuse unless the Cell is at this step
    #[arg(long, value_name = "INDEX")]
    step: Option<i64>,
    /// Print what would be written, let the API check it, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask, also on a terminal
    #[arg(long, short = 'y')]
    yes: bool,
}

/// Flags of `okra pause`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  okra pause web --reason 'deploy freeze'\n  okra pause web --dry-run")]
pub struct PauseArgs {
    #[command(flatten)]
    verb: VerbArgs,
}

/// Flags of `okra resume`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  okra resume web\n  okra resume web --step 3 --reason 'the drift was a mistake'"
)]
pub struct ResumeArgs {
    #[command(flatten)]
    verb: VerbArgs,
}

/// Flags of `okra abort`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra abort web --reason 'error budget is gone'\n\nIt never asks.")]
pub struct AbortArgs {
    #[command(flatten)]
    verb: VerbArgs,
}

/// Flags of `okra retry`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  okra retry web --reason 'the metric was wrong'")]
pub struct RetryArgs {
    #[command(flatten)]
    verb: VerbArgs,
}

/// `okra pause`.
///
/// # Errors
/// When the API refuses the write.
pub async fn pause(args: PauseArgs) -> anyhow::Result<Exit> {
    set_paused(&args.verb, true).await
}

/// `okra resume`: clears `spec.paused`, and sends `Continue` where the rollout
/// is held for another reason.
///
/// # Errors
/// When the API refuses the write.
pub async fn resume(args: ResumeArgs) -> anyhow::Result<Exit> {
    let args = args.verb;
    let (cells, cell) = read(&args).await?;
    if !is_held_otherwise(cell.status.as_ref()) {
        return set_paused(&args, false).await;
    }
    if cell.spec.paused == Some(true) {
        let patch = spec_patch(&args, "Resume", &json!({"paused": false}));
        write(&cells, &args, &patch).await?;
    }
    command::send(&args, "Continue", command::Guard::Present).await
}

async fn set_paused(args: &VerbArgs, paused: bool) -> anyhow::Result<Exit> {
    let (cells, cell) = read(args).await?;
    check_step(args, &cell)?;
    let state = if paused { "held" } else { "released" };
    if cell.spec.paused.unwrap_or(false) == paused {
        output::print(&format!("cell/{} is {state} already\n", args.name))?;
        return Ok(Exit::Ok);
    }
    let (verb, question) = if paused {
        ("Pause", "holds every weight of the Cell, except for safety")
    } else {
        ("Resume", "lets the Cell go on")
    };
    if !confirmed(args, question)? {
        return Ok(Exit::Usage);
    }
    write(&cells, args, &spec_patch(args, verb, &json!({"paused": paused}))).await?;
    result(args, &state_line(state, &cell))
}

fn state_line(state: &str, cell: &Cell) -> String {
    format!("{state}; it was: {}", super::status::line(cell.status.as_ref()))
}

/// Prints the line that names the change.
fn result(args: &VerbArgs, change: &str) -> anyhow::Result<Exit> {
    let dry = if args.dry_run { " (dry run: nothing was written)" } else { "" };
    output::print(&format!("cell/{} {change}{dry}\n", args.name))?;
    Ok(Exit::Ok)
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

/// The guard of verbs that write the spec; commands carry it to the controller.
fn check_step(args: &VerbArgs, cell: &Cell) -> anyhow::Result<()> {
    let present = cell.status.as_ref().and_then(|status| status.current_step_index);
    match (args.step, present) {
        (Some(meant), Some(present)) if meant != present => {
            anyhow::bail!("Cell {} is at step {present}, not at step {meant}", args.name)
        }
        (Some(meant), None) => anyhow::bail!("Cell {} is at no step, not at step {meant}", args.name),
        _ => Ok(()),
    }
}

/// Asks on a terminal; elsewhere, and with `--yes` or `--dry-run`, goes on.
fn confirmed(args: &VerbArgs, question: &str) -> anyhow::Result<bool> {
    if args.yes || args.dry_run || !output::can_ask() {
        return Ok(true);
    }
    output::ask(&format!("cell/{}: this {question}. Go on?", args.name))
}

/// Who gives the word: the user of this machine.
fn author() -> Option<String> {
    std::env::var("USER").ok().filter(|user| !user.is_empty())
}

/// A change of the spec, with who made it and why.
fn spec_patch(args: &VerbArgs, verb: &str, spec: &Value) -> Value {
    let change = json!({
        "verb": verb, "by": author(), "reason": args.reason, "at": SystemClock::new().now().to_string(),
        "version": spec["version"],
    });
    json!({"metadata": {"annotations": {ANNOTATION_LAST_CHANGE: change.to_string()}}, "spec": spec})
}

async fn write(cells: &Api<Cell>, args: &VerbArgs, patch: &Value) -> anyhow::Result<Cell> {
    let params = PatchParams {
        field_manager: Some(format!("{FIELD_MANAGER}-cli")),
        dry_run: args.dry_run,
        ..PatchParams::default()
    };
    let written = cells.patch(&args.name, &params, &Patch::Merge(patch)).await;
    let written = written.with_context(|| format!("cannot write Cell {}", args.name))?;
    if args.dry_run {
        output::print(&output::json(patch)?)?;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(phase: &str, reason: &str) -> CellStatus {
        CellStatus { phase: Some(phase.into()), reason: Some(reason.into()), ..CellStatus::default() }
    }

    fn args(step: Option<i64>) -> VerbArgs {
        VerbArgs {
            name: "web".into(),
            target: Target::default(),
            reason: None,
            step,
            dry_run: false,
            yes: false,
        }
    }

    #[test]
    fn resume_continues_only_what_waits_for_a_human() {
        assert!(is_held_otherwise(Some(&status("Paused", "Inconclusive"))));
        assert!(is_held_otherwise(Some(&status("Paused", "Drift"))));
        assert!(!is_held_otherwise(Some(&status("Paused", "PausedByUser"))));
        assert!(!is_held_otherwise(Some(&status("Progressing", "Settling"))));
        assert!(!is_held_otherwise(None));
    }

    #[test]
    fn a_verb_is_refused_at_another_step() {
        let mut cell = Cell::new("web", Default::default());
        assert!(check_step(&args(None), &cell).is_ok());
        assert!(check_step(&args(Some(1)), &cell).is_err());
        cell.status = Some(CellStatus { current_step_index: Some(3), ..CellStatus::default() });
        assert!(check_step(&args(Some(3)), &cell).is_ok());
        let refused = check_step(&args(Some(1)), &cell).unwrap_err();
        assert_eq!(refused.to_string(), "Cell web is at step 3, not at step 1");
    }
}
