//! What a ClusterSet's status says after a pass. Pure.

use jiff::{SignedDuration, Timestamp};
use okra_api::cluster_set::{ClusterSetStatus, LeftOutCluster};
use okra_api::common::{ClusterNames, Condition, find_condition};
use okra_aws::Meaning;

use super::discover::Failure;
use super::plan::{CONFLICT, Evidence, INVALID_TEMPLATE, Plan};

/// Longest time that the moment of the last complete discovery stays untold
/// when nothing else changes: it shows life, and costs a write.
const TOLD_EVERY: SignedDuration = SignedDuration::from_mins(5);
/// Names and messages of one kind in a sentence before it is cut.
const NAMED_MAX: usize = 5;
/// Clusters in `leftOut` before the list is cut: a status has 1.5 MB at most.
const LEFT_OUT_MAX: usize = 200;

/// The condition about the set as a whole.
const READY: &str = "Ready";
/// The condition about the last look at the sources.
const DISCOVERED: &str = "Discovered";

/// Why a set is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// All is as it should be.
    Synced,
    /// The spec cannot be followed.
    InvalidSpec,
    /// A permission or a trust is missing.
    AccessDenied,
    /// There are no valid credentials.
    NoCredentials,
    /// AWS asked to slow down.
    Throttled,
    /// A source did not answer, or refused.
    DiscoveryFailed,
    /// Too many clusters were missing at once.
    DeletionRefused,
    /// A secret could not be written.
    WriteFailed,
    /// A secret belongs to somebody else.
    Conflict,
    /// A template cannot be expanded.
    InvalidTemplate,
    /// A kubeconfig cannot be used.
    InvalidKubeconfig,
}

impl Reason {
    /// The word as the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Synced => "Synced",
            Self::InvalidSpec => "InvalidSpec",
            Self::AccessDenied => "AccessDenied",
            Self::NoCredentials => "NoCredentials",
            Self::Throttled => "Throttled",
            Self::DiscoveryFailed => "DiscoveryFailed",
            Self::DeletionRefused => "DeletionRefused",
            Self::WriteFailed => "WriteFailed",
            Self::Conflict => "Conflict",
            Self::InvalidTemplate => "InvalidTemplate",
            Self::InvalidKubeconfig => "InvalidKubeconfig",
        }
    }

    /// The word that sums it up.
    const fn phase(self) -> &'static str {
        match self {
            Self::Synced => "Synced",
            Self::InvalidSpec => "Error",
            _ => "Degraded",
        }
    }
}

/// What a pass came to.
#[derive(Clone, Debug)]
pub struct Outcome<'a> {
    /// What was planned and done.
    pub plan: &'a Plan,
    /// Places that could not be read.
    pub failures: &'a [Failure],
    /// What the discovery proves.
    pub evidence: Evidence,
    /// Secrets that could not be written or deleted, and why.
    pub unwritten: &'a [String],
}

/// The status of a set whose spec cannot be followed: what it holds stays.
pub fn invalid(
    before: &ClusterSetStatus,
    generation: Option<i64>,
    message: &str,
    now: Timestamp,
) -> ClusterSetStatus {
    let mut status = before.clone();
    say(&mut status, before, generation, Reason::InvalidSpec, message.to_owned(), now);
    finish(status, before, now)
}

/// The status of a set that could not be looked at: what it holds stays.
pub fn unreadable(
    before: &ClusterSetStatus,
    generation: Option<i64>,
    failure: &Failure,
    now: Timestamp,
) -> ClusterSetStatus {
    let mut status = before.clone();
    let message = format!("{}: {}", failure.place, failure.message);
    say(&mut status, before, generation, reason_of(failure.meaning), message, now);
    finish(status, before, now)
}

/// The status after a pass.
pub fn after(
    before: &ClusterSetStatus,
    generation: Option<i64>,
    outcome: &Outcome<'_>,
    now: Timestamp,
) -> ClusterSetStatus {
    let plan = outcome.plan;
    let mut status = before.clone();
    status.clusters = Some(ClusterNames { names: plan.clusters.clone() });
    status.secrets = i64::try_from(plan.held).ok();
    status.left_out = plan.left_out.iter().take(LEFT_OUT_MAX).cloned().collect();
    status.missing.clone_from(&plan.missing);
    let (reason, message) = summary(outcome);
    say(&mut status, before, generation, reason, message, now);
    if let Some(discovered) = discovered(before, generation, outcome, now) {
        put(&mut status.conditions, discovered);
    }
    if let Evidence::Complete { at, .. } = outcome.evidence {
        let told = before.last_discovery_time;
        let is_old = told.is_none_or(|told| at.duration_since(told) >= TOLD_EVERY);
        if is_old || without_times(&status) != without_times(before) {
            status.last_discovery_time = Some(at);
        }
    }
    finish(status, before, now)
}

