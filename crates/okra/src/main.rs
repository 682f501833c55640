//! okra hot-swaps whole Kubernetes clusters under live traffic.
//!
//! This crate is the binary: commands, printing, wiring. It is the only place
//! of the project that prints, reads flags or ends the process. It decides
//! nothing about a swap: that is `okra-domain`.

mod cli;
mod commands;
mod demo;
mod ledger;
mod local;
mod look;
mod manager;
mod output;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

fn main() -> ExitCode {
    // The TLS library refuses to guess between providers, so one is named.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider was installed before");
    }
    let words = cli::words(std::env::args_os());
    let name = words.first().map_or("okra", |program| cli::shown_name(program));
    let command = cli::Cli::command().bin_name(name);
    let read = command.try_get_matches_from(words).and_then(|found| cli::Cli::from_arg_matches(&found));
    let cli = match read {
        Ok(cli) => cli,
        Err(error) => {
            // A closed pipe is not an error.
            let _ = error.print();
            // clap's own code is 2, which here means degraded (spec/analysis.md 8.2).
            let code = if error.use_stderr() { output::Exit::Usage } else { output::Exit::Ok };
            return code.into();
        }
    };
    output::start_logging(&cli.logging);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return output::failure(&anyhow::Error::new(error).context("no runtime can be started"));
        }
    };
    match runtime.block_on(commands::run(cli)) {
        Ok(exit) => exit.into(),
        Err(error) => output::failure(&error),
    }
}
