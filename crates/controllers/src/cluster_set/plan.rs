//! Which cluster secrets a set shall hold (`spec/okra.md` 3.1.5): a pure
//! function of what its sources offered, the secrets there are, and what the
//! last complete discovery did not find.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use okra_api::cluster_set::{ClusterSetSpec, LeftOutCluster, MissingCluster};
use okra_api::foreign::cluster_secret::ClusterSecret;
use okra_api::names::{ANNOTATION_SOURCE, LABEL_SECRET_TYPE, SECRET_TYPE_CLUSTER};

use super::candidate::{Candidate, State};
use super::desired::{Common, Owner, desired};
use super::naming;
use super::ownership::{Asker, Ownership, ownership, server_of};
use crate::applied::is_applied;

/// Everything that a plan depends on.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    /// The set, and the other sets there are.
    pub asker: Asker<'a>,
    /// Its spec.
    pub spec: &'a ClusterSetSpec,
    /// Where the secrets are.
    pub namespace: &'a str,
    /// How they name their owner.
    pub owner: &'a Owner,
    /// What the sources offered.
    pub candidates: &'a [Candidate],
    /// The secrets of that namespace that describe clusters, and those that
    /// bear a name which is wanted.
    pub secrets: &'a [Secret],
    /// What the last complete discovery did not find.
    pub missing: &'a [MissingCluster],
    /// What kind of discovery this is.
    pub evidence: Evidence,
}

/// What may be concluded from what a discovery did not find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Nothing: a source could not be read, or this discovery was judged before.
    None,
    /// It was complete. What it did not find and another complete one, at
    /// least `apart` earlier, did not find either is gone.
    Complete {
        /// When it ended.
        at: Timestamp,
        /// Between two discoveries that count as two.
        apart: Duration,
    },
}

/// One secret to write.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// What it shall be.
    pub secret: Secret,
    /// What is there now.
    pub over: Option<Secret>,
    /// Whether it was somebody else's, or nobody's, until now.
    pub adopts: bool,
}

/// Deletions that were not done since they were too many at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Secrets that would have gone.
    pub secrets: Vec<String>,
    /// Secrets that the set holds.
    pub held: usize,
    /// How many of them may go.
    pub limit: usize,
}

/// What to write.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// To be applied, those as they should be left out; by source.
    pub writes: Vec<Write>,
    /// Names of own secrets whose cluster is gone.
    pub deletes: Vec<String>,
    /// Own secrets whose cluster was not found once.
    pub missing: Vec<MissingCluster>,
    /// Deletions that were refused.
    pub refusal: Option<Refusal>,
    /// Clusters without a secret, or with one that is not kept, and why.
    pub left_out: Vec<LeftOutCluster>,
    /// Selected clusters.
    pub clusters: Vec<String>,
    /// Secrets that the set holds afterwards.
    pub held: usize,
}

/// Reasons of clusters that are left out, as `status.leftOut` words them.
pub const CONFLICT: &str = "Conflict";
/// A template cannot be expanded.
pub const INVALID_TEMPLATE: &str = "InvalidTemplate";
/// Its EKS status is `DELETING`.
pub const CLUSTER_DELETING: &str = "Deleting";

/// Plans the set.
pub fn plan(observed: &Observed<'_>) -> Plan {
    let mut plan = Plan::default();
    let mut places = Places::new(observed);
    let mut kept = BTreeSet::new();
    for candidate in distinct(observed.candidates) {
        plan.clusters.push(candidate.facts.name.clone());
        let place = places.of(candidate);
        if let Ok(place) = &place
            && place.ownership == Some(Ownership::Own)
        {
            kept.insert(place.name.clone());
        }
        match place.and_then(|place| write(observed, candidate, &place)) {
            Ok(Some(write)) => {
                kept.insert(write.secret.name_any());
                plan.writes.push(write);
            }
            Ok(None) => {}
            // Of one without an access its own state is said, and nothing else.
            Err(left_out) if note(candidate).is_none() => plan.left_out.push(left_out),
            Err(_) => {}
        }
        plan.left_out.extend(note(candidate));
    }
    plan.writes.retain(|write| !write.over.as_ref().is_some_and(|live| is_applied(live, &write.secret)));
    plan.clusters.sort();
    let own: BTreeSet<String> = places.own().map(ResourceExt::name_any).collect();
    let absent: BTreeSet<String> = own.difference(&kept).cloned().collect();
    forget_absent(observed, &absent, own.len(), &mut plan);
    plan.held = own.union(&kept).filter(|name| !plan.deletes.contains(name)).count();
    plan
}

