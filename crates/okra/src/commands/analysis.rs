//! `okra analysis run|test`: analyses without a rollout (`spec/analysis.md` 8.2).

use anyhow::Context as _;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use okra_clock::{Clock as _, SystemClock};
use okra_domain::analysis::{Judgement, Phase};
use okra_expr::Value;
use okra_providers::Conditions;

use super::compatible::analysis::{self, CreateArgs};
use crate::output::{self, Exit};

/// Flags of `okra analysis`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  okra analysis test --expr 'result[0] < 0.05' --result '[0.02]'\n  \
    okra analysis run --template-name success-rate --args service=web --wait\n  \
    okra analysis run -f template.yaml --args service=web --wait")]
pub struct AnalysisArgs {
    #[command(subcommand)]
    command: AnalysisCommand,
}

#[derive(Debug, Subcommand)]
enum AnalysisCommand {
    /// Run a template once, without a rollout
    Run(CreateArgs),
    /// Evaluate a condition on a result, without asking anybody
    Test(TestArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  okra analysis test --expr 'result[0] < 0.05' --result '[0.02]'\n  \
    okra analysis test --expr 'result < 5' --failure 'result > 9' --result 6.4\n\n\
    Exit codes: 0 successful, 1 no expression or no JSON, 2 failed or an error, 5 inconclusive.")]
struct TestArgs {
    /// successCondition
    #[arg(long, value_name = "CONDITION", default_value = "", hide_default_value = true)]
    expr: String,
    /// failureCondition
    #[arg(long, value_name = "CONDITION", default_value = "", hide_default_value = true)]
    failure: String,
    /// What a provider would have answered, as JSON
    #[arg(long, value_name = "JSON")]
    result: String,
}

/// Carries out `okra analysis …`.
///
/// # Errors
/// When the API refuses, or something is no expression or no JSON.
pub async fn run(args: AnalysisArgs) -> anyhow::Result<Exit> {
    match args.command {
        AnalysisCommand::Run(args) => Ok(match analysis::create_and_wait(args).await? {
            None | Some(Phase::Successful) => Exit::Ok,
            Some(Phase::Inconclusive) => Exit::Inconclusive,
            Some(_) => Exit::Degraded,
        }),
        AnalysisCommand::Test(args) => test(&args),
    }
}

fn test(args: &TestArgs) -> anyhow::Result<Exit> {
    let judgement = judged(args, SystemClock::new().now())?;
    let message =
        if judgement.message.is_empty() { String::new() } else { format!(": {}", judgement.message) };
    output::print(&format!("{}{message}\n", judgement.phase.as_str()))?;
    Ok(match judgement.phase {
        Phase::Successful => Exit::Ok,
        Phase::Inconclusive => Exit::Inconclusive,
        _ => Exit::Degraded,
    })
}

fn judged(args: &TestArgs, now: Timestamp) -> anyhow::Result<Judgement> {
    let result: serde_json::Value = serde_json::from_str(&args.result).context("--result is no JSON")?;
    let result = Value::from(&result);
    Ok(Conditions::compile(&args.expr, &args.failure)?.judge(&result.to_string(), &result, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(expr: &str, failure: &str, result: &str) -> anyhow::Result<&'static str> {
        let args = TestArgs { expr: expr.into(), failure: failure.into(), result: result.into() };
        judged(&args, Timestamp::UNIX_EPOCH).map(|judgement| judgement.phase.as_str())
    }

    #[test]
    fn conditions_are_judged_as_in_a_run() {
        assert_eq!(phase("result[0] < 0.05", "", "[0.02]").unwrap(), "Successful");
        assert_eq!(phase("result[0] < 0.05", "", "[0.2]").unwrap(), "Failed");
        assert_eq!(phase("result < 1", "result > 2", "1.5").unwrap(), "Inconclusive");
        assert_eq!(phase("result.missing < 1", "", "{}").unwrap(), "Error");
        assert!(phase("result <", "", "1").is_err());
        assert!(phase("result < 1", "", "one").is_err());
    }
}
