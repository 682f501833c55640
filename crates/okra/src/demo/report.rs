//! The result of a demo: one JSON object, and the same as a summary to read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::load::{Answer, Outcome};
use super::timeline::{Step, round};

/// How the swap ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum SwapOutcome {
    /// The new version serves everything.
    Completed,
    /// The old version serves everything again.
    RolledBack,
}

/// The last line of `okra demo --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// How it ended.
    pub outcome: SwapOutcome,
    /// Requests sent.
    pub requests: usize,
    /// Failures that the client saw and nobody asked for.
    pub failed: usize,
    /// Errors that a backend made on purpose.
    pub backend_errors: usize,
    /// Mean over the whole load.
    pub requests_per_second: f64,
    /// 99th percentile of the time from request to last byte, in milliseconds.
    pub p99_ms: f64,
    /// Version that serves at the end.
    pub stable_version: String,
    /// Versions on the blocklist.
    pub blocked_versions: Vec<String>,
    /// Final weights by target group name.
    pub weights: BTreeMap<String, u32>,
    /// The steps and what was seen while each held.
    pub steps: Vec<Step>,
    /// Health seen to first canary weight accepted.
    pub reaction_ms: Option<f64>,
    /// Failing measurement to weights read back.
    pub rollback_ms: Option<f64>,
    /// Last new binding created to the final phase.
    pub swap_seconds: f64,
    /// Reasons of failures with their count, most first (empty when there are none).
    pub failures: BTreeMap<String, usize>,
}

/// What the load generator's answers add up to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Totals {
    /// Requests sent.
    pub requests: usize,
    /// Failures by reason.
    pub failures: BTreeMap<String, usize>,
    /// Errors made on purpose.
    pub backend_errors: usize,
    /// Mean rate.
    pub requests_per_second: f64,
    /// 99th percentile, in milliseconds.
    pub p99_ms: f64,
}

impl Totals {
    /// Adds up `answers`.
    pub fn of(answers: &[Answer]) -> Self {
        let mut totals = Self { requests: answers.len(), ..Self::default() };
        // Two significant digits up to the two seconds after which a request has failed.
        let mut latencies: Histogram<u64> =
            Histogram::new(2).expect("2 digits are within the histogram's range");
        for answer in answers {
            // The histogram grows with what it is given; a failed request has taken two seconds.
            let _ = latencies.record(answer.latency.as_micros() as u64);
            match &answer.outcome {
                Outcome::Served { .. } => {}
                Outcome::InjectedError { .. } => totals.backend_errors += 1,
                Outcome::Failed { reason } => *totals.failures.entry(reason.clone()).or_default() += 1,
            }
        }
        let begun = || answers.iter().map(|answer| answer.begun);
        if let (Some(first), Some(last)) = (begun().min(), begun().max()) {
            let seconds = (last - first).as_secs_f64();
            if seconds > 0.0 {
                totals.requests_per_second = round(answers.len() as f64 / seconds, 1);
            }
        }
        totals.p99_ms = round(latencies.value_at_quantile(0.99) as f64 / 1_000.0, 3);
        totals
    }

    /// All failures.
    pub fn failed(&self) -> usize {
        self.failures.values().sum()
    }
}

impl Report {
    /// The report as lines for a reader.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        let ending = match self.outcome {
            SwapOutcome::Completed => "swap completed",
            SwapOutcome::RolledBack => "swap failed and was undone",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{ending} in {:.1} s: {} serves", self.swap_seconds, self.stable_version);
        for step in &self.steps {
            let _ = writeln!(
                text,
                "  weight {:>3} %   answered {:>6.2} %   {:>5} requests in {:.1} s",
                step.weight, step.share, step.requests, step.seconds
            );
        }
        let _ = writeln!(
            text,
            "  {} requests at {:.0}/s, {} failed, {} errors made on purpose, p99 {:.2} ms",
            self.requests, self.requests_per_second, self.failed, self.backend_errors, self.p99_ms
        );
        if let Some(reaction) = self.reaction_ms {
            let _ = writeln!(text, "  new clusters healthy -> first weight accepted: {reaction:.1} ms");
        }
        if let Some(rollback) = self.rollback_ms {
            let _ = writeln!(text, "  failing measurement -> everything back: {rollback:.1} ms");
        }
        if !self.blocked_versions.is_empty() {
            let _ = writeln!(text, "  blocked: {}", self.blocked_versions.join(", "));
        }
        for (reason, count) in &self.failures {
            let _ = writeln!(text, "  FAILED {count} x {reason}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn answer(begun: u64, outcome: Outcome) -> Answer {
        Answer { begun: Duration::from_millis(begun), latency: Duration::from_millis(3), outcome }
    }

    #[test]
    fn totals_tell_failures_from_errors_on_purpose() {
        let answers = [
            answer(0, Outcome::Served { version: "1.0.0".into() }),
            answer(500, Outcome::InjectedError { version: "2.0.0".into() }),
            answer(1000, Outcome::Failed { reason: "status 503".into() }),
        ];
        let totals = Totals::of(&answers);
        assert_eq!((totals.requests, totals.failed(), totals.backend_errors), (3, 1, 1));
        assert_eq!(totals.requests_per_second, 3.0);
        assert!((2.9..3.2).contains(&totals.p99_ms), "{}", totals.p99_ms);
    }
}