/// Candidates in order of source, each source once.
fn distinct(candidates: &[Candidate]) -> impl Iterator<Item = &Candidate> {
    let by_source: BTreeMap<&str, &Candidate> =
        candidates.iter().rev().map(|candidate| (candidate.source.as_str(), candidate)).collect();
    by_source.into_values()
}

/// What is to be said of a cluster that has no access of its own now.
fn note(candidate: &Candidate) -> Option<LeftOutCluster> {
    let (reason, message) = match &candidate.state {
        State::Ready(_) => return None,
        State::Deleting => (CLUSTER_DELETING, "its EKS status is DELETING".to_owned()),
        State::NotReady { reason, message } => (*reason, message.clone()),
    };
    Some(left_out(candidate, reason, message))
}

fn left_out(candidate: &Candidate, reason: &str, message: String) -> LeftOutCluster {
    LeftOutCluster { name: candidate.facts.name.clone(), reason: reason.to_owned(), message }
}

/// The secret to write for a cluster, if it can have one now.
fn write(
    observed: &Observed<'_>,
    candidate: &Candidate,
    place: &Place<'_>,
) -> Result<Option<Write>, LeftOutCluster> {
    let own = place.ownership == Some(Ownership::Own);
    let (access, deleting) = match &candidate.state {
        State::Ready(access) => (access.as_ref().clone(), false),
        // What goes is marked, and reached no more: nothing else about it changes.
        State::Deleting if own => match place.secret.map(ClusterSecret::from_secret) {
            Some(Ok(access)) => (access, true),
            _ => return Ok(None),
        },
        State::Deleting | State::NotReady { .. } => return Ok(None),
    };
    let common = Common {
        set: observed.asker.name,
        spec: observed.spec,
        namespace: observed.namespace,
        owner: observed.owner,
    };
    let secret = desired(&common, &candidate.facts, &candidate.source, &access, &place.name, deleting)
        .map_err(|error| left_out(candidate, INVALID_TEMPLATE, error.to_string()))?;
    Ok(Some(Write { secret, over: place.secret.cloned(), adopts: place.secret.is_some() && !own }))
}

/// What becomes of own secrets whose cluster was not found (3.1.5-4).
fn forget_absent(observed: &Observed<'_>, absent: &BTreeSet<String>, held: usize, plan: &mut Plan) {
    let since = |name: &String| {
        observed.missing.iter().find(|missing| missing.secret == *name).and_then(|missing| missing.since)
    };
    let Evidence::Complete { at, apart } = observed.evidence else {
        let still = observed.missing.iter().filter(|missing| absent.contains(&missing.secret));
        plan.missing = still.cloned().collect();
        return;
    };
    let twice = |name: &&String| {
        since(name).is_some_and(|since| at.duration_since(since).unsigned_abs() >= apart && since < at)
    };
    let gone: Vec<String> = absent.iter().filter(twice).cloned().collect();
    let limit = deletion_limit(observed.spec.max_deletion_percent, held);
    // An answer that misses too many at once is doubted as a whole.
    if !gone.is_empty() && absent.len() > limit {
        let secrets = absent.iter().cloned().collect();
        plan.refusal = Some(Refusal { secrets, held, limit });
    } else {
        plan.deletes = gone;
    }
    let staying = absent.iter().filter(|name| !plan.deletes.contains(name));
    plan.missing = staying
        .map(|name| MissingCluster { secret: name.clone(), since: Some(since(name).unwrap_or(at)) })
        .collect();
}

/// How many of `held` secrets one discovery may delete: the share that the
/// spec names, else all but one, and the only one.
fn deletion_limit(percent: Option<i64>, held: usize) -> usize {
    match percent.and_then(|percent| usize::try_from(percent.min(100)).ok()) {
        Some(percent) => held * percent / 100,
        None if held > 1 => held - 1,
        None => held,
    }
}

/// Where the secret of a cluster is or shall be.
#[derive(Clone, Debug)]
struct Place<'a> {
    name: String,
    secret: Option<&'a Secret>,
    /// Of the secret that is there.
    ownership: Option<Ownership>,
}

/// Names for clusters, each given once.
struct Places<'a> {
    observed: &'a Observed<'a>,
    by_name: BTreeMap<String, &'a Secret>,
    taken: BTreeSet<String>,
}

