//! A run as people see it: a picture of its metrics, and a line a measurement.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::ResourceExt as _;
use okra_api::AnalysisRun;
use okra_api::analysis::Measurement;

use crate::commands::get::metrics;
use crate::look::{Look, Mood, span, wrapped};
use crate::output;

/// Shows a run while it goes on.
pub struct View {
    /// Whether anything is shown before the end.
    shown: bool,
    /// Whether the picture is drawn over the last one.
    live: bool,
    /// Whether stdout is for people; else it is left to the document at the end.
    for_people: bool,
    look: Look,
    /// When the newest measurement that was told of each metric had ended.
    told: BTreeMap<String, Timestamp>,
}

impl View {
    /// A view that has shown nothing yet.
    pub fn new(shown: bool, for_people: bool, look: Look) -> Self {
        let live = shown && for_people && output::is_terminal();
        Self { shown, live, for_people, look, told: BTreeMap::new() }
    }

    /// Whether it is drawn anew although nothing has changed.
    pub fn moves(&self) -> bool {
        self.live
    }

    /// Shows what is new.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn show(&mut self, run: &AnalysisRun, now: Timestamp) -> anyhow::Result<()> {
        if self.live {
            return output::print(&format!("\u{1b}[H\u{1b}[2J{}", picture(run, now, self.look)));
        }
        let lines = self.news(run);
        match (self.shown, self.for_people) {
            (false, _) => Ok(()),
            (true, true) => output::print(&lines.concat()),
            (true, false) => {
                lines.iter().for_each(|line| output::remark(line.trim_end()));
                Ok(())
            }
        }
    }

    /// What is printed at the end, for people.
    pub fn last(&self, run: &AnalysisRun, now: Timestamp) -> String {
        let clear = if self.live { "\u{1b}[H\u{1b}[2J" } else { "" };
        format!("{clear}{}", picture(run, now, self.look))
    }

    /// A line for each measurement that has ended since the last call.
    fn news(&mut self, run: &AnalysisRun) -> Vec<String> {
        let mut fresh: Vec<(Timestamp, &str, &Measurement)> = Vec::new();
        for result in run.status.iter().flat_map(|status| &status.metric_results) {
            let told = self.told.get(&result.name).copied();
            for measurement in &result.measurements {
                if let Some(finished) = measurement.finished_at.filter(|finished| Some(*finished) > told) {
                    fresh.push((finished, &result.name, measurement));
                    self.told.insert(result.name.clone(), finished);
                }
            }
        }
        fresh.sort_by_key(|(finished, name, _)| (*finished, *name));
        fresh.into_iter().map(|(finished, name, one)| line(finished, name, one, self.look)).collect()
    }
}

/// `10:00:05Z  errors  ✖ Failed  0.2  value 0.2: …`
fn line(finished: Timestamp, metric: &str, measurement: &Measurement, look: Look) -> String {
    let icon = look.icon(Mood::of_phase(&measurement.phase));
    let parts = [
        finished.strftime("%H:%M:%SZ").to_string(),
        metric.to_owned(),
        format!("{icon} {}", measurement.phase),
        measurement.value.clone(),
        measurement.message.clone(),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("  ") + "\n"
}

/// Phase, metrics and message of a run.
fn picture(run: &AnalysisRun, now: Timestamp, look: Look) -> String {
    let status = run.status.clone().unwrap_or_default();
    let phase = if status.phase.is_empty() { "Pending" } else { &status.phase };
    let until = status.completed_at.unwrap_or(now);
    let time =
        status.started_at.map(|began| format!("   for {}", span(until.duration_since(began).as_secs())));
    let head = format!(
        "AnalysisRun {}   {} {phase}{}",
        run.name_any(),
        look.icon(Mood::of_phase(phase)),
        time.unwrap_or_default()
    );
    let metrics = metrics::lines(run, now, look).into_iter().map(|line| format!("  {line}"));
    let lines = std::iter::once(head).chain(metrics).chain(wrapped(&status.message, "  "));
    lines.map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(measurements: serde_json::Value) -> AnalysisRun {
        serde_json::from_value(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun", "metadata": {"name": "errors-1"},
            "spec": {"metrics": [{"name": "errors", "interval": "10s", "count": 5, "successCondition": "result < 0.05", "provider": {"web": {"url": "http://h/"}}}]},
            "status": {"phase": "Running", "startedAt": "2026-11-20T10:00:00Z", "metricResults": [
                {"name": "errors", "phase": "Running", "count": 2, "measurements": measurements},
            ]},
        }))
        .unwrap()
    }

    fn measurement(second: u32, phase: &str, value: &str) -> serde_json::Value {
        json!({"phase": phase, "value": value, "finishedAt": format!("2026-11-20T10:00:{second:02}Z")})
    }

    #[test]
    fn each_measurement_is_told_once() {
        let mut view = View::new(true, true, Look::default());
        let [first, second] = [measurement(1, "Successful", "0.01"), measurement(11, "Failed", "0.2")];
        assert_eq!(view.news(&run(json!([first]))), ["10:00:01Z  errors  ✔ Successful  0.01\n"]);
        assert_eq!(view.news(&run(json!([first, second]))), ["10:00:11Z  errors  ✖ Failed  0.2\n"]);
        // Only the newest are kept; the older were told.
        assert_eq!(view.news(&run(json!([second]))), [""; 0]);
        let unfinished = json!({"phase": "Running"});
        assert_eq!(view.news(&run(json!([second, unfinished]))), [""; 0]);
    }

    #[test]
    fn the_picture_fits_a_terminal() {
        let measured = json!([measurement(1, "Successful", "0.01"), measurement(11, "Failed", "0.2")]);
        let drawn = picture(&run(measured), "2026-11-20T10:00:15Z".parse().unwrap(), Look::default());
        assert!(drawn.lines().all(|line| line.chars().count() <= crate::look::WIDTH), "{drawn}");
        insta::assert_snapshot!(drawn);
    }
}
