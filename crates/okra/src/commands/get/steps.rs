//! The steps of a rollout: which are done, which is under way, and how long
//! the rest takes at least.

use jiff::Timestamp;
use kube::ResourceExt as _;
use okra_api::cell::{Cell, TemplateReference};
use okra_api::names::{LABEL_ROLLOUT_ID, LABEL_STEP_INDEX};
use okra_api::observe::domain_spec;
use okra_domain::cell::{Spec, Step, WeightMode};

use super::metrics;
use super::picture::Picture;
use crate::look::{Look, span};

/// One step, for reading and for machines.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepLine {
    /// Its index.
    pub index: usize,
    /// What it does.
    pub what: String,
    /// Percent of the traffic that the new version has after it.
    pub percent: u8,
    /// `done`, `now` or `next`.
    pub state: &'static str,
    /// Least seconds that it still takes, where that can be known.
    pub seconds: Option<i64>,
}

/// The steps of a Cell as its rollout stands.
pub fn steps(cell: &Cell, picture: &Picture, now: Timestamp) -> Vec<StepLine> {
    let spec = domain_spec(&cell.spec, WeightMode::Absolute);
    let status = cell.status.clone().unwrap_or_default();
    let present = status.current_step_index.and_then(|index| usize::try_from(index).ok()).unwrap_or(0);
    spec.steps
        .iter()
        .enumerate()
        .map(|(index, step)| StepLine {
            index,
            what: what(step, spec.steps.percent_through(index)),
            percent: spec.steps.percent_through(index),
            state: match index.cmp(&present) {
                std::cmp::Ordering::Less => "done",
                std::cmp::Ordering::Equal if status.rollout.is_some() => "now",
                _ => "next",
            },
            seconds: if index < present {
                Some(0)
            } else {
                Around { cell, picture, spec: &spec, now }.seconds(index, step)
            },
        })
        .collect()
}

/// What a step does, in words.
pub fn what(step: &Step, percent: u8) -> String {
    match step {
        Step::SetWeight(_) | Step::StepWeight(_) => format!("set weight {percent} %"),
        Step::Promote => "promote: 100 % in one write".to_owned(),
        Step::Pause(None) => "pause until somebody promotes".to_owned(),
        Step::Pause(Some(seconds)) => format!("pause {}", span(i64::try_from(*seconds).unwrap_or(i64::MAX))),
        Step::Analysis(block) => format!("analysis {}", templates(block)),
        Step::Experiment(_) => "experiment".to_owned(),
    }
}

fn references(block: &serde_json::Value) -> Vec<TemplateReference> {
    block.get("templates").cloned().and_then(|list| serde_json::from_value(list).ok()).unwrap_or_default()
}

fn templates(block: &serde_json::Value) -> String {
    let mut names: Vec<String> =
        references(block).into_iter().map(|reference| reference.template_name).collect();
    let checks = block.get("checks").and_then(serde_json::Value::as_array).map_or(0, Vec::len);
    if checks > 0 {
        names.push(format!("{checks} checks"));
    }
    names.join(", ")
}

/// A step and what is known around it.
struct Around<'a> {
    cell: &'a Cell,
    picture: &'a Picture,
    spec: &'a Spec,
    now: Timestamp,
}

impl Around<'_> {
    fn seconds(&self, index: usize, step: &Step) -> Option<i64> {
        match step {
            Step::SetWeight(_) | Step::StepWeight(_) | Step::Promote if self.spec.steps.raises(index) => {
                i64::try_from(self.spec.settle_seconds).ok()
            }
            Step::SetWeight(_) | Step::StepWeight(_) | Step::Promote => Some(0),
            Step::Pause(None) | Step::Experiment(_) => None,
            Step::Pause(Some(seconds)) => {
                let full = i64::try_from(*seconds).unwrap_or(i64::MAX);
                Some(self.pause_left(index).unwrap_or(full))
            }
            Step::Analysis(block) => self.analysis(block),
        }
    }

    /// What is left of the pause that the step has begun.
    fn pause_left(&self, index: usize) -> Option<i64> {
        let rollout = self.cell.status.as_ref()?.rollout_id.as_deref()?;
        let own = self.picture.pauses.iter().find(|pause| {
            let label = |key: &str| pause.labels().get(key).map(String::as_str);
            label(LABEL_ROLLOUT_ID) == Some(rollout) && label(LABEL_STEP_INDEX) == Some(&index.to_string())
        })?;
        Some(own.spec.expire_time?.duration_since(self.now).as_secs().max(0))
    }

    /// The longest of its templates, were it to begin now.
    fn analysis(&self, block: &serde_json::Value) -> Option<i64> {
        let known = |name: &str| {
            self.picture.templates.iter().find(|template| template.metadata.name.as_deref() == Some(name))
        };
        let references = references(block);
        if references.is_empty() {
            return None;
        }
        references.iter().try_fold(0, |longest, reference| {
            Some(longest.max(metrics::seconds(&known(&reference.template_name)?.spec.metrics)?))
        })
    }
}

/// The list for reading, with what is left at its end.
pub fn lines(steps: &[StepLine], look: Look) -> Vec<String> {
    let mark = |state: &str| match (state, look.ascii) {
        ("done", false) => "✔",
        ("done", true) => "x",
        ("now", false) => "▶",
        ("now", true) => ">",
        _ => " ",
    };
    let mut lines: Vec<String> = steps
        .iter()
        .map(|step| {
            let left = step.seconds.filter(|seconds| step.state == "now" && *seconds > 0);
            let left = left.map_or_else(String::new, |seconds| format!("   {} left", span(seconds)));
            format!("{} {:>2}  {}{left}", mark(step.state), step.index, step.what)
        })
        .collect();
    let known: i64 = steps.iter().filter_map(|step| step.seconds).sum();
    let open = steps.iter().any(|step| step.seconds.is_none());
    if steps.iter().any(|step| step.state == "now") && (known > 0 || open) {
        let more = if open { ", and as long as a human or an open end takes" } else { "" };
        lines.push(format!("about {} left{more}", span(known)));
    }
    lines
}
