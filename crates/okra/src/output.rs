//! How the program speaks: data to stdout, everything else to stderr, and
//! exit codes that scripts can rely on (`spec/analysis.md` 8.2).

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use crate::cli::Logging;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or healthy.
    Ok,
    /// A mistake in the call, or the API refused it.
    Usage,
    /// Degraded, failed or aborted.
    Degraded,
    /// Not within the time given.
    Timeout,
    /// Waits for a human.
    Paused,
    /// An analysis could not decide.
    Inconclusive,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Ok => 0,
            Exit::Usage => 1,
            Exit::Degraded => 2,
            Exit::Timeout => 3,
            Exit::Paused => 4,
            Exit::Inconclusive => 5,
        })
    }
}

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For reading.
    #[default]
    Table,
    /// For reading, with more columns.
    Wide,
    /// One JSON document.
    Json,
    /// YAML.
    Yaml,
    /// `kind/name`, one a line.
    Name,
}

/// Writes to stdout; a reader that has gone away ends the program quietly.
///
/// # Errors
/// When stdout cannot be written for another reason.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => Ok(other?),
    }
}

/// Writes a remark to stderr.
pub fn remark(text: &str) {
    // Nobody is left to hear that stderr is closed.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Whether somebody reads stdout on a terminal.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether somebody is there to answer a question.
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks on the terminal; anything but yes is no.
///
/// # Errors
/// When stdin cannot be read.
pub fn ask(question: &str) -> anyhow::Result<bool> {
    let _ = write!(io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    let yes = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
    if !yes {
        remark("Nothing was changed.");
    }
    Ok(yes)
}

/// A value as JSON with a final newline.
///
/// # Errors
/// When it cannot be represented.
pub fn json(value: &impl serde::Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// Prints an error with its causes and gives the code for it; that nobody
/// reads stdout any more is none.
pub fn failure(error: &anyhow::Error) -> ExitCode {
    let unread = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(unread) {
        return Exit::Ok.into();
    }
    remark(&format!("Error: {}", chain(error)));
    Exit::Usage.into()
}

/// An error and its causes in one line, without repeating a cause that its
/// effect already quotes.
pub fn chain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = told(cause);
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// What an error says. kube puts the whole answer of the API into its text; the
/// message in it is what people can use.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    match error.downcast_ref::<kube::Error>() {
        Some(kube::Error::Api(status)) if !status.message.is_empty() => status.message.clone(),
        _ => error.to_string(),
    }
}

/// Logs go to stderr; `RUST_LOG` wins over the flag.
pub fn start_logging(logging: &Logging) {
    // Where no region is set the AWS client asks EC2 for it, and tells at length
    // that this is no EC2 instance; the calls that need a region say so themselves.
    let level = format!("{},aws_config=error", logging.level.filter());
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let started = if logging.log_json {
        builder.json().try_init()
    } else {
        builder.with_ansi(colour).with_target(false).try_init()
    };
    if started.is_err() {
        remark("logging was started before");
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let inner = anyhow::anyhow!("disk full");
        let error = inner.context("cannot write: disk full").context("no snapshot");
        assert_eq!(chain(&error), "no snapshot: cannot write: disk full");
        let plain: anyhow::Result<()> = Err(io::Error::other("broken")).context("cannot read");
        assert_eq!(chain(&plain.unwrap_err()), "cannot read: broken");
    }
}
