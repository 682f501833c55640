//! `okra analysis test`: conditions evaluated on results, without asking anybody.

use std::fs::File;
use std::io::{self, BufRead, BufReader};

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use okra_clock::{Clock as _, SystemClock};
use okra_domain::analysis::Phase;
use okra_providers::{Conditions, InvalidCondition};
use serde::Serialize;

use super::answer;
use crate::output::{self, Exit};

/// Bytes of a case: as much as providers read of an answer.
const CASE_BYTES_MAX: usize = 1024 * 1024;

/// Flags of `okra analysis test`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  okra analysis test --expr 'result[0] < 0.05' --result '[0.02]'\n  \
    okra analysis test --expr 'result < 5' --failure 'result > 9' --result 6.4\n  \
    okra analysis test --expr 'isNaN(result) || result < 1' --result cases.jsonl\n\n\
    Each case gives one line of JSON: phase, value as status would show it, error.\n\
    Results are JSON, and also NaN, Infinity and -Infinity at any depth.\n\n\
    Exit codes: 0 all successful, 1 no expression or a case that is no JSON,\n\
    2 a case failed or is an error, 5 a case is inconclusive.")]
pub struct TestArgs {
    /// successCondition
    #[arg(long, value_name = "CONDITION", default_value = "", hide_default_value = true)]
    expr: String,
    /// failureCondition
    #[arg(long, value_name = "CONDITION", default_value = "", hide_default_value = true)]
    failure: String,
    /// What a provider would have answered; or a file with one case a line, or - for stdin
    #[arg(long, value_name = "JSON|FILE|-", allow_hyphen_values = true)]
    result: String,
}

/// Judges every case.
///
/// # Errors
/// When `--result` is neither, or cannot be read.
pub fn run(args: &TestArgs) -> anyhow::Result<Exit> {
    let conditions = Conditions::compile(&args.expr, &args.failure);
    let now = SystemClock::new().now();
    if args.result == "-" {
        return judge_lines(&conditions, io::stdin().lock(), now);
    }
    let result = match answer::parse(&args.result) {
        Ok(_) => &args.result,
        Err(error) => {
            let file = File::open(&args.result).ok();
            let file = file.filter(|file| file.metadata().is_ok_and(|metadata| !metadata.is_dir()));
            let file = file.with_context(|| {
                format!(
                    "--result is no JSON ({}), and no file of that name can be read",
                    output::chain(&error)
                )
            })?;
            return judge_lines(&conditions, BufReader::new(file), now);
        }
    };
    let (row, why) = judged(&conditions, result, now);
    output::print(&row.line()?)?;
    if !why.is_empty() {
        output::remark(&why);
    }
    Ok(row.severity().exit())
}

/// One line of output.
#[derive(Debug, Serialize)]
struct Row {
    /// Of the measurement; also an Error where there is none, as the case is no JSON.
    phase: &'static str,
    value: Option<String>,
    error: Option<String>,
    /// Whether it says something of the conditions, and not of a mistake in the call.
    #[serde(skip)]
    usable: bool,
}

/// How bad a case is, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    Successful,
    Inconclusive,
    Failed,
    Unusable,
}

impl Severity {
    fn exit(self) -> Exit {
        match self {
            Self::Successful => Exit::Ok,
            Self::Inconclusive => Exit::Inconclusive,
            Self::Failed => Exit::Degraded,
            Self::Unusable => Exit::Usage,
        }
    }
}

impl Row {
    fn unusable(value: Option<String>, error: String) -> Self {
        Self { phase: Phase::Error.as_str(), value, error: Some(error), usable: false }
    }

    fn line(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }

    fn severity(&self) -> Severity {
        match self.phase {
            _ if !self.usable => Severity::Unusable,
            phase if phase == Phase::Successful.as_str() => Severity::Successful,
            phase if phase == Phase::Inconclusive.as_str() => Severity::Inconclusive,
            _ => Severity::Failed,
        }
    }
}

/// Judges one case; with a sentence where it is no success.
fn judged(conditions: &Result<Conditions, InvalidCondition>, case: &str, now: Timestamp) -> (Row, String) {
    let result = match answer::parse(case) {
        Ok(result) => result,
        Err(error) => {
            return (Row::unusable(None, format!("no JSON: {}", output::chain(&error))), String::new());
        }
    };
    let value = result.to_string();
    let conditions = match conditions {
        Ok(conditions) => conditions,
        Err(error) => return (Row::unusable(Some(value), error.to_string()), String::new()),
    };
    let judgement = conditions.judge(&value, &result, now);
    let is_error = judgement.phase == Phase::Error;
    let row = Row {
        phase: judgement.phase.as_str(),
        value: Some(value),
        error: is_error.then(|| judgement.message.clone()),
        usable: true,
    };
    (row, if is_error { String::new() } else { judgement.message })
}

