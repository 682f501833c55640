//! The tree of a Cell: version, cluster, target group with weight and health,
//! then what judges the version (`spec/analysis.md` 8.2).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::ResourceExt as _;
use okra_api::AnalysisRun;
use okra_api::cell::{Cell, CellStatus, CellWeight};
use okra_api::names::{ANNOTATION_LAST_CHANGE, LABEL_BINDING_CLUSTER, LABEL_ROLLOUT_ID};
use okra_domain::ServedVersion;

use super::metrics;
use super::picture::Picture;
use super::steps;
use crate::look::{Look, Mood, span, wrapped};

/// The whole picture of one Cell.
pub fn tree(cell: &Cell, picture: &Picture, now: Timestamp, look: Look) -> String {
    let status = cell.status.clone().unwrap_or_default();
    let mut lines = head(cell, &status, now, look);
    let steps = steps::steps(cell, picture, now);
    if !steps.is_empty() && status.rollout.is_some() {
        lines.push(String::new());
        lines.extend(steps::lines(&steps, look).into_iter().map(|line| format!("  {line}")));
    }
    let mut versions: Vec<(ServedVersion, Vec<Branch>)> = Vec::new();
    for (version, weights) in by_version(&status.weights) {
        versions.push((version.clone(), version_branches(&version, weights, &status, picture, now, look)));
    }
    if !versions.is_empty() {
        lines.push(String::new());
    }
    let count = versions.len();
    for (index, (version, branches)) in versions.into_iter().enumerate() {
        let text = version_line(&version, &status, picture, look);
        draw(&Branch { text, below: branches }, "", index + 1 == count, look, &mut lines);
    }
    lines.join("\n") + "\n"
}

/// Name, phase and message, then the versions and the time.
fn head(cell: &Cell, status: &CellStatus, now: Timestamp, look: Look) -> Vec<String> {
    let phase = status.phase.as_deref().unwrap_or("Pending");
    let reason = status.reason.as_deref().map_or_else(String::new, |reason| format!(" ({reason})"));
    let mut lines =
        vec![format!("Cell {}   {} {phase}{reason}", cell.name_any(), look.icon(Mood::of_phase(phase)))];
    let message = match (&status.message, &cell.status) {
        (_, None) => "no controller has seen it yet",
        (Some(message), _) => message.as_str(),
        (None, _) => "",
    };
    lines.extend(wrapped(message, "  "));
    let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "-".to_owned());
    let mut facts = vec![
        format!("stable {}", version(&status.stable_version)),
        format!("desired {}", version(&status.desired_version)),
        format!("canary {} %", status.canary_weight.unwrap_or(0)),
    ];
    if let Some(pin) = &cell.spec.version {
        facts.push(format!("pinned to {pin}"));
    }
    if cell.spec.paused == Some(true) {
        facts.push("paused".to_owned());
    }
    facts.extend(last_change(cell));
    let began = status.rollout.as_ref().and_then(|rollout| rollout.started_at);
    if let Some(began) = began {
        facts.push(format!("for {}", span(now.duration_since(began).as_secs())));
    }
    lines.extend(wrapped(&facts.join(", "), "  "));
    lines
}

/// Who paused or pinned the Cell by a verb, and why.
fn last_change(cell: &Cell) -> Option<String> {
    let held = cell.spec.paused == Some(true) || cell.spec.version.is_some();
    let text = cell.annotations().get(ANNOTATION_LAST_CHANGE).filter(|_| held)?;
    let change: serde_json::Value = serde_json::from_str(text).ok()?;
    let by = change["by"].as_str().map_or_else(String::new, |by| format!(" by {by}"));
    let why = change["reason"].as_str().map_or_else(String::new, |why| format!(": {why}"));
    Some(format!("last word: {}{by}{why}", change["verb"].as_str()?))
}

/// Weights by version, the newest first; what no AWSTargetGroup describes last.
fn by_version(weights: &[CellWeight]) -> Vec<(ServedVersion, Vec<&CellWeight>)> {
    let mut versions: BTreeMap<Reverse<ServedVersion>, Vec<&CellWeight>> = BTreeMap::new();
    for weight in weights {
        let version = weight.version.as_deref().unwrap_or("unknown").parse();
        versions.entry(Reverse(version.unwrap_or(ServedVersion::Unknown))).or_default().push(weight);
    }
    versions.into_iter().map(|(version, weights)| (version.0, weights)).collect()
}

/// A line and what hangs below it.
struct Branch {
    text: String,
    below: Vec<Branch>,
}

impl Branch {
    fn leaf(text: String) -> Self {
        Self { text, below: Vec::new() }
    }
}

fn draw(branch: &Branch, indent: &str, last: bool, look: Look, lines: &mut Vec<String>) {
    let [here, below] = look.branch(last);
    lines.push(format!("{indent}{here}{}", branch.text).trim_end().to_owned());
    let indent = format!("{indent}{below}");
    for (index, child) in branch.below.iter().enumerate() {
        draw(child, &indent, index + 1 == branch.below.len(), look, lines);
    }
}