/// The gravest of what there is to say, and all of it in a sentence.
fn summary(outcome: &Outcome<'_>) -> (Reason, String) {
    let plan = outcome.plan;
    let left_out = |reason: &str| plan.left_out.iter().any(|one| one.reason == reason);
    let reason = if let Some(failure) = outcome.failures.first() {
        reason_of(failure.meaning)
    } else if plan.refusal.is_some() {
        Reason::DeletionRefused
    } else if !outcome.unwritten.is_empty() {
        Reason::WriteFailed
    } else if left_out(CONFLICT) {
        Reason::Conflict
    } else if left_out(INVALID_TEMPLATE) {
        Reason::InvalidTemplate
    } else if left_out("InvalidKubeconfig") {
        Reason::InvalidKubeconfig
    } else {
        Reason::Synced
    };
    (reason, sentence(outcome))
}

/// What AWS's answer means for the set.
pub fn reason_of(meaning: Option<Meaning>) -> Reason {
    match meaning {
        Some(Meaning::Denied) => Reason::AccessDenied,
        Some(Meaning::ExpiredCredentials) => Reason::NoCredentials,
        Some(Meaning::Throttled) => Reason::Throttled,
        None => Reason::InvalidSpec,
        Some(_) => Reason::DiscoveryFailed,
    }
}

fn sentence(outcome: &Outcome<'_>) -> String {
    let plan = outcome.plan;
    let counts = format!("{} secrets for {} clusters", plan.held, plan.clusters.len());
    let failures = outcome.failures.iter().map(|failure| format!("{}: {}", failure.place, failure.message));
    let kept = (!outcome.failures.is_empty()).then(|| "nothing is deleted until all is read".to_owned());
    let refusal = plan.refusal.as_ref().map(|refusal| {
        format!(
            "{} of {} clusters were not found ({}), more than the {} that may go at once: if they are gone, \
             set maxDeletionPercent",
            refusal.secrets.len(),
            refusal.held,
            listed(&refusal.secrets),
            refusal.limit
        )
    });
    let missing: Vec<String> = plan.missing.iter().map(|missing| missing.secret.clone()).collect();
    let missing = (refusal.is_none() && !missing.is_empty())
        .then(|| format!("not found, and deleted when not found again: {}", listed(&missing)));
    let unwritten =
        (!outcome.unwritten.is_empty()).then(|| format!("not written: {}", listed(outcome.unwritten)));
    let left_out: Vec<String> = plan.left_out.iter().map(described).collect();
    let left_out = (!left_out.is_empty()).then(|| format!("left out: {}", listed(&left_out)));
    let parts = [Some(counts)].into_iter().flatten().chain(failures).chain(kept).chain(refusal);
    parts.chain(missing).chain(unwritten).chain(left_out).collect::<Vec<_>>().join("; ")
}

fn described(left_out: &LeftOutCluster) -> String {
    format!("{} ({})", left_out.name, left_out.message)
}

/// Names for people: some of them, and how many more.
pub fn listed(items: &[String]) -> String {
    let more = items.len().saturating_sub(NAMED_MAX);
    let shown = items.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// `Discovered`: whether the last look read every source to its end. A pass
/// without a look says nothing new.
fn discovered(
    before: &ClusterSetStatus,
    generation: Option<i64>,
    outcome: &Outcome<'_>,
    now: Timestamp,
) -> Option<Condition> {
    let (holds, reason, message) = match (outcome.failures.first(), outcome.evidence) {
        (Some(failure), _) => {
            (false, reason_of(failure.meaning).as_str(), format!("{}: {}", failure.place, failure.message))
        }
        (None, Evidence::Complete { .. }) => {
            (true, "Complete", "every source was read to its end".to_owned())
        }
        (None, Evidence::None) => return None,
    };
    Some(condition(before, generation, DISCOVERED, holds, reason, message, now))
}

fn say(
    status: &mut ClusterSetStatus,
    before: &ClusterSetStatus,
    generation: Option<i64>,
    reason: Reason,
    message: String,
    now: Timestamp,
) {
    let holds = reason == Reason::Synced;
    put(
        &mut status.conditions,
        condition(before, generation, READY, holds, reason.as_str(), message.clone(), now),
    );
    status.phase = Some(reason.phase().to_owned());
    status.reason = Some(reason.as_str().to_owned());
    status.message = Some(message);
    status.observed_generation = generation;
}

fn condition(
    before: &ClusterSetStatus,
    generation: Option<i64>,
    kind: &str,
    holds: bool,
    reason: &str,
    message: String,
    now: Timestamp,
) -> Condition {
    let status = if holds { "True" } else { "False" };
    let same = find_condition(&before.conditions, kind).filter(|one| one.status == status);
    Condition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        last_transition_time: same.and_then(|one| one.last_transition_time).or(Some(now)),
        observed_generation: generation,
    }
}

