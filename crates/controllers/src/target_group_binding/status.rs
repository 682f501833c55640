//! What a binding's status says after a pass. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use okra_api::aws_target_group_binding::{
    AWSTargetGroupBindingStatus, BindingTargetStatus, RegisteredTarget,
};
use okra_api::common::{Condition, find_condition};
use okra_aws::{Meaning, Target};

use super::plan::{Entry, Plan};

/// The only condition.
const READY: &str = "Ready";

/// What a pass came to.
#[derive(Clone, Debug)]
pub enum Outcome<'a> {
    /// All that was planned is done and read back.
    Done {
        /// What was resolved.
        entries: &'a [Entry],
        /// What was planned from the last look.
        plan: &'a Plan,
    },
    /// It could not be done; what is registered stays.
    Failed {
        /// Why, as one word.
        reason: &'static str,
        /// Why, as a sentence.
        message: String,
    },
}

/// What AWS's answer means for a binding.
pub fn reason_of(meaning: Meaning) -> &'static str {
    match meaning {
        Meaning::Absent => "TargetGroupNotFound",
        Meaning::Denied => "AccessDenied",
        Meaning::ExpiredCredentials => "NoCredentials",
        Meaning::Throttled => "Throttled",
        Meaning::Invalid | Meaning::Unsupported => "Refused",
        _ => "Unavailable",
    }
}

/// The status after a pass.
pub fn after(
    before: &AWSTargetGroupBindingStatus,
    generation: Option<i64>,
    group: &str,
    outcome: &Outcome<'_>,
    now: Timestamp,
) -> AWSTargetGroupBindingStatus {
    let mut status = before.clone();
    status.target_group_arn = Some(group.to_owned()).filter(|arn| !arn.is_empty());
    status.observed_generation = generation;
    let (phase, reason, message) = match outcome {
        Outcome::Failed { reason, message } => ("Error", *reason, message.clone()),
        Outcome::Done { entries, plan } => {
            status.targets = entries.iter().map(|entry| told(entry, plan)).collect();
            status.registered = listed(&plan.own);
            status.healthy_targets = i64::try_from(plan.healthy).ok();
            status.draining_targets = i64::try_from(plan.draining).ok();
            summary(entries, plan)
        }
    };
    let holds = if phase == "Synced" { "True" } else { "False" };
    let same = find_condition(&before.conditions, READY).filter(|one| one.status == holds);
    status.conditions = vec![Condition {
        type_: READY.to_owned(),
        status: holds.to_owned(),
        reason: reason.to_owned(),
        message: message.clone(),
        last_transition_time: same.and_then(|one| one.last_transition_time).or(Some(now)),
        observed_generation: generation,
    }];
    status.phase = Some(phase.to_owned());
    status.reason = Some(reason.to_owned());
    status.message = Some(message);
    if status != *before {
        status.last_sync_time = Some(now);
    }
    status
}

fn summary(entries: &[Entry], plan: &Plan) -> (&'static str, &'static str, String) {
    let registered: BTreeSet<&Target> = plan.registered.values().flatten().collect();
    let counts =
        format!("{} targets, {} healthy, {} draining", registered.len(), plan.healthy, plan.draining);
    let unknown: Vec<String> = entries
        .iter()
        .filter_map(|entry| Some(format!("{}: {}, its targets stay", entry.name, entry.unknown.as_ref()?)))
        .collect();
    if !unknown.is_empty() {
        return ("Degraded", "ClusterUnreachable", format!("{counts}; {}", unknown.join("; ")));
    }
    if !plan.waiting.is_empty() {
        let waiting: Vec<String> = plan.waiting.iter().map(ToString::to_string).collect();
        let message = format!("{counts}; {} serve until a wanted target is healthy", waiting.join(", "));
        return ("Updating", "WaitingForHealth", message);
    }
    if plan.draining > 0 || !plan.register.is_empty() || !plan.deregister.is_empty() {
        return ("Updating", "Draining", counts);
    }
    ("Synced", "Synced", counts)
}

fn told(entry: &Entry, plan: &Plan) -> BindingTargetStatus {
    let targets = plan.registered.get(&entry.name);
    let ids: BTreeSet<String> = targets.into_iter().flatten().map(|target| target.id.clone()).collect();
    BindingTargetStatus {
        name: entry.name.clone(),
        ids: ids.into_iter().collect(),
        port: targets.and_then(BTreeSet::first).map(|target| i64::from(target.port)),
        clusters: entry.clusters.iter().cloned().collect(),
    }
}

/// Targets as a status lists them.
pub fn listed(targets: &BTreeSet<Target>) -> Vec<RegisteredTarget> {
    let one = |target: &Target| RegisteredTarget { id: target.id.clone(), port: i64::from(target.port) };
    targets.iter().map(one).collect()
}

/// The targets that a status says okra registered.
pub fn own(status: &AWSTargetGroupBindingStatus) -> BTreeSet<Target> {
    let one = |target: &RegisteredTarget| {
        Some(Target { id: target.id.clone(), port: u16::try_from(target.port).ok()? })
    };
    status.registered.iter().filter_map(one).collect()
}

/// The targets of each entry, as a status has them.
pub fn by_entry(status: &AWSTargetGroupBindingStatus) -> BTreeMap<String, BTreeSet<Target>> {
    let targets = |entry: &BindingTargetStatus| {
        let port = entry.port.and_then(|port| u16::try_from(port).ok());
        let target = |id: &String| Some(Target { id: id.clone(), port: port? });
        (entry.name.clone(), entry.ids.iter().filter_map(target).collect())
    };
    status.targets.iter().map(targets).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_tells_what_the_next_pass_needs_to_know() {
        let target = Target { id: "i-1".to_owned(), port: 80 };
        let entry = Entry { name: "web".to_owned(), targets: [target.clone()].into(), ..Entry::default() };
        let plan = Plan {
            own: [target.clone()].into(),
            healthy: 1,
            registered: [("web".to_owned(), [target.clone()].into())].into(),
            ..Plan::default()
        };
        let outcome = Outcome::Done { entries: &[entry], plan: &plan };
        let before = AWSTargetGroupBindingStatus::default();
        let status = after(&before, Some(1), "arn:g", &outcome, Timestamp::UNIX_EPOCH);
        assert_eq!(
            (status.phase.as_deref(), status.message.as_deref()),
            (Some("Synced"), Some("1 targets, 1 healthy, 0 draining"))
        );
        assert_eq!(own(&status), BTreeSet::from([target.clone()]));
        assert_eq!(by_entry(&status)["web"], BTreeSet::from([target]));
        let later = Timestamp::from_second(9).unwrap();
        assert_eq!(after(&status, Some(1), "arn:g", &outcome, later), status);
        let failed = Outcome::Failed { reason: reason_of(Meaning::Denied), message: "no".to_owned() };
        let failed = after(&status, Some(1), "arn:g", &failed, later);
        assert_eq!((failed.reason.as_deref(), own(&failed).len()), (Some("AccessDenied"), 1));
    }
}
