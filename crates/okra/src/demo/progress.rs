//! How far the Cell is, by watch, and the picture of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use kube::Api;
use kube::runtime::{WatchStreamExt as _, watcher};
use okra_api::Cell;
use okra_api::cell::{CanaryStep, CellStatus};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::load::{Answer, Outcome};
use super::view::{Picture, StepLine, StepState, VersionLine};

/// Shares in the picture are those of the last second.
const SHARE_WINDOW: Duration = Duration::from_secs(1);

/// Follows one Cell; stops with the value.
pub struct Progress {
    last: Arc<Mutex<Option<Cell>>>,
    _stop: DropGuard,
}

impl Progress {
    /// Begins to follow the Cell `name`.
    pub fn follow(cells: Api<Cell>, name: &str) -> Self {
        let last = Arc::new(Mutex::new(None));
        let stop = CancellationToken::new();
        let (seen, ended) = (last.clone(), stop.clone());
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        tokio::spawn(async move {
            let mut changes = watcher(cells, config).default_backoff().applied_objects().boxed();
            loop {
                tokio::select! {
                    change = changes.next() => match change {
                        Some(Ok(cell)) => *seen.lock().expect("no holder panics") = Some(cell),
                        Some(Err(error)) => tracing::debug!(%error, "the watch of the Cell goes on"),
                        None => return,
                    },
                    () = ended.cancelled() => return,
                }
            }
        });
        Self { last, _stop: stop.drop_guard() }
    }

    fn cell(&self) -> Option<Cell> {
        self.last.lock().expect("no holder panics").clone()
    }

    /// The Cell's status as last seen.
    pub fn status(&self) -> CellStatus {
        self.cell().and_then(|cell| cell.status).unwrap_or_default()
    }

    /// Whether `version` serves and nothing is under way.
    pub fn completed(&self, version: &str) -> bool {
        let status = self.status();
        status.phase.as_deref() == Some("Completed") && status.stable_version.as_deref() == Some(version)
    }

    /// Whether the swap from `old` to `new` has ended, well or not.
    pub fn ended(&self, old: &str, new: &str) -> bool {
        let status = self.status();
        let failed =
            status.phase.as_deref() == Some("Failed") && status.stable_version.as_deref() == Some(old);
        failed || self.completed(new)
    }

    /// The status in one line.
    pub fn line(&self) -> String {
        crate::commands::status::line(self.cell().and_then(|cell| cell.status).as_ref())
    }

    /// The picture without the figures of the load; `written` are the weights
    /// that AWS has, by target group name.
    pub fn picture(&self, written: &BTreeMap<String, u32>) -> Picture {
        let Some(cell) = self.cell() else {
            return Picture { headline: "starting".into(), ..Picture::default() };
        };
        let status = cell.status.clone().unwrap_or_default();
        let steps = steps(&cell);
        Picture {
            headline: headline(&status, steps.len()),
            message: status.message.clone().unwrap_or_default(),
            versions: versions(&status, written),
            steps,
            ..Picture::default()
        }
    }
}

fn headline(status: &CellStatus, steps: usize) -> String {
    let desired = status.desired_version.as_deref().unwrap_or("-");
    let index = status.current_step_index.unwrap_or(0);
    match status.phase.as_deref().unwrap_or("Pending") {
        "Progressing" if index < steps as i64 => {
            format!("rolling out {desired}, step {} of {steps}", index + 1)
        }
        "Progressing" => format!("finishing {desired}"),
        "Completed" => format!("{} serves", status.stable_version.as_deref().unwrap_or("-")),
        "Failed" => format!("rollout failed, {} serves", status.stable_version.as_deref().unwrap_or("-")),
        phase => phase.to_owned(),
    }
}

