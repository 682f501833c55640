//! Verbs that are carried out by the controller: one command in an
//! annotation, at most once, answered in `status.lastCommand`.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use kube::runtime::wait::{Condition, await_condition};
use okra_api::cell::{Cell, Command, CommandOutcome};
use okra_api::names::ANNOTATION_COMMAND;
use okra_clock::{Clock as _, Entropy as _, SystemClock, SystemEntropy};
use serde_json::json;

use super::{AbortArgs, RetryArgs, VerbArgs, author, confirmed, read, result, write};
use crate::commands::status;
use crate::output::{self, Exit};

/// Longest wait for the controller's answer. It reacts to the write by watch,
/// so this is reached only when no controller runs.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Flags of `okra promote`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  okra promote web --step 1\n  okra promote web --full --reason 'seen enough'\n\n\
    It ends a pause, a settle, drain or approval wait; at an analysis it ends the run, \
    and the step counts as passed. It never passes an unconfirmed write or missing health."
)]
pub struct PromoteArgs {
    #[command(flatten)]
    verb: VerbArgs,
    /// Skip all pauses and analyses that are left, never confirmation or health
    #[arg(long)]
    full: bool,
}

/// Which step a command names when its giver names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// The step that the Cell is at: what was meant for it must not hit the next.
    Present,
    /// None: the command is right at any step.
    Any,
}

/// `okra promote`.
///
/// # Errors
/// When the API or the controller refuses it.
pub async fn promote(args: PromoteArgs) -> anyhow::Result<Exit> {
    let (verb, guard, question) = if args.full {
        ("PromoteFull", Guard::Any, "skips every pause and analysis that is left")
    } else {
        ("Promote", Guard::Present, "ends what the present step waits for")
    };
    if !confirmed(&args.verb, question)? {
        return Ok(Exit::Usage);
    }
    send(&args.verb, verb, guard).await
}

/// `okra abort`. It never asks: it is the way out.
///
/// # Errors
/// When the API or the controller refuses it.
pub async fn abort(args: AbortArgs) -> anyhow::Result<Exit> {
    send(&args.verb, "Abort", Guard::Any).await
}

/// `okra retry`.
///
/// # Errors
/// When the API or the controller refuses it.
pub async fn retry(args: RetryArgs) -> anyhow::Result<Exit> {
    if !confirmed(&args.verb, "unblocks the version that failed and begins with it at step 0")? {
        return Ok(Exit::Usage);
    }
    send(&args.verb, "Retry", Guard::Any).await
}

/// Writes a command and waits for its answer.
///
/// # Errors
/// When the API or the controller refuses it.
pub async fn send(args: &VerbArgs, verb: &str, guard: Guard) -> anyhow::Result<Exit> {
    let (cells, cell) = read(args).await?;
    let now = cell.status.as_ref();
    let present = now.and_then(|status| status.current_step_index).filter(|_| guard == Guard::Present);
    let command = Command {
        id: format!("{:016x}", SystemEntropy::default().next_u64()),
        verb: verb.to_owned(),
        rollout_id: now.and_then(|status| status.rollout_id.clone()),
        step: args.step.or(present),
        version: None,
        by: author(),
        reason: args.reason.clone(),
        at: Some(SystemClock::new().now()),
    };
    let patch = json!({"metadata": {"annotations": {ANNOTATION_COMMAND: command.to_annotation()}}});
    if args.dry_run {
        super::check_step(args, &cell)?;
        write(&cells, args, &patch).await?;
        return result(args, &format!("would be told {verb}; it is: {}", status::line(now)));
    }
    write(&cells, args, &patch).await?;
    let answered = await_condition(cells, &args.name, is_answered(command.id.clone()));
    match tokio::time::timeout(ANSWER_TIMEOUT, answered).await {
        Ok(answer) => report(args, verb, answer.context("the watch for the answer failed")?.as_ref()),
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

fn report(args: &VerbArgs, verb: &str, cell: Option<&Cell>) -> anyhow::Result<Exit> {
    let Some(last) = outcome(cell) else { anyhow::bail!("Cell {} was deleted meanwhile", args.name) };
    if last.outcome.as_deref() == Some("Refused") {
        let reason = last.reason.as_deref().unwrap_or("no reason given");
        anyhow::bail!("{verb} was refused: {reason}");
    }
    let line = status::line(cell.and_then(|cell| cell.status.as_ref()));
    result(args, &format!("{verb} done: {line}"))
}