impl<'a> Places<'a> {
    fn new(observed: &'a Observed<'a>) -> Self {
        let by_name = observed.secrets.iter().map(|secret| (secret.name_any(), secret)).collect();
        Self { observed, by_name, taken: BTreeSet::new() }
    }

    fn ownership(&self, secret: &Secret) -> Ownership {
        ownership(&self.observed.asker, secret)
    }

    /// The secrets that are the set's own.
    fn own(&self) -> impl Iterator<Item = &'a Secret> {
        self.observed.secrets.iter().filter(|secret| self.ownership(secret) == Ownership::Own)
    }

    fn of(&mut self, candidate: &Candidate) -> Result<Place<'a>, LeftOutCluster> {
        let place = self.find(candidate)?;
        self.taken.insert(place.name.clone());
        Ok(place)
    }

    /// The secret that was made for this cluster keeps its name; else the
    /// plain name, or another where a cluster of that name has it.
    fn find(&self, candidate: &Candidate) -> Result<Place<'a>, LeftOutCluster> {
        let made_for =
            |secret: &&Secret| secret.annotations().get(ANNOTATION_SOURCE) == Some(&candidate.source);
        if let Some(secret) = self.own().find(made_for) {
            let ownership = Some(Ownership::Own);
            return Ok(Place { name: secret.name_any(), secret: Some(secret), ownership });
        }
        if let Some(place) = self.at(naming::plain(&candidate.facts.name), candidate)? {
            return self.only_here(place, candidate);
        }
        let apart = naming::apart(&candidate.facts.name, &candidate.source);
        match self.at(apart.clone(), candidate)? {
            Some(place) => self.only_here(place, candidate),
            None => Err(left_out(candidate, CONFLICT, format!("the name {apart} is taken"))),
        }
    }

    /// The place of that name; `None` where another cluster has it.
    fn at(&self, name: String, candidate: &Candidate) -> Result<Option<Place<'a>>, LeftOutCluster> {
        if self.taken.contains(&name) {
            return Ok(None);
        }
        let Some(secret) = self.by_name.get(&name).copied() else {
            return Ok(Some(Place { name, secret: None, ownership: None }));
        };
        let ownership = self.ownership(secret);
        let same = is_same_server(secret, candidate);
        let refuse = |why: String| Err(left_out(candidate, CONFLICT, why));
        match &ownership {
            // Its annotation was taken away: the name still tells whose it is.
            Ownership::Own if secret.annotations().contains_key(ANNOTATION_SOURCE) => Ok(None),
            Ownership::Own => Ok(Some(Place { name, secret: Some(secret), ownership: Some(ownership) })),
            Ownership::OtherSet(_) if !same => Ok(None),
            Ownership::OtherSet(other) => {
                refuse(format!("ClusterSet {other} keeps the secret {name} for the same server"))
            }
            Ownership::Controlled(controller) => {
                refuse(format!("the secret {name} is controlled by {controller}"))
            }
            Ownership::Free if same => {
                Ok(Some(Place { name, secret: Some(secret), ownership: Some(ownership) }))
            }
            Ownership::Free => refuse(format!(
                "the secret {name} is somebody else's: its server is {}",
                server_of(secret).unwrap_or_else(|| "unknown".to_owned())
            )),
        }
    }

    /// Argo CD must find a server in one secret only. One that nobody's
    /// discovery made stays as it is, under whatever name.
    fn only_here(&self, place: Place<'a>, candidate: &Candidate) -> Result<Place<'a>, LeftOutCluster> {
        let other = self.observed.secrets.iter().find(|secret| {
            secret.name_any() != place.name
                && secret.labels().get(LABEL_SECRET_TYPE).map(String::as_str) == Some(SECRET_TYPE_CLUSTER)
                && matches!(self.ownership(secret), Ownership::Free | Ownership::Controlled(_))
                && is_same_server(secret, candidate)
        });
        match other {
            None => Ok(place),
            Some(other) => {
                let why = format!("the secret {} describes this cluster already", other.name_any());
                Err(left_out(candidate, CONFLICT, why))
            }
        }
    }
}

fn is_same_server(secret: &Secret, candidate: &Candidate) -> bool {
    let server = match &candidate.state {
        State::Ready(access) => access.server.as_str(),
        _ => candidate.facts.endpoint.trim_end_matches('/'),
    };
    !server.is_empty() && server_of(secret).as_deref() == Some(server)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