fn steps(cell: &Cell) -> Vec<StepLine> {
    let strategy = cell.spec.update_strategy.as_ref().and_then(|strategy| strategy.canary.as_ref());
    let steps = strategy.map(|canary| canary.steps.as_slice()).unwrap_or_default();
    let status = cell.status.clone().unwrap_or_default();
    let rolling = status.phase.as_deref() == Some("Progressing") || status.phase.as_deref() == Some("Paused");
    let now = status.current_step_index.unwrap_or(0);
    let state = |index: i64| match index.cmp(&now) {
        std::cmp::Ordering::Less => StepState::Done,
        std::cmp::Ordering::Equal if rolling => StepState::Now,
        _ => StepState::Next,
    };
    steps
        .iter()
        .zip(0..)
        .map(|(step, index)| StepLine { state: state(index), text: describe(step) })
        .collect()
}

fn describe(step: &CanaryStep) -> String {
    if let Some(weight) = step.set_weight {
        return format!("weight {weight} %");
    }
    if let Some(weight) = step.step_weight {
        return format!("weight + {weight} %");
    }
    if let Some(analysis) = &step.analysis {
        let names: Vec<&str> = analysis.templates.iter().map(|one| one.template_name.as_str()).collect();
        return format!("analysis {}", names.join(", "));
    }
    if step.experiment.is_some() {
        return "experiment".to_owned();
    }
    "pause".to_owned()
}

fn versions(status: &CellStatus, written: &BTreeMap<String, u32>) -> Vec<VersionLine> {
    let mut by_version: BTreeMap<String, VersionLine> = BTreeMap::new();
    for group in &status.weights {
        let version = group.version.clone().unwrap_or_else(|| "unknown".into());
        // AWSTargetGroups are named after cluster and binding, target groups after the cluster.
        let actual =
            written.iter().find(|(name, _)| group.name.starts_with(name.as_str())).map(|(_, weight)| *weight);
        let actual =
            actual.unwrap_or_else(|| group.weight.and_then(|weight| u32::try_from(weight).ok()).unwrap_or(0));
        let line = by_version.entry(version.clone()).or_insert(VersionLine {
            version,
            weight: 0,
            share: None,
            groups: Vec::new(),
        });
        line.weight += actual;
        line.groups.push(format!("{} {actual}", group.name));
    }
    by_version.into_values().collect()
}

/// Puts the figures of the load into the picture.
pub fn count(picture: &mut Picture, answers: &[Answer], now: Duration) {
    picture.requests = answers.len();
    let since = now.saturating_sub(SHARE_WINDOW);
    let mut recent: BTreeMap<&str, usize> = BTreeMap::new();
    for answer in answers {
        match &answer.outcome {
            Outcome::Failed { .. } => picture.failed += 1,
            Outcome::InjectedError { .. } => picture.backend_errors += 1,
            Outcome::Served { .. } => {}
        }
        if answer.begun >= since
            && let Some(version) = answer.outcome.version()
        {
            *recent.entry(version).or_default() += 1;
        }
    }
    let all: usize = recent.values().sum();
    for line in &mut picture.versions {
        if all > 0 {
            let own = recent.get(line.version.as_str()).copied().unwrap_or(0);
            line.share = Some(100.0 * own as f64 / all as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(begun: u64, outcome: Outcome) -> Answer {
        Answer { begun: Duration::from_millis(begun), latency: Duration::from_millis(1), outcome }
    }

    #[test]
    fn shares_are_those_of_the_last_second() {
        let line =
            |version: &str| VersionLine { version: version.into(), weight: 0, share: None, groups: vec![] };
        let mut picture = Picture { versions: vec![line("1"), line("2")], ..Picture::default() };
        let served = |version: &str| Outcome::Served { version: version.into() };
        let answers = [
            answer(100, served("1")),
            answer(1500, served("2")),
            answer(1600, served("2")),
            answer(1700, Outcome::InjectedError { version: "2".into() }),
            answer(1800, served("1")),
            answer(1900, Outcome::Failed { reason: "status 502".into() }),
        ];
        count(&mut picture, &answers, Duration::from_millis(2000));
        assert_eq!((picture.requests, picture.failed, picture.backend_errors), (6, 1, 1));
        assert_eq!(picture.versions[0].share, Some(25.0));
        assert_eq!(picture.versions[1].share, Some(75.0));
    }
}