fn version_line(version: &ServedVersion, status: &CellStatus, picture: &Picture, look: Look) -> String {
    let text = version.to_string();
    let own = |weight: &&CellWeight| weight.version.as_deref().unwrap_or("unknown") == text;
    let role = status.weights.iter().find(own).and_then(|weight| weight.role.as_deref()).unwrap_or("-");
    let share: i64 = status.weights.iter().filter(own).filter_map(|weight| weight.weight).sum();
    let blocked = picture.blocklist.iter().flat_map(|list| &list.spec.items);
    let blocked = blocked
        .filter_map(|item| Some((item.version.parse().ok()?, &item.cause)))
        .find(|(item, _)| version.is(item))
        .map_or_else(String::new, |(_, cause)| format!("   {} blocked: {cause}", look.icon(Mood::Bad)));
    format!("{text}   {role}   weight {share}{blocked}")
}

fn version_branches(
    version: &ServedVersion,
    weights: Vec<&CellWeight>,
    status: &CellStatus,
    picture: &Picture,
    now: Timestamp,
    look: Look,
) -> Vec<Branch> {
    let mut clusters: BTreeMap<String, Vec<Branch>> = BTreeMap::new();
    for weight in weights {
        let leaf = Branch::leaf(group_line(weight, picture, look));
        clusters.entry(cluster_of(weight, picture)).or_default().push(leaf);
    }
    let mut branches: Vec<Branch> =
        clusters.into_iter().map(|(cluster, below)| Branch { text: cluster, below }).collect();
    let desired = status.desired_version.as_deref().and_then(|text| text.parse().ok());
    if desired.is_some_and(|desired| version.is(&desired)) {
        let runs = runs_of(status, picture);
        branches.extend(runs.into_iter().map(|run| run_branch(run, now, look)));
    }
    branches
}

/// The cluster that a target group was found in.
fn cluster_of(weight: &CellWeight, picture: &Picture) -> String {
    let group = picture.groups.iter().find(|group| group.spec.arn == weight.arn);
    let cluster = group.and_then(|group| group.labels().get(LABEL_BINDING_CLUSTER));
    match (cluster, group) {
        (Some(cluster), _) => format!("cluster {cluster}"),
        (None, Some(_)) => "no cluster named".to_owned(),
        (None, None) => "no AWSTargetGroup".to_owned(),
    }
}

fn group_line(weight: &CellWeight, picture: &Picture, look: Look) -> String {
    let status = picture.config.as_ref().and_then(|config| config.status.as_ref());
    let reported = status.and_then(|status| status.target_groups.iter().find(|one| one.arn == weight.arn));
    let number = |value: Option<i64>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
    let planned = weight.weight.unwrap_or(0);
    let actual = reported.and_then(|group| group.weight);
    let weights = if actual == Some(planned) {
        format!("weight {planned}")
    } else {
        format!("weight {planned}, on AWS {}", number(actual))
    };
    let group = picture.groups.iter().find(|group| group.spec.arn == weight.arn);
    let registered = group.and_then(|group| group.status.as_ref()?.registered_targets);
    let healthy = reported
        .and_then(|group| group.healthy_targets)
        .or_else(|| group.and_then(|group| group.status.as_ref()?.healthy_targets));
    let mood = match (healthy, registered) {
        (None, _) => Mood::Idle,
        (Some(0), _) => Mood::Bad,
        (Some(healthy), Some(registered)) if healthy < registered => Mood::Unsure,
        (Some(_), _) => Mood::Good,
    };
    let role = weight.role.as_deref().filter(|role| *role == "draining");
    let role = role.map_or_else(String::new, |role| format!("   {role}"));
    let health = format!("healthy {}/{}", number(healthy), number(registered));
    format!("{} {}   {weights}   {health}{role}", look.icon(mood), weight.name)
}

/// The runs of the present rollout, or of the last one.
fn runs_of<'a>(status: &CellStatus, picture: &'a Picture) -> Vec<&'a AnalysisRun> {
    let Some(rollout) = status.rollout_id.as_deref() else { return Vec::new() };
    let mut runs: Vec<&AnalysisRun> = picture
        .runs
        .iter()
        .filter(|run| run.labels().get(LABEL_ROLLOUT_ID).map(String::as_str) == Some(rollout))
        .collect();
    runs.sort_by_key(|run| (run.metadata.creation_timestamp.as_ref().map(|time| time.0), run.name_any()));
    runs
}

fn run_branch(run: &AnalysisRun, now: Timestamp, look: Look) -> Branch {
    let phase = run.status.as_ref().map_or("", |status| status.phase.as_str());
    let phase = if phase.is_empty() { "Pending" } else { phase };
    Branch {
        text: format!("analysis {}   {} {phase}", run.name_any(), look.icon(Mood::of_phase(phase))),
        below: metrics::lines(run, now, look).into_iter().map(Branch::leaf).collect(),
    }
}