/// Judges one case a line; a bad one does not stop the others.
fn judge_lines(
    conditions: &Result<Conditions, InvalidCondition>,
    mut cases: impl BufRead,
    now: Timestamp,
) -> anyhow::Result<Exit> {
    let mut worst = None;
    while let Some(line) = next_line(&mut cases).context("the cases cannot be read")? {
        let row = match line {
            Ok(line) if line.trim().is_empty() => continue,
            Ok(line) => judged(conditions, &line, now).0,
            Err(wrong) => Row::unusable(None, wrong),
        };
        output::print(&row.line()?)?;
        worst = worst.max(Some(row.severity()));
    }
    let worst = worst.context("there are no cases")?;
    Ok(worst.exit())
}

/// The next line, or what is wrong with it; `None` at the end.
fn next_line(cases: &mut impl BufRead) -> io::Result<Option<Result<String, String>>> {
    let mut line = Vec::new();
    let limit = u64::try_from(CASE_BYTES_MAX).unwrap_or(u64::MAX);
    let read = io::Read::take(&mut *cases, limit + 1).read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') && line.len() > CASE_BYTES_MAX {
        cases.skip_until(b'\n')?;
        return Ok(Some(Err(format!("the case has more than {CASE_BYTES_MAX} bytes"))));
    }
    Ok(Some(String::from_utf8(line).map_err(|_| "the case is not UTF-8".to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(expr: &str, failure: &str, case: &str) -> (String, Severity) {
        let (row, _) = judged(&Conditions::compile(expr, failure), case, Timestamp::UNIX_EPOCH);
        (row.line().unwrap().trim_end().to_owned(), row.severity())
    }

    #[test]
    fn conditions_are_judged_as_in_a_run() {
        let cases = [
            ("result[0] < 0.05", "", "[0.02]", r#"{"phase":"Successful","value":"[0.02]","error":null}"#),
            ("result[0] < 0.05", "", "[0.2]", r#"{"phase":"Failed","value":"[0.2]","error":null}"#),
            ("result < 1", "result > 2", "1.5", r#"{"phase":"Inconclusive","value":"1.5","error":null}"#),
            (
                "isNaN(result.a[0])",
                "",
                r#"{"a": [NaN]}"#,
                r#"{"phase":"Successful","value":"{\"a\":[NaN]}","error":null}"#,
            ),
            ("", "", "-Infinity", r#"{"phase":"Successful","value":"-Inf","error":null}"#),
        ];
        for (expr, failure, case, expected) in cases {
            assert_eq!(judge(expr, failure, case).0, expected);
        }
    }

    #[test]
    fn an_error_says_why_and_a_mistake_is_told_from_a_verdict() {
        let (line, severity) = judge("result.a < 1", "", "{}");
        assert!(
            line.starts_with(r#"{"phase":"Error","value":"{}","error":"could not evaluate successCondition"#),
            "{line}"
        );
        assert_eq!(severity, Severity::Failed);
        let (line, severity) = judge("reslt < 1", "", "1");
        assert!(line.contains("unknown name reslt"), "{line}");
        assert_eq!(severity, Severity::Unusable);
        let (line, severity) = judge("result < 1", "", "one");
        assert_eq!(line, r#"{"phase":"Error","value":null,"error":"no JSON: no value at byte 1: \"one\""}"#);
        assert_eq!(severity, Severity::Unusable);
    }

    #[test]
    fn lines_are_bounded_and_a_long_one_does_not_end_the_rest() {
        let text = format!("1\n\"{}\"\n\u{e9}\n2", "x".repeat(CASE_BYTES_MAX));
        let mut cases = text.as_bytes();
        let mut seen = Vec::new();
        while let Some(line) = next_line(&mut cases).unwrap() {
            seen.push(line.map(|line| line.trim_end().to_owned()));
        }
        let long = Err(format!("the case has more than {CASE_BYTES_MAX} bytes"));
        assert_eq!(seen, [Ok("1".to_owned()), long, Ok("\u{e9}".to_owned()), Ok("2".to_owned())]);
        assert_eq!(
            next_line(&mut b"\xff\n".as_slice()).unwrap(),
            Some(Err("the case is not UTF-8".to_owned()))
        );
    }

    #[test]
    fn the_worst_case_decides_the_exit() {
        let order = [Severity::Successful, Severity::Inconclusive, Severity::Failed, Severity::Unusable];
        assert!(order.is_sorted());
        assert_eq!(order.map(Severity::exit), [Exit::Ok, Exit::Inconclusive, Exit::Degraded, Exit::Usage]);
    }
}