fn put(conditions: &mut Vec<Condition>, condition: Condition) {
    match conditions.iter_mut().find(|one| one.type_ == condition.type_) {
        Some(one) => *one = condition,
        None => conditions.push(condition),
    }
}

fn without_times(status: &ClusterSetStatus) -> ClusterSetStatus {
    ClusterSetStatus { last_sync_time: None, last_discovery_time: None, ..status.clone() }
}

/// `lastSyncTime` moves only together with another field.
fn finish(mut status: ClusterSetStatus, before: &ClusterSetStatus, now: Timestamp) -> ClusterSetStatus {
    status.last_sync_time = before.last_sync_time;
    if status != *before {
        status.last_sync_time = Some(now);
    }
    status
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cluster_set::plan::Refusal;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn outcome<'a>(plan: &'a Plan, failures: &'a [Failure], second: i64) -> Outcome<'a> {
        let evidence = if failures.is_empty() {
            Evidence::Complete { at: at(second), apart: Duration::ZERO }
        } else {
            Evidence::None
        };
        Outcome { plan, failures, evidence, unwritten: &[] }
    }

    fn denied() -> Failure {
        Failure {
            place: "eu-west-1 as arn:aws:iam::1:role/r".to_owned(),
            meaning: Some(Meaning::Denied),
            message: "sts:AssumeRole: AccessDenied: no".to_owned(),
        }
    }

    #[test]
    fn a_status_at_rest_changes_every_five_minutes_only() {
        let plan = Plan { held: 1, clusters: vec!["c1".into()], ..Plan::default() };
        let first = after(&ClusterSetStatus::default(), Some(1), &outcome(&plan, &[], 0), at(0));
        assert_eq!((first.phase.as_deref(), first.secrets), (Some("Synced"), Some(1)));
        assert_eq!(after(&first, Some(1), &outcome(&plan, &[], 299), at(299)), first);
        let later = after(&first, Some(1), &outcome(&plan, &[], 300), at(300));
        assert_eq!((later.last_discovery_time, later.last_sync_time), (Some(at(300)), Some(at(300))));
        assert_eq!(later.conditions[0].last_transition_time, Some(at(0)));
    }

    #[test]
    fn a_denied_role_is_named_with_its_action() {
        let plan = Plan::default();
        let status = after(&ClusterSetStatus::default(), Some(1), &outcome(&plan, &[denied()], 0), at(0));
        assert_eq!(
            (status.phase.as_deref(), status.reason.as_deref()),
            (Some("Degraded"), Some("AccessDenied"))
        );
        let message = status.message.unwrap();
        assert!(message.contains("role/r") && message.contains("sts:AssumeRole"), "{message}");
        assert!(message.contains("nothing is deleted"), "{message}");
        let discovered = find_condition(&status.conditions, DISCOVERED).unwrap();
        assert_eq!((discovered.status.as_str(), discovered.reason.as_str()), ("False", "AccessDenied"));
        assert_eq!(status.last_discovery_time, None);
    }

    #[test]
    fn a_refused_deletion_names_its_number_its_limit_and_the_remedy() {
        let refusal = Refusal { secrets: vec!["c1".into(), "c2".into()], held: 2, limit: 1 };
        let plan = Plan { refusal: Some(refusal), held: 2, ..Plan::default() };
        let status = after(&ClusterSetStatus::default(), None, &outcome(&plan, &[], 0), at(0));
        assert_eq!(status.reason.as_deref(), Some("DeletionRefused"));
        let message = status.message.unwrap();
        assert!(message.contains("2 of 2 clusters were not found (c1, c2)"), "{message}");
        assert!(message.contains("set maxDeletionPercent"), "{message}");
    }

    #[test]
    fn a_bad_spec_leaves_the_counts_as_they_were() {
        let plan = Plan { held: 3, ..Plan::default() };
        let before = after(&ClusterSetStatus::default(), Some(1), &outcome(&plan, &[], 0), at(0));
        let status = invalid(&before, Some(2), "no", at(1));
        assert_eq!((status.phase.as_deref(), status.secrets), (Some("Error"), Some(3)));
        assert_eq!(invalid(&status, Some(2), "no", at(9)), status);
    }
}
